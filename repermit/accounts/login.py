"""Logging in with a password and a second step, unlocking, and changing either.

Each attempt is counted as a failure before it is made (see `login_throttle`). Hashing takes long,
so it is done outside transactions.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from repermit import email_address
from repermit.accounts import login_throttle, passwords, sessions, two_factor, users
from repermit.accounts.audit_log import (
    SecurityEventKind,
    record_security_event,
    should_record_security_event,
)
from repermit.accounts.login_throttle import Origin
from repermit.accounts.sessions import ActiveSession
from repermit.accounts.user_info import UserInfo, make_actor
from repermit.db.connection import Database
from repermit.db.models.accounts import User
from repermit.errors import AddressError, Refused
from repermit.evidence import chain
from repermit.evidence.entries import Entry
from repermit.settings.definitions import Settings
from repermit.settings.sealed_secrets import SecretCipher, make_totp_name

_BUSY_WAIT = timedelta(seconds=1)


@dataclass(frozen=True, kw_only=True)
class LoginAttempt:
    """A login attempt: its time, truncated network and browser.

    - `origin`: what failures count for, None for the network alone. It also names relays where
      the settings trust more web servers than there are, as a client may forge its network then.
    """

    now: datetime
    network: str = ""
    browser: str = ""
    origin: Origin | None = None

    @property
    def throttle_origin(self) -> Origin:
        """Return the origin for which failures count."""
        return self.origin or Origin(self.network)

    @property
    def trace(self) -> dict[str, Any]:
        """Return the `trace` part of its evidence, which is deleted after a while."""
        return {"network": self.network, "browser": self.browser}


@dataclass(frozen=True, kw_only=True)
class AttemptResult:
    """The result of an attempt: accepted, refused, or to be tried again after `wait`.

    - `token`: the new session token for the cookie, "" if it does not change.
    - `codes`: new recovery codes.
    """

    is_accepted: bool = False
    wait: timedelta = timedelta()
    token: str = field(default="", repr=False)
    codes: tuple[str, ...] = field(default=(), repr=False)


def log_in(
    database: Database, *, email: str, password: str, settings: Settings, attempt: LoginAttempt
) -> AttemptResult:
    """Check an address and a password; if right, begin a session that needs the second step.

    An unknown address takes as long as a wrong password, with the same result. While several
    attempts run, further ones get a `wait` and are not counted, so that they do not slow pages.
    """
    with passwords.limit_attempts() as is_admitted:
        if not is_admitted:
            return AttemptResult(wait=_BUSY_WAIT)
        return _log_in(database, email=email, password=password, settings=settings, attempt=attempt)


def _log_in(
    database: Database, *, email: str, password: str, settings: Settings, attempt: LoginAttempt
) -> AttemptResult:
    key = _normalize_email(email)
    scopes = login_throttle.make_login_scopes(
        key, attempt.throttle_origin, key=settings.fingerprint_key
    )
    user: User | None = User.get_or_none(User.email == key)
    actor = make_actor(user.id) if user else ""
    if wait := _record_attempt(database, scopes, actor, attempt):
        return AttemptResult(wait=wait)
    if not passwords.verify_password(password, user.password if user else "") or user is None:
        return _refuse_attempt(database, SecurityEventKind.LOGIN_FAILED, actor, attempt)
    is_outdated = passwords.HASHER.check_needs_rehash(user.password)
    new_hash = passwords.hash_password(password) if is_outdated else ""
    with database.atomic():
        login_throttle.forgive_attempt(database, scopes, now=attempt.now)
        if new_hash:
            _save_new_hash(user, new_hash)
        token = _begin_session(user.id, attempt)
    return AttemptResult(is_accepted=True, token=token)


def take_second_step(
    database: Database,
    session: ActiveSession,
    code: str,
    *,
    settings: Settings,
    attempt: LoginAttempt,
) -> AttemptResult:
    """Check a code of the app or a recovery code; if right, complete the session.

    The session gets a new token. A full session is refused: it is unlocked with the password.
    """
    if session.is_full:
        return AttemptResult()
    user = session.user
    scopes = login_throttle.make_code_scopes(
        user.email, attempt.throttle_origin, key=settings.fingerprint_key
    )
    if wait := _record_attempt(database, scopes, user.actor, attempt):
        return AttemptResult(wait=wait)
    is_of_app = two_factor.is_app_code(code)
    recovery_code_id = None if is_of_app else two_factor.find_recovery_code(user.id, code)
    with database.atomic():
        if is_of_app:
            cipher = SecretCipher(settings.secret_keys)
            is_used = two_factor.use_code(user.id, code, cipher=cipher, now=attempt.now)
        else:
            is_used = recovery_code_id is not None and two_factor.use_recovery_code(
                recovery_code_id, now=attempt.now
            )
        if is_used:
            login_throttle.forgive_attempt(database, scopes, now=attempt.now)
            token = sessions.complete_session(session.id, now=attempt.now)
            consent_part = {"second_step": "app" if is_of_app else "recovery_code"}
            _append_entry("logged_in", user, attempt=attempt, consent=consent_part)
            return AttemptResult(is_accepted=True, token=token)
    return _refuse_attempt(database, SecurityEventKind.CODE_FAILED, user.actor, attempt)


def set_up_second_step(
    database: Database,
    session: ActiveSession,
    *,
    secret: str,
    code: str,
    settings: Settings,
    attempt: LoginAttempt,
) -> AttemptResult:
    """Register an app if it shows the right code; it replaces the former app and recovery codes.

    The session becomes full, with a new token, and the user's other sessions end. Nothing is
    throttled: the app was just given the secret, so there is nothing to guess.
    """
    user = session.user
    step = two_factor.find_matching_step(secret, code, now=attempt.now)
    # A person with only the password must not replace the user's app.
    if step is None or (user.has_second_step and not session.is_full):
        return AttemptResult()
    recovery_codes = two_factor.make_recovery_codes()
    encrypted_secret = SecretCipher(settings.secret_keys).encrypt(make_totp_name(user.id), secret)
    with database.atomic():
        if not _save_secret(session, encrypted_secret, step):
            return AttemptResult()
        codes = two_factor.save_recovery_codes(user.id, recovery_codes)
        token = sessions.complete_session(session.id, now=attempt.now)
        sessions.end_all_sessions(user.id, now=attempt.now, except_session_id=session.id)
        _append_entry("second_step_set_up", user, attempt=attempt)
    return AttemptResult(is_accepted=True, token=token, codes=codes)


def unlock(
    database: Database, session: ActiveSession, password: str, *, attempt: LoginAttempt
) -> AttemptResult:
    """Check the password of a locked session; if right, unlock it with a new token."""
    failure = SecurityEventKind.UNLOCK_FAILED
    result = confirm_password(database, session, password, attempt=attempt, failure=failure)
    if not result.is_accepted:
        return result
    with database.atomic():
        token = sessions.unlock_session(session.id, now=attempt.now)
        record_security_event(
            SecurityEventKind.UNLOCKED,
            actor=session.user.actor,
            network=attempt.network,
            now=attempt.now,
        )
    return AttemptResult(is_accepted=True, token=token)


def confirm_password(
    database: Database,
    session: ActiveSession,
    password: str,
    *,
    attempt: LoginAttempt,
    failure: SecurityEventKind = SecurityEventKind.PASSWORD_FAILED,
) -> AttemptResult:
    """Check the password of a logged-in user before an act that requires it again.

    - Failures count for this session only, so that failures at the login page, for the same account
      or from the same network, do not lock out a logged-in user.
    - `failure`: the kind of security event for a wrong password.
    """
    scopes = login_throttle.make_session_scopes(session.id)
    if wait := _record_attempt(database, scopes, session.user.actor, attempt):
        return AttemptResult(wait=wait)
    user: User = User.get_by_id(session.user.id)
    if not passwords.verify_password(password, user.password):
        return _refuse_attempt(database, failure, session.user.actor, attempt)
    login_throttle.forgive_attempt(database, scopes, now=attempt.now)
    return AttemptResult(is_accepted=True)


def change_password(
    database: Database, session: ActiveSession, password: str, *, attempt: LoginAttempt
) -> AttemptResult:
    """Save a new password, already found strong enough; this session gets a new token.

    All other sessions of the user end, and unused one-time links are deleted.
    """
    password_hash = passwords.hash_password(password)
    with database.atomic():
        users.delete_open_links(session.user.id)
        _save_password(session.user.id, password_hash, attempt=attempt)
        token = sessions.complete_session(session.id, now=attempt.now)
        sessions.end_all_sessions(session.user.id, now=attempt.now, except_session_id=session.id)
        _append_entry("password_changed", session.user, attempt=attempt)
    return AttemptResult(is_accepted=True, token=token)


def accept_invitation(
    database: Database, token: str, password: str, *, email: str = "", attempt: LoginAttempt
) -> AttemptResult:
    """Save the password that a user chose through a one-time link, and begin a session.

    All other sessions and links of the user end, as the link may have been made after a break-in.

    - `email`: the address of the first admin, who has none yet.
    - Raises NotFound for a link that no longer works, AddressError for an invalid address, and
      Refused for the address of another user.
    """
    password_hash = passwords.hash_password(password)
    with database.atomic():
        user = users.use_invitation(token, now=attempt.now)
        users.delete_open_links(user.id)
        person_part = {} if user.email else {"address": _require_free_email(email)}
        _save_password(user.id, password_hash, attempt=attempt)
        User.update(email=person_part.get("address", user.email)).where(
            User.id == user.id
        ).execute()
        users.delete_unclaimed_admins(except_id=user.id)
        sessions.end_all_sessions(user.id, now=attempt.now)
        session_token = _begin_session(user.id, attempt)
        _append_entry("password_chosen", user, attempt=attempt, known=person_part)
    return AttemptResult(is_accepted=True, token=session_token)


def renew_recovery_codes(
    database: Database, user: UserInfo, *, attempt: LoginAttempt
) -> tuple[str, ...]:
    """Replace a user's recovery codes by new ones, which are returned."""
    new_codes = two_factor.make_recovery_codes()
    with database.atomic():
        codes = two_factor.save_recovery_codes(user.id, new_codes)
        _append_entry("recovery_codes_renewed", user, attempt=attempt)
    return codes


