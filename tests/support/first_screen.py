"""How far down a phone the answers stand, and how many words come before them: mails and pages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repermit.answers import link_target
from repermit.db.connection import Database
from repermit.db.models.base import new_id
from repermit.db.models.contacts import Contact, SignUp
from repermit.emails.compose_mail import compose_mail
from repermit.emails.first_screen import MAX_PIXELS, MAX_WORDS, FirstScreen
from repermit.emails.frozen_draft import Draft
from repermit.i18n import catalogues
from repermit.rules.bot_detection import LINKS
from tests.support.builders import (
    NOW,
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
from tests.support.public_pages import Pages, erase

if TYPE_CHECKING:
    from playwright.sync_api import Page

WIDTH = 360
WIDTHS = (320, 360, 390, 600)

# The longest day there is in Dutch, to its end.
_DEADLINE = datetime(2026, 9, 30, 22, tzinfo=UTC)
_AFTER = _DEADLINE + timedelta(hours=1)
_DEADLINES = {"": _DEADLINE, ", to an hour": datetime(2026, 9, 30, 15, 30, tzinfo=UTC)}


@dataclass(frozen=True, kw_only=True)
class Names:
    """What an organisation, its list and a reader are called."""

    organisation: str
    list_name: str
    purpose: str
    frequency: str
    reader: str
    domain: str = "example.org"


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
# Longer than nearly all that there are; above the answers they are cut.
LONGEST = Names(
    organisation="Stichting Regionaal Samenwerkingsverband Huisartsen Noord-Limburg",
    list_name="Nieuwsbrief voor mensen met diabetes en hun naasten",
    purpose=(
        "vaccinaties, spreekuren, cursussen en groepen voor mensen "
        "die bij ons patiënt zijn of zijn geweest"
    ),
    frequency="ongeveer acht keer per jaar",
    reader="Johanna van den Berg-Hendriksen",
    domain="stichtingregionaalsamenwerkingsverbandhuisartsennoordlimburg.nl",
)
# Of 50 signs each, so that neither is cut; the purpose takes what room they leave.
UNCUT = Names(
    organisation="Stichting Gezondheidscentra Noord-Limburg en Venlo",
    list_name="Nieuwsbrief voor mensen met diabetes in de familie",
    purpose="vaccinaties, spreekuren en cursussen",
    frequency="ongeveer acht keer per jaar",
    reader="Johanna van den Berg-Hendriksen",
)
SHORT_WORDS = Names(
    organisation="Bond van en voor de Kat en de Hond in Oss en Uden",
    list_name="Wat er te doen is in en om het dorp en de zee",
    purpose="wie er bij ons op de thee komt en wat er in het dorp is te doen",
    frequency="een keer in de week of twee",
    reader="Johanna van den Berg-Hendriksen",
)
NAMES: Mapping[str, Names] = {
    "usual": USUAL,
    "long": LONG,
    "longest": LONGEST,
    "uncut": UNCUT,
    "of short words": SHORT_WORDS,
}


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
            for to_when, deadline in _DEADLINES.items():
                draft: Draft = make(**about, deadline=deadline, language=language)
                mail = compose_mail(draft, make_ask_values(name=names.reader))
                yield f"{kind}{name}{to_when}", mail.html
        draft = make_confirm(**about, language=language)
        yield f"{kind}sign-up", compose_mail(draft, make_confirm_values()).html


class AnswerPages:
    """The pages on which people answer, or representatives do, of lists in every language."""

    def __init__(self, database: Database, names: Names) -> None:
        organisation = make_organisation(name=names.organisation)
        self._pages = Pages(database, make_settings(organisation=organisation))
        self._names = names
        self._paths: dict[str, tuple[datetime, str]] = {}
        self._asked_again: dict[str, str] = {}
        self._refused: dict[str, str] = {}
        self._signed_up: dict[str, str] = {}
        for sensitive in (False, True):
            for to_when, deadline in _DEADLINES.items():
                self._prepare(database, to_when, deadline, sensitive=sensitive)

    def _prepare(
        self, database: Database, to_when: str, deadline: datetime, *, sensitive: bool
    ) -> None:
        kind, names = "sensitive " if sensitive else "", self._names
        about = make_list(
            database,
            slug=f"{'sensitive' if sensitive else 'news'}-{len(names.organisation)}{len(to_when)}",
            name=names.list_name,
            purpose=names.purpose,
            frequency=names.frequency,
            sensitive=sensitive,
            languages=catalogues.languages(),
        )
        campaign = make_campaign(database, about, deadline=deadline)
        made = [
            make_asked(database, about, campaign, f"anna{number}@{names.domain}")
            for number in range(5)
        ]
        asked, left, off, customer, again = (one.uid for one in made)
        yes, no = ({one.uid: self._pages.path(word, one.uid) for one in made} for word in LINKS)
        self._pages.post("no", left)
        Contact.update(status="removed", reason="bounce").where(Contact.uid == off).execute()
        Contact.update(status="customer", basis="customer").where(Contact.uid == customer).execute()
        self._paths |= {
            f"{kind}question{to_when}": (NOW, yes[asked]),
            f"{kind}question after a No{to_when}": (NOW, yes[left]),
            f"{kind}question of who is off the list{to_when}": (NOW, yes[off]),
            f"{kind}late No{to_when}": (_AFTER, no[asked]),
            f"{kind}late No of a customer{to_when}": (_AFTER, no[customer]),
        }
        self._asked_again[f"{kind}question once more{to_when}"] = again
        self._refused[f"{kind}question once more after a No{to_when}"] = left
        if to_when:
            return
        join = f"/join/{link_target.make_join_id(about, settings=self._pages.settings)}"
        signed_up = []
        for name in "ab":
            address = f"{name}{kind[:1]}{len(names.organisation)}@{names.domain}"
            self._pages.client.post(join, data={"address": address})
            signed_up.append(SignUp.select().order_by(SignUp.id.desc()).get().uid)
        self._paths[f"{kind}sign-up"] = (NOW, self._pages.path("confirm", signed_up[0]))
        self._signed_up[f"{kind}sign-up once more"] = signed_up[1]

    def __call__(self, language: str) -> Iterator[tuple[str, str]]:
        """Yield the HTML of each page in a language, by what it is.

        Representatives see the longest alone: whose question has a deadline with an hour.
        """
        for name, html in self._open({"lang": language}):
            yield name, html
        for name, html in self._open({"lang": language, "as": "representative"}):
            if "late" not in name and ("hour" in name or "sign-up" in name):
                yield f"{name}, to a representative", html

    def look_at(self, name: str, query: Mapping[str, str]) -> str:
        """Return the HTML of one page as it is before anything is pressed."""
        at, path = self._paths[name]
        self._pages.clock.move_to(at)
        return self._pages.client.get(path, query_string=query).text

    def _open(self, query: dict[str, str]) -> Iterator[tuple[str, str]]:
        for name in self._paths:
            yield name, self.look_at(name, query)
        self._pages.clock.move_to(NOW)
        yield from self._press(query)

    def _press(self, query: dict[str, str]) -> Iterator[tuple[str, str]]:
        for name, uid in self._asked_again.items():
            for kind in LINKS:
                self._pages.get(kind, uid)
            yield name, self._pages.post("yes", uid, query_string=query).text
        for name, uid in self._refused.items():
            yield name, self._pages.post("yes", uid, query_string=query).text
        for name, uid in self._signed_up.items():
            # Whoever declined is asked once more.
            self._pages.post("confirm", uid, data={"choice": "no"})
            data = {"choice": "yes"}
            yield name, self._pages.post("confirm", uid, data=data, query_string=query).text


class ResultPages:
    """The pages that say what became of an answer, those of whom nothing is held, and sign-ups."""

    def __init__(self, database: Database, names: Names) -> None:
        organisation = make_organisation(name=names.organisation, email=f"info@{names.domain}")
        self._pages = Pages(database, make_settings(organisation=organisation))
        about = make_list(
            database,
            slug=f"results-{len(names.organisation)}",
            name=names.list_name,
            purpose=names.purpose,
            frequency=names.frequency,
            languages=catalogues.languages(),
        )
        campaign = make_campaign(database, about, deadline=_DEADLINE)
        yes, no, gone = (make_asked(database, about, campaign) for _ in range(3))
        late = make_asked(database, about, campaign, f"a@{names.domain}")
        self._pages.say_yes(yes.uid)
        self._pages.post("no", no.uid)
        erase(self._pages, gone)
        path = self._pages.path
        self._paths = {
            "Yes recorded": (NOW, path("yes", yes.uid)),
            "No recorded": (NOW, path("no", no.uid)),
            "late": (_AFTER, path("yes", late.uid)),
            "late, by the link for No": (_AFTER, path("no", late.uid)),
            "what is held": (NOW, path("me", late.uid)),
            "erased": (NOW, path("yes", gone.uid)),
            "nothing held": (NOW, path("yes", new_id())),
            "receipt": (NOW, path("receipt", yes.uid)),
            "sign-up form": (NOW, f"/join/{about.slug}"),
            "front": (NOW, "/"),
        }

    def __call__(self, language: str) -> Iterator[tuple[str, str]]:
        """Yield the HTML of each page in a language, by what it is."""
        for name, (at, path) in self._paths.items():
            self._pages.clock.move_to(at)
            query = {"lang": language}
            headers = {"Accept-Language": language}
            response = self._pages.client.get(path, query_string=query, headers=headers)
            assert response.status_code == 200
            yield name, response.text


def measure(page: Page, html: str, *, width: int = WIDTH) -> FirstScreen:
    """Return where the answers stand in a browser of this width."""
    return measure_all(page, {"": html}, widths=(width,))[""][width]


def measure_all(
    page: Page, shown: Mapping[str, str], *, widths: Iterable[int] = WIDTHS
) -> dict[str, dict[int, FirstScreen]]:
    """Return where the answers of each document stand in browsers of these widths."""
    every = [*widths]
    sizes = [(width, MAX_PIXELS) for width in every]
    return {
        name: {
            width: FirstScreen(pixels=pixels, words=words)
            for width, (pixels, words) in zip(every, found, strict=True)
        }
        for name, found in evaluate_in_frame(page, shown, _MEASURE, sizes=sizes).items()
    }


def find_wide(
    page: Page,
    shown: Mapping[str, str],
    *,
    sizes: Iterable[tuple[int, int]] = ((320, 640),),
    script: str = "() => 0",
) -> dict[str, list[Any]]:
    """Return what sticks out of each document that is wider than a screen, after a script."""
    called = f"() => {{ ({script})(); return ({_WIDE})(); }}"
    found = evaluate_in_frame(page, shown, called, sizes=sizes)
    return {name: cut_off for name, cut_off in found.items() if any(cut_off)}


def evaluate_on_each(page: Page, shown: Mapping[str, str], script: str) -> dict[str, Any]:
    """Show documents one after the other in one window; return what a function says of each."""
    page.set_content("<!doctype html>")
    said = page.evaluate(_ON_EACH % script, [*shown.values()])
    return dict(zip(shown, said, strict=True))


def evaluate_in_frame(
    page: Page, shown: Mapping[str, str], script: str, *, sizes: Iterable[tuple[int, int]]
) -> dict[str, list[Any]]:
    """Show documents in a frame of each width and height; return what a function says of each.

    A frame is laid out anew for another size in no time, where a window reads the document again.
    """
    page.set_content('<!doctype html><iframe srcdoc="<!doctype html>" style="border: 0"></iframe>')
    said = page.frames[-1].evaluate(_AT_EACH_SIZE % script, [[*shown.values()], [*sizes]])
    return dict(zip(shown, said, strict=True))


def find_worst(found: Iterable[Mapping[int, FirstScreen]]) -> dict[int, FirstScreen]:
    """Return for each width how far down the lowest answer ends, and the most words before one."""
    every = list(found)
    return {
        width: FirstScreen(
            pixels=max(one[width].pixels for one in every),
            words=max(one[width].words for one in every),
        )
        for width in every[0]
    }


TABLE = Path(__file__).parents[2] / "docs/develop/first-screen.md"


def make_table(rows: Mapping[str, tuple[Mapping[int, FirstScreen], ...]]) -> str:
    """Return the page with what was measured: by language, of mails and of pages."""
    heads = [f"{what} {width}" for what in ("mail", "page") for width in WIDTHS]
    heads[len(WIDTHS) : len(WIDTHS)] = ["words"]
    lines = ["language", *heads, "words"]
    table = [f"| {' | '.join(lines)} |", "|" + "---|" * len(lines)]
    for language, shown in rows.items():
        cells = [catalogues.language_name(language)]
        for found in shown:
            cells += [str(found[width].pixels) for width in WIDTHS]
            cells.append(str(max(one.words for one in found.values())))
        table.append(f"| {' | '.join(cells)} |")
    return _TABLE_PAGE.format(
        pixels=MAX_PIXELS,
        words=MAX_WORDS,
        organisation=LONG.organisation,
        list_name=LONG.list_name,
        table="\n".join(table),
    )


_TABLE_PAGE = """# The first screen

