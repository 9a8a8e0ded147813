"""The log: who did what, and who looked."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from repermit.accounts import api_tokens, audit_log
from repermit.accounts.audit_log import SecurityEventKind
from repermit.db.connection import Database
from repermit.db.models.accounts import SecurityEvent, User
from repermit.db.models.evidence import EvidenceHead
from repermit.evidence import chain
from repermit.evidence.entries import Entry
from repermit.i18n import catalogues
from repermit.reports.make_report import ReportKind, make_report
from repermit.rules.consent import Reason
from repermit.web.admin.audit_log import ACCESSES, ACTS, SECURITY_EVENTS
from tests.support.admin_pages import (
    client_of,
    log_in,
    make_user,
    words_at,
)
from tests.support.builders import NOW, make_list, make_removed, make_settings
from tests.support.public_pages import Pages, words_of
from tests.support.report_campaign import read_tables

if TYPE_CHECKING:
    from flask.testing import FlaskClient

URL = "/admin/log/"
ROOT = Path(__file__).parents[4] / "repermit"


def look(client: FlaskClient, url: str = URL) -> str:
    """Return what stands below the filters, in English."""
    response = client.get(url, headers={"Accept-Language": "en"})
    assert response.status_code == 200
    return words_of(response).rpartition("Show ")[2]


def act(database: Database, event: str, actor: str, **more: Any) -> None:
    with database.atomic():
        chain.append(Entry(event=event, at=NOW, actor=actor, **more))


def test_acts_are_told_in_words_with_who_and_when(
    database: Database, client: FlaskClient, admin: User
) -> None:
    act(database, "launched", f"user:{admin.id}", list="news")
    said = look(client)
    assert "Monday 2 March 2026" in said
    assert "admin@example.org launched the campaign news" in said


@pytest.mark.parametrize(
    ("actor", "said"),
    [
        ("person", "The person left the list"),
        ("reader", "Who reads the mail to this address took somebody off"),
        ("job", "By itself took somebody off"),
        ("cli:keeper", "keeper, on the command line took somebody off"),
        ("cli:0", "root, on the command line took somebody off"),
        ("api:tool", "The program tool took somebody off"),
        ("user:77", "User 77, who was removed took somebody off"),
        ("demo", "demo took somebody off"),
    ],
)
def test_every_kind_of_actor_is_named(
    database: Database, client: FlaskClient, actor: str, said: str
) -> None:
    act(database, "removed", actor)
    assert said in look(client)


@pytest.mark.parametrize(
    ("event", "said"),
    [
        ("confirmed", "answered Yes"),
        ("corrected", "corrected what is held about them"),
        ("erased", "had erased what was held about them"),
        ("not_the_person", "said not to be the person meant"),
    ],
)
def test_nobody_is_said_to_have_done_to_somebody_what_they_did_themselves(
    database: Database, client: FlaskClient, event: str, said: str
) -> None:
    act(database, event, "person")
    assert f"The person {said}" in look(client)


def test_a_user_who_was_acted_on_is_named_too(
    database: Database, client: FlaskClient, admin: User
) -> None:
    user = make_user(database, email="viewer@example.org")
    act(database, "user_role_changed", f"user:{admin.id}", subject=f"user:{user.id}")
    assert "changed what a user may do viewer@example.org" in look(client)


def test_nothing_personal_of_a_contact_stands_there(
    database: Database, client: FlaskClient
) -> None:
    contact = make_removed(database, make_list(database), Reason.NO, "some.body@example.net")
    said = look(client)
    assert f"The person left the list said No news {contact.subject[:8]}" in said
    html = client.get(URL).text
    assert "some.body" not in html
    assert contact.subject not in html


def test_the_log_is_filtered_by_what_who_and_list(
    database: Database, client: FlaskClient, admin: User
) -> None:
    make_list(database)
    me = f"user:{admin.id}"
    act(database, "paused", me, list="news")
    act(database, "resumed", "cli:keeper", list="news")
    act(database, "paused", me, list="winkel")
    assert "let the campaign go on" not in look(client, f"{URL}?what=paused")
    assert "paused" not in look(client, f"{URL}?actor=cli:")
    assert "winkel" not in look(client, f"{URL}?slug=news&actor={me}")
    html = client.get(f"{URL}?slug=news&actor={me}&what=paused").text
    for value in ("news", me, "paused"):
        assert f'<option value="{value}" selected>' in html


def test_there_is_nothing_and_that_is_said(client: FlaskClient) -> None:
    assert "There is nothing here." in look(client)
    assert "There is nothing here." in look(client, f"{URL}looks")


def test_pages_follow_one_another_and_keep_the_filter(
    database: Database, client: FlaskClient
) -> None:
    with database.atomic():
        chain.append(*(Entry(event="paused", at=NOW, actor=f"cli:els-{n}") for n in range(1, 61)))
    first = client.get(f"{URL}?what=paused", headers={"Accept-Language": "en"}).text
    assert "els-60, on the command line" in first
    assert "els-10, on the command line" not in first
    (address,) = re.findall(r'<a href="([^"]+)" rel="next"', first)
    assert address == "/admin/log/?before=11&amp;what=paused"
    second = client.get(address.replace("&amp;", "&"), headers={"Accept-Language": "en"}).text
    assert "els-10, on the command line" in second
    assert 'rel="next"' not in second
    assert '<a href="/admin/log/?what=paused" rel="prev"' in second


def test_what_lies_far_back_is_found_a_stretch_at_a_time(
    database: Database, client: FlaskClient
) -> None:
    with database.atomic():
        EvidenceHead.update(seq=60_000).execute()
    said = look(client, f"{URL}?what=paused")
    assert "it may lie further back" in said
    assert "There is nothing here." in look(client, f"{URL}?what=paused&before=10001")


@pytest.mark.parametrize("typed", ["x", "-1", "²", "9" * 19, ""])
def test_a_page_that_is_none_is_the_first(
    database: Database, client: FlaskClient, typed: str
) -> None:
    act(database, "paused", "job")
    assert "paused the campaign" in look(client, f"{URL}?before={typed}")


def test_looks_are_told_in_words(database: Database, client: FlaskClient, admin: User) -> None:
    with database.atomic():
        audit_log.record_access(
            now=NOW, actor=f"user:{admin.id}", act="contact", mailing_list=make_list(database)
        )
        audit_log.record_access(now=NOW, actor="api:tool", act="some_thing")
    said = look(client, f"{URL}looks")
    assert "admin@example.org looked at one contact news" in said
    assert "The program tool some thing" in said


def test_an_act_without_words_is_told_as_it_is_kept(
    database: Database, client: FlaskClient
) -> None:
    act(database, "some_thing", "job")
    assert "By itself some thing" in look(client)


# --- What an entry is about. ----------------------------------------------------------------------

# What an entry keeps of each act, and what the log makes of it.
DETAILS: list[tuple[str, dict[str, Any], str]] = [
    ("list_added", {"fields": {"name": "Garden news", "purpose": "Gardens"}}, "Garden news"),
    ("list_added", {"name": "news", "by": "restored"}, "found in the journal when a backup"),
    ("list_changed", {"fields": {"purpose": "Gardens"}, "in": "de"}, "purpose (German)"),
    ("list_changed", {"fields": {"own_text": "0" * 64}}, "text of the mail"),
    ("imported", {"name": "members.csv", "rows": 1234}, "members.csv, 1,234 rows"),
    ("import_undone", {"name": "members.csv", "contacts": 3}, "members.csv"),
    (
        "conditions_changed",
        {"fields": {"attest": "by the board", "pilot": 5}},
        "pilot, whose decision it is",
    ),
    (
        "launched",
        {"asked": 2, "deadline": "2026-04-20T21:59:59.000000+00:00"},
        "2 people to be asked, until Monday 20 April 2026, 23:59",
    ),
    ("paused", {"reason": "bounces"}, "too many mails came back"),
    ("paused", {"reason": "some_new"}, "some_new"),
    ("resumed", {"let_go": 1}, "one person who had waited for the pilot is asked too"),
    (
        "extended",
        {"from": "2026-04-01T10:00:00+00:00", "to": "2026-04-20T10:00:00+00:00"},
        "from Wednesday 1 April 2026, 12:00 to Monday 20 April 2026, 12:00",
    ),
    (
        "extended",
        {
            "from": "2026-04-01T10:00:00+00:00",
            "to": "2026-04-20T10:00:00+00:00",
            "note": "The post was late.",
        },
        "from Wednesday 1 April 2026, 12:00 to Monday 20 April 2026, 12:00: The post was late.",
    ),
    (
        "reminder_added",
        {"reminder_at": "2026-03-23T10:00:00+00:00"},
        "for Monday 23 March 2026, 11:00",
    ),
    ("cancelled", {"dropped": 7}, "7 mails were not sent any more"),
    ("expired_despite_downtime", {"downtime": 90_000}, "down for 25 hours"),
    ("closed", {"counts": {"confirmed": 3, "no_response": 4}}, "3 confirmed, 4 taken off for"),
    ("resolved", {"resend": True, "mails": 2}, "2 mails to be sent again"),
    ("resolved", {"resend": False, "mails": 1}, "one mail counted as failed"),
    ("confirmed", {"basis": "answer", "method": "one_click"}, "Yes in a campaign, with one click"),
    ("customer", {"basis": "customer", "method": "by_hand"}, "customer, entered by hand"),
    ("added", {"basis": "", "method": "by_hand"}, "entered by hand"),
    ("removed", {"reason": "no", "method": "note"}, "said No, told to an admin"),
    ("suppressed", {"reason": "request"}, "at a request"),
    ("corrected", {"method": "page", "fields": ["language", "name"]}, "name, language"),
    ("suppressions_imported", {"name": "left.csv", "rows": 1}, "left.csv, one row"),
    ("suppressions_put_back", {"rows": 2}, "2 rows"),
    ("erased", {"parts": ["consent"], "why": "retention"}, "the proof: its time was over"),
    ("erased", {"parts": ["trace"], "why": "retention"}, "network and browser: their time"),
    ("erased", {"parts": [], "sign_ups": 1}, "a sign-up that was not confirmed"),
    ("erased", {"parts": ["person"], "name": "members.csv"}, "members.csv"),
    (
        "exported",
        {"what": "keep", "format": "csv", "tool": "laposta", "rows": 3, "with_links": True},
        "Who may be mailed, Laposta, CSV, with links to unsubscribe, 3 rows",
    ),
    ("exported", {"what": "refused", "format": "csv", "rows": 1}, "Rows that were not taken in"),
    ("archived", {"what": "archive", "format": "zip", "rows": 9}, "Archive, ZIP, 9 rows"),
    ("handed_over", {"tool": "brevo", "step": "removed-3"}, "Brevo, Who must be taken off, step 3"),
    ("handed_over", {"tool": "", "step": "removed-all"}, "Who must be taken off, all steps"),
    ("not_handed_over", {"tool": "brevo", "step": "keep-1"}, "Brevo, Who may be mailed, step 1"),
    ("paper_made", {"paper": "breach", "format": "html"}, "If data have leaked, HTML"),
    (
        "register_changed",
        {"fields": {"measures": "Locks", "hosting.name": "A", "hosting.country": "NL"}},
        "security measures, hosting",
    ),
    ("logged_in", {"second_step": "recovery_code"}, "with a recovery code"),
    ("user_added", {"role": "viewer"}, "Viewer"),
    ("user_invited", {"renews_second_step": True}, "with a new second step"),
    ("user_role_changed", {"role": "admin"}, "Admin"),
    ("backed_up", {"file": "monday.db", "mark": "0"}, "monday.db"),
    ("restored", {"made_at": "2026-03-01T10:00:00+00:00"}, "the backup of Sunday 1 March 2026"),
    (
        "settings_changed",
        {"keys": ["timezone", "mail.port", "mail.gone"], "values": {"mail.port": [1, 2]}},
        "Organisation: Time zone, Mail server: Port, mail.gone",
    ),
    (
        "text_corrected",
        {"language": "nl", "text": "Language", "before": ["Taal"], "after": ["Talen"]},
        "Dutch, Language, Talen",
    ),
    (
        "token_made",
        {"token": 1, "name": "Laposta", "scopes": ["read:status", "read:all"]},
        "Laposta: how lists and campaigns stand, in counts; read:all",
    ),
    ("token_revoked", {"token": 1, "name": "Laposta"}, "Laposta"),
    ("webhook_added", {"webhook": 1, "host": "tool.example.org"}, "tool.example.org"),
    (
        "webhook_removed",
        {"webhook": 1, "host": "tool.example.org", "why": "410 Gone"},
        "tool.example.org: it wants to be told no more",
    ),
    (
        "webhook_removed",
        {"webhook": 1, "host": "tool.example.org", "why": "with whoever added it"},
        "tool.example.org: with whoever added it",
    ),
    ("webhook_tested", {"host": "tool.example.org"}, "tool.example.org"),
    ("timestamp_authority", {"name": "CN=Example Root", "certificates": []}, "CN=Example Root"),
    ("webhook_redelivered", {"host": "a.example", "seq": 7}, "a.example: entry 7 of the record"),
]
# Of these who did it, on which list and about whom says all that is known.
ALL_SAID = {
    "evidence_key",
    "given_up",
    "handed_in",
    "list_deleted",
    "logged_out",
    "not_the_person",
    "password_changed",
    "password_chosen",
    "proved",
    "recovery_codes_renewed",
    "reply_reopened",
    "reply_set_aside",
    "second_step_set_up",
    "session_ended",
    "sessions_ended",
    "sign_up_undone",
    "still_mailed",
    "test_mail_sent",
    "user_removed",
}


def test_of_every_event_it_is_known_what_the_log_says_more() -> None:
    assert {event for event, _, _ in DETAILS} | ALL_SAID == set(ACTS)
    assert not {event for event, _, _ in DETAILS} & ALL_SAID


@pytest.mark.exhaustive
@pytest.mark.parametrize(("event", "kept", "said"), DETAILS)
def test_the_log_says_what_an_entry_is_about(
    database: Database, client: FlaskClient, event: str, kept: dict[str, Any], said: str
) -> None:
    act(database, event, "job", consent=kept)
    assert f"{ACTS[event]} {said}" in look(client)


def test_an_entry_that_keeps_nothing_any_more_is_told_all_the_same(
    database: Database, client: FlaskClient
) -> None:
    said = ""
    for place, event in enumerate(ACTS, 1):
        act(database, event, "job")
        if place % 25 == 0 or place == len(ACTS):
            said += look(client, f"{URL}?actor=job")
    assert "launched the campaign" in said
    assert "made a token" in said


def test_nobody_is_shown_by_what_an_entry_keeps_of_their_person(
    database: Database, client: FlaskClient
) -> None:
    person = {"address": "some.body@example.net", "name": "Some Body", "note": "told by Some Body"}
    told = {"reason": "request", "method": "note"}
    act(database, "removed", "user:7", consent=told, person=person, trace={"browser": "A browser"})
    html = client.get(URL).text
    assert "some.body" not in html
    assert "Some Body" not in html
    assert "A browser" not in html


def test_details_are_dutch_for_whoever_reads_dutch(database: Database, client: FlaskClient) -> None:
    act(database, "user_role_changed", "job", consent={"role": "viewer"})
    act(database, "list_changed", "job", list="news", consent={"fields": {"purpose": "x"}})
    said = words_of(client.get(URL, headers={"Accept-Language": "nl"}))
    assert "Kijker" in said
    assert "wijzigde de lijst doel" in said


# --- Who was refused.

SECURITY = "/admin/log/security"


def test_what_was_refused_is_told_with_whose_account_whence_and_how_often(
    pages: Pages, client: FlaskClient, admin: User
) -> None:
    viewer = make_user(pages.database, email="viewer@example.org")
    guest = pages.app.test_client()
    for _ in range(2):
        log_in(guest, "viewer@example.org", "a wrong password")
        pages.clock.advance(timedelta(minutes=2))
    log_in(guest, "nobody@example.org", "a wrong password")
    said = look(client, SECURITY)
    assert "viewer@example.org gave a wrong password" in said
    assert "until" in said
    assert "Monday 2 March 2026, 10:00 until Monday 2 March 2026, 10:02" in said
    assert "nobody’s gave a wrong password" in said
    assert "127.0.0.0/24 2" in said
    assert "nobody@" not in said
    assert "a wrong password, or" in said
    assert "nobody’s gave" not in look(client, f"{SECURITY}?actor=user:{viewer.id}")
    assert "There is nothing here." in look(client, f"{SECURITY}?what=code_failed")
    assert "There is nothing here." in look(client, f"{SECURITY}?actor=user:{admin.id}")
    assert pages.client.get(SECURITY).location == "/admin/login"


def test_two_of_the_same_minute_are_told_without_an_until(
    pages: Pages, client: FlaskClient
) -> None:
    guest = pages.app.test_client()
    for _ in range(2):
        log_in(guest, "nobody@example.org", "a wrong password")
        pages.clock.advance(timedelta(seconds=5))
    said = look(client, SECURITY)
    assert "127.0.0.0/24 2" in said
    assert "until" not in said


def test_that_the_page_tells_of_unlocked_screens_too_stands_above_it(client: FlaskClient) -> None:
    assert "when a locked screen was unlocked" in words_at(client, SECURITY)


def test_pages_forms_links_and_tokens_that_are_refused_are_noted(
    pages: Pages, client: FlaskClient
) -> None:
    viewer = make_user(pages.database, email="viewer@example.org")
    looker = client_of(pages, viewer)
    for _ in range(3):
        assert looker.get("/admin/people/").status_code == 403
    assert looker.post("/admin/own/language", data={"language": "nl"}).status_code == 400
    assert pages.client.post("/admin/login", data={"email": "a@example.org"}).status_code == 400
    assert pages.client.get("/admin/welcome/no-such-link").status_code == 410
    made = api_tokens.make_token(
        pages.database, "tool", scopes=["read:status"], now=NOW, actor="user:1"
    )
    for bearer, status in (("rp_unknown", 401), (made.bearer, 403)):
        headers = {"Authorization": f"Bearer {bearer}"}
        url = "/api/v1/answers"
        assert pages.client.get(url, headers=headers).status_code == status
    assert refused() == [
        ("page_refused", f"user:{viewer.id}", 1),
        ("form_refused", f"user:{viewer.id}", 1),
        ("form_refused", "", 1),
        ("invitation_refused", "", 1),
        ("token_refused", "", 1),
        ("token_refused", "api:tool", 1),
    ]
    said = look(client, SECURITY)
    assert "viewer@example.org asked for a page that is for admins" in said
    assert "The program tool showed a token" in said
    # It is no act, and the record of acts says nothing of it.
    assert not [one for one in audit_log.list_acts().records if one.what not in ACTS]


def refused() -> list[tuple[str, str, int]]:
    found = SecurityEvent.select().order_by(SecurityEvent.id)
    return [(one.what, one.actor, one.times) for one in found]


def test_a_long_log_of_refusals_goes_on_on_the_next_page(pages: Pages, client: FlaskClient) -> None:
    with pages.database.atomic():
        for number in range(60):
            audit_log.record_security_event(
                SecurityEventKind.LOGIN_FAILED, network=f"10.0.{number}.0/24", now=NOW
            )
    first = client.get(SECURITY).text
    assert "10.0.59.0/24" in first
    assert "10.0.9.0/24" not in first
    (before,) = re.findall(r"before=(\d+)", first)
    rest = client.get(f"{SECURITY}?before={before}").text
    assert "10.0.9.0/24" in rest
    assert "Nothing of this kind" in look(client, f"{SECURITY}?before=99999999&what=unlocked")


def test_every_refusal_has_words() -> None:
    assert set(SECURITY_EVENTS) == set(SecurityEventKind)


_EVENT = re.compile(r'(?:event=|(?:_append|_entry|append|\.entry)\(\s*)f?"([a-z_]+)"')
_LOOK = re.compile(r'record_access\(\s*"([a-z_]+)"')


def written(pattern: re.Pattern[str]) -> set[str]:
    """Return every name that the package writes in such a place."""
    return {
        name for path in ROOT.rglob("*.py") for name in pattern.findall(path.read_text("utf-8"))
    }


def test_every_event_of_the_record_has_words() -> None:
    assert {"launched", "list_added", "webhook_tested", "import_undone"} <= written(_EVENT)
    assert written(_EVENT) - set(ACTS) == set()


def test_every_look_has_words() -> None:
    assert {"contact", "compared", "answers"} <= written(_LOOK)
    assert written(_LOOK) - set(ACCESSES) == set()


def test_the_breach_report_calls_every_look_as_the_log_does(database: Database) -> None:
    news = make_list(database)
    with database.atomic():
        for look in ACCESSES:
            audit_log.record_access(now=NOW, actor="cli:root", act=look, mailing_list=news)
    made = make_report(news, ReportKind.BREACH, settings=make_settings(), now=NOW, language="nl")
    (table,) = (one for one in read_tables(made) if one.titles[1] == "Door")
    gettext = catalogues.load_translations("nl").gettext
    assert sorted(row[0] for row in table.rows) == sorted(map(gettext, ACCESSES.values()))
