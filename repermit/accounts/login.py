"""Getting in: password, second step, unlocking; and changing what one gets in with.

Each try is counted as a failure before it is made (see `login_throttle`), and hashing, which takes
long, stands outside every transaction.
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
    """One try: when, from which network in part, with which browser.

    `origin` is what failures count for where that is more than the network: a client may have
    invented its own, where the settings trust more web servers than there are.
    """

    now: datetime
    network: str = ""
    browser: str = ""
    origin: Origin | None = None

    @property
    def throttled(self) -> Origin:
        """Return what failures count for."""
        return self.origin or Origin(self.network)

    @property
    def trace(self) -> dict[str, Any]:
        """Return what evidence keeps of it for a while."""
        return {"network": self.network, "browser": self.browser}


@dataclass(frozen=True, kw_only=True)
class AttemptResult:
    """What became of a try: it was right, or wrong, or came too soon and must wait.

    `token` is what the cookie holds from now on, if that changes; `codes` are fresh recovery codes.
    """

    is_right: bool = False
    wait: timedelta = timedelta()
    token: str = field(default="", repr=False)
    codes: tuple[str, ...] = field(default=(), repr=False)


def log_in(
    database: Database, *, email: str, password: str, settings: Settings, visit: LoginAttempt
) -> AttemptResult:
    """Try an address and a password; if right, a session begins that wants its second step.

    An unknown address takes as long as a wrong password, and the answer is the same. Where several
    tries are under way the next one waits a moment, uncounted: pages must not wait for strangers.
    """
    with passwords.limit_attempts() as has_place:
        if not has_place:
            return AttemptResult(wait=_BUSY_WAIT)
        return _log_in(database, email=email, password=password, settings=settings, visit=visit)


def _log_in(
    database: Database, *, email: str, password: str, settings: Settings, visit: LoginAttempt
) -> AttemptResult:
    key = _normalize_email(email)
    scopes = login_throttle.make_login_scopes(key, visit.throttled, key=settings.fingerprint_key)
    user: User | None = User.get_or_none(User.email == key)
    actor = make_actor(user.id) if user else ""
    if wait := _record_attempt(database, scopes, actor, visit):
        return AttemptResult(wait=wait)
    if not passwords.verify_password(password, user.password if user else "") or user is None:
        return _refuse_attempt(database, SecurityEventKind.LOGIN_FAILED, actor, visit)
    new_hash = passwords.hash_password(password) if passwords.needs_rehash(user.password) else ""
    with database.atomic():
        login_throttle.forgive_attempt(database, scopes, now=visit.now)
        if new_hash:
            _save_new_hash(user, new_hash)
        token = _begin_session(user.id, visit)
    return AttemptResult(is_right=True, token=token)


def take_second_step(
    database: Database, login: ActiveSession, code: str, *, settings: Settings, visit: LoginAttempt
) -> AttemptResult:
    """Try a code of the app or a recovery code; if right, the session is full, with a new token.

    A session that is full already wants its password if it is locked; a code opens none.
    """
    if login.is_full:
        return AttemptResult()
    person = login.person
    scopes = login_throttle.make_code_scopes(
        person.email, visit.throttled, key=settings.fingerprint_key
    )
    if wait := _record_attempt(database, scopes, person.actor, visit):
        return AttemptResult(wait=wait)
    is_of_app = two_factor.is_app_code(code)
    recovery_code_id = None if is_of_app else two_factor.find_recovery_code(person.id, code)
    with database.atomic():
        if is_of_app:
            cipher = SecretCipher(settings.secret_keys)
            is_used = two_factor.use_code(person.id, code, cipher=cipher, now=visit.now)
        else:
            is_used = recovery_code_id is not None and two_factor.use_recovery_code(
                recovery_code_id, now=visit.now
            )
        if is_used:
            login_throttle.forgive_attempt(database, scopes, now=visit.now)
            token = sessions.complete_session(login.id, now=visit.now)
            facts = {"second_step": "app" if is_of_app else "recovery_code"}
            _append_entry("logged_in", person, visit=visit, consent=facts)
            return AttemptResult(is_right=True, token=token)
    return _refuse_attempt(database, SecurityEventKind.CODE_FAILED, person.actor, visit)


def set_up_second_step(
    database: Database,
    login: ActiveSession,
    *,
    secret: str,
    code: str,
    settings: Settings,
    visit: LoginAttempt,
) -> AttemptResult:
    """Take an app into use if it shows the right code; what was in use before ends.

    The session is full from now on, with a new token. The secret is one that the app was just
    given, so that there is nothing to guess and nothing to throttle.
    """
    person = login.person
    step = two_factor.find_matching_step(secret, code, now=visit.now)
    # Whoever has the password alone may not put an app of their own in place of the user's.
    if step is None or (person.has_second_step and not login.is_full):
        return AttemptResult()
    recovery_codes = two_factor.make_recovery_codes()
    sealed_secret = SecretCipher(settings.secret_keys).encrypt(make_totp_name(person.id), secret)
    with database.atomic():
        if not _save_secret(login, sealed_secret, step):
            return AttemptResult()
        codes = two_factor.save_recovery_codes(person.id, recovery_codes)
        token = sessions.complete_session(login.id, now=visit.now)
        sessions.end_all_sessions(person.id, now=visit.now, but=login.id)
        _append_entry("second_step_set_up", person, visit=visit)
    return AttemptResult(is_right=True, token=token, codes=codes)


def unlock(
    database: Database, login: ActiveSession, password: str, *, visit: LoginAttempt
) -> AttemptResult:
    """Try the password that a locked screen asks for; if right, the session gets a new token."""
    failure = SecurityEventKind.UNLOCK_FAILED
    result = confirm_password(database, login, password, visit=visit, failure=failure)
    if not result.is_right:
        return result
    with database.atomic():
        token = sessions.unlock_session(login.id, now=visit.now)
        record_security_event(
            SecurityEventKind.UNLOCKED,
            actor=login.person.actor,
            network=visit.network,
            now=visit.now,
        )
    return AttemptResult(is_right=True, token=token)


def confirm_password(
    database: Database,
    login: ActiveSession,
    password: str,
    *,
    visit: LoginAttempt,
    failure: SecurityEventKind = SecurityEventKind.PASSWORD_FAILED,
) -> AttemptResult:
    """Try the password of somebody who has logged in, before an act that wants it again.

    Failures count for this session alone: whoever fails at the login page, of the same account or
    from the same network, keeps nobody out who is in already. `failure` is what one is noted as.
    """
    scopes = login_throttle.make_session_scopes(login.id)
    if wait := _record_attempt(database, scopes, login.person.actor, visit):
        return AttemptResult(wait=wait)
    user: User = User.get_by_id(login.person.id)
    if not passwords.verify_password(password, user.password):
        return _refuse_attempt(database, failure, login.person.actor, visit)
    login_throttle.forgive_attempt(database, scopes, now=visit.now)
    return AttemptResult(is_right=True)


def change_password(
    database: Database, login: ActiveSession, password: str, *, visit: LoginAttempt
) -> AttemptResult:
    """Keep a new password, which is fit to be one; this session gets a new token.

    All the user's other sessions end, and so do one-time links that nobody has used.
    """
    password_hash = passwords.hash_password(password)
    with database.atomic():
        users.delete_open_links(login.person.id)
        _save_password(login.person.id, password_hash, visit=visit)
        token = sessions.complete_session(login.id, now=visit.now)
        sessions.end_all_sessions(login.person.id, now=visit.now, but=login.id)
        _append_entry("password_changed", login.person, visit=visit)
    return AttemptResult(is_right=True, token=token)


def accept_invitation(
    database: Database, token: str, password: str, *, email: str = "", visit: LoginAttempt
) -> AttemptResult:
    """Keep the password that somebody chose by a one-time link, and begin a session.

    All their other sessions and links end, since the link may be there because somebody else got
    in. The first admin, who is not known yet, gives an address too. Raises NotFound for a link that
    works no longer, AddressError for what is no address, Refused for that of another user.
    """
    password_hash = passwords.hash_password(password)
    with database.atomic():
        person = users.use_invitation(token, now=visit.now)
        users.delete_open_links(person.id)
        person_part = {} if person.email else {"address": _require_free_email(email)}
        _save_password(person.id, password_hash, visit=visit)
        User.update(email=person_part.get("address", person.email)).where(
            User.id == person.id
        ).execute()
        users.delete_unclaimed_admins(but=person.id)
        sessions.end_all_sessions(person.id, now=visit.now)
        session_token = _begin_session(person.id, visit)
        _append_entry("password_chosen", person, visit=visit, known=person_part)
    return AttemptResult(is_right=True, token=session_token)


def renew_recovery_codes(
    database: Database, person: UserInfo, *, visit: LoginAttempt
) -> tuple[str, ...]:
    """Make somebody's recovery codes anew; those from before work no longer."""
    new_codes = two_factor.make_recovery_codes()
    with database.atomic():
        codes = two_factor.save_recovery_codes(person.id, new_codes)
        _append_entry("recovery_codes_renewed", person, visit=visit)
    return codes


