"""What to do about a breach: the clock, what could have leaked of how many, where to look."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from repermit.accounts import audit_log
from repermit.contacts import erasure, status_changes
from repermit.db.connection import Database
from repermit.db.models.accounts import ApiToken, Session, Throttle
from repermit.db.models.base import new_id
from repermit.db.models.contacts import SignUp
from repermit.db.models.imports import Import, Upload
from repermit.db.models.lists import MailingList
from repermit.db.models.webhooks import Webhook
from repermit.evidence import chain, entries
from repermit.i18n import catalogues
from repermit.reports import breach_report as reports_breach
from repermit.reports import make_report
from repermit.reports.make_report import Report, ReportKind
from repermit.rules.consent import Basis, Reason
from tests.support.admin_pages import make_admin, make_session
from tests.support.builders import (
    NOW,
    make_contact,
    make_list,
    make_organisation,
    make_removed,
    make_settings,
)
from tests.support.report_campaign import read_article, read_document, read_tables
from tests.unit.reports.test_outcomes_per_day import say_yes

SETTINGS = make_settings()
HOURS = timedelta(hours=72)
SECOND = timedelta(seconds=1)


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


def breach(
    news: MailingList, *, now: datetime = NOW, discovered: datetime | None = None, **more: Any
) -> Report:
    given = {"settings": SETTINGS, "language": "en", **more}
    return make_report.make_report(news, ReportKind.BREACH, now=now, discovered=discovered, **given)


@pytest.fixture
def news(database: Database) -> MailingList:
    return make_list(database)


def words(made: Report) -> str:
    return " ".join(make_report.render_text(made).replace("|", " ").split())


@pytest.mark.parametrize(
    ("late", "said"),
    [
        (-SECOND, "Time left: less than a minute"),
        (timedelta(0), "72 hours are over"),
        (SECOND, "72 hours are over"),
    ],
    ids=["before", "at", "after"],
)
def test_the_clock_ends_after_72_hours(news: MailingList, late: timedelta, said: str) -> None:
    made = breach(news, now=NOW + HOURS + late, discovered=NOW)
    assert said in words(made)
    assert ("art. 33(4)" in words(made)) is (late < timedelta(0))


def test_the_deadline_is_72_hours_later_also_when_the_clocks_change(news: MailingList) -> None:
    # In Amsterdam clocks go forward on 29 March 2026 at 2:00.
    noticed = datetime(2026, 3, 27, 11, 0, tzinfo=UTC)
    made = breach(news, now=noticed + timedelta(hours=1), discovered=noticed)
    assert "You became aware of it: Friday 27 March 2026, 12:00" in words(made)
    assert "has to know by: Monday 30 March 2026, 13:00" in words(made)
    assert "Time left: 2 days, 23 hours" in words(made)
    assert read_document(made)["notify_by"] == "2026-03-30T11:00:00.000000+00:00"


def test_each_step_has_its_moment_once_it_is_known_when_it_was_discovered(
    news: MailingList,
) -> None:
    for discovered, moments in ((None, 0), (NOW, 3)):
        made = breach(news, discovered=discovered)
        steps = read_article(made).findall(".//ul[@class='ticks']/li")
        assert len(steps) == 11
        assert sum(str(step.text).startswith("By ") for step in steps) == moments
        assert (read_document(made)["notify_by"] is None) is (discovered is None)
        assert ("Say when that was" in words(made)) is (discovered is None)


def test_it_counts_what_could_have_leaked_and_what_could_not(
    database: Database, news: MailingList
) -> None:
    answered = make_contact(database, news, name="Anna")
    say_yes(database, answered, 0)
    make_contact(database, news, source="a book")
    make_removed(database, news, Reason.NO)
    erased = make_removed(database, news, Reason.NO)
    with database.atomic():
        act = status_changes.Act(at=NOW, actor="user:1")
        erasure.erase_contact(erased, act=act, fingerprint_key=SETTINGS.fingerprint_key)
    made = breach(news)
    found = read_document(made)
    assert found["people"] == found["held"]["addresses"] == 3
    assert found["parts"]["consent"] >= found["parts"]["person"] == 2
    assert found["fields"] == ["address", "name", "source", "answer"]
    assert "Of 3 people at most" in words(made)
    assert "One person has been erased" in words(made)
    assert "2 addresses that are not to be mailed" in words(made)
    assert "[what, when it began and ended, how it was discovered]" in words(made)


def test_who_has_only_signed_up_is_among_those_whose_data_may_have_leaked(
    database: Database, news: MailingList
) -> None:
    signed_up = ("jan", "Jan", "nl"), ("jan", "", "nl"), ("piet", "", ""), ("anna", "Anna", "")
    make_contact(database, news, "anna@example.org")
    with database.atomic():
        for name, called, language in signed_up:
            address = f"{name}@example.org"
            SignUp.create(
                list=news,
                uid=new_id(),
                address=address,
                address_key=address,
                name=called,
                language=language,
                at=NOW,
            )
    made = breach(news)
    found = read_document(made)
    assert found["people"] == found["held"]["addresses"] == 3
    # Of whoever is on the list too, what their contact has is counted.
    assert (found["held"]["names"], found["held"]["languages"]) == (1, 1)
    assert found["fields"] == ["address", "name", "language", "answer"]
    assert "Of 3 people at most" in words(made)


def draft_of(made: Report) -> str:
    """Return the draft for the authority."""
    return letters_of(made)[0][1]


def letters_of(made: Report) -> list[tuple[str, str]]:
    """Return the drafts, each with its language."""
    letters = read_article(made).iterfind(".//div[@class='letter']")
    return [(letter.attrib["lang"], str(letter.text)) for letter in letters]


def test_who_only_signed_up_stands_in_the_draft_too(database: Database, news: MailingList) -> None:
    with database.atomic():
        SignUp.create(
            list=news,
            uid=new_id(),
            address="jan@example.org",
            address_key="jan@example.org",
            at=NOW,
        )
    made = breach(news)
    assert "at most: who signed up and has not confirmed it: 1." in draft_of(made)
    assert "Held since: Monday 2 March 2026" in words(made)
    make_contact(database, news)
    people = "at most: on the list, not confirmed: 1, who signed up and has not confirmed it: 1."
    assert people in draft_of(breach(news))


def test_a_file_that_waits_is_told_of(database: Database, news: MailingList) -> None:
    user = make_admin(database)
    with database.atomic():
        Upload.create(list=news, user=user, token=new_id(), name="a.csv", at=NOW)
    made = breach(news)
    assert read_document(made)["held"]["files"] == 1
    assert read_document(made)["fields"] == ["address"]
    assert "files that were handed in, whose people are not counted: 1" in draft_of(made)
    assert "whatever stands in a file that was handed in and waits (files): 1" in draft_of(made)
    assert "One file that was handed in waits beside the database" in words(made)
    assert "Held since: Monday 2 March 2026" in words(made)


def test_whoever_stands_in_a_file_that_waits_alone_is_counted_once(
    database: Database, news: MailingList
) -> None:
    user = make_admin(database)
    make_contact(database, news)
    with database.atomic():
        for name, rows, people in (("jan@a.nl.csv", 7, 4), ("b.csv", 2, 0), ("gone.csv", 0, 0)):
            counts = {"rows": rows, "people": people}
            Upload.create(list=news, user=user, token=new_id(), name=name, at=NOW, **counts)
    made = breach(news)
    assert read_document(made)["people"] == 5
    assert read_document(made)["held"]["files"] == 2
    assert read_document(made)["held"]["waiting"] == [
        {"name": "…@a.nl.csv", "rows": 7, "people": 4},
        {"name": "b.csv", "rows": 2, "people": 0},
    ]
    concerned = "not confirmed: 1, who stands only in a file that was handed in and waits: 4."
    assert concerned in draft_of(made)
    assert "Of 5 people at most" in words(made)
    assert "b.csv 2 0" in words(made)
    assert "is not counted here" not in words(made)


def test_a_file_that_was_not_looked_at_has_no_number(database: Database, news: MailingList) -> None:
    user = make_admin(database)
    with database.atomic():
        Upload.create(list=news, user=user, token=new_id(), name="a.csv", at=NOW)
    assert "a.csv not counted not counted" in words(breach(news))


def test_who_has_confirmed_a_sign_up_is_counted_once(database: Database, news: MailingList) -> None:
    make_contact(database, news, "jan@example.org", status="confirmed", basis="sign_up")
    with database.atomic():
        for name in ("jan", "els"):
            address = f"{name}@example.org"
            SignUp.create(list=news, uid=new_id(), address=address, address_key=address, at=NOW)
    for kind in (ReportKind.BREACH, ReportKind.REGISTER):
        made = make_report.make_report(news, kind, settings=SETTINGS, now=NOW, language="en")
        (rows,) = [table.rows for table in read_tables(made) if table.titles[0] == "Who"]
        assert sum(int(row[1]) for row in rows) == 2
        assert ["who signed up and has not confirmed it", "1"] in rows


def test_networks_browsers_and_ip_addresses_are_among_the_data(
    database: Database, news: MailingList
) -> None:
    contact = make_contact(database, news)
    act = status_changes.Act(
        at=NOW, actor="person", trace={"network": "192.0.2.0/24", "browser": "x"}
    )
    counts = json.dumps({"rows": 2, "fates": {"confirmed": 2}})
    with database.atomic():
        status_changes.confirm_contact(
            contact, basis=Basis.ANSWER, act=act, fingerprint_key=SETTINGS.fingerprint_key
        )
        Import.create(list=news, file="a.csv", digest="0" * 64, counts=counts, at=NOW)
    made = breach(news)
    # No more people can have one than there are.
    assert read_document(made)["held"]["ip_addresses"] == 1
    for said in (
        "network in part, browser, openings of links: 1",
        "IP address of a sign-up elsewhere, where a file had it: 1",
    ):
        assert said in draft_of(made)
    assert read_document(made)["fields"] == ["address", "answer", "network"]
    assert "een deel van uw netwerkadres of het IP-adres" in read_document(made)["message"]


def test_a_sensitive_list_is_a_high_risk(database: Database) -> None:
    made = breach(make_list(database, sensitive=True))
    assert "Take it as high" in words(made)
    assert "Special categories" in words(made)
    assert "Take it as high" not in words(breach(make_list(database, slug="other")))


def test_the_dutch_authority_has_its_form_and_another_its_page(news: MailingList) -> None:
    assert "by its form alone" in words(breach(news))
    organisation = make_organisation(authority="CNIL", authority_url="https://www.cnil.fr")
    other = breach(news, settings=make_settings(organisation=organisation))
    assert "by its form alone" not in words(other)
    assert read_document(other)["authority_page"] == "https://www.cnil.fr"
    nobody = make_organisation(
        address="", telephone="", email="", officer="", authority="", authority_url=""
    )
    bare = breach(news, settings=make_settings(organisation=nobody))
    assert "none named in the settings" in words(bare)


def test_it_tells_where_to_look(database: Database, news: MailingList) -> None:
    admin = make_admin(database, id=5, email="anna@example.org")
    make_session(database, admin, network="198.51.100.0/24")
    make_session(database, admin, ended_at=NOW)
    old = NOW - timedelta(days=90) - SECOND
    with database.atomic():
        for at, slug in ((NOW, "news"), (NOW, "other"), (old, "news")):
            chain.append(entries.Entry(event="exported", at=at, actor="user:5", list=slug))
        audit_log.record_access(now=NOW, actor="cli:root", act="searched", mailing_list=news)
        audit_log.record_access(now=NOW, actor="cli:root", act="a_new_look", mailing_list=news)
        audit_log.record_access(now=old, actor="cli:root", act="contact", mailing_list=news)
        for name, used in (("Our tool", NOW), ("Unused", None)):
            ApiToken.create(
                name=name, digest=name, scopes="", created_by="x", created_at=NOW, used_at=used
            )
        Webhook.create(
            url="https://tool.example.net/s3cret", secret="s", created_by="x", created_at=NOW
        )
        Throttle.create(scope="network:203.0.113.0/24", failures=9, last_at=NOW, next_at=NOW)
    made = breach(news)
    traces = read_document(made)["traces"]
    assert [(one["what"], one["times"]) for one in traces["acts"]] == [("exported", 1)]
    assert {one["what"] for one in traces["looks"]} == {"searched", "a_new_look"}
    assert "of the last 90 days alone: since Tuesday 2 December 2025" in words(made)
    assert (
        len(traces["sessions"]) == 1 == Session.select().where(Session.ended_at.is_null()).count()
    )
    text = words(made)
    for said in (
        "anna@example.org",
        "searched the contacts",
        "a new look",
        "198.51.100.0/24",
        "Our tool, used on",
        "Unused, never used",
        "Webhook: tool.example.net",
        "Wrong logins lately: 9, from 203.0.113.0/24",
    ):
        assert said in text, said
    assert "s3cret" not in make_report.render_json(made)


@pytest.mark.parametrize(
    ("language", "sentences"),
    [
        ("en", ("backed the database up", "restored the database", "changed the settings")),
        ("nl", ("maakte een back-up van de database", "zette de database terug")),
    ],
)
def test_a_copy_of_the_whole_database_and_mail_led_elsewhere_are_among_the_acts(
    database: Database, news: MailingList, language: str, sentences: tuple[str, ...]
) -> None:
    events = (
        *("backed_up", "restored", "settings_changed"),
        *("second_step_set_up", "recovery_codes_renewed"),
    )
    with database.atomic():
        for event in events:
            chain.append(entries.Entry(event=event, at=NOW, actor="cli:root"))
    made = breach(news, language=language)
    acts = {one["what"] for one in read_document(made)["traces"]["acts"]}
    assert acts == set(events)
    for sentence in sentences:
        assert sentence in make_report.render_page(made)


@pytest.mark.parametrize("sensitive", [False, True])
def test_the_message_to_people_is_in_the_language_of_the_list(
    database: Database, sensitive: bool
) -> None:
    news = make_list(database, sensitive=sensitive, name="Leven met hiv", languages=())
    make_contact(database, news, name="Anna", source="a book", language="nl")
    for language in catalogues.languages():
        news.language = language
        made = breach(news)
        draft_language, letter = letters_of(made)[-1]
        assert draft_language == language
        assert letter == read_document(made)["message"].strip()
        subject = letter.splitlines()[0]
        assert "hiv" not in subject
        assert letter.count("\n- ") == 5
        assert SETTINGS.organisation.authority in letter
        sorry = catalogues.load_translations(language).gettext("We are sorry that this happened.")
        assert (sorry in letter) is not sensitive


def test_an_organisation_that_names_nobody_has_a_gap_in_the_message() -> None:
    nobody = make_organisation(officer="", email="", telephone="", authority="")
    message = reports_breach.draft_breach_mail(
        organisation=nobody, list_name="x", data=("address",), language="en", sensitive=False
    )
    assert "Your questions go to: […]" in message
    assert "complain" not in message
