"""What people do with a mail, from its first link to the last page, by whatever they read with.

A journey is told once; each way of reading and pressing is a `Reader`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Protocol

from repermit.db.models.campaigns import Campaign
from repermit.db.models.contacts import Contact, SignUp
from repermit.db.models.lists import MailingList
from repermit.rules.consent import Status
from tests.support.builders import DEADLINE, make_asked
from tests.support.first_screen import CUT_OFF
from tests.support.one_time_links import newest
from tests.support.public_pages import Pages, ask_to, erase

if TYPE_CHECKING:
    from playwright.sync_api import CDPSession, Page

YES = "Ja, blijf mij"
NO = "Nee, stuur mij"
AGAIN = "Ja, ik was het"
SIGN_UP = "Stuur mij de mail met de link"
CONFIRM = "Ja, stuur mij deze mails"
IS_RECORDED = "is vastgelegd"
WRONG = "Dit is geen volledig e-mailadres"
HELD = "Alles wat wij van u bewaren"


class Reader(Protocol):
    """Somebody who reads what is shown, and presses what they are told by the words on it."""

    def read_mail(self, html: str) -> None:
        """Look at a mail."""

    def open(self, url: str) -> None:
        """Press a link in a further mail, or follow one on a website."""

    def follow(self, words: str) -> None:
        """Press the link that begins with these words."""

    def press(self, words: str) -> None:
        """Press the button that begins with these words."""

    def fill(self, label: str, text: str) -> None:
        """Type into the field with this label."""

    def see(self, heading: str, *, told: str = "") -> None:
        """Wait for the page with these words in its first heading, and look at it.

        - `told`: words that the page tells at once, wherever one reads it.
        """


class Place:
    """A list that asks in Dutch, and its pages over HTTP."""

    def __init__(self, pages: Pages) -> None:
        self.pages = pages

    def ask(self) -> Contact:
        """Ask somebody new."""
        return make_asked(self.pages.database, MailingList.get(), Campaign.get())

    def link(self, kind: Any, uid: str) -> str:
        """Return a link of a mail."""
        return self.pages.links.url(kind, uid)

    def read_ask(self, reader: Reader, contact: Contact) -> None:
        """Let somebody read the mail that asks."""
        reader.read_mail(ask_to(self.pages, contact).html)

    def confirm_newest(self, reader: Reader) -> None:
        """Let somebody confirm the sign-up that was made last, by the link in its mail."""
        reader.see("Kijk in uw mail")
        made = SignUp.select().order_by(SignUp.id.desc()).get()
        reader.open(self.link("confirm", made.uid))
        reader.see("Mogen wij u")
        reader.press(CONFIRM)
        reader.see(IS_RECORDED)
        contact = Contact.get(address_key=made.address_key, status=Status.CONFIRMED)
        assert contact.basis


def _require(contact: Contact, status: Status) -> None:
    assert Contact.get_by_id(contact.id).status == status


def answer_yes(place: Place, reader: Reader) -> None:
    """Answer Yes: a press in the mail, and one on the page."""
    contact = place.ask()
    place.read_ask(reader, contact)
    reader.follow(YES)
    reader.see("Mogen wij u")
    _require(contact, Status.UNCONFIRMED)
    reader.press(YES)
    reader.see(IS_RECORDED)
    _require(contact, Status.CONFIRMED)


def answer_no(place: Place, reader: Reader) -> None:
    """Answer No, by as many presses."""
    contact = place.ask()
    place.read_ask(reader, contact)
    reader.follow(NO)
    reader.see("Mogen wij u")
    _require(contact, Status.UNCONFIRMED)
    reader.press(NO)
    reader.see(IS_RECORDED)
    _require(contact, Status.REMOVED)


def answer_once_more(place: Place, reader: Reader) -> None:
    """Answer Yes once more, since a program has just opened both links."""
    contact = place.ask()
    for kind in ("yes", "no"):
        place.pages.client.get(place.pages.path(kind, contact.uid))
    place.read_ask(reader, contact)
    reader.follow(YES)
    reader.see("Mogen wij u")
    reader.press(YES)
    reader.see("Hebt u zelf op Ja gedrukt?")
    _require(contact, Status.UNCONFIRMED)
    reader.press(AGAIN)
    reader.see(IS_RECORDED)
    _require(contact, Status.CONFIRMED)


def answer_late(place: Place, reader: Reader) -> None:
    """Answer after the deadline, and sign up without typing the address."""
    contact = place.ask()
    place.pages.clock.move_to(DEADLINE + timedelta(days=1))
    place.read_ask(reader, contact)
    reader.follow(YES)
    reader.see("De termijn voor dit antwoord is voorbij")
    reader.press(SIGN_UP)
    place.confirm_newest(reader)
    _require(contact, Status.CONFIRMED)


def return_after_erasure(place: Place, reader: Reader) -> None:
    """Press a link of an old mail after everything was deleted, and sign up."""
    contact = place.ask()
    place.read_ask(reader, contact)
    erase(place.pages, contact)
    reader.follow(YES)
    # Whose language was theirs is not known any more: it is the reader's.
    reader.see("De gegevens bij deze link zijn gewist")
    reader.fill("E-mailadres", "anna@example.org")
    reader.press(SIGN_UP)
    place.confirm_newest(reader)


def sign_up(place: Place, reader: Reader) -> None:
    """Sign up on the website; the first try has no whole address."""
    reader.open(f"{place.pages.settings.public_url}/join/news")
    reader.see("Aanmelden")
    reader.fill("E-mailadres", "bram")
    reader.press(SIGN_UP)
    reader.see("Aanmelden", told=WRONG)
    reader.fill("E-mailadres", "bram@example.org")
    reader.press(SIGN_UP)
    place.confirm_newest(reader)


def see_and_delete(place: Place, reader: Reader) -> None:
    """See everything that is held, correct the name, and have everything deleted."""
    contact = place.ask()
    place.read_ask(reader, contact)
    reader.follow("Wat wij van u bewaren")
    reader.see("Wat wij van u bewaren")
    reader.press("Stuur mij een link")
    reader.see("Kijk in uw mail")
    reader.open(place.link("fresh", newest().uid))
    reader.see("Wat wij van u bewaren")
    reader.press("Toon wat er van mij")
    reader.see(HELD)
    reader.fill("Naam", "Anna")
    reader.press("Naam en taal verbeteren")
    reader.see(HELD, told="Het is verbeterd.")
    assert Contact.get_by_id(contact.id).name == "Anna"
    reader.press("Verder naar het wissen")
    reader.see("Alles laten wissen")
    reader.press("Ja, wis alles")
    reader.see("Uw gegevens op deze lijst zijn gewist")
    assert Contact.get_by_id(contact.id).erased_at


JOURNEYS: Mapping[str, Callable[[Place, Reader], None]] = {
    "Yes": answer_yes,
    "No": answer_no,
    "once more": answer_once_more,
    "late": answer_late,
    "erased": return_after_erasure,
    "sign-up": sign_up,
    "held": see_and_delete,
}


# --- With a browser. ------------------------------------------------------------------------------


class Mouse:
    """Points and presses; nothing may stick out of the screen."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.seen: list[str] = []

    def read_mail(self, html: str) -> None:
        self.page.set_content(html)
        self._look("mail")

    def open(self, url: str) -> None:
        self.page.goto(url)

    def follow(self, words: str) -> None:
        self.page.get_by_role("link", name=re.compile(f"^{words}")).first.click()

    def press(self, words: str) -> None:
        self.page.get_by_role("button", name=re.compile(f"^{words}")).click()

    def fill(self, label: str, text: str) -> None:
        self.page.get_by_label(label, exact=True).fill(text)

    def see(self, heading: str, *, told: str = "") -> None:
        self.page.get_by_role("heading", level=1).filter(has_text=heading).wait_for()
        self.page.wait_for_load_state()
        if told:
            assert told in self.page.locator("[role=status], [role=alert]").inner_text()
        self._look(heading)

    def _look(self, name: str) -> None:
        self.seen.append(name)
        is_wide = self.page.evaluate("document.documentElement.scrollWidth > innerWidth")
        assert not is_wide, (name, self.page.evaluate(CUT_OFF))
        self.check(name)

    def check(self, name: str) -> None:
        """Look at what else a way of reading asks of a page."""


