"""Whether the journal of suppressions is whole, and keeps nobody off whom the database does not.

May import models and this room's faults.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from peewee import fn

from repermit.evidence.faults import Fault, How
from repermit.models import Evidence, lost_suppressions, proxy, what_is_cut

if TYPE_CHECKING:
    from collections.abc import Iterator


def journal_findings(key: bytes | None, size: int) -> Iterator[Fault]:
    """Yield what the journal lacks, and whom it alone still knows; nothing without a journal.

    - `size`: octets that it had before the database was read as it is seen here.
    """
    journal = proxy.obj.journal
    if journal is None:
        return
    if what := what_is_cut(journal):
        yield Fault(0, How.JOURNAL_CUT, what)
    if key is None:
        return
    for one in lost_suppressions(key=key, size=size):
        own = (Evidence.subject == one.subject, Evidence.list == one.list)
        seq = Evidence.select(fn.MAX(Evidence.seq)).where(*own).scalar() or 0
        yield Fault(seq, How.SUPPRESSION_DELETED, f"{one.list}, line {one.line} of the journal")
