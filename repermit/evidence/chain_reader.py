"""The chain as the database has it, some thousands of entries at a time.

Values come as they are stored, whatever somebody has made of them, so that nothing that was
tampered with ends in anything but its name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any, NamedTuple

from repermit.db.connection import proxy
from repermit.db.models.evidence import Evidence, EvidencePart
from repermit.db.prepared_query import PreparedQuery
from repermit.evidence.entries import PARTS, leaf

_NAMES = ("seq", "at", "event", "list", "campaign", "subject", "actor", *PARTS, "hash")
# By name: an upgrade of an older database reads them too.
_COLUMNS = tuple(getattr(Evidence, name) for name in _NAMES)
_PART = (EvidencePart.seq, EvidencePart.part, EvidencePart.salt, EvidencePart.json)

STEP = 2_000
"""So many entries are read at a time: with more, Python looks longer for what it can throw away."""


class Part(NamedTuple):
    """A part of an entry as it is stored."""

    seq: int
    part: str
    salt: str
    json: str


def rows_between(first: int, last: int) -> list[dict[str, Any]]:
    """Return the entries from one number to another, both included, in their order."""
    return [dict(zip(_NAMES, row, strict=True)) for row in _BETWEEN.raw_rows(first, last)]


_BETWEEN = PreparedQuery(
    lambda first, last: (
        Evidence.select(*_COLUMNS)
        .where(Evidence.seq >= first, Evidence.seq <= last)
        .order_by(Evidence.seq)
    ),
    2,
)


def runs_of_rows(*, after: int | None = None, step: int = STEP) -> Iterator[list[dict[str, Any]]]:
    """Yield the entries behind a number, None for all that there are, some at a time."""
    query = Evidence.select(*_COLUMNS).limit(step)
    while found := _rows(query if after is None else query.where(Evidence.seq > after)):
        yield found
        after = found[-1]["seq"]


def all_rows(*, after: int) -> Iterator[dict[str, Any]]:
    """Yield the entries behind a number one by one, the first few quickly."""
    for step in (4, 100):
        found = next(runs_of_rows(after=after, step=step), [])
        yield from found
        if len(found) < step:
            return
        after = found[-1]["seq"]
    yield from chain.from_iterable(runs_of_rows(after=after))


def _rows(query: Any) -> list[dict[str, Any]]:
    cursor = proxy.obj.execute(query.order_by(Evidence.seq))
    return [dict(zip(_NAMES, row, strict=True)) for row in cursor.fetchall()]


def parts_between(after: int | None, until: int | None) -> list[Part]:
    """Return the parts of the entries behind a number and up to another, in their order.

    None is for no bound.
    """
    query = EvidencePart.select(*_PART)
    if after is not None:
        query = query.where(EvidencePart.seq > after)
    if until is not None:
        query = query.where(EvidencePart.seq <= until)
    rows = proxy.obj.execute(query.order_by(EvidencePart.seq)).fetchall()
    return [Part._make(row) for row in rows]


def leaf_of(row: Mapping[str, Any]) -> str | None:
    """Return the leaf of an entry that was read; None if it cannot be any entry's."""
    try:
        return leaf(row)
    except (TypeError, ValueError, AttributeError):
        return None
