"""Adding, inviting, changing and removing users.

Evidence names a user by number. The address is in a part of its own, which is erased with the user.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from repermit import email_address
from repermit.accounts import api_tokens, sessions
from repermit.accounts.api_tokens import hash_secret
from repermit.accounts.user_info import Role, UserInfo, make_actor, make_user_info
from repermit.db.connection import Database, lock_rows
from repermit.db.models.accounts import Invitation, RecoveryCode, Session, User
from repermit.db.models.base import Meta
from repermit.errors import NotFound, Refused
from repermit.evidence import chain
from repermit.evidence.entries import Entry

if TYPE_CHECKING:
    End = Callable[..., Sequence[Entry]]

INVITATION_LIFETIME = timedelta(hours=72)
"""The time for which a one-time link works."""

_LAST_ID_KEY = "last_user"
_BYTES = 32


@dataclass(frozen=True, kw_only=True)
class IssuedInvitation:
    """A user with a new one-time link; `token` is shown now and never again."""

    user: UserInfo
    token: str = field(repr=False)
    ends_at: datetime


def list_users() -> tuple[UserInfo, ...]:
    """Return all users, in the order in which they were added."""
    return tuple(map(make_user_info, User.select().order_by(User.id)))


def find_user_by_email(email: str) -> UserInfo:
    """Return the user of this address; raises NotFound, and AddressError if it is invalid."""
    user: User | None = User.get_or_none(User.email == email_address.parse(email).key)
    if user is None:
        raise NotFound("there is no user of that address")
    return make_user_info(user)


def add_user(
    database: Database, email: str, *, role: Role, now: datetime, actor: str
) -> IssuedInvitation:
    """Add a user with a one-time link; raises AddressError, and Refused if the address is taken."""
    key = email_address.parse(email).key
    with database.atomic():
        _lock_users()
        if User.select().where(User.email == key).exists():
            raise Refused("there is a user of that address already")
        delete_unclaimed_admins()
        return _make_link(_create_user(key, role=role, now=now, actor=actor), now=now)


def has_admin() -> bool:
    """Say whether any admin has ever chosen a password, also if it has been reset since."""
    has_chosen = (User.password != "") | User.password_at.is_null(is_null=False)
    return bool(User.select().where(User.role == Role.ADMIN, has_chosen).exists())


def invite_first_admin(database: Database, *, now: datetime, actor: str) -> IssuedInvitation | None:
    """Make a one-time link for the first admin; return None once an admin has chosen a password.

    The person who opens it gives their address, if it is not known. Earlier links go on working, as
    one may be in use.
    """
    with database.atomic():
        _lock_users()
        if has_admin():
            return None
        user: User | None = User.select().where(User.role == Role.ADMIN).order_by(User.id).first()
        if user is None:
            user = _create_user("", role=Role.ADMIN, now=now, actor=actor)
        return _make_link(user, now=now)


def invite_user(
    database: Database, user_id: int, *, now: datetime, actor: str, renews_second_step: bool = False
) -> IssuedInvitation:
    """Make a new one-time link with which a user chooses a password; older links end.

    - `renews_second_step`: also resets the app and the recovery codes, when the user has lost both.
      The password is reset too, so that a person who knows it cannot set up another app.
    - Raises NotFound.
    """
    with database.atomic():
        user = _lock_user(user_id)
        if renews_second_step:
            user.password, user.totp_secret, user.totp_step = "", "", 0
            user.save()
            RecoveryCode.delete().where(RecoveryCode.user == user_id).execute()
            sessions.end_all_sessions(user_id, now=now)
        invitation = _renew_link(user, now=now)
        consent = {"renews_second_step": renews_second_step}
        _append_entry("user_invited", user_id, now=now, actor=actor, consent=consent)
    return invitation


def find_invitation(token: str, *, now: datetime) -> UserInfo | None:
    """Return the user of a one-time link, None if it is unknown, used or expired."""
    invitation: Invitation | None = (
        Invitation.select(Invitation, User)
        .join(User)
        .where(*_make_usable_conditions(token, now))
        .first()
    )
    return None if invitation is None else make_user_info(invitation.user)


def use_invitation(token: str, *, now: datetime) -> UserInfo:
    """Use a one-time link up, in the caller's transaction; return its user.

    Of two requests at once only one succeeds, by the row count of a conditional UPDATE. Raises
    NotFound.
    """
    _lock_users()
    user = find_invitation(token, now=now)
    used = Invitation.update(used_at=now).where(*_make_usable_conditions(token, now)).execute()
    if user is None or not used:
        raise NotFound("this link works no longer")
    return user


def delete_open_links(user_id: int) -> None:
    """Delete a user's one-time links that nobody has used, in the caller's transaction."""
    _lock_users()
    Invitation.delete().where(Invitation.user == user_id, Invitation.used_at.is_null()).execute()


def change_role(
    database: Database, user_id: int, *, role: Role, end_webhooks: End, now: datetime, actor: str
) -> UserInfo:
    """Make a user an admin or a viewer; raises NotFound, and Refused for the last admin.

    The API tokens and webhooks of a new viewer end: they show what a viewer may not see.

    - `end_webhooks`: ends the webhooks that an actor added, in the transaction, and returns the
      entries to append.
    """
    with database.atomic():
        user = _lock_user(user_id)
        if role is not Role.ADMIN:
            _refuse_last_admin(user)
        if user.role != role:
            user.role = role
            user.save()
            subject, consent = make_actor(user_id), {"role": role}
            is_admin = role is Role.ADMIN
            grant_entries = (
                () if is_admin else _end_grants(subject, end_webhooks, now=now, actor=actor)
            )
            role_entry = Entry(
                event="user_role_changed", at=now, actor=actor, subject=subject, consent=consent
            )
            chain.append(*grant_entries, role_entry)
    return make_user_info(user)


def remove_user(
    database: Database, user_id: int, *, end_webhooks: End, now: datetime, actor: str
) -> UserInfo:
    """Remove a user and erase their address, also from evidence; their acts stay.

    The API tokens and webhooks that they made end too.

    - `end_webhooks`: as for `change_role`.
    - Raises NotFound, and Refused for the last admin.
    """
    with database.atomic():
        user = _lock_user(user_id)
        _refuse_last_admin(user)
        removed = make_user_info(user)
        user.delete_instance()
        subject, parts = make_actor(user_id), ("person", "trace")
        grant_entries = _end_grants(subject, end_webhooks, now=now, actor=actor)
        seqs = chain.erase_parts(subject, parts)
        erased_parts = {"seqs": seqs, "parts": list(parts)}
        chain.append(
            *grant_entries,
            Entry(event="user_removed", at=now, actor=actor, subject=subject),
            Entry(event="erased", at=now, actor=actor, subject=subject, consent=erased_parts),
        )
    return removed


def set_language(database: Database, user_id: int, language: str) -> None:
    """Save the language in which a user reads the pages, "" for that of the browser."""
    with database.atomic():
        User.update(language=language).where(User.id == user_id).execute()


def end_own_session(database: Database, session_id: int, *, user_id: int, now: datetime) -> None:
    """End one of a user's own sessions; harmless if it has ended or is another user's."""
    with database.atomic():
        if sessions.end_session(database, session_id, user_id=user_id, now=now):
            _append_entry("session_ended", user_id, now=now, actor=make_actor(user_id))


def log_out(database: Database, session_id: int, *, user_id: int, now: datetime) -> None:
    """End the current session of a user; a half session leaves no entry, as its login left none."""
    with database.atomic():
        was_full = Session.select().where(Session.id == session_id, Session.is_full).exists()
        if sessions.end_session(database, session_id, user_id=user_id, now=now) and was_full:
            _append_entry("logged_out", user_id, now=now, actor=make_actor(user_id))


def end_sessions(database: Database, user_id: int, *, now: datetime, actor: str) -> None:
    """End all sessions of a user; raises NotFound."""
    with database.atomic():
        _lock_user(user_id)
        sessions.end_all_sessions(user_id, now=now)
        _append_entry("sessions_ended", user_id, now=now, actor=actor)


def delete_unclaimed_admins(*, except_id: int = 0) -> None:
    """Delete first admins that never gave an address, and so their links.

    In the caller's transaction.

    - `except_id`: a user to keep.
    """
    User.delete().where(User.email == "", User.id != except_id).execute()


def make_expired_condition(now: datetime) -> Any:
    """Return the condition for one-time links that are used or expired."""
    return Invitation.used_at.is_null(is_null=False) | (Invitation.expires_at <= now)


def _renew_link(user: User, *, now: datetime) -> IssuedInvitation:
    delete_open_links(user.id)
    return _make_link(user, now=now)


def _make_link(user: User, *, now: datetime) -> IssuedInvitation:
    token, ends_at = secrets.token_urlsafe(_BYTES), now + INVITATION_LIFETIME
    Invitation.create(user=user.id, digest=hash_secret(token), expires_at=ends_at)
    return IssuedInvitation(user=make_user_info(user), token=token, ends_at=ends_at)


def _end_grants(maker: str, end_webhooks: End, *, now: datetime, actor: str) -> list[Entry]:
    """End a user's API tokens and webhooks, in the caller's transaction; return their entries."""
    entries = api_tokens.revoke_user_tokens(maker, now=now, actor=actor)
    return [*entries, *end_webhooks(maker, now=now, actor=actor)]


def _make_usable_conditions(token: str, now: datetime) -> tuple[Any, ...]:
    return (
        Invitation.digest == hash_secret(token),
        Invitation.used_at.is_null(),
        Invitation.expires_at > now,
    )


def _create_user(email: str, *, role: Role, now: datetime, actor: str) -> User:
    """Add a user under a number that was never used: evidence still names removed users.

    SQLite would reuse the number of the last one.
    """
    user_id = int(_lock_users().value) + 1
    Meta.update(value=str(user_id)).where(Meta.key == _LAST_ID_KEY).execute()
    user = User.create(id=user_id, email=email, role=role, created_at=now, force_insert=True)
    _append_entry("user_added", user_id, now=now, actor=actor, consent={"role": role}, email=email)
    return user


def _lock_users() -> Meta:
    """Lock all changes of users: two admins must not demote each other at once."""
    Meta.insert(key=_LAST_ID_KEY, value="0").on_conflict_ignore().execute()
    row: Meta = lock_rows(Meta.select().where(Meta.key == _LAST_ID_KEY)).get()
    return row


def _lock_user(user_id: int) -> User:
    _lock_users()
    user: User | None = lock_rows(User.select().where(User.id == user_id)).first()
    if user is None:
        raise NotFound("there is no such user")
    return user


def _refuse_last_admin(user: User) -> None:
    """Raise Refused if no other admin could log in."""
    others = User.select().where(User.role == Role.ADMIN, User.id != user.id)
    if user.password:
        others = others.where(User.password != "")
    if user.role == Role.ADMIN and not others.exists():
        raise Refused("this is the last admin; make somebody else one first")


def _append_entry(
    event: str,
    user_id: int,
    *,
    now: datetime,
    actor: str,
    consent: Mapping[str, Any] | None = None,
    email: str = "",
) -> None:
    """Append an entry about a user; the last step of the act's transaction."""
    person = {"address": email} if email else {}
    chain.append(
        Entry(
            event=event,
            at=now,
            actor=actor,
            subject=make_actor(user_id),
            consent=consent or {},
            person=person,
        )
    )
