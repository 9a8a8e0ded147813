"""How far down a phone the answers stand, and how many words come before them: mails and pages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from repermit.answers import link_target
from repermit.db.connection import Database
from repermit.db.models.campaigns import Campaign
from repermit.db.models.contacts import SignUp
from repermit.emails.compose_mail import compose_mail
from repermit.emails.first_screen import MOST_PIXELS, FirstScreen
from repermit.emails.frozen_draft import Draft
from repermit.i18n import catalogues
from tests.support.builders import (
    make_asked,
    make_campaign,
    make_list,
    make_organisation,
    make_settings,
)
from tests.support.mail_builders import (
    make_ask,
    make_ask_values,
    make_confirm,
    make_confirm_values,
    make_facts,
    make_practice,
    make_reminder,
)
from tests.support.public_pages import Pages

if TYPE_CHECKING:
    from playwright.sync_api import Page

WIDTH = 360
WIDTHS = (320, 360, 390, 600)

# The longest day there is in Dutch, to its end.
_DEADLINE = datetime(2026, 9, 30, 22, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Names:
    """What an organisation, its list and a reader are called."""

    organisation: str
    list_name: str
    purpose: str
    frequency: str
    reader: str


USUAL = Names(
    organisation="Huisartsenpraktijk De Linde",
    list_name="Nieuws van De Linde",
    purpose="nieuws over onze praktijk",
    frequency="vier keer per jaar",
    reader="Anna de Vries",
)
LONG = Names(
    organisation="Stichting Gezondheidscentrum Noord-Limburg",
    list_name="Nieuwsbrief voor mensen met diabetes",
    purpose="vaccinaties, spreekuren en cursussen voor mensen die bij ons patiënt zijn",
    frequency="ongeveer acht keer per jaar",
    reader="Johanna van den Berg-Hendriksen",
)
NAMES: Mapping[str, Names] = {"usual": USUAL, "long": LONG}


def mails(language: str, names: Names) -> Iterator[tuple[str, str]]:
    """Yield the HTML of each mail that asks for an answer, by what it is."""
    organisation = make_practice(name=names.organisation)
    for sensitive in (False, True):
        facts = make_facts(
            name=names.list_name,
            purpose=names.purpose,
            frequency=names.frequency,
            sensitive=sensitive,
        )
        about: dict[str, Any] = {"organisation": organisation, "mailing_list": facts}
        kind = "sensitive " if sensitive else ""
        for name, make in (("ask", make_ask), ("reminder", make_reminder)):
            draft: Draft = make(**about, deadline=_DEADLINE, language=language)
            yield f"{kind}{name}", compose_mail(draft, make_ask_values(name=names.reader)).html
        draft = make_confirm(**about, language=language)
        yield f"{kind}sign-up", compose_mail(draft, make_confirm_values()).html


class AnswerPages:
    """The pages on which people answer, of lists that speak every language."""

    def __init__(self, database: Database, names: Names) -> None:
        organisation = make_organisation(name=names.organisation)
        self._pages = Pages(database, make_settings(organisation=organisation))
        self._paths: dict[str, str] = {}
        self._asked_again: dict[str, str] = {}
        for sensitive in (False, True):
            self._prepare(database, names, sensitive=sensitive)

    def _prepare(self, database: Database, names: Names, *, sensitive: bool) -> None:
        kind = "sensitive " if sensitive else ""
        about = make_list(
            database,
            slug=f"{'sensitive' if sensitive else 'news'}-{len(names.organisation)}",
            name=names.list_name,
            purpose=names.purpose,
            frequency=names.frequency,
            sensitive=sensitive,
            languages=catalogues.languages(),
        )
        asked = make_asked(database, about, make_campaign(database, about, deadline=_DEADLINE))
        question = self._pages.path("yes", asked.uid)
        self._paths[f"{kind}question"] = question
        self._asked_again[f"{kind}question once more"] = asked.uid
        left = make_asked(database, about, Campaign.get(Campaign.list == about))
        self._pages.post("no", left.uid)
        self._paths[f"{kind}question after a No"] = self._pages.path("yes", left.uid)
        join = f"/join/{link_target.make_join_id(about, settings=self._pages.settings)}"
        address = f"{'b' if sensitive else 'a'}{len(names.organisation)}@example.org"
        self._pages.client.post(join, data={"address": address})
        made = SignUp.select().order_by(SignUp.id.desc()).get()
        self._paths[f"{kind}sign-up"] = self._pages.path("confirm", made.uid)

    def __call__(self, language: str) -> Iterator[tuple[str, str]]:
        """Yield the HTML of each page in a language, by what it is."""
        query = {"lang": language}
        for name, path in self._paths.items():
            yield name, self._pages.client.get(path, query_string=query).text
        for name, uid in self._asked_again.items():
            for kind in ("yes", "no"):
                self._pages.get(kind, uid)
            yield name, self._pages.post("yes", uid, query_string=query).text


def measure(page: Page, html: str, *, width: int = WIDTH) -> FirstScreen:
    """Return where the answers stand in a browser of this width."""
    page.set_viewport_size({"width": width, "height": MOST_PIXELS})
    page.set_content(html)
    pixels, words = page.evaluate(_MEASURE)
    return FirstScreen(pixels=pixels, words=words)


# Words that are seen; what is folded is not.
_MEASURE = r"""() => {
    const answers = [...document.querySelectorAll('a.button, .answers button')];
    const pixels = Math.max(...answers.map(one => one.getBoundingClientRect().bottom + scrollY));
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    let words = 0;
    while (walker.nextNode() && !answers[0].contains(walker.currentNode)) {
        const node = walker.currentNode;
        if (node.parentElement.checkVisibility() && node.parentElement.offsetHeight)
            words += (node.data.match(/\S*[\p{L}\p{N}]\S*/gu) || []).length;
    }
    return [Math.ceil(pixels), words];
}"""
