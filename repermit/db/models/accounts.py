"""The tables of those who log in: users, sessions, one-time links, tokens, looks.

Passwords are kept as argon2id hashes, and everything else that opens something as its SHA-256.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from peewee import (
    AutoField,
    BigAutoField,
    BigIntegerField,
    BooleanField,
    CharField,
    ForeignKeyField,
    IntegerField,
    TextField,
)

from repermit.db.models.base import Table, optional_timestamp_field, timestamp_field


class User(Table):
    """Somebody who may log in; `password` is "" until they have chosen one.

    `totp_secret` is sealed, and "" until the second step has been set up; `totp_step` is the last
    time step (30 seconds each) whose code was used, so that no code works twice (RFC 6238 §5.2).
    """

    id = AutoField()
    email = CharField(unique=True)
    role = CharField()
    language = CharField(default="")
    password = TextField(default="")
    password_at = optional_timestamp_field()
    totp_secret = CharField(default="")
    totp_step = BigIntegerField(default=0)
    created_at = timestamp_field()


class RecoveryCode(Table):
    """A code that stands for the second step once.

    `hash` is the argon2 hash of the code's SHA-256, of which `selector` is the beginning, by which
    the row is found. A code from before has its whole SHA-256 as `digest`, until it is hashed.
    """

    if TYPE_CHECKING:
        user_id: int

    id = AutoField()
    user = ForeignKeyField(User, backref="recovery_codes", on_delete="CASCADE")
    digest = CharField(max_length=64, default="")
    selector = CharField(max_length=8, default="")
    hash = CharField(default="")
    used_at = optional_timestamp_field()


class Invitation(Table):
    """A link with which its user chooses a password, once and before it ends."""

    if TYPE_CHECKING:
        user_id: int

    id = AutoField()
    user = ForeignKeyField(User, backref="invitations", on_delete="CASCADE")
    digest = CharField(max_length=64, unique=True)
    expires_at = timestamp_field()
    used_at = optional_timestamp_field()


class Session(Table):
    """A browser in which somebody has logged in; its cookie holds what `digest` is made of.

    It is full once `is_full`, after the second step. It is locked after some idle time since
    `seen_at`, or when `is_locked`.
    """

    if TYPE_CHECKING:
        user_id: int

    id = AutoField()
    user = ForeignKeyField(User, backref="sessions", on_delete="CASCADE")
    digest = CharField(max_length=64, unique=True)
    is_full = BooleanField(default=False)
    is_locked = BooleanField(default=False)
    created_at = timestamp_field()
    seen_at = timestamp_field()
    network = CharField(default="")
    browser = TextField(default="")
    ended_at = optional_timestamp_field()


class Throttle(Table):
    """How often a login went wrong for a scope (an account or a network), and when to go on."""

    scope = CharField(primary_key=True)
    failures = IntegerField(default=0)
    last_at = timestamp_field(index=True)
    next_at = timestamp_field()


class SecurityEvent(Table):
    """That a login, a code, a press or a program was refused, as often as it was in an hour.

    `actor` is whose account it was about, "" for whoever has none here, and `network` whence it
    came, in part; no address that was typed stands here. Kept `access_days`.
    """

    id = BigAutoField()
    hour = timestamp_field()
    at = timestamp_field(index=True)
    last_at = timestamp_field()
    what = CharField()
    actor = CharField(default="")
    network = CharField(default="")
    times = IntegerField(default=1)

    class Meta:
        """One row for each hour, kind, account and network."""

        indexes = ((("hour", "what", "actor", "network"), True),)


class ApiToken(Table):
    """A bearer token of the API; `scopes` are words with blanks between."""

    id = AutoField()
    name = CharField()
    digest = CharField(max_length=64, unique=True)
    scopes = CharField()
    created_by = CharField()
    created_at = timestamp_field()
    used_at = optional_timestamp_field()
    revoked_at = optional_timestamp_field()


class Access(Table):
    """That somebody looked at personal data: who, when, at what; kept `access_days`.

    `subject` is the contact's, "" where it was a page or file about many.
    """

    id = BigAutoField()
    at = timestamp_field(index=True)
    actor = CharField()
    act = CharField()
    list = CharField(default="")
    subject = CharField(max_length=32, default="")
