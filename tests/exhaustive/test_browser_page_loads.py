"""The office manager's afternoon: from `serve` to launched, counted in page loads."""

from __future__ import annotations

import random
import re
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from repermit.clock import SystemClock
from repermit.db.models.campaigns import Campaign
from repermit.db.models.contacts import Contact
from repermit.rules.consent import Status
from tests.browser.test_admin_campaign import DECIDED, Mouse, arrive, become_admin
from tests.browser.test_first_start import install
from tests.support.desk import Desk
from tests.support.inbox import Inbox
from tests.support.list_files import write_workbook
from tests.support.serve_process import Serving

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.exhaustive

MOST_LOADS = 22
HAND = Mouse()
TITLES = (
    "Relatienr.",
    "Achternaam",
    "Voorl.",
    "Tussenv.",
    "E-mailadres",
    "Klant sinds",
    "Bijzonderheden",
    "Bron",
)
CLEAR_NO = (
    "wil geen nwsbrf",
    "overl. 2021",
    "gn post",
    "afgemeld 3-4-2019",
    "geen mailings meer aub",
)
NEAR_NO = ("geen post, wel mail", "niet afgemeld")
HARMLESS = ("", "", "", "belt liever 's ochtends", "allergie noten", "rolstoel", "fam. van 1017")
FIRST = "Anna Bert Cor Dirk Els Femke Gijs Hanneke Iris Jan Karin Loes Mohammed Noor Otto".split()
LAST = "Jansen Bakker Visser Smit Meijer Mulder Bos Vos Peters Hendriks Dekker Brouwer".split()


