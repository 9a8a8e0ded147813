"""Finding refusals of mail in remarks.

A person who refused may not be asked (GDPR art. 21(3)), and offices write refusals in their own
words. A sentence that can hardly mean anything else counts as a refusal; a doubtful one is shown to
the admin. The words and expressions are data: `repermit/data/remark_phrases.toml`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import cache, lru_cache

from repermit.expressions import Expressions
from repermit.unicode_limits import normalize

REFUSED = "refused"
DOUBTFUL = "doubtful"

_EXPRESSIONS = Expressions(
    "remark_phrases.toml", "words", "parts", "refused", "exceptions", "doubtful"
)
_DATA = _EXPRESSIONS.data


# --- Spelling out abbreviations and misspelt words. -----------------------------------------------


_EXPANSIONS: tuple[str, ...] = tuple(_DATA["abbreviations"])
_MISSPELT = tuple(_DATA["misspellings"]["words"].split())
_OTHERS = frozenset(_DATA["misspellings"]["never_one"].split())
_MIN_LETTERS = 7


def _delete_letters(word: str) -> set[str]:
    """Return a word, and all forms of it with one letter deleted."""
    return {word, *(word[:at] + word[at + 1 :] for at in range(len(word)))}


# Two words that differ by one letter, or by the order of two, share one of these forms.
_WORD_BY_FORM = {form: word for word in reversed(_MISSPELT) for form in _delete_letters(word)}
_WORD = re.compile(rf"[^\W\d_]{{{_MIN_LETTERS},}}")


@cache
def _compile_abbreviations() -> re.Pattern[str]:
    forms = map(_EXPRESSIONS.fill_in, _DATA["abbreviations"].values())
    groups = "|".join(f"(?P<w{n}>{form})" for n, form in enumerate(forms))
    return re.compile(rf"(?<![\w@.])(?:{groups})(?:\.(?!\w))?(?![\w@])")


def respell(text: str) -> str:
    """Return normalised text with abbreviated and misspelt words in their normal spelling."""
    return _compile_abbreviations().sub(_expand, _WORD.sub(_correct, text))


def _expand(match: re.Match[str]) -> str:
    group = match.lastgroup or ""
    return _EXPANSIONS[int(group[1:])]


def _correct(match: re.Match[str]) -> str:
    word = match[0]
    if word in _OTHERS or word in _MISSPELT:
        return word
    forms = sorted(_delete_letters(word))
    return next((_WORD_BY_FORM[form] for form in forms if form in _WORD_BY_FORM), word)


# --- Finding refusals. ----------------------------------------------------------------------------


_JOINED = re.compile(r"_+|(?<=\w)-(?=\w)")
_SMALL_WORD = re.compile(r"(?<!\S)[a-z](?!\.)")
_CLAUSE = re.compile(r"[.,;!?/|\n]+")


def normalize_remark(text: str) -> str:
    """Return text for comparing: lower case without accents, one space between words."""
    decomposed = normalize("NFKD", text.casefold().replace("’", "'"))
    bare = "".join(char for char in decomposed if not unicodedata.combining(char))
    # "Don't", "doesn't" and "won't" become words with "not".
    return " ".join(re.sub(r"n't\b|(?<=\bdo)nt\b|(?<=\bdoes)nt\b", " not", bare).split())


def has_a_no(text: str) -> bool:
    """Say whether normalised text has a word for "no" or "not"."""
    return bool(_EXPRESSIONS.compile("no").search(text))


def wishes_mail(text: str) -> bool:
    """Say whether normalised text wishes for mail, whatever else it says: "wel mail, geen post"."""
    return bool(_EXPRESSIONS.compile("wished").search(text))


def agrees(text: str) -> bool:
    """Say whether normalised text is a Yes to a question for consent, and nothing else."""
    return bool(_EXPRESSIONS.compile("agreed").search(text))


def is_company(text: str) -> bool:
    """Say whether text is a company's name such as "No Spam BV", with capitals in each word."""
    has_small_words = text.isupper() or _SMALL_WORD.search(text)
    return not has_small_words and bool(
        _EXPRESSIONS.compile("company").search(normalize_remark(text))
    )


@lru_cache(maxsize=1024)
def find_refusal(remark: str) -> str:
    """Return whether a remark refuses mail: REFUSED, DOUBTFUL or ""."""
    text = (
        _EXPRESSIONS.compile("harmless").sub("", respell(normalize_remark(remark))).lstrip(" .,;/|")
    )
    # Tags are often one word: "do_not_mail", "no-mail".
    separated = _JOINED.sub(" ", text)
    refusal = _find_in(text)
    if refusal != REFUSED and separated != text:
        refusal = _find_in(respell(separated)) or refusal
    return refusal


def _find_in(text: str) -> str:
    if _is_clear(text):
        rest = _EXPRESSIONS.compile("not_really").sub("", text)
        is_doubted = wishes_mail(text) or (rest != text and not _is_clear(rest))
        return DOUBTFUL if is_doubted else REFUSED
    is_near = any(_EXPRESSIONS.compile(name).search(text) for name in ("death_sign", "short_no"))
    return DOUBTFUL if is_near or any(map(_is_near, _CLAUSE.split(text))) else ""


@cache
def _list_refusals() -> tuple[Callable[[str], re.Match[str] | None], ...]:
    return tuple(_EXPRESSIONS.compile(name).search for name in _DATA["refused"])


@cache
def _list_warnings() -> tuple[Callable[[str], re.Match[str] | None], ...]:
    """Return the searches of `warning`, which are faster one by one than all at once."""
    return tuple(
        re.compile(_EXPRESSIONS.fill_in(string)).search for string in _DATA["doubtful"]["warning"]
    )


def _is_clear(text: str) -> bool:
    return any(search(text) for search in _list_refusals())


def _is_near(clause: str) -> bool:
    words = clause.strip()
    return bool(
        _EXPRESSIONS.compile("warning_clause").match(words)
        or any(search(words) for search in _list_warnings())
        or (has_a_no(clause) and _EXPRESSIONS.compile("about_mail").search(clause))
    )
