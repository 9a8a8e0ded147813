"""Finding opt-outs in the cells of a row, with the column and the words."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Sequence
from datetime import UTC
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from repermit.imports.newsletter_tools import is_other_channel
from repermit.imports.readers.cells import (
    fold_title,
    normalize_cell,
)
from repermit.imports.readers.column_values import (
    STILL_ON,
    find_opt_out,
    find_remark_in_name,
    is_bare_no,
    is_bounce,
    is_doubtful_status,
    is_mark,
    is_soft_bounce,
    is_switched_off,
    is_unasked,
    says_no,
    says_yes,
)
from repermit.imports.readers.dates import parse_datetime
from repermit.imports.remark_phrases import (
    DOUBTFUL,
    REFUSED,
    agrees,
    find_refusal,
    has_a_no,
    is_company,
    normalize_remark,
    wishes_mail,
)

if TYPE_CHECKING:
    from repermit.imports.readers.rows import Column

REMARK = "remark"
"""The mark of a row whose only opt-out is a remark in somebody's own words."""

MARKS = ("complained", "unsubscribed", REMARK, "cleaned")
"""The marks that opt out, the strongest first; the person's own come first."""

# Of a bounce, until the other columns of the row are read.
_BOUNCE, _SOFT_BOUNCE = "bounce", "soft bounce"

_MAX_CHARACTERS = 80


class OptOut(NamedTuple):
    """The opt-out in a row.

    - `mark`: "" or one of `MARKS`.
    - `said`: the column and its words ("Opmerking: wil geen mail"). Without a `mark`, the words are
      doubtful.
    """

    mark: str = ""
    said: str = ""


_NOTHING = OptOut()


class OptOutColumns:
    """The columns of a table that may hold opt-outs."""

    def __init__(
        self,
        columns: Sequence[Column],
        unknown: Container[int] = (),
        columns_with_harmless_no: Container[int] = (),
    ) -> None:
        self._columns = [
            (column.index, column.title or f"column {column.index + 1}", judge)
            for column in columns
            if (judge := _choose_judge(column, unknown, columns_with_harmless_no))
        ]

    def find_in_row(self, cells: Sequence[str]) -> OptOut:
        """Return the strongest opt-out in the cells of a row."""
        quote_by_mark: dict[str, str] = {}
        for index, title, judge in self._columns:
            if (text := cells[index]) and (mark := judge(text)):
                quote_by_mark.setdefault(mark, f"{title}: {_shorten(text)}")
        bounce = quote_by_mark.pop(_BOUNCE, "")
        # The date beside "Bounce type: soft" is one of a soft bounce, too.
        if not quote_by_mark.pop(_SOFT_BOUNCE, "") and bounce:
            quote_by_mark.setdefault("cleaned", bounce)
        if not quote_by_mark:
            return _NOTHING
        if REMARK in quote_by_mark and not quote_by_mark.keys() <= {REMARK, DOUBTFUL}:
            # With another mark, the opt-out does not depend on how the remark is read.
            quote_by_mark.setdefault("unsubscribed", quote_by_mark[REMARK])
        mark = next(mark for mark in (*MARKS, DOUBTFUL) if mark in quote_by_mark)
        return OptOut("" if mark == DOUBTFUL else mark, quote_by_mark[mark])


def may_refuse(texts: Iterable[str]) -> bool:
    """Say whether any of these cells of an unknown column holds a refusal."""
    return any(_judge_unknown_column(text) == REMARK for text in texts)


def _shorten(text: str) -> str:
    text = normalize_cell(text)
    return text if len(text) <= _MAX_CHARACTERS else f"{text[: _MAX_CHARACTERS - 1]}…"


@lru_cache(maxsize=1024)
def _judge_remark(text: str) -> str:
    if _IS_NO_REMARK(text):
        return ""
    # Numbers other than years and zero mean nothing; one text for all makes the cache work.
    text = _NUMBER.sub("1", text)
    mark = find_refusal(text) if len(text) > _SHORT else _refusal_in_short(text)
    return REMARK if mark == REFUSED else mark


# Short texts take little memory, so this cache is larger than that of `find_refusal`.
_SHORT = 60
_refusal_in_short = lru_cache(maxsize=1 << 15)(find_refusal)
_NUMBER = re.compile(r"(?<!\d)(?!(?:19|20)\d\d(?!\d)|0(?!\d))\d+")
# A link, if only to unsubscribe; an address; a code of letters and digits.
_IS_NO_REMARK = re.compile(
    r"\s*(?:(?:https?:|www\.)\S*|[^\s@]+@[^\s@]+\.\w+|(?=\w*\d[A-Za-z]\w*\d)\w{10,40})\s*"
).fullmatch


@lru_cache(maxsize=1024)
def _judge_unknown_column(text: str) -> str:
    """Judge a cell of an unknown column: a remark, a company's name, or the state of a switch."""
    mark = _judge_remark(text)
    if mark == REMARK and is_company(text):
        return DOUBTFUL
    return "" if mark == DOUBTFUL and is_switched_off(text) else mark


