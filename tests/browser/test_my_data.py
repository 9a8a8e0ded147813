"""People and their own data, with a real browser and real mail: see, correct, take along, delete.

And how the pages look on the way.
"""

from __future__ import annotations

import io
import json
import re
from collections import deque
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from repermit.db.connection import Database
from repermit.db.migrations import ALL_TABLES
from repermit.db.models.contacts import Contact
from repermit.db.models.lists import MailingList
from repermit.db.models.webhooks import Webhook
from repermit.exports import export
from repermit.rules.consent import Reason, Status
from repermit.sending import send_due
from repermit.settings.definitions import MailServer
from tests.exhaustive.test_browser_admin_looks import COLOURS, violations
from tests.support.builders import NOW, make_contact, make_settings
from tests.support.inbox import Inbox
from tests.support.public_pages import Pages, everything_in, served
from tests.support.sending_campaign import Story, make_story

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

PHONE: dict[str, Any] = {"viewport": {"width": 320, "height": 640}, "java_script_enabled": False}
SEE = "Toon wat er van mij bewaard wordt"


class Town:
    """A campaign that is sending, its pages over HTTP, and everybody's mailbox."""

    def __init__(self, pages: Pages, story: Story, inbox: Inbox) -> None:
        self.pages = pages
        self.story = story
        self.inbox = inbox

    def ask(self, address: str, *others: str, **facts: Any) -> Contact:
        """Ask somebody, and others, by mails that arrive; return the first one's contact."""
        contact = make_contact(self.pages.database, self.story.mailing_list, address, **facts)
        self.story.owe(contact=contact)
        for other in others:
            self.story.owe(other)
        self.send()
        return contact

    def send(self) -> None:
        """Let all mails that are due arrive."""
        send_due.send_due(self.pages.database, settings=self.pages.settings, clock=self.pages.clock)

    def link(self, address: str, kind: str) -> str:
        """Return the link of a kind in the newest mail to an address that has one."""
        url = re.escape(self.pages.settings.public_url)
        bodies = [mail.message.get_body(("plain",)) for mail in self.inbox.to(address)]
        found = [set(re.findall(rf"{url}/{kind}/\S+", one.get_content())) for one in bodies if one]
        (link,) = [links for links in found if links][-1]
        return str(link)


@pytest.fixture
def town(database: Database, inbox: Inbox) -> Iterator[Town]:
    server = MailServer(server=inbox.host, port=inbox.port, tls="none", connections=1)
    with served(lambda url: Pages(database, make_settings(public_url=url, mail=server))) as pages:
        story = make_story(database, pages.settings)
        yield Town(pages, story, inbox)


@pytest.fixture
def phone(browser: Browser) -> Iterator[BrowserContext]:
    """Return a browser of a small phone, without script."""
    context = browser.new_context(**PHONE)
    yield context
    assert not context.cookies()
    context.close()


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()
    page.wait_for_load_state()


def heading(page: Page) -> str:
    return page.get_by_role("heading", level=1).inner_text()


def open_everything(town: Town, page: Page, address: str) -> None:
    """Ask for a link on the page of the ask, and open everything with it."""
    page.goto(town.link(address, "me"))
    press(page, "Stuur mij een link")
    town.send()
    page.goto(town.link(address, "fresh"))
    press(page, SEE)
    assert heading(page) == "Alles wat wij van u bewaren"


def test_somebody_sees_corrects_takes_along_and_deletes(town: Town, phone: BrowserContext) -> None:
    contact = town.ask("anna@example.org", name="Ana", source="het formulier aan de balie")
    old_link = town.link("anna@example.org", "me")
    page = phone.new_page()
    open_everything(town, page, "anna@example.org")
    assert "het formulier aan de balie" in page.inner_text("main")

    page.get_by_label("Naam").fill("Anna")
    page.get_by_label("Taal").select_option("fr")
    press(page, "Naam en taal verbeteren")
    assert page.get_by_role("status").inner_text() == "Het is verbeterd."
    page.get_by_label("Nieuw e-mailadres").fill("anna@new.example.org")
    press(page, "Stuur de mail naar het nieuwe adres")
    assert heading(page) == "Kijk in de mail van uw nieuwe adres"
    assert Contact.get_by_id(contact.id).address == "anna@example.org"

    town.send()
    other = phone.new_page()
    other.goto(town.link("anna@new.example.org", "address"))
    press(other, "Ja, dit is mijn nieuwe adres")
    assert heading(other) == "Uw nieuwe adres geldt voortaan"
    town.send()
    assert "gewijzigd" in town.inbox.to("anna@example.org")[-1].message["Subject"]

    press(page, "Terug naar wat bewaard wordt")
    assert "anna@new.example.org" in page.inner_text("main")
    with page.expect_download() as downloading:
        press(page, "Het bestand downloaden")
    assert downloading.value.suggested_filename == "what-is-held.json"
    document = json.loads(Path(downloading.value.path()).read_text("utf-8"))
    found = document["contact"]
    assert (found["address"], found["name"], found["language"]) == (
        "anna@new.example.org",
        "Anna",
        "fr",
    )
    assert [one["event"] for one in document["evidence"]] == ["corrected", "corrected"]

    press(page, "Verder naar het wissen")
    assert heading(page) == "Alles laten wissen"
    press(page, "Ja, wis alles")
    assert heading(page) == "Uw gegevens op deze lijst zijn gewist"
    page.goto(old_link)
    # Whose language was theirs is not known any more: it is the browser's.
    assert heading(page) == "The data of this link is deleted"
    left = repr([list(table.select().tuples()) for table in ALL_TABLES])
    assert "anna@" not in left
    assert "Anna" not in left


