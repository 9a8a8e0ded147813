"""Which queued mails may leave now: those that are due are claimed, for one worker each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from peewee import SQL

from repermit.clock import format_timestamp
from repermit.db.connection import Database, is_postgresql, run_sql
from repermit.db.models.campaigns import Campaign
from repermit.db.models.lists import MailingList
from repermit.db.models.mails import Mail
from repermit.db.work_steps import StepSize
from repermit.rules.consent import CampaignState, Dropped, MailKind, MailState
from repermit.sending import expired_or_unwanted_mail, queued_mail, send_rate
from repermit.sending.queued_mail import QueuedMail
from repermit.sending.send_rate import SendRates
from repermit.sending.wording_for_mail import choose_wordings

LEASE = timedelta(minutes=5)
"""How long a claim is left alone; after it the mail is claimed anew, also from a living worker."""


@dataclass(slots=True)
class Claim:
    """A mail that this worker has claimed, and the wording that it is made from.

    `last_moment` is until when it may start.
    """

    mail: QueuedMail
    wording_id: int | None
    fingerprint: str
    last_moment: datetime
    lease_until: datetime
    has_been_tried: bool = False


@dataclass
class ClaimResult:
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
    return any(query.exists() for query in _select_due(now, mailing_list))


def count_due(*, now: datetime, mailing_list: MailingList | None = None) -> int:
    """Return how many mails there are to send now."""
    return sum(query.count() for query in _select_due(now, mailing_list))


def count_queued(*, mailing_list: MailingList | None = None) -> int:
    """Return how many mails are queued, due or not."""
    return int(Mail.select().where(IS_QUEUED, *_make_list_condition(mailing_list)).count())


def claim_mails(
    database: Database,
    *,
    worker: str,
    fingerprint_key: bytes,
    rates: SendRates,
    now: datetime,
    size: StepSize,
    mailing_list: MailingList | None = None,
    after: int = 0,
) -> ClaimResult:
    """Take so many due mails in one transaction, and drop those that are not to be sent.

    Mails that somebody has just asked for go first. Campaigns come one after the other, beginning
    with the next one after that of the number `after`. With rates, no more is claimed than may
    leave.
    """
    with size.transaction(database) as most:
        wait_until = send_rate.find_next_time(rates, now=now)
        if wait_until is not None:
            # Only what is due has to wait.
            if not is_due(now=now, mailing_list=mailing_list):
                wait_until = _find_retry_time(rates, mailing_list, now)
            return ClaimResult(wait_until=wait_until)
        due_mails = _read_due(database, now, mailing_list, rates.most_at_once(most), after)
        if not due_mails:
            return ClaimResult(wait_until=_find_retry_time(rates, mailing_list, now))
        check = expired_or_unwanted_mail.check_mails(
            database, due_mails, fingerprint_key=fingerprint_key, now=now
        )
        sendable = [mail for mail in due_mails if mail.id not in check.obstacles]
        claimed = ClaimResult(dropped=list(check.obstacles.items()))
        claimable, later = send_rate.choose_sendable(database, rates, sendable, now=now)
        claimed.put_off_until = _limit_wait(later.values(), now)
        mark_dropped(claimed.dropped)
        wordings = choose_wordings(database, claimable, check.terms)
        until = now + LEASE
        _mark_claimed(database, claimable, wordings, worker=worker, until=until)
        claimed.claims = [
            Claim(
                mail,
                wordings.get(mail.id),
                check.fingerprints.get(mail.id, ""),
                check.last_moments[mail.id],
                until,
            )
            for mail in claimable
        ]
        if claimable:
            send_rate.reserve_time(rates, now=now)
    return claimed


def _find_retry_time(
    rates: SendRates, mailing_list: MailingList | None, now: datetime
) -> datetime | None:
    """Return when to look again for mails whose domain has to be spared; None if there is none."""
    last = send_rate.find_last_retry(rates, now=now)
    if last is None:
        return None
    first = (query.first() for query in _select_due(last, mailing_list))
    return _limit_wait((mail.due_at for mail in first if mail), now)


def _limit_wait(moments: Iterable[datetime], now: datetime) -> datetime | None:
    """Return the first moment, or an earlier one: somebody may ask for a mail meanwhile."""
    first = min(moments, default=None)
    return first and min(first, now + _LONGEST_WAIT)


_LONGEST_WAIT = timedelta(seconds=1)

# Written out, so that SQLite uses the index for just these.
IS_QUEUED: Any = Mail.state == SQL("'queued'")

_PERSONAL_KINDS = (MailKind.CONFIRM, MailKind.RECEIPT, MailKind.NOTICE)


def _select_due(now: datetime, mailing_list: MailingList | None) -> Iterator[Any]:
    """Yield queries for what is due, each the oldest first, in the order of their urgency."""
    for kind, campaign_id in _iter_due_groups(mailing_list):
        yield _select_group(kind, campaign_id, now=now, list_id=mailing_list and mailing_list.id)


def _iter_due_groups(
    mailing_list: MailingList | None, after: int = 0
) -> Iterator[tuple[MailKind, int | None]]:
    """Yield kinds of mails, each with a campaign or None, in the order of their urgency."""
    for kind in _PERSONAL_KINDS:
        yield kind, None
    live = Campaign.select(Campaign.id, Campaign.state).where(
        Campaign.state.in_((CampaignState.SENDING, CampaignState.OPEN)),
        *(() if mailing_list is None else (Campaign.list == mailing_list,)),
    )
    for campaign in sorted(
        live, key=lambda campaign_row: (campaign_row.id <= after, campaign_row.id)
    ):
        if campaign.state == CampaignState.SENDING:
            yield MailKind.ASK, campaign.id
        yield MailKind.REMINDER, campaign.id


def _select_group(kind: Any, campaign_id: Any, *, now: Any, list_id: Any) -> Any:
    """Return the query for one kind's due mails; each value may be a placeholder in SQL.

    `campaign_id` is None for the kinds that have none, `list_id` None for all lists.
    """
    conditions = [IS_QUEUED, Mail.due_at <= now, Mail.kind == kind]
    if campaign_id is None:
        # Which kinds these are is said in the words of their index, without which it is not used.
        conditions.append(SQL("kind IN ('confirm', 'receipt', 'notice')"))
    else:
        conditions.append(Mail.campaign == campaign_id)
    if list_id is not None:
        conditions.append(Mail.list == list_id)
    return Mail.select(Mail.id, Mail.due_at).where(*conditions).order_by(Mail.due_at, Mail.id)


def _make_list_condition(mailing_list: MailingList | None) -> tuple[Any, ...]:
    return () if mailing_list is None else (Mail.list == mailing_list,)


def _read_due(
    database: Database, now: datetime, mailing_list: MailingList | None, most: int, after: int
) -> list[QueuedMail]:
    """Return due mails that no other worker is claiming right now.

    On SQLite the transaction holds the one write lock already.
    """
    mails: list[QueuedMail] = []
    list_id = None if mailing_list is None else mailing_list.id
    for kind, campaign_id in _iter_due_groups(mailing_list, after):
        statement = _make_due_sql(
            database.param,
            of_campaign=campaign_id is not None,
            of_list=list_id is not None,
            skip_locked=is_postgresql(database),
        )
        values = [format_timestamp(now), kind, campaign_id, list_id, most - len(mails)]
        given = [value for value in values if value is not None]
        mails += queued_mail.run_query(database, statement, *given)
        if len(mails) == most:
            break
    return mails


@cache
def _make_due_sql(placeholder: str, *, of_campaign: bool, of_list: bool, skip_locked: bool) -> str:
    """Return the SQL of `_select_group` with a limit, made once: peewee takes long to write it."""
    value = SQL(placeholder)
    query = _select_group(
        value, value if of_campaign else None, now=value, list_id=value if of_list else None
    ).limit(value)
    if skip_locked:
        query = query.for_update(of=Mail, skip_locked=True)
    return queued_mail.make_sql(query)[0]


def mark_dropped(dropped: Iterable[tuple[int, Dropped]]) -> None:
    """Drop mails that are not to be sent any more; `dropped` are their numbers with the reason."""
    for number, reason in dropped:
        Mail.update(state=MailState.DROPPED, reason=reason).where(Mail.id == number).execute()


def _mark_claimed(
    database: Database,
    mails: Sequence[QueuedMail],
    wordings: Mapping[int, int | None],
    *,
    worker: str,
    until: datetime,
) -> None:
    groups = defaultdict(list)
    for mail in mails:
        groups[wordings.get(mail.id)].append(mail.id)
    for wording, ids in groups.items():
        statement = _CLAIM_SQL.format(sign=database.param, ids=", ".join(map(str, ids)))
        run_sql(database, statement, worker, format_timestamp(until), wording)


_CLAIM_SQL = """\
UPDATE mail SET state = 'claimed', worker = {sign}, lease_until = {sign}, wording_id = {sign}
WHERE id IN ({ids})"""
