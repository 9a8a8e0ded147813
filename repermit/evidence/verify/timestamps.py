"""Checking the timestamps in a proof, and those stored in the database."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from cryptography import x509

from repermit.db.models.evidence import EvidenceTimestamp
from repermit.evidence import (
    signed_checkpoint,
    stored_tree,
    timestamp_authority,
    timestamp_token,
    timestamps,
)
from repermit.evidence.entries import Checkpoint
from repermit.evidence.signed_note import PublicKey
from repermit.evidence.timestamp_authority import NotedAuthority
from repermit.evidence.verify.diagnosis import Fault, How
from repermit.evidence.verify.signatures import is_in_order
from repermit.i18n.lazy_text import LazyText

# --- Who vouches for one. -------------------------------------------------------------------------


class NamedBy(StrEnum):
    """The source of a timestamp's authority; GIVEN is the verifier or the settings."""

    GIVEN = "given"
    RECORD = "record"
    NOBODY = "nobody"


def _read_token(
    reply: bytes,
    note: str,
    authorities: Sequence[x509.Certificate],
    noted: Sequence[NotedAuthority],
) -> tuple[NamedBy, timestamp_token.Token]:
    """Return who names the authority of a token, and what that says of a note.

    - `noted`: the authorities that the record names.

    Raises ValueError for one of another note, and if there are authorities and none vouches.
    """
    if authorities:
        with suppress(ValueError):
            return NamedBy.GIVEN, timestamp_token.read_token(reply, note, authorities=authorities)
    at = timestamp_token.read_token(reply, note).at
    known = [*authorities, *timestamp_authority.certificates_at(noted, at)]
    if noted and not known:
        raise ValueError("nobody vouches for it")
    token = timestamp_token.read_token(reply, note, authorities=known)
    return NamedBy.RECORD if token.is_checked else NamedBy.NOBODY, token


# --- Those in a proof. ----------------------------------------------------------------------------

_NAMES = {"note", "path", "reply"}


@dataclass(frozen=True, kw_only=True)
class Stamp:
    """That the entries up to `seq` lay in the record before `at`, as `by` says.

    The signature of an authority that nobody names was not verified.
    """

    seq: int
    at: datetime
    by: str
    named_by: NamedBy


def timestamp_faults(document: Mapping[str, Any]) -> Iterator[LazyText]:
    """Yield the faults of a proof's timestamps, except whether an authority vouches for them.

    Raises ValueError, LookupError, TypeError or AttributeError for a document of another form.
    """
    if "timestamps" not in document:
        return
    checkpoint, shown = Checkpoint.from_json(document["checkpoint"]), document["timestamps"]
    if not isinstance(shown, list) or not shown:
        raise TypeError
    key = PublicKey.read(document["key"]) if "key" in document else None
    first = document["statement"]["entries"][0]["entry"]["seq"]
    for one in shown:
        if one.keys() != _NAMES:
            raise TypeError
        stamped = signed_checkpoint.read_stamped(one["note"])
        path = {"earlier": {"seq": stamped.seq, "root": stamped.root}, "path": one["path"]}
        if not stored_tree.verify_consistency_proof(path, checkpoint):
            yield LazyText(
                "the checkpoint does not go on from the one that has a timestamp, at %(seq)s",
                seq=str(stamped.seq),
            )
        elif stamped.seq < first:
            yield LazyText("the timestamp at %(seq)s has none of its entries", seq=str(stamped.seq))
        else:
            yield from stamp_faults(one, stamped, key)


def stamp_faults(
    one: Mapping[str, Any], stamped: Checkpoint, key: PublicKey | None
) -> Iterator[LazyText]:
    """Yield what is wrong with a timestamp itself; `stamped` is the checkpoint in its note."""
    if not is_in_order(stamped, key):
        yield LazyText("a timestamp is of a checkpoint with a wrong signature")
    elif not _is_of(one):
        yield LazyText("the timestamp at %(seq)s is of another checkpoint", seq=str(stamped.seq))


def _is_of(one: Mapping[str, Any]) -> bool:
    try:
        timestamp_token.read_token(timestamps.decode(one["reply"]), one["note"])
    except ValueError:
        return False
    return True


def stamps_of(
    document: Mapping[str, Any],
    authorities: Sequence[x509.Certificate] = (),
    noted: Sequence[NotedAuthority] = (),
) -> list[Stamp]:
    """Return what the timestamps of a proof that holds show, the earliest checkpoint first.

    Raises ValueError where none of `authorities`, or of those that a record has `noted`, vouches
    for one, if there are any.
    """
    return [_stamp(one, authorities, noted) for one in document.get("timestamps", ())]


def _stamp(
    one: Mapping[str, Any],
    authorities: Sequence[x509.Certificate],
    noted: Sequence[NotedAuthority],
) -> Stamp:
    reply = timestamps.decode(one["reply"])
    named_by, token = _read_token(reply, one["note"], authorities, noted)
    seq = signed_checkpoint.read_stamped(one["note"]).seq
    return Stamp(seq=seq, at=token.at, by=token.by, named_by=named_by)


# --- Those stored in the database. ----------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Vouched:
    """How many kept timestamps of one authority hold; `last` is the latest time in them.

    Whoever can write to the database can have the record name an authority of their own. The
    signatures of one that nobody names are not verified.
    """

    named_by: NamedBy
    authority: str
    count: int
    last: datetime

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        return {**asdict(self), "last": self.last.isoformat()}


class KeptTimestamps:
    """The timestamps that are kept, and who vouches for them; the chain must hold by itself.

    Besides `authorities` those vouch that the record named when a timestamp was made, unless it is
    not trusted.
    """

    def __init__(
        self, authorities: Sequence[x509.Certificate], *, trusts_record: bool = True
    ) -> None:
        self._authorities = authorities
        self._trusts_record = trusts_record
        self._times: defaultdict[tuple[NamedBy, str], list[datetime]] = defaultdict(list)

    def vouched(self) -> list[Vouched]:
        """Return those in which `faults` found none, by who names their authority."""
        return [
            Vouched(named_by=named_by, authority=authority, count=len(times), last=max(times))
            for (named_by, authority), times in sorted(self._times.items())
        ]

    def faults(self) -> Iterator[Fault]:
        """Yield a fault for each timestamp that is not of this record, or has no voucher."""
        noted = timestamp_authority.noted_authorities() if self._trusts_record else []
        for one in timestamps.list_received():
            row = EvidenceTimestamp.get_by_id(one.id)
            try:
                checkpoint = signed_checkpoint.read_stamped(row.note)
                reply = timestamps.decode(row.reply)
                named_by, token = _read_token(reply, row.note, self._authorities, noted)
            except ValueError as error:
                yield Fault(row.seq, How.CONTRADICTED, f"its timestamp: {error}")
                continue
            if stored_tree.is_of_record(checkpoint):
                self._times[named_by, token.by].append(token.at)
            else:
                what = f"at {checkpoint.seq} or before: a timestamp tells"
                yield Fault(checkpoint.seq, How.REWRITTEN, what)
