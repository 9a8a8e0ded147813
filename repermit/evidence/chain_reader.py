"""Reading entries from the database: the whole chain in batches, and the entries of one person.

Values are returned exactly as stored, so that verification can report a value that was tampered
with instead of failing on it.
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
from repermit.evidence.proof_file import DEADLINE_NAMES, list_named_digests

_NAMES = ("seq", "at", "event", "list", "campaign", "subject", "actor", *PARTS, "hash")
# By name: an upgrade of an older database reads them too.
_COLUMNS = tuple(getattr(Evidence, name) for name in _NAMES)
_PART = (EvidencePart.seq, EvidencePart.part, EvidencePart.salt, EvidencePart.json)

STEP = 2_000
"""The number of entries in a batch; with more, Python's garbage collector takes longer."""


class EntryPart(NamedTuple):
    """A part of an entry as it is stored."""

    seq: int
    part: str
    salt: str
    json: str


def read_rows(first: int, last: int) -> list[dict[str, Any]]:
    """Return the rows of the entries from `first` to `last`, both included, in their order."""
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
    """Yield the rows of the entries in batches of `step`.

    - `after`: yields the entries behind this number; None for all entries.
    """
    query = Evidence.select(*_COLUMNS).limit(step)
    while rows := _fetch_entries(query if after is None else query.where(Evidence.seq > after)):
        yield rows
        after = rows[-1]["seq"]


def iter_rows(*, after: int) -> Iterator[dict[str, Any]]:
    """Yield the rows of the entries behind a number one by one, the first few quickly."""
    for step in (4, 100):
        rows = next(iter_row_batches(after=after, step=step), [])
        yield from rows
        if len(rows) < step:
            return
        after = rows[-1]["seq"]
    yield from chain.from_iterable(iter_row_batches(after=after))


def _fetch_entries(query: Any) -> list[dict[str, Any]]:
    rows = fetch_rows(query.order_by(Evidence.seq))
    return [dict(zip(_NAMES, row, strict=True)) for row in rows]


def read_parts(after: int | None, until: int | None) -> list[EntryPart]:
    """Return the parts of the entries behind `after`, up to and with `until`, in their order.

    None means no bound.
    """
    query = EvidencePart.select(*_PART)
    if after is not None:
        query = query.where(EvidencePart.seq > after)
    if until is not None:
        query = query.where(EvidencePart.seq <= until)
    return [EntryPart._make(row) for row in fetch_rows(query.order_by(EvidencePart.seq))]


def fetch_rows(query: Any) -> list[tuple[Any, ...]]:
    """Return the rows of a query exactly as they are stored, without converting values."""
    rows: list[tuple[Any, ...]] = proxy.obj.execute(query).fetchall()
    return rows


def select_parts(*columns: Any, text: Any, part: str = "consent") -> Any:
    """Return a query for the parts of one name whose JSON contains a text, with their entries."""
    return (
        EvidencePart.select(*columns)
        .join(Evidence, on=(Evidence.seq == EvidencePart.seq))
        .where(EvidencePart.part == part, find_position(EvidencePart.json, text) > 0)
    )


def read_consent(parts: Mapping[str, EntryPart]) -> dict[str, Any] | None:
    """Return the content of an entry's part `consent`; None if it is missing or not readable.

    A part that is not readable was altered, which verification reports as a fault of its own.
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
    """Return the contents of the stored parts `consent` of entries, by the number of each entry."""
    parts: Any = EvidencePart.select(EvidencePart.seq, EvidencePart.json).where(
        EvidencePart.seq.in_(make_id_list(seqs)), EvidencePart.part == "consent"
    )
    return {seq: json.loads(content) for seq, content in parts.tuples()}


def try_compute_leaf(row: Mapping[str, Any]) -> str | None:
    """Return the leaf of a row that was read; None if the row cannot be an entry."""
    try:
        return compute_leaf(row)
    except (TypeError, ValueError, AttributeError):
        return None


def read_entries_with_parts(
    subject: str, slug: str, *, parts: Iterable[str] = PARTS
) -> list[tuple[Evidence, dict[str, dict[str, Any]]]]:
    """Return a person's entries on a list, the oldest first, each with its stored parts.

    - `parts`: the names of the parts to read.
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
    """Return a person's entries on a list, the oldest first, in the form that a proof has.

    - Each entry is {"entry": its ten fields, "parts": {name: {"salt", "content"}}}.
    - A part that was erased is missing.
    - An erasure on another list is included if it says why a part of these entries is gone.
    """
    return read_entries_by_subject([subject], slug)[subject]


