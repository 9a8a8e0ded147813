"""The texts that recipients read, one by one, for an admin who knows the language better.

A text is known by its English, which is its id in the catalogues.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from repermit.i18n.catalogues import SOURCE_LANGUAGE, load_translations, read_catalogue
from repermit.unicode_limits import normalize

if TYPE_CHECKING:
    from babel.messages.catalog import Message


_KEY_LENGTH = 16
# Spanish, Italian and Portuguese have a form for millions.
_NUMBERS = (*range(1, 201), 0, 1_000_000)
# Its catalogue holds what recipients read, and no more: what only admins read is in English and
# Dutch alone.
_OF_RECIPIENTS = "de"


@dataclass(frozen=True, kw_only=True)
class Text:
    """One text that recipients read, in one language.

    `source` is its English, singular and plural where a number changes the words. `usual` is what
    comes with the package: one form, or one for each of `numbers`, which are the smallest that
    take it.
    """

    language: str
    source: tuple[str, ...]
    usual: tuple[str, ...]
    numbers: tuple[int, ...]

    @property
    def key(self) -> str:
        """Return what names the text in addresses, the same in all languages: 16 hex digits."""
        return key_of(self.source[0])

    def has(self, wanted: str, corrected: Sequence[str] = ()) -> bool:
        """Say whether the text is named so, or has this in it, as somebody types it."""
        said = (*self.source, *self.usual, *corrected)
        return wanted == self.key or any(as_typed(wanted) in as_typed(one) for one in said)


def as_typed(text: str) -> str:
    """Return a text with plain single blanks and small letters, to be compared with another."""
    return " ".join(normalize("NFC", text).split()).casefold()


def key_of(source: str) -> str:
    """Return what names the text with this English singular in addresses."""
    return hashlib.sha256(source.encode()).hexdigest()[:_KEY_LENGTH]


@cache
def texts_in(language: str) -> Mapping[str, Text]:
    """Return every text that recipients read in one of the languages, by its key.

    What says how dates are written is not among them: that is no text. They are in the order of
    their English.
    """
    known = {} if language == SOURCE_LANGUAGE else _usual_in(language)
    made = [
        Text(
            language=language,
            source=source,
            usual=known.get(source[0], source),
            numbers=_numbers(language) if len(source) > 1 else (),
        )
        for source in _sources()
    ]
    return {text.key: text for text in sorted(made, key=lambda text: text.source[0].casefold())}


@cache
def _sources() -> tuple[tuple[str, ...], ...]:
    return tuple(_several(message.id) for message in _messages(_OF_RECIPIENTS))


def _usual_in(language: str) -> dict[str, tuple[str, ...]]:
    return {_several(one.id)[0]: _several(one.string) for one in _messages(language)}


def _messages(language: str) -> list[Message]:
    return [one for one in read_catalogue(language) if one.id and not one.context]


def _several(forms: str | Sequence[str] | None) -> tuple[str, ...]:
    return (forms or "",) if isinstance(forms, str | None) else tuple(forms)


@cache
def _numbers(language: str) -> tuple[int, ...]:
    """Return the smallest number that takes each form, from 1 if any takes it."""
    form_of = load_translations(language).form
    smallest: dict[int, int] = {}
    for number in _NUMBERS:
        smallest.setdefault(form_of(number), number)
    return tuple(smallest[form] for form in sorted(smallest))
