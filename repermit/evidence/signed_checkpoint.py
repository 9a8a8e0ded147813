"""Checkpoints as signed notes (https://c2sp.org/tlog-checkpoint), and reading stored copies."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from email import message_from_string
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
# The first line of a mail that was saved as a file, with or without that of a mailbox.
_MAIL = re.compile(r"[A-Za-z][A-Za-z0-9-]*:[ \t\n]|From ")


def get_origin(settings: Settings) -> str:
    """Return the origin (name) of this record and its key: `public_url` without its scheme."""
    parts = urlsplit(settings.public_url)
    # A key's name may not have blanks or "+" (C2SP signed-note).
    return quote(f"{parts.netloc}{parts.path}", safe="/:[]@%~!$&'()*,;=")


def get_public_key(settings: Settings) -> PublicKey | None:
    """Return the public half of the key in the settings; None without a key."""
    if settings.evidence_key is None:
        return None
    return signed_note.public_key(get_origin(settings), settings.evidence_key)


def make_checkpoint_text(checkpoint: Checkpoint, origin: str) -> str:
    """Return the text of a checkpoint, which is what is signed."""
    root = base64.b64encode(bytes.fromhex(checkpoint.root)).decode()
    return f"{origin}\n{checkpoint.seq}\n{root}\n{_CHAIN}{checkpoint.hash}\n"


def sign(checkpoint: Checkpoint, settings: Settings) -> Checkpoint:
    """Return a checkpoint with its signed note; unchanged if the settings have no key."""
    if settings.evidence_key is None:
        return checkpoint
    origin = get_origin(settings)
    text = make_checkpoint_text(checkpoint, origin)
    return replace(
        checkpoint, note=signed_note.sign_note(text, name=origin, seed=settings.evidence_key)
    )


def make_signed_checkpoint(settings: Settings) -> Checkpoint:
    """Return the checkpoint of the record as it is now, signed if the settings have a key."""
    return sign(stored_tree.checkpoint(), settings)


def note_text(checkpoint: Checkpoint, settings: Settings) -> str:
    """Return the signed note of a checkpoint; without a key, the text that would be signed."""
    return sign(checkpoint, settings).note or make_checkpoint_text(checkpoint, get_origin(settings))


def read_note(note: str) -> Checkpoint:
    """Read a checkpoint from its note without checking signatures; raises ValueError."""
    return replace(read_text(Note.read(note).text), note=note)


def read_text(text: str) -> Checkpoint:
    """Read a checkpoint from the text of a note, without signatures; raises ValueError."""
    lines = text.split("\n")
    if len(lines) != _LINES + 1:
        raise ValueError("a note, but of no checkpoint of repermit's")
    origin, size, root, chain, _ = lines
    chain_hash = chain.removeprefix(_CHAIN)
    octets = base64.b64decode(root, validate=True)
    if not (_SIZE.fullmatch(size) and _HASH.fullmatch(chain_hash) and len(octets) == _ROOT_BYTES):
        raise ValueError("a note, but of no checkpoint of repermit's")
    checkpoint = Checkpoint(seq=int(size), hash=chain_hash, root=octets.hex())
    if not origin or min(origin) < " " or make_checkpoint_text(checkpoint, origin) != text:
        raise ValueError("a note, but of no checkpoint of repermit's")
    return checkpoint


def read_stamped(text: str) -> Checkpoint:
    """Read the checkpoint of a timestamp: a signed note, or the text of an unsigned checkpoint.

    Raises ValueError.
    """
    return read_note(text) if "\n\n" in text else read_text(text)


def read_checkpoint_copy(text: str) -> Checkpoint:
    """Read a checkpoint that somebody stored: a signed note, or JSON of repermit that holds one.

    The JSON may be a line of a mail that was saved as a file, or its attachment.

    Raises ValueError, also if a note in the JSON is of another checkpoint.
    """
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    if _MAIL.match(text):
        text = _find_in_mail(text)
    if not text.lstrip().startswith(("{", "[")):
        return read_note(_restore_line_break(text))
    try:
        return _read_json(text)
    except RecursionError:
        raise ValueError("nested without end") from None


def _find_in_mail(text: str) -> str:
    """Return the line of a mail that has a checkpoint; "" without one."""
    try:
        parts = [part.get_payload(decode=True) for part in message_from_string(text).walk()]
    except RecursionError:
        raise ValueError("nested without end") from None
    lines = b"\n".join(part for part in parts if isinstance(part, bytes)).splitlines()
    found = (line for line in lines if line.startswith(b'{"seq": '))
    return next(found, b"").decode("utf-8", "replace")


def _restore_line_break(note: str) -> str:
    """Return a note with its final line break, which is easily lost in copying."""
    return f"{note.strip()}\n"


def _read_json(text: str) -> Checkpoint:
    # A checkpoint that is typed from a receipt by mail may have capitals and blanks, which a note
    # may not have.
    typed = text.lower().replace(" ", "")
    checkpoint, document = Checkpoint.from_json(json.loads(typed)), json.loads(text)
    holder = document.get("checkpoint", document)
    note = holder.get("note")
    if not note:
        return checkpoint
    if not isinstance(note, str) or read_note(note) != checkpoint:
        raise ValueError("its note is of another checkpoint")
    return replace(checkpoint, note=note)


def list_signers(checkpoint: Checkpoint, keys: Sequence[PublicKey]) -> list[PublicKey]:
    """Return the keys, of those given, that signed a checkpoint.

    Raises ValueError if a signature names one of these keys and is not by it, or if the note is of
    another checkpoint.
    """
    if not checkpoint.note:
        return []
    if read_note(checkpoint.note) != checkpoint:
        raise ValueError("its note is of another checkpoint")
    return Note.read(checkpoint.note).list_signers(keys)
