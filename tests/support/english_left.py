"""English that was left standing in a text or a page of another language."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser

from repermit.i18n.catalogues import load_translations
from tests.catalogues import messages, texts

_SHORTEST = 12
"""A sentence of fewer letters may well be one in another language too."""


def english_in(text: str, language: str) -> list[str]:
    """Return what of the English of the catalogue stands in a text of another language."""
    read = " ".join(text.split())
    return [one for one in _foreign(language) if one in read]


@cache
def _foreign(language: str) -> frozenset[str]:
    """Return the English that is not that of a translation as well."""
    gettext = load_translations(language).gettext
    sources = [text for message in messages(language) for text in texts(message.id)]
    translated = " ".join(map(gettext, sources))
    english = {part for text in sources for part in _parts(text)}
    return frozenset(part for part in english if part not in translated)


def _parts(text: str) -> Iterator[str]:
    """Yield what stands between the placeholders of a text, where it is long enough to tell."""
    for part in re.split(r"%\(\w+\)[sd]|\{\w+\}", text):
        words = " ".join(part.split()).strip(" .,:;")
        if len(words) >= _SHORTEST and " " in words:
            yield words


# --- A page, of which a single word may stand by itself. -----------------------------------------

_SHOWN = {"alt", "aria-label", "data-busy", "placeholder", "title"}
_UNSEEN = {"script", "style"}


def english_on(html: str, language: str) -> list[str]:
    """Return what a page says in English: within a text, or as all that stands in one place."""
    said = _Said()
    said.feed(html)
    alone = _words(language).intersection(said.texts)
    return english_in(" ".join(said.texts), language) + sorted(alone)


@cache
def _words(language: str) -> frozenset[str]:
    """Return what is too short to be told within a text, and is no translation as well."""
    known = messages(language)
    own = {" ".join(text.split()) for one in known for text in texts(one.string)}
    english = {" ".join(text.split()) for one in known for text in texts(one.id)}
    return frozenset(text for text in english - own if not any(_parts(text)))


class _Said(HTMLParser):
    """The texts of a page, each as it stands by itself; also those that are only read aloud."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self._is_seen = True

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take the texts of attributes."""
        self._is_seen = tag not in _UNSEEN
        self.texts += [" ".join(value.split()) for name, value in attrs if name in _SHOWN and value]

    def handle_endtag(self, tag: str) -> None:
        """Go on with what is seen."""
        self._is_seen = self._is_seen or tag in _UNSEEN

    def handle_data(self, data: str) -> None:
        """Take a text."""
        if self._is_seen and (text := " ".join(data.split())):
            self.texts.append(text)
