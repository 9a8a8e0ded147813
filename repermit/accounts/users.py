"""Adding people, inviting them, changing what they may do, removing them.

Evidence names a user by number; the address stands in a part of its own, which goes with them.
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
"""How long a one-time link works."""

_LAST_ID_KEY = "last_user"
_BYTES = 32


@dataclass(frozen=True, kw_only=True)
class IssuedInvitation:
    """Somebody with a fresh one-time link; `token` is shown now and never again."""

    person: UserInfo
    token: str = field(repr=False)
    ends_at: datetime


def list_users() -> tuple[UserInfo, ...]:
    """Return everybody who may log in, in the order of their coming."""
    return tuple(map(make_user_info, User.select().order_by(User.id)))


def find_user_by_email(email: str) -> UserInfo:
    """Return the user of this address; raises NotFound, and AddressError for what is none."""
    user: User | None = User.get_or_none(User.email == email_address.parse(email).key)
    if user is None:
        raise NotFound("there is no user of that address")
    return make_user_info(user)


def add_user(
    database: Database, email: str, *, role: Role, now: datetime, actor: str
) -> IssuedInvitation:
    """Add somebody, with a one-time link; raises AddressError, and Refused if they are there."""
    key = email_address.parse(email).key
    with database.atomic():
        _lock_users()
        if User.select().where(User.email == key).exists():
            raise Refused("there is a user of that address already")
        delete_unclaimed_admins()
        return _make_link(_create_user(key, role=role, now=now, actor=actor), now=now)


def has_admin() -> bool:
    """Say whether an admin has ever chosen a password, also one who is to choose another."""
    has_chosen = (User.password != "") | User.password_at.is_null(is_null=False)
    return bool(User.select().where(User.role == Role.ADMIN, has_chosen).exists())


def invite_first_admin(database: Database, *, now: datetime, actor: str) -> IssuedInvitation | None:
    """Make a one-time link for the first admin, None once an admin has chosen a password.

    Whoever opens it says who they are, if that is not known. Links from before go on working: one
    may be under way.
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
    """Make a fresh one-time link with which a user chooses a password; older ones end.

    `renews_second_step` is for whoever has lost phone and recovery codes; then the password ends
    too, so that whoever knows it cannot set up an app of their own. Raises NotFound.
    """
    with database.atomic():
        user = _lock_user(user_id)
        if renews_second_step:
            user.password, user.totp_secret, user.totp_step = "", "", 0
            user.save()
            RecoveryCode.delete().where(RecoveryCode.user == user_id).execute()
            sessions.end_all_sessions(user_id, now=now)
        invited = _renew_link(user, now=now)
        consent = {"renews_second_step": renews_second_step}
        _append_entry("user_invited", user_id, now=now, actor=actor, consent=consent)
    return invited


def find_invitation(token: str, *, now: datetime) -> UserInfo | None:
    """Return whose one-time link this is, None if it is none, has been used or has ended."""
    invitation: Invitation | None = (
        Invitation.select(Invitation, User)
        .join(User)
        .where(*_make_usable_conditions(token, now))
        .first()
    )
    return None if invitation is None else make_user_info(invitation.user)


def use_invitation(token: str, *, now: datetime) -> UserInfo:
    """Use a one-time link up, in the caller's transaction; return whose it was.

    Of two at once one alone gets in: the row count of one conditional UPDATE says which. Raises
    NotFound.
    """
    _lock_users()
    person = find_invitation(token, now=now)
    used = Invitation.update(used_at=now).where(*_make_usable_conditions(token, now)).execute()
    if person is None or not used:
        raise NotFound("this link works no longer")
    return person


def delete_open_links(user_id: int) -> None:
    """Delete a user's one-time links that nobody has used, in the caller's transaction."""
    _lock_users()
    Invitation.delete().where(Invitation.user == user_id, Invitation.used_at.is_null()).execute()


