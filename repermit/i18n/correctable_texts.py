"""The texts that recipients read, which an admin may correct one by one.

A text is identified by its English, which is its id in the catalogues.
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

    - `source`: the English text; singular and plural if it depends on a number.
    - `usual`: the shipped translation; one form, or one for each of `numbers`.
    - `numbers`: the smallest number of each plural form.
    """

    language: str
    source: tuple[str, ...]
    usual: tuple[str, ...]
    numbers: tuple[int, ...]

    @property
    def key(self) -> str:
        """Return the key of the text in URLs, the same in all languages: 16 hex digits."""
        return key_of(self.source[0])

    def has(self, wanted: str, corrected: Sequence[str] = ()) -> bool:
        """Return whether a search term is the text's key or occurs in any of its forms."""
        said = (*self.source, *self.usual, *corrected)
        return wanted == self.key or any(as_typed(wanted) in as_typed(one) for one in said)


def as_typed(text: str) -> str:
    """Normalise a text for comparison: single spaces, case folded."""
    return " ".join(normalize("NFC", text).split()).casefold()


def key_of(source: str) -> str:
    """Return the key in URLs of the text with this English singular."""
    return hashlib.sha256(source.encode()).hexdigest()[:_KEY_LENGTH]


@cache
def texts_in(language: str) -> Mapping[str, Text]:
    """Return all texts that recipients read in a language, by key, sorted by their English.

    Patterns of dates are left out: they are no texts.
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
    """Return the smallest number of each plural form, from 1 if possible."""
    form_of = load_translations(language).get_plural_form
    smallest: dict[int, int] = {}
    for number in _NUMBERS:
        smallest.setdefault(form_of(number), number)
    return tuple(smallest[form] for form in sorted(smallest))
