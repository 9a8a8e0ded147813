"""Personal parts of entries: checking their digests, and whether erasures were allowed."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, NamedTuple

from peewee import JOIN, Value

from repermit.clock import years_before
from repermit.db.connection import chunks, stream_rows
from repermit.db.models.base import Meta, parse_timestamp
from repermit.db.models.evidence import Evidence, EvidencePart
from repermit.evidence.chain_reader import EntryPart, read_parts, select_parts
from repermit.evidence.entries import PARTS, compute_part_digest
from repermit.evidence.verify.diagnosis import Fault, How

_NAMES = frozenset(PARTS)

_SALT = re.compile(r"[0-9a-f]{32}")


class PartBatch:
    """The parts of a batch of entries, read at once; `erased` counts the parts that were erased."""

    def __init__(
        self, rows: Sequence[Mapping[str, Any]], *, after: int | None, erasures: Erasures
    ) -> None:
        self.parts = read_parts(after, rows[-1]["seq"])
        self._stored_parts: dict[int, dict[str, EntryPart]] = defaultdict(dict)
        for part in self.parts:
            self._stored_parts[part.seq][part.part] = part
        self.erased = 0
        self._excused = erasures.find_excused(list(self._iter_missing(rows)))

    def _iter_missing(self, rows: Iterable[Mapping[str, Any]]) -> Iterator[tuple[int, str, str]]:
        for row in rows:
            stored = self._stored_parts.get(row["seq"], {})
            for name in PARTS:
                if row[name] and name not in stored:
                    yield row["seq"], name, row["subject"]

    def get_parts(self, seq: int) -> Mapping[str, EntryPart]:
        """Return the stored parts of an entry, by their names."""
        return self._stored_parts.get(seq, {})

    def has_named_parts(self, row: Mapping[str, Any]) -> bool:
        """Say quickly whether an entry has exactly the parts that it names; nearly all have."""
        stored = self._stored_parts.get(row["seq"], {})
        count = 0
        for name in PARTS:
            if digest := row[name]:
                part = stored.get(name)
                if part is None or _compute_digest(part) != digest:
                    return False
                count += 1
        return count == len(stored)

    def find_faults(self, row: Mapping[str, Any]) -> Iterator[Fault]:
        """Yield the faults of an entry's parts."""
        seq = row["seq"]
        stored = self._stored_parts.get(seq, {})
        for name in PARTS:
            part = stored.get(name)
            if part is None:
                if row[name] and (seq, name) not in self._excused:
                    yield Fault(seq, How.PART_MISSING, name)
                self.erased += (seq, name) in self._excused
            elif not row[name]:
                yield Fault(seq, How.PART_INSERTED, name)
            elif _compute_digest(part) != row[name]:
                yield _find_part_fault(part, row[name])
        for name in stored.keys() - _NAMES:
            yield Fault(seq, How.PART_INSERTED, name)


def _compute_digest(part: EntryPart) -> str:
    """Return a part's digest; "" if its salt is malformed."""
    # Another form of the salt can give the same digest, but a proof with it would be refused.
    return compute_part_digest(part.salt, part.json) if _SALT.fullmatch(part.salt) else ""


def find_orphaned_parts(after: int) -> Iterator[Fault]:
    """Yield a fault for each part whose number is behind the last entry."""
    for part in read_parts(after, None):
        yield Fault(part.seq, How.PART_INSERTED, f"{part.part}, and there is no such entry")


def _find_part_fault(part: EntryPart, expected: str) -> Fault:
    """Return the fault of a part that does not match its digest: altered, or of another entry."""
    digest = _compute_digest(part)
    column = getattr(Evidence, part.part)
    owner = Evidence.select(Evidence.seq).where(column == digest).first() if digest else None
    if owner is None:
        return Fault(part.seq, How.PART_ALTERED, part.part)
    other = EntryPart(*next(iter(_read_named_parts(owner.seq, part.part)), (0, "", "", "")))
    if _compute_digest(other) == expected:
        return Fault(part.seq, How.PARTS_SWAPPED, f"{part.part}, with that of entry {owner.seq}")
    detail = f"{part.part}: it is that of entry {owner.seq}"
    return Fault(part.seq, How.PART_ALTERED, detail)


def _read_named_parts(seq: int, name: str) -> list[EntryPart]:
    return [part for part in read_parts(seq - 1, seq) if part.part == name]


# --- Whether a later `erased` entry accounts for a missing part. ----------------------------------


_CHUNK = 500
_BY_TIME = ("consent", "trace")