def change_role(
    database: Database, user_id: int, *, role: Role, end_webhooks: End, now: datetime, actor: str
) -> UserInfo:
    """Make somebody an admin or a viewer; raises NotFound, and Refused for the last admin.

    The tokens of who becomes a viewer end, and so do their webhooks: they tell what a viewer may
    not see. `end_webhooks` ends those that an actor added, as webhooks know them, within the
    transaction, and returns what to append.
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
    """Remove somebody and erase their address, also from evidence; what they did stays.

    The tokens that they made end too, since they know them, and the webhooks that they added, since
    they chose who is told; `end_webhooks` is as for `change_role`.
    Raises NotFound, and Refused for the last admin.
    """
    with database.atomic():
        user = _lock_user(user_id)
        _refuse_last_admin(user)
        removed = make_user_info(user)
        user.delete_instance()
        subject, parts = make_actor(user_id), ("person", "trace")
        grant_entries = _end_grants(subject, end_webhooks, now=now, actor=actor)
        seqs = chain.erase_parts(subject, parts)
        erasure = {"seqs": seqs, "parts": list(parts)}
        chain.append(
            *grant_entries,
            Entry(event="user_removed", at=now, actor=actor, subject=subject),
            Entry(event="erased", at=now, actor=actor, subject=subject, consent=erasure),
        )
    return removed


def set_language(database: Database, user_id: int, language: str) -> None:
    """Keep in which language somebody reads the pages, "" for what their browser would read."""
    with database.atomic():
        User.update(language=language).where(User.id == user_id).execute()


def end_own_session(database: Database, session_id: int, *, user_id: int, now: datetime) -> None:
    """End one of somebody's sessions as they ask; harmless if it has ended or is another's."""
    with database.atomic():
        if sessions.end_session(database, session_id, user_id=user_id, now=now):
            _append_entry("session_ended", user_id, now=now, actor=make_actor(user_id))


def log_out(database: Database, session_id: int, *, user_id: int, now: datetime) -> None:
    """End the session in which somebody is; half a login leaves no entry, as it had none."""
    with database.atomic():
        was_full = Session.select().where(Session.id == session_id, Session.is_full).exists()
        if sessions.end_session(database, session_id, user_id=user_id, now=now) and was_full:
            _append_entry("logged_out", user_id, now=now, actor=make_actor(user_id))


def end_sessions(database: Database, user_id: int, *, now: datetime, actor: str) -> None:
    """Log somebody out everywhere; raises NotFound."""
    with database.atomic():
        _lock_user(user_id)
        sessions.end_all_sessions(user_id, now=now)
        _append_entry("sessions_ended", user_id, now=now, actor=actor)


def delete_unclaimed_admins(*, but: int = 0) -> None:
    """Delete a first admin who never came, in the caller's transaction, and so their link."""
    User.delete().where(User.email == "", User.id != but).execute()


def make_expired_condition(now: datetime) -> Any:
    """Return the condition for links that work no longer."""
    return Invitation.used_at.is_null(is_null=False) | (Invitation.expires_at <= now)


def _renew_link(user: User, *, now: datetime) -> IssuedInvitation:
    delete_open_links(user.id)
    return _make_link(user, now=now)


def _make_link(user: User, *, now: datetime) -> IssuedInvitation:
    token, ends_at = secrets.token_urlsafe(_BYTES), now + INVITATION_LIFETIME
    Invitation.create(user=user.id, digest=hash_secret(token), expires_at=ends_at)
    return IssuedInvitation(person=make_user_info(user), token=token, ends_at=ends_at)


def _end_grants(maker: str, end_webhooks: End, *, now: datetime, actor: str) -> list[Entry]:
    """End what somebody let programs know, in the caller's transaction; return what to append."""
    entries = api_tokens.revoke_tokens_of(maker, now=now, actor=actor)
    return [*entries, *end_webhooks(maker, now=now, actor=actor)]


def _make_usable_conditions(token: str, now: datetime) -> tuple[Any, ...]:
    return (
        Invitation.digest == hash_secret(token),
        Invitation.used_at.is_null(),
        Invitation.expires_at > now,
    )


def _create_user(email: str, *, role: Role, now: datetime, actor: str) -> User:
    """Add a user under a number that none ever had: evidence goes on naming who was removed.

    SQLite would give the last one's number again.
    """
    user_id = int(_lock_users().value) + 1
    Meta.update(value=str(user_id)).where(Meta.key == _LAST_ID_KEY).execute()
    user = User.create(id=user_id, email=email, role=role, created_at=now, force_insert=True)
    _append_entry("user_added", user_id, now=now, actor=actor, consent={"role": role}, email=email)
    return user


def _lock_users() -> Meta:
    """Let one alone change who is who: two admins may not demote each other at once."""
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
    """Refuse if no admin would be left who can log in."""
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
    """Append what was done to a user; the last step of the act's transaction."""
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
