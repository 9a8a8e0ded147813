"""The texts that recipients read, one by one, for an admin who knows the language better.

May import saying, errors and this room's catalogue and rules of wording. A text is known by its
English, which is its id in the catalogues.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from repermit.errors import Refused
from repermit.messages.autolinks import endless_word, other_links
from repermit.messages.catalogue import SOURCE_LANGUAGE, read_catalogue, translations
from repermit.messages.offers import offers_in
from repermit.saying import Said

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from babel.messages.catalog import Message

_KEY_LENGTH = 16
_NUMBERS = range(201)
_PLACEHOLDER = re.compile(r"%\(\w+\)s")
# Texts stand in the HTML of pages as they are, in attributes too, and marks fill in what is a
# person's.
_MARKUP = re.compile(r"[<>&\"%⟦⟧]")
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


def checked_correction(text: Text, forms: Sequence[str]) -> tuple[str, ...]:
    """Return a correction with single blanks; () for the usual text, which empty forms stand for.

    Raises Refused for what would break a mail or a page, lose what is filled in, or put a link or
    an offer into what people are asked.
    """
    made = tuple(" ".join(re.split(r"[ \t\r\n]+", form)).strip(" ") for form in forms)
    if not any(made) or made == text.usual:
        return ()
    if len(made) != len(text.usual):
        raise Refused("give as many texts as it has forms: %(forms)s", forms=len(text.usual))
    for form, usual in zip(made, text.usual, strict=True):
        _refuse_wrong(text, unicodedata.normalize("NFC", form), usual)
    return tuple(unicodedata.normalize("NFC", form) for form in made)


def _refuse_wrong(text: Text, form: str, usual: str) -> None:
    if not form:
        raise Refused("say it in every form, or in none to have the usual text")
    given = set(_PLACEHOLDER.findall(form))
    # A form for one thing may leave the number out, or have it.
    wanted, allowed = _filled_in((usual,)), _filled_in((*text.usual, *text.source))
    if missing := sorted(wanted - given):
        raise Refused("%(field)s must stand in it: there it is filled in", field=missing[0])
    if unknown := sorted(given - allowed):
        raise Refused("%(field)s is not filled in here", field=unknown[0])
    plain = _PLACEHOLDER.sub("x", form)
    if wrong := _MARKUP.search(plain):
        raise Refused("the sign %(sign)s cannot stand in a text", sign=wrong[0])
    if any(unicodedata.category(sign).startswith("C") for sign in plain):
        raise Refused("there is a sign in it that cannot be seen")
    longest = 2 * len(usual) + _MORE_SIGNS
    if len(form) > longest:
        raise Refused(
            "too long: at most %(longest)s characters, so that it stands where it has to",
            longest=longest,
        )
    _refuse_promotion(plain, _PLACEHOLDER.sub("x", usual))


_MORE_SIGNS = 20


def _refuse_promotion(form: str, usual: str) -> None:
    """Refuse what may not stand in a mail that asks, unless it always stood there."""
    reason = _link_in(form, usual)
    if reason:
        raise Refused(reason)
    if offers := sorted({*offers_in(form)} - {*offers_in(usual)}):
        raise Refused("%(offer)s sounds like an offer, and asking is none", offer=offers[0])


def _link_in(form: str, usual: str) -> Said:
    """Return the reason against a link that was not there before, or a word too long to tell."""
    if endless := endless_word(form):
        return endless
    known = set(other_links(usual, reply_to=""))
    more = [reason for reason in other_links(form, reply_to="") if reason not in known]
    return more[0] if more else Said()


def _filled_in(forms: Sequence[str]) -> set[str]:
    return {name for form in forms for name in _PLACEHOLDER.findall(form)}


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
    form_of = translations(language).form
    smallest: dict[int, int] = {}
    for number in (*_NUMBERS[1:], 0):
        smallest.setdefault(form_of(number), number)
    return tuple(smallest[form] for form in sorted(smallest))
