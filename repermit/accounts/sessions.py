"""Login sessions: beginning, completing, locking, listing and ending them.

The token in the cookie is stored as its SHA-256. It has 256 random bits, so no slower hash is
needed.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from repermit.accounts.api_tokens import hash_secret
from repermit.accounts.user_info import UserInfo, make_user_info
from repermit.db.connection import Database
from repermit.db.models.accounts import Session, User
from repermit.db.models.base import PreparedQuery
from repermit.settings.definitions import Settings

MAX_AGE = timedelta(days=7)
"""The maximum duration of a session, however much it is used."""

HALF_LOGIN_MAX_AGE = timedelta(minutes=15)
"""The maximum time between the password and the second step."""

SEEN_INTERVAL = timedelta(minutes=1)
"""Resolution of a session's last use, so that not every page writes."""

_BYTES = 32


@dataclass(frozen=True, kw_only=True)
class ActiveSession:
    """The session of the current request; `is_full` after the second step."""

    id: int
    user: UserInfo
    is_full: bool
    is_locked: bool
    seen_at: datetime
    locks_at: datetime


@dataclass(frozen=True, kw_only=True)
class SessionSummary:
    """A session as the account page lists it."""

    id: int
    created_at: datetime
    seen_at: datetime
    network: str
    browser: str
    is_full: bool


def begin_session(user_id: int, *, now: datetime, network: str, browser: str) -> str:
    """Begin a session that needs its second step, in the caller's transaction.

    Returns the token for its cookie.
    """
    token = secrets.token_urlsafe(_BYTES)
    Session.create(
        user=user_id,
        digest=hash_secret(token),
        created_at=now,
        seen_at=now,
        network=network,
        browser=browser,
    )
    return token


def complete_session(session_id: int, *, now: datetime) -> str:
    """Make a session full, in the caller's transaction; return its new token.

    The former token no longer works, even if somebody planted or saw it (session fixation).
    """
    token = secrets.token_urlsafe(_BYTES)
    Session.update(digest=hash_secret(token), is_full=True, is_locked=False, seen_at=now).where(
        Session.id == session_id
    ).execute()
    return token


def find_session(token: str, *, now: datetime, settings: Settings) -> ActiveSession | None:
    """Return the valid session of a cookie's token, None if there is none."""
    session: Session | None = _SESSION.first(hash_secret(token), *_list_oldest_starts(now))
    if session is None:
        return None
    locks_at = session.seen_at + timedelta(minutes=settings.web.idle_minutes)
    return ActiveSession(
        id=session.id,
        user=make_user_info(session.user),
        is_full=session.is_full,
        is_locked=session.is_full and (session.is_locked or locks_at <= now),
        seen_at=session.seen_at,
        locks_at=locks_at,
    )


_SESSION = PreparedQuery(
    lambda digest, *oldest_starts: (
        Session.select(Session, User)
        .join(User)
        .where(Session.digest == digest, _make_valid_condition(*oldest_starts))
        .limit(1)
    ),
    3,
)


def should_record_last_seen(session: ActiveSession, *, now: datetime) -> bool:
    """Say whether the recorded last use of a session is older than `SEEN_INTERVAL`."""
    return session.seen_at <= now - SEEN_INTERVAL


def record_last_seen(session: ActiveSession, *, now: datetime) -> None:
    """Record a session's use, in the caller's transaction, unless it was recorded meanwhile."""
    Session.update(seen_at=now).where(
        Session.id == session.id, Session.seen_at == session.seen_at
    ).execute()


def lock_session(database: Database, session_id: int) -> None:
    """Lock a session until its user gives their password."""
    with database.atomic():
        Session.update(is_locked=True).where(Session.id == session_id).execute()


def unlock_session(session_id: int, *, now: datetime) -> str:
    """Unlock a session, in the caller's transaction; return its new token.

    A copy of the token from before the lock no longer works (ASVS 5.0 V7.2.4).
    """
    token = secrets.token_urlsafe(_BYTES)
    Session.update(digest=hash_secret(token), is_locked=False, seen_at=now).where(
        Session.id == session_id
    ).execute()
    return token


def list_open_sessions(user_id: int, *, now: datetime) -> tuple[SessionSummary, ...]:
    """Return a user's valid sessions, the last used first."""
    sessions = (
        Session.select()
        .where(Session.user == user_id, _make_valid_condition(*_list_oldest_starts(now)))
        .order_by(Session.seen_at.desc(), Session.id.desc())
    )
    return tuple(
        SessionSummary(
            id=session.id,
            created_at=session.created_at,
            seen_at=session.seen_at,
            network=session.network,
            browser=session.browser,
            is_full=session.is_full,
        )
        for session in sessions
    )


def end_session(database: Database, session_id: int, *, user_id: int, now: datetime) -> bool:
    """End one session of a user; return False if it has ended or is another user's."""
    conditions = (Session.id == session_id, Session.user == user_id, Session.ended_at.is_null())
    with database.atomic():
        return bool(Session.update(ended_at=now).where(*conditions).execute())


def end_all_sessions(user_id: int, *, now: datetime, except_session_id: int | None = None) -> None:
    """End all sessions of a user, except one if given, in the caller's transaction."""
    Session.update(ended_at=now).where(
        Session.user == user_id, Session.ended_at.is_null(), Session.id != (except_session_id or 0)
    ).execute()


def make_ended_condition(now: datetime) -> Any:
    """Return the condition for sessions that have ended."""
    return Session.ended_at.is_null(is_null=False) | (Session.created_at <= now - MAX_AGE)


def _list_oldest_starts(now: datetime) -> tuple[datetime, datetime]:
    """Return the oldest valid start of a session, and of one without its second step."""
    return now - MAX_AGE, now - HALF_LOGIN_MAX_AGE


def _make_valid_condition(oldest_start: Any, oldest_half_start: Any) -> Any:
    is_young = Session.created_at > oldest_start
    is_half_and_young = Session.created_at > oldest_half_start
    return Session.ended_at.is_null() & is_young & (Session.is_full | is_half_and_young)