<!-- FIRST_SCREEN=write pytest tests/exhaustive/test_browser_first_screen.py writes this page. -->

Most people look at a mail for ten seconds, on a phone. So both answers have to stand within the \
first {pixels} pixels of mail and page on a screen of 360. At most {words} words may stand before \
them.

The table says where the lower answer ends, in pixels, on screens of 320, 360, 390 and 600 pixels. \
It says too how many words stand before the first answer. Each number is the worst of all kinds: \
ask, reminder and sign-up, and their pages. Those are also the pages that ask once more, after a \
No too, that take a No after the deadline, and that representatives answer on. Lists are usual and \
sensitive ones. A deadline ends a day, or has an hour. The names are long: “{organisation}” and \
“{list_name}”.

Where a name has more than 50 signs, or ten words, its beginning stands above the answers and all \
of it below. The longer the names, the less room is left there for the purpose and how often mail \
comes. That is 80 signs at most; the end of a purpose stands below alone. So does that of a domain \
of more than 29. Capitals within a word count for one and a half. Whose own name has more than \
four words, or is wider than some 31 letters or 22 capitals, is greeted without it. So other \
names, which the test measures too, keep the answers where they are. They are longer ones, ones of \
50 signs, and ones of many short words. Some names still push an answer down, as ones in capitals \
may on a page. Then the pages on which the list and its mail are described say so, before anything \
is launched.