def _normalize_email(email: str) -> str:
    """Return an address in the form that users are stored with; an invalid one in lower case."""
    try:
        return email_address.parse(email).key
    except AddressError:
        return email.strip().casefold()


def _require_free_email(email: str) -> str:
    """Return an address in its stored form; raises AddressError, and Refused if a user has it."""
    key = email_address.parse(email).key
    if User.select().where(User.email == key).exists():
        raise Refused("there is a user of that address already")
    return key


def _record_attempt(
    database: Database, scopes: tuple[str, ...], actor: str, attempt: LoginAttempt
) -> timedelta:
    """Count an attempt as a failure before it is made; return how long it must wait instead."""
    wait = login_throttle.record_attempt(database, scopes, now=attempt.now)
    if wait:
        record_refused_attempt(
            database, SecurityEventKind.TOO_MANY_TRIES, actor=actor, attempt=attempt
        )
    return wait


def _refuse_attempt(
    database: Database, kind: SecurityEventKind, actor: str, attempt: LoginAttempt
) -> AttemptResult:
    record_refused_attempt(database, kind, actor=actor, attempt=attempt)
    return AttemptResult()


def record_refused_attempt(
    database: Database, kind: SecurityEventKind, *, actor: str = "", attempt: LoginAttempt
) -> None:
    """Record a refused attempt, unless the same was recorded within the last minute."""
    if should_record_security_event(kind, actor=actor, network=attempt.network, now=attempt.now):
        with database.atomic():
            record_security_event(kind, actor=actor, network=attempt.network, now=attempt.now)


