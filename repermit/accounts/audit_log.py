"""What was done and who looked, a page at a time, the newest first; of nobody's person is read."""

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

# --- Who looked at whose data, kept for a while. --------------------------------------------------


def record_access(
    *,
    now: datetime,
    actor: str,
    act: str,
    mailing_list: MailingList | None = None,
    subject: str = "",
) -> None:
    """Note that somebody looked at personal data, in the caller's transaction.

    `act` is one word such as "searched" or "exported"; `subject` is the contact's, "" for what is
    about many. It is no evidence entry: looking changes nothing, and it is not kept as long.
    """
    slug = mailing_list.slug if mailing_list else ""
    Access.insert(at=now, actor=actor, act=act, list=slug, subject=subject).execute()


# --- What was refused to whoever tried to log in, kept for a while and written to the. ------------


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


# Whoever has to wait, or needs no account, can ask as often as they like: it is noted once a minute
# that they do. Every other kind is slowed down by `login_throttle`.
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
"""So many rows a day name the network; of more networks than that the account alone is kept."""

_DAY = timedelta(days=1)


def should_record_security_event(
    kind: SecurityEventKind, *, actor: str = "", network: str = "", now: datetime
) -> bool:
    """Say whether it is to be noted, or was just now, in the same hour and for the same asker."""
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
    """Count one more and write a line to the log, in the caller's transaction.

    `actor` is whose account it is about as evidence names them, "" for nobody's; `network` is
    whence it came, in part.
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


# --- What was done and who looked, a page at a time, the newest first. ----------------------------


_PAGE = 50
# How far back one page looks, so that it is quick however seldom something is.
_MAX_EXAMINED = 50_000


@dataclass(frozen=True, kw_only=True)
class AuditRecord:
    """An act or a look: `what` is the event or the act, `subject` whom it was about.

    `number` counts from the first on, an entry's own sequence number for an act. `said` is what the
    entry of an act keeps of it: not who it was about, nor where they were; nothing once it is gone.
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
    """A page; `before` is where the next one begins, 0 if there is none.

    The page may have few records, or none, although more lie further back.
    """

    records: tuple[AuditRecord, ...]
    before: int


class AuditFilter(TypedDict, total=False):
    """Which records are wanted, each of these only if given.

    - `before`: those before this number; 0 or none: the newest.
    - `actor`: one that ends in ":" is everybody of that kind, as in "cli:".
    - `page`: how many records; `reach`: how many numbers are looked through for them.
    """

    before: int
    what: str
    actor: str
    slug: str
    page: int
    reach: int


def list_acts(**wanted: Unpack[AuditFilter]) -> AuditPage:
    """Return acts from the evidence."""

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
    return _read_page(Evidence.seq, Evidence.event, make_records, wanted, newest=newest)


def list_accesses(**wanted: Unpack[AuditFilter]) -> AuditPage:
    """Return looks at personal data."""

    def make_record(row: Access) -> AuditRecord:
        return AuditRecord(
            number=row.id,
            at=row.at,
            what=row.act,
            actor=row.actor,
            list=row.list,
            subject=row.subject,
        )

    return _read_page(Access.id, Access.act, partial(map, make_record), wanted)


def list_security_events(**wanted: Unpack[AuditFilter]) -> AuditPage:
    """Return what was refused, of no list; `said` has how often, until when and whence."""

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

    return _read_page(SecurityEvent.id, SecurityEvent.what, partial(map, make_record), wanted)


def _read_page(
    number: Any,
    kind: Any,
    make_records: Callable[[list[Any]], Iterable[AuditRecord]],
    wanted: AuditFilter,
    *,
    newest: int | None = None,
) -> AuditPage:
    """Return a page of a table, whose column `number` counts its rows and `kind` says what each is.

    One row more than a page has is read, of the `reach` numbers before its end.
    """
    table = number.model
    page, reach = wanted.get("page", _PAGE), wanted.get("reach", _MAX_EXAMINED)
    if newest is None:
        newest = table.select(fn.MAX(number)).scalar() or 0
    end = wanted.get("before") or newest + 1
    rows = table.select().where(
        number < end, number >= end - reach, *_iter_conditions(table, kind, wanted)
    )
    records = tuple(make_records(list(rows.order_by(number.desc()).limit(page + 1))))
    if len(records) > page:
        return AuditPage(records=records[:page], before=records[page - 1].number)
    floor = end - reach
    return AuditPage(records=records, before=floor if floor > 1 else 0)


def _iter_conditions(table: Any, kind: Any, wanted: AuditFilter) -> Iterator[Any]:
    if what := wanted.get("what"):
        yield kind == what
    actor = wanted.get("actor", "")
    if actor.endswith(":"):
        yield fn.SUBSTR(table.actor, 1, len(actor)) == actor
    elif actor:
        yield table.actor == actor
    if slug := wanted.get("slug"):
        yield table.list == slug


# --- What is kept of logging in and looking, and for how long. ------------------------------------


def delete_expired(
    database: Database,
    *,
    settings: Settings,
    now: datetime,
    should_stop: Callable[[], bool] = bool,
) -> int:
    """Delete who looked at what long ago, and sessions, links and failures that are over.

    Hashes recovery codes that were kept otherwise before. Returns how many looks were deleted.
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
