"""Erasing contacts some days after their removal, so that they can be removed elsewhere first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from functools import partial
from itertools import accumulate, takewhile
from typing import Any

from peewee import SQL, fn

from repermit.contacts import counts as contacts_counts
from repermit.contacts import erasure
from repermit.contacts.status_changes import Act
from repermit.db.connection import Database, lock_rows, make_id_list, make_value_list
from repermit.db.models.campaigns import Campaign
from repermit.db.models.contacts import Contact
from repermit.db.models.evidence import Evidence
from repermit.db.models.lists import MailingList
from repermit.db.work_steps import MAX_ROWS_PER_STEP, StepSize, run_counted_steps
from repermit.rules.consent import LIVE_STATES, Status
from repermit.settings.definitions import Settings

_MAX_LATER = 10_000

_MAX_ENTRIES_PER_STEP = 1_000
"""The evidence entries of a step's contacts at most, unless one contact has more.

Contacts usually have few; erasing an entry's personal parts takes some 30 µs.
"""

HAND_OVER = timedelta(days=7)
"""The time after a campaign's closing in which none of its contacts is erased.

So all its removals can be handed over at once. Shorter if `removed_days` is.
"""


@dataclass(frozen=True, kw_only=True)
class DueCounts:
    """The number of a list's contacts that wait to be erased.

    - `waiting`: all of them.
    - `first`: those that are erased by the end of the day of `first_at`, unless a campaign is
      extended or waits; 0 and None if nobody waits.
    """

    waiting: int
    first: int
    first_at: datetime | None


def erase_due(
    database: Database,
    *,
    settings: Settings,
    now: datetime,
    chunk: int = MAX_ROWS_PER_STEP,
    should_stop: Callable[[], bool] = lambda: False,
) -> int:
    """Erase the contacts removed at least `removed_days` ago; return how many.

    Runs in transactions of at most `chunk` contacts each. Safe to run twice at once. A contact
    that was removed since the launch of a campaign of its list waits until HAND_OVER after the
    campaign's end.
    """
    erased = 0
    for mailing_list in list(MailingList.select().order_by(MailingList.id)):
        latest = _find_latest_removal(mailing_list, settings, now)
        # Nothing is locked where nobody is due, as almost always.
        if _select_due(mailing_list, latest).exists():
            step = partial(_erase_step, mailing_list, latest, settings, now)
            size = StepSize(max_rows=chunk)
            erased += run_counted_steps(database, step, should_stop=should_stop, size=size)
    return erased


def count_due(
    mailing_list: MailingList, *, settings: Settings, now: datetime, few: int = _MAX_LATER
) -> DueCounts:
    """Return the numbers of removed contacts to be erased, and the next time.

    Constant time, unless more than `few` contacts wait for a later day.
    """
    oldest = _select_waiting(mailing_list).order_by(Contact.status_at, Contact.id).first()
    if oldest is None:
        return DueCounts(waiting=0, first=0, first_at=None)
    first_at = max(find_due_time(mailing_list, oldest.status_at, settings, now), now)
    midnight = datetime.combine(
        first_at.astimezone(settings.zone).date() + timedelta(days=1), time(), settings.zone
    )
    latest = _find_latest_removal(mailing_list, settings, midnight, today=now)
    later = _select_waiting(mailing_list).where(Contact.status_at > latest).limit(few + 1).count()
    waiting = _count_waiting(mailing_list)
    # A count of the first day's contacts would read nearly all of a campaign that has just closed.
    first = (
        waiting - later
        if later <= few
        else _select_waiting(mailing_list).where(Contact.status_at <= latest).count()
    )
    return DueCounts(waiting=waiting, first=first, first_at=first_at)


def _count_waiting(mailing_list: MailingList) -> int:
    """Count the removed contacts that are not erased, from stored counts."""
    counts = contacts_counts.count_contacts(mailing_list)
    removed = sum(count for (status, _), count in counts.items() if status is Status.REMOVED)
    return removed - contacts_counts.count_erased(mailing_list)


def _erase_step(
    mailing_list: MailingList, latest: datetime, settings: Settings, now: datetime, limit: int
) -> tuple[bool, int]:
    """Erase at most `limit` contacts in the caller's transaction.

    Returns whether any were due, and the number erased.
    """
    oldest = _select_due(mailing_list, latest).order_by(Contact.status_at, Contact.id).limit(limit)
    ids = _limit_entries(oldest.select(Contact.id, Contact.subject).tuples())
    if not ids:
        return False, 0
    still_due = Contact.select().where(
        Contact.id.in_(make_id_list(ids)),
        Contact.status == Status.REMOVED,
        Contact.erased_at.is_null(),
    )
    # Another sweep, or the person, may have been quicker.
    locked = list(lock_rows(still_due.order_by(Contact.id)))
    if locked:
        act = Act(at=now, actor="job")
        erasure.erase_contacts(locked, act=act, fingerprint_key=settings.fingerprint_key)
    return True, len(locked)


def _limit_entries(rows: Iterable[tuple[int, str]]) -> list[int]:
    """Return the first ids whose evidence one step may erase; at least one, if there are any.

    - `rows`: (id, subject) of each contact.
    """
    subject_by_id = dict(rows)
    counts: Any = (
        Evidence.select(Evidence.subject, fn.COUNT(Evidence.seq))
        .where(Evidence.subject.in_(make_value_list(subject_by_id.values())))
        .group_by(Evidence.subject)
        .tuples()
    )
    count_by_subject = dict(counts)
    totals = accumulate(count_by_subject.get(subject, 0) for subject in subject_by_id.values())
    fitting = sum(1 for _ in takewhile(lambda total: total <= _MAX_ENTRIES_PER_STEP, totals))
    return list(subject_by_id)[: max(fitting, 1)]


def _select_due(mailing_list: MailingList, latest: datetime) -> Any:
    return _select_waiting(mailing_list).select(Contact.id).where(Contact.status_at <= latest)


def _select_waiting(mailing_list: MailingList) -> Any:
    # Written out, so that the index for just these is used.
    return Contact.select().where(
        Contact.list == mailing_list, SQL("status = 'removed'"), Contact.erased_at.is_null()
    )


def _find_latest_removal(
    mailing_list: MailingList, settings: Settings, at: datetime, *, today: datetime | None = None
) -> datetime:
    """Return the latest removal time of contacts that may be erased at a time.

    - `today`: the time for which live campaigns are judged, if earlier than `at`.
    """
    latest: datetime = at - timedelta(days=settings.retention.removed_days)
    unfinished_launches = [
        begin for begin, end in _select_campaigns(mailing_list, settings, today or at) if end > at
    ]
    just_before = [begin - timedelta(microseconds=1) for begin in unfinished_launches]
    return min([latest, *just_before])


def find_due_time(
    mailing_list: MailingList, removed_at: datetime, settings: Settings, now: datetime
) -> datetime:
    """Return when a removed contact is to be erased, as far as this is known now."""
    ends = [
        end for begin, end in _select_campaigns(mailing_list, settings, now) if begin <= removed_at
    ]
    usual: datetime = removed_at + timedelta(days=settings.retention.removed_days)
    return max([usual, *ends])


def _select_campaigns(
    mailing_list: MailingList, settings: Settings, now: datetime
) -> Iterator[tuple[datetime, datetime]]:
    """Yield a list's campaigns as (launch, end of the wait for contacts removed since then).

    A live campaign ends at its deadline at the earliest, and not yet once that has passed.
    """
    rest = min(HAND_OVER, timedelta(days=settings.retention.removed_days))
    query = Campaign.select().where(Campaign.list == mailing_list)
    for campaign in query:
        if campaign.state in LIVE_STATES:
            still_to_come = now + timedelta(microseconds=1)
            yield campaign.launched_at, max(campaign.deadline, still_to_come) + rest
        elif campaign.closed_at is not None:
            yield campaign.launched_at, campaign.closed_at + rest
