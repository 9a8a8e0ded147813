"""What is refused is said in Dutch to whoever reads Dutch: a walk through the admin's pages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from repermit.db.connection import Database
from repermit.db.models.contacts import Contact
from repermit.db.models.lists import find_list
from repermit.i18n import catalogues
from repermit.privacy import forget
from tests.catalogues import used
from tests.exhaustive.test_browser_admin_looks import LONG, furnish, show
from tests.support.admin_pages import let_in
from tests.support.builders import make_settings
from tests.support.english_left import english_on
from tests.support.public_pages import Pages, served

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

# Labels and buttons as in English; the page has them in Dutch. A text is typed, None ticks, and
# octets are those of a file.
_TEMPLATE = "lists/bare/mail?view=template"
ACTS: tuple[tuple[str, dict[str, str | bytes | None], str], ...] = (
    ("new-list", {"Name of the list": "More news", "Short name": "news"}, "Save and go on"),
    ("new-list", {"Name of the list": "News", "Short name": "Ö!"}, "Save and go on"),
    (
        "new-list",
        {
            "Name of the list": "More",
            "E-mail address of the sender": "nobody",
            "Address of your privacy statement": "here",
        },
        "Save and go on",
    ),
    ("lists/bare/file", {"The file": b""}, "Look at the file"),
    (_TEMPLATE, {"Text": "Hello {{ nobody }}, {% if %}"}, "Save and go on"),
    (
        _TEMPLATE,
        {"Text": "Hello, look at www.example.net"},
        "Save and stay here",
    ),
    (
        _TEMPLATE,
        {"HTML": "<script>1</script><p onclick=1>Hi"},
        "Save and go on",
    ),
    ("lists/club/conditions", {"Ask so many people first": "many"}, "Save and go on"),
    (
        "lists/club/conditions",
        {"Last day to answer": "2026-03-03", "Who decided to ask, and on what ground?": "We"},
        "Save and see what comes of it",
    ),
    ("lists/news/", {"New last day": "2026-03-01"}, "Move the deadline"),
    ("lists/news/contacts/add", {"E-mail address": "nobody"}, "Add"),
    (
        "lists/news/contacts/add",
        {"E-mail address": LONG, "Where is the address from? The person reads this.": "A letter"},
        "Add",
    ),
    (
        "lists/news/contacts/add",
        {
            "E-mail address": "new@example.org",
            "Where is the address from? The person reads this.": "A letter",
            "They are a customer": None,
            "On which day did they sign up, or buy?": "2026-02-01",
        },
        "Add",
    ),
    (
        "lists/news/contacts/add",
        {
            "E-mail address": "new@example.org",
            "Where is the address from? The person reads this.": "A letter",
            "They are a customer": None,
            "On which day did they sign up, or buy?": "2030-02-01",
        },
        "Add",
    ),
    ("lists/news/contacts/{number}", {"Yes, I want this mail": None}, "Record this answer"),
    ("lists/news/contacts/{number}", {}, "Take off"),
    ("lists/news/contacts/{number}/forget", {"": "other@example.org"}, "Erase"),
    ("lists/old/handover/", {}, "Compare"),
    ("lists/old/handover/", {"The file from your tool": b"one,two\nthree,four\n"}, "Compare"),
    ("lists/old/handover/", {"The file from your tool": b"%PDF-1.7 nothing"}, "Compare"),
    ("lists/old/handover/", {"The file from your tool": b"email\na@b.example\0\n"}, "Compare"),
    ("lists/old/handover/", {"The file from your tool": b'email,x\n"a@b.example,1\n'}, "Compare"),
    ("lists/news/papers/breach", {"Day": "2030-01-01", "Time": "10:00"}, "Start the clock"),
    ("connecting/", {}, "Make a token"),
    ("connecting/", {"Which program is it for?": "Another"}, "Make a token"),
    ("connecting/", {"Address of the program": "nowhere"}, "Add a webhook"),
    ("connecting/", {"Address of the program": "http://tool.example.org/"}, "Add a webhook"),
    ("connecting/", {"Address of the program": "https://10.1.2.3/hook"}, "Add a webhook"),
    ("people/", {"E-mail address": "nobody"}, "Add"),
    ("people/", {"E-mail address": "bram@example.org"}, "Add"),
    ("people/1/remove", {}, "Remove"),
    (
        "own/",
        {"Password as it is now": "wrong", "New password": "short", "The same again": "other"},
        "Change the password",
    ),
    (
        "own/",
        {"Password as it is now": "wrong", "New password": "passwordpassword"},
        "Change the password",
    ),
    ("own/second-step", {"Code": "123456", "Password": "wrong"}, "Set up"),
    ("settings/bounces", {"Port": "many"}, "Test and save"),
    ("settings/mail?preset=transip", {"Server": "127.0.0.1", "Port": "9"}, "Test and save"),
    (
        "settings/retention",
        {"Days that it is kept who looked at what, and who was refused": "many"},
        "Save",
    ),
)
# What no button leads to any more once something has happened meanwhile.
STALE: tuple[tuple[str, dict[str, str]], ...] = (
    ("lists/club/launch", {"confirm": "7"}),
    ("lists/news/launch", {"confirm": "1"}),
    ("lists/old/pause", {}),
    ("lists/old/resume", {}),
    ("lists/old/extend", {"until": "2027-01-01"}),
    ("lists/old/resolve", {"decision": "resend", "shown": "3"}),
    ("lists/old/file/undo", {}),
    ("lists/news/file/take-in", {"upload": "gone"}),
    ("lists/news/handover/export", {"what": "removed", "format": "csv", "with_links": "yes"}),
    ("lists/club/contacts/{gone}/remove", {"reason": "By phone"}),
    ("lists/club/contacts/{gone}/answer", {"answer": "yes", "note": "By phone"}),
    ("people/1/role", {"role": "viewer"}),
    ("connecting/webhooks/1/deliveries/99/again", {}),
)


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


@pytest.fixture
def pages(database: Database, sqlite_url: str) -> Iterator[Pages]:
    def make(url: str) -> Pages:
        return Pages(database, make_settings(public_url=url, database=sqlite_url))

    with served(make) as running:
        yield running


def dutch(text: str) -> str:
    """Return what a page in Dutch says for it."""
    assert (None, text) in used("nl")
    said: str = catalogues.load_translations("nl").gettext(text)
    return said


def test_whatever_is_refused_is_said_in_dutch(page: Page, pages: Pages) -> None:
    user = furnish(pages)
    numbers = erase_one(pages)
    page.set_extra_http_headers({"Accept-Language": "nl"})
    let_in(page, pages, user)
    found: list[str] = []
    for path, typed, button in ACTS:
        address = path.format(**numbers)
        show(page, pages, f"/admin/{address}")
        fill_in(page, typed)
        press(page, button)
        assert refusal(page).count(), f"{button} of {address} is not refused"
        found += [f"{address}: {one}" for one in english_on(page.content(), "nl")]
    token = page.locator("[name=csrf_token]").first.get_attribute("value") or ""
    for path, fields in STALE:
        url = f"{pages.settings.public_url}/admin/{path.format(**numbers)}"
        form: Any = {"csrf_token": token, **fields}
        answer = page.request.post(url, form=form, headers={"Accept-Language": "nl"})
        assert not answer.ok or "note problem" in answer.text(), path
        found += [f"{path}: {one}" for one in english_on(answer.text(), "nl")]
    assert not found


def erase_one(pages: Pages) -> dict[str, Any]:
    """Let somebody be erased; return the numbers of one who is not, and of who is."""
    club = find_list("club")
    gone = Contact.get(Contact.list == club)
    about: dict[str, Any] = {
        "settings": pages.settings,
        "now": pages.clock.now(),
        "actor": "user:1",
    }
    forget.erase_contact_by_id(pages.database, club, gone.id, **about)
    return {"number": Contact.get(Contact.address == LONG).id, "gone": gone.id}


def fill_in(page: Page, typed: dict[str, str | bytes | None]) -> None:
    """Type, tick and choose."""
    for label, what in typed.items():
        main = page.locator("main")
        # A field whose label names somebody is known by its place.
        target = main.get_by_label(dutch(label), exact=True) if label else main.locator("#confirm")
        target = target.first
        if what is None:
            target.check()
        elif isinstance(what, bytes):
            file: Any = {"name": "list.csv", "mimeType": "text/csv", "buffer": what}
            target.set_input_files(file)
        else:
            target.fill(what)


def press(page: Page, button: str) -> None:
    """Press a button; nothing is looked at before by the browser itself."""
    page.evaluate("for (const one of document.forms) one.noValidate = true")
    main = page.locator("main")
    with page.expect_navigation(timeout=10_000):
        main.get_by_role("button", name=dutch(button), exact=True).last.click()


def refusal(page: Page) -> Locator:
    return page.locator("main :is([role=alert], .problem, .warning, .wrong)")
