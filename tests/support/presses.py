"""How often people press until it counts, by where they stand and what programs did before.

Every press counts: on links and on buttons, in mails and on pages.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from html import unescape
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from repermit.answers import record_answer
from repermit.db.models.campaigns import Campaign
from repermit.db.models.contacts import Contact, SignUp
from repermit.db.models.mails import FreshLink
from repermit.rules.consent import Answer, Status
from tests.support import program_zoo as zoo
from tests.support.builders import DEADLINE, NOW, make_asked
from tests.support.program_zoo import Button, Letter, Visit, buttons_in
from tests.support.public_pages import Pages, ask_to, erase

if TYPE_CHECKING:
    from tests.support.program_zoo import Program

    Prepare = Callable[[Pages, Contact], None]
    Aim = Literal["yes", "no", "see", "delete"]

Way = Literal["page", "one_click", "phone", "reply", "representative"]
WAYS_TO_SAY_NO: tuple[Way, ...] = ("page", "one_click", "phone", "reply", "representative")

TABLE = Path(__file__).parents[2] / "docs/develop/presses.md"
BEFORE = Path(__file__).parents[1] / "data/presses-fe0eee81.json"
"""What the same journeys took at commit fe0eee81, the last before the first screen."""

_MOST = 9
_networks = count()


# --- Programs. ------------------------------------------------------------------------------------


def letter_to(contact: Contact, pages: Pages) -> Letter:
    """Return the links of the mail as it leaves, in their order."""
    mail = ask_to(pages, contact)
    own = re.escape(pages.settings.public_url) + r"/[\w./-]*\w"
    links = tuple(dict.fromkeys(re.findall(f'href="({own})', mail.html)))
    head = mail.raw.decode().partition("\r\n\r\n")[0]
    (unsubscribe,) = re.findall(f"<({own})>", head)
    return Letter(links=links, unsubscribe=unsubscribe)


def let_loose(programs: Sequence[Program], pages: Pages, contact: Contact) -> None:
    """Let programs at a mail, one after another, each without what the one before it knew."""
    letter = letter_to(contact, pages)
    for program in programs:
        program(Visit(pages.app.test_client(use_cookies=False), pages.clock), letter)


# --- People. --------------------------------------------------------------------------------------


def say_no(pages: Pages, contact: Contact, way: Way) -> None:
    """Say No as a person does, in one of the ways that there are."""
    visit, link = Visit(pages.app.test_client(), pages.clock), pages.links.url("no", contact.uid)
    if way in {"page", "representative"}:
        query = "?as=representative" if way == "representative" else ""
        visit.press(visit.get(link + query)[0])
    elif way == "one_click":
        visit.press(Button(link, {"List-Unsubscribe": "One-Click"}))
    else:
        record_answer.record_reported_answer(
            pages.database,
            contact.list,
            str(contact.address),
            Answer.NO,
            note=f"by {way}",
            settings=pages.settings,
            now=pages.clock.now(),
            actor="admin@example.org",
        )
    assert Contact.get_by_id(contact.id).status == Status.REMOVED


@dataclass(frozen=True, kw_only=True)
class Presses:
    """How often somebody pressed until it counted, and how often they typed their address."""

    presses: int
    typed: int = 0

    def __str__(self) -> str:
        return f"{self.presses} and the address" if self.typed else str(self.presses)


class Person:
    """Somebody with an address, who presses what leads on to what they want."""

    def __init__(self, pages: Pages, address: str) -> None:
        self._pages = pages
        self._address = address
        self._client = pages.app.test_client()
        # Each comes from a network of their own, since one network signs few people up.
        self._client.environ_base["REMOTE_ADDR"] = f"203.0.{next(_networks) % 256}.7"
        self._pressed = 0
        self._typed = 0

    def reach(self, aim: Aim, *, url: str) -> Presses:
        """Press a link in a mail, and go on until what is wanted is reached."""
        html = self._open(url)
        while not self._has_reached(aim, html):
            html = self._press_on(aim, html)
            assert self._pressed < _MOST, html
        return Presses(presses=self._pressed, typed=self._typed)

    def sign_up(self, path: str) -> str:
        """Fill in the form of a page on the website; return the link of the mail that comes."""
        html = self._client.get(path).text
        return self._press(next(one for one in buttons_in(html) if "/join/" in one.action))

    def _has_reached(self, aim: Aim, html: str) -> bool:
        if aim == "see":
            return 'name="authority"' in html
        contact = Contact.get_or_none(address=self._address)
        if aim == "delete":
            return contact is None
        if aim == "no" and contact is None:
            return bool(SignUp.get(address=self._address).declined_at)
        wanted = Status.CONFIRMED if aim == "yes" else Status.REMOVED
        return contact is not None and contact.status == wanted

    def _press_on(self, aim: Aim, html: str) -> str:
        buttons = buttons_in(html)
        for leads_on in _LEADS_ON[aim]:
            for button in filter(leads_on, buttons):
                shown = self._press(button)
                return self._open(shown) if shown.startswith("http") else shown
        links = re.findall('href="([^"]*)"', html)
        words = (f"/{aim}/", "/join/")
        found = [one for word in words for one in links if word in one]
        assert found, html
        return self._open(unescape(found[0]))

    def _press(self, button: Button) -> str:
        """Press a button; return the page that comes, or the link of the mail that does."""
        sends = button.sends
        if "/join/" in button.action and "link" not in sends:
            self._typed += 1
            sends = {**sends, "address": self._address}
        self._pressed += 1
        shown = self._client.post(button.action, data=sends).text
        if "/join/" in button.action:
            made = SignUp.select().order_by(SignUp.id.desc()).get()
            return self._pages.links.url("confirm", made.uid)
        if sends.get("do") == "link":
            fresh = FreshLink.select().order_by(FreshLink.id.desc()).get()
            return self._pages.links.url("fresh", fresh.uid)
        return shown

    def _open(self, url: str) -> str:
        self._pressed += 1
        return self._client.get(url).text


_SEE: Sequence[Callable[[Button], bool]] = (
    lambda one: one.sends.get("do") == "link",
    lambda one: "/fresh/" in one.action,
)
_LEADS_ON: Mapping[Aim, Sequence[Callable[[Button], bool]]] = {
    "yes": (
        lambda one: one.sends.get("choice") in {"again", "yes"},
        lambda one: "/yes/" in one.action and "choice" not in one.sends,
        lambda one: "/join/" in one.action,
    ),
    "no": (
        lambda one: one.sends.get("choice") == "no",
        lambda one: "/no/" in one.action,
        lambda one: "/confirm/" in one.action and one.sends.get("choice") == "not_me",
    ),
    "see": _SEE,
    "delete": (*_SEE, lambda one: one.action.endswith(("/leave", "/delete"))),
}


# --- Where people stand. --------------------------------------------------------------------------


def _nothing(_pages: Pages, _contact: Contact) -> None:
    """Leave everything as it is."""


def _no_by(way: Way, **later: float) -> Prepare:
    def prepare(pages: Pages, contact: Contact) -> None:
        say_no(pages, contact, way)
        pages.clock.advance(timedelta(**later))

    return prepare


def _yes_before(pages: Pages, contact: Contact) -> None:
    Person(pages, str(contact.address)).reach("yes", url=pages.links.url("yes", contact.uid))
    pages.clock.advance(timedelta(days=1))


def _visited(*programs: Program, **later: float) -> Prepare:
    def prepare(pages: Pages, contact: Contact) -> None:
        let_loose(programs, pages, contact)
        pages.clock.advance(timedelta(**later))

    return prepare


def _too_late(pages: Pages, _contact: Contact) -> None:
    pages.clock.move_to(DEADLINE + timedelta(hours=1))


def _erased(pages: Pages, contact: Contact) -> None:
    erase(pages, contact)


_STANDS: Mapping[str, tuple[Prepare, Sequence[Aim]]] = {
    "was asked": (_nothing, ("yes", "no", "see", "delete")),
    "said Yes a day ago": (_yes_before, ("no", "see")),
    "said No on the page just now": (_no_by("page"), ("yes",)),
    "said No on the page a day ago": (_no_by("page", days=1), ("yes",)),
    "said No by one click a day ago": (_no_by("one_click", days=1), ("yes",)),
    "said No by phone a day ago": (_no_by("phone", days=1), ("yes",)),
    "a program has just looked up the link": (
        _visited(zoo.opens_when_the_reader_does),
        ("yes", "no"),
    ),
    "a program has just opened all links": (_visited(zoo.opens_all_at_once), ("yes", "no")),
    "a program opened all links an hour ago": (
        _visited(zoo.opens_all_at_once, hours=1),
        ("yes", "no"),
    ),
    "a program has just pressed all buttons": (_visited(zoo.presses_on_and_on), ("yes",)),
    "a program pressed all buttons an hour ago": (
        _visited(zoo.presses_on_and_on, hours=1),
        ("yes",),
    ),
    "was erased": (_erased, ("yes",)),
    "answers after the deadline": (_too_late, ("yes", "no")),
}
_SIGN_UPS: Mapping[str, tuple[Sequence[Program], Sequence[Aim]]] = {
    "signs up": ((), ("yes", "no")),
    "signs up; a program has just opened the link": ((zoo.opens_all_at_once,), ("yes", "no")),
    "signs up; a program has just pressed all buttons": ((zoo.presses_on_and_on,), ("yes",)),
}


class Measured:
    """Measures people on a list that asks."""

    def __init__(self, pages: Pages, campaign: Campaign) -> None:
        self._pages = pages
        self._campaign = campaign

    def measure_people(self) -> Iterator[tuple[str, str]]:
        """Yield how often people press, by where they stand and what they want."""
        say_no(self._pages, self._ask(), "one_click")
        yield "was asked, wants No, by one click of a mail program", str(Presses(presses=1))
        for stands, (prepare, aims) in _STANDS.items():
            for aim in aims:
                person = self._ask()
                address = str(person.address)
                prepare(self._pages, person)
                link = aim if aim in {"yes", "no"} else "me"
                url = self._pages.links.url(link, person.uid)
                pressed = Person(self._pages, address).reach(aim, url=url)
                yield f"{stands}, {_WANTS[aim]}", str(pressed)
        for name, (programs, aims) in _SIGN_UPS.items():
            for aim in aims:
                yield f"{name}, {_WANTS[aim]}", str(self._sign_up(programs, aim))

    def measure_programs(self) -> Iterator[tuple[str, tuple[str, str]]]:
        """Yield how often people press Yes after each program: one who was asked, and after a No.

        Whom the program alone has put on the list has nothing to press.
        """
        for program in zoo.EVERY:
            yield program.__name__, (self._visit(program), self._visit(program, after_no=True))

    def _visit(self, program: Program, *, after_no: bool = False) -> str:
        person = self._ask()
        if after_no:
            say_no(self._pages, person, "page")
            self._pages.clock.advance(timedelta(seconds=100))
        let_loose([program], self._pages, person)
        if Contact.get_by_id(person.id).status == Status.CONFIRMED:
            return ON_THE_LIST
        url = self._pages.links.url("yes", person.uid)
        return str(Person(self._pages, str(person.address)).reach("yes", url=url))

    def _ask(self) -> Contact:
        self._pages.clock.move_to(NOW)
        return make_asked(self._pages.database, self._campaign.list, self._campaign)

    def _sign_up(self, programs: Sequence[Program], aim: Aim) -> Presses:
        self._pages.clock.move_to(NOW)
        person = Person(self._pages, f"new{SignUp.select().count()}@example.org")
        url = person.sign_up(f"/join/{self._campaign.list.slug}")
        for program in programs:
            visit = Visit(self._pages.app.test_client(use_cookies=False), self._pages.clock)
            program(visit, Letter((url,), unsubscribe=url))
        return person.reach(aim, url=url)


ON_THE_LIST = "on the list"
"""In place of a number: somebody whom a program alone has put there."""

_WANTS: Mapping[Aim, str] = {
    "yes": "wants Yes",
    "no": "wants No",
    "see": "wants to see what is held",
    "delete": "wants everything deleted",
}


@dataclass(frozen=True, kw_only=True)
class Table:
    """How often people press: by where they stand, and after each program.

    `programs` has two of each: of somebody who was asked, and of somebody who said No before.
    """

    people: Mapping[str, str]
    programs: Mapping[str, Sequence[str]]


def read_table_before() -> Table:
    """Return what was measured at commit fe0eee81."""
    return Table(**json.loads(BEFORE.read_text("utf-8")))


def presses_in(cell: str) -> int:
    """Return how many presses a cell of the table tells of; 0 where nothing is left to press."""
    found = re.match(r"\d+", cell)
    return int(found[0]) if found else 0


def list_more(now: Table) -> list[str]:
    """Return each journey that takes more than before, or that a program alone ends with a Yes.

    Whom a program alone had put on the list pressed nothing before, so that nothing compares.
    """
    before = read_table_before()
    journeys = [(name, one, before.people[name]) for name, one in now.people.items()]
    for name, cells in now.programs.items():
        journeys += [(name, *pair) for pair in zip(cells, before.programs[name], strict=True)]
    return [
        name
        for name, one, then in journeys
        if then != ON_THE_LIST and (one == ON_THE_LIST or presses_in(one) > presses_in(then))
    ]


def make_page(now: Table) -> str:
    """Return the page with what was measured, beside what the same journeys took before."""
    before = read_table_before()
    of_people = [f"| {name} | {one} | {before.people[name]} |" for name, one in now.people.items()]
    of_programs = []
    for name, (asked, said_no) in now.programs.items():
        asked_before, said_no_before = before.programs[name]
        cells = (name.replace("_", " "), asked, asked_before, said_no, said_no_before)
        of_programs.append(f"| {' | '.join(cells)} |")
    return _PAGE.format(people="\n".join(of_people), programs="\n".join(of_programs))


_PAGE = """# Presses

<!-- PRESSES=write pytest tests/integration/test_presses.py writes this page. -->

To answer is two presses: one in the mail, one on the page. After a No, and after most programs, a \
Yes takes one more.

Each number counts every press until the answer counts: on links and buttons, in mails and on \
pages. “And the address” says that one types one's address too. “Before” is what the same journey \
took at commit fe0eee81, the last before mails and pages had their \
[first screen](first-screen.md). None takes more since; a test fails where one does. A Yes after a \
No had just come to take one more: it \
[stays a No](../explanation/only-people-answer.md#a-no-stays-a-no).

## People

| who | presses | before |
|---|---|---|
{people}

## People whom a program visited

Each program visits somebody who was asked, and somebody who said No a moment ago. The table says \
how often they then press for a Yes. “On the list” says that the program alone put them there: \
[What it cannot see](../explanation/only-people-answer.md#what-it-cannot-see).

| program | was asked | before | said No | before |
|---|---|---|---|---|
{programs}
"""
