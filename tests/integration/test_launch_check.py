"""A launch runs the check, and stops at what is wrong unless each point is accepted."""

from __future__ import annotations

import ast
import json
import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from repermit import campaigns
from repermit.campaigns import campaign_draft, launch_refusals
from repermit.campaigns import launch as campaigns_launch
from repermit.campaigns.campaign_draft import Conditions
from repermit.campaigns.preview import preview_mail
from repermit.campaigns.result_types import LaunchProblem
from repermit.checks import run
from repermit.checks.dns_lookup import DnsResolver
from repermit.checks.findings import FINDING_TYPES, Area, Finding, make_finding
from repermit.db.connection import Database
from repermit.db.models.campaigns import Campaign
from repermit.db.models.evidence import Evidence, EvidencePart
from repermit.db.models.lists import MailingList
from repermit.errors import LaunchRefused
from repermit.reports import make_report
from repermit.reports.make_report import ReportKind
from repermit.settings.definitions import Settings
from repermit.web.admin import launch as admin_launch
from tests.support import independent_export
from tests.support.admin_pages import admin_client, post
from tests.support.builders import DEADLINE, NOW, make_contact, make_list, make_settings
from tests.support.desk import ATTEST, Desk
from tests.support.dns_server import NameServer
from tests.support.public_pages import Pages, words_of
from tests.support.report_campaign import read_document

if TYPE_CHECKING:
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

LAUNCH = ("launch", "news", "--deadline", "2026-03-30", "--attest", ATTEST)
WHY = "a trial on our own machine"
HERE = make_finding("pages_here_alone", host="127.0.0.1")
CLOSED = make_finding("smtp_login", reason="it does not take the login")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[NameServer]:
    """Run a DNS server on this machine, and have it asked."""
    with NameServer() as running:
        monkeypatch.setattr(run, "DnsResolver", lambda _: DnsResolver(running.address))
        yield running


@pytest.fixture
def news(desk: Desk) -> None:
    desk.add_news(privacy_url="")
    with desk.database() as database:
        news = MailingList.get()
        MailingList.update(privacy_url="http://nowhere.example.org/privacy").execute()
        make_contact(database, news)


def move_pages(desk: Desk, url: str) -> None:
    text = desk.config.read_text("utf-8")
    desk.config.write_text(text.replace("https://ask.example.org", url), "utf-8")


def kept() -> Any:
    """Return what the entry of the launch says was accepted, in the database that is open."""
    entry = Evidence.get(Evidence.event == "launched")
    part = EvidencePart.get(EvidencePart.seq == entry.seq, EvidencePart.part == "consent")
    return json.loads(part.json)["accepted"]


# --- The command line. ----------------------------------------------------------------------------


@pytest.mark.usefixtures("real_check", "server", "news")
@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "http://localhost:9", "http://[::1]:9"])
def test_a_launch_stops_at_pages_that_nobody_else_reaches(desk: Desk, url: str) -> None:
    move_pages(desk, url)
    said = desk.refused(*LAUNCH)
    assert "this machine or a private network" in said
    assert "--accept pages_here_alone=REASON" in said
    with desk.database():
        assert not Campaign.select().exists()


@pytest.mark.usefixtures("real_check", "server", "news")
def test_each_point_is_accepted_with_a_reason_that_is_kept_as_evidence(desk: Desk) -> None:
    move_pages(desk, "http://127.0.0.1:9")
    codes = sorted(set(re.findall(r"--accept (\w+)=REASON", desk.refused(*LAUNCH))))
    assert "pages_here_alone" in codes
    assert len(codes) > 1
    some = [text for code in codes[1:] for text in ("--accept", f"{code}={WHY}")]
    left = desk.refused(*LAUNCH, *some)
    assert re.findall(r"--accept (\w+)=REASON", left) == [codes[0]]
    desk.do(*LAUNCH, *some, "--accept", f"{codes[0]}= {WHY} ")
    with desk.database():
        accepted = kept()
    assert sorted({one["code"] for one in accepted}) == codes
    assert {one["reason"] for one in accepted} == {WHY}
    assert all(one["found"] for one in accepted)


@pytest.mark.usefixtures("news")
def test_an_export_holds_what_the_privacy_statement_said(desk: Desk) -> None:
    desk.do(*LAUNCH)
    path = desk.folder / "evidence.json"
    desk.do("export", "news", "evidence", "-o", str(path))
    assert "What stands at http://nowhere.example.org/privacy" in path.read_text("utf-8")
    desk.do("verify", str(path))
    independent_export.check(path.read_bytes())


