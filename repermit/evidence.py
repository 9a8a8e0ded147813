"""The append-only, hash-chained record of answers, removals and admins' acts.

May import models and what lies below. An entry names a person by a random subject only; what is
personal stands in up to three salted parts, whose digests the entry holds.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from repermit.models import Evidence, EvidenceHead, EvidencePart, Wording, chunks, lock_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

PARTS = ("consent", "person", "trace")
"""The parts of an entry: what was agreed, who it was, and how the answer reached us."""

_SALT_BYTES = 16
_CHUNK = 500


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One entry to append. `list` is the slug; `actor` is "person", "job", or who acted.

    The parts are what JSON can hold; an empty part is not written.
    """

    event: str
    at: datetime
    actor: str
    list: str = ""
    campaign: int = 0
    subject: str = ""
    consent: Mapping[str, Any] = field(default_factory=dict)
    person: Mapping[str, Any] = field(default_factory=dict)
    trace: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Fault:
    """An entry that does not hold, and how it fails."""

    seq: int
    how: str


def append(*entries: Entry) -> int:
    """Append entries and return the sequence number of the last.

    Must be the last step of the transaction that the caller has open, since it takes the lock of
    the chain's head.
    """
    head = lock_rows(EvidenceHead.select()).get()
    seq: int = head.seq
    previous: str = head.hash
    rows: list[dict[str, Any]] = []
    parts: list[dict[str, Any]] = []
    for entry in entries:
        seq += 1
        row, its_parts = _rows(seq, entry)
        previous = row["hash"] = _link(previous, leaf(row))
        rows.append(row)
        parts.extend(its_parts)
    for some in chunks(rows, _CHUNK):
        Evidence.insert_many(some).execute()
    for some in chunks(parts, _CHUNK):
        EvidencePart.insert_many(some).execute()
    EvidenceHead.update(seq=seq, hash=previous).execute()
    return seq


def keep_wording(content: str) -> str:
    """Store a text once and return its digest, SHA-256 in hex."""
    digest = hashlib.sha256(content.encode()).hexdigest()
    Wording.insert(digest=digest, content=content).on_conflict_ignore().execute()
    return digest


def erase_parts(subject: str, parts: Sequence[str]) -> list[int]:
    """Delete these parts of all a person's entries; return the sequence numbers they had.

    The caller appends the `erased` entry that names them, in the same transaction.
    """
    own = Evidence.select(Evidence.seq).where(Evidence.subject == subject)
    found = EvidencePart.select(EvidencePart.seq).where(
        EvidencePart.seq.in_(own), EvidencePart.part.in_(parts)
    )
    seqs = sorted({row.seq for row in found})
    EvidencePart.delete().where(EvidencePart.seq.in_(own), EvidencePart.part.in_(parts)).execute()
    return seqs


def canonical(value: Any) -> str:
    """Return the one JSON text of a value: sorted keys, no spaces, no escapes beyond need."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def leaf(row: Mapping[str, Any]) -> str:
    """Return the SHA-256 of an entry's canonical JSON, in hex."""
    fields = {
        "seq": row["seq"],
        "at": row["at"].astimezone(UTC).isoformat(timespec="microseconds"),
        **{name: row[name] for name in ("event", "list", "campaign", "subject", "actor", *PARTS)},
    }
    return hashlib.sha256(canonical(fields).encode()).hexdigest()


def verify() -> Iterator[Fault]:
    """Walk the chain from its start and yield every entry that does not hold."""
    previous, expected = "0" * 64, 1
    erased = _erased_parts()
    for row in Evidence.select().order_by(Evidence.seq).dicts().iterator():
        if row["seq"] != expected:
            yield Fault(expected, "missing")
        if _link(previous, leaf(row)) != row["hash"]:
            yield Fault(row["seq"], "edited")
        yield from _verify_parts(row, erased)
        previous, expected = row["hash"], row["seq"] + 1
    head = EvidenceHead.get()
    if (head.seq, head.hash) != (expected - 1, previous):
        yield Fault(head.seq, "the head does not match the last entry")


def _rows(seq: int, entry: Entry) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    row: dict[str, Any] = {
        "seq": seq,
        "at": entry.at,
        "event": entry.event,
        "list": entry.list,
        "campaign": entry.campaign,
        "subject": entry.subject,
        "actor": entry.actor,
    }
    parts = []
    for part in PARTS:
        content = getattr(entry, part)
        row[part] = ""
        if content:
            salt, text = secrets.token_hex(_SALT_BYTES), canonical(content)
            row[part] = part_digest(salt, text)
            parts.append({"seq": seq, "part": part, "salt": salt, "json": text})
    return row, parts


def part_digest(salt: str, text: str) -> str:
    """Return the SHA-256 of a part's salt (16 bytes, given in hex) and JSON, in hex."""
    return hashlib.sha256(bytes.fromhex(salt) + text.encode()).hexdigest()


def _link(previous: str, its_leaf: str) -> str:
    return hashlib.sha256(bytes.fromhex(previous) + bytes.fromhex(its_leaf)).hexdigest()


def _erased_parts() -> set[tuple[int, str]]:
    """Return (seq, part) of all parts that a later `erased` entry names."""
    query = (
        EvidencePart.select(EvidencePart.seq, EvidencePart.json)
        .join(Evidence, on=(Evidence.seq == EvidencePart.seq))
        .where(Evidence.event == "erased", EvidencePart.part == "consent")
    )
    named = ((row.seq, json.loads(row.json)) for row in query)
    return {
        (seq, part)
        for later, content in named
        for seq in content["seqs"]
        if seq < later
        for part in content["parts"]
    }


def _verify_parts(row: Mapping[str, Any], erased: set[tuple[int, str]]) -> Iterator[Fault]:
    kept = {part.part: part for part in EvidencePart.select().where(EvidencePart.seq == row["seq"])}
    for name in PARTS:
        part = kept.get(name)
        if part is None:
            if row[name] and (row["seq"], name) not in erased:
                yield Fault(row["seq"], f"part {name} missing")
        elif part_digest(part.salt, part.json) != row[name]:
            yield Fault(row["seq"], f"part {name} altered")
