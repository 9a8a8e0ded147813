"""Validation of an admin's corrections to the texts of mails and pages."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence

from repermit.emails.advertising_words import find_offers
from repermit.emails.allowed_html import normalize_text
from repermit.emails.autolinks import find_other_links
from repermit.errors import Refused
from repermit.i18n.correctable_texts import Text, as_typed, texts_in
from repermit.i18n.lazy_text import LazyText
from repermit.unicode_limits import normalize

_PLACEHOLDER = re.compile(r"%\(\w+\)s")
# Texts are put into the HTML of pages without escaping, also into attributes; and marks would be
# replaced by a contact's values.
_MARKUP = re.compile(r"[<>&\"%⟦⟧]")
_BLANKS = re.compile(r"[ \t\r\n]+")

_MAX_LABEL_LENGTH = 120
"""The length up to which a text may be a button, a title or a subject."""

_MIN_LENGTH_LIMIT, _MAX_WORD_LENGTH = 40, 40
_YES, _NO = ("Yes, ",), ("No, ", "I did not ")
"""How the English texts of buttons begin."""


def check_correction(
    text: Text, forms: Sequence[str], *, corrected: Mapping[str, Sequence[str]]
) -> tuple[str, ...]:
    """Return a correction with single blanks; () for the default text.

    - `forms`: its plural forms; all empty for the default text.
    - `corrected`: the forms of all corrected texts in this language, by key.
    - Raises Refused if the correction would break a mail or a page, lose a value that is filled in,
      add a link or an offer, or make the labels of Yes and No equal.
    """
    cleaned_forms = tuple(_BLANKS.sub(" ", normalize("NFC", form)).strip(" ") for form in forms)
    if not any(cleaned_forms) or cleaned_forms == text.usual:
        return ()
    if len(cleaned_forms) != len(text.usual):
        raise Refused("give as many texts as it has forms: %(forms)s", forms=len(text.usual))
    for form, default_form in zip(cleaned_forms, text.usual, strict=True):
        _refuse_wrong(text, form, default_form)
    _refuse_opposite(text, cleaned_forms[0], corrected)
    return cleaned_forms


def _refuse_wrong(text: Text, form: str, default_form: str) -> None:
    # As its reader sees it: some characters are invisible.
    if _has_words(default_form) and not _has_words(normalize_text(form)):
        raise Refused("say it in every form, or in none to have the usual text")
    _refuse_unfilled(text, form, default_form)
    plain_form, plain_default = _PLACEHOLDER.sub("x", form), _PLACEHOLDER.sub("x", default_form)
    if wrong := _MARKUP.search(plain_form):
        raise Refused("the sign %(sign)s cannot stand in a text", sign=wrong[0])
    if any(unicodedata.category(character).startswith("C") for character in plain_form):
        raise Refused("there is a sign in it that cannot be seen")
    normalized = normalize_text(plain_form)
    _refuse_long(normalized, plain_default)
    _refuse_promotion(normalized, normalize_text(plain_default))


def _has_words(form: str) -> bool:
    return any(character.isalpha() for character in _PLACEHOLDER.sub("", form))


def _refuse_unfilled(text: Text, form: str, default_form: str) -> None:
    """Refuse a form that lacks a placeholder, has an unknown one, or has one too often."""
    given_counts, required_counts = (
        Counter(_PLACEHOLDER.findall(form)),
        Counter(_PLACEHOLDER.findall(default_form)),
    )
    if missing := sorted(required_counts.keys() - given_counts.keys()):
        raise Refused("%(field)s must stand in it: there it is filled in", field=missing[0])
    # A singular form may have the number or leave it out.
    known_names = Counter(_PLACEHOLDER.findall(" ".join((*text.usual, *text.source))))
    if unknown := sorted(given_counts.keys() - known_names.keys()):
        raise Refused("%(field)s is not filled in here", field=unknown[0])
    if often := sorted(
        name for name in given_counts if given_counts[name] > max(required_counts[name], 1)
    ):
        raise Refused("%(field)s stands in it too often", field=often[0])


def _refuse_long(form: str, default_form: str) -> None:
    """Refuse a form that is too long for its place, such as a button on a phone."""
    max_length = 2 * len(default_form)
    if len(default_form) <= _MAX_LABEL_LENGTH:
        max_length = max(len(default_form) * 5 // 4, len(default_form) + 10, _MIN_LENGTH_LIMIT)
    if len(form) > max_length:
        raise Refused(
            "too long: at most %(longest)s characters, so that it stands where it has to",
            longest=max_length,
        )
    if max(map(len, form.split())) > max(_MAX_WORD_LENGTH, *map(len, default_form.split())):
        raise Refused("one of its words is too long for a phone")


def _refuse_promotion(form: str, default_form: str) -> None:
    """Refuse a link or an offer that the default text does not have."""
    reason = _find_new_link(form, default_form)
    if reason:
        raise Refused(reason)
    if offers := sorted({*find_offers(form)} - {*find_offers(default_form)}):
        raise Refused("%(offer)s sounds like an offer, and asking is none", offer=offers[0])


def _find_new_link(form: str, default_form: str) -> LazyText:
    """Return the reason against a new link, "" if there is none; the length was checked before."""
    known_reasons = set(find_other_links(default_form, reply_to=""))
    new_reasons = [
        reason for reason in find_other_links(form, reply_to="") if reason not in known_reasons
    ]
    return new_reasons[0] if new_reasons else LazyText()


def _refuse_opposite(text: Text, form: str, corrected: Mapping[str, Sequence[str]]) -> None:
    """Refuse a label for Yes that equals one for No, and the reverse."""
    for own_starts, other_starts in ((_YES, _NO), (_NO, _YES)):
        if text.source[0].startswith(own_starts):
            _refuse_same_label(other_starts, text, form, corrected)


def _refuse_same_label(
    other_starts: tuple[str, ...], text: Text, form: str, corrected: Mapping[str, Sequence[str]]
) -> None:
    typed = as_typed(form)
    for other_text in texts_in(text.language).values():
        other_form = corrected.get(other_text.key, other_text.usual)[0]
        if other_text.source[0].startswith(other_starts) and as_typed(other_form) == typed:
            raise Refused(
                "a button for the opposite says so: %(other)s", other=other_text.source[0]
            )
