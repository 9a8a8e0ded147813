"""Signed notes: a text with Ed25519 signatures below it (https://c2sp.org/signed-note). Pure."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

_ED25519 = b"\x01"
_ID_BYTES = 4
_KEY_BYTES = 32
_TIME_BYTES = 8
_SIGNATURE_BYTES = 64
# The end of the year 9999, after which no clock of ours goes.
_LAST_SECOND = 253_402_300_799
_MARK = "— "
# No white space and no control characters; the same as in proof-format.md.
_NAME = r"[^+\0- \x7f-\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff]+"
_VERIFIER_KEY = re.compile(rf"({_NAME})\+([0-9a-f]{{8}})\+([A-Za-z0-9+/]+={{0,2}})")
_PRIME = 2**255 - 19
_Y_OF_ORDER_8 = 0x5FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
_Y_OF_SMALL_ORDER = {0, 1, _PRIME - 1, _Y_OF_ORDER_8, _PRIME - _Y_OF_ORDER_8}

MAX_SIZE = 100_000
"""The maximum characters of a note; one has a few hundred, and some 200 for each signature."""


def compute_key_id(name: str, public: bytes, kind: bytes = _ED25519) -> bytes:
    """Return a key's id: the first four octets of SHA-256(name ‖ 0x0A ‖ kind ‖ public key)."""
    return hashlib.sha256(name.encode() + b"\n" + kind + public).digest()[:_ID_BYTES]


@dataclass(frozen=True)
class PublicKey:
    """The public half of a signing key.

    - `name`: the name under which it signs.
    - `public`: 32 octets.
    """

    KIND: ClassVar[bytes] = _ED25519

    name: str
    public: bytes

    def __str__(self) -> str:
        """Return the key as a C2SP verifier key: name+id+base64(kind of signature ‖ public key)."""
        encoded = base64.b64encode(self.KIND + self.public).decode()
        return f"{self.name}+{self.id.hex()}+{encoded}"

    @classmethod
    def read(cls, text: str) -> Self:
        """Read a verifier key; raises ValueError for another text."""
        match = _VERIFIER_KEY.fullmatch(text)
        if not match:
            raise ValueError("no verifier key: name+id+base64")
        name, key_id_hex, encoded = match.groups()
        octets = base64.b64decode(encoded, validate=True)
        key = cls(name, octets[1:])
        is_valid = len(key.public) == _KEY_BYTES and octets[:1] == cls.KIND
        y = int.from_bytes(key.public, "little") & (2**255 - 1)
        is_valid = is_valid and y < _PRIME and y not in _Y_OF_SMALL_ORDER
        # Several base64 texts may decode to the same octets; only the canonical one is accepted.
        if not is_valid or key.id.hex() != key_id_hex or str(key) != text:
            raise ValueError("a verifier key whose parts do not belong together")
        return key

    @property
    def id(self) -> bytes:
        """Return the four octets by which a signature names its key."""
        return compute_key_id(self.name, self.public, self.KIND)

    def is_by(self, signature: bytes, text: str) -> bool:
        """Say whether this key made a signature over a note's text."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text.encode())
        except InvalidSignature:
            return False
        return True


class WitnessKey(PublicKey):
    """The public half of a witness's key; its cosignatures contain the time of signing.

    A cosignature has 8 octets of a POSIX timestamp, and an Ed25519 signature over a header, that
    time, and the note's text (https://c2sp.org/tlog-cosignature).
    """

    KIND: ClassVar[bytes] = b"\x04"

    def is_by(self, signature: bytes, text: str) -> bool:
        """Say whether this key made a cosignature over a note's text."""
        seconds = read_cosigned_at(signature)
        if not seconds:
            return False
        message = f"cosignature/v1\ntime {seconds}\n{text}"
        return super().is_by(signature[_TIME_BYTES:], message)


def read_any_key(text: str) -> PublicKey:
    """Read the verifier key of a log, or of a witness; raises ValueError for another text."""
    try:
        return PublicKey.read(text)
    except ValueError:
        return WitnessKey.read(text)


def read_cosigned_at(signature: bytes) -> int:
    """Return the time that a cosignature claims, in POSIX seconds; 0 for another signature."""
    if len(signature) != _TIME_BYTES + _SIGNATURE_BYTES:
        return 0
    seconds = int.from_bytes(signature[:_TIME_BYTES])
    return seconds if seconds <= _LAST_SECOND else 0


def public_key(name: str, seed: bytes) -> PublicKey:
    """Return the public half of the key whose private half is `seed` (RFC 8032 §5.1.5)."""
    public = Ed25519PrivateKey.from_private_bytes(seed).public_key()
    return PublicKey(name, public.public_bytes_raw())


def sign_note(text: str, *, name: str, seed: bytes) -> str:
    """Return a text as a note with one signature; the text must end with a line break.

    Ed25519 is deterministic: the same text gives the same note.
    """
    signature = Ed25519PrivateKey.from_private_bytes(seed).sign(text.encode())
    encoded = base64.b64encode(public_key(name, seed).id + signature).decode()
    return f"{text}\n{_MARK}{name} {encoded}\n"


@dataclass(frozen=True)
class Signature:
    """A signature line of a note: name and id of the key, and the signature in `octets`."""

    name: str
    id: bytes
    octets: bytes


@dataclass(frozen=True)
class Note:
    """A signed note: its text, with the final line break, and the signatures below it."""

    text: str
    signatures: tuple[Signature, ...]

    @classmethod
    def read(cls, note: str) -> Self:
        """Read a note without verifying its signatures; raises ValueError for another text."""
        text, separator, lines = note.rpartition("\n\n")
        has_controls = any(char < " " for char in note.replace("\n", ""))
        is_complete = separator and lines.endswith("\n")
        if not is_complete or has_controls or len(note) > MAX_SIZE:
            raise ValueError("no signed note")
        return cls(f"{text}\n", tuple(map(_parse_signature, lines[:-1].split("\n"))))

    def list_signers(self, keys: Sequence[PublicKey]) -> list[PublicKey]:
        """Return the keys, of those given, that signed the note; ignores other signatures.

        Raises ValueError if a signature names one of these keys and is not by it.
        """
        return [key for key in keys if self._is_signed_by(key)]

    def _is_signed_by(self, key: PublicKey) -> bool:
        own_signatures = [
            signature
            for signature in self.signatures
            if (signature.name, signature.id) == (key.name, key.id)
        ]
        if not all(key.is_by(signature.octets, self.text) for signature in own_signatures):
            raise ValueError("a signature is not by the key that it names")
        return bool(own_signatures)


def _parse_signature(line: str) -> Signature:
    name, _, encoded = line.removeprefix(_MARK).partition(" ")
    try:
        octets = base64.b64decode(encoded, validate=True)
    except ValueError:
        octets = b""
    is_canonical = len(octets) > _ID_BYTES and base64.b64encode(octets).decode() == encoded
    if not line.startswith(_MARK) or not name or "+" in name or not is_canonical:
        raise ValueError("no signature line")
    return Signature(name, octets[:_ID_BYTES], octets[_ID_BYTES:])
