"""The queue: finding mails that are due, and claiming them for one worker."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from peewee import SQL, fn

from repermit.clock import format_timestamp
from repermit.contacts import counts
from repermit.contacts.circuit_breaker import AFTER_PILOT
from repermit.db.connection import Database, is_postgresql, run_sql
from repermit.db.models.campaigns import Campaign
from repermit.db.models.lists import MailingList
from repermit.db.models.mails import Mail
from repermit.db.work_steps import StepSize
from repermit.rules.consent import CampaignState, Dropped, MailKind, MailState
from repermit.sending import expired_or_unwanted_mail, queued_mail, send_rate
from repermit.sending.expired_or_unwanted_mail import CampaignTerms
from repermit.sending.queued_mail import QueuedMail
from repermit.sending.send_rate import SendRates

LEASE = timedelta(minutes=5)
"""How long a claim is valid; then other workers may claim the mail, even if this one is alive."""


@dataclass(slots=True)
class Claim:
    """A mail that this worker has claimed, and the wording that it is composed from.

    `latest_start`: the latest time at which it may start.
    """

    mail: QueuedMail
    wording_id: int | None
    fingerprint: str
    latest_start: datetime
    lease_until: datetime
    has_been_tried: bool = False


@dataclass
class ClaimResult:
    """The result of claiming a batch of mails.

    - `claims`: the claimed mails, oldest first.
    - `dropped`: the numbers of dropped mails, each with the reason.
    - `wait_until`: when the rates allow more mails; None if they delay nothing.
    - `put_off_until`: when the first mail postponed for its domain is due again.
    """

    claims: list[Claim] = field(default_factory=list)
    dropped: list[tuple[int, Dropped]] = field(default_factory=list)
    wait_until: datetime | None = None
    put_off_until: datetime | None = None


def is_due(*, now: datetime, mailing_list: MailingList | None = None) -> bool:
    """Return whether any mail is due."""
    return any(query.exists() for query in _select_due(now, mailing_list))


def count_due(*, now: datetime, mailing_list: MailingList | None = None) -> int:
    """Return how many mails are due."""
    return sum(query.count() for query in _select_due(now, mailing_list))


def count_queued(*, mailing_list: MailingList | None) -> int:
    """Return how many mails are queued, due or not; from the stored counts, as it may be many."""
    mails = counts.count_mails(mailing_list)
    return counts.sum_mails(mails, lambda group: group.state is MailState.QUEUED)


def find_last_due_time(campaign: Campaign) -> datetime | None:
    """Return when the last of a campaign's queued asks is due, None if none has a due time."""
    is_ask = (Mail.campaign == campaign) & (Mail.kind == MailKind.ASK)
    asks = Mail.select(fn.MAX(Mail.due_at)).where(is_ask, IS_QUEUED, Mail.due_at < AFTER_PILOT)
    at: datetime | None = asks.scalar()
    return at


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
    """Claim a batch of due mails in one transaction, and drop those that must not be sent.

    - Mails that a reader requested, receipts and notices come first.
    - Campaigns follow in turn; `after`: the id of the campaign served last.
    - With rate limits, no more is claimed than may be sent.
    """
    with size.transaction(database) as max_mails:
        wait_until = send_rate.find_next_time(rates, now=now)
        if wait_until is not None:
            # Without a mail that is due there is nothing to wait for.
            if not is_due(now=now, mailing_list=mailing_list):
                wait_until = _find_retry_time(rates, mailing_list, now)
            return ClaimResult(wait_until=wait_until)
        due_mails = _read_due(database, now, mailing_list, rates.limit_candidates(max_mails), after)
        if not due_mails:
            return ClaimResult(wait_until=_find_retry_time(rates, mailing_list, now))
        check = expired_or_unwanted_mail.check_mails(
            database, due_mails, fingerprint_key=fingerprint_key, now=now
        )
        sendable = [mail for mail in due_mails if mail.id not in check.obstacles]
        result = ClaimResult(dropped=list(check.obstacles.items()))
        claimable, retry_times = send_rate.choose_sendable(database, rates, sendable, now=now)
        result.put_off_until = _limit_wait(retry_times.values(), now)
        mark_dropped(result.dropped)
        wordings = choose_wordings(database, claimable, check.terms)
        lease_until = now + LEASE
        _mark_claimed(database, claimable, wordings, worker=worker, lease_until=lease_until)
        result.claims = [
            Claim(
                mail,
                wordings.get(mail.id),
                check.fingerprints.get(mail.id, ""),
                check.latest_starts[mail.id],
                lease_until,
            )
            for mail in claimable
        ]
        if claimable:
            send_rate.reserve_time(rates, now=now)
    return result


def _find_retry_time(
    rates: SendRates, mailing_list: MailingList | None, now: datetime
) -> datetime | None:
    """Return when to look again for mails postponed for their domain; None if there are none."""
    if send_rate.bring_forward(rates, now=now):
        return now
    latest = send_rate.find_last_retry(rates, now=now)
    if latest is None:
        return None
    first_mails = (query.first() for query in _select_due(latest, mailing_list))
    return _limit_wait((mail.due_at for mail in first_mails if mail), now)


