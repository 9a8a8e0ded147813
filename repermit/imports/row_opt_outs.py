"""What the cells of a row say against mailing, and in which column and words."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Sequence
from datetime import UTC
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from repermit.imports.readers.cells import (
    fold_title,
    normalize_cell,
)
from repermit.imports.readers.column_values import (
    STILL_ON,
    find_opt_out,
    is_bare_no,
    is_doubtful_status,
    is_mark,
    is_switched_off,
    says_no,
    says_yes,
)
from repermit.imports.readers.dates import parse_datetime
from repermit.imports.remark_phrases import (
    DOUBTFUL,
    REFUSED,
    agrees,
    has_a_no,
    is_company,
    normalize_remark,
    refusal_in,
    wishes_mail,
)

if TYPE_CHECKING:
    from repermit.imports.readers.rows import Column

REMARK = "remark"
"""The mark of a row that a remark alone opts out, in somebody's own words."""

MARKS = ("complained", "unsubscribed", REMARK, "cleaned")
"""What opts out, the strongest first: of several marks the person's own weigh most."""

_MOST_LETTERS = 80
# Nobody has said no where nobody was asked, or where no answer came.
_UNASKED = (
    "gevraagd",
    "gefragt",
    "asked",
    "antwoord",
    "answer",
    "antwort",
    "reactie",
    "response",
    "reponse",
    "demande",
    "bekend",
    "known",
    "ingevuld",
    "bekannt",
)


class OptOut(NamedTuple):
    """What a row says against mailing.

    `mark` is "" or one of `MARKS`; `said` is the column and its words ("Opmerking: wil geen mail").
    `said` without a `mark` are words that leave it in doubt.
    """

    mark: str = ""
    said: str = ""


_NOTHING = OptOut()


class OptOutColumns:
    """The columns of a table that may say something against mailing."""

    def __init__(
        self,
        columns: Sequence[Column],
        unknown: Container[int] = (),
        harmless_noes: Container[int] = (),
    ) -> None:
        self._columns = [
            (column.index, column.title or f"column {column.index + 1}", judge)
            for column in columns
            if (judge := _judge_of(column, unknown, harmless_noes))
        ]

    def in_cells(self, cells: Sequence[str]) -> OptOut:
        """Return the strongest of what the cells of a row say."""
        found: dict[str, str] = {}
        for place, title, judge in self._columns:
            if (text := cells[place]) and (mark := judge(text)):
                found.setdefault(mark, f"{title}: {_shortened(text)}")
        if not found:
            return _NOTHING
        if REMARK in found and not found.keys() <= {REMARK, DOUBTFUL}:
            # With another mark there is more against mailing than how a remark is read.
            found.setdefault("unsubscribed", found[REMARK])
        mark = next(mark for mark in (*MARKS, DOUBTFUL) if mark in found)
        return OptOut("" if mark == DOUBTFUL else mark, found[mark])


def may_refuse(texts: Iterable[str]) -> bool:
    """Say whether any of these cells, of a column that is not known, holds a refusal."""
    return any(_judge_unknown_column(text) == REMARK for text in texts)


def _shortened(text: str) -> str:
    text = normalize_cell(text)
    return text if len(text) <= _MOST_LETTERS else f"{text[: _MOST_LETTERS - 1]}…"


@lru_cache(maxsize=1024)
def _judge_remark(text: str) -> str:
    if _IS_NO_REMARK(text):
        return ""
    # Which number it is means nothing, but for a year and a zero: a street is judged once.
    text = _NUMBER.sub("1", text)
    said = refusal_in(text) if len(text) > _SHORT else _refusal_in_short(text)
    return REMARK if said == REFUSED else said


# Few enough letters for a thousand times as many texts to be kept as `refusal_in` keeps.
_SHORT = 60
_refusal_in_short = lru_cache(maxsize=1 << 15)(refusal_in)
_NUMBER = re.compile(r"(?<!\d)(?!(?:19|20)\d\d(?!\d)|0(?!\d))\d+")
# A link, if only to unsubscribe; an address; a code of letters and digits.
_IS_NO_REMARK = re.compile(
    r"\s*(?:(?:https?:|www\.)\S*|[^\s@]+@[^\s@]+\.\w+|(?=\w*\d[A-Za-z]\w*\d)\w{10,40})\s*"
).fullmatch


@lru_cache(maxsize=1024)
def _judge_unknown_column(text: str) -> str:
    """Judge what may be a remark: it may be a company's name, or the state of a switch, too."""
    said = _judge_remark(text)
    if said == REMARK and is_company(text):
        return DOUBTFUL
    return "" if said == DOUBTFUL and is_switched_off(text) else said