@pytest.mark.exhaustive
def test_over_a_year_later_the_old_link_still_withdraws(town: Town, phone: BrowserContext) -> None:
    contact = town.ask("anna@example.org")
    page = phone.new_page()
    page.goto(town.link("anna@example.org", "yes"))
    press(page, "Ja, blijf mij deze mails sturen")
    town.pages.clock.advance(timedelta(days=500))
    page.goto(town.link("anna@example.org", "me"))
    page.get_by_role("link", name="Nee, stuur mij deze mails niet meer", exact=True).click()
    press(page, "Nee, stuur mij deze mails niet meer")
    assert heading(page) == "Uw Nee is vastgelegd"
    assert Contact.get_by_id(contact.id).reason == Reason.WITHDRAWN


@pytest.mark.exhaustive
def test_the_receipt_of_a_yes_is_read_kept_printed_and_found_again(
    town: Town, page: Page, tmp_path: Path
) -> None:
    contact = town.ask("anna@example.org", name="Anna")
    page.goto(town.link("anna@example.org", "yes"))
    press(page, "Ja, blijf mij deze mails sturen")
    page.get_by_role("link", name="Naar het ontvangstbewijs").click()
    assert heading(page) == "Uw ontvangstbewijs"
    eye = Beholder(page, tmp_path)
    eye.look("receipt")
    assert not eye.found
    with page.expect_download() as downloading:
        page.get_by_role("link", name="Opslaan als bestand").click()
    assert downloading.value.suggested_filename == "receipt.json"
    receipt = json.loads(Path(downloading.value.path()).read_text("utf-8"))
    no = town.link("anna@example.org", "no")
    assert receipt["withdrawal"]["url"] == no
    # On paper there is nothing to press, and still the way to withdraw.
    assert no not in page.inner_text("main")
    page.emulate_media(media="print")
    printed = page.inner_text("main")
    for words in ("U zei Ja", no, receipt["checkpoint"]["root"], receipt["header"]["receipt_id"]):
        assert words in printed, words
    assert "Nee, stuur mij deze mails niet meer" not in printed
    page.emulate_media(media="screen")
    # Whoever has closed that page finds it again among everything that is held.
    open_everything(town, page, "anna@example.org")
    page.get_by_role("link", name="Naar het ontvangstbewijs").click()
    assert heading(page) == "Uw ontvangstbewijs"
    page.get_by_role("link", name="Nee, stuur mij deze mails niet meer", exact=True).click()
    press(page, "Nee, stuur mij deze mails niet meer")
    assert Contact.get_by_id(contact.id).reason == Reason.WITHDRAWN


@pytest.mark.exhaustive
def test_a_reader_of_a_forwarded_mail_neither_sees_nor_changes_anothers_data(
    town: Town, phone: BrowserContext, browser: Browser
) -> None:
    reads = "reader@example.org"
    anna = town.ask("anna@example.org", reads, name="Anna Berg", source="de balie")
    links = {kind: town.link("anna@example.org", kind) for kind in ("yes", "no", "me")}
    reader = phone.new_page()
    before = everything_in(town.pages.database)
    walk(reader, deque(links.values()))
    assert everything_in(town.pages.database) == before
    # What they ask for goes to Anna, not to them.
    reader.goto(links["me"])
    press(reader, "Stuur mij een link")
    shown = reader.inner_text("body")
    town.send()
    assert len(town.inbox.to(reads)) == 1
    # What opens their own data does not open hers.
    open_everything(town, reader, reads)
    shown += reader.inner_text("body")
    own = browser.new_page()
    own.goto(town.link("anna@example.org", "fresh"))
    press(own, SEE)
    assert "Anna Berg" in own.inner_text("body")
    # And her own link, forwarded later, has been used.
    reader.goto(town.link("anna@example.org", "fresh"))
    assert heading(reader) == "Deze link is niet meer geldig"
    shown += reader.inner_text("body")
    for hidden in ("anna@", "Berg"):
        assert hidden not in shown
    reader.goto(links["me"])
    press(reader, "Ik ben niet de bedoelde persoon")
    assert heading(reader) == "Bedankt voor het melden"
    own.close()
    row = Contact.get_by_id(anna.id)
    assert (row.status, row.reason, row.name) == (Status.REMOVED, Reason.REQUEST, "Anna Berg")
    town.send()
    assert "/contacts/" in town.inbox.to("praktijk@example.org")[-1].raw.decode()


