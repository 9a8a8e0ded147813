"""The evidence about a list: its entries as rows, and as a file that is checked offline.

docs/reference/proof-format.md describes that file.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC
from heapq import merge
from itertools import chain
from operator import itemgetter
from typing import Any, BinaryIO

from repermit.db.connection import chunks, iter_pages
from repermit.db.models.evidence import Evidence, EvidenceHead, EvidencePart, EvidenceTimestamp
from repermit.db.models.lists import MailingList
from repermit.errors import Refused
from repermit.evidence import chain_reader, signed_checkpoint
from repermit.evidence.asked_subjects import read_asked_subjects
from repermit.evidence.cosigned_checkpoints import read_stored_checkpoints
from repermit.evidence.entries import PARTS
from repermit.evidence.stored_tree import GAPS
from repermit.evidence.verify.evidence_export import EVENTS_BESIDE, FORMAT
from repermit.evidence.wordings_shown import iter_wordings_in
from repermit.exports.export_rows import Record, StoredJson
from repermit.settings.definitions import Settings

_PAGE = 1000
_CHUNK = 500
# The size of a record whose rows are counted within a tenth of a second, also with many erasures.
_MAX_COUNTED = 20_000
_FIELDS = ("seq", "at", "event", "list", "campaign", "subject", "actor")

COLUMNS = (
    *_FIELDS,
    *(f"{part}_digest" for part in PARTS),
    "hash",
    *(name for part in PARTS for name in (f"{part}_salt", part)),
)

# --- The entries. ---------------------------------------------------------------------------------


def iter_rows(mailing_list: MailingList) -> Iterator[Record]:
    """Yield the entries about a list, oldest first, with the columns COLUMNS.

    Included are entries of no list that belong with them (EVENTS_BESIDE), and entries elsewhere
    that erased a part of theirs. `at` is the text that is hashed. A part is None if it was erased
    or never there; its digest tells which.
    """
    list_entries = Evidence.select().where(Evidence.list == mailing_list.slug)
    related_seqs = sorted(_find_related_seqs(mailing_list.slug))
    related_pages = (
        Evidence.select().where(Evidence.seq.in_(chunk)).order_by(Evidence.seq).dicts()
        for chunk in chunks(related_seqs, _CHUNK)
    )
    read_seq = itemgetter("seq")
    pages = iter_pages(list_entries.dicts(), Evidence.seq, size=_PAGE, read_key=read_seq)
    all_rows = merge(
        chain.from_iterable(map(_add_parts, pages)),
        chain.from_iterable(map(_add_parts, map(list, related_pages))),
        key=read_seq,
    )
    yield from all_rows


def count_rows(mailing_list: MailingList) -> int | None:
    """Return how many entries `iter_rows` yields; None if the record is too large to count now."""
    head = EvidenceHead.get_or_none()
    if head is not None and head.seq > _MAX_COUNTED:
        return None
    listed: int = Evidence.select().where(Evidence.list == mailing_list.slug).count()
    return listed + len(_find_related_seqs(mailing_list.slug))


def _find_related_seqs(slug: str) -> set[int]:
    """Return the numbers of the entries elsewhere that belong with a list's entries."""
    elsewhere = Evidence.select(Evidence.seq).where(Evidence.list != slug)
    subjects = Evidence.select(Evidence.subject).where(Evidence.list == slug)
    erasures = _find_erasures(elsewhere.where(Evidence.subject.in_(subjects)), slug)
    is_erased_user = (Evidence.event == "erased") & Evidence.subject.startswith("user:")
    related = elsewhere.where(
        Evidence.event.in_(EVENTS_BESIDE) | is_erased_user, Evidence.list == ""
    )
    return {row.seq for row in related} | erasures


def _find_erasures(query: Any, slug: str) -> set[int]:
    """Return the numbers of the erasures in a query that name an entry of a list."""
    erasures = set()
    for row in list(query.where(Evidence.event == "erased")):
        content = chain_reader.read_entry(row.seq)["parts"].get("consent", {}).get("content", {})
        for seqs in chunks(list(content.get("seqs", ())), _CHUNK):
            list_entries = Evidence.select().where(
                Evidence.seq.in_(list(seqs)), Evidence.list == slug
            )
            if list_entries.exists():
                erasures.add(row.seq)
                break
    return erasures