@lru_cache(maxsize=1024)
def _judge_other_column(text: str) -> str:
    """Judge what is no remark, or was not meant as one: a No alone answers something else."""
    said = _judge_unknown_column(text)
    return "" if said == DOUBTFUL and is_bare_no(text) else said


@lru_cache(maxsize=1024)
def _judge_status(text: str) -> str:
    said = refusal_in(text)
    mark = find_opt_out(text) or ("unsubscribed" if said == REFUSED else said)
    if mark == "unsubscribed" and wishes_mail(normalize_remark(text)):
        # "Was afgemeld, weer aangemeld".
        return DOUBTFUL
    return DOUBTFUL if not mark and is_doubtful_status(text) else mark


@lru_cache(maxsize=1024)
def _judge_consent(text: str) -> str:
    """Judge the answer to "Newsletter?": what is neither a yes, a no nor empty is in doubt."""
    return _judge_answer(text) or ("" if _is_yes_or_empty(text) else DOUBTFUL)


def _is_yes_or_empty(text: str) -> bool:
    words = normalize_remark(text)
    return (
        not words.strip("-–—. ")
        or says_yes(words.split()[0].strip(",.;:!"))
        or agrees(words)
        or wishes_mail(words)
        or fold_title(text) in STILL_ON
        # The day on which they gave it.
        or parse_datetime(text, UTC) is not None
    )


@lru_cache(maxsize=1024)
def _judge_answer(text: str) -> str:
    """Judge the answer to "Active?": what has a no in it is one, unless a yes comes first."""
    if says_no(text) or refusal_in(text) == REFUSED:
        return DOUBTFUL if wishes_mail(normalize_remark(text)) else "unsubscribed"
    words = normalize_remark(text).split()
    if not words or says_yes(words[0].strip(",.;:!")):
        return refusal_in(text)
    if not has_a_no(" ".join(words)) and fold_title(words[0]) != "stop":
        return refusal_in(text)
    is_doubtful = wishes_mail(normalize_remark(text)) or any(
        word in fold_title(text) for word in _UNASKED
    )
    return DOUBTFUL if is_doubtful else "unsubscribed"


def _judge_name(text: str) -> str:
    """Judge a name: "Jan Jansen (overl. 2021)" is one with a remark in it."""
    if not may_be_remark(text):
        return ""
    name = _INITIAL.sub("", text)
    sign = _NO_NAME.search(name)
    at = sign.start() if sign else len(name)
    # "Stop Aids Now!" is a name, and "Stop mail (Jan)" none.
    is_remark = refusal_in(_STOP.sub("", name[:at]) + name[at:]) or refusal_in(name) == REFUSED
    return DOUBTFUL if is_remark else ""


# Begins with one set of signs, which is sought much faster than several words are.
_NO_NAME = re.compile(
    r"[ (\[†*/:;=!?0-9]"
    r"(?:(?<! )|(?<=(?i:geen) )|(?i:- |overl|gn |kein|niet |nicht |not? |dcd))"
)


# "G. Post" is no "geen post", nor "No. 5" a no.
_INITIAL = re.compile(r"^(?:[GKN]\. ?(?=[A-Z])|No\. ?(?=\d))")
_STOP = re.compile(r"\bS(?:top|TOP)\b")


def may_be_remark(name: str) -> bool:
    """Say whether there is something in a name that no name has; quick, for a million of them."""
    return bool(_NO_NAME.search(name))


_JUDGES: dict[str | None, Callable[[str], str]] = {
    "status": _judge_status,
    "consent": _judge_consent,
    "active": _judge_answer,
    "opted_out_at": lambda text: "unsubscribed" if is_mark(text) else "",
    "cleaned_at": lambda text: "cleaned" if is_mark(text) else "",
    "complained_at": lambda text: "complained" if is_mark(text) else "",
    "remark": _judge_remark,
    **dict.fromkeys(("name", "first_name", "last_name"), _judge_name),
}


def _judge_of(
    column: Column, unknown: Container[int], harmless_noes: Container[int]
) -> Callable[[str], str] | None:
    if column.field in {None, "address"}:
        return None
    # "Subscribed" is followed by a date, or by a yes or no.
    if column.field == "since" and fold_title(column.title) == "subscribed":
        return _judge_answer
    if column.field == "remark" and column.index in unknown:
        return _judge_other_column if column.index in harmless_noes else _judge_unknown_column
    return _JUDGES.get(column.field, _judge_other_column)