class Erasures:
    """The `erased` entries, read only where parts are missing."""

    def find_excused(self, gone: Sequence[tuple[int, str, str]]) -> set[tuple[int, str]]:
        """Return the missing parts that an erasure accounts for.

        - `gone`: (seq, part, subject) of the missing parts; the result has (seq, part).
        """
        own = _read_erasures_of_people({subject for _, _, subject in gone if subject})
        return {
            (seq, name)
            for seq, name, subject in gone
            if seq in own[subject, name] or (name in _BY_TIME and seq in self._by_time[name])
        }

    @cached_property
    def _by_time(self) -> Mapping[str, set[int]]:
        erased: dict[str, set[int]] = defaultdict(set)
        for _, seq, text in _read_erasures(Evidence.subject == "", Evidence.actor == "job"):
            for name, earlier in _read_erasure(text, seq):
                erased[name].update(earlier)
        return erased


def read_erased_fingerprint(subject: str, slug: str) -> str:
    """Return the fingerprint of the address last erased of a subject on a list; "" if none."""
    query: Any = (
        EvidencePart.select(EvidencePart.json)
        .join(Evidence, on=(Evidence.seq == EvidencePart.seq))
        .where(
            Evidence.subject == subject,
            Evidence.list == slug,
            Evidence.event == "erased",
            EvidencePart.part == "consent",
        )
        .order_by(Evidence.seq.desc())
        .tuples()
    )
    fingerprints = (json.loads(text).get("whose", "") for (text,) in query)
    return next(filter(None, fingerprints), "")


def _read_erasures_of_people(subjects: Iterable[str]) -> Mapping[tuple[str, str], set[int]]:
    erased: dict[tuple[str, str], set[int]] = defaultdict(set)
    for chunk in chunks(sorted(subjects), _CHUNK):
        for subject, seq, text in _read_erasures(Evidence.subject.in_(chunk)):
            for name, earlier in _read_erasure(text, seq):
                erased[subject, name].update(earlier)
    return erased


def _read_erasures(*conditions: Any) -> Iterable[tuple[str, int, str]]:
    """Return the `erased` entries that meet conditions, as (subject, number, content)."""
    query: Any = (
        EvidencePart.select(Evidence.subject, Evidence.seq, EvidencePart.json)
        .join(Evidence, on=(Evidence.seq == EvidencePart.seq))
        .where(Evidence.event == "erased", EvidencePart.part == "consent", *conditions)
    )
    rows: Iterable[tuple[str, int, str]] = query.tuples().iterator()
    return rows


def _read_erasure(text: str, seq: int) -> Iterator[tuple[str, list[int]]]:
    """Yield the kinds of parts that an erasure names, each with the numbers of earlier entries."""
    try:
        content = json.loads(text)
        earlier = [number for number in content["seqs"] if number < seq]
        names = [str(name) for name in content["parts"]]
    except (TypeError, ValueError, KeyError):
        return
    for name in names:
        yield name, earlier


# --- Whether proofs were erased by the retention job only, and not too early. ---------------------


TERMS_TOLD_SINCE = "terms_told_since"
"""The key of `meta` for the entry after which erasures of proofs state their retention period."""

_JOB = "job"
_STATUS_EVENTS = ("confirmed", "customer", "removed", "import_undone", "sign_up_undone")
_TAKEN_BACK = ("import_undone", "erased")

_Person = tuple[str, str]
"""A subject, and the slug of a list."""


class _Erasure(NamedTuple):
    """An entry `erased` that names proofs; `years` is its retention period, None without one."""

    seq: int
    at: datetime
    subject: str
    slug: str
    seqs: Sequence[int]
    years: int | None


@dataclass(frozen=True, kw_only=True)
class _Entry:
    """An entry about a person; `consent` is filled only for an entry that undid an import."""

    seq: int
    at: datetime
    event: str
    consent: Mapping[str, Any]

    @property
    def takes_back(self) -> bool:
        """Say whether the entry undid an import that had claimed something about this person."""
        return self.event == "import_undone" or "imported_at" in self.consent