def _normalize_email(email: str) -> str:
    """Return an address as users have it; what is none is counted as it was written."""
    try:
        return email_address.parse(email).key
    except AddressError:
        return email.strip().casefold()


def _require_free_email(email: str) -> str:
    """Return an address as users have it; raises Refused if one has it, AddressError for none."""
    key = email_address.parse(email).key
    if User.select().where(User.email == key).exists():
        raise Refused("there is a user of that address already")
    return key


def _record_attempt(
    database: Database, scopes: tuple[str, ...], whose: str, visit: LoginAttempt
) -> timedelta:
    """Count a try as a failure before it is made; note who has to wait instead, and how long."""
    wait = login_throttle.record_attempt(database, scopes, now=visit.now)
    if wait:
        record_refused_attempt(database, SecurityEventKind.TOO_MANY_TRIES, actor=whose, visit=visit)
    return wait


def _refuse_attempt(
    database: Database, kind: SecurityEventKind, whose: str, visit: LoginAttempt
) -> AttemptResult:
    record_refused_attempt(database, kind, actor=whose, visit=visit)
    return AttemptResult()


def record_refused_attempt(
    database: Database, kind: SecurityEventKind, *, actor: str = "", visit: LoginAttempt
) -> None:
    """Note that somebody was refused, unless the same was noted just now."""
    if should_record_security_event(kind, actor=actor, network=visit.network, now=visit.now):
        with database.atomic():
            record_security_event(kind, actor=actor, network=visit.network, now=visit.now)