def make_rows(total: int = 2_300) -> list[tuple[Any, ...]]:
    """Return rows as years of typing leave them."""
    chance = random.Random(18)  # noqa: S311
    rows: list[tuple[Any, ...]] = []
    for number in range(total):
        last, first = chance.choice(LAST), chance.choice(FIRST)
        domain = chance.choice(("example.org", "example.com", "example.net"))
        address = f"{first}.{last}{number}@{domain}".lower()
        address = {
            3: f"  {address.upper()} ",
            5: f"{address};",
            7: address.replace("@", " @ "),
            11: f"mailto:{address}",
            13: f"{first} {last} <{address}>",
        }.get(number % 97, address)
        remark = chance.choice(HARMLESS)
        if number % 101 == 0:
            remark = CLEAR_NO[number // 101 % len(CLEAR_NO)]
        elif number % 701 == 20:
            remark = NEAR_NO[number // 701 % len(NEAR_NO)]
        if number % 89 == 40:
            address = chance.choice(
                ("", "geen", "onbekend", f"{first}{number}@", f"{first}.example.org")
            )
        elif number in (300, 1_500):
            address = f"{first}{number}@{('gmial.com', 'hotmial.com')[number > 1_000]}".lower()
        elif number in (800, 801):
            address = f"{('info', 'bestuur')[number - 800]}@vereniging{number}.example"
        elif number % 113 == 50:
            address = rows[-30][4]
        since: Any = chance.choice(
            (40_271 + number % 900, f"{number % 28 + 1}-{number % 12 + 1}-2014", "")
        )
        bron = chance.choice(("gastenboek", "balie", "beurs 2016", ""))
        tussen = chance.choice(("", "", "van", "de", "van der"))
        rows.append((1_000 + number, last, f"{first[0]}.", tussen, address, since, remark, bron))
    return rows


class Loads:
    """The documents that a page loads, each with its path."""

    def __init__(self, page: Page) -> None:
        self.paths: list[str] = []
        page.on("domcontentloaded", lambda one: self.paths.append(urlsplit(one.url).path))

    @property
    def visits(self) -> list[str]:
        """Return the paths without the pages that only came again where they were."""
        return [path for path, _ in groupby(self.paths)]


def test_a_messy_workbook_is_launched_in_few_page_loads_and_no_page_is_gone_back_to(
    page: Page, desk: Desk, inbox: Inbox, tmp_path: Path
) -> None:
    file = write_workbook(
        tmp_path / "Relaties (nieuw) def2.xlsx", {"Blad1": [TITLES, *make_rows()]}
    )
    port, link = install(desk)
    loads = Loads(page)
    with Serving(desk, "--port", str(port)):
        become_admin(page, link, HAND, now=SystemClock().now())
        say_who_asks_and_how_mail_gets_out(page, inbox.port)
        describe_list(page)
        take_in(page, file)
        word_mail(page, inbox)
        set_conditions(page)
        asked = launch(page)
    with desk.database():
        assert Campaign.get().state != "draft"
        assert Contact.select().where(Contact.status == Status.UNCONFIRMED).count() == asked
    assert len(loads.paths) <= MOST_LOADS, loads.paths
    assert len(loads.visits) == len(set(loads.visits)), loads.visits


def say_who_asks_and_how_mail_gets_out(page: Page, port: int) -> None:
    """Fill in what an installation needs first, following its own buttons."""
    HAND.follow(page, "Fill in: Organisation")
    page.get_by_label("Name", exact=True).fill("Praktijk De Linde")
    page.get_by_label("Postal address").fill("Lindelaan 7\n3500 AA Utrecht")
    page.get_by_label("E-mail address").fill("info@example.org")
    page.get_by_label("Telephone").fill("030 123 4567")
    page.get_by_label("Authority for complaints").fill("Autoriteit Persoonsgegevens")
    HAND.press(page, "Save")
    HAND.follow(page, "Go on: Mail server")
    page.get_by_label("Your mail provider", exact=True).select_option("Another one")
    HAND.press(page, "Fill in what is known of it")
    page.get_by_label("Server", exact=True).fill("127.0.0.1")
    page.get_by_label("Encryption", exact=True).select_option("none")
    page.get_by_label("Port", exact=True).fill(str(port))
    HAND.press(page, "Test and save")
    HAND.follow(page, "Go on: The first list")


def describe_list(page: Page) -> None:
    """Say what the list is: step 1."""
    arrive(page, "Which list is it?")
    page.get_by_label("Name of the list").fill("Nieuws van de praktijk")
    page.get_by_label("What will people get?").fill("Nieuws over onze praktijk")
    page.get_by_label("How often?").fill("vier keer per jaar")
    page.get_by_label("Address of your privacy statement").fill("https://www.example.org/privacy")
    HAND.press(page, "Save and go on")
    arrive(page, "Who is on the list now?")


def take_in(page: Page, file: Path) -> None:
    """Hand the file in, decide on the rows that need a look, correct a column: step 2."""
    page.get_by_label("The file", exact=True).set_input_files(file)
    HAND.press(page, "Look at the file")
    arrive(page, "What would become of every row")
    doubtful = page.get_by_role("table", name="Rows to decide on").get_by_role("row")
    for row in doubtful.all()[1:]:
        mended = row.get_by_label("Ask at")
        refused = row.get_by_label(re.compile("Do not ask|Ask none of these"))
        (mended if mended.count() else refused).check()
    page.get_by_label("Where do these addresses come from?").fill(
        "onze balie en het gastenboek, 2011-2019"
    )
    HAND.press(page, "Take the file in")
    arrive(page, "Who is on the list now?")
    page.get_by_text("addresses are on the list now.").wait_for()
    HAND.follow(page, "Go on to the mail")


def word_mail(page: Page, inbox: Inbox) -> None:
    """Say it in one's own words, and look at it in one's own mailbox: step 3."""
    arrive(page, "What does the mail say?")
    HAND.press(page, "Say it in your own words")
    page.get_by_label("Words 3", exact=True).fill("Antwoordt u voor [last day and time]?")
    HAND.press(page, "Send it to me")
    inbox.wait_for(1, timeout=60)
    HAND.press(page, "Save and go on")


def set_conditions(page: Page) -> None:
    """Say until when, and who decided: step 4."""
    arrive(page, "On what conditions?")
    page.get_by_label("Remind so many days before the deadline").fill("7")
    page.get_by_label("Who decided to ask, and on what ground?").fill(DECIDED)
    HAND.press(page, "Save and go on")


def launch(page: Page) -> int:
    """Read what was found, and launch: step 5. Return how many are asked."""
    arrive(page, "Shall it start?")
    why = page.get_by_label("Launch all the same, because")
    why.first.wait_for(timeout=60_000)
    for field in why.all():
        field.fill("a trial on this machine alone")
    asked = page.locator(".numbers b").first.inner_text()
    page.get_by_label("How many people will be asked?").fill(asked)
    HAND.press(page, f"Ask {asked} people")
    arrive(page, "Nieuws van de praktijk")
    return int(asked.replace(",", ""))
