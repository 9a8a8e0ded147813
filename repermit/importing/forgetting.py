"""Erasing an address from a file that was handed in and waits to be taken in.

May import models and this room's sights and uploads. One row cannot be cut out of a workbook, so
the whole file goes; whoever handed it in reads why, in its place.
"""

from __future__ import annotations

from contextlib import closing
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from repermit.importing import sights
from repermit.importing.uploads import drop_broken_uploads, find_upload
from repermit.models import Upload
from repermit.models.database import proxy
from repermit.saying import Said, packed

if TYPE_CHECKING:
    from repermit.config import Settings
    from repermit.importing.uploads import Kept
    from repermit.models import MailingList


class Waiting(StrEnum):
    """What became of a file that waited for a list, as an address was erased there.

    `nothing`: there is none, or the address is not in it; `deleted`; `left`: somebody works with
    it in this moment, or it is on another machine, so that it goes within a day.
    """

    NOTHING = "nothing"
    DELETED = "deleted"
    LEFT = "left"


def forget_in_upload(mailing_list: MailingList, address_key: str, *, settings: Settings) -> Waiting:
    """Delete the file that waits for a list if an address that was erased is in it.

    Of a file whose rows nobody has looked at yet this cannot be known, so that it goes too.
    """
    drop_broken_uploads(proxy.obj, mailing_list, settings=settings)
    kept = find_upload(mailing_list, settings=settings)
    if kept is None:
        is_elsewhere = Upload.select().where(Upload.list == mailing_list).exists()
        return Waiting.LEFT if is_elsewhere else Waiting.NOTHING
    lock = kept.lock()
    if lock is None:
        return Waiting.LEFT
    with closing(lock):
        if kept.rows.exists() and not sights.holds(kept.rows, address_key):
            return Waiting.NOTHING
        _empty(kept)
    return Waiting.DELETED


def _empty(kept: Kept) -> None:
    """Leave nothing of a file but why; killed in between, it is one that was not looked at."""
    kept.forget_outcome()
    kept.rows.unlink(missing_ok=True)
    kept.path.write_bytes(b"")
    with proxy.obj.atomic():
        kept.count(rows=0, people=0)
    kept.note({**_REFUSAL, "glimpses": []})


_REFUSAL: dict[str, Any] = {
    "refused": packed(
        Said(
            "somebody whose address may be in this file was erased, and the file with it: hand "
            "it in again, and their row is left out"
        )
    ),
    "line": 0,
    "column": 0,
    "expected": "",
}
