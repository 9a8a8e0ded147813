"""The bearer tokens of the API: made, found, revoked.

Of a token its SHA-256 is kept, nothing else: it is 256 random bits, so that no slower hash is
needed.
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

# --- What is kept of a secret that a machine made at random. --------------------------------------


def hash_secret(secret: str) -> str:
    """Return the SHA-256 of a token, link or code as hex."""
    return hashlib.sha256(secret.encode()).hexdigest()


# --- The bearer tokens of the API. ----------------------------------------------------------------


SCOPES = ("read:status", "read:contacts", "read:answers")
"""What a token may be for: counts; one contact by its address; answers and removals."""

_PREFIX = "rp_"
_BYTES = 32
_MAX_NAME_LENGTH = 60
_USE_NOTE_INTERVAL = timedelta(hours=1)


@dataclass(frozen=True, kw_only=True)
class NewToken:
    """A fresh token; `bearer` ("rp_…") is shown now and never again."""

    id: int
    bearer: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class TokenInfo:
    """What is known of a token; `used_at` is right to the hour, None if it was never used."""

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
    """Make a token that holds until it is revoked; raises Refused for a name or scopes amiss."""
    tidy_name = " ".join(name.split())
    # The name stands in evidence, where no address may be that cannot be erased.
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
    """End a token at once and for good; raises NotFound."""
    with database.atomic():
        revoked = (
            ApiToken.update(revoked_at=now)
            .where(ApiToken.id == token_id, ApiToken.revoked_at.is_null())
            .execute()
        )
        if not revoked:
            raise NotFound("there is no such token")
        ended = ApiToken.get_by_id(token_id)
        chain.append(_make_entry("token_revoked", ended, now=now, actor=actor))


def revoke_tokens_of(maker: str, *, now: datetime, actor: str) -> list[Entry]:
    """End all tokens that somebody made, in the caller's transaction; return what to append."""
    open_tokens = ApiToken.select().where(
        ApiToken.created_by == maker, ApiToken.revoked_at.is_null()
    )
    revoked = list(open_tokens.order_by(ApiToken.id))
    ApiToken.update(revoked_at=now).where(
        ApiToken.id.in_([token.id for token in revoked])
    ).execute()
    return [_make_entry("token_revoked", token, now=now, actor=actor) for token in revoked]


def list_tokens() -> tuple[TokenInfo, ...]:
    """Return all tokens, also those that were revoked, in the order of their making."""
    return tuple(map(_make_info, ApiToken.select().order_by(ApiToken.id)))


def find_token(bearer: str) -> TokenInfo | None:
    """Return the token that somebody shows, None if it is none of ours or was revoked."""
    token: ApiToken | None = ApiToken.get_or_none(
        ApiToken.digest == hash_secret(bearer), ApiToken.revoked_at.is_null()
    )
    return None if token is None else _make_info(token)


def should_record_token_use(token: TokenInfo, *, now: datetime) -> bool:
    """Say whether the last use that is noted was long enough ago."""
    return token.used_at is None or token.used_at <= now - _USE_NOTE_INTERVAL


def record_token_use(token: TokenInfo, *, now: datetime) -> None:
    """Note that a token was used, within the caller's transaction."""
    ApiToken.update(used_at=now).where(ApiToken.id == token.id).execute()


def _sort_scopes(scopes: Collection[str]) -> list[str]:
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown or not scopes:
        raise Refused(
            "a token may be for %(scopes)s; choose one or more", scopes=LazyJoin(tuple(SCOPES))
        )
    return [scope for scope in SCOPES if scope in scopes]


def _make_info(found: ApiToken) -> TokenInfo:
    return TokenInfo(
        id=found.id,
        name=found.name,
        scopes=tuple(found.scopes.split()),
        created_by=found.created_by,
        created_at=found.created_at,
        used_at=found.used_at,
        revoked_at=found.revoked_at,
    )


def _make_entry(event: str, token: ApiToken, *, now: datetime, actor: str) -> Entry:
    facts: dict[str, Any] = {"token": token.id, "name": token.name, "scopes": token.scopes.split()}
    return Entry(event=event, at=now, actor=actor, consent=facts)