@pytest.mark.usefixtures("news")
def test_a_privacy_statement_that_cannot_be_read_is_told_and_stops_nothing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "read_privacy_statements", lambda *_: {})
    ran = desk.run(*LAUNCH)
    assert ran.code == 0
    assert "http://nowhere.example.org/privacy could not be read: the evidence has" in ran.err


@pytest.mark.usefixtures("news")
def test_where_nothing_is_wrong_nothing_has_to_be_accepted(desk: Desk) -> None:
    desk.do(*LAUNCH)
    with desk.database():
        assert kept() == []


@pytest.mark.usefixtures("news")
@pytest.mark.parametrize(
    ("accepted", "words"),
    [
        ("pages_here_alone", "is not CODE=REASON"),
        ("pages_here_alone=", "is not CODE=REASON"),
        ("pages_here_alone=ok", "is not CODE=REASON"),
        ("pages_here_alone=----------", "is not CODE=REASON"),
        (f"pages_hear_alone={WHY}", "a check finds nothing that is called 'pages_hear_alone'"),
    ],
)
def test_an_acceptance_names_a_point_and_says_why(desk: Desk, accepted: str, words: str) -> None:
    assert words in desk.misused(*LAUNCH, "--accept", accepted)


@pytest.mark.usefixtures("news")
def test_with_json_a_refusal_leaves_stdout_empty(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "list_launch_findings", lambda *_, **__: (HERE,))
    assert "pages_here_alone" in desk.refused(*LAUNCH, "--json")
    ran = desk.run(*LAUNCH, "--json", "--accept", f"pages_here_alone={WHY}")
    assert ran.document["asked"] == 1


@pytest.mark.parametrize("when", ["2026-03-01", "2026-03-02T09:59", "2020-12-22"])
@pytest.mark.usefixtures("news")
def test_a_deadline_that_has_passed_is_refused_at_once(desk: Desk, when: str) -> None:
    said = desk.refused("launch", "news", "--deadline", when, "--attest", ATTEST)
    assert f"{when} has passed" in said
    assert "To be asked" not in said


@pytest.mark.usefixtures("real_check", "server")
def test_what_is_wrong_with_another_list_stands_in_nobodys_way(desk: Desk) -> None:
    desk.add_news()
    with desk.database() as database:
        make_list(database, slug="agenda", purpose="", privacy_url="", sender="")
        given: dict[str, Any] = {
            "database": database,
            "now": NOW,
            "mentions_frequency": bool,
            "preview_mail": preview_mail,
            "log_in": lambda *_, **__: None,
        }
        mine = run.list_launch_findings(desk.settings, "news", **given)
        its = run.list_launch_findings(desk.settings, "agenda", **given)
    assert "list_no_purpose" not in {one.code for one in mine}
    assert "list_no_purpose" in {one.code for one in its}


