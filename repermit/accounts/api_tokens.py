"""Making, finding and revoking the bearer tokens of the API.

Only the SHA-256 of a token is stored. It has 256 random bits, so no slower hash is needed.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from repermit.db.connection import Database
from repermit.db.models.accounts import ApiToken
from repermit.errors import NotFound, Refused
from repermit.evidence import chain
from repermit.evidence.entries import Entry
from repermit.i18n.lazy_text import LazyJoin

# --- Hashing random secrets. ----------------------------------------------------------------------


def hash_secret(secret: str) -> str:
    """Return the SHA-256 of a token, link or code as hex."""
    return hashlib.sha256(secret.encode()).hexdigest()


# --- The bearer tokens of the API. ----------------------------------------------------------------


SCOPES = ("read:status", "read:contacts", "read:answers")
"""The scopes of a token: counts; one contact by its address; answers and removals."""

_PREFIX = "rp_"
_BYTES = 32
_MAX_NAME_LENGTH = 60
_USE_NOTE_INTERVAL = timedelta(hours=1)


@dataclass(frozen=True, kw_only=True)
class NewToken:
    """A new token; `bearer` ("rp_…") is shown now and never again."""

    id: int
    bearer: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class TokenInfo:
    """The stored data of a token; `used_at` is exact to the hour, None if it was never used."""

    id: int
    name: str
    scopes: tuple[str, ...]
    created_by: str
    created_at: datetime
    used_at: datetime | None
    revoked_at: datetime | None


def make_token(
    database: Database, name: str, *, scopes: Collection[str], now: datetime, actor: str
) -> NewToken:
    """Make a token that is valid until it is revoked; raises Refused for a bad name or scopes."""
    tidy_name = " ".join(name.split())
    # The evidence has the name, which cannot be erased there, so it must not be an address.
    if (
        not tidy_name
        or len(tidy_name) > _MAX_NAME_LENGTH
        or not tidy_name.isprintable()
        or "@" in tidy_name
    ):
        raise Refused(
            "a token needs a name of up to %(most)s signs, without @: which tool is it for?",
            most=_MAX_NAME_LENGTH,
        )
    ordered = _sort_scopes(scopes)
    bearer = _PREFIX + secrets.token_urlsafe(_BYTES)
    with database.atomic():
        if (
            ApiToken.select()
            .where(ApiToken.name == tidy_name, ApiToken.revoked_at.is_null())
            .exists()
        ):
            raise Refused("there is a token called %(name)s already", name=tidy_name)
        token = ApiToken.create(
            name=tidy_name,
            digest=hash_secret(bearer),
            scopes=" ".join(ordered),
            created_by=actor,
            created_at=now,
        )
        chain.append(_make_entry("token_made", token, now=now, actor=actor))
    return NewToken(id=token.id, bearer=bearer)


def revoke_token(database: Database, token_id: int, *, now: datetime, actor: str) -> None:
    """Revoke a token at once and for good; raises NotFound."""
    with database.atomic():
        revoked = (
            ApiToken.update(revoked_at=now)
            .where(ApiToken.id == token_id, ApiToken.revoked_at.is_null())
            .execute()
        )
        if not revoked:
            raise NotFound("there is no such token")
        token = ApiToken.get_by_id(token_id)
        chain.append(_make_entry("token_revoked", token, now=now, actor=actor))


def revoke_user_tokens(maker: str, *, now: datetime, actor: str) -> list[Entry]:
    """Revoke all tokens that a user made, in the caller's transaction; return their entries."""
    open_tokens = ApiToken.select().where(
        ApiToken.created_by == maker, ApiToken.revoked_at.is_null()
    )
    revoked = list(open_tokens.order_by(ApiToken.id))
    ApiToken.update(revoked_at=now).where(
        ApiToken.id.in_([token.id for token in revoked])
    ).execute()
    return [_make_entry("token_revoked", token, now=now, actor=actor) for token in revoked]


def list_tokens() -> tuple[TokenInfo, ...]:
    """Return all tokens, also revoked ones, the oldest first."""
    return tuple(map(_make_info, ApiToken.select().order_by(ApiToken.id)))


def find_token(bearer: str) -> TokenInfo | None:
    """Return the token of a bearer text; None if it is unknown or revoked."""
    token: ApiToken | None = ApiToken.get_or_none(
        ApiToken.digest == hash_secret(bearer), ApiToken.revoked_at.is_null()
    )
    return None if token is None else _make_info(token)


def should_record_token_use(token: TokenInfo, *, now: datetime) -> bool:
    """Say whether the recorded last use is at least an hour ago."""
    return token.used_at is None or token.used_at <= now - _USE_NOTE_INTERVAL


def record_token_use(token: TokenInfo, *, now: datetime) -> None:
    """Record that a token was used, in the caller's transaction."""
    ApiToken.update(used_at=now).where(ApiToken.id == token.id).execute()


def _sort_scopes(scopes: Collection[str]) -> list[str]:
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown or not scopes:
        raise Refused(
            "a token may be for %(scopes)s; choose one or more", scopes=LazyJoin(tuple(SCOPES))
        )
    return [scope for scope in SCOPES if scope in scopes]


def _make_info(token: ApiToken) -> TokenInfo:
    return TokenInfo(
        id=token.id,
        name=token.name,
        scopes=tuple(token.scopes.split()),
        created_by=token.created_by,
        created_at=token.created_at,
        used_at=token.used_at,
        revoked_at=token.revoked_at,
    )


def _make_entry(event: str, token: ApiToken, *, now: datetime, actor: str) -> Entry:
    scopes = token.scopes.split()
    consent: dict[str, Any] = {"token": token.id, "name": token.name, "scopes": scopes}
    return Entry(event=event, at=now, actor=actor, consent=consent)
