"""Taking mails from the queue: whoever claims one looks after it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from peewee import SQL

from repermit.db.connection import Database, is_postgresql, literal
from repermit.db.models.campaigns import Campaign
from repermit.db.models.lists import MailingList
from repermit.db.models.mails import Mail
from repermit.db.work_steps import StepSize
from repermit.rules.consent import CampaignState, Dropped, MailKind, MailState
from repermit.sending import queued_mail, send_rate
from repermit.sending.queued_mail import QueuedMail, wordings_of
from repermit.sending.send_rate import Rates

LEASE = timedelta(minutes=5)
"""How long a claim is left alone; after it the mail is claimed anew, also from a living worker."""


@dataclass(slots=True)
class Claim:
    """A mail that is this worker's, and the wording that it is made from.

    `last_moment` is until when it may start.
    """

    owed: QueuedMail
    wording_id: int | None
    fingerprint: str
    last_moment: datetime
    lease_until: datetime
    has_been_tried: bool = False


@dataclass
class Claimed:
    """What one claim gave, oldest first; `dropped` are numbers of mails with the reason.

    `wait_until` is when the rates allow more, None if it is not they that hold anything back;
    `put_off_until` is when the first of those is looked at again whose domain has to wait.
    """

    claims: list[Claim] = field(default_factory=list)
    dropped: list[tuple[int, Dropped]] = field(default_factory=list)
    wait_until: datetime | None = None
    put_off_until: datetime | None = None


def is_due(*, now: datetime, mailing_list: MailingList | None = None) -> bool:
    """Say whether there is a mail to send now."""
    return any(query.exists() for query in _due(now, mailing_list))


def count_due(*, now: datetime, mailing_list: MailingList | None = None) -> int:
    """Return how many mails there are to send now."""
    return sum(query.count() for query in _due(now, mailing_list))


def waiting(*, mailing_list: MailingList | None = None) -> int:
    """Return how many mails are queued, due or not."""
    return int(Mail.select().where(QUEUED, *_of(mailing_list)).count())


def claim(
    database: Database,
    *,
    worker: str,
    fingerprint_key: bytes,
    rates: Rates,
    now: datetime,
    size: StepSize,
    mailing_list: MailingList | None = None,
    after: int = 0,
) -> Claimed:
    """Take so many due mails in one transaction, and drop those that are not to be sent.

    Mails that somebody has just asked for go first. Campaigns come one after the other, beginning
    with the next one after that of the number `after`. With rates, no more is claimed than may
    leave.
    """
    with size.transaction(database) as most:
        wait_until = send_rate.next_moment(rates, now=now)
        if wait_until is not None:
            # Only what is due has to wait.
            if not is_due(now=now, mailing_list=mailing_list):
                wait_until = _when_put_off(rates, mailing_list, now)
            return Claimed(wait_until=wait_until)
        found = _take(database, now, mailing_list, rates.most_at_once(most), after)
        if not found:
            return Claimed(wait_until=_when_put_off(rates, mailing_list, now))
        terms = queued_mail.terms_of(found)
        fingerprints = queued_mail.fingerprints_of(found, fingerprint_key)
        suppressed = queued_mail.suppressed_among(found, fingerprints)
        claimed = Claimed()
        wanted = []
        last_moments = {}
        for one in found:
            last = last_moments[one.id] = queued_mail.last_moment(one, terms)
            why = queued_mail.obstacle(
                one, terms, is_suppressed=one.id in suppressed, until=last, now=now
            )
            if why is None:
                wanted.append(one)
            else:
                claimed.dropped.append((one.id, why))
        mine, later = send_rate.choose(database, rates, wanted, now=now)
        claimed.put_off_until = _soon(later.values(), now)
        _mark_dropped(claimed.dropped)
        wordings = wordings_of(mine, terms)
        until = now + LEASE
        _mark_claimed(mine, wordings, worker=worker, until=until)
        claimed.claims = [
            Claim(
                one,
                wordings.get(one.id),
                fingerprints.get(one.id, ""),
                last_moments[one.id],
                until,
            )
            for one in mine
        ]
        if mine:
            send_rate.reserve(rates, now=now)
    return claimed


def _when_put_off(rates: Rates, mailing_list: MailingList | None, now: datetime) -> datetime | None:
    """Return when to look again for mails whose domain has to be spared; None if there is none."""
    last = send_rate.reach(rates, now=now)
    if last is None:
        return None
    first = (query.first() for query in _due(last, mailing_list))
    return _soon((mail.due_at for mail in first if mail), now)


def _soon(moments: Iterable[datetime], now: datetime) -> datetime | None:
    """Return the first moment, or an earlier one: somebody may ask for a mail meanwhile."""
    first = min(moments, default=None)
    return first and min(first, now + _LOOK_AGAIN)


_LOOK_AGAIN = timedelta(seconds=1)

# Written out, so that SQLite uses the index for just these.
QUEUED: Any = Mail.state == SQL("'queued'")

_PERSONAL = (MailKind.CONFIRM, MailKind.RECEIPT, MailKind.NOTICE)


def _due(now: datetime, mailing_list: MailingList | None, after: int = 0) -> Iterator[Any]:
    """Yield queries for what is due, each the oldest first, in the order of their urgency."""
    due = (QUEUED, Mail.due_at <= now, *_of(mailing_list))
    query = Mail.select(Mail.id, Mail.due_at).order_by(Mail.due_at, Mail.id)
    for kind in _PERSONAL:
        # Which kinds these are is said in the words of their index, without which it is not used.
        own = SQL("kind IN ('confirm', 'receipt', 'notice')")
        yield query.where(*due, own, Mail.kind == kind)
    live = Campaign.select(Campaign.id, Campaign.state).where(
        Campaign.state.in_((CampaignState.SENDING, CampaignState.OPEN)),
        *(() if mailing_list is None else (Campaign.list == mailing_list,)),
    )
    for campaign in sorted(live, key=lambda one: (one.id <= after, one.id)):
        if campaign.state == CampaignState.SENDING:
            yield query.where(*due, Mail.kind == MailKind.ASK, Mail.campaign == campaign)
        yield query.where(*due, Mail.kind == MailKind.REMINDER, Mail.campaign == campaign)


def _of(mailing_list: MailingList | None) -> tuple[Any, ...]:
    return () if mailing_list is None else (Mail.list == mailing_list,)


def _take(
    database: Database, now: datetime, mailing_list: MailingList | None, most: int, after: int
) -> list[QueuedMail]:
    """Return due mails that no other worker is claiming right now.

    On SQLite the transaction holds the one write lock already.
    """
    found: list[QueuedMail] = []
    for query in _due(now, mailing_list, after):
        some = query.limit(most - len(found))
        if is_postgresql(database):
            some = some.for_update(of=Mail, skip_locked=True)
        found += queued_mail.read_whole(database, some)
        if len(found) == most:
            break
    return found


def _mark_dropped(dropped: Sequence[tuple[int, Dropped]]) -> None:
    for number, why in dropped:
        Mail.update(state=MailState.DROPPED, reason=why).where(Mail.id == number).execute()


def _mark_claimed(
    owed: Sequence[QueuedMail], wordings: Mapping[int, int | None], *, worker: str, until: datetime
) -> None:
    groups = defaultdict(list)
    for one in owed:
        groups[wordings.get(one.id)].append(one.id)
    for wording, ids in groups.items():
        Mail.update(
            state=MailState.CLAIMED, worker=worker, lease_until=until, wording=wording
        ).where(Mail.id.in_(literal(ids))).execute()
