"""Entries as the database has them: the chain, some thousands at a time, and those of one person.

Values come as they are stored, whatever somebody has made of them, so that nothing that was
tampered with ends in anything but its name.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC
from itertools import chain
from typing import Any, NamedTuple

from repermit.db.connection import chunks, find_position, make_id_list, make_value_list, proxy
from repermit.db.models.base import PreparedQuery
from repermit.db.models.campaigns import Wording
from repermit.db.models.evidence import Evidence, EvidencePart
from repermit.evidence.entries import NOTHING_BEFORE, PARTS, compute_leaf
from repermit.evidence.proof_file import DEADLINE_NAMES, digests_named

_NAMES = ("seq", "at", "event", "list", "campaign", "subject", "actor", *PARTS, "hash")
# By name: an upgrade of an older database reads them too.
_COLUMNS = tuple(getattr(Evidence, name) for name in _NAMES)
_PART = (EvidencePart.seq, EvidencePart.part, EvidencePart.salt, EvidencePart.json)

STEP = 2_000
"""So many entries are read at a time: with more, Python looks longer for what it can throw away."""


class EntryPart(NamedTuple):
    """A part of an entry as it is stored."""

    seq: int
    part: str
    salt: str
    json: str


def read_rows(first: int, last: int) -> list[dict[str, Any]]:
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


def iter_row_batches(
    *, after: int | None = None, step: int = STEP
) -> Iterator[list[dict[str, Any]]]:
    """Yield the entries behind a number, None for all that there are, some at a time."""
    query = Evidence.select(*_COLUMNS).limit(step)
    while found := _rows(query if after is None else query.where(Evidence.seq > after)):
        yield found
        after = found[-1]["seq"]


def iter_rows(*, after: int) -> Iterator[dict[str, Any]]:
    """Yield the entries behind a number one by one, the first few quickly."""
    for step in (4, 100):
        found = next(iter_row_batches(after=after, step=step), [])
        yield from found
        if len(found) < step:
            return
        after = found[-1]["seq"]
    yield from chain.from_iterable(iter_row_batches(after=after))


def _rows(query: Any) -> list[dict[str, Any]]:
    rows = fetch_rows(query.order_by(Evidence.seq))
    return [dict(zip(_NAMES, row, strict=True)) for row in rows]


def read_parts(after: int | None, until: int | None) -> list[EntryPart]:
    """Return the parts of the entries behind a number and up to another, in their order.

    None is for no bound.
    """
    query = EvidencePart.select(*_PART)
    if after is not None:
        query = query.where(EvidencePart.seq > after)
    if until is not None:
        query = query.where(EvidencePart.seq <= until)
    return [EntryPart._make(row) for row in fetch_rows(query.order_by(EvidencePart.seq))]


def fetch_rows(query: Any) -> list[tuple[Any, ...]]:
    """Return the rows of a query as they are stored, whatever somebody has made of them."""
    rows: list[tuple[Any, ...]] = proxy.obj.execute(query).fetchall()
    return rows


def select_parts(*columns: Any, text: Any, part: str = "consent") -> Any:
    """Return a query of the parts of one name in whose JSON a text stands, with their entries."""
    return (
        EvidencePart.select(*columns)
        .join(Evidence, on=(Evidence.seq == EvidencePart.seq))
        .where(EvidencePart.part == part, find_position(EvidencePart.json, text) > 0)
    )


def read_consent(parts: Mapping[str, EntryPart]) -> dict[str, Any] | None:
    """Return the content of an entry's part `consent`, None if it is not held or not readable.

    One that is not readable was altered, which is a fault of its own.
    """
    part = parts.get("consent")
    if part is None:
        return None
    try:
        content = json.loads(part.json)
    except ValueError:
        return None
    return content if isinstance(content, dict) else None


def read_consents(seqs: Iterable[int]) -> dict[int, dict[str, Any]]:
    """Return the parts `consent` of entries that are held, by the number of each."""
    parts: Any = EvidencePart.select(EvidencePart.seq, EvidencePart.json).where(
        EvidencePart.seq.in_(make_id_list(seqs)), EvidencePart.part == "consent"
    )
    return {seq: json.loads(content) for seq, content in parts.tuples()}


def leaf_of(row: Mapping[str, Any]) -> str | None:
    """Return the leaf of an entry that was read; None if it cannot be any entry's."""
    try:
        return compute_leaf(row)
    except (TypeError, ValueError, AttributeError):
        return None


def read_entries_with_parts(
    subject: str, slug: str, *, parts: Iterable[str] = PARTS
) -> list[tuple[Evidence, dict[str, dict[str, Any]]]]:
    """Return a person's entries on a list, the oldest first, each with its parts that are held.

    - `parts`: the names of those that are read.
    """
    is_own = (Evidence.subject == subject) & (Evidence.list == slug)
    query: Any = (
        EvidencePart.select(EvidencePart.seq, EvidencePart.part, EvidencePart.json)
        .join(Evidence, on=(Evidence.seq == EvidencePart.seq))
        .where(is_own, EvidencePart.part.in_(tuple(parts)))
    )
    contents: dict[int, dict[str, dict[str, Any]]] = {}
    for seq, part, text in query.tuples():
        contents.setdefault(seq, {})[part] = json.loads(text)
    entries = Evidence.select().where(is_own).order_by(Evidence.seq)
    return [(entry, contents.get(entry.seq, {})) for entry in entries]


