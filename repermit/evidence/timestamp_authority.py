"""The authorities whose certificates vouch for timestamps, in the record: each since when."""

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
from repermit.evidence.entries import Entry, canonical
from repermit.evidence.timestamps import decode, encode

EVENT = "timestamp_authority"
"""Name of the entries, and of the keys of `meta` under which each is noted once."""

_CLOCKS = timedelta(days=1)
"""By so much the clocks of an authority and of this machine may differ."""


@dataclass(frozen=True)
class NotedAuthority:
    """An authority that the record names: its certificates, and the time of that entry.

    That is not before the times of the entries in front of it, whatever it tells itself.
    """

    at: datetime
    certificates: Sequence[x509.Certificate]


def find_vouching(
    reply: bytes, text: str, authorities: Sequence[x509.Certificate]
) -> Sequence[x509.Certificate]:
    """Return the certificate that a token which holds leads to; all where it takes several."""
    for one in authorities:
        with suppress(ValueError):
            timestamp_token.read_token(reply, text, authorities=[one])
            return [one]
    return authorities


def note_authority(certificates: Sequence[x509.Certificate], *, now: datetime) -> None:
    """Append, once, whose certificates vouch for timestamps; ends the caller's transaction."""
    told = [encode(one.public_bytes(Encoding.DER)) for one in certificates]
    if claim(f"{EVENT} {hashlib.sha256(canonical(told).encode()).hexdigest()}", now):
        names = "; ".join(one.subject.rfc4514_string() for one in certificates)
        said = {"name": names, "certificates": told}
        chain.append(Entry(event=EVENT, at=now, actor="job", consent=said))


def noted_authorities() -> list[NotedAuthority]:
    """Return the authorities that the record names, the oldest first; the chain must hold."""
    found = []
    for row in list(Evidence.select().where(Evidence.event == EVENT).order_by(Evidence.seq)):
        parts = chain_reader.read_entry(row.seq)["parts"]
        latest = Evidence.select().where(Evidence.seq <= row.seq).order_by(Evidence.at.desc())
        # Whoever writes into the database may have put anything there.
        with suppress(ValueError, LookupError, TypeError, x509.InvalidVersion):
            told = parts["consent"]["content"]["certificates"]
            certificates = [x509.load_der_x509_certificate(decode(one)) for one in told]
            found.append(NotedAuthority(latest.get().at, certificates))
    return found


def certificates_at(noted: Sequence[NotedAuthority], at: datetime) -> list[x509.Certificate]:
    """Return the certificates that the record named when a token says that it was made.

    So one that is put into the record later vouches for no earlier time; but whoever can write to
    the database dates its entry, too.
    """
    return [one for known in noted if known.at - _CLOCKS <= at for one in known.certificates]
