"""Logging in with tokens (XOAUTH2): they are kept, and renewed before they end.

May import clock, errors and this room's way of asking for tokens. No token stands in a text or a
log line.
"""

from __future__ import annotations

import base64
import functools
import smtplib
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from repermit.errors import TransportError
from repermit.mailer.granting import Account, ask_for_token

if TYPE_CHECKING:
    from repermit.clock import Clock

_EARLY = timedelta(minutes=5)
_NEVER = datetime.min.replace(tzinfo=UTC)


class TokenSource:
    """The tokens of one account, for any number of connections and threads."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._lock = threading.Lock()
        self._token = ""
        self._ends_at = self._renewed_at = _NEVER
        self._refresh_token = account.oauth_refresh_token

    def token(self, now: datetime, *, refused: str = "") -> str:
        """Return a token that is good for a while yet; `now` is aware UTC.

        `refused` is one that a server did not take: another one is got, unless somebody else has
        just done so. Raises TransportError of scope "server".
        """
        with self._lock:
            is_refused = self._token == refused
            if is_refused or now >= self._renewed_at:
                self._renew(now, may_keep=not is_refused)
            return self._token

    def _renew(self, now: datetime, *, may_keep: bool) -> None:
        try:
            grant = ask_for_token(self._account, self._refresh_token)
        except TransportError:
            # A sign-in service may be away for a moment without anybody noticing.
            if may_keep and now < self._ends_at:
                return
            raise
        life = timedelta(seconds=grant.seconds)
        self._token = grant.token
        self._ends_at = now + life
        self._renewed_at = now + max(life - _EARLY, life / 2)
        # Microsoft gives a new one each time; the old one ends some day (90 days).
        self._refresh_token = grant.refresh_token or self._refresh_token


@functools.lru_cache(maxsize=8)
def token_source(account: Account) -> TokenSource:
    """Return the one source of an account's tokens in this process: one run uses another's."""
    return TokenSource(account)


def xoauth2(username: str, token: str) -> str:
    """Return what XOAUTH2 logs in with, not yet in base64.

    https://developers.google.com/workspace/gmail/imap/xoauth2-protocol, and the same at Microsoft.
    """
    return f"user={username}\x01auth=Bearer {token}\x01\x01"


def log_in(host: smtplib.SMTP, username: str, tokens: TokenSource, clock: Clock) -> None:
    """Log in, and once more with a new token if the server does not take the first.

    Raises OSError as smtplib's own `login` does, and TransportError if there is no token.
    """
    # A token is not shown to a server that has not asked for one.
    if "XOAUTH2" not in host.esmtp_features.get("auth", "").upper().split():
        raise smtplib.SMTPNotSupportedError("XOAUTH2 is not offered")
    token = tokens.token(clock.now())
    code, words = _authenticate(host, xoauth2(username, token))
    if code == _REFUSED:
        token = tokens.token(clock.now(), refused=token)
        code, words = _authenticate(host, xoauth2(username, token))
    if code != _WELCOME:
        raise smtplib.SMTPAuthenticationError(code, words)


# RFC 4954 §4 and §6.
_WELCOME, _GO_ON, _REFUSED = 235, 334, 535


def _authenticate(host: smtplib.SMTP, login: str) -> tuple[int, bytes]:
    code, words = host.docmd("AUTH", f"XOAUTH2 {base64.b64encode(login.encode()).decode()}")
    # Why a token is refused comes as a challenge, which an empty line answers; then the refusal.
    return host.docmd("") if code == _GO_ON else (code, words)
