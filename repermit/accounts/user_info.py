"""Who may log in, as values: what a page or a rule needs to know of a user."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from repermit.db.models.accounts import User


class Role(StrEnum):
    """What somebody may do: everything, or see counts."""

    ADMIN = "admin"
    VIEWER = "viewer"


@dataclass(frozen=True, kw_only=True)
class UserInfo:
    """A user; `language` is "" for whatever the browser would read."""

    id: int
    email: str
    role: Role
    language: str
    created_at: datetime
    has_password: bool
    has_second_step: bool

    @property
    def actor(self) -> str:
        """Return how evidence names them: by a number, since it may hold no address."""
        return make_actor(self.id)


def make_actor(user_id: int) -> str:
    """Return how evidence names a user, as one who acts and as one who is acted on."""
    return f"user:{user_id}"


def make_user_info(user: User) -> UserInfo:
    """Return a user's row as values, without what opens anything."""
    return UserInfo(
        id=user.id,
        email=user.email,
        role=Role(user.role),
        language=user.language,
        created_at=user.created_at,
        has_password=bool(user.password),
        has_second_step=bool(user.totp_secret),
    )
