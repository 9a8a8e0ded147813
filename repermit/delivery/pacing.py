"""How fast mails may leave: reserved in the database, so that it holds across processes.

May import models and what lies below. Each scope has one moment before which nothing of it is
claimed; there are no bursts, so a rate holds over any stretch of time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from repermit.models import Mail, Pace, lock_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from repermit.config import MailServer
    from repermit.delivery.owed import Owed

_EVERYTHING = ""
_NONE = timedelta(0)


@dataclass(frozen=True)
class Rates:
    """The least time between two mails, of all and of one recipient domain; zero for no limit."""

    interval: timedelta = _NONE
    domain_interval: timedelta = _NONE

    @classmethod
    def of(cls, server: MailServer) -> Rates:
        """Return the rates of the settings."""
        return cls(server.interval, server.domain_interval)

    def most_at_once(self, wanted: int) -> int:
        """Return how many mails to claim at once; with a limit one, as its moment comes."""
        return 1 if self.interval else wanted


def next_moment(rates: Rates, *, now: datetime) -> datetime | None:
    """Return from when on the next mail may be claimed, None if that is now.

    Must be called inside a transaction, which then holds the scope.
    """
    if not rates.interval:
        return None
    Pace.insert(scope=_EVERYTHING, next_at=now, tail_at=now).on_conflict_ignore().execute()
    pace = lock_rows(Pace.select().where(Pace.scope == _EVERYTHING)).get()
    moment: datetime = pace.next_at
    return moment if moment > now else None


def reserve(rates: Rates, *, now: datetime) -> None:
    """Take the moment that `next_moment` has given, in the same transaction."""
    if rates.interval:
        Pace.update(next_at=now + rates.interval).where(Pace.scope == _EVERYTHING).execute()


def hold_back_domains(rates: Rates, owed: Sequence[Owed], *, now: datetime) -> dict[int, datetime]:
    """Reserve a moment of its domain for each mail, and put off those that have to wait.

    Returns when the mails that were put off are looked at again, by number. In one transaction.
    """
    if not rates.domain_interval:
        return {}
    paces = _locked({_domain(one) for one in owed}, now)
    later = {}
    for one in owed:
        pace = paces[_domain(one)]
        if pace.next_at <= now:
            pace.next_at = now + rates.domain_interval
        else:
            # One after the other behind those that wait already; whether its domain is free then
            # is looked at again.
            pace.tail_at = max(pace.tail_at + rates.domain_interval, pace.next_at)
            later[one.id] = pace.tail_at
    for pace in paces.values():
        pace.save()
    for number, moment in later.items():
        Mail.update(due_at=moment).where(Mail.id == number).execute()
    return later


def put_off_until(rates: Rates) -> datetime | None:
    """Return the last moment that `hold_back_domains` has put a mail off to, None for none."""
    if not rates.domain_interval:
        return None
    last = Pace.select().where(Pace.scope != _EVERYTHING).order_by(Pace.tail_at.desc()).first()
    return last.tail_at if last else None


def _locked(domains: Iterable[str], now: datetime) -> dict[str, Pace]:
    names = sorted(domains)
    fresh = [{"scope": name, "next_at": now, "tail_at": now} for name in names]
    Pace.insert_many(fresh).on_conflict_ignore().execute()
    query = lock_rows(Pace.select().where(Pace.scope.in_(names)).order_by(Pace.scope))
    return {pace.scope: pace for pace in query}


def _domain(owed: Owed) -> str:
    address = owed.address_key or owed.sign_up_address or ""
    return "@" + address.rpartition("@")[2].lower()
