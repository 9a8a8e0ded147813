"""What files claimed that were taken back, found again when the term of its proof is over.

May import models and what lies below. Taking a file back ends what it claimed, for whom it brought
as for whom it changed: the latter stand where they did before, on what they said before.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from repermit.models import (
    Evidence,
    EvidencePart,
    Import,
    MailingList,
    Meta,
    bound,
    read_moment,
    stored,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

_KEY = "claims_ended"
_NOBODY = ""
_GONE = "erased"
_RESTORED = "import_undone"


class _Place(NamedTuple):
    """How far this has come: the file that was seen to last, and the entry reached of the next."""

    undone_at: str = ""
    number: int = 0
    seq: int = 0


@dataclass(frozen=True, kw_only=True)
class Claims:
    """Some of what a file claimed: the numbers of the parts that say so, and how far that is."""

    parts: Sequence[int]
    place: _Place


def next_claims(latest: datetime, chunk: int) -> Claims | None:
    """Return what a file that was taken back by then claimed of the next people; None: no more.

    Needs no lock: an entry is never changed, and whoever deletes finds out what is still there.
    """
    place = _reached()
    record = _next_file(place, latest)
    if record is None:
        return None
    said = _taken_back(record, place.seq, chunk)
    if len(said) == chunk:
        reached = place._replace(seq=said[-1][0])
    else:
        reached = _Place(stored(record.undone_at), record.id)
    return Claims(parts=_claimed(record, said), place=reached)


def keep_place(claims: Claims) -> None:
    """Keep that these have been seen to, inside the caller's transaction."""
    Meta.insert(key=_KEY, value=json.dumps(claims.place)).on_conflict(
        conflict_target=[Meta.key], update={Meta.value: json.dumps(claims.place)}
    ).execute()


def _reached() -> _Place:
    kept = Meta.get_or_none(Meta.key == _KEY)
    return _Place(*json.loads(kept.value)) if kept else _Place()


def _next_file(place: _Place, latest: datetime) -> Any:
    query: Any = (
        Import.select(Import.id, Import.at, Import.undone_at, MailingList.slug)
        .join(MailingList)
        .where(Import.undone_at <= latest)
    )
    if place.number:
        moment = read_moment(place.undone_at)
        is_later = (Import.undone_at > moment) | (Import.id > place.number)
        query = query.where(Import.undone_at >= moment, is_later)
    return query.order_by(Import.undone_at, Import.id).objects().first()


def _taken_back(record: Any, seq: int, chunk: int) -> list[tuple[int, str, str]]:
    """Return number, subject and event of the next entries by which a file was taken back."""
    query: Any = Evidence.select(Evidence.seq, Evidence.subject, Evidence.event).where(
        Evidence.seq > seq,
        Evidence.at == record.undone_at,
        Evidence.list == record.slug,
        Evidence.subject != _NOBODY,
        Evidence.event.in_((_GONE, _RESTORED)),
    )
    return list(query.order_by(Evidence.seq).limit(chunk).tuples())


def _claimed(record: Any, said: Sequence[tuple[int, str, str]]) -> list[int]:
    """Return the parts by which the file claimed something; of whom it brought, all before that.

    Somebody who is known again by an earlier address goes on under the same subject.
    """
    gone = {subject: seq for seq, subject, event in said if event == _GONE}
    rows: Any = (
        EvidencePart.select(EvidencePart.id, Evidence.seq, Evidence.subject, Evidence.at)
        .join(Evidence, on=(Evidence.seq == EvidencePart.seq))
        .where(
            Evidence.subject.in_(bound(subject for _, subject, _ in said)),
            Evidence.list == record.slug,
            Evidence.event != _GONE,
            EvidencePart.part == "consent",
        )
        .tuples()
    )
    return [
        number
        for number, seq, subject, at in rows
        if (seq < gone[subject] if subject in gone else at == record.at)
    ]
