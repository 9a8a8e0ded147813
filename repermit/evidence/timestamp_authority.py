"""The entries of the record that name timestamping authorities, with their certificates."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from repermit.db.models.evidence import Evidence
from repermit.evidence import chain, chain_reader, timestamp_token
from repermit.evidence.checkpoint_occasions import claim
from repermit.evidence.entries import Entry, encode_canonical_json
from repermit.evidence.timestamps import decode, encode

EVENT = "timestamp_authority"
"""The event of these entries, and the prefix of the keys of `meta` that claim each of them."""

_MAX_CLOCK_DIFFERENCE = timedelta(days=1)
"""The maximum difference between the clocks of an authority and of this machine."""


@dataclass(frozen=True)
class NotedAuthority:
    """An authority that the record names.

    - `at`: the latest time of that entry and those before it, as an entry's own may be forged.
    """

    at: datetime
    certificates: Sequence[x509.Certificate]


def find_vouching(
    reply: bytes, text: str, authorities: Sequence[x509.Certificate]
) -> Sequence[x509.Certificate]:
    """Return the one certificate that a valid token's signature leads to, or all if it needs more.

    - `reply`: holds the token.
    - `text`: the text that the token is over.
    """
    for certificate in authorities:
        with suppress(ValueError):
            timestamp_token.read_token(reply, text, authorities=[certificate])
            return [certificate]
    return authorities


def note_authority(certificates: Sequence[x509.Certificate], *, now: datetime) -> None:
    """Append an entry with the certificates that vouch for timestamps, unless there is one.

    Must be the last step of the caller's transaction, as `chain.append`.
    """
    encoded = [encode(certificate.public_bytes(Encoding.DER)) for certificate in certificates]
    if claim(f"{EVENT} {hashlib.sha256(encode_canonical_json(encoded).encode()).hexdigest()}", now):
        names = "; ".join(certificate.subject.rfc4514_string() for certificate in certificates)
        consent = {"name": names, "certificates": encoded}
        chain.append(Entry(event=EVENT, at=now, actor="job", consent=consent))


def read_recorded_authorities() -> list[NotedAuthority]:
    """Return the authorities that the record names, the oldest first.

    The chain must already be verified.
    """
    authorities = []
    for row in list(Evidence.select().where(Evidence.event == EVENT).order_by(Evidence.seq)):
        parts = chain_reader.read_entry(row.seq)["parts"]
        latest = Evidence.select().where(Evidence.seq <= row.seq).order_by(Evidence.at.desc())
        # Somebody with access to the database may have written anything there.
        with suppress(ValueError, LookupError, TypeError, x509.InvalidVersion):
            encoded = parts["consent"]["content"]["certificates"]
            certificates = [x509.load_der_x509_certificate(decode(text)) for text in encoded]
            authorities.append(NotedAuthority(latest.get().at, certificates))
    return authorities


def select_certificates(noted: Sequence[NotedAuthority], at: datetime) -> list[x509.Certificate]:
    """Return the certificates that the record named at the time of a token.

    A certificate that is recorded later does not vouch for an earlier time. But somebody who can
    write to the database can also forge the time of its entry.
    """
    return [
        certificate
        for authority in noted
        if authority.at - _MAX_CLOCK_DIFFERENCE <= at
        for certificate in authority.certificates
    ]
