"""The tables of users: accounts, sessions, invitations, API tokens, and accesses to data.

Passwords are stored as argon2id hashes, and all other secrets that open something as SHA-256.
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
    """A user.

    - `password`: "" until the user has chosen one.
    - `totp_secret`: encrypted; "" until the second step is set up.
    - `totp_step`: the last time step (of 30 seconds) whose code was used, so that no code works
      twice (RFC 6238 §5.2).
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
    """A code that replaces the second step once.

    - `hash`: the argon2 hash of the code's SHA-256.
    - `selector`: the beginning of that SHA-256, by which the row is found.
    - `digest`: the whole SHA-256 of a code from an earlier version, until it is hashed; else "".
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
    """A link with which a user chooses a password, once and before it expires."""

    if TYPE_CHECKING:
        user_id: int

    id = AutoField()
    user = ForeignKeyField(User, backref="invitations", on_delete="CASCADE")
    digest = CharField(max_length=64, unique=True)
    expires_at = timestamp_field()
    used_at = optional_timestamp_field()


class Session(Table):
    """A login session of a browser.

    - `digest`: the SHA-256 of the token in its cookie.
    - `is_full`: whether the second step is done.
    - `is_locked`: whether the user has locked it; it is also locked some idle time after `seen_at`.
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
    """The failed logins of a scope (an account or a network); `next_at` is when to try again."""

    scope = CharField(primary_key=True)
    failures = IntegerField(default=0)
    last_at = timestamp_field(index=True)
    next_at = timestamp_field()


class SecurityEvent(Table):
    """The number of refused logins, codes, forms or tokens of one kind in an hour.

    - `actor`: the account concerned; "" for an unknown one, as typed addresses are not stored.
    - `network`: the truncated address range of the client.

    Deleted after `access_days`.
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
    """A bearer token of the API; `scopes` are words separated by spaces."""

    id = AutoField()
    name = CharField()
    digest = CharField(max_length=64, unique=True)
    scopes = CharField()
    created_by = CharField()
    created_at = timestamp_field()
    used_at = optional_timestamp_field()
    revoked_at = optional_timestamp_field()


class Access(Table):
    """An access of a user to personal data; deleted after `access_days`.

    - `subject`: the contact's; "" for a page or file about many contacts.
    """

    id = BigAutoField()
    at = timestamp_field(index=True)
    actor = CharField()
    act = CharField()
    list = CharField(default="")
    subject = CharField(max_length=32, default="")
