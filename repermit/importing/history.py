"""Which files came onto a list.

May import models, consent.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from repermit.consent import Fate
from repermit.models import Import

if TYPE_CHECKING:
    from datetime import datetime

    from repermit.models import MailingList


@dataclass(frozen=True, kw_only=True)
class PastImport:
    """A file that was taken in; `fates` has every fate and adds up to `rows`."""

    file: str
    at: datetime
    undone_at: datetime | None
    rows: int
    fates: dict[Fate, int]


def past_imports(mailing_list: MailingList) -> tuple[PastImport, ...]:
    """Return the files that were taken into a list, the last one first."""
    query = Import.select().where(Import.list == mailing_list).order_by(Import.id.desc())
    return tuple(map(_facts, query))


def _facts(record: Import) -> PastImport:
    counts = json.loads(record.counts)
    return PastImport(
        file=record.file,
        at=record.at,
        undone_at=record.undone_at,
        rows=counts["rows"],
        fates={fate: counts["fates"].get(fate, 0) for fate in Fate},
    )
