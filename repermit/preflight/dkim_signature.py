"""Verifying a DKIM signature of a mail as it was received (RFC 6376 §6, RFC 8301, RFC 8463).

May import messages. Every step takes time in proportion to the mail, whatever is in it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from repermit.messages.wire import with_crlf

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    PublicKey = RSAPublicKey | Ed25519PublicKey

_FIELD = re.compile(rb"[^\r\n]+(?:\r\n[ \t][^\r\n]*)*")
_BLANKS = re.compile(rb"[ \t\r\n]+")
_BLANKS_IN_LINE = re.compile(rb"[ \t]+")
_NEEDED = ("v", "a", "b", "bh", "d", "h", "s")
# rsa-sha1 does not count any more (RFC 8301 §3.1).
_KINDS = {"rsa-sha256": RSAPublicKey, "ed25519-sha256": Ed25519PublicKey}


class Outcome(Enum):
    """What verifying a signature came to."""

    HOLDS = "holds"
    CHANGED = "changed"
    """The body is not the one that was signed."""
    FAILS = "fails"
    EXPIRED = "expired"


class SplitMail(NamedTuple):
    """A mail's header fields, each with its folds but without its last CRLF, and its body."""

    fields: tuple[bytes, ...]
    body: bytes

    def named(self, name: bytes) -> tuple[bytes, ...]:
        """Return the fields of this name, given in lower case, from the top."""
        return tuple(one for one in self.fields if _name(one) == name)


def split_mail(raw: bytes) -> SplitMail:
    """Return the fields and the body of a mail that may have been saved with other line ends.

    A byte order mark and the line "From …" of a Unix mailbox are left out.
    """
    raw = raw.removeprefix(b"\xef\xbb\xbf")
    if raw.startswith(b"From "):
        raw = raw.partition(b"\n")[2]
    head, _, body = (b"\r\n" + with_crlf(raw)).partition(b"\r\n\r\n")
    return SplitMail(fields=tuple(_FIELD.findall(head)), body=body)


def tags_of(text: str) -> dict[str, str]:
    """Return a list of tags such as "v=DKIM1; p=…" (RFC 6376 §3.2), without any blanks."""
    pairs = ("".join(part.split()).partition("=") for part in text.split(";"))
    return {name.lower(): value for name, _, value in pairs if name}


def read_public_key(record: Mapping[str, str]) -> PublicKey | None:
    """Return the key that the tags of a DKIM record hold; None if there is none of a known kind."""
    try:
        octets = base64.b64decode(record.get("p", ""), validate=True)
        if record.get("k", "rsa") == "ed25519":
            return Ed25519PublicKey.from_public_bytes(octets)
        key = load_der_public_key(octets)
    except (binascii.Error, ValueError, UnsupportedAlgorithm):
        return None
    return key if isinstance(key, RSAPublicKey) else None


def verify_signature(
    mail: SplitMail, field: bytes, record: Mapping[str, str], *, now: datetime
) -> Outcome:
    """Return what one DKIM-Signature field of a mail is worth by the record of its key.

    `now` is when the mail is taken to arrive, for signatures that run out (tag x).
    """
    tags = tags_of(field.partition(b":")[2].decode("utf-8", "replace"))
    key = read_public_key(record)
    if key is None or not _is_well_formed(tags, record, key):
        return Outcome.FAILS
    # Of two senders a reader may be shown the one that is not signed (RFC 6376 §8.15).
    if len(mail.named(b"from")) > tags["h"].lower().split(":").count("from"):
        return Outcome.FAILS
    try:
        value = base64.b64decode(tags["b"])
        digest = base64.b64decode(tags["bh"])
        until, length = int(tags.get("x", 0)), int(tags.get("l", len(mail.body) + 2))
    except (binascii.Error, ValueError):
        return Outcome.FAILS
    if until and until < now.timestamp():
        return Outcome.EXPIRED
    in_head, _, in_body = tags.get("c", "simple/simple").lower().partition("/")
    body = _canonical_body(mail.body, is_relaxed=in_body == "relaxed")
    if hashlib.sha256(body[: max(0, length)]).digest() != digest:
        return Outcome.CHANGED
    signed = b"".join(_signed_fields(mail, field, tags["h"], is_relaxed=in_head == "relaxed"))
    return Outcome.HOLDS if _is_signed(key, value, signed) else Outcome.FAILS


def _is_well_formed(tags: Mapping[str, str], record: Mapping[str, str], key: PublicKey) -> bool:
    """Say whether a signature has all its tags, and is of this kind of key (RFC 6376 §6.1.1)."""
    if not all(tags.get(name) for name in _NEEDED) or tags["v"] != "1":
        return False
    if not isinstance(key, _KINDS.get(tags["a"].lower(), ())):
        return False
    if record.get("h") and "sha256" not in record["h"].split(":"):
        return False
    if not {"*", "email"} & set(record.get("s", "*").split(":")):
        return False
    domain = tags["d"].lower()
    user_domain = tags.get("i", domain).lower().rpartition("@")[2]
    is_below = user_domain.endswith(f".{domain}") and "s" not in record.get("t", "").split(":")
    return "from" in tags["h"].lower().split(":") and (user_domain == domain or is_below)


def _signed_fields(
    mail: SplitMail, field: bytes, names: str, *, is_relaxed: bool
) -> Iterator[bytes]:
    """Yield what was hashed: fields from the bottom up (§5.4.2), and the signature without b=."""
    left: dict[bytes, list[bytes]] = {}
    for one in mail.fields:
        left.setdefault(_name(one), []).append(one)
    for name in names.lower().split(":"):
        if found := left.get(name.encode()):
            yield _canonical_field(found.pop(), is_relaxed=is_relaxed) + b"\r\n"
    yield _canonical_field(b";".join(map(_without_value, field.split(b";"))), is_relaxed=is_relaxed)


def _without_value(part: bytes) -> bytes:
    """Return a tag of a signature, that of the signature itself without its value."""
    # The first tag stands behind the name of the field.
    name, is_tag, _ = part.partition(b"=")
    return name + is_tag if name.rpartition(b":")[2].strip() == b"b" else part


def _is_signed(key: PublicKey, value: bytes, signed: bytes) -> bool:
    try:
        if isinstance(key, RSAPublicKey):
            key.verify(value, signed, PKCS1v15(), SHA256())
        else:
            key.verify(value, hashlib.sha256(signed).digest())
    except InvalidSignature:
        return False
    return True


def _name(field: bytes) -> bytes:
    return field.partition(b":")[0].rstrip().lower()


def _canonical_field(field: bytes, *, is_relaxed: bool) -> bytes:
    if not is_relaxed:
        return field
    return b"%b:%b" % (_name(field), _BLANKS.sub(b" ", field.partition(b":")[2]).strip(b" "))


def _canonical_body(body: bytes, *, is_relaxed: bool) -> bytes:
    if is_relaxed:
        body = _BLANKS_IN_LINE.sub(b" ", body).replace(b" \r\n", b"\r\n")
        # A body without a line is nothing there, and one line end in the simple form (§3.4).
        return body.rstrip(b"\r\n") + b"\r\n" if body.strip(b"\r\n") else b""
    return body.rstrip(b"\r\n") + b"\r\n"
