"""Timestamp tokens (RFC 3161): what one says, and whether an authority vouches for it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from rfc3161_client import (
    HashAlgorithm,
    PKIStatus,
    TimestampRequestBuilder,
    TimeStampResponse,
    VerificationError,
    VerifierBuilder,
    decode_timestamp_response,
)

from repermit.settings.definitions import Settings

_SHA256 = x509.ObjectIdentifier("2.16.840.1.101.3.4.2.1")
_BROKEN = (
    VerificationError, UnsupportedAlgorithm, ValueError, TypeError, LookupError, AttributeError,
    OverflowError, x509.InvalidVersion,
)  # fmt: skip

LARGEST = 200_000
"""Octets that a reply may have; one with three certificates has some 6,000."""


@dataclass(frozen=True, kw_only=True)
class Token:
    """What a token says: that somebody had a text at a moment, `by` is whose certificate says it.

    `serial` is the number that the authority gave it. `is_checked` says that the authority's
    signature was verified.
    """

    at: datetime
    by: str
    serial: int
    is_checked: bool


@dataclass(frozen=True)
class TimestampRequest:
    """A request to an authority: its octets, and the number by which the reply is known as its."""

    octets: bytes
    nonce: int


def make_request(text: str) -> TimestampRequest:
    """Return a request for a timestamp over the SHA-256 of a text, with a new random nonce."""
    builder = TimestampRequestBuilder().data(text.encode()).hash_algorithm(HashAlgorithm.SHA256)
    made = builder.cert_request(cert_request=True).build()
    assert made.nonce is not None  # noqa: S101  the builder adds one by itself
    return TimestampRequest(made.as_bytes(), made.nonce)


def read_authorities(path: str) -> tuple[x509.Certificate, ...]:
    """Return the certificates in a PEM file; raises ValueError if there are none, and OSError."""
    return tuple(x509.load_pem_x509_certificates(Path(path).read_bytes()))


def authorities_of(settings: Settings) -> tuple[x509.Certificate, ...]:
    """Return the authorities of the settings, none where they name none or cannot be read."""
    path = settings.evidence.timestamp_ca_file
    try:
        return read_authorities(path) if path else ()
    except (ValueError, OSError):
        return ()


def read_token(
    reply: bytes,
    text: str,
    *,
    authorities: Sequence[x509.Certificate] = (),
    nonce: int | None = None,
) -> Token:
    """Return what a reply (a TimeStampResp, DER) says of a text; raises ValueError if it does not.

    With `authorities`, its signature must lead to one of them, and its certificates must have been
    valid at the moment that it tells. With `nonce`, it must be the reply to that request.
    """
    if len(reply) > LARGEST:
        raise ValueError("it is too large")
    try:
        found = decode_timestamp_response(reply)
        if found.status != PKIStatus.GRANTED:
            raise ValueError("it was refused")
        info = found.tst_info
        if info.version != 1 or info.serial_number < 0:
            raise ValueError("it has another version, or no serial number")
        imprint = info.message_imprint
        if imprint.hash_algorithm != _SHA256 or imprint.message != _digest(text):
            raise ValueError("it is of another checkpoint")
        if authorities:
            _verify(found, text, authorities, nonce)
        return Token(
            at=info.gen_time.astimezone(UTC),
            by=_signer(found),
            serial=info.serial_number,
            is_checked=bool(authorities),
        )
    except _BROKEN as error:
        raise ValueError(_reason(error)) from None


def _reason(error: Exception) -> str:
    """Return in a few words why a reply does not hold."""
    told = str(error)
    # Of OpenSSL's stack of errors this alone tells something.
    found = re.search(r"Verify error: ([a-zA-Z -]+)", told)
    if found:
        return found[1]
    return told.partition(": ErrorStack")[0].partition("ASN.1")[0] or "it is no timestamp"


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _verify(
    found: TimeStampResponse,
    text: str,
    authorities: Sequence[x509.Certificate],
    nonce: int | None,
) -> None:
    builder = VerifierBuilder(roots=list(authorities), nonce=nonce)
    if not builder.build().verify(found, _digest(text)):
        raise ValueError("it does not hold")


def _signer(found: TimeStampResponse) -> str:
    """Return whose certificate signed, as far as the reply has it; "" if it has not."""
    signers = {(one.issuer, one.serial_number) for one in found.signed_data.signer_infos}
    for octets in found.signed_data.certificates:
        one = x509.load_der_x509_certificate(bytes(octets))
        if (one.issuer, one.serial_number) in signers:
            return one.subject.rfc4514_string()
    return ""