class Keyboard(Mouse):
    """Presses nothing but keys; what has the focus must be seen, by a line around it.

    `steps` is how often the tabulator was pressed before each press.
    """

    def __init__(self, page: Page) -> None:
        super().__init__(page)
        self.steps: list[int] = []

    def follow(self, words: str) -> None:
        self._tab_to(f"matches('a') && document.activeElement.innerText.startsWith({words!r})")
        self.page.keyboard.press("Enter")

    def press(self, words: str) -> None:
        self._tab_to(f"matches('button') && document.activeElement.innerText.startsWith({words!r})")
        self.page.keyboard.press("Enter")

    def fill(self, label: str, text: str) -> None:
        self._tab_to(f"labels && document.activeElement.labels[0]?.innerText === {label!r}")
        self.page.keyboard.press("Control+A")
        self.page.keyboard.type(text)

    def _tab_to(self, condition: str) -> None:
        """Press the tabulator until a condition holds of what has the focus."""
        steps = 0
        while not self.page.evaluate(f"document.activeElement.{condition}"):
            self.page.keyboard.press("Tab")
            steps += 1
            flaw = self.page.evaluate(_FOCUS_FLAW)
            assert not flaw, flaw
            assert steps < _MOST_STEPS
        self.steps.append(steps)

    def check(self, name: str) -> None:
        # A page begins at its beginning, whatever answer it was opened for.
        assert self.page.evaluate("document.activeElement === document.body"), name