@pytest.mark.usefixtures("news")
def test_a_launch_tells_how_many_points_are_no_problem(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = (make_finding("keys_unsigned"), make_finding("database_too_slow"))
    monkeypatch.setattr(run, "list_launch_findings", lambda *_, **__: found)
    ran = desk.run(*LAUNCH, "--json")
    assert ran.code == 0
    assert ran.err.count("`repermit check` has 2 more points, nothing that stops a launch.") == 1


# --- The use case. --------------------------------------------------------------------------------


def test_a_reason_for_one_point_is_none_for_another(database: Database) -> None:
    news = make_list(database)
    make_contact(database, news)
    given: dict[str, Any] = {
        "settings": make_settings(),
        "now": NOW,
        "deadline": DEADLINE,
        "attest": ATTEST,
        "actor": "user:1",
        "problems": [LaunchProblem(code="a", found="A."), LaunchProblem(code="b", found="B.")],
    }
    with pytest.raises(LaunchRefused) as refused:
        campaigns_launch.launch(database, news, accepted={"a": WHY, "c": WHY}, **given)
    assert len(refused.value.reasons) == 1
    assert "B." in refused.value.reasons[0]
    campaigns_launch.launch(database, news, accepted={"a": WHY, "b": WHY, "c": WHY}, **given)
    assert [one["code"] for one in kept()] == ["a", "b"]


def test_whoever_launches_says_what_a_check_has_found() -> None:
    """A caller that forgot it would launch unchecked."""
    package = Path(campaigns.__file__).parent.parent
    calls = [
        call
        for path in package.rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(call, ast.Call) and ast.unparse(call.func).endswith("launch.launch")
    ]
    assert len(calls) == 3
    assert all({"problems", "accepted"} <= {one.arg for one in call.keywords} for call in calls)


# --- The pages. -----------------------------------------------------------------------------------

URL = "/admin/lists/news/launch"


@pytest.fixture
def admin(database: Database, pages: Pages) -> FlaskClient:
    news = make_list(database)
    make_contact(database, news)
    ready = Conditions(deadline="2026-03-30", attest=ATTEST)
    campaign_draft.save_conditions(database, news, ready, now=NOW, actor="user:1")
    return admin_client(pages)


def find(monkeypatch: pytest.MonkeyPatch, *problems: Finding) -> list[str]:
    """Let every check find this; return the list to which each check adds its list's slug."""
    looked: list[str] = []

    def check_one(_: Settings, slug: str, **__: Any) -> tuple[Finding, ...]:
        looked.append(slug)
        return problems

    monkeypatch.setattr(run, "list_launch_findings", check_one)
    return looked


def launch(admin: FlaskClient, **fields: str) -> TestResponse:
    version = re.findall(r'name="version" value="(\w+)"', admin.get(URL).text)
    return post(admin, URL, confirm="1", version=version[0] if version else "", **fields)


def test_the_page_shows_each_point_with_a_field_for_the_reason(
    admin: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    find(monkeypatch, HERE, CLOSED)
    page = admin.get(URL)
    said = words_of(page)
    assert "The check found something wrong." in said
    assert "127.0.0.1 is this machine or a private network" in said
    assert re.findall(r'name="(accept-\w+)"', page.text) == [
        "accept-pages_here_alone",
        "accept-smtp_login",
    ]
    assert 'href="/admin/settings/mail">Mend this' in page.text


def test_points_that_are_no_problem_stand_below_and_need_no_reason(
    admin: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    mind, unknown = make_finding("keys_unsigned"), make_finding("database_too_slow")
    find(monkeypatch, HERE, mind, unknown)
    page = admin.get(URL)
    assert re.findall(r'name="accept-(\w+)"', page.text) == ["pages_here_alone"]
    others = page.text.partition('<details id="others">')[2].partition("</details>")[0]
    assert "2 more points, which do not stop the launch" in others
    for one in (mind, unknown):
        assert others.count("More about this") == 2
        assert FINDING_TYPES[one.code].page_found in unescape(others)
    assert page.text.index("accept-pages_here_alone") < page.text.index('id="others"')
    assert launch(admin, **{"accept-pages_here_alone": WHY}).status_code == 303
    assert [one["code"] for one in kept()] == ["pages_here_alone"]


def test_without_such_points_nothing_is_folded_away(
    admin: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    find(monkeypatch, HERE)
    assert 'id="others"' not in admin.get(URL).text


def test_the_page_launches_nothing_before_each_point_has_a_reason(
    admin: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    find(monkeypatch, HERE, CLOSED)
    page = launch(admin, **{"accept-pages_here_alone": WHY, "accept-smtp_login": "x"})
    assert page.status_code == 422
    assert words_of(page).count("Say why in a few words, or mend it.") == 1
    assert f'value="{WHY}"' in page.text
    assert not Campaign.select().exists()
    both = {"accept-pages_here_alone": WHY, "accept-smtp_login": "the password comes tomorrow"}
    assert launch(admin, **both).status_code == 303
    assert {one["code"]: one["reason"] for one in kept()} == {
        "pages_here_alone": WHY,
        "smtp_login": "the password comes tomorrow",
    }


def test_a_wrong_number_and_a_missing_reason_are_said_at_once(
    admin: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    find(monkeypatch, HERE, CLOSED)
    version = re.findall(r'name="version" value="(\w+)"', admin.get(URL).text)[0]
    page = post(admin, URL, confirm="2", version=version, **{"accept-smtp_login": WHY})
    assert page.status_code == 422
    said = words_of(page)
    assert "Type how many people will be asked, as it stands above." in said
    assert said.count("Say why in a few words, or mend it.") == 1
    assert f'value="{WHY}"' in page.text


def test_whoever_lacks_a_reason_is_led_to_its_field(
    admin: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It lies beneath the edge of the window: without that the page looks as it did."""
    find(monkeypatch, HERE, CLOSED)
    for reasons, first in (
        ({}, "accept-pages_here_alone"),
        ({"accept-pages_here_alone": WHY}, "accept-smtp_login"),
    ):
        page = launch(admin, **reasons)
        assert re.findall(r'<input[^>]* id="([\w-]+)"[^>]* autofocus', page.text) == [first]


def test_each_finding_leads_to_a_page_of_the_help_about_it(
    admin: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The launch refuses for want of the organisation's facts by itself.
    of_each_area = {
        one.area: code
        for code, one in FINDING_TYPES.items()
        if one.remedy and code != "config_organisation"
    }
    assert set(of_each_area) == set(Area)
    texts = (FINDING_TYPES[code] for code in of_each_area.values())
    words = " ".join(f"{one.found} {one.remedy}" for one in texts)
    values = dict.fromkeys(re.findall(r"%\((\w+)\)s", words), "organisation.name")
    found = [make_finding(code, **values | {"keys": "name"}) for code in of_each_area.values()]
    find(monkeypatch, *found)
    page = admin.get(URL).text
    links = re.findall(r'<a href="(/admin/help/[^"]+)">More about this<', page)
    assert len(links) == len(found)
    assert {admin.get(link).status_code for link in links} == {200}


def test_each_field_is_described_by_what_was_found(
    admin: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    find(monkeypatch, HERE, CLOSED)
    for page in (admin.get(URL), launch(admin)):
        for code in ("pages_here_alone", "smtp_login"):
            field = re.findall(rf'<input id="accept-{code}"[^>]*>', page.text)[0]
            described = re.findall(r'aria-describedby="([^"]*)"', field)[0].split()
            assert described
            assert all(page.text.count(f'id="{place}"') == 1 for place in described)


def test_reasons_stay_while_it_is_checked_again(
    admin: FlaskClient, pages: Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = find(monkeypatch, HERE, CLOSED)
    admin.get(URL)
    assert post(admin, f"{URL}/check", **{"accept-smtp_login": WHY}).status_code == 303
    assert f'name="accept-smtp_login" value="{WHY}"' in admin.get(URL).text
    assert looked == ["news"] * 2
    # They are those of whoever typed them.
    assert WHY not in admin_client(pages).get(URL).text


def test_reasons_stay_where_the_check_had_become_too_old_when_they_were_sent(
    admin: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_end = threading.Event()

    def check_one(*_: Any, **__: Any) -> tuple[Finding, ...]:
        assert may_end.wait(60)
        return (HERE,)

    monkeypatch.setattr(run, "list_launch_findings", check_one)
    monkeypatch.setattr(admin_launch, "_CHECK_WAIT", 0.0)
    page = launch(admin, **{"accept-pages_here_alone": WHY})
    assert 'name="confirm"' not in page.text
    may_end.set()
    monkeypatch.setattr(admin_launch, "_CHECK_WAIT", 60.0)
    assert f'name="accept-pages_here_alone" value="{WHY}"' in admin.get(URL).text
    assert launch(admin, **{"accept-pages_here_alone": WHY}).status_code == 303
    with admin.application.app_context():
        assert not any(admin_launch._get_reasons().values())


def test_what_has_gone_wrong_meanwhile_is_shown_first(
    admin: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    find(monkeypatch)
    version = re.findall(r'name="version" value="(\w+)"', admin.get(URL).text)[0]
    find(monkeypatch, HERE)
    post(admin, f"{URL}/check")
    page = post(admin, URL, confirm="1", version=version, **{"accept-pages_here_alone": WHY})
    assert page.status_code == 422
    assert "Something has changed meanwhile" in words_of(page)


def test_nobody_waits_for_a_check_and_the_page_goes_on_by_itself(
    admin: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_end = threading.Event()

    def check_one(*_: Any, **__: Any) -> tuple[Finding, ...]:
        assert may_end.wait(60)
        return (HERE,)

    monkeypatch.setattr(run, "list_launch_findings", check_one)
    monkeypatch.setattr(admin_launch, "_CHECK_WAIT", 0.0)
    assert admin.get(f"{URL}/check.json").json == {"is_busy": False}
    page = admin.get(URL)
    assert 'data-again="/admin/lists/news/launch/check.json"' in page.text
    assert 'name="confirm"' not in page.text
    assert admin.get(f"{URL}/check.json").json == {"is_busy": True}
    assert post(admin, URL, confirm="1").status_code == 422
    assert not Campaign.select().exists()
    may_end.set()
    monkeypatch.setattr(admin_launch, "_CHECK_WAIT", 60.0)
    assert 'name="accept-pages_here_alone"' in admin.get(URL).text
    assert admin.get(f"{URL}/check.json").json == {"is_busy": False}


def test_a_check_holds_for_a_while_and_is_made_again_when_asked(
    admin: FlaskClient, pages: Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = find(monkeypatch, HERE)
    admin.get(URL)
    admin.get(URL)
    assert looked == ["news"]
    post(admin, f"{URL}/check")
    assert looked == ["news"]
    admin.get(URL)
    assert looked == ["news"] * 2
    MailingList.update(purpose="Iets anders, vier keer per jaar").execute()
    admin.get(URL)
    assert looked == ["news"] * 3
    pages.clock.move_to(NOW + admin_launch._CHECK_VALIDITY * 1.1)
    admin_client(pages).get(URL)
    assert looked == ["news"] * 4


def test_nothing_is_checked_as_long_as_something_else_stands_in_the_way(
    admin: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = find(monkeypatch, HERE)
    MailingList.update(purpose="").execute()
    assert "It cannot start yet" in words_of(admin.get(URL))
    assert looked == []


def test_a_check_that_breaks_is_no_check(
    admin: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def check_one(*_: Any, **__: Any) -> tuple[Finding, ...]:
        raise ValueError("broken")

    monkeypatch.setattr(run, "list_launch_findings", check_one)
    assert admin.get(URL).status_code == 500
    find(monkeypatch)
    assert launch(admin).status_code == 303


# --- What the closing report tells of it. ---------------------------------------------------------


def paper(language: str) -> tuple[dict[str, Any], str]:
    made = make_report.make_report(
        MailingList.get(),
        ReportKind.REPORT,
        settings=make_settings(),
        now=NOW,
        language=language,
    )
    return read_document(made), make_report.render_page(made)


@pytest.mark.parametrize("language", ["en", "nl"])
def test_the_report_quotes_what_the_admin_was_told_and_translates_english(
    admin: FlaskClient, monkeypatch: pytest.MonkeyPatch, language: str
) -> None:
    find(monkeypatch, HERE)
    admin.environ_base["HTTP_ACCEPT_LANGUAGE"] = language
    shown = words_of(admin.get(URL))
    assert launch(admin, **{"accept-pages_here_alone": WHY}).status_code == 303
    for of_report in ("en", "nl"):
        document, page = paper(of_report)
        (accepted,) = document["campaign"]["accepted"]
        assert accepted["found"] in shown
        assert re.search(rf'<dt lang="{language}">{re.escape(accepted["found"][:-1])}', page)
        told = document["campaign"]["told"].split("\n\n")
        assert len(told) > 1
        assert all(note in shown for note in told)
        assert document["campaign"]["told_in"] == language
        if (language, of_report) == ("en", "nl"):
            assert re.search(r'lang="nl"[^>]*>[^<]*De Britse toezichthouder ICO gaf', page)
        else:
            assert re.search(rf'lang="{language}"[^>]*>[^<]*{re.escape(told[0][:40])}', page)


def test_the_report_tells_what_was_accepted_and_why(
    admin: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    find(monkeypatch, HERE)
    launch(admin, **{"accept-pages_here_alone": WHY})
    document, page = paper("en")
    (accepted,) = document["campaign"]["accepted"]
    assert (accepted["code"], accepted["reason"]) == ("pages_here_alone", WHY)
    assert "127.0.0.1" in accepted["found"]
    assert WHY in page
    made = make_report.make_report(
        MailingList.get(), ReportKind.REPORT, settings=make_settings(), now=NOW, language="en"
    )
    assert "nobody else may reach the pages:" in " ".join(make_report.render_text(made).split())


@pytest.mark.parametrize(
    ("authority", "lacks"), [("", True), ("Autoriteit Persoonsgegevens", False)]
)
def test_a_launch_needs_a_supervisory_authority(
    database: Database, authority: str, *, lacks: bool
) -> None:
    """GDPR art. 13(2)(d): who is asked is told where to complain."""
    settings = make_settings()
    settings = replace(settings, organisation=replace(settings.organisation, authority=authority))
    news = make_list(database)
    make_contact(database, news)
    planned = launch_refusals.plan_launch(news, settings=settings, now=NOW, deadline=DEADLINE)
    found = [one for one in planned.refusals if one.code == "organisation_authority"]
    assert bool(found) is lacks
    if lacks:
        with pytest.raises(LaunchRefused, match="do not say where people can complain"):
            campaigns_launch.launch(
                database,
                news,
                settings=settings,
                now=NOW,
                deadline=DEADLINE,
                attest=ATTEST,
                actor="els@example.org",
            )
    assert not Campaign.select().exists()
