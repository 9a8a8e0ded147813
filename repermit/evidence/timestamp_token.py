"""Timestamp tokens (RFC 3161): requesting, reading and verifying them."""

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

MAX_SIZE = 200_000
"""The maximum octets of a reply; one with three certificates has some 6,000."""


@dataclass(frozen=True, kw_only=True)
class Token:
    """A timestamp token: a text existed at the time `at`.

    - `by`: the subject of the certificate that signed it; "" if the reply has no certificate.
    - `serial`: the number that the authority gave it.
    - `is_checked`: whether the authority's signature was verified.
    """

    at: datetime
    by: str
    serial: int
    is_checked: bool


@dataclass(frozen=True)
class TimestampRequest:
    """A request to an authority: its octets, and the nonce that the reply must have."""

    octets: bytes
    nonce: int


def make_request(text: str) -> TimestampRequest:
    """Return a request for a timestamp over the SHA-256 of a text, with a new random nonce."""
    builder = TimestampRequestBuilder().data(text.encode()).hash_algorithm(HashAlgorithm.SHA256)
    request = builder.cert_request(cert_request=True).build()
    assert request.nonce is not None  # noqa: S101  the builder adds one by itself
    return TimestampRequest(request.as_bytes(), request.nonce)


def read_authorities(path: str) -> tuple[x509.Certificate, ...]:
    """Return the certificates in a PEM file; raises ValueError if there are none, and OSError."""
    return tuple(x509.load_pem_x509_certificates(Path(path).read_bytes()))


def read_configured_authorities(settings: Settings) -> tuple[x509.Certificate, ...]:
    """Return the authorities in the settings; empty without any, or if they cannot be read."""
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
    """Return the token in a reply (a TimeStampResp, DER); raises ValueError if it is not valid.

    - `text`: the text that it must be over.
    - `authorities`: if given, its signature must lead to one of them, and its certificates must
      have been valid at its time.
    - `nonce`: if given, it must be the reply to that request.
    """
    if len(reply) > MAX_SIZE:
        raise ValueError("it is too large")
    try:
        response = decode_timestamp_response(reply)
        if response.status != PKIStatus.GRANTED:
            raise ValueError("it was refused")
        info = response.tst_info
        if info.version != 1 or info.serial_number < 0:
            raise ValueError("it has another version, or no serial number")
        imprint = info.message_imprint
        if imprint.hash_algorithm != _SHA256 or imprint.message != _hash_text(text):
            raise ValueError("it is of another checkpoint")
        if authorities:
            _verify(response, text, authorities, nonce)
        return Token(
            at=info.gen_time.astimezone(UTC),
            by=_find_signer(response),
            serial=info.serial_number,
            is_checked=bool(authorities),
        )
    except _BROKEN as error:
        raise ValueError(_shorten_reason(error)) from None


def _shorten_reason(error: Exception) -> str:
    """Return in a few words why a reply is not valid."""
    message = str(error)
    # The only informative part of OpenSSL's stack of errors.
    cause = re.search(r"Verify error: ([a-zA-Z -]+)", message)
    if cause:
        return cause[1]
    return message.partition(": ErrorStack")[0].partition("ASN.1")[0] or "it is no timestamp"


def _hash_text(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _verify(
    response: TimeStampResponse,
    text: str,
    authorities: Sequence[x509.Certificate],
    nonce: int | None,
) -> None:
    builder = VerifierBuilder(roots=list(authorities), nonce=nonce)
    if not builder.build().verify(response, _hash_text(text)):
        raise ValueError("it does not hold")


def _find_signer(response: TimeStampResponse) -> str:
    """Return the subject of the certificate that signed; "" if the reply does not have it."""
    signers = {
        (signer.issuer, signer.serial_number) for signer in response.signed_data.signer_infos
    }
    for octets in response.signed_data.certificates:
        certificate = x509.load_der_x509_certificate(bytes(octets))
        if (certificate.issuer, certificate.serial_number) in signers:
            return certificate.subject.rfc4514_string()
    return ""