def _begin_session(user_id: int, visit: LoginAttempt) -> str:
    return sessions.begin_session(
        user_id, now=visit.now, network=visit.network, browser=visit.browser
    )


def _save_secret(login: ActiveSession, sealed: str, step: int) -> bool:
    """Keep the sealed secret of an app, in the caller's transaction; say whether it was kept.

    Of two half sessions that set one up at once, one alone does: its UPDATE finds none there.
    """
    update = User.update(totp_secret=sealed, totp_step=step).where(User.id == login.person.id)
    return bool((update if login.is_full else update.where(User.totp_secret == "")).execute())


def _save_new_hash(user: User, kept: str) -> None:
    """Keep a hash with new parameters, unless the password was changed meanwhile."""
    User.update(password=kept).where(User.id == user.id, User.password == user.password).execute()


def _save_password(user_id: int, kept: str, *, visit: LoginAttempt) -> None:
    User.update(password=kept, password_at=visit.now).where(User.id == user_id).execute()


def _append_entry(
    event: str,
    person: UserInfo,
    *,
    visit: LoginAttempt,
    consent: dict[str, Any] | None = None,
    known: dict[str, Any] | None = None,
) -> None:
    """Append what somebody did with their own account; the last step of the transaction."""
    actor = make_actor(person.id)
    chain.append(
        Entry(
            event=event,
            at=visit.now,
            actor=actor,
            subject=actor,
            consent=consent or {},
            person=known or {},
            trace=visit.trace,
        )
    )