# --- One person's entries as a proof and a receipt have them. -------------------------------------


_FIELDS = ("event", "list", "campaign", "subject", "actor", *PARTS)
_CHUNK = 500


def read_entries_of_subject(subject: str, slug: str) -> list[dict[str, Any]]:
    """Return a person's entries on a list, the oldest first, as JSON has them.

    Each is {"entry": its ten fields, "parts": {name: {"salt", "content"}}}; a part that was erased
    is not there. Erasures on another list stand among them too if they say why a part is gone.
    """
    return read_entries_by_subject([subject], slug)[subject]


def read_entries_by_subject(subjects: Sequence[str], slug: str) -> dict[str, list[dict[str, Any]]]:
    """Return the same for each of some people at once, by subject; they are some hundreds at most.

    Who has no entries has an empty list.
    """
    own = (Evidence.list == slug) | (Evidence.event == "erased")
    query = (
        Evidence.select()
        .where(Evidence.subject.in_(make_value_list(subjects)), own)
        .order_by(Evidence.seq)
    )
    found: dict[str, list[dict[str, Any]]] = {subject: [] for subject in subjects}
    for one in _with_parts(list(query)):
        found[one["entry"]["subject"]].append(one)
    return {subject: _without_others(entries, slug) for subject, entries in found.items()}


def read_campaign_entries(numbers: Iterable[int], slug: str) -> list[dict[str, Any]]:
    """Return by which entries campaigns of a list were launched and extended, likewise."""
    # About nobody, so that the index of subjects finds them among a million answers.
    query = Evidence.select().where(
        Evidence.subject == "",
        Evidence.campaign.in_(make_id_list(numbers)),
        Evidence.event.in_(tuple(DEADLINE_NAMES)),
        Evidence.list == slug,
    )
    return _with_parts(list(query.order_by(Evidence.seq)))


def has_newer_entries(subjects: Sequence[str], seq: int) -> bool:
    """Say whether any entry behind a number is about one of some people."""
    about = Evidence.subject.in_(make_value_list(subjects))
    return bool(Evidence.select(Evidence.seq).where(Evidence.seq > seq, about).exists())


def _without_others(entries: list[dict[str, Any]], slug: str) -> list[dict[str, Any]]:
    """Leave out what was erased of somebody on another list alone."""
    own = {one["entry"]["seq"] for one in entries if one["entry"]["list"] == slug}
    return [one for one in entries if one["entry"]["seq"] in own or not own.isdisjoint(_gone(one))]


def _gone(erased: dict[str, Any]) -> Sequence[int]:
    """Return the entries of which an erasure says that a part is gone."""
    told: Sequence[int] = erased["parts"].get("consent", {}).get("content", {}).get("seqs", ())
    return told


def find_subjects_of_other_lists(subjects: Sequence[str], slug: str) -> set[str]:
    """Return those of whom the record tells on other lists and not on this one.

    What happens to them here belongs under another subject: each list has its own record of them.
    """
    query: Any = Evidence.select(Evidence.subject, Evidence.list).distinct()
    found = set(query.where(Evidence.subject.in_(make_value_list(subjects))).tuples())
    return {subject for subject, _ in found if (subject, slug) not in found}


def read_entries(first: int, last: int) -> list[dict[str, Any]]:
    """Return the entries from one number to another, both included, likewise."""
    query = Evidence.select().where(Evidence.seq >= first, Evidence.seq <= last)
    return _with_parts(list(query.order_by(Evidence.seq)))


def read_entry(seq: int) -> dict[str, Any]:
    """Return one entry likewise."""
    (found,) = _with_parts([Evidence.get_by_id(seq)])
    return found


def read_previous_hash(seq: int) -> str:
    """Return the chain's hash before an entry; zeros before the first."""
    before: Evidence | None = Evidence.get_or_none(Evidence.seq == seq - 1)
    return before.hash if before else NOTHING_BEFORE


def read_wordings(entries: Iterable[dict[str, Any]]) -> dict[str, str]:
    """Return the wordings that entries name, by their digests."""
    digests = sorted(digests_named(entries))
    found: dict[str, str] = {}
    for some in chunks(digests, _CHUNK):
        found |= {one.digest: one.content for one in Wording.select().where(Wording.digest << some)}
    return found


def _with_parts(rows: Sequence[Evidence]) -> list[dict[str, Any]]:
    parts: dict[int, dict[str, Any]] = {row.seq: {} for row in rows}
    for some in chunks(list(parts), _CHUNK):
        for part in list(EvidencePart.select().where(EvidencePart.seq.in_(make_id_list(some)))):
            content = json.loads(part.json)
            parts[part.seq][part.part] = {"salt": part.salt, "content": content}
    return [{"entry": _entry(row), "parts": parts[row.seq]} for row in rows]


def _entry(row: Evidence) -> dict[str, Any]:
    at = row.at.astimezone(UTC).isoformat(timespec="microseconds")
    return {"seq": row.seq, "at": at, **{name: getattr(row, name) for name in _FIELDS}}
