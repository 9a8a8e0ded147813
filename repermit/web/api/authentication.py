"""Authentication of the API: bearer tokens with scopes (RFC 6750), and rate limits.

A token is accepted in the header only, since URLs end up in logs.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial, wraps
from typing import ParamSpec, TypeVar

from flask import current_app, g, request

from repermit.accounts import api_tokens, audit_log
from repermit.accounts.api_tokens import TokenInfo
from repermit.accounts.audit_log import SecurityEventKind
from repermit.db.models.lists import MailingList
from repermit.web.api.problems import ApiError
from repermit.web.client_address import mask_network
from repermit.web.request_context import get_arrival, record_refused_attempt, write_note

# --- Rate limits, per token or network. -----------------------------------------------------------


PER_MINUTE = 120
BURST = 60

_INTERVAL = timedelta(minutes=1) / PER_MINUTE
_MAX_CLIENTS = 10_000


class RateLimits:
    """The rate limits of clients (GCRA); shared by all threads of the application.

    - `burst`: how many requests a client may make at once.
    - `each`: the time after which a client gets one more request.
    """

    def __init__(self, *, burst: int = BURST, each: timedelta = _INTERVAL) -> None:
        self._each = each
        self._room = burst * each
        self._lock = threading.Lock()
        self._full_at: dict[str, datetime] = {}
        self._max_clients = _MAX_CLIENTS

    def take_request(self, client: str, *, now: datetime) -> int:
        """Count one request; return 0, or the seconds to wait if the limit is reached."""
        with self._lock:
            if len(self._full_at) >= self._max_clients:
                self._full_at = {
                    key: timestamp for key, timestamp in self._full_at.items() if timestamp > now
                }
                # Where most of them are active, not every request is to go through them all.
                self._max_clients = max(_MAX_CLIENTS, 2 * len(self._full_at))
            full_at = max(self._full_at.get(client, now), now) + self._each
            wait = full_at - now - self._room
            if wait > timedelta(0):
                return math.ceil(wait.total_seconds())
            self._full_at[client] = full_at
            return 0


# --- Tokens and scopes. ---------------------------------------------------------------------------


P = ParamSpec("P")
R = TypeVar("R")

_CHALLENGE = 'Bearer realm="repermit"'


def require_scope(scope: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Return a decorator that requires a token with this scope."""

    def guard(view: Callable[P, R]) -> Callable[P, R]:
        @wraps(view)
        def guarded(*arguments: P.args, **options: P.kwargs) -> R:
            g.token = _authenticate(scope)
            return view(*arguments, **options)

        return guarded

    return guard


def for_everybody(view: Callable[P, R]) -> Callable[P, R]:
    """Allow a view without a token, with a rate limit."""

    @wraps(view)
    def guarded(*arguments: P.args, **options: P.kwargs) -> R:
        _take_request(_get_network())
        return view(*arguments, **options)

    return guarded


def record_access(act: str, *, mailing_list: MailingList | None, subject: str = "") -> None:
    """Record that the program reads personal data, before the response is made."""
    write_note(
        partial(
            audit_log.record_access,
            now=get_arrival(),
            actor=f"api:{g.token.name}",
            act=act,
            mailing_list=mailing_list,
            subject=subject,
        )
    )


def _authenticate(scope: str) -> TokenInfo:
    token = _read_token()
    _take_request(f"token {token.id}")
    if scope not in token.scopes:
        record_refused_attempt(SecurityEventKind.TOKEN_REFUSED, actor=f"api:{token.name}")
        raise ApiError(
            403,
            f"This token is not for {scope}.",
            headers=_make_challenge("insufficient_scope", scope=scope),
        )
    now = get_arrival()
    if api_tokens.should_record_token_use(token, now=now):
        write_note(partial(api_tokens.record_token_use, token, now=now))
    return token


def _read_token() -> TokenInfo:
    """Return the token of the request; a missing or unknown one counts against the rate limit."""
    scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        _take_request(_get_network())
        # RFC 6750 §3.1: no error code for a request without any token.
        raise ApiError(
            401,
            "Show a token: Authorization: Bearer rp_…",
            headers={"WWW-Authenticate": _CHALLENGE},
        )
    token = api_tokens.find_token(bearer.strip())
    if token is None:
        _take_request(_get_network())
        record_refused_attempt(SecurityEventKind.TOKEN_REFUSED)
        raise ApiError(
            401, "This token is unknown or was revoked.", headers=_make_challenge("invalid_token")
        )
    return token


def _make_challenge(error: str, **attributes: str) -> dict[str, str]:
    parts = "".join(f', {name}="{value}"' for name, value in {"error": error, **attributes}.items())
    return {"WWW-Authenticate": _CHALLENGE + parts}


def _get_network() -> str:
    return f"network {mask_network(request.remote_addr or '')}"


def _take_request(client: str) -> None:
    limits: RateLimits = current_app.extensions["repermit.allowances"]
    wait = limits.take_request(client, now=get_arrival())
    if wait:
        raise ApiError(
            429, f"Too many requests; wait {wait} s.", headers={"Retry-After": str(wait)}
        )