def _begin_session(user_id: int, attempt: LoginAttempt) -> str:
    return sessions.begin_session(
        user_id, now=attempt.now, network=attempt.network, browser=attempt.browser
    )


def _save_secret(session: ActiveSession, encrypted: str, step: int) -> bool:
    """Save an app's encrypted secret, in the caller's transaction; return whether it was saved.

    Of two half sessions that do so at once, only one saves: the other's UPDATE finds a secret.
    """
    update = User.update(totp_secret=encrypted, totp_step=step).where(User.id == session.user.id)
    return bool((update if session.is_full else update.where(User.totp_secret == "")).execute())


def _save_new_hash(user: User, password_hash: str) -> None:
    """Save a hash with new parameters, unless the password was changed meanwhile."""
    User.update(password=password_hash).where(
        User.id == user.id, User.password == user.password
    ).execute()


def _save_password(user_id: int, password_hash: str, *, attempt: LoginAttempt) -> None:
    User.update(password=password_hash, password_at=attempt.now).where(User.id == user_id).execute()


def _append_entry(
    event: str,
    user: UserInfo,
    *,
    attempt: LoginAttempt,
    consent: dict[str, Any] | None = None,
    known: dict[str, Any] | None = None,
) -> None:
    """Append an entry about a user's own account; the last step of the transaction."""
    actor = make_actor(user.id)
    chain.append(
        Entry(
            event=event,
            at=attempt.now,
            actor=actor,
            subject=actor,
            consent=consent or {},
            person=known or {},
            trace=attempt.trace,
        )
    )
