"""The audit log: admin acts, access to personal data, and security events.

The `person` part of the evidence is never read here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import Any, TypedDict, Unpack

from peewee import fn

from repermit.accounts import login_throttle, sessions, two_factor, users
from repermit.db.connection import Database
from repermit.db.models.accounts import Access, Invitation, SecurityEvent, Session, Throttle
from repermit.db.models.evidence import Evidence, EvidenceHead
from repermit.db.models.lists import MailingList
from repermit.db.secure_delete import delete_in_steps
from repermit.evidence.chain_reader import read_consents
from repermit.settings.definitions import Settings

# --- Access to personal data. ---------------------------------------------------------------------


def record_access(
    *,
    now: datetime,
    actor: str,
    act: str,
    mailing_list: MailingList | None = None,
    subject: str = "",
) -> None:
    """Record an access to personal data, in the caller's transaction.

    It is no evidence entry: it changes nothing, and is deleted after `retention.access_days`.

    - `act`: one word such as "searched" or "exported".
    - `subject`: the contact's, "" for an access to many contacts.
    """
    slug = mailing_list.slug if mailing_list else ""
    Access.insert(at=now, actor=actor, act=act, list=slug, subject=subject).execute()


# --- Security events: refused logins, forms and tokens. -------------------------------------------


_logger = logging.getLogger(__name__)


class SecurityEventKind(StrEnum):
    """What happened (OWASP ASVS 5.0 V16.3.1 to V16.3.3)."""

    LOGIN_FAILED = "login_failed"
    CODE_FAILED = "code_failed"
    UNLOCK_FAILED = "unlock_failed"
    UNLOCKED = "unlocked"
    PASSWORD_FAILED = "password_failed"  # noqa: S105  a name, no password
    INVITATION_REFUSED = "invitation_refused"
    TOO_MANY_TRIES = "too_many_tries"
    PAGE_REFUSED = "page_refused"
    FORM_REFUSED = "form_refused"
    TOKEN_REFUSED = "token_refused"  # noqa: S105


# Events that a client without an account, or one that must wait, can cause at any rate: recorded
# once a minute. All other kinds are slowed down by `login_throttle`.
_RATE_LIMITED_KINDS = frozenset(
    {
        SecurityEventKind.INVITATION_REFUSED,
        SecurityEventKind.TOO_MANY_TRIES,
        SecurityEventKind.PAGE_REFUSED,
        SecurityEventKind.FORM_REFUSED,
        SecurityEventKind.TOKEN_REFUSED,
    }
)
_RATE_LIMIT_INTERVAL = timedelta(minutes=1)

MAX_ROWS_PER_DAY = 500
"""Rows a day that name a network; further events are counted by account only."""

_DAY = timedelta(days=1)


def should_record_security_event(
    kind: SecurityEventKind, *, actor: str, network: str, now: datetime
) -> bool:
    """Say whether to record an event; False if the same was recorded within the last minute."""
    if kind not in _RATE_LIMITED_KINDS:
        return True
    recent = SecurityEvent.select().where(
        SecurityEvent.hour == _truncate_to_hour(now),
        SecurityEvent.what == kind,
        SecurityEvent.actor == actor,
        SecurityEvent.network.in_((network, "")),
        SecurityEvent.last_at > now - _RATE_LIMIT_INTERVAL,
    )
    return not recent.exists()


def record_security_event(
    kind: SecurityEventKind, *, actor: str = "", network: str = "", now: datetime
) -> None:
    """Count a security event and log it, in the caller's transaction.

    - `actor`: the user of the account, as in evidence; "" for none.
    - `network`: the truncated address range of the client.
    """
    key = {"hour": _truncate_to_hour(now), "what": kind, "actor": actor, "network": network}
    if not SecurityEvent.select().filter(**key).exists() and _is_full(now):
        key["network"] = ""
    SecurityEvent.insert(**key, at=now, last_at=now).on_conflict(
        conflict_target=[
            SecurityEvent.hour,
            SecurityEvent.what,
            SecurityEvent.actor,
            SecurityEvent.network,
        ],
        update={SecurityEvent.times: SecurityEvent.times + 1, SecurityEvent.last_at: now},
    ).execute()
    level = logging.INFO if kind is SecurityEventKind.UNLOCKED else logging.WARNING
    words = kind.replace("_", " ")
    _logger.log(
        level, "%s: account %s, network %s", words, actor or "unknown", network or "unknown"
    )


def _truncate_to_hour(now: datetime) -> datetime:
    return now.replace(minute=0, second=0, microsecond=0)


def _is_full(now: datetime) -> bool:
    return bool(
        SecurityEvent.select().where(SecurityEvent.at > now - _DAY).count() >= MAX_ROWS_PER_DAY
    )


# --- Reading the audit log in pages, the newest first. --------------------------------------------


_PAGE = 50
# The maximum rows that one page examines, so that it is fast however rare a match is.
_MAX_EXAMINED = 50_000


@dataclass(frozen=True, kw_only=True)
class AuditRecord:
    """An act, an access or a security event.

    - `number`: the number of its row; for an act, the sequence number of its entry.
    - `what`: its kind; `subject`: the contact or user that it was about.
    - `said`: for an act, the `consent` part of its entry; {} once that is erased.
    """

    number: int
    at: datetime
    what: str
    actor: str
    list: str
    subject: str
    said: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class AuditPage:
    """A page of records; `before` is where the next page begins, 0 if there is none.

    A page may have few records or none although earlier ones follow.
    """

    records: tuple[AuditRecord, ...]
    before: int


class AuditFilter(TypedDict, total=False):
    """The conditions for records; each is optional.

    - `before`: only records before this number; 0 for the newest ones.
    - `actor`: one that ends in ":" means all of that kind, as in "cli:".
    - `page`: the number of records.
    - `reach`: the range of numbers that is examined for them.
    """

    before: int
    what: str
    actor: str
    slug: str
    page: int
    reach: int


def list_acts(**audit_filter: Unpack[AuditFilter]) -> AuditPage:
    """Return a page of acts from the evidence."""

    def make_records(rows: list[Any]) -> Iterator[AuditRecord]:
        contents = read_consents(row.seq for row in rows)
        for row in rows:
            yield AuditRecord(
                number=row.seq,
                at=row.at,
                what=row.event,
                actor=row.actor,
                list=row.list,
                subject=row.subject,
                said=contents.get(row.seq, {}),
            )

    newest = EvidenceHead.get().seq
    return _read_page(Evidence.seq, Evidence.event, make_records, audit_filter, newest=newest)


def list_accesses(**audit_filter: Unpack[AuditFilter]) -> AuditPage:
    """Return a page of accesses to personal data."""

    def make_record(row: Access) -> AuditRecord:
        return AuditRecord(
            number=row.id,
            at=row.at,
            what=row.act,
            actor=row.actor,
            list=row.list,
            subject=row.subject,
        )

    return _read_page(Access.id, Access.act, partial(map, make_record), audit_filter)


def list_security_events(**audit_filter: Unpack[AuditFilter]) -> AuditPage:
    """Return a page of security events; `said` has their count, last time and network."""

    def make_record(row: SecurityEvent) -> AuditRecord:
        return AuditRecord(
            number=row.id,
            at=row.at,
            what=row.what,
            actor=row.actor,
            list="",
            subject="",
            said={"times": row.times, "until": row.last_at, "network": row.network},
        )

    return _read_page(SecurityEvent.id, SecurityEvent.what, partial(map, make_record), audit_filter)


def _read_page(
    number: Any,
    kind: Any,
    make_records: Callable[[list[Any]], Iterable[AuditRecord]],
    audit_filter: AuditFilter,
    *,
    newest: int | None = None,
) -> AuditPage:
    """Return a page of a table.

    One row more than the page is read, from the `reach` numbers before its end.

    - `number`, `kind`: the columns for the number and the kind of a row.
    - `newest`: the highest number; None to read it.
    """
    table = number.model
    page, reach = audit_filter.get("page", _PAGE), audit_filter.get("reach", _MAX_EXAMINED)
    if newest is None:
        newest = table.select(fn.MAX(number)).scalar() or 0
    end = audit_filter.get("before") or newest + 1
    rows = table.select().where(
        number < end, number >= end - reach, *_iter_conditions(table, kind, audit_filter)
    )
    records = tuple(make_records(list(rows.order_by(number.desc()).limit(page + 1))))
    if len(records) > page:
        return AuditPage(records=records[:page], before=records[page - 1].number)
    floor = end - reach
    return AuditPage(records=records, before=floor if floor > 1 else 0)


def _iter_conditions(table: Any, kind: Any, audit_filter: AuditFilter) -> Iterator[Any]:
    if what := audit_filter.get("what"):
        yield kind == what
    actor = audit_filter.get("actor", "")
    if actor.endswith(":"):
        yield fn.SUBSTR(table.actor, 1, len(actor)) == actor
    elif actor:
        yield table.actor == actor
    if slug := audit_filter.get("slug"):
        yield table.list == slug


# --- Deleting what has expired. -------------------------------------------------------------------


def delete_expired(
    database: Database,
    *,
    settings: Settings,
    now: datetime,
    should_stop: Callable[[], bool] = bool,
) -> int:
    """Delete old accesses and security events, ended sessions and links, and old throttles.

    Also hashes the recovery codes of earlier versions. Returns how many accesses were deleted.
    """
    two_factor.hash_old_codes(database)
    oldest = now - timedelta(days=settings.retention.access_days)
    expired_conditions = {
        Session: sessions.make_ended_condition(now),
        Invitation: users.make_expired_condition(now),
        Throttle: login_throttle.make_expired_condition(now),
        SecurityEvent: SecurityEvent.at < oldest,
        Access: Access.at < oldest,
    }
    deleted = {
        table: delete_in_steps(database, table, condition, should_stop=should_stop)
        for table, condition in expired_conditions.items()
    }
    return deleted[Access]