def _limit_wait(times: Iterable[datetime], now: datetime) -> datetime | None:
    """Return the earliest time, but at most a second ahead: a reader may request a mail."""
    earliest = min(times, default=None)
    return earliest and min(earliest, now + _MAX_WAIT)


_MAX_WAIT = timedelta(seconds=1)

# Written as SQL, so that SQLite uses the partial index for these mails.
IS_QUEUED: Any = Mail.state == SQL("'queued'")

_PERSONAL_KINDS = (MailKind.CONFIRM, MailKind.RECEIPT, MailKind.NOTICE)


def _select_due(now: datetime, mailing_list: MailingList | None) -> Iterator[Any]:
    """Yield queries for due mails in order of urgency, each with the oldest first."""
    for kind, campaign_id in _iter_due_groups(mailing_list):
        yield _select_group(kind, campaign_id, now=now, list_id=mailing_list and mailing_list.id)


def _iter_due_groups(
    mailing_list: MailingList | None, after: int = 0
) -> Iterator[tuple[MailKind, int | None]]:
    """Yield kinds of mails with a campaign id or None, in order of urgency."""
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
        # The same words as in the partial index, which is not used otherwise.
        conditions.append(SQL("kind IN ('confirm', 'receipt', 'notice')"))
    else:
        conditions.append(Mail.campaign == campaign_id)
    if list_id is not None:
        conditions.append(Mail.list == list_id)
    return Mail.select(Mail.id, Mail.due_at).where(*conditions).order_by(Mail.due_at, Mail.id)


def _read_due(
    database: Database, now: datetime, mailing_list: MailingList | None, max_mails: int, after: int
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
        values = [format_timestamp(now), kind, campaign_id, list_id, max_mails - len(mails)]
        parameters = [value for value in values if value is not None]
        mails += queued_mail.run_query(database, statement, *parameters)
        if len(mails) == max_mails:
            break
    return mails


@cache
def _make_due_sql(placeholder: str, *, of_campaign: bool, of_list: bool, skip_locked: bool) -> str:
    """Return the SQL of `_select_group` with a limit, cached: peewee takes long to build it."""
    value = SQL(placeholder)
    query = _select_group(
        value, value if of_campaign else None, now=value, list_id=value if of_list else None
    ).limit(value)
    if skip_locked:
        query = query.for_update(of=Mail, skip_locked=True)
    return queued_mail.make_sql(query)[0]


def mark_dropped(dropped: Iterable[tuple[int, Dropped]]) -> None:
    """Drop mails that must not be sent any more; `dropped`: their numbers with the reason."""
    for number, reason in dropped:
        Mail.update(state=MailState.DROPPED, reason=reason).where(Mail.id == number).execute()


def _mark_claimed(
    database: Database,
    mails: Sequence[QueuedMail],
    wordings: Mapping[int, int | None],
    *,
    worker: str,
    lease_until: datetime,
) -> None:
    groups = defaultdict(list)
    for mail in mails:
        groups[wordings.get(mail.id)].append(mail.id)
    for wording, ids in groups.items():
        statement = _CLAIM_SQL.format(placeholder=database.param, ids=", ".join(map(str, ids)))
        run_sql(database, statement, worker, format_timestamp(lease_until), wording)


_CLAIM_SQL = """\
UPDATE mail
SET state = 'claimed', worker = {placeholder}, lease_until = {placeholder},
    wording_id = {placeholder}
WHERE id IN ({ids})"""


# --- The frozen wording that a mail is composed from, by language and revision. -------------------


def choose_wordings(
    database: Database, mails: Iterable[QueuedMail], terms: Mapping[int, CampaignTerms]
) -> dict[int, int | None]:
    """Return the wording id of each ask and reminder by mail number, None if there is none.

    The newest revision in the contact's language, else the list's, else any. A mail that was
    started before keeps its wording, so that every attempt is the same mail.
    """
    newest = _read_newest_wordings(database, terms)
    chosen: dict[int, int | None] = {}
    for mail in mails:
        if not mail.is_asking:
            continue
        if mail.started_at is not None and mail.wording_id is not None:
            chosen[mail.id] = mail.wording_id
            continue
        group = (mail.campaign_id or 0, mail.kind)
        by_language = newest.get(group, {})
        chosen[mail.id] = by_language.get(mail.language) or _choose_fallback(
            by_language, terms[mail.campaign_id or 0].language
        )
    return chosen


def _choose_fallback(by_language: Mapping[str | None, int], default_language: str) -> int | None:
    return by_language.get(default_language) or next(iter(by_language.values()), None)


def _read_newest_wordings(
    database: Database, campaigns: Iterable[int]
) -> dict[tuple[int, str], dict[str | None, int]]:
    """Return the newest wordings by campaign and kind, and then by language."""
    wordings: dict[tuple[int, str], dict[str | None, int]] = {}
    for campaign_id, kind, language, number in run_sql(
        database, _SELECT_WORDINGS.format(ids=", ".join(map(str, campaigns)) or "NULL")
    ):
        wordings.setdefault((campaign_id, kind), {})[language] = number
    return wordings


_SELECT_WORDINGS = """\
SELECT campaign_id, kind, language, id FROM campaign_wording
WHERE campaign_id IN ({ids}) ORDER BY revision, id"""
