"""How fast mails may leave: reserved in the database, so that it holds across processes.

Each scope has one moment before which nothing of it is claimed; there are no bursts, so a rate
holds over any stretch of time. A mail whose domain is not free is looked at again a little later:
nothing stands in line for longer than that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from peewee import fn

from repermit.clock import format_timestamp
from repermit.db.connection import Database, is_postgresql, lock_rows, run_sql
from repermit.db.models.mails import Pace
from repermit.sending.queued_mail import QueuedMail
from repermit.settings.definitions import MailServer

_GLOBAL_SCOPE = ""
_NO_INTERVAL = timedelta(0)
# With a rate of domains, so many mails are looked at for so many that may leave now. More would lie
# in stock for long, and have to be given another moment each.
_MAX_CANDIDATES = 200
_MAX_DOMAINS = 16
# The longest that a mail is put off beyond its domain's next moment. Those before it may never
# leave, as when their campaign is cancelled, and so long at most a domain may then be idle.
_LONGEST_DELAY = timedelta(minutes=2)


@dataclass(frozen=True)
class SendRates:
    """The least time between two mails, of all and of one recipient domain; zero for no limit."""

    interval: timedelta = _NO_INTERVAL
    domain_interval: timedelta = _NO_INTERVAL

    @classmethod
    def from_settings(cls, server: MailServer) -> SendRates:
        """Return the rates of the settings."""
        return cls(server.interval, server.domain_interval)

    @property
    def are_limits(self) -> bool:
        """Say whether anything is held back."""
        return bool(self.interval or self.domain_interval)

    def most_at_once(self, requested: int) -> int:
        """Return among how many mails to choose at once."""
        if self.domain_interval:
            return _MAX_CANDIDATES
        return 1 if self.interval else requested

    @property
    def stock(self) -> int:
        """Return how many may leave at once, each to another domain."""
        return 1 if self.interval else _MAX_DOMAINS

    @property
    def places(self) -> int:
        """Return over how many moments of their domain those who wait are spread."""
        return max(1, min(_MAX_CANDIDATES, _LONGEST_DELAY // self.domain_interval))


def find_next_time(rates: SendRates, *, now: datetime) -> datetime | None:
    """Return from when on the next mail may be claimed, None if that is now.

    Must be called inside a transaction, which then holds the scope.
    """
    if not rates.interval:
        return None
    Pace.insert(scope=_GLOBAL_SCOPE, next_at=now).on_conflict_ignore().execute()
    pace = lock_rows(Pace.select().where(Pace.scope == _GLOBAL_SCOPE)).get()
    moment: datetime = pace.next_at
    return moment if moment > now else None


def reserve_time(rates: SendRates, *, now: datetime) -> None:
    """Reserve the time that `find_next_time` has returned, in the same transaction."""
    if rates.interval:
        Pace.update(next_at=now + rates.interval).where(Pace.scope == _GLOBAL_SCOPE).execute()


def renew_reservation(
    rates: SendRates, mail: QueuedMail, *, reserved_at: datetime, now: datetime
) -> bool:
    """Take this moment for a mail that has missed its own; False if others have to go first.

    `reserved_at` is the moment that it was given. It may be moved, as long as nobody has taken the
    one after it. In one transaction.
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
    """Return which mails may leave now, and when others are looked at again, by number.

    With a rate of domains it is the first few whose domain is free, for which the moment is
    reserved; those between them are put off, the first of each domain to its next moment. In one
    transaction.
    """
    if not rates.domain_interval:
        return mails, {}
    candidates = _cut_after_last_free(mails, rates, now)
    paces = _lock_paces({_get_domain(mail) for mail in candidates}, now)
    waiting: Counter[str] = Counter()
    sendable = []
    later = {}
    for mail in candidates:
        pace = paces[_get_domain(mail)]
        if pace.next_at <= now:
            pace.next_at = now + rates.domain_interval
            sendable.append(mail)
            continue
        place = waiting[pace.scope] % rates.places
        waiting[pace.scope] += 1
        later[mail.id] = pace.next_at + rates.domain_interval * place
    for pace in paces.values():
        pace.save()
    _postpone(database, later)
    return sendable, later


def _cut_after_last_free(
    mails: Sequence[QueuedMail], rates: SendRates, now: datetime
) -> Sequence[QueuedMail]:
    """Return the mails up to the last that may leave now, so that no other domain is locked."""
    names = {_get_domain(mail) for mail in mails}
    busy = Pace.select(Pace.scope).where(Pace.scope.in_(names), Pace.next_at > now)
    free = names - {pace.scope for pace in busy}
    most = len(free) - rates.stock
    for number, mail in enumerate(mails, 1):
        free.discard(_get_domain(mail))
        if len(free) <= most:
            return mails[:number]
    return mails


def _postpone(database: Database, later: Mapping[int, datetime]) -> None:
    if not later:
        return
    row = f"({database.param}, {database.param})"
    moment = "CAST(later.due_at AS timestamptz)" if is_postgresql(database) else "later.due_at"
    statement = _POSTPONE_SQL.format(rows=", ".join([row] * len(later)), moment=moment)
    values = [value for number, at in later.items() for value in (number, format_timestamp(at))]
    run_sql(database, statement, *values)


_POSTPONE_SQL = """\
WITH later (id, due_at) AS (VALUES {rows})
UPDATE mail SET due_at = {moment} FROM later WHERE mail.id = later.id"""


def find_last_retry(rates: SendRates, *, now: datetime) -> datetime | None:
    """Return until when mails may be due that `choose_sendable` has put off, None for none."""
    if not rates.domain_interval:
        return None
    last: datetime | None = (
        Pace.select(fn.MAX(Pace.next_at)).where(Pace.scope != _GLOBAL_SCOPE).scalar()
    )
    return last + _LONGEST_DELAY if last and last > now - _LONGEST_DELAY else None


def _lock_paces(domains: Iterable[str], now: datetime) -> dict[str, Pace]:
    names = sorted(domains)
    fresh = [{"scope": name, "next_at": now} for name in names]
    Pace.insert_many(fresh).on_conflict_ignore().execute()
    query = lock_rows(Pace.select().where(Pace.scope.in_(names)).order_by(Pace.scope))
    return {pace.scope: pace for pace in query}


def _get_domain(mail: QueuedMail) -> str:
    address = mail.recipient
    return "@" + address.rpartition("@")[2].lower()
