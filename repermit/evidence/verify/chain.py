"""Verifying the chain: a walk from its first entry to its head that ends where it breaks.

A million entries are read a few thousand at a time, with their parts; a single entry is queried
only if something is wrong with it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from itertools import chain
from pathlib import Path
from traceback import extract_tb
from typing import Any

from cryptography.x509 import Certificate
from peewee import DataError, OperationalError, fn

from repermit.db.connection import Database, read_snapshot
from repermit.db.detached_process import DetachedTask
from repermit.db.models.contacts import Contact
from repermit.db.models.evidence import Evidence, EvidenceHead
from repermit.evidence.chain_reader import iter_row_batches, try_compute_leaf
from repermit.evidence.cosigned_checkpoints import read_witness_key
from repermit.evidence.entries import EVENTS, NOTHING_BEFORE, Checkpoint, compute_chain_hash
from repermit.evidence.erasable_parts import (
    Erasures,
    PartBatch,
    find_orphaned_parts,
    find_premature_erasures,
)
from repermit.evidence.signed_checkpoint import sign
from repermit.evidence.signed_note import WitnessKey
from repermit.evidence.stored_tree import StoredTree, make_consistency_proof
from repermit.evidence.timestamp_token import read_configured_authorities
from repermit.evidence.verify.contacts import check_contacts, check_deleted_contacts
from repermit.evidence.verify.cosignatures import check_stored_cosignatures
from repermit.evidence.verify.counts import check_counts, start_replay
from repermit.evidence.verify.diagnosis import Fault, How, diagnose
from repermit.evidence.verify.held_entry import require_row
from repermit.evidence.verify.mails import check_mails
from repermit.evidence.verify.replay import Replay
from repermit.evidence.verify.signatures import check_known_checkpoints
from repermit.evidence.verify.suppressions import check_journal, check_suppressions
from repermit.evidence.verify.tables import check_tables
from repermit.evidence.verify.times import EntryTimes, check_future_times
from repermit.evidence.verify.timestamps import StoredTimestamps, Vouched
from repermit.evidence.wordings_shown import Wordings
from repermit.settings.definitions import Settings
from repermit.temporary_files import find_folder, open_private_folder


@dataclass(frozen=True, kw_only=True)
class Verified:
    """The result of verifying the chain.

    - `entries`: the number of entries that were read.
    - `parts`, `erased`: the number of stored parts, and of parts that were erased.
    - `wordings`: the number of wordings that were checked.
    - `checkpoint`: the checkpoint of the last entry; None if there is a `fault`.
    - `consistency`: the proof for a third party that the chain extends the given checkpoint; None
      without one.
    - `timestamps`: the valid timestamps by authority; empty if there is a `fault`.
    """

    entries: int
    parts: int
    erased: int
    wordings: int
    checkpoint: Checkpoint | None
    fault: Fault | None
    consistency: Mapping[str, Any] | None = None
    timestamps: Sequence[Vouched] = ()

    def signed(self, settings: Settings) -> Verified:
        """Return a copy whose checkpoint is signed if the settings have a key."""
        return replace(self, checkpoint=self.checkpoint and sign(self.checkpoint, settings))

    def to_json(self) -> dict[str, Any]:
        """Return the result as a JSON document."""
        return {
            "holds": self.fault is None,
            "entries": self.entries,
            "parts": self.parts,
            "erased": self.erased,
            "wordings": self.wordings,
            "checkpoint": self.checkpoint.to_json() if self.checkpoint else None,
            "fault": self.fault.to_json() if self.fault else None,
            "consistency": self.consistency,
            "timestamps": [timestamp.to_json() for timestamp in self.timestamps],
        }


def verify_chain(
    database: Database,
    *,
    known: Checkpoint | None = None,
    others: Sequence[Checkpoint] = (),
    authorities: Sequence[Certificate] = (),
    trusts_record: bool = True,
    witness: WitnessKey | None = None,
    fingerprint_key: bytes | None = None,
    now: datetime | None = None,
) -> Verified:
    """Verify the chain as it is now, up to its first fault; then the tables that it accounts for.

    The tables are campaigns, files, contacts, mails, counts and the journal of suppressions if
    there is one. Everything is read in one snapshot, so that writers need not wait, and later
    writes are not seen.

    - `known`: a checkpoint stored elsewhere, which reveals a tail that was cut off or rewritten.
    - `others`: further checkpoints stored elsewhere.
    - `authorities`: certificates that vouch for timestamps.
    - `trusts_record`: whether authorities that the record names vouch for timestamps, too.
    - `witness`: the key of the witness that cosigned checkpoints.
    - `fingerprint_key`: with it, fingerprints of addresses are checked too.
    - `now`: with it, no entry may have a later time.
    """
    # Lines that are added from now on are not in the snapshot of the database below.
    journal_size = database.journal.size() if database.journal else 0
    with read_snapshot(database):
        walk = _Walk(known, now)
        table_faults = walk.find_table_faults(fingerprint_key, journal_size)
        timestamps = StoredTimestamps(authorities, trusts_record=trusts_record)
        third_party_faults = chain(timestamps.find_faults(), check_stored_cosignatures(witness))
        faults = chain(
            walk.find_faults(),
            check_known_checkpoints(others),
            third_party_faults,
            table_faults,
        )
        fault = next(_with_malformed(faults), None)
        earlier = known if known and known.seq and fault is None else None
        consistency = make_consistency_proof(earlier, walk.checkpoint()) if earlier else None
    return Verified(
        entries=walk.entries,
        parts=walk.parts,
        erased=walk.erased,
        wordings=walk.wordings.checked,
        checkpoint=None if fault else walk.checkpoint(),
        fault=fault,
        consistency=consistency,
        timestamps=() if fault else timestamps.list_vouched(),
    )


_MALFORMED = (
    *(ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError),
    DataError,
)
"""What a value raises that repermit does not write; SQLite holds any value in any column."""

_OF_SQLITE = ("Could not decode to UTF-8", "integer overflow")
"""How SQLite's errors begin that it raises for such values, in a class that has many others."""