def find_premature_erasures() -> Iterator[Fault]:
    """Yield faults for entries that erased proofs without permission or too early."""
    since = Meta.read_number(TERMS_TOLD_SINCE) or 0
    restored = {parse_timestamp(at) for at in _iter_restored_times()}
    erasures: list[_Erasure] = []
    for seq, at, actor, subject, slug, text in list(stream_rows(_select_naming_erasures())):
        consent = json.loads(text)
        if "consent" not in consent.get("parts", ()):
            continue
        if actor != _JOB:
            yield Fault(seq, How.ERASED_WRONGLY, f"by {actor}")
            continue
        years = consent.get("years")
        if type(years) is not int and (seq > since or years is not None):
            yield Fault(seq, How.ERASED_WRONGLY, "it tells no term")
            continue
        erasures.append(_Erasure(seq, parse_timestamp(at), subject, slug, consent["seqs"], years))
    for chunk in chunks(erasures, _CHUNK):
        owners = _find_owners(chunk)
        entries = _read_entries_about(set().union(*owners.values()))
        for erasure in chunk:
            people = owners[erasure.seq]
            if not all(_is_over(entries.get(person, ()), erasure, restored) for person in people):
                yield Fault(erasure.seq, How.ERASED_WRONGLY, "before its time")


def _select_naming_erasures() -> Any:
    columns = (Evidence.seq, Evidence.at, Evidence.actor, Evidence.subject, Evidence.list)
    return (
        select_parts(*columns, EvidencePart.json, text=Value('"consent"'))
        .where(Evidence.event == "erased")
        .order_by(Evidence.seq)
    )


def _iter_restored_times() -> Iterable[Any]:
    rows: Any = Evidence.select(Evidence.at).where(Evidence.event == "restored").tuples()
    return (at for (at,) in rows)


def _find_owners(erasures: Sequence[_Erasure]) -> dict[int, set[_Person]]:
    """Return the people whose proofs each erasure names.

    Earlier versions named the proofs of many people in one entry.
    """
    owners = {
        erasure.seq: {(erasure.subject, erasure.slug)} if erasure.subject else set()
        for erasure in erasures
    }
    for erasure in erasures:
        if not erasure.subject:
            for seqs in chunks(erasure.seqs, _CHUNK):
                rows: Any = Evidence.select(Evidence.subject, Evidence.list).where(
                    Evidence.seq.in_(list(seqs)), Evidence.subject != ""
                )
                owners[erasure.seq] |= set(rows.tuples())
    return owners


def _read_entries_about(people: Iterable[_Person]) -> dict[_Person, list[_Entry]]:
    """Return the entries about people, by person, the oldest first."""
    entries: dict[_Person, list[_Entry]] = {}
    for subjects in chunks(sorted({subject for subject, _ in people}), _CHUNK):
        rows: Any = (
            Evidence.select(
                Evidence.subject,
                Evidence.list,
                Evidence.seq,
                Evidence.at,
                Evidence.event,
                EvidencePart.json,
            )
            .join(
                EvidencePart,
                JOIN.LEFT_OUTER,
                on=(EvidencePart.seq == Evidence.seq) & (EvidencePart.part == "consent"),
            )
            .where(Evidence.subject.in_(list(subjects)))
            .order_by(Evidence.seq)
            .tuples()
        )
        for subject, slug, seq, at, event, text in rows.iterator():
            consent = json.loads(text) if text and event in _TAKEN_BACK else {}
            entry = _Entry(seq=seq, at=at, event=event, consent=consent)
            entries.setdefault((subject, slug), []).append(entry)
    return entries


def _is_over(entries: Iterable[_Entry], erasure: _Erasure, restored: Iterable[datetime]) -> bool:
    """Say whether the retention period of a person's erased proofs was over at the erasure."""
    earlier = [entry for entry in entries if entry.seq < erasure.seq]
    statuses = [entry for entry in earlier if entry.event in _STATUS_EVENTS]
    last = statuses[-1] if statuses else None
    # A removal that a restore repeated had happened earlier, as the erased proof showed.
    if last and last.event == "removed" and (last.at in restored or _is_due(last.at, erasure)):
        return True
    named = [entry for entry in earlier if entry.seq in set(erasure.seqs)]
    undoings = [entry for entry in earlier if entry.takes_back and _is_due(entry.at, erasure)]
    return all(any(_holds_undone_claim(entry, undoing) for undoing in undoings) for entry in named)


def _is_due(timestamp: datetime, erasure: _Erasure) -> bool:
    return erasure.years is None or timestamp <= years_before(erasure.at, erasure.years)


def _holds_undone_claim(entry: _Entry, undoing: _Entry) -> bool:
    """Say whether an entry holds the claim of the import that another entry undid."""
    # The undoing entry's own part may have been deleted at the end of its term.
    imported_at = "" if undoing.event == "erased" else undoing.consent.get("imported_at", "")
    return entry.at == parse_timestamp(imported_at) if imported_at else entry.seq <= undoing.seq