Chromium measured it; with other typefaces the numbers are some pixels more or less. A test in the \
exhaustive set measures again, and fails where this page is stale. How to write it anew: \
[Special runs](tests.md#special-runs).

{table}
"""


_ON_EACH = """texts => texts.map(text => {
    const read = new DOMParser().parseFromString(text, 'text/html');
    document.replaceChild(document.adoptNode(read.documentElement), document.documentElement);
    return (%s)();
})"""

_AT_EACH_SIZE = """([texts, sizes]) => texts.map(text => {
    const read = new DOMParser().parseFromString(text, 'text/html');
    document.replaceChild(document.adoptNode(read.documentElement), document.documentElement);
    return sizes.map(([width, height]) => {
        Object.assign(frameElement.style, {width: `${width}px`, height: `${height}px`});
        return (%s)();
    });
})"""

# Words that are seen; what is folded is not.
_MEASURE = r"""() => {
    // Where a word may break, it is one still.
    document.querySelectorAll('wbr').forEach(one => one.remove());
    document.body.normalize();
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


# Text of twice the size, as mail programs make it.
DOUBLED = """() => {
    const all = [...document.querySelectorAll('body *')];
    const sizes = all.map(one => parseFloat(getComputedStyle(one).fontSize));
    all.forEach((one, at) => one.style.setProperty('font-size', `${sizes[at] * 2}px`, 'important'));
}"""

# Words that a line ends within, where no sign allows it; those of an address may.
CUT_WORDS = r"""() => {
    const cut = [];
    const range = document.createRange();
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const node = walker.currentNode;
        const around = node.parentElement;
        if (!around.checkVisibility() || around.closest('.address, address')) continue;
        for (const word of node.data.matchAll(/[\p{L}\p{N}]+/gu)) {
            range.setStart(node, word.index);
            range.setEnd(node, word.index + word[0].length);
            const tops = [...range.getClientRects()].filter(box => box.width).map(box => box.top);
            if (new Set(tops).size > 1)
                cut.push([word[0], getComputedStyle(around).hyphens]);
        }
    }
    return cut;
}"""

# What sticks out of the screen, or of what it stands in; signs that nobody sees do not.
CUT_OFF = """() => [...document.querySelectorAll('body, body *')].filter(one => {
    const box = one.getBoundingClientRect();
    const isInline = getComputedStyle(one).display === 'inline';
    const isCut = !isInline && one.scrollWidth > one.clientWidth + 1;
    return box.width && (box.left < 0 || box.right > innerWidth + .5 || isCut);
}).map(one => one.outerHTML.slice(0, 200))"""

_WIDE = f"""() => {{
    const found = ({CUT_OFF})();
    return document.documentElement.scrollWidth > innerWidth ? ["the page", ...found] : found;
}}"""
