"""What is written: entries at the end of the chain, wordings, and parts that are erased."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from typing import Any

from repermit.clock import format_timestamp
from repermit.db.connection import chunks, lock_rows, make_id_list, make_value_list
from repermit.db.models.base import PreparedQuery
from repermit.db.models.campaigns import Wording
from repermit.db.models.evidence import Evidence, EvidenceHead, EvidencePart
from repermit.db.secure_delete import request_wiping
from repermit.evidence.entries import PARTS, Entry, canonical, leaf, link, part_digest
from repermit.evidence.stored_tree import Growth, frontier_of

_SALT_BYTES = 16
_CHUNK = 500


def append(*entries: Entry) -> int:
    """Append entries and return the sequence number of the last.

    Must be the last step of the transaction that the caller has open, since it takes the lock of
    the chain's head.
    """
    head = _HEAD.first()
    seq: int = head.seq
    previous: str = head.hash
    growth = Growth(frontier_of(head))
    rows: list[Sequence[Any]] = []
    parts: list[Sequence[Any]] = []
    for entry in entries:
        seq += 1
        row, its_parts = _rows(seq, entry)
        its_leaf = leaf(row)
        previous = row["hash"] = link(previous, its_leaf)
        growth.add(its_leaf)
        rows.append([row[field.name] for field in _ENTRY])
        parts.extend(its_parts)
    Evidence.insert_rows(_ENTRY, rows)
    EvidencePart.insert_rows(_PART, parts)
    growth.keep(seq=seq, hash=previous)
    return seq


_HEAD = PreparedQuery(lambda: lock_rows(EvidenceHead.select()))


def keep_wording(content: str) -> str:
    """Store a text once and return its digest."""
    digest = digest_wording(content)
    _KEEP_WORDING.execute(digest, content)
    return digest


def digest_wording(content: str) -> str:
    """Return by which digest a text is kept: SHA-256 in hex."""
    return hashlib.sha256(content.encode()).hexdigest()


_KEEP_WORDING = PreparedQuery(
    lambda digest, content: Wording.insert(digest=digest, content=content).on_conflict_ignore(), 2
)


def erase_parts(subject: str, parts: Sequence[str]) -> list[int]:
    """Delete these parts of all a person's entries; return the sequence numbers they had.

    The caller appends the `erased` entry that names them, in the same transaction. What such an
    entry itself says stays: it holds nothing personal, and without it the chain would miss what
    it excuses.
    """
    own = Evidence.select(Evidence.seq).where(
        Evidence.subject == subject, Evidence.event != "erased"
    )
    found = EvidencePart.select(EvidencePart.seq).where(
        EvidencePart.seq.in_(own), EvidencePart.part.in_(parts)
    )
    seqs = sorted({row.seq for row in found})
    EvidencePart.delete().where(EvidencePart.seq.in_(own), EvidencePart.part.in_(parts)).execute()
    request_wiping()
    return seqs


def erase_parts_of(
    subjects: Sequence[str], parts: Sequence[str], *, slug: str
) -> dict[str, list[int]]:
    """Delete these parts of several people's entries on a list; return their numbers, by subject.

    As `erase_parts` does for one: the caller appends the `erased` entries.
    """
    rows: Any = (
        EvidencePart.select(Evidence.subject, EvidencePart.id, EvidencePart.seq)
        .join(Evidence, on=(Evidence.seq == EvidencePart.seq))
        .where(
            Evidence.subject.in_(make_value_list(subjects)),
            Evidence.list == slug,
            Evidence.event != "erased",
            EvidencePart.part.in_(parts),
        )
        .tuples()
    )
    seqs: dict[str, set[int]] = {subject: set() for subject in subjects}
    ids = []
    for subject, number, seq in rows:
        seqs[subject].add(seq)
        ids.append(number)
    for some in chunks(ids, _CHUNK):
        EvidencePart.delete().where(EvidencePart.id.in_(make_id_list(some))).execute()
    request_wiping()
    return {subject: sorted(found) for subject, found in seqs.items()}


_ENTRY = Evidence._meta.sorted_fields  # noqa: SLF001  peewee's own way
_PART = (EvidencePart.seq, EvidencePart.part, EvidencePart.salt, EvidencePart.json)


def _rows(seq: int, entry: Entry) -> tuple[dict[str, Any], list[Sequence[Any]]]:
    """Return an entry but for its hash, and the values of its parts, as the database keeps them."""
    row: dict[str, Any] = {
        "seq": seq,
        "at": format_timestamp(entry.at),
        "event": entry.event,
        "list": entry.list,
        "campaign": entry.campaign,
        "subject": entry.subject,
        "actor": entry.actor,
    }
    parts: list[Sequence[Any]] = []
    for part in PARTS:
        content = getattr(entry, part)
        row[part] = ""
        if content:
            salt, text = secrets.token_hex(_SALT_BYTES), canonical(content)
            row[part] = part_digest(salt, text)
            parts.append((seq, part, salt, text))
    return row, parts
