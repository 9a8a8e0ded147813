"""Verifying a DKIM signature of a mail as it was received (RFC 6376 §6, RFC 8301, RFC 8463).

A signature is read in a process with limits, and verified with its key afterwards.
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
# A DNS name has at most 253 octets, a signature with the longest accepted key 2,048.
MAX_NAME_LENGTH = 253
_MAX_VALUE_LENGTH = 4096
_REQUIRED_TAGS = ("v", "a", "b", "bh", "d", "h", "s")
# rsa-sha1 is no longer valid (RFC 8301 §3.1).
_KEY_CLASSES = {"rsa-sha256": RSAPublicKey, "ed25519-sha256": Ed25519PublicKey}


class Outcome(Enum):
    """The outcome of verifying a signature."""

    HOLDS = "holds"
    CHANGED = "changed"
    """The body is not the signed one."""
    FAILS = "fails"
    EXPIRED = "expired"


class SplitMail(NamedTuple):
    """A mail's header fields, each with its folds but without its last CRLF, and its body."""

    fields: tuple[bytes, ...]
    body: bytes

    def find_fields(self, name: bytes) -> tuple[bytes, ...]:
        """Return the fields with a name, from the top; `name` is in lower case."""
        return tuple(
            header_field for header_field in self.fields if _get_field_name(header_field) == name
        )


def split_mail(raw: bytes) -> SplitMail:
    """Split a mail into header fields and body; it may have been saved with other line ends.

    A byte order mark and the line "From …" of a Unix mailbox are removed.
    """
    raw = raw.removeprefix(b"\xef\xbb\xbf")
    if raw.startswith(b"From "):
        raw = raw.partition(b"\n")[2]
    head, _, body = (b"\r\n" + to_crlf(raw)).partition(b"\r\n\r\n")
    return SplitMail(fields=tuple(_FIELD.findall(head)), body=body)


def parse_tags(text: str) -> dict[str, str]:
    """Parse a list of tags such as "v=DKIM1; p=…" (RFC 6376 §3.2), without blanks."""
    pairs = ("".join(part.split()).partition("=") for part in text.split(";"))
    return {name.lower(): value for name, _, value in pairs if name}


