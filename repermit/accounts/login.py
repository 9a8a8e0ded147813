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
    is_security_event_to_note,
    note_security_event,
)
from repermit.accounts.login_throttle import Origin
from repermit.accounts.sessions import Login
from repermit.accounts.user_info import Person, actor_of
from repermit.db.connection import Database
from repermit.db.models.accounts import User
from repermit.errors import AddressError, Refused
from repermit.evidence import chain
from repermit.evidence.entries import Entry
from repermit.settings.definitions import Settings
from repermit.settings.sealed_secrets import Seal, totp_name

_A_MOMENT = timedelta(seconds=1)


@dataclass(frozen=True, kw_only=True)
class Visit:
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
class Tried:
    """What became of a try: it was right, or wrong, or came too soon and must wait.

    `token` is what the cookie holds from now on, if that changes; `codes` are fresh recovery codes.
    """

    is_right: bool = False
    wait: timedelta = timedelta()
    token: str = field(default="", repr=False)
    codes: tuple[str, ...] = field(default=(), repr=False)


def log_in(
    database: Database, *, email: str, password: str, settings: Settings, visit: Visit
) -> Tried:
    """Try an address and a password; if right, a session begins that wants its second step.

    An unknown address takes as long as a wrong password, and the answer is the same. Where several
    tries are under way the next one waits a moment, uncounted: pages must not wait for strangers.
    """
    with passwords.try_of_anybody() as has_place:
        if not has_place:
            return Tried(wait=_A_MOMENT)
        return _log_in(database, email=email, password=password, settings=settings, visit=visit)


def _log_in(
    database: Database, *, email: str, password: str, settings: Settings, visit: Visit
) -> Tried:
    key = _key_of(email)
    scopes = login_throttle.scopes_of_login(key, visit.throttled, key=settings.fingerprint_key)
    user: User | None = User.get_or_none(User.email == key)
    whose = actor_of(user.id) if user else ""
    if wait := _book(database, scopes, whose, visit):
        return Tried(wait=wait)
    if not passwords.is_right(password, user.password if user else "") or user is None:
        return _fail(database, SecurityEventKind.LOGIN_FAILED, whose, visit)
    fresh = passwords.hashed(password) if passwords.wants_new_hash(user.password) else ""
    with database.atomic():
        login_throttle.forgive(database, scopes, now=visit.now)
        if fresh:
            _keep_hash(user, fresh)
        token = _begin(user.id, visit)
    return Tried(is_right=True, token=token)


def take_second_step(
    database: Database, login: Login, code: str, *, settings: Settings, visit: Visit
) -> Tried:
    """Try a code of the app or a recovery code; if right, the session is full, with a new token.

    A session that is full already wants its password if it is locked; a code opens none.
    """
    if login.is_full:
        return Tried()
    person = login.person
    scopes = login_throttle.scopes_of_code(
        person.email, visit.throttled, key=settings.fingerprint_key
    )
    if wait := _book(database, scopes, person.actor, visit):
        return Tried(wait=wait)
    is_of_app = two_factor.is_of_app(code)
    found = None if is_of_app else two_factor.find_recovery_code(person.id, code)
    with database.atomic():
        if is_of_app:
            seal = Seal(settings.secret_keys)
            is_used = two_factor.use_code(person.id, code, seal=seal, now=visit.now)
        else:
            is_used = found is not None and two_factor.use_recovery_code(found, now=visit.now)
        if is_used:
            login_throttle.forgive(database, scopes, now=visit.now)
            token = sessions.complete(login.id, now=visit.now)
            facts = {"second_step": "app" if is_of_app else "recovery_code"}
            _append("logged_in", person, visit=visit, consent=facts)
            return Tried(is_right=True, token=token)
    return _fail(database, SecurityEventKind.CODE_FAILED, person.actor, visit)


def set_up_second_step(
    database: Database, login: Login, *, secret: str, code: str, settings: Settings, visit: Visit
) -> Tried:
    """Take an app into use if it shows the right code; what was in use before ends.

    The session is full from now on, with a new token. The secret is one that the app was just
    given, so that there is nothing to guess and nothing to throttle.
    """
    person = login.person
    step = two_factor.matching_step(secret, code, now=visit.now)
    # Whoever has the password alone may not put an app of their own in place of the user's.
    if step is None or (person.has_second_step and not login.is_full):
        return Tried()
    made = two_factor.new_recovery_codes()
    sealed = Seal(settings.secret_keys).close(totp_name(person.id), secret)
    with database.atomic():
        if not _keep_secret(login, sealed, step):
            return Tried()
        codes = two_factor.keep_recovery_codes(person.id, made)
        token = sessions.complete(login.id, now=visit.now)
        sessions.end_all(person.id, now=visit.now, but=login.id)
        _append("second_step_set_up", person, visit=visit)
    return Tried(is_right=True, token=token, codes=codes)


def unlock(database: Database, login: Login, password: str, *, visit: Visit) -> Tried:
    """Try the password that a locked screen asks for; if right, the session gets a new token."""
    failure = SecurityEventKind.UNLOCK_FAILED
    tried = confirm_password(database, login, password, visit=visit, failure=failure)
    if not tried.is_right:
        return tried
    with database.atomic():
        token = sessions.release(login.id, now=visit.now)
        note_security_event(
            SecurityEventKind.UNLOCKED,
            actor=login.person.actor,
            network=visit.network,
            now=visit.now,
        )
    return Tried(is_right=True, token=token)


