"""Every page of the admin's, as it looks: to axe-core, on a phone, a tablet and a desk."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe

from repermit.accounts import api_tokens, audit_log
from repermit.campaigns import campaign_draft
from repermit.campaigns.campaign_draft import Conditions
from repermit.contacts import human_replies
from repermit.db.connection import Database
from repermit.db.models.accounts import User
from repermit.db.models.lists import MailingList
from repermit.db.models.mails import Reply
from repermit.db.models.webhooks import Delivery
from repermit.i18n.correctable_texts import key_of
from repermit.imports import read_upload, uploads
from repermit.rules.consent import CampaignState, MailState, Reason, Status
from repermit.settings.definitions import MailServer, Web
from repermit.webhooks import endpoints
from tests.support.admin_pages import let_in, make_admin, make_user
from tests.support.builders import (
    NOW,
    make_asked,
    make_campaign,
    make_contact,
    make_list,
    make_mail,
    make_organisation,
    make_removed,
    make_settings,
)
from tests.support.english_left import english_on
from tests.support.public_pages import Pages, served
from tests.unit.reports.test_outcomes_per_day import say_yes, take_off
from tests.unit.web.admin.test_routes import ADMINS

if TYPE_CHECKING:
    from playwright.sync_api import Page

LONG = f"{'a-rather-long-name-' * 3}b@{'a-rather-long-domain-' * 2}b.example.org"
FILE = (
    "email;naam;ingeschreven op;opmerking\n"
    f"{LONG};Anna van der Lange-Achternaam;;\n"
    "info@example.org;;2019-03-01;\n"
    "gone@example.org;Bert;;\n"
    "cees.example.org;Cees;;\n"
    "d@example.org;Dirk;;wil geen mail meer\n"
)
Scheme = Literal["light", "dark"]
SHOWN: tuple[tuple[str, Scheme], ...] = (("en", "light"), ("nl", "dark"))
WIDTHS = (320, 768, 1280)


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


@pytest.fixture
def pages(database: Database, sqlite_url: str) -> Iterator[Pages]:
    web = Web(webhooks_to_private=True)

    def make(url: str) -> Pages:
        return Pages(database, make_settings(public_url=url, database=sqlite_url, web=web))

    with served(make) as running:
        yield running


# --- An organisation in the middle of its work. --------------------------------------------------


def furnish(pages: Pages) -> User:
    """Fill the database so that every page has something to show; return who looks at it."""
    admin = make_admin(pages.database, id=1, email="anna.van.der.lange@example.org", language="")
    _add_people(pages)
    _add_running(pages)
    _add_over(pages)
    _add_prepared(pages)
    _add_refused(pages)
    _add_connections(pages)
    audit_log.record_access(now=NOW, actor="user:1", act="looked", mailing_list=None)
    return admin


def _add_people(pages: Pages) -> None:
    make_user(pages.database, email="bram@example.org")
    make_user(pages.database, email="cees@example.org", password="")


def _add_running(pages: Pages) -> None:
    """Add `news`, in the middle of a campaign, with everything that may wait for a decision."""
    database = pages.database
    news = make_list(database)
    campaign = make_campaign(
        database, news, state=CampaignState.SENDING, deadline=NOW + timedelta(days=21)
    )
    for number in range(12):
        asked = make_asked(database, news, campaign)
        if number < 5:
            say_yes(database, asked, campaign.id, at=NOW + timedelta(days=number % 3))
        elif number < 7:
            take_off(database, asked, campaign.id)
    waiting = make_contact(database, news, LONG)
    make_mail(database, campaign, waiting, state=MailState.QUEUED, sent_at=None, message_id="")
    doubtful = make_contact(database, news)
    make_mail(database, campaign, doubtful, state=MailState.IN_DOUBT, started_at=NOW)
    replied = make_asked(database, news, campaign)
    with database.atomic():
        human_replies.save_reply(replied, digest="d" * 64, proposed="no", at=NOW, decided_at=None)


def _add_over(pages: Pages) -> None:
    """Add `old`, whose campaign is over."""
    database = pages.database
    old = make_list(database, slug="old", name="Uitnodigingen voor de open dag")
    began, ended = NOW - timedelta(days=30), NOW - timedelta(days=2)
    campaign = make_campaign(
        database,
        old,
        state=CampaignState.CLOSED,
        launched_at=began,
        starts_at=began,
        deadline=ended,
        closed_at=ended,
    )
    for number in range(20):
        asked = make_asked(database, old, campaign)
        if number < 11:
            say_yes(database, asked, campaign.id, at=began + timedelta(days=number % 4))
        elif number < 14:
            take_off(database, asked, campaign.id)
    make_contact(database, old, "=cmd@example.org", status=Status.CONFIRMED, basis="answer")
    make_removed(database, old, Reason.NO_RESPONSE)


def _add_prepared(pages: Pages) -> None:
    """Add `club`, which could be launched, with another file that waits."""
    club = make_list(pages.database, slug="club", name="De leden van de wandelclub")
    make_removed(pages.database, club, Reason.NO, "gone@example.org")
    _hand_in(pages, club, "email\n" + "".join(f"lid{one}@example.org\n" for one in range(30)))
    _read_upload(pages, club, takes_in=True)
    conditions = Conditions(deadline="2026-03-30", reminder=7, pilot=10, attest="By the board.")
    campaign_draft.save_conditions(pages.database, club, conditions, now=NOW, actor="user:1")
    _hand_in(pages, club, FILE)
    _read_upload(pages, club)


def _add_refused(pages: Pages) -> None:
    """Add `odd`, whose file cannot be read as it is, and `bare`, of which nothing is known."""
    odd = make_list(pages.database, slug="odd", name="Odd")
    _hand_in(pages, odd, "one,two\nthree,four\n")
    _read_upload(pages, odd)
    make_list(pages.database, slug="bare", name="Bare", purpose="", privacy_url="", sender="")


def _hand_in(pages: Pages, mailing_list: MailingList, text: str) -> None:
    uploads.keep_upload(
        pages.database,
        mailing_list,
        io.BytesIO(text.encode()),
        name="a-file-with-quite-a-long-name-of-2019-final-version.csv",
        user_id=1,
        settings=pages.settings,
        now=NOW,
    )


def _read_upload(pages: Pages, mailing_list: MailingList, *, takes_in: bool = False) -> None:
    assert read_upload.start_reading(
        pages.database,
        mailing_list,
        choices=uploads.Choices(),
        settings=pages.settings,
        now=NOW,
        actor="user:1",
        takes_in=takes_in,
    )


def _add_connections(pages: Pages) -> None:
    api_tokens.make_token(
        pages.database, "Our tool", scopes=["read:status"], now=NOW, actor="user:1"
    )
    hook = endpoints.add(
        pages.database,
        f"https://tool.example.org/{'hooks/' * 12}",
        settings=pages.settings,
        now=NOW,
        actor="user:1",
    )
    with pages.database.atomic():
        Delivery.create(webhook=hook.id, seq=1, state="failed", due_at=NOW, at=NOW, problem="x")


# --- Every page there is. ------------------------------------------------------------------------

# What is no page of its own, or leads away from where one has logged in.
NO_PAGES = {
    "campaign_page.show_figures",
    "static_files.serve_static_file",
    "mail_wording.show_saved_mail",
}
# These are looked at in test_browser_entering, on the way in.
ON_THE_WAY_IN = {
    "login.show_login",
    "login.show_second_step",
    "login.show_welcome",
    "lock_screen.show_lock",
}
STATES = {
    "settings.show_group": ("organisation", "mail", "bounces", "campaign", "retention"),
    "campaign_dates.show": ("club", "bare"),
    "list_form.show": ("club", "bare"),
    "imports.show": ("news", "club", "odd"),
    "exports.show": ("old", "club"),
    "launch.show": ("news", "club", "bare"),
    "campaign_page.show": ("news", "old", "club"),
    "reports.show": ("news", "club"),
    "reports.show_report": ("news", "old"),
    "mail_wording.show": ("club", "bare"),
}
"""The lists with which a page looks otherwise than with `news`."""
MORE = {
    "settings-filled-in": "/admin/settings/mail?preset=cpanel",
    "handing_over-old-tool": "/admin/lists/old/handover/?tool=mailchimp",
    "papering-breach-noticed": "/admin/lists/old/papers/breach?day=2026-03-01&time=14:30",
}


def places(pages: Pages) -> Iterator[tuple[str, str]]:
    """Yield each page, by a name and its path."""
    one = Reply.get().contact_id
    values: dict[str, Any] = {
        "number": one,
        "user_id": User.get(User.role == "viewer").id,
        "webhook_id": 1,
    }
    values |= {"language": "nl", "key": key_of("Yes, keep sending me these mails")}
    values["page_name"] = "how-to/your-excel-file"
    for route in ADMINS:
        is_data = route.method != "GET" or route.rule.endswith(".json")
        if is_data or route.endpoint in NO_PAGES | ON_THE_WAY_IN:
            continue
        for slug in STATES.get(route.endpoint, ("news",)):
            given = {name: values.get(name, slug) for name in route.arguments}
            name = "-".join([route.endpoint.replace(".", "-"), *([slug] if given else [])])
            yield name, pages.app.url_map.bind("").build(route.endpoint, given, "GET")
    yield from MORE.items()


@pytest.mark.uncounted
@pytest.mark.parametrize(("locale", "scheme"), SHOWN)
def test_no_page_keeps_anybody_out(page: Page, pages: Pages, locale: str, scheme: Scheme) -> None:
    """As axe-core finds it; the other scheme differs in its colours alone."""
    user = furnish(pages)
    found: list[str] = []
    page.set_extra_http_headers({"Accept-Language": locale})
    let_in(page, pages, user)
    for name, path in places(pages):
        page.emulate_media(color_scheme=scheme)
        show(page, pages, path)
        assert page.locator("html").get_attribute("lang") == locale
        found += violations(page, name)
        if scheme == "light":
            page.emulate_media(color_scheme="dark")
            found += violations(page, f"{name} in the dark", COLOURS)
    assert not found


def test_what_a_check_found_keeps_nobody_out(
    page: Page, database: Database, sqlite_url: str
) -> None:
    """Where nothing of it is to be looked up outside this machine."""
    alone: dict[str, Any] = {
        "database": sqlite_url,
        "organisation": make_organisation(email=""),
        "mail": MailServer(server="127.0.0.1", port=9),
    }
    make_list(database, privacy_url="", sender="")
    page.set_viewport_size({"width": 320, "height": 640})
    found: list[str] = []
    with served(lambda url: Pages(database, make_settings(public_url=url, **alone))) as pages:
        let_in(page, pages, make_admin(database, language=""))
        for locale, scheme in SHOWN:
            page.set_extra_http_headers({"Accept-Language": locale})
            page.emulate_media(color_scheme=scheme)
            page.goto(f"{pages.settings.public_url}/admin/settings/")
            with page.expect_navigation():
                page.locator("#check + p + form button").click()
            assert page.locator(".finding.problem").count() > 3
            found += violations(page, f"what was found, {locale}, {scheme}")
            assert page.evaluate("document.documentElement.scrollWidth") == 320
    assert english_on(page.content(), "nl") == []
    assert not found


def test_no_answer_to_a_form_keeps_anybody_out(page: Page, pages: Pages, tmp_path: Path) -> None:
    user = furnish(pages)
    found: list[str] = []
    file = tmp_path / "there.csv"
    file.write_text("email\nsomebody@example.org\n", "utf-8")
    page.set_viewport_size({"width": 320, "height": 640})
    let_in(page, pages, user)
    for path, fields, button in ANSWERED:
        show(page, pages, path)
        for label, text in fields.items():
            page.get_by_label(label, exact=True).first.fill(text)
        for one in page.locator("main input[type=file]").all():
            one.set_input_files(file)
        for one in page.get_by_role("checkbox").all():
            one.check()
        # Else the browser itself would say what is wrong, and not our page.
        page.evaluate("for (const one of document.forms) one.noValidate = true")
        with page.expect_navigation(timeout=10_000):
            page.locator("main").get_by_role("button", name=button, exact=True).last.click()
        found += violations(page, f"{button} of {path}")
        if not page.evaluate(IS_WHERE_TO_GO_ON):
            found.append(f"{button} of {path} leaves the keyboard elsewhere than at what is wrong")
        if page.evaluate("document.documentElement.scrollWidth") > 320:
            found.append(f"{button} of {path} is too wide")
    assert not found


# Where something is wrong, Tab goes on from it or from the list of all that is.
IS_WHERE_TO_GO_ON = """() => {
    const wrong = document.querySelectorAll("main [role=alert], main [aria-invalid=true]");
    return !wrong.length || [...wrong].includes(document.activeElement);
}"""
ANSWERED: tuple[tuple[str, dict[str, str], str], ...] = (
    ("/admin/new-list", {}, "Save and go on"),
    ("/admin/lists/bare/mail", {}, "Say it in your own words"),
    ("/admin/lists/bare/mail", {"Subject": "Hello {{ nobody }}"}, "Save and go on"),
    ("/admin/lists/club/conditions", {"Ask so many people first": "many"}, "Save and go on"),
    ("/admin/lists/club/conditions", {}, "Save and see what comes of it"),
    ("/admin/lists/club/file", {}, "Take the file in"),
    ("/admin/lists/old/handover/", {}, "Compare"),
    ("/admin/lists/news/suppressions", {}, "Only look what would come of it"),
    ("/admin/lists/news/suppressions", {}, "Take the file in"),
    ("/admin/lists/news/contacts/", {"Address or name": "person"}, "Search"),
    ("/admin/lists/news/contacts/add", {"E-mail address": "nobody"}, "Add"),
    ("/admin/lists/news/address", {"E-mail address": "nobody@example.org"}, "Erase"),
    ("/admin/lists/news/address", {"E-mail address": "nobody"}, "Download the proof"),
    ("/admin/lists/news/", {"New last day": "2026-03-01"}, "Move the deadline"),
    ("/admin/connecting/", {}, "Make a token"),
    ("/admin/connecting/", {"Which program is it for?": "Another"}, "Make a token"),
    ("/admin/lists/news/papers/breach", {"Day": "2030-01-01", "Time": "10:00"}, "Start the clock"),
    ("/admin/log/verify", {}, "Check the record"),
    ("/admin/log/verify", {}, "Check the proof"),
    ("/admin/people/", {"E-mail address": "nobody"}, "Add"),
    ("/admin/settings/bounces", {"Port": "many"}, "Test and save"),
    ("/admin/settings/mail?preset=transip", {"Server": "127.0.0.1", "Port": "9"}, "Test and save"),
    (
        "/admin/settings/retention",
        {"Days that it is kept who looked at what, and who was refused": "9"},
        "Save",
    ),
)
"""Pages, what is typed there, and the button that is pressed; every box is ticked."""


MOST_OCTETS = 100_000
"""What a page weighs at most with all that is loaded for it, so that it is soon painted."""
OCTETS = """\
["navigation", "resource"].flatMap((kind) => performance.getEntriesByType(kind))
    .reduce((octets, loaded) => octets + loaded.encodedBodySize, 0)"""


def test_every_page_fits_a_phone_a_tablet_and_a_desk(
    page: Page, pages: Pages, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    """Pictures are made where all files are kept: -o tmp_path_retention_policy=all."""
    user = furnish(pages)
    keeps = pytestconfig.getini("tmp_path_retention_policy") == "all"
    too_wide = []
    let_in(page, pages, user)
    shown = dict(places(pages))
    for name, path in shown.items():
        show(page, pages, path)
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            if keeps:
                picture = tmp_path / f"{name}-{width}.jpeg"
                page.screenshot(path=picture, full_page=True, type="jpeg", quality=80)
            if page.evaluate("document.documentElement.scrollWidth") > width:
                too_wide.append(f"{name} at {width}")
    assert not too_wide
    assert len(shown) * len(WIDTHS) > 80


def show(page: Page, pages: Pages, path: str) -> None:
    """Open a page, and all that can be opened on it."""
    answer = page.goto(pages.settings.public_url + path)
    assert answer
    assert answer.status == 200, path
    assert page.evaluate(OCTETS) < MOST_OCTETS, path
    page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")


def violations(
    page: Page, name: str, rules: Mapping[str, Any] = MappingProxyType({})
) -> Iterator[str]:
    """Yield what axe-core finds wrong with the page, by all of its rules or by some."""
    # After a press the next page may have begun, and have no element yet.
    page.wait_for_function("document.readyState === 'complete'")
    options = {"resultTypes": ["violations"], **rules}
    for one in Axe().run(page, options=options).response["violations"]:
        yield f"{name}: {one['id']} {[node['target'] for node in one['nodes']]}"


COLOURS = {"runOnly": ["color-contrast", "link-in-text-block"]}
