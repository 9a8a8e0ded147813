"""The texts that recipients read, one by one, for an admin who knows the language better.

A text is known by its English, which is its id in the catalogues.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from repermit.emails.advertising_words import offers_in
from repermit.emails.autolinks import other_links
from repermit.emails.catalogues import SOURCE_LANGUAGE, read_catalogue, translations
from repermit.emails.template_preview import as_read
from repermit.errors import Refused
from repermit.lazy_text import Said
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
    form_of = translations(language).form
    smallest: dict[int, int] = {}
    for number in _NUMBERS:
        smallest.setdefault(form_of(number), number)
    return tuple(smallest[form] for form in sorted(smallest))


# --- What a correction of a text may not do. ------------------------------------------------------


_PLACEHOLDER = re.compile(r"%\(\w+\)s")
# Texts stand in the HTML of pages as they are, in attributes too, and marks fill in what is a
# person's.
_MARKUP = re.compile(r"[<>&\"%⟦⟧]")
_BLANKS = re.compile(r"[ \t\r\n]+")

_OF_A_LABEL = 120
"""How many characters the texts have that may stand on a button, in a title or in a subject."""

_SHORT, _LONGEST_WORD = 40, 40
_YES, _NO = ("Yes, ",), ("No, ", "I did not ")
"""How the English begins of what stands on buttons."""


def checked_correction(
    text: Text, forms: Sequence[str], *, corrected: Mapping[str, Sequence[str]]
) -> tuple[str, ...]:
    """Return a correction with single blanks; () for the usual text, which empty forms stand for.

    `corrected` are the forms of all that is corrected in this language, by key. Raises Refused for
    what would break a mail or a page, lose what is filled in, put a link or an offer into what
    people are asked, or let Yes and No say the same.
    """
    made = tuple(_BLANKS.sub(" ", normalize("NFC", form)).strip(" ") for form in forms)
    if not any(made) or made == text.usual:
        return ()
    if len(made) != len(text.usual):
        raise Refused("give as many texts as it has forms: %(forms)s", forms=len(text.usual))
    for form, usual in zip(made, text.usual, strict=True):
        _refuse_wrong(text, form, usual)
    _refuse_opposite(text, made[0], corrected)
    return made


def _refuse_wrong(text: Text, form: str, usual: str) -> None:
    # As its reader sees it: some letters and blanks are not drawn.
    if _has_words(usual) and not _has_words(as_read(form)):
        raise Refused("say it in every form, or in none to have the usual text")
    _refuse_unfilled(text, form, usual)
    plain, before = _PLACEHOLDER.sub("x", form), _PLACEHOLDER.sub("x", usual)
    if wrong := _MARKUP.search(plain):
        raise Refused("the sign %(sign)s cannot stand in a text", sign=wrong[0])
    if any(unicodedata.category(sign).startswith("C") for sign in plain):
        raise Refused("there is a sign in it that cannot be seen")
    read = as_read(plain)
    _refuse_long(read, before)
    _refuse_promotion(read, as_read(before))


def _has_words(form: str) -> bool:
    return any(sign.isalpha() for sign in _PLACEHOLDER.sub("", form))


def _refuse_unfilled(text: Text, form: str, usual: str) -> None:
    """Refuse a form in which something is not filled in, or more often than it was."""
    given, wanted = Counter(_PLACEHOLDER.findall(form)), Counter(_PLACEHOLDER.findall(usual))
    if missing := sorted(wanted.keys() - given.keys()):
        raise Refused("%(field)s must stand in it: there it is filled in", field=missing[0])
    # A form for one thing may leave the number out, or have it.
    known = Counter(_PLACEHOLDER.findall(" ".join((*text.usual, *text.source))))
    if unknown := sorted(given.keys() - known.keys()):
        raise Refused("%(field)s is not filled in here", field=unknown[0])
    if often := sorted(name for name in given if given[name] > max(wanted[name], 1)):
        raise Refused("%(field)s stands in it too often", field=often[0])


def _refuse_long(form: str, usual: str) -> None:
    """Refuse what would not stand where it has to: on a button of a phone, say."""
    longest = 2 * len(usual)
    if len(usual) <= _OF_A_LABEL:
        longest = max(len(usual) * 5 // 4, len(usual) + 10, _SHORT)
    if len(form) > longest:
        raise Refused(
            "too long: at most %(longest)s characters, so that it stands where it has to",
            longest=longest,
        )
    if max(map(len, form.split())) > max(_LONGEST_WORD, *map(len, usual.split())):
        raise Refused("one of its words is too long for a phone")


def _refuse_promotion(form: str, usual: str) -> None:
    """Refuse what may not stand in a mail that asks, unless it always stood there."""
    reason = _link_in(form, usual)
    if reason:
        raise Refused(reason)
    if offers := sorted({*offers_in(form)} - {*offers_in(usual)}):
        raise Refused("%(offer)s sounds like an offer, and asking is none", offer=offers[0])


def _link_in(form: str, usual: str) -> Said:
    """Return the reason against a link that was not there before; no word of them is endless."""
    known = set(other_links(usual, reply_to=""))
    more = [reason for reason in other_links(form, reply_to="") if reason not in known]
    return more[0] if more else Said()


def _refuse_opposite(text: Text, form: str, corrected: Mapping[str, Sequence[str]]) -> None:
    """Refuse a button for Yes that says what one for No says, and the other way round."""
    for own, other in ((_YES, _NO), (_NO, _YES)):
        if text.source[0].startswith(own):
            _refuse_said_by(other, text, form, corrected)


def _refuse_said_by(
    other: tuple[str, ...], text: Text, form: str, corrected: Mapping[str, Sequence[str]]
) -> None:
    typed = as_typed(form)
    for one in texts_in(text.language).values():
        said = corrected.get(one.key, one.usual)[0]
        if one.source[0].startswith(other) and as_typed(said) == typed:
            raise Refused("a button for the opposite says so: %(other)s", other=one.source[0])