def read_public_key(record: Mapping[str, str]) -> PublicKey | None:
    """Return the key in the tags of a DKIM record; None for an invalid or unknown one."""
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
    """The content of a DKIM-Signature field, of bounded size; its key is not known yet.

    - `is_well_formed`: whether it is valid as far as this does not depend on the key (RFC 6376
      §6.1.1).
    - `is_body_whole`: whether the body is the signed one.
    - `digest`: the SHA-256 of the signed header fields.
    - `until`: when it expires, in seconds since 1970; 0 for never.
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
    """Parse one DKIM-Signature field of a mail; None if its domain or selector is missing."""
    tags = parse_tags(signature.partition(b":")[2].decode("utf-8", "replace"))
    domain, selector = tags.get("d", "").lower(), tags.get("s", "")
    if not domain or not selector or max(len(domain), len(selector)) > MAX_NAME_LENGTH:
        return None
    in_head, _, in_body = tags.get("c", "simple/simple").lower().partition("/")
    signed = _iter_signed_fields(
        mail, signature, tags.get("h", ""), is_relaxed=in_head == "relaxed"
    )
    value, digest, until, length = _decode_tags(tags)
    body = _canonicalize_body(mail.body, is_relaxed=in_body == "relaxed")[:length]
    return ReadSignature(
        domain=domain,
        selector=selector,
        algorithm=tags.get("a", "").lower()[:MAX_NAME_LENGTH],
        user_domain=tags.get("i", domain).lower().rpartition("@")[2][: MAX_NAME_LENGTH + 1],
        value=value,
        digest=hashlib.sha256(b"".join(signed)).digest(),
        until=until,
        is_well_formed=bool(value and digest)
        and _has_required_tags(tags)
        and _signs_all_senders(mail, tags),
        is_body_whole=hashlib.sha256(body).digest() == digest,
    )


def verify_signature(
    signature: ReadSignature | None, record: Mapping[str, str], *, now: datetime
) -> Outcome:
    """Verify a signature with the record of its key.

    - `now`: when the mail arrives, for signatures that expire (tag x).
    """
    key = read_public_key(record)
    if signature is None or key is None or not _fits_key(key, record, signature):
        return Outcome.FAILS
    if signature.until and signature.until < now.timestamp():
        return Outcome.EXPIRED
    if not signature.is_body_whole:
        return Outcome.CHANGED
    return Outcome.HOLDS if _is_signed(key, signature) else Outcome.FAILS


def _decode_tags(tags: Mapping[str, str]) -> tuple[bytes, bytes, int, int | None]:
    """Return value, body digest, expiry and body length; an empty value if one is wrong."""
    try:
        value = base64.b64decode(tags.get("b", ""))[:_MAX_VALUE_LENGTH]
        length = max(0, int(tags["l"])) if "l" in tags else None
        return value, base64.b64decode(tags.get("bh", "")), int(tags.get("x", 0)), length
    except (binascii.Error, ValueError):
        return b"", b"", 0, None


def _has_required_tags(tags: Mapping[str, str]) -> bool:
    names = tags.get("h", "").lower().split(":")
    return all(tags.get(name) for name in _REQUIRED_TAGS) and tags["v"] == "1" and "from" in names


def _signs_all_senders(mail: SplitMail, tags: Mapping[str, str]) -> bool:
    """Return whether every From field is signed, since a reader may see any (RFC 6376 §8.15)."""
    return len(mail.find_fields(b"from")) <= tags["h"].lower().split(":").count("from")


def _fits_key(key: PublicKey, record: Mapping[str, str], signature: ReadSignature) -> bool:
    """Return whether a signature is well formed and allowed by its key (RFC 6376 §6.1.1)."""
    if not signature.is_well_formed or not isinstance(
        key, _KEY_CLASSES.get(signature.algorithm, ())
    ):
        return False
    if record.get("h") and "sha256" not in record["h"].split(":"):
        return False
    if not {"*", "email"} & set(record.get("s", "*").split(":")):
        return False
    domain, user_domain = signature.domain, signature.user_domain
    is_below = user_domain.endswith(f".{domain}") and "s" not in record.get("t", "").split(":")
    return user_domain == domain or is_below


def _iter_signed_fields(
    mail: SplitMail, signature: bytes, names: str, *, is_relaxed: bool
) -> Iterator[bytes]:
    """Yield the hashed bytes: fields from the bottom up (§5.4.2), then the signature without b=."""
    remaining: dict[bytes, list[bytes]] = {}
    for header_field in mail.fields:
        remaining.setdefault(_get_field_name(header_field), []).append(header_field)
    for name in names.lower().split(":"):
        if fields_of_name := remaining.get(name.encode()):
            yield _canonicalize_field(fields_of_name.pop(), is_relaxed=is_relaxed) + b"\r\n"
    unsigned = b";".join(map(_drop_signature_value, signature.split(b";")))
    yield _canonicalize_field(unsigned, is_relaxed=is_relaxed)


def _drop_signature_value(tag: bytes) -> bytes:
    """Return a tag of a signature field; the tag b without its value."""
    # The first tag comes after the name of the field.
    name, is_tag, _ = tag.partition(b"=")
    return name + is_tag if name.rpartition(b":")[2].strip() == b"b" else tag


def _is_signed(key: PublicKey, signature: ReadSignature) -> bool:
    try:
        if isinstance(key, RSAPublicKey):
            key.verify(signature.value, signature.digest, PKCS1v15(), Prehashed(SHA256()))
        else:
            key.verify(signature.value, signature.digest)
    except InvalidSignature:
        return False
    return True


def _get_field_name(field: bytes) -> bytes:
    return field.partition(b":")[0].rstrip().lower()


def _canonicalize_field(field: bytes, *, is_relaxed: bool) -> bytes:
    if not is_relaxed:
        return field
    return b"%b:%b" % (
        _get_field_name(field),
        _BLANKS.sub(b" ", field.partition(b":")[2]).strip(b" "),
    )


def _canonicalize_body(body: bytes, *, is_relaxed: bool) -> bytes:
    if is_relaxed:
        body = _BLANKS_IN_LINE.sub(b" ", body).replace(b" \r\n", b"\r\n")
        # An empty body stays empty here; in the simple form it is one line end (§3.4).
        return body.rstrip(b"\r\n") + b"\r\n" if body.strip(b"\r\n") else b""
    return body.rstrip(b"\r\n") + b"\r\n"
