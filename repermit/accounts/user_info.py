"""Users as plain values, for pages and rules."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from repermit.db.models.accounts import User


class Role(StrEnum):
    """The role of a user: an admin may do everything, a viewer may see counts."""

    ADMIN = "admin"
    VIEWER = "viewer"


@dataclass(frozen=True, kw_only=True)
class UserInfo:
    """A user; `language` is "" for the browser's language."""

    id: int
    email: str
    role: Role
    language: str
    created_at: datetime
    has_password: bool
    has_second_step: bool

    @property
    def actor(self) -> str:
        """The user's name in evidence."""
        return make_actor(self.id)


def make_actor(user_id: int) -> str:
    """Return a user's name in evidence, as actor and as subject: a number, never an address."""
    return f"user:{user_id}"


def make_user_info(user: User) -> UserInfo:
    """Return a user's row as values, without secrets."""
    return UserInfo(
        id=user.id,
        email=user.email,
        role=Role(user.role),
        language=user.language,
        created_at=user.created_at,
        has_password=bool(user.password),
        has_second_step=bool(user.totp_secret),
    )
