"""Verifying a DKIM signature of a mail as it was received (RFC 6376 §6, RFC 8301, RFC 8463).

A mail is read in a process under limits, to what is then verified by a key.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from repermit.emails.mime_encoding import to_crlf

if TYPE_CHECKING:
    PublicKey = RSAPublicKey | Ed25519PublicKey

_FIELD = re.compile(rb"[^\r\n]+(?:\r\n[ \t][^\r\n]*)*")
_BLANKS = re.compile(rb"[ \t\r\n]+")
_BLANKS_IN_LINE = re.compile(rb"[ \t]+")
# A name in the DNS has at most 253 octets, a signature by the longest key that is taken 2,048.
LONGEST_NAME = 253
_LONGEST_VALUE = 4096
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
    head, _, body = (b"\r\n" + to_crlf(raw)).partition(b"\r\n\r\n")
    return SplitMail(fields=tuple(_FIELD.findall(head)), body=body)


def parse_tags(text: str) -> dict[str, str]:
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


@dataclass(frozen=True, kw_only=True)
class ReadSignature:
    """What a DKIM-Signature field says and covers, of bounded size; its key is not known yet.

    - `is_well_formed` says whether all is there that does not depend on the key (RFC 6376 §6.1.1).
    - `is_body_whole` says whether the body is the one that was signed.
    - `digest` is the SHA-256 of the header fields that were signed.
    - `until` is when it runs out, in seconds since 1970, 0 for never.
    """

    domain: str
    selector: str
    algorithm: str
    user_domain: str
    value: bytes = field(repr=False)
    digest: bytes = field(repr=False)
    until: int
    is_well_formed: bool
    is_body_whole: bool


def read_signature(mail: SplitMail, signature: bytes) -> ReadSignature | None:
    """Read one DKIM-Signature field of a mail; None if it does not say where its key is."""
    tags = parse_tags(signature.partition(b":")[2].decode("utf-8", "replace"))
    domain, selector = tags.get("d", "").lower(), tags.get("s", "")
    if not domain or not selector or max(len(domain), len(selector)) > LONGEST_NAME:
        return None
    in_head, _, in_body = tags.get("c", "simple/simple").lower().partition("/")
    signed = _signed_fields(mail, signature, tags.get("h", ""), is_relaxed=in_head == "relaxed")
    value, digest, until, length = _decoded(tags)
    body = _canonical_body(mail.body, is_relaxed=in_body == "relaxed")[:length]
    return ReadSignature(
        domain=domain,
        selector=selector,
        algorithm=tags.get("a", "").lower()[:LONGEST_NAME],
        user_domain=tags.get("i", domain).lower().rpartition("@")[2][: LONGEST_NAME + 1],
        value=value,
        digest=hashlib.sha256(b"".join(signed)).digest(),
        until=until,
        is_well_formed=bool(value and digest) and _has_all(tags) and _signs_all_senders(mail, tags),
        is_body_whole=hashlib.sha256(body).digest() == digest,
    )


def verify_signature(
    signature: ReadSignature | None, record: Mapping[str, str], *, now: datetime
) -> Outcome:
    """Return what a signature of a mail is worth by the record of its key.

    `now` is when the mail is taken to arrive, for signatures that run out (tag x).
    """
    key = read_public_key(record)
    if signature is None or key is None or not _is_for(key, record, signature):
        return Outcome.FAILS
    if signature.until and signature.until < now.timestamp():
        return Outcome.EXPIRED
    if not signature.is_body_whole:
        return Outcome.CHANGED
    return Outcome.HOLDS if _is_signed(key, signature) else Outcome.FAILS


def _decoded(tags: Mapping[str, str]) -> tuple[bytes, bytes, int, int | None]:
    """Return value, digest of the body, end and length of a signature; no value if one is wrong."""
    try:
        value = base64.b64decode(tags.get("b", ""))[:_LONGEST_VALUE]
        length = max(0, int(tags["l"])) if "l" in tags else None
        return value, base64.b64decode(tags.get("bh", "")), int(tags.get("x", 0)), length
    except (binascii.Error, ValueError):
        return b"", b"", 0, None


def _has_all(tags: Mapping[str, str]) -> bool:
    names = tags.get("h", "").lower().split(":")
    return all(tags.get(name) for name in _NEEDED) and tags["v"] == "1" and "from" in names


def _signs_all_senders(mail: SplitMail, tags: Mapping[str, str]) -> bool:
    """Say whether no sender is left unsigned, whom a reader may be shown (RFC 6376 §8.15)."""
    return len(mail.named(b"from")) <= tags["h"].lower().split(":").count("from")


def _is_for(key: PublicKey, record: Mapping[str, str], signature: ReadSignature) -> bool:
    """Say whether a signature is well formed, and of this kind of key (RFC 6376 §6.1.1)."""
    if not signature.is_well_formed or not isinstance(key, _KINDS.get(signature.algorithm, ())):
        return False
    if record.get("h") and "sha256" not in record["h"].split(":"):
        return False
    if not {"*", "email"} & set(record.get("s", "*").split(":")):
        return False
    domain, user_domain = signature.domain, signature.user_domain
    is_below = user_domain.endswith(f".{domain}") and "s" not in record.get("t", "").split(":")
    return user_domain == domain or is_below


def _signed_fields(
    mail: SplitMail, signature: bytes, names: str, *, is_relaxed: bool
) -> Iterator[bytes]:
    """Yield what was hashed: fields from the bottom up (§5.4.2), and the signature without b=."""
    left: dict[bytes, list[bytes]] = {}
    for one in mail.fields:
        left.setdefault(_name(one), []).append(one)
    for name in names.lower().split(":"):
        if found := left.get(name.encode()):
            yield _canonical_field(found.pop(), is_relaxed=is_relaxed) + b"\r\n"
    unsigned = b";".join(map(_without_value, signature.split(b";")))
    yield _canonical_field(unsigned, is_relaxed=is_relaxed)


def _without_value(part: bytes) -> bytes:
    """Return a tag of a signature, that of the signature itself without its value."""
    # The first tag stands behind the name of the field.
    name, is_tag, _ = part.partition(b"=")
    return name + is_tag if name.rpartition(b":")[2].strip() == b"b" else part


def _is_signed(key: PublicKey, signature: ReadSignature) -> bool:
    try:
        if isinstance(key, RSAPublicKey):
            key.verify(signature.value, signature.digest, PKCS1v15(), Prehashed(SHA256()))
        else:
            key.verify(signature.value, signature.digest)
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
