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

# --- The authority of a timestamp. ----------------------------------------------------------------


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
    """Return the token in a reply, and who names its authority.

    - `note`: the note that the token must be over.
    - `authorities`: those that the verifier or the settings name.
    - `noted`: those that the record names.

    Raises ValueError for a token over another note, and if authorities are known and none of them
    issued it. If none is known, the signature is not verified (NOBODY).
    """
    if authorities:
        with suppress(ValueError):
            return NamedBy.GIVEN, timestamp_token.read_token(reply, note, authorities=authorities)
    at = timestamp_token.read_token(reply, note).at
    known = [*authorities, *timestamp_authority.select_certificates(noted, at)]
    if noted and not known:
        raise ValueError("nobody vouches for it")
    token = timestamp_token.read_token(reply, note, authorities=known)
    return NamedBy.RECORD if token.is_checked else NamedBy.NOBODY, token


# --- Those in a proof. ----------------------------------------------------------------------------

_NAMES = {"note", "path", "reply"}


@dataclass(frozen=True, kw_only=True)
class Stamp:
    """A timestamp: the entries up to `seq` were in the record before `at`.

    - `by`: the authority that says so.
    - `named_by`: if NOBODY, its signature was not verified.
    """

    seq: int
    at: datetime
    by: str
    named_by: NamedBy


def check_proof_timestamps(document: Mapping[str, Any]) -> Iterator[LazyText]:
    """Yield the faults of a proof's timestamps, except whether an authority vouches for them.

    Raises ValueError, LookupError, TypeError or AttributeError for a document of another form.
    """
    if "timestamps" not in document:
        return
    checkpoint, shown_timestamps = (
        Checkpoint.from_json(document["checkpoint"]),
        document["timestamps"],
    )
    if not isinstance(shown_timestamps, list) or not shown_timestamps:
        raise TypeError
    key = PublicKey.read(document["key"]) if "key" in document else None
    first = document["statement"]["entries"][0]["entry"]["seq"]
    for timestamp in shown_timestamps:
        if timestamp.keys() != _NAMES:
            raise TypeError
        stamped = signed_checkpoint.read_stamped(timestamp["note"])
        path = {"earlier": {"seq": stamped.seq, "root": stamped.root}, "path": timestamp["path"]}
        if not stored_tree.verify_consistency_proof(path, checkpoint):
            yield LazyText(
                "the checkpoint does not go on from the one that has a timestamp, at %(seq)s",
                seq=str(stamped.seq),
            )
        elif stamped.seq < first:
            yield LazyText("the timestamp at %(seq)s has none of its entries", seq=str(stamped.seq))
        else:
            yield from check_stamp(timestamp, stamped, key)


def check_stamp(
    timestamp: Mapping[str, Any], stamped: Checkpoint, key: PublicKey | None
) -> Iterator[LazyText]:
    """Yield the faults of one timestamp; `stamped` is the checkpoint in its note."""
    if not is_in_order(stamped, key):
        yield LazyText("a timestamp is of a checkpoint with a wrong signature")
    elif not _matches_note(timestamp):
        yield LazyText("the timestamp at %(seq)s is of another checkpoint", seq=str(stamped.seq))


def _matches_note(timestamp: Mapping[str, Any]) -> bool:
    try:
        timestamp_token.read_token(timestamps.decode(timestamp["reply"]), timestamp["note"])
    except ValueError:
        return False
    return True


def read_stamps(
    document: Mapping[str, Any],
    authorities: Sequence[x509.Certificate] = (),
    noted: Sequence[NotedAuthority] = (),
) -> list[Stamp]:
    """Return the timestamps of a valid proof, the earliest checkpoint first.

    Raises ValueError for a timestamp by none of the `authorities` or those that the record has
    `noted`, if there are any.
    """
    return [_stamp(timestamp, authorities, noted) for timestamp in document.get("timestamps", ())]


def _stamp(
    timestamp: Mapping[str, Any],
    authorities: Sequence[x509.Certificate],
    noted: Sequence[NotedAuthority],
) -> Stamp:
    reply = timestamps.decode(timestamp["reply"])
    named_by, token = _read_token(reply, timestamp["note"], authorities, noted)
    seq = signed_checkpoint.read_stamped(timestamp["note"]).seq
    return Stamp(seq=seq, at=token.at, by=token.by, named_by=named_by)


# --- Those stored in the database. ----------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Vouched:
    """The number of stored timestamps of one authority that are valid.

    - `named_by`: somebody who can write to the database can make the record name an authority of
      their own. If nobody names it, its signatures were not verified.
    - `last`: the latest time in them.
    """

    named_by: NamedBy
    authority: str
    count: int
    last: datetime

    def to_json(self) -> dict[str, Any]:
        """Return the object for JSON output."""
        return {**asdict(self), "last": self.last.isoformat()}


class StoredTimestamps:
    """A check of the stored timestamps; the chain must already be verified.

    - `authorities`: certificates that vouch for timestamps.
    - `trusts_record`: whether the authorities that the record named at the time vouch, too.
    """

    def __init__(
        self, authorities: Sequence[x509.Certificate], *, trusts_record: bool = True
    ) -> None:
        self._authorities = authorities
        self._trusts_record = trusts_record
        self._times: defaultdict[tuple[NamedBy, str], list[datetime]] = defaultdict(list)

    def list_vouched(self) -> list[Vouched]:
        """Return the counts of timestamps in which `find_faults` found no fault, by authority."""
        return [
            Vouched(named_by=named_by, authority=authority, count=len(times), last=max(times))
            for (named_by, authority), times in sorted(self._times.items())
        ]

    def find_faults(self) -> Iterator[Fault]:
        """Yield a fault for each timestamp over another record, or of an unknown authority."""
        # Those that are pending prove nothing, but must be readable too.
        timestamps.list_pending()
        noted = timestamp_authority.read_recorded_authorities() if self._trusts_record else []
        for received in timestamps.list_received():
            row = EvidenceTimestamp.get_by_id(received.id)
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
                detail = f"at {checkpoint.seq} or before: a timestamp tells"
                yield Fault(checkpoint.seq, How.REWRITTEN, detail)