def walk(page: Page, left: deque[str]) -> None:
    """Follow every link to our own pages, and find nothing of Anna on any of them."""
    seen: set[str] = set()
    while left:
        url = left.popleft()
        page.goto(url)
        seen.add(url)
        text = page.content()
        assert "anna@" not in text
        assert "Berg" not in text
        base = url.split("/", 3)[2]
        links = page.locator("a").evaluate_all("all => all.map(one => one.href.split('#')[0])")
        ours = {href for href in links if f"//{base}/" in href}
        left.extend(ours - seen - set(left))
    assert len(seen) > 10


# --- How the pages look. -------------------------------------------------------------------------


class Beholder:
    """Looks at each page as axe-core does, on a phone and a desk, by day and by night."""

    def __init__(self, page: Page, folder: Path) -> None:
        self.page = page
        self.folder = folder
        self.found: list[str] = []

    def look(self, name: str) -> None:
        for scheme in ("light", "dark"):
            self.page.emulate_media(color_scheme=scheme)
            rules = {} if scheme == "light" else COLOURS
            self.found += violations(self.page, f"{name} in {scheme}", rules)
            for width in (320, 1280):
                self.page.set_viewport_size({"width": width, "height": 800})
                picture = self.folder / f"{name}-{width}-{scheme}.jpeg"
                self.page.screenshot(path=picture, full_page=True, type="jpeg", quality=80)
                is_wide = self.page.evaluate("document.documentElement.scrollWidth") > width
                self.found += [f"{name} is too wide at {width}"] * is_wide


def _hand_on(town: Town) -> None:
    """Let the address go into a file, on a host of a long name."""
    export.write_export(
        town.story.mailing_list,
        "evidence",
        database=town.pages.database,
        settings=town.pages.settings,
        now=town.pages.clock.now(),
        actor="user:1",
        out=io.BytesIO(),
    )
    with town.pages.database.atomic():
        host = "-".join(["newsletters"] * 5)
        values = {"secret": "whsec_x", "created_by": "user:1", "created_at": NOW}
        Webhook.create(url=f"https://{host}.example.org/hook", **values)


@pytest.mark.exhaustive
def test_no_page_about_what_is_held_keeps_anybody_out(
    town: Town, page: Page, tmp_path: Path
) -> None:
    """To keep their pictures: -o tmp_path_retention_policy=all."""
    eye = Beholder(page, tmp_path)
    name = "a" * 60
    town.ask(f"{name}@example.org", name="Anna", source="het formulier aan de balie")
    make_contact(town.pages.database, MailingList.get(), "bert@example.org")
    ask_link = town.link(f"{name}@example.org", "me")
    page.goto(ask_link)
    eye.look("me")
    press(page, "Stuur mij een link")
    eye.look("link_sent")
    town.send()
    fresh = town.link(f"{name}@example.org", "fresh")
    page.goto(fresh)
    eye.look("fresh")
    press(page, SEE)
    eye.look("held")
    page.get_by_label("Nieuw e-mailadres").fill("nobody")
    press(page, "Stuur de mail naar het nieuwe adres")
    eye.look("held_wrong")
    held = page.context.new_page()
    other = Beholder(held, tmp_path)
    for address, result in (("bert@example.org", "taken"), ("new@example.org", "moved")):
        page.get_by_label("Nieuw e-mailadres").fill(address)
        press(page, "Stuur de mail naar het nieuwe adres")
        eye.look("address_sent")
        press(page, "Terug naar wat bewaard wordt")
        town.send()
        held.goto(town.link(address, "address"))
        other.look("address")
        press(held, "Ja, dit is mijn nieuwe adres")
        other.look(result)
    held.goto(fresh)
    assert heading(held) == "Deze link is niet meer geldig"
    other.look("over")
    press(page, "Verder naar het wissen")
    eye.look("leave")
    press(page, "Terug naar wat bewaard wordt")
    _hand_on(town)
    press(page, "Naam en taal verbeteren")
    assert "een bestand uit het bewijsregister." in page.inner_text("main")
    eye.look("held_moved")
    held.goto(ask_link)
    press(held, "Ik ben niet de bedoelde persoon")
    other.look("not_me")
    press(page, "Verder naar het wissen")
    press(page, "Ja, wis alles")
    eye.look("deleted")
    assert not eye.found + other.found
    assert len(list(tmp_path.glob("*.jpeg"))) == 4 * 14
