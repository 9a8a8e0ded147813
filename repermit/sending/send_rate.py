"""The rate limit of sending, reserved in the database so that it holds across processes.

Each scope (all mails, or one recipient domain) has a time before which none of its mails is
claimed. There are no bursts, so a rate holds over any period. A mail whose domain is not free is
postponed a little.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from peewee import SQL, fn

from repermit.clock import format_timestamp
from repermit.db.connection import Database, is_postgresql, lock_rows, run_sql
from repermit.db.models.mails import FreshLink, Mail, Pace
from repermit.rules.consent import MailKind
from repermit.sending.queued_mail import QueuedMail
from repermit.settings.definitions import MailServer

_GLOBAL_SCOPE = ""
_NO_INTERVAL = timedelta(0)
# With a rate per domain, so many mails are read for so many that may be sent now. More would stay
# in stock for long, and need another reservation each.
_MAX_CANDIDATES = 200
_MAX_DOMAINS = 16
# How long a mail may be postponed beyond its domain's next free time. Earlier mails may never be
# sent, as when their campaign is cancelled; a domain is then idle for so long at most.
_MAX_DELAY = timedelta(minutes=2)
_MAX_SKEW = timedelta(minutes=2)
"""How far the clocks of two processes may differ, so that the rate of both together holds."""


@dataclass(frozen=True)
class SendRates:
    """The minimum time between two mails, of all and of one recipient domain; zero: no limit."""

    interval: timedelta = _NO_INTERVAL
    domain_interval: timedelta = _NO_INTERVAL

    @classmethod
    def from_settings(cls, server: MailServer) -> SendRates:
        """Return the rates of the settings."""
        return cls(server.interval, server.domain_interval)

    @property
    def are_limits(self) -> bool:
        """Return whether there is any limit."""
        return bool(self.interval or self.domain_interval)

    def limit_candidates(self, requested: int) -> int:
        """Return how many due mails to read at once, of those requested."""
        if self.domain_interval:
            return _MAX_CANDIDATES
        return 1 if self.interval else requested

    @property
    def max_sendable(self) -> int:
        """Return how many mails may be sent at once, each to another domain."""
        return 1 if self.interval else _MAX_DOMAINS

    @property
    def retry_slot_count(self) -> int:
        """Return over how many future times of their domain postponed mails are spread."""
        return max(1, min(_MAX_CANDIDATES, _MAX_DELAY // self.domain_interval))


def find_next_time(rates: SendRates, *, now: datetime) -> datetime | None:
    """Return when the next mail may be claimed; None if now.

    Must be called inside a transaction, which then locks the scope.
    """
    if not rates.interval:
        return None
    Pace.insert(scope=_GLOBAL_SCOPE, next_at=now).on_conflict_ignore().execute()
    pace = lock_rows(Pace.select().where(Pace.scope == _GLOBAL_SCOPE)).get()
    next_at = _read_next_time(pace, rates.interval, now)
    return next_at if next_at > now else None


def _read_next_time(pace: Pace, interval: timedelta, now: datetime) -> datetime:
    """Return the next free time of a scope: `now` if a clock was ahead when it was reserved."""
    next_at: datetime = pace.next_at
    return now if next_at > now + interval + _MAX_SKEW else next_at


def reserve_time(rates: SendRates, *, now: datetime) -> None:
    """Reserve the time that `find_next_time` has returned, in the same transaction."""
    if rates.interval:
        Pace.update(next_at=now + rates.interval).where(Pace.scope == _GLOBAL_SCOPE).execute()


def renew_reservation(
    rates: SendRates, mail: QueuedMail, *, reserved_at: datetime, now: datetime
) -> bool:
    """Reserve the present for a mail that missed its time; return False if others are due first.

    `reserved_at`: the time reserved before. It may be moved as long as no later one is reserved.
    Must be called inside a transaction.
    """
    intervals = {_GLOBAL_SCOPE: rates.interval, _get_domain(mail): rates.domain_interval}
    scopes = [scope for scope, interval in intervals.items() if interval]
    query = lock_rows(Pace.select().where(Pace.scope.in_(scopes)).order_by(Pace.scope))
    paces = list(query)
    if any(now < pace.next_at != reserved_at + intervals[pace.scope] for pace in paces):
        return False
    for pace in paces:
        pace.next_at = now + intervals[pace.scope]
        pace.save()
    return True


def choose_sendable(
    database: Database, rates: SendRates, mails: Sequence[QueuedMail], *, now: datetime
) -> tuple[Sequence[QueuedMail], dict[int, datetime]]:
    """Return the mails that may be sent now, and when postponed ones are due, by number.

    With a rate per domain, the first few mails whose domain is free are reserved. The mails
    between them are postponed, the first of each domain to its next free time. Must be called
    inside a transaction.
    """
    if not rates.domain_interval:
        return mails, {}
    candidates = _cut_after_last_free(mails, rates, now)
    paces = _lock_paces({_get_domain(mail) for mail in candidates}, now)
    waiting: Counter[str] = Counter()
    sendable = []
    retry_times = {}
    for mail in candidates:
        pace = paces[_get_domain(mail)]
        pace.next_at = _read_next_time(pace, rates.domain_interval, now)
        if pace.next_at <= now:
            pace.next_at = now + rates.domain_interval
            sendable.append(mail)
            continue
        slot = waiting[pace.scope] % rates.retry_slot_count
        waiting[pace.scope] += 1
        retry_times[mail.id] = pace.next_at + rates.domain_interval * slot
    for pace in paces.values():
        pace.save()
    _postpone(database, retry_times)
    return sendable, retry_times


def _cut_after_last_free(
    mails: Sequence[QueuedMail], rates: SendRates, now: datetime
) -> Sequence[QueuedMail]:
    """Return the mails up to the last that may be sent now, so that no other domain is locked."""
    names = {_get_domain(mail) for mail in mails}
    longest = now + rates.domain_interval + _MAX_SKEW
    busy_domains = Pace.select(Pace.scope).where(
        Pace.scope.in_(names), Pace.next_at > now, Pace.next_at <= longest
    )
    free_domains = names - {pace.scope for pace in busy_domains}
    free_to_leave = len(free_domains) - rates.max_sendable
    for number, mail in enumerate(mails, 1):
        free_domains.discard(_get_domain(mail))
        if len(free_domains) <= free_to_leave:
            return mails[:number]
    return mails


def _postpone(database: Database, retry_times: Mapping[int, datetime]) -> None:
    if not retry_times:
        return
    row = f"({database.param}, {database.param})"
    due_at_sql = "CAST(later.due_at AS timestamptz)" if is_postgresql(database) else "later.due_at"
    statement = _POSTPONE_SQL.format(
        rows=", ".join([row] * len(retry_times)), due_at_sql=due_at_sql
    )
    values = [
        value
        for number, retry_at in retry_times.items()
        for value in (number, format_timestamp(retry_at))
    ]
    run_sql(database, statement, *values)


_POSTPONE_SQL = """\
WITH later (id, due_at) AS (VALUES {rows})
UPDATE mail SET due_at = {due_at_sql} FROM later WHERE mail.id = later.id"""


def find_last_retry(rates: SendRates, *, now: datetime) -> datetime | None:
    """Return the latest time to which `choose_sendable` may have postponed mails, None for none."""
    if not rates.domain_interval:
        return None
    latest: datetime | None = (
        Pace.select(fn.MAX(Pace.next_at)).where(Pace.scope != _GLOBAL_SCOPE).scalar()
    )
    return latest + _MAX_DELAY if latest and latest > now - _MAX_DELAY else None


def bring_forward(rates: SendRates, *, now: datetime) -> bool:
    """Make mails due that a clock that was ahead has postponed for their domain; say if it did.

    Must be called inside a transaction. These keep their time: mails that a server refused,
    receipts, and links that are due later since their address has had enough for a day.
    """
    if not rates.domain_interval:
        return False
    longest = now + rates.domain_interval + _MAX_SKEW
    is_wrong = (Pace.scope != _GLOBAL_SCOPE, Pace.next_at > longest)
    latest: datetime | None = Pace.select(fn.MAX(Pace.next_at)).where(*is_wrong).scalar()
    if latest is None:
        return False
    later_links = FreshLink.select(FreshLink.mail).where(FreshLink.at > now)
    Mail.update(due_at=now).where(
        # As in the partial index, which is not used otherwise.
        Mail.state == SQL("'queued'"),
        Mail.due_at.between(longest, latest + _MAX_DELAY),
        Mail.reply_code == 0,
        Mail.kind != MailKind.RECEIPT,
        Mail.id.not_in(later_links),
    ).execute()
    Pace.update(next_at=now).where(*is_wrong).execute()
    return True


def _lock_paces(domains: Iterable[str], now: datetime) -> dict[str, Pace]:
    names = sorted(domains)
    new_rows = [{"scope": name, "next_at": now} for name in names]
    Pace.insert_many(new_rows).on_conflict_ignore().execute()
    query = lock_rows(Pace.select().where(Pace.scope.in_(names)).order_by(Pace.scope))
    return {pace.scope: pace for pace in query}


def _get_domain(mail: QueuedMail) -> str:
    address = mail.recipient
    return "@" + address.rpartition("@")[2].lower()