def _with_malformed(faults: Iterator[Fault]) -> Iterator[Fault]:
    """Yield the faults; at a row that cannot be read, a fault that tells where it was read."""
    try:
        yield from faults
    except (*_MALFORMED, OperationalError, sqlite3.OperationalError) as error:
        if not isinstance(error, _MALFORMED) and not str(error).startswith(_OF_SQLITE):
            raise
        frames = [(Path(frame.filename), frame.lineno) for frame in extract_tb(error.__traceback__)]
        file, line = [frame for frame in frames if frame[0].parent == Path(__file__).parent][-1]
        yield Fault(0, How.MALFORMED, f"{type(error).__name__} at {file.name}:{line}")


class _Walk:
    """A walk along the chain; `known` is a checkpoint that was stored elsewhere."""

    def __init__(self, known: Checkpoint | None, now: datetime | None = None) -> None:
        self.entries = self.parts = self.erased = 0
        self.wordings = Wordings()
        self._erasures = Erasures()
        self._times = EntryTimes(now)
        self._now = now
        self._known = known
        self._hash = NOTHING_BEFORE

    @cached_property
    def _replay(self) -> Replay:
        return start_replay()

    @cached_property
    def _head(self) -> EvidenceHead:
        # A head that was deleted matches no chain.
        return EvidenceHead.get_or_none() or EvidenceHead(seq=0, hash="")

    @cached_property
    def _tree(self) -> StoredTree:
        return StoredTree(self._head)

    def checkpoint(self) -> Checkpoint:
        """Return the checkpoint of the entries that were walked."""
        return Checkpoint(seq=self.entries, hash=self._hash, root=self._tree.root())

    def find_faults(self) -> Iterator[Fault]:
        """Yield the faults of the chain, up to where it breaks."""
        broken = (yield from self._walk_entries()) or self._check_end()
        if broken:
            yield broken
            return
        yield from find_orphaned_parts(self.entries)
        yield from self.wordings.check_campaign_wordings()
        yield from self.wordings.check_orphaned_wordings()

    def find_table_faults(
        self, fingerprint_key: bytes | None, journal_size: int
    ) -> Iterator[Fault]:
        """Yield the faults of the tables, once the whole chain was walked without a fault."""
        yield from self._times.find_faults()
        yield from find_premature_erasures()
        yield from check_tables(self._replay)
        yield from check_contacts()
        yield from check_suppressions(fingerprint_key)
        yield from check_deleted_contacts(self._replay.import_keys)
        yield from check_mails(self._replay)
        yield from check_future_times(self._now)
        yield from check_counts(self._replay)
        yield from check_journal(fingerprint_key, journal_size)

    def _walk_entries(self) -> Generator[Fault, None, Fault | None]:
        """Yield the faults of parts and wordings; return the fault where the chain breaks."""
        if broken := self._check_known():
            return broken
        after = None
        for rows in iter_row_batches():
            batch = PartBatch(rows, after=after, erasures=self._erasures)
            self.wordings.look_up(batch.parts)
            for row in rows:
                if broken := self._check_link(row):
                    return broken
                yield from self._check_entry(row, batch)
            self.erased += batch.erased
            after = rows[-1]["seq"]
        return None

    def _check_link(self, row: Mapping[str, Any]) -> Fault | None:
        """Add an entry to the walk; return a fault if it does not follow the one before."""
        place, leaf = self.entries + 1, try_compute_leaf(row)
        if row["seq"] != place or not leaf or compute_chain_hash(self._hash, leaf) != row["hash"]:
            return diagnose(row, place=place, before=self._hash, head=self._head)
        if broken := self._tree.add(leaf):
            return broken
        self.entries, self._hash = place, row["hash"]
        return self._check_known() if self._known else None

    def _check_entry(self, row: Mapping[str, Any], batch: PartBatch) -> Iterator[Fault]:
        """Yield the faults of one entry, its parts and their wordings."""
        if not batch.has_named_parts(row):
            yield from batch.find_faults(row)
        if row["event"] not in EVENTS:
            yield Fault(row["seq"], How.UNKNOWN_EVENT, row["event"])
        parts = batch.get_parts(row["seq"])
        self.parts += len(parts)
        try:
            require_row(row)
            fault = self._times.apply_entry(row, parts)
            self._replay.apply_entry(row, parts)
        except _MALFORMED:
            # Whoever seals the record anew can write anything into it.
            fault = Fault(row["seq"], How.MALFORMED)
        if fault:
            yield fault
        if self.wordings.is_any_wrong:
            for part in parts.values():
                yield from self.wordings.find_faults(part)

    def _check_known(self) -> Fault | None:
        """Compare with the known checkpoint once its entry is reached."""
        known = self._known
        if known is None or known.seq != self.entries or known == self.checkpoint():
            return None
        detail = f"at {known.seq} or before: the checkpoint says otherwise"
        return Fault(known.seq, How.REWRITTEN, detail)

    def _check_end(self) -> Fault | None:
        """Compare with the head, the tree, and a known checkpoint of a later entry."""
        head, last = self._head, self.entries
        if EvidenceHead.select().count() > 1:
            return Fault(last, How.HEAD, "there is more than one")
        is_end = (head.seq, head.hash) == (last, self._hash)
        if is_end and self._known and self._known.seq > last:
            return Fault(last + 1, How.CUT, f"the checkpoint knows {self._known.seq}")
        broken = self._tree.end()
        if is_end:
            return broken
        if broken and head.seq > last and not self._tree.matches():
            return Fault(last + 1, How.MISSING, f"the head names {head.seq} as the last")
        return broken if broken and head.seq == last else Fault(last, How.HEAD)