def _add_parts(page: list[Mapping[str, Any]]) -> Iterator[Record]:
    parts_by_seq = _read_parts(row["seq"] for row in page)
    for row in page:
        at = row["at"].astimezone(UTC).isoformat(timespec="microseconds")
        digests = {f"{part}_digest": row[part] for part in PARTS}
        empty = {name: None for part in PARTS for name in (f"{part}_salt", part)}
        yield {**row, "at": at, **digests, **empty, **parts_by_seq.get(row["seq"], {})}


def _read_parts(seqs: Iterable[int]) -> dict[int, Record]:
    parts_by_seq: dict[int, Record] = {}
    for part in list(EvidencePart.select().where(EvidencePart.seq.in_(list(seqs)))):
        columns = parts_by_seq.setdefault(part.seq, {})
        columns[f"{part.part}_salt"] = part.salt
        columns[part.part] = StoredJson(part.json)
    return parts_by_seq


# --- The file for checking offline. ---------------------------------------------------------------


def write_evidence(
    entries: Iterable[Record],
    _: Mapping[str, str],
    out: BinaryIO,
    /,
    *,
    slug: str,
    settings: Settings,
) -> int:
    """Write entries with all that is needed to check them, as one JSON object; return how many.

    Written as it is read, so that a million entries need little memory; the caller provides a
    snapshot of the database. Raises Refused if the record has gaps.
    """
    checkpoint, key = (
        signed_checkpoint.make_signed_checkpoint(settings),
        signed_checkpoint.get_public_key(settings),
    )
    head: dict[str, Any] = {"format": FORMAT, "list": slug, "checkpoint": checkpoint.to_json()}
    head |= {"key": str(key)} if key else {}
    timestamps = _read_timestamps(checkpoint.seq)
    head |= {"timestamps": timestamps} if timestamps else {}
    cosigned = [
        {"note": cosigned_checkpoint.note}
        for cosigned_checkpoint in read_stored_checkpoints()
        if 0 < cosigned_checkpoint.seq <= checkpoint.seq
    ]
    head |= {"cosigned": cosigned} if cosigned else {}
    wording_digests: set[str] = set()
    campaigns: set[int] = set()
    out.write(_encode_json(head)[:-1] + b',\n"entries": [')
    count = _write_values(
        out, (_make_held_entry(row, wording_digests, campaigns) for row in entries)
    )
    out.write(b'],\n"wordings": ' + _encode_json(chain_reader.fetch_wordings(wording_digests)))
    separator = b',\n"audiences": {'
    for campaign in sorted(campaigns):
        out.write(separator + f'"{campaign}": ['.encode())
        _write_values(out, read_asked_subjects(campaign))
        out.write(b"]")
        separator = b",\n"
    out.write((b"}" if campaigns else b"") + b',\n"leaves": [')
    _write_values(out, _iter_leaves(checkpoint.seq))
    out.write(b"]}\n")
    return count


def _encode_json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def _write_values(out: BinaryIO, values: Iterable[Any]) -> int:
    """Write the values of an array, one a line; return how many."""
    count = 0
    for count, value in enumerate(values, start=1):
        out.write((b"\n" if count == 1 else b",\n") + _encode_json(value))
    out.write(b"\n")
    return count


def _make_held_entry(row: Record, wording_digests: set[str], campaigns: set[int]) -> dict[str, Any]:
    """Convert a row to an entry of the file.

    - `wording_digests`: gets the digests of the wordings that the entry names.
    - `campaigns`: gets the campaign whose audience the entry fixes.
    """
    parts = {
        part: {"salt": row[f"{part}_salt"], "content": json.loads(row[part])}
        for part in PARTS
        if row[part] is not None
    }
    consent = parts.get("consent", {}).get("content", {})
    wording_digests.update(iter_wordings_in(consent))
    if row["event"] == "launched" and "audience" in consent:
        campaigns.add(row["campaign"])
    digests = {part: row[f"{part}_digest"] for part in PARTS}
    return {"entry": {name: row[name] for name in _FIELDS} | digests, "parts": parts}


def _read_timestamps(seq: int) -> list[dict[str, str]]:
    """Return the timestamps of checkpoints up to entry `seq`."""
    model = EvidenceTimestamp
    rows = model.select().where(model.reply != "", model.seq <= seq).order_by(model.seq, model.id)
    return [{"note": row.note, "reply": row.reply} for row in rows]


def _iter_leaves(last: int) -> Iterator[str]:
    """Yield the leaves of all entries up to the entry `last`."""
    for batch in chain_reader.iter_row_batches():
        for row in batch:
            if row["seq"] > last:
                return
            leaf = chain_reader.try_compute_leaf(row)
            if leaf is None:
                raise Refused(GAPS)
            yield leaf
