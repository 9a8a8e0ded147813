"""Requesting cosignatures from a witness, with retries (https://c2sp.org/tlog-witness)."""

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
    KEY_PREFIX,
    note_problem,
    read_problem,
    read_stored_checkpoints,
    read_witness_key,
    store_note,
)
from repermit.evidence.entries import Checkpoint
from repermit.evidence.http_post import describe_failure, post
from repermit.evidence.signed_note import Note, WitnessKey
from repermit.evidence.stored_tree import MerkleProofs
from repermit.settings.definitions import Settings

_RETRY_DELAY = timedelta(minutes=10)
_MAX_REPLY_BYTES = 100_000
_SIZE = re.compile(r"(0|[1-9][0-9]{0,17})\n")

_log = logging.getLogger(__name__)


def request_cosignatures(database: Database, *, settings: Settings, clock: Clock) -> int:
    """Have the present checkpoint cosigned if there are new occasions; return their number.

    The occasions are those of timestamps. A failed request is tried again ten minutes later, over
    the checkpoint at that time. Any number of processes may run this at once.
    """
    now, witness = clock.now(), read_witness_key(settings)
    if witness is None or settings.evidence_key is None:
        return 0
    occasions = find_new_occasions(settings, now, prefix=KEY_PREFIX)
    problem = read_problem()
    if not occasions or (problem and now < problem.at + _RETRY_DELAY):
        return 0
    try:
        note = _request_cosignature(
            settings.evidence.witness_url,
            witness,
            signed_checkpoint.make_signed_checkpoint(settings),
        )
    except (requests.RequestException, ValueError, Refused) as error:
        reason = describe_failure(error)
        _log.warning("no cosignature: %s", reason)
        with database.atomic():
            note_problem(reason, now=now)
        return 0
    with database.atomic():
        store_note(note, [occasion for occasion, _ in occasions])
    return len(occasions)


def _request_cosignature(url: str, witness: WitnessKey, checkpoint: Checkpoint) -> str:
    """Return the note of a checkpoint with the witness's cosignature; raises ValueError.

    The request must prove consistency with the newest checkpoint that the witness knows; its reply
    (409) says which that is.
    """
    known_seq = max((known.seq for known in read_stored_checkpoints()), default=0)
    status, reply = _post_checkpoint(url, checkpoint, known_seq)
    if status == requests.codes.conflict:
        size = _SIZE.fullmatch(reply)
        if not size or int(size[1]) > checkpoint.seq:
            raise ValueError("the witness knows more entries than there are")
        status, reply = _post_checkpoint(url, checkpoint, int(size[1]))
    if status != requests.codes.ok:
        raise ValueError(f"the witness answers {status}")
    note = checkpoint.note + _select_lines(checkpoint.note, reply, witness)
    if not Note.read(note).list_signers([witness]):
        raise ValueError("the witness has not signed with the key in the settings")
    return note


def _select_lines(note: str, reply: str, witness: WitnessKey) -> str:
    """Return the lines of a reply that name the witness's key; other lines are ignored."""
    text = Note.read(note).text
    lines = reply.splitlines(keepends=True)
    signatures = Note.read(f"{text}\n{reply}").signatures
    named = zip(lines, signatures, strict=True)
    return "".join(
        line
        for line, signature in named
        if (signature.name, signature.id) == (witness.name, witness.id)
    )


def _post_checkpoint(url: str, checkpoint: Checkpoint, old: int) -> tuple[int, str]:
    """Post a checkpoint with its consistency proof from `old` entries; return status and reply."""
    path = (
        MerkleProofs(checkpoint).prove_consistency(stored_tree.compute_checkpoint_at(old))
        if old
        else ()
    )
    lines = [
        f"old {old}",
        *(base64.b64encode(bytes.fromhex(digest)).decode() for digest in path),
        "",
    ]
    body = "".join(f"{line}\n" for line in lines) + checkpoint.note
    address = f"{url.rstrip('/')}/add-checkpoint"
    status, reply = post(address, body.encode(), headers={}, max_bytes=_MAX_REPLY_BYTES)
    if len(reply) > _MAX_REPLY_BYTES:
        raise ValueError("the witness answers without end")
    return status, reply.decode()
