"""Tell what became of a file's rows: how many of each fate, and why.

May import models, consent, listfile and this room's staging.
"""

from __future__ import annotations

from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from peewee import Case, fn

from repermit.consent import Fate
from repermit.importing.results import Problem
from repermit.importing.staging import Picked, Staged

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from repermit.listfile import Part

MOST_PROBLEMS = 10_000
"""How many rows are reported one by one; of the others it is said how many there are."""

_NOT_REPORTED = (Fate.ASK, Fate.CONFIRMED, Fate.CUSTOMER)
_MARKS = {
    "unsubscribed": "the file says that this person unsubscribed",
    "cleaned": "the file says that mail to this address bounced",
    "complained": "the file says that this person reported a mail as spam",
}
_REASONS = {
    Fate.SUPPRESSED: "this address was taken off before, and is never asked again",
    Fate.DUPLICATE: "this address is on the list already",
    Fate.ROLE: "a shared mailbox rather than one person's: it is asked too, but have a look",
}


def count_fates(rows: int, addresses: int) -> dict[Fate, int]:
    """Count the rows by fate; what is not an address's strongest row is a duplicate.

    `addresses` is how many there are. Only what is not simply asked is looked at one by
    one, as that is most of a million.
    """
    counts = dict.fromkeys(Fate, 0)
    query: Any = Picked.select(Picked.fate, fn.COUNT(Picked.id)).where(Picked.fate != Fate.ASK)
    for fate, count in query.group_by(Picked.fate).tuples():
        counts[Fate(fate)] = count
    counts[Fate.ASK] = addresses - sum(counts.values())
    if rows > addresses:
        counts[Fate.INVALID] = Staged.select().where(Staged.ids.is_null()).count()
        counts[Fate.DUPLICATE] += rows - addresses - counts[Fate.INVALID]
    return counts


def problems(fates: Mapping[Fate, int], parts: Sequence[Part]) -> tuple[Problem, ...]:
    """Return the rows that are not simply taken in, in the file's order.

    Of very many the invalid ones go first, and duplicates last, into what is listed.
    """
    total = sum(fates.values()) - sum(fates[fate] for fate in _NOT_REPORTED)
    if not total:
        return ()
    found = islice(chain(_invalid(), _by_address(), _again()), MOST_PROBLEMS)
    listed = [_problem(row, parts) for row in sorted(found)]
    if total > len(listed):
        listed.append(Problem(0, "", f"and {total - len(listed):,} rows more"))
    return tuple(listed)


# A row that is reported: its number, its part, its line, the reason, its fate.
_Reported = tuple[int, int, int, str, Fate]


def _invalid() -> Iterator[_Reported]:
    query = Staged.select(Staged.number, Staged.part, Staged.line, Staged.reason)
    for row in _first(query.where(Staged.ids.is_null()), Staged.number):
        yield (*row, Fate.INVALID)


def _by_address() -> Iterator[_Reported]:
    query = Picked.select(Picked.number, Picked.part, Picked.line, Picked.fate, Picked.mark)
    reported = query.where(Picked.fate.not_in(_NOT_REPORTED))
    is_duplicate = Case(None, ((Picked.fate == Fate.DUPLICATE, 1),), 0)
    for number, part, line, word, mark in _first(reported, is_duplicate, Picked.number):
        fate = Fate(word)
        yield number, part, line, _REASONS.get(fate) or _MARKS[mark], fate


def _again() -> Iterator[_Reported]:
    """Yield the rows whose address stands in a stronger row too."""
    query = (
        Staged.select(Staged.number, Staged.part, Staged.line, Picked.line, Picked.merged)
        .join(Picked, on=(Picked.ids == Staged.ids))
        .where(Picked.number != Staged.number)
    )
    for number, part, line, other, is_merged in _first(query, Staged.number):
        reason = f"this address stands in line {other} too"
        if is_merged:
            reason += ", under another name: the mail greets without a name"
        yield number, part, line, reason, Fate.DUPLICATE


def _first(query: Any, *order: Any) -> Iterator[tuple[Any, ...]]:
    rows: Iterator[tuple[Any, ...]] = (
        query.order_by(*order).limit(MOST_PROBLEMS).tuples().iterator()
    )
    return rows


def _problem(row: _Reported, parts: Sequence[Part]) -> Problem:
    _, place, line, reason, fate = row
    part = parts[place]
    return Problem(
        line=line,
        column=_address_column(part),
        reason=reason,
        fate=fate,
        part=part.name if len(parts) > 1 else "",
    )


def _address_column(part: Part) -> str:
    column = next(column for column in part.columns if column.field == "address")
    return column.title or str(column.index + 1)