def read_entries_by_subject(subjects: Sequence[str], slug: str) -> dict[str, list[dict[str, Any]]]:
    """Return the entries of several people on a list, by subject, in one query.

    - `subjects`: some hundreds at most.
    - Each value has the form of `read_entries_of_subject`; it is empty for a subject without
      entries.
    """
    own = (Evidence.list == slug) | (Evidence.event == "erased")
    query = (
        Evidence.select()
        .where(Evidence.subject.in_(make_value_list(subjects)), own)
        .order_by(Evidence.seq)
    )
    entries_by_subject: dict[str, list[dict[str, Any]]] = {subject: [] for subject in subjects}
    for entry in _with_parts(list(query)):
        entries_by_subject[entry["entry"]["subject"]].append(entry)
    return {
        subject: _drop_other_erasures(entries, slug)
        for subject, entries in entries_by_subject.items()
    }


def read_campaign_entries(numbers: Iterable[int], slug: str) -> list[dict[str, Any]]:
    """Return the entries of the launches and extensions of a list's campaigns.

    They have the form of `read_entries_of_subject`.
    """
    # Without a subject, so that the index of subjects finds them among a million answers.
    query = Evidence.select().where(
        Evidence.subject == "",
        Evidence.campaign.in_(make_id_list(numbers)),
        Evidence.event.in_(tuple(DEADLINE_NAMES)),
        Evidence.list == slug,
    )
    return _with_parts(list(query.order_by(Evidence.seq)))


def has_newer_entries(subjects: Sequence[str], seq: int) -> bool:
    """Say whether any entry behind number `seq` is about one of these subjects."""
    about = Evidence.subject.in_(make_value_list(subjects))
    return bool(Evidence.select(Evidence.seq).where(Evidence.seq > seq, about).exists())


def _drop_other_erasures(entries: list[dict[str, Any]], slug: str) -> list[dict[str, Any]]:
    """Leave out erasures that concern another list alone."""
    own_seqs = {item["entry"]["seq"] for item in entries if item["entry"]["list"] == slug}
    return [
        item
        for item in entries
        if item["entry"]["seq"] in own_seqs or not own_seqs.isdisjoint(_list_erased_seqs(item))
    ]


def _list_erased_seqs(erasure: dict[str, Any]) -> Sequence[int]:
    """Return the numbers of the entries whose parts an erasure deleted."""
    seqs: Sequence[int] = erasure["parts"].get("consent", {}).get("content", {}).get("seqs", ())
    return seqs


def find_subjects_of_other_lists(subjects: Sequence[str], slug: str) -> set[str]:
    """Return the subjects that have entries on other lists but none on this one.

    Entries on this list need another subject, as each list has its own record of a person.
    """
    query: Any = Evidence.select(Evidence.subject, Evidence.list).distinct()
    pairs = set(query.where(Evidence.subject.in_(make_value_list(subjects))).tuples())
    return {subject for subject, _ in pairs if (subject, slug) not in pairs}


def read_entries(first: int, last: int) -> list[dict[str, Any]]:
    """Return the entries from `first` to `last`, both included.

    They have the form of `read_entries_of_subject`.
    """
    query = Evidence.select().where(Evidence.seq >= first, Evidence.seq <= last)
    return _with_parts(list(query.order_by(Evidence.seq)))


def read_entry(seq: int) -> dict[str, Any]:
    """Return one entry in the form of `read_entries_of_subject`."""
    (entry,) = _with_parts([Evidence.get_by_id(seq)])
    return entry


def read_previous_hash(seq: int) -> str:
    """Return the hash of the entry before `seq`; zeros before the first entry."""
    before: Evidence | None = Evidence.get_or_none(Evidence.seq == seq - 1)
    return before.hash if before else NOTHING_BEFORE


def read_wordings(entries: Iterable[dict[str, Any]]) -> dict[str, str]:
    """Return the wordings that entries refer to, by their digests."""
    return fetch_wordings(list_named_digests(entries))


def fetch_wordings(digests: Iterable[str]) -> dict[str, str]:
    """Return the wordings with these digests, by digest."""
    wordings: dict[str, str] = {}
    for batch in chunks(sorted(digests), _CHUNK):
        wordings |= {
            wording.digest: wording.content
            for wording in Wording.select().where(Wording.digest << batch)
        }
    return wordings


def _with_parts(rows: Sequence[Evidence]) -> list[dict[str, Any]]:
    parts: dict[int, dict[str, Any]] = {row.seq: {} for row in rows}
    for batch in chunks(list(parts), _CHUNK):
        for part in list(EvidencePart.select().where(EvidencePart.seq.in_(make_id_list(batch)))):
            content = json.loads(part.json)
            parts[part.seq][part.part] = {"salt": part.salt, "content": content}
    return [{"entry": _make_entry_json(row), "parts": parts[row.seq]} for row in rows]


def _make_entry_json(row: Evidence) -> dict[str, Any]:
    at = row.at.astimezone(UTC).isoformat(timespec="microseconds")
    return {"seq": row.seq, "at": at, **{name: getattr(row, name) for name in _FIELDS}}
