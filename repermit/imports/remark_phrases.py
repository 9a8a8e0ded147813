"""What people write in a remark about mail: that somebody wants none, or something near it.

Nobody may be asked who refused (GDPR art. 21(3)), and an office notes a refusal in its own words;
so a sentence that can hardly mean anything else is taken for one, and what merely comes near it is
shown to the admin. The words and expressions are data: `repermit/data/remark_phrases.toml`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import cache, lru_cache

from repermit import package_files
from repermit.unicode_limits import normalize

REFUSED = "refused"
DOUBTFUL = "doubtful"

_DATA = package_files.load_data("remark_phrases.toml")
_ENTRIES = {
    name: entry
    for table in ("words", "parts", "refused", "exceptions", "doubtful")
    for name, entry in _DATA[table].items()
}
_NAME = re.compile(r"\{([a-z_]+)\}")


def _pattern(entry: str | list[str]) -> str:
    """Return a string or a list of alternatives of the file, with its `{names}` filled in."""
    text = entry if isinstance(entry, str) else "|".join(entry)
    return _NAME.sub(lambda match: _named(match[1]), text)


@cache
def _named(name: str) -> str:
    pattern = _pattern(_ENTRIES[name])
    return f"(?:{pattern})" if name in _DATA["words"] else pattern


@cache
def _expression(name: str) -> re.Pattern[str]:
    """Return an entry compiled at its first use; all of them take 30 ms."""
    return re.compile(_named(name))


# --- Abbreviations and misspellings, put into the usual spelling. ---------------------------------


_USUAL: tuple[str, ...] = tuple(_DATA["abbreviations"])
_MISSPELT = tuple(_DATA["misspellings"]["words"].split())
_OTHERS = frozenset(_DATA["misspellings"]["never_one"].split())
_SHORTEST = 7


def _without_one(word: str) -> set[str]:
    """Return a word, and all that is left of it without one of its letters."""
    return {word, *(word[:at] + word[at + 1 :] for at in range(len(word)))}


# Two words that differ by one letter, or by the order of two, have one of these in common.
_MEANT = {piece: word for word in reversed(_MISSPELT) for piece in _without_one(word)}
_WORD = re.compile(rf"[^\W\d_]{{{_SHORTEST},}}")


@cache
def _abbreviation() -> re.Pattern[str]:
    forms = map(_pattern, _DATA["abbreviations"].values())
    groups = "|".join(f"(?P<w{n}>{form})" for n, form in enumerate(forms))
    return re.compile(rf"(?<![\w@.])(?:{groups})(?:\.(?!\w))?(?![\w@])")


def respell(text: str) -> str:
    """Return plain text with abbreviated and misspelt words in their usual spelling."""
    return _abbreviation().sub(_usual, _WORD.sub(_meant, text))


def _usual(match: re.Match[str]) -> str:
    group = match.lastgroup or ""
    return _USUAL[int(group[1:])]


def _meant(match: re.Match[str]) -> str:
    word = match[0]
    if word in _OTHERS or word in _MISSPELT:
        return word
    return next((_MEANT[one] for one in sorted(_without_one(word)) if one in _MEANT), word)


# --- What a remark says. --------------------------------------------------------------------------


_JOINED = re.compile(r"_+|(?<=\w)-(?=\w)")
_SMALL_WORD = re.compile(r"(?<!\S)[a-z](?!\.)")
_CLAUSE = re.compile(r"[.,;!?/|\n]+")


def normalize_remark(text: str) -> str:
    """Return text for comparing: small letters without accents, one space between words."""
    signs = normalize("NFKD", text.casefold().replace("’", "'"))
    bare = "".join(sign for sign in signs if not unicodedata.combining(sign))
    # Don't, doesn't and won't: what counts is the "not".
    return " ".join(re.sub(r"n't\b|(?<=\bdo)nt\b|(?<=\bdoes)nt\b", " not", bare).split())


def has_a_no(text: str) -> bool:
    """Say whether there is a word for no or not in plain text."""
    return bool(_expression("no").search(text))


def wishes_mail(text: str) -> bool:
    """Say whether plain text wishes for mail, whatever else it says: "wel mail, geen post"."""
    return bool(_expression("wished").search(text))


def agrees(text: str) -> bool:
    """Say whether plain text is a Yes to a question for consent, and nothing else."""
    return bool(_expression("agreed").search(text))


def is_company(text: str) -> bool:
    """Say whether text is a name such as "No Spam BV": each of its words has a capital."""
    has_small_words = text.isupper() or _SMALL_WORD.search(text)
    return not has_small_words and bool(_expression("company").search(normalize_remark(text)))


@lru_cache(maxsize=1024)
def refusal_in(remark: str) -> str:
    """Return what a remark says against mailing: REFUSED, DOUBTFUL or ""."""
    text = _expression("harmless").sub("", respell(normalize_remark(remark))).lstrip(" .,;/|")
    # Tags are often one word: "do_not_mail", "no-mail".
    apart = _JOINED.sub(" ", text)
    said = _said_in(text)
    if said != REFUSED and apart != text:
        said = _said_in(respell(apart)) or said
    return said


def _said_in(text: str) -> str:
    if _is_clear(text):
        rest = _expression("not_really").sub("", text)
        is_doubted = wishes_mail(text) or (rest != text and not _is_clear(rest))
        return DOUBTFUL if is_doubted else REFUSED
    is_near = any(_expression(name).search(text) for name in ("death_sign", "short_no"))
    return DOUBTFUL if is_near or any(map(_is_near, _CLAUSE.split(text))) else ""


@cache
def _refusals() -> tuple[Callable[[str], re.Match[str] | None], ...]:
    return tuple(_expression(name).search for name in _DATA["refused"])


@cache
def _warnings() -> tuple[Callable[[str], re.Match[str] | None], ...]:
    """Return the searches of `warning`, which are faster one by one than all at once."""
    return tuple(re.compile(_pattern(string)).search for string in _DATA["doubtful"]["warning"])


def _is_clear(text: str) -> bool:
    return any(search(text) for search in _refusals())


def _is_near(clause: str) -> bool:
    words = clause.strip()
    return bool(
        _expression("warning_clause").match(words)
        or any(search(words) for search in _warnings())
        or (has_a_no(clause) and _expression("about_mail").search(clause))
    )
