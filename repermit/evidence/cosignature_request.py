"""Asking a witness to cosign checkpoints, and asking again (https://c2sp.org/tlog-witness)."""

from __future__ import annotations

import base64
import logging
import re
from datetime import timedelta

import requests

from repermit.clock import Clock
from repermit.db.connection import Database
from repermit.errors import Refused
from repermit.evidence import signed_checkpoint, stored_tree
from repermit.evidence.checkpoint_occasions import find_new_occasions
from repermit.evidence.cosigned_checkpoints import (
    KEPT,
    keep_note,
    note_problem,
    read_kept,
    read_problem,
    witness_of,
)
from repermit.evidence.entries import Checkpoint
from repermit.evidence.http_post import describe_failure, post
from repermit.evidence.signed_note import Note, WitnessKey
from repermit.evidence.stored_tree import MerkleProofs
from repermit.settings.definitions import Settings

_REST = timedelta(minutes=10)
_LARGEST = 100_000
_SIZE = re.compile(r"(0|[1-9][0-9]{0,17})\n")

_log = logging.getLogger(__name__)


def request_cosignatures(database: Database, *, settings: Settings, clock: Clock) -> int:
    """Have the checkpoint of now cosigned if an occasion has come; return for how many it was.

    On the occasions on which a timestamp is owed. What fails is tried again ten minutes later, over
    the checkpoint of then. Any number of processes may do this at once.
    """
    now, witness = clock.now(), witness_of(settings)
    if witness is None or settings.evidence_key is None:
        return 0
    occasions = find_new_occasions(settings, now, prefix=KEPT)
    problem = read_problem()
    if not occasions or (problem and now < problem.at + _REST):
        return 0
    try:
        note = _request(
            settings.evidence.witness_url,
            witness,
            signed_checkpoint.make_signed_checkpoint(settings),
        )
    except (requests.RequestException, ValueError, Refused) as error:
        told = describe_failure(error)
        _log.warning("no cosignature: %s", told)
        with database.atomic():
            note_problem(told, now=now)
        return 0
    with database.atomic():
        keep_note(note, [occasion for occasion, _ in occasions])
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
    path = MerkleProofs(point).from_earlier(stored_tree.checkpoint_at(old)) if old else ()
    lines = [f"old {old}", *(base64.b64encode(bytes.fromhex(one)).decode() for one in path), ""]
    body = "".join(f"{line}\n" for line in lines) + point.note
    address = f"{url.rstrip('/')}/add-checkpoint"
    status, reply = post(address, body.encode(), headers={}, most=_LARGEST)
    if len(reply) > _LARGEST:
        raise ValueError("the witness answers without end")
    return status, reply.decode()
