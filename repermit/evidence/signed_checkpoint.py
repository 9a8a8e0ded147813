"""Checkpoints as signed notes (https://c2sp.org/tlog-checkpoint), and reading what was kept."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import quote, urlsplit

from repermit.evidence import signed_note, stored_tree
from repermit.evidence.entries import Checkpoint
from repermit.evidence.signed_note import Note, PublicKey
from repermit.settings.definitions import Settings

_CHAIN = "repermit-chain-hash "
_SIZE = re.compile(r"0|[1-9][0-9]{0,17}")
_HASH = re.compile(r"[0-9a-f]{64}")
_ROOT_BYTES = 32
_LINES = 4


def get_origin(settings: Settings) -> str:
    """Return the name of this record, which its key has too: `public_url` without its scheme."""
    parts = urlsplit(settings.public_url)
    # What a key's name may not have (C2SP signed-note): blanks and "+".
    return quote(f"{parts.netloc}{parts.path}", safe="/:[]@%~!$&'()*,;=")


def get_public_key(settings: Settings) -> PublicKey | None:
    """Return the public half of the key that signs here, None if the settings have none."""
    if settings.evidence_key is None:
        return None
    return signed_note.public_key(get_origin(settings), settings.evidence_key)


def make_checkpoint_text(checkpoint: Checkpoint, origin: str) -> str:
    """Return a checkpoint as the text that is signed."""
    root = base64.b64encode(bytes.fromhex(checkpoint.root)).decode()
    return f"{origin}\n{checkpoint.seq}\n{root}\n{_CHAIN}{checkpoint.hash}\n"


def sign(checkpoint: Checkpoint, settings: Settings) -> Checkpoint:
    """Return a checkpoint with its signed note; as it is where the settings have no key."""
    if settings.evidence_key is None:
        return checkpoint
    origin = get_origin(settings)
    text = make_checkpoint_text(checkpoint, origin)
    return replace(
        checkpoint, note=signed_note.sign_note(text, name=origin, seed=settings.evidence_key)
    )


def make_signed_checkpoint(settings: Settings) -> Checkpoint:
    """Return what fixes the record as it is now, signed if the settings have a key."""
    return sign(stored_tree.checkpoint(), settings)


def note_text(checkpoint: Checkpoint, settings: Settings) -> str:
    """Return the note of a checkpoint, where there is no key the text that would be signed."""
    return sign(checkpoint, settings).note or make_checkpoint_text(checkpoint, get_origin(settings))


def read_note(note: str) -> Checkpoint:
    """Read a checkpoint from its note, whose signatures are not checked; raises ValueError."""
    return replace(read_text(Note.read(note).text), note=note)


def read_text(text: str) -> Checkpoint:
    """Read a checkpoint from the text that was signed, or would be; raises ValueError."""
    lines = text.split("\n")
    if len(lines) != _LINES + 1:
        raise ValueError("a note, but of no checkpoint of repermit's")
    origin, size, root, chain, _ = lines
    its_hash = chain.removeprefix(_CHAIN)
    octets = base64.b64decode(root, validate=True)
    if not (_SIZE.fullmatch(size) and _HASH.fullmatch(its_hash) and len(octets) == _ROOT_BYTES):
        raise ValueError("a note, but of no checkpoint of repermit's")
    found = Checkpoint(seq=int(size), hash=its_hash, root=octets.hex())
    if not origin or min(origin) < " " or make_checkpoint_text(found, origin) != text:
        raise ValueError("a note, but of no checkpoint of repermit's")
    return found


def read_stamped(text: str) -> Checkpoint:
    """Read the checkpoint that a timestamp is of: a signed note, or the text of an unsigned one.

    Raises ValueError.
    """
    return read_note(text) if "\n\n" in text else read_text(text)


def read_kept(text: str) -> Checkpoint:
    """Read a checkpoint that somebody kept: a signed note, or JSON of ours that holds one.

    Raises ValueError, also where the note in JSON is of another checkpoint than that.
    """
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    if not text.lstrip().startswith(("{", "[")):
        return read_note(_ended(text))
    try:
        return _read_json(text)
    except RecursionError:
        raise ValueError("nested without end") from None


def _ended(note: str) -> str:
    """Return a note as it was: who copies one loses the line breaks around it."""
    return f"{note.strip()}\n"


def _read_json(text: str) -> Checkpoint:
    # Whoever types what stands in a receipt by mail types capitals in groups, which a note cannot
    # stand.
    typed = text.lower().replace(" ", "")
    found, document = Checkpoint.from_json(json.loads(typed)), json.loads(text)
    holder = document.get("checkpoint", document)
    note = holder.get("note")
    if not note:
        return found
    if not isinstance(note, str) or read_note(note) != found:
        raise ValueError("its note is of another checkpoint")
    return replace(found, note=note)


def signers(checkpoint: Checkpoint, keys: Sequence[PublicKey]) -> list[PublicKey]:
    """Return those of some keys that signed a checkpoint.

    Raises ValueError where a signature names one of these keys and is not by it, or the note is of
    another checkpoint.
    """
    if not checkpoint.note:
        return []
    if read_note(checkpoint.note) != checkpoint:
        raise ValueError("its note is of another checkpoint")
    return Note.read(checkpoint.note).signers(keys)