@lru_cache(maxsize=1024)
def _judge_other_column(text: str) -> str:
    """Judge a cell of another column, where a bare No answers another question."""
    mark = _judge_unknown_column(text)
    return "" if mark == DOUBTFUL and is_bare_no(text) else mark


def _judge_other_channel(text: str) -> str:
    """Judge a cell under "SMS consent", where a status alone is not about mail."""
    is_status = len(text.split()) == 1 and bool(find_opt_out(text))
    return "" if is_status else _judge_other_column(text)


def _judge_mark(text: str) -> str:
    """Judge a cell under "unsubscribed" or "suppressed", which may name a bounce or a complaint."""
    return (find_opt_out(text) or "unsubscribed") if is_mark(text) else ""


@lru_cache(maxsize=1024)
def _judge_bounce(text: str) -> str:
    if not is_bounce(text):
        return ""
    if "hard" in text.casefold():
        return "cleaned"
    return _SOFT_BOUNCE if is_soft_bounce(text) else _BOUNCE


@lru_cache(maxsize=1024)
def _judge_status(text: str) -> str:
    refusal = find_refusal(text)
    mark = find_opt_out(text) or ("unsubscribed" if refusal == REFUSED else refusal)
    if mark == "unsubscribed" and wishes_mail(normalize_remark(text)):
        # "Was afgemeld, weer aangemeld".
        return DOUBTFUL
    return DOUBTFUL if not mark and is_doubtful_status(text) else mark


@lru_cache(maxsize=1024)
def _judge_consent(text: str) -> str:
    """Judge the answer to "Newsletter?": an answer that is neither yes nor no is doubtful."""
    return _judge_answer(text) or ("" if _is_yes_or_empty(text) else DOUBTFUL)


def _is_yes_or_empty(text: str) -> bool:
    words = normalize_remark(text)
    return (
        not words.strip("-–—. ")
        or says_yes(words.split()[0].strip(",.;:!"))
        or agrees(words)
        or wishes_mail(words)
        or fold_title(text) in STILL_ON
        # The date of the consent.
        or parse_datetime(text, UTC) is not None
    )


@lru_cache(maxsize=1024)
def _judge_answer(text: str) -> str:
    """Judge the answer to "Active?": a no anywhere in it counts, unless it begins with a yes."""
    if says_no(text) or find_refusal(text) == REFUSED:
        return DOUBTFUL if wishes_mail(normalize_remark(text)) else "unsubscribed"
    if find_opt_out(text) == "cleaned":
        return "cleaned"
    words = normalize_remark(text).split()
    if not words or says_yes(words[0].strip(",.;:!")):
        return find_refusal(text)
    if not has_a_no(" ".join(words)) and fold_title(words[0]) != "stop":
        return find_refusal(text)
    is_doubtful = wishes_mail(normalize_remark(text)) or is_unasked(text)
    return DOUBTFUL if is_doubtful else "unsubscribed"


def _judge_name(text: str) -> str:
    """Judge a name: "Jan Jansen (overl. 2021)" is one with a remark in it."""
    if find_remark_in_name(text) == len(text):
        return ""
    name = _INITIAL.sub("", text)
    at = find_remark_in_name(name)
    # "Stop Aids Now!" is a name, and "Stop mail (Jan)" none.
    is_remark = find_refusal(_STOP.sub("", name[:at]) + name[at:]) or find_refusal(name) == REFUSED
    return DOUBTFUL if is_remark else ""


# "G. Post" is no "geen post", nor "No. 5" a no.
_INITIAL = re.compile(r"^(?:[GKN]\. ?(?=[A-Z])|No\. ?(?=\d))")
_STOP = re.compile(r"\bS(?:top|TOP)\b")


_JUDGES: dict[str | None, Callable[[str], str]] = {
    "status": _judge_status,
    "consent": _judge_consent,
    "active": _judge_answer,
    "opted_out_at": _judge_mark,
    "cleaned_at": _judge_bounce,
    "complained_at": lambda text: "complained" if is_mark(text) else "",
    "remark": _judge_remark,
    **dict.fromkeys(("name", "first_name", "last_name"), _judge_name),
}


def _choose_judge(
    column: Column, unknown: Container[int], columns_with_harmless_no: Container[int]
) -> Callable[[str], str] | None:
    if column.field in {None, "address"}:
        return None
    # "Subscribed" is followed by a date, or by a yes or no.
    if column.field == "since" and fold_title(column.title) == "subscribed":
        return _judge_answer
    if column.field == "cleaned_at" and "hard" in fold_title(column.title):
        return lambda text: "cleaned" if is_bounce(text) else ""
    if column.field == "remark" and column.index in unknown:
        if is_other_channel(fold_title(column.title)):
            return _judge_other_channel
        return (
            _judge_other_column
            if column.index in columns_with_harmless_no
            else _judge_unknown_column
        )
    return _JUDGES.get(column.field, _judge_other_column)
