"""Checkpoints that a witness has cosigned: asked for, and kept (https://c2sp.org/tlog-witness)."""

from __future__ import annotations

import base64
import json
import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import requests

from repermit.clock import Clock, format_timestamp
from repermit.db.connection import Database
from repermit.db.models.base import Meta, parse_timestamp
from repermit.errors import Refused
from repermit.evidence import signed_checkpoint, stored_tree
from repermit.evidence.entries import Checkpoint
from repermit.evidence.http_post import describe_failure, post
from repermit.evidence.signed_note import Note, WitnessKey, read_cosigned_at
from repermit.evidence.stored_tree import Paths
from repermit.evidence.timestamps import find_first_covering, find_new_occasions
from repermit.settings.definitions import Settings

_REST = timedelta(minutes=10)
_LARGEST = 100_000
_KEPT, _PROBLEM = "cosigned ", "cosigning"
_SIZE = re.compile(r"(0|[1-9][0-9]{0,17})\n")

_log = logging.getLogger(__name__)


def witness_of(settings: Settings) -> WitnessKey | None:
    """Return the key of the witness that the settings name, None if they name none."""
    key = settings.evidence.witness_key
    return WitnessKey.read(key) if key else None


# --- Asking for them. -----------------------------------------------------------------------------


def request_cosignatures(database: Database, *, settings: Settings, clock: Clock) -> int:
    """Have the checkpoint of now cosigned if an occasion has come; return for how many it was.

    On the occasions on which a timestamp is owed. What fails is tried again ten minutes later, over
    the checkpoint of then. Any number of processes may do this at once.
    """
    now, witness = clock.now(), witness_of(settings)
    if witness is None or settings.evidence_key is None:
        return 0
    occasions = find_new_occasions(settings, now, prefix=_KEPT)
    problem = read_problem()
    if not occasions or (problem and now < problem.at + _REST):
        return 0
    try:
        note = _request(settings.evidence.witness_url, witness, signed_checkpoint.take(settings))
    except (requests.RequestException, ValueError, Refused) as error:
        told = describe_failure(error)
        _log.warning("no cosignature: %s", told)
        with database.atomic():
            Meta.write(_PROBLEM, json.dumps({"at": format_timestamp(now), "reason": told}))
        return 0
    with database.atomic():
        for occasion, _ in occasions:
            Meta.insert(key=f"{_KEPT}{occasion}", value=note).on_conflict_ignore().execute()
        Meta.delete().where(Meta.key == _PROBLEM).execute()
    return len(occasions)


def _request(url: str, witness: WitnessKey, point: Checkpoint) -> str:
    """Return the note of a checkpoint with the witness's cosignature; raises ValueError.

    The witness must be told how its newest checkpoint of ours goes on; it says which that is.
    """
    known = max((one.seq for one in read_kept()), default=0)
    status, reply = _post(url, point, known)
    if status == requests.codes.conflict:
        size = _SIZE.fullmatch(reply)
        if not size or int(size[1]) > point.seq:
            raise ValueError("the witness knows more entries than there are")
        status, reply = _post(url, point, int(size[1]))
    if status != requests.codes.ok:
        raise ValueError(f"the witness answers {status}")
    note = point.note + _select_lines(point.note, reply, witness)
    if not Note.read(note).signers([witness]):
        raise ValueError("the witness has not signed with the key in the settings")
    return note


def _select_lines(note: str, reply: str, witness: WitnessKey) -> str:
    """Return the lines of a reply that name the witness's key: others' are ignored."""
    text = Note.read(note).text
    lines = reply.splitlines(keepends=True)
    signatures = Note.read(f"{text}\n{reply}").signatures
    named = zip(lines, signatures, strict=True)
    return "".join(line for line, one in named if (one.name, one.id) == (witness.name, witness.id))


def _post(url: str, point: Checkpoint, old: int) -> tuple[int, str]:
    """Post a checkpoint with what shows that it goes on from an old size; return the answer."""
    path = Paths(point).from_earlier(stored_tree.checkpoint_at(old)) if old else ()
    lines = [f"old {old}", *(base64.b64encode(bytes.fromhex(one)).decode() for one in path), ""]
    body = "".join(f"{line}\n" for line in lines) + point.note
    address = f"{url.rstrip('/')}/add-checkpoint"
    status, reply = post(address, body.encode(), headers={}, most=_LARGEST)
    if len(reply) > _LARGEST:
        raise ValueError("the witness answers without end")
    return status, reply.decode()


# --- What is kept of them. ------------------------------------------------------------------------


@dataclass(frozen=True)
class CosigningProblem:
    """Why the last request failed, and when that was."""

    at: datetime
    reason: str


def read_problem() -> CosigningProblem | None:
    """Return why no cosignature comes, None if the last one came."""
    value = Meta.read(_PROBLEM)
    if value is None:
        return None
    kept = json.loads(value)
    return CosigningProblem(parse_timestamp(kept["at"]), kept["reason"])


def read_notes() -> list[str]:
    """Return the cosigned notes that are kept, whatever somebody has made of them."""
    rows = Meta.select(Meta.value).where(Meta.key.startswith(_KEPT))
    return sorted({row.value for row in rows})


def read_occasion(occasion: str) -> Checkpoint | None:
    """Return the checkpoint that was cosigned on an occasion, None if none was or it is none."""
    with suppress(ValueError):
        return signed_checkpoint.read_note(Meta.read(f"{_KEPT}{occasion}") or "")
    return None


def read_kept() -> list[Checkpoint]:
    """Return the checkpoints that were cosigned, each with its note, the earliest first.

    Of several over one checkpoint, that which was cosigned first.
    Without notes that are none any more, which are for `verify` to find.
    """
    found = []
    for note in read_notes():
        with suppress(ValueError):
            found.append(signed_checkpoint.read_note(note))
    return sorted(found, key=lambda one: (one.seq, min(_list_seconds(one.note), default=0)))


class CosignedCheckpoints:
    """The checkpoints that were cosigned, for the proofs under one checkpoint."""

    def __init__(self, checkpoint: Checkpoint, paths: Paths) -> None:
        self._paths = paths
        # Of several over one checkpoint the first.
        kept = reversed(read_kept())
        self._notes = {one.seq: one for one in kept if 0 < one.seq <= checkpoint.seq}

    def of(self, entries: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Return, for each entry of a proof, the first cosigned checkpoint that has it.

        Each is {"note": with its cosignature, "path": how the proof's checkpoint goes on from
        that}, by its entry and none twice.
        """
        shown = []
        for seq in find_first_covering(sorted(self._notes), entries):
            # One that the record does not go on from is for `verify` to find.
            with suppress(Refused):
                path = self._paths.from_earlier(self._notes[seq])
                shown.append({"note": self._notes[seq].note, "path": list(path)})
        return shown


def read_cosigned_times(note: str, witness: WitnessKey) -> Sequence[datetime]:
    """Return when a witness cosigned a note, as it says itself; nothing where it did not."""
    return [datetime.fromtimestamp(one, UTC) for one in _list_seconds(note, witness)]


def _list_seconds(note: str, witness: WitnessKey | None = None) -> list[int]:
    """Return the POSIX times that cosignatures in a note tell; None for those of any witness."""
    return [
        seconds
        for one in Note.read(note).signatures
        if witness is None or (one.name, one.id) == (witness.name, witness.id)
        if (seconds := read_cosigned_at(one.octets))
    ]
