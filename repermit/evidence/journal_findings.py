"""Whether the journal of suppressions is whole, and keeps nobody off whom the database does not.

May import models and this room's faults.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from peewee import fn

from repermit.evidence.faults import Fault, How
from repermit.models import (
    JOURNAL_SEALED_SINCE,
    Evidence,
    Meta,
    lost_suppressions,
    proxy,
    what_is_cut,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


def journal_findings(key: bytes | None, size: int) -> Iterator[Fault]:
    """Yield what the journal lacks, and whom it alone still knows; nothing without a journal.

    - `size`: octets that it had before the database was read as it is seen here.
    """
    journal = proxy.obj.journal
    if journal is None:
        return
    if what := what_is_cut(journal, noted=_count_noted()):
        yield Fault(0, How.JOURNAL_CUT, what)
    if key is None:
        return
    for one in lost_suppressions(key=key, size=size):
        own = (Evidence.subject == one.subject, Evidence.list == one.list)
        seq = Evidence.select(fn.MAX(Evidence.seq)).where(*own).scalar() or 0
        yield Fault(seq, How.SUPPRESSION_DELETED, f"{one.list}, line {one.line} of the journal")


def _count_noted() -> int:
    """Count the entries each of which came with a line of the journal that the database sealed.

    Those since the database was restored, or came from a version that sealed nothing, of which also
    a launch may have been under way.
    """
    row = Meta.get_or_none(Meta.key == JOURNAL_SEALED_SINCE)
    since = [Evidence.seq > int(row.value)] if row else []
    restored = Evidence.select().where(Evidence.event == "restored").order_by(Evidence.seq.desc())
    if last := restored.first():
        since += [Evidence.seq > last.seq, Evidence.at > last.at]
    events = ("removed",) if row else ("removed", "launched")
    count: int = Evidence.select().where(Evidence.event.in_(events), *since).count()
    return count