_MOST_STEPS = 60

# At the end of the page the focus is the browser's own for a moment.
_FOCUS_FLAW = """() => {
    const one = document.activeElement;
    if (one === document.body) return '';
    const [box] = one.getClientRects();
    const above = document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
    const {outlineStyle, outlineWidth} = getComputedStyle(one);
    if (!one.contains(above)) return `out of sight: ${one.outerHTML}`;
    if (outlineStyle === 'none' || outlineWidth === '0px') return `no line: ${one.outerHTML}`;
    return '';
}"""


class ScreenReader(Mouse):
    """Knows the accessibility tree alone, as the browser gives it to such a program."""

    def __init__(self, page: Page) -> None:
        super().__init__(page)
        self._line: CDPSession = page.context.new_cdp_session(page)
        self._line.send("Accessibility.enable")

    def follow(self, words: str) -> None:
        self._act("link", words)

    def press(self, words: str) -> None:
        self._act("button", words)

    def fill(self, label: str, text: str) -> None:
        found = self._find("textbox", label)
        self._line.send("DOM.focus", {"backendNodeId": found["backendDOMNodeId"]})
        self.page.keyboard.press("Control+A")
        self.page.keyboard.insert_text(text)

    def see(self, heading: str, *, told: str = "") -> None:
        super().see(heading, told=told)
        tree = self.read_tree()
        assert heading in next(one["name"] for one in tree if one["role"] == "heading")
        live = [one["live"] for one in tree if one["role"] in {"status", "alert"}]
        assert live == ([{WRONG: "assertive"}.get(told, "polite")] if told else [])
        # Which field is wrong, and why, is said of the field too.
        wrong = [one for one in tree if one.get("invalid") == "true"]
        assert [WRONG in one["description"] for one in wrong] == [True] * (told == WRONG)

    def read_tree(self) -> list[dict[str, Any]]:
        """Return what is read aloud, in its order: each with its role, name and properties."""
        nodes = self._line.send("Accessibility.getFullAXTree")["nodes"]
        found = {one["nodeId"]: one for one in nodes}
        return list(_read_aloud(found, nodes[0]["nodeId"]))

    def _find(self, role: str, words: str) -> dict[str, Any]:
        tree = self.read_tree()
        matching = (one for one in tree if one["role"] == role and one["name"].startswith(words))
        found = next(matching, None)
        assert found, (role, words, [(one["role"], one["name"]) for one in tree])
        return found

    def _act(self, role: str, words: str) -> None:
        """Do what the program does that its user tells to press: the element's own action."""
        node = {"backendNodeId": self._find(role, words)["backendDOMNodeId"]}
        target = self._line.send("DOM.resolveNode", node)["object"]["objectId"]
        act = {"objectId": target, "functionDeclaration": "function() { this.click(); }"}
        self._line.send("Runtime.callFunctionOn", act)

    def check(self, name: str) -> None:
        tree = self.read_tree()
        nameless = [
            one["role"] for one in tree if one["role"] in _NAMED and not one["name"].strip()
        ]
        assert not nameless, (name, nameless)
        levels = [one["level"] for one in tree if one["role"] == "heading"]
        if name == "mail":
            assert levels[0] == 1
            return
        # One heading of the first level, first of all, and none that leaves a level out.
        assert levels[0] == 1, (name, levels)
        assert levels.count(1) == 1, (name, levels)
        assert all(after <= before + 1 for before, after in pairwise(levels)), (name, levels)
        assert [one["role"] for one in tree].count("main") == 1, name
        assert tree[0]["name"], name


_NAMED = {"link", "button", "textbox", "combobox", "heading", "navigation"}


def _read_aloud(nodes: Mapping[str, Any], node_id: str) -> Any:
    node = nodes[node_id]
    if not node["ignored"]:
        properties = {one["name"]: one["value"].get("value") for one in node.get("properties", ())}
        yield {
            **properties,
            "role": node["role"]["value"],
            "name": node.get("name", {}).get("value", ""),
            "description": node.get("description", {}).get("value", ""),
            "backendDOMNodeId": node.get("backendDOMNodeId"),
        }
    for child in node.get("childIds", ()):
        yield from _read_aloud(nodes, child)
