"""What a correction of a text of mails and pages may not do."""

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
# Texts stand in the HTML of pages as they are, in attributes too, and marks fill in what is a
# person's.
_MARKUP = re.compile(r"[<>&\"%⟦⟧]")
_BLANKS = re.compile(r"[ \t\r\n]+")

_LONGEST_LABEL = 120
"""How many characters the texts have that may stand on a button, in a title or in a subject."""

_SHORT, _LONGEST_WORD = 40, 40
_YES, _NO = ("Yes, ",), ("No, ", "I did not ")
"""How the English begins of what stands on buttons."""


def check_correction(
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
    if _has_words(usual) and not _has_words(normalize_text(form)):
        raise Refused("say it in every form, or in none to have the usual text")
    _refuse_unfilled(text, form, usual)
    plain, before = _PLACEHOLDER.sub("x", form), _PLACEHOLDER.sub("x", usual)
    if wrong := _MARKUP.search(plain):
        raise Refused("the sign %(sign)s cannot stand in a text", sign=wrong[0])
    if any(unicodedata.category(sign).startswith("C") for sign in plain):
        raise Refused("there is a sign in it that cannot be seen")
    read = normalize_text(plain)
    _refuse_long(read, before)
    _refuse_promotion(read, normalize_text(before))


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
    if len(usual) <= _LONGEST_LABEL:
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
    reason = _find_new_link(form, usual)
    if reason:
        raise Refused(reason)
    if offers := sorted({*find_offers(form)} - {*find_offers(usual)}):
        raise Refused("%(offer)s sounds like an offer, and asking is none", offer=offers[0])


def _find_new_link(form: str, usual: str) -> LazyText:
    """Return the reason against a link that was not there before; no word of them is endless."""
    known = set(find_other_links(usual, reply_to=""))
    more = [reason for reason in find_other_links(form, reply_to="") if reason not in known]
    return more[0] if more else LazyText()


def _refuse_opposite(text: Text, form: str, corrected: Mapping[str, Sequence[str]]) -> None:
    """Refuse a button for Yes that says what one for No says, and the other way round."""
    for own, other in ((_YES, _NO), (_NO, _YES)):
        if text.source[0].startswith(own):
            _refuse_same_label(other, text, form, corrected)


def _refuse_same_label(
    other: tuple[str, ...], text: Text, form: str, corrected: Mapping[str, Sequence[str]]
) -> None:
    typed = as_typed(form)
    for other_text in texts_in(text.language).values():
        said = corrected.get(other_text.key, other_text.usual)[0]
        if other_text.source[0].startswith(other) and as_typed(said) == typed:
            raise Refused(
                "a button for the opposite says so: %(other)s", other=other_text.source[0]
            )
