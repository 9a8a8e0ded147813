"""What the mail server stands in the way of: told by `status` until something leaves again.

May import saying and models.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from repermit.models import Meta, read_moment, stored
from repermit.saying import packed, unpacked

if TYPE_CHECKING:
    from datetime import datetime

    from repermit.models import Database
    from repermit.saying import Said

_KEY = "sending_fault"


@dataclass(frozen=True)
class Fault:
    """Why nothing leaves, and since when (aware UTC); `last_at` is when it was seen last."""

    reason: Said
    since: datetime
    last_at: datetime


def note_fault(database: Database, reason: str, *, now: datetime) -> None:
    """Keep why the last run ended early; with "" forget it, since mails leave again."""
    known = last_fault()
    if not reason and known is None:
        return
    with database.atomic():
        if not reason:
            Meta.delete().where(Meta.key == _KEY).execute()
            return
        since = known.since if known else now
        kept = {"reason": packed(reason), "since": stored(since), "last_at": stored(now)}
        Meta.insert(key=_KEY, value=json.dumps(kept)).on_conflict(
            conflict_target=[Meta.key], preserve=[Meta.value]
        ).execute()


def last_fault() -> Fault | None:
    """Return what stood in the way of the last run that had something to send, None if nothing."""
    row = Meta.get_or_none(Meta.key == _KEY)
    if row is None:
        return None
    kept = json.loads(row.value)
    return Fault(unpacked(kept["reason"]), read_moment(kept["since"]), read_moment(kept["last_at"]))
