"""Writing the chain: appending entries with the tree, storing wordings, erasing parts."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from repermit.clock import format_timestamp
from repermit.db.connection import chunks, lock_rows, make_id_list, make_value_list
from repermit.db.models.base import PreparedQuery
from repermit.db.models.campaigns import Wording
from repermit.db.models.evidence import Evidence, EvidenceHead, EvidenceNode, EvidencePart
from repermit.db.secure_delete import request_wiping
from repermit.evidence.entries import (
    PARTS,
    Entry,
    compute_chain_hash,
    compute_leaf,
    compute_part_digest,
    encode_canonical_json,
)
from repermit.evidence.merkle import SIZE, Frontier, Node

_SALT_BYTES = 16
_CHUNK = 500

KEPT_LEVEL = 6
"""Perfect subtrees of this level (64 leaves) and above are stored."""


def append(*entries: Entry) -> int:
    """Append entries and return the sequence number of the last.

    Must be the last step of the caller's transaction, since it locks the chain's head.
    """
    head = lock_head()
    seq: int = head.seq
    previous: str = head.hash
    frontier = read_frontier(head)
    nodes: list[Node] = []
    rows: list[Collection[Any]] = []
    parts: list[Sequence[Any]] = []
    for entry in entries:
        seq += 1
        row, part_rows = _make_rows(seq, entry)
        leaf = compute_leaf(row)
        previous = row["hash"] = compute_chain_hash(previous, leaf)
        nodes += frontier.add(bytes.fromhex(leaf), min_level=KEPT_LEVEL)
        rows.append(row.values())
        parts.extend(part_rows)
    Evidence.insert_rows(_ENTRY, rows)
    EvidencePart.insert_rows(_PART, parts)
    store_tree(frontier, nodes, seq, previous)
    return seq


def lock_head() -> EvidenceHead:
    """Return the chain's head, locked until the transaction ends, so that others cannot append."""
    head: EvidenceHead = _HEAD.first()
    return head


_HEAD = PreparedQuery(lambda: lock_rows(EvidenceHead.select()))


def read_newest_time() -> datetime | None:
    """Return the time of the newest entry, aware UTC; None without any."""
    newest: Evidence | None = Evidence.select(Evidence.at).order_by(Evidence.seq.desc()).first()
    return newest.at if newest else None


def read_frontier(head: EvidenceHead) -> Frontier:
    """Return the frontier that the head holds.

    Hashes that are damaged are replaced by zeros, so that answers are still recorded; `verify`
    reports the damage.
    """
    hashes = parse_hashes(head.frontier)
    size = max(head.seq, 0)
    count = size.bit_count()
    return Frontier(size, [*hashes, *[bytes(SIZE)] * count][:count])


def parse_hashes(frontier: str) -> list[bytes]:
    """Return the readable hashes of a stored frontier."""
    return [bytes.fromhex(digest) for digest in re.findall(r"[0-9a-f]{64}", frontier)]


def store_tree(frontier: Frontier, nodes: Sequence[Node], seq: int, head_hash: str) -> None:
    """Store the newest entry as the head, with the tree and the subtrees that were completed."""
    # A node that somebody has inserted there must not make recording an answer fail.
    EvidenceNode.insert_rows(
        _NODE,
        [(node.level, node.place, node.hash.hex()) for node in nodes],
        unique=_NODE[:2],
        replace=_NODE[2:],
    )
    _SAVE_HEAD.execute(seq, head_hash, frontier.root().hex(), b"".join(frontier.hashes).hex())


_NODE = (EvidenceNode.level, EvidenceNode.place, EvidenceNode.hash)
_SAVE_HEAD = PreparedQuery(
    lambda seq, hash, root, frontier: EvidenceHead.update(  # noqa: A006  as the column is named
        seq=seq, hash=hash, root=root, frontier=frontier
    ),
    4,
)


def store_wording(content: str) -> str:
    """Store a text once and return its digest."""
    digest = digest_wording(content)
    _INSERT_WORDING.execute(digest, content)
    return digest


def digest_wording(content: str) -> str:
    """Return the digest under which a text is stored: SHA-256 in hex."""
    return hashlib.sha256(content.encode()).hexdigest()


_INSERT_WORDING = PreparedQuery(
    lambda digest, content: Wording.insert(digest=digest, content=content).on_conflict_ignore(), 2
)


def erase_parts(subject: str, parts: Sequence[str]) -> list[int]:
    """Delete parts of all entries of a person; return the sequence numbers of these entries.

    The caller appends the `erased` entry that names them, in the same transaction. The parts of
    `erased` entries stay: they hold nothing personal, and account for the missing parts.
    """
    return erase_parts_by_subject([subject], parts)[subject]


def erase_parts_by_subject(
    subjects: Sequence[str], parts: Sequence[str], *, slug: str | None = None
) -> dict[str, list[int]]:
    """Delete parts of the entries of several people; return the entries' numbers, by subject.

    - `slug`: limits this to the entries on one list; see also `erase_parts`.
    """
    rows: Any = (
        EvidencePart.select(Evidence.subject, EvidencePart.id, EvidencePart.seq)
        .join(Evidence, on=(Evidence.seq == EvidencePart.seq))
        .where(
            Evidence.subject.in_(make_value_list(subjects)),
            Evidence.event != "erased",
            EvidencePart.part.in_(parts),
            *(() if slug is None else (Evidence.list == slug,)),
        )
        .tuples()
    )
    seqs: dict[str, set[int]] = {subject: set() for subject in subjects}
    ids = []
    for subject, number, seq in rows:
        seqs[subject].add(seq)
        ids.append(number)
    for batch in chunks(ids, _CHUNK):
        EvidencePart.delete().where(EvidencePart.id.in_(make_id_list(batch))).execute()
    request_wiping()
    return {subject: sorted(numbers) for subject, numbers in seqs.items()}


_ENTRY = Evidence._meta.sorted_fields  # noqa: SLF001  peewee's own way
_PART = (EvidencePart.seq, EvidencePart.part, EvidencePart.salt, EvidencePart.json)


def _make_rows(seq: int, entry: Entry) -> tuple[dict[str, Any], list[Sequence[Any]]]:
    """Return the row of an entry, without its hash, and the rows of its parts.

    Their values are in the order of the columns.
    """
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
        content, text = getattr(entry, part), entry.texts.get(part, "")
        row[part] = ""
        if content or text:
            salt, text = secrets.token_hex(_SALT_BYTES), text or encode_canonical_json(content)
            row[part] = compute_part_digest(salt, text)
            parts.append((seq, part, salt, text))
    return row, parts
