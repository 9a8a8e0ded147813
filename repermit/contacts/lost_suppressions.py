"""Putting back the suppressions that the journal knows and the database does not any more.

May import evidence, models and what lies below.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

from repermit import evidence
from repermit.contacts.suppressing import Suppressed, suppress
from repermit.evidence import Entry
from repermit.models import (
    Contact,
    find_list,
    literal,
    lost_suppressions,
    run_steps,
    seal_journal,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from repermit.config import Settings
    from repermit.models import Database, LostSuppression


def put_back_suppressions(database: Database, *, settings: Settings, now: datetime) -> int:
    """Keep off again whom the journal alone still knows; return how many.

    Each list's entry of the evidence says how many. The journal is sealed as it is.
    """
    if database.journal is None:
        return 0
    lost = lost_suppressions(key=settings.fingerprint_key)
    held = _held({one.subject for one in lost}) if lost else {}
    rest = list(lost)

    def step(limit: int) -> bool:
        some, rest[:limit] = rest[:limit], []
        ids = literal(held[one.subject] for one in some if one.subject in held)
        Contact.update(has_predecessor=True).where(Contact.id.in_(ids)).execute()
        _put_back(some, now)
        return bool(rest)

    if lost:
        run_steps(database, step)
    seal = partial(seal_journal, database.journal, database.journal.try_out())
    # All lines are new to a database that was upgraded or restored.
    run_steps(database, lambda limit: seal(most=limit))
    return len(lost)


def _held(subjects: Collection[str]) -> dict[str, int]:
    """Return the contacts of these subjects, who may be held under another address."""
    own: Any = Contact.select(Contact.subject, Contact.id).where(Contact.erased_at.is_null())
    rows = own.tuples().iterator()
    return {subject: number for subject, number in rows if subject in subjects}


def _put_back(lost: Sequence[LostSuppression], now: datetime) -> None:
    counts = Counter(one.list for one in lost)
    for slug in sorted(counts):
        these = [
            Suppressed(
                fingerprint=one.fingerprint,
                subject=one.subject,
                reason=one.reason,
                at=one.at,
                has_moved=one.has_moved,
            )
            for one in lost
            if one.list == slug
        ]
        suppress(find_list(slug), these)
    evidence.append(
        *(
            Entry(
                event="suppressions_put_back",
                at=now,
                actor="job",
                list=slug,
                consent={"rows": count},
            )
            for slug, count in sorted(counts.items())
        )
    )