# --- Walking the whole chain for a page. ----------------------------------------------------------


LARGE = 5_000
"""The number of entries or contacts from which the walk has a process of its own."""

_KIND = "verified"


@dataclass(frozen=True, kw_only=True)
class Walk:
    """One walk for a page.

    - `at`, `actor`: when it was started, and who started it.
    - `known`: the entry of the checkpoint that it was compared with; None without one.
    - `found`: the result, as from `Verified.to_json`; None while `is_busy` or if interrupted.
    """

    at: datetime
    actor: str
    known: int | None
    found: Mapping[str, Any] | None
    is_busy: bool


def verify_in_process(
    database: Database,
    *,
    known: Checkpoint | None = None,
    settings: Settings,
    now: datetime,
    actor: str,
) -> bool:
    """Start verifying the chain, see `find_last_walk`; False if another walk is running.

    A long walk is still running when this returns.
    """
    task = _make_task(open_private_folder(settings, _KIND), settings)
    lock = task.lock()
    if lock is None:
        return False
    begun = {"at": now.isoformat(), "actor": actor, "known": known.seq if known else None}
    with closing(lock):
        task.save_progress(begun)
        task.forget_result()
        task.start(
            _walk,
            lock=lock,
            database=database,
            is_long=_is_large(),
            known=known,
            now=now,
            begun=begun,
        )
    return True


def find_last_walk(settings: Settings) -> Walk | None:
    """Return the running walk, or the last one; None without any."""
    task = _make_task(find_folder(settings, _KIND), settings)
    is_busy = task.is_busy
    stored = task.result or task.progress
    if stored is None:
        return None
    result = stored.get("found")
    return Walk(
        at=datetime.fromisoformat(stored["at"]),
        actor=stored["actor"],
        known=stored["known"],
        found=result,
        is_busy=is_busy and result is None,
    )


def _make_task(folder: Path, settings: Settings) -> DetachedTask:
    return DetachedTask(folder=folder, result_name="walk.json", settings=settings)


def _is_large() -> bool:
    last_rows = (Evidence.select(fn.MAX(Evidence.seq)), Contact.select(fn.MAX(Contact.id)))
    return any((query.scalar() or 0) >= LARGE for query in last_rows)


def _walk(
    database: Database,
    *,
    settings: Settings,
    known: Checkpoint | None,
    now: datetime,
    begun: Mapping[str, Any],
) -> None:
    key = settings.fingerprint_key
    result = verify_chain(
        database,
        known=known,
        authorities=read_configured_authorities(settings),
        witness=read_witness_key(settings),
        fingerprint_key=key,
        now=now,
    )
    task = _make_task(open_private_folder(settings, _KIND), settings)
    task.save_result({**begun, "found": result.signed(settings).to_json()})