def confirm_password(
    database: Database,
    login: Login,
    password: str,
    *,
    visit: Visit,
    failure: SecurityEventKind = SecurityEventKind.PASSWORD_FAILED,
) -> Tried:
    """Try the password of somebody who has logged in, before an act that wants it again.

    Failures count for this session alone: whoever fails at the login page, of the same account or
    from the same network, keeps nobody out who is in already. `failure` is what one is noted as.
    """
    scopes = login_throttle.scopes_of_session(login.id)
    if wait := _book(database, scopes, login.person.actor, visit):
        return Tried(wait=wait)
    user: User = User.get_by_id(login.person.id)
    if not passwords.is_right(password, user.password):
        return _fail(database, failure, login.person.actor, visit)
    login_throttle.forgive(database, scopes, now=visit.now)
    return Tried(is_right=True)


def change_password(database: Database, login: Login, password: str, *, visit: Visit) -> Tried:
    """Keep a new password, which is fit to be one; this session gets a new token.

    All the user's other sessions end, and so do one-time links that nobody has used.
    """
    kept = passwords.hashed(password)
    with database.atomic():
        users.end_links(login.person.id)
        _keep_password(login.person.id, kept, visit=visit)
        token = sessions.complete(login.id, now=visit.now)
        sessions.end_all(login.person.id, now=visit.now, but=login.id)
        _append("password_changed", login.person, visit=visit)
    return Tried(is_right=True, token=token)


def accept_invitation(
    database: Database, token: str, password: str, *, email: str = "", visit: Visit
) -> Tried:
    """Keep the password that somebody chose by a one-time link, and begin a session.

    All their other sessions and links end, since the link may be there because somebody else got
    in. The first admin, who is not known yet, gives an address too. Raises NotFound for a link that
    works no longer, AddressError for what is no address, Refused for that of another user.
    """
    kept = passwords.hashed(password)
    with database.atomic():
        person = users.use_invitation(token, now=visit.now)
        users.end_links(person.id)
        known = {} if person.email else {"address": _free_key(email)}
        _keep_password(person.id, kept, visit=visit)
        User.update(email=known.get("address", person.email)).where(User.id == person.id).execute()
        users.forget_nameless(but=person.id)
        sessions.end_all(person.id, now=visit.now)
        begun = _begin(person.id, visit)
        _append("password_chosen", person, visit=visit, known=known)
    return Tried(is_right=True, token=begun)


def renew_recovery_codes(database: Database, person: Person, *, visit: Visit) -> tuple[str, ...]:
    """Make somebody's recovery codes anew; those from before work no longer."""
    made = two_factor.new_recovery_codes()
    with database.atomic():
        codes = two_factor.keep_recovery_codes(person.id, made)
        _append("recovery_codes_renewed", person, visit=visit)
    return codes


def _key_of(email: str) -> str:
    """Return an address as users have it; what is none is counted as it was written."""
    try:
        return email_address.parse(email).key
    except AddressError:
        return email.strip().casefold()


def _free_key(email: str) -> str:
    """Return an address as users have it; raises Refused if one has it, AddressError for none."""
    key = email_address.parse(email).key
    if User.select().where(User.email == key).exists():
        raise Refused("there is a user of that address already")
    return key


def _book(database: Database, scopes: tuple[str, ...], whose: str, visit: Visit) -> timedelta:
    """Count a try as a failure before it is made; note who has to wait instead, and how long."""
    wait = login_throttle.book(database, scopes, now=visit.now)
    if wait:
        note_refusal(database, SecurityEventKind.TOO_MANY_TRIES, actor=whose, visit=visit)
    return wait


def _fail(database: Database, kind: SecurityEventKind, whose: str, visit: Visit) -> Tried:
    note_refusal(database, kind, actor=whose, visit=visit)
    return Tried()


def note_refusal(
    database: Database, kind: SecurityEventKind, *, actor: str = "", visit: Visit
) -> None:
    """Note that somebody was refused, unless the same was noted just now."""
    if is_security_event_to_note(kind, actor=actor, network=visit.network, now=visit.now):
        with database.atomic():
            note_security_event(kind, actor=actor, network=visit.network, now=visit.now)


def _begin(user_id: int, visit: Visit) -> str:
    return sessions.begin(user_id, now=visit.now, network=visit.network, browser=visit.browser)


def _keep_secret(login: Login, sealed: str, step: int) -> bool:
    """Keep the sealed secret of an app, in the caller's transaction; say whether it was kept.

    Of two half sessions that set one up at once, one alone does: its UPDATE finds none there.
    """
    kept = User.update(totp_secret=sealed, totp_step=step).where(User.id == login.person.id)
    return bool((kept if login.is_full else kept.where(User.totp_secret == "")).execute())


def _keep_hash(user: User, kept: str) -> None:
    """Keep a hash with new parameters, unless the password was changed meanwhile."""
    User.update(password=kept).where(User.id == user.id, User.password == user.password).execute()


def _keep_password(user_id: int, kept: str, *, visit: Visit) -> None:
    User.update(password=kept, password_at=visit.now).where(User.id == user_id).execute()


def _append(
    event: str,
    person: Person,
    *,
    visit: Visit,
    consent: dict[str, Any] | None = None,
    known: dict[str, Any] | None = None,
) -> None:
    """Append what somebody did with their own account; the last step of the transaction."""
    name = actor_of(person.id)
    chain.append(
        Entry(
            event=event,
            at=visit.now,
            actor=name,
            subject=name,
            consent=consent or {},
            person=known or {},
            trace=visit.trace,
        )
    )
