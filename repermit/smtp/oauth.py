"""OAuth tokens for mail logins (XOAUTH2): requested, cached, and renewed before they expire.

No token is part of an error's text or of a log line.
"""

from __future__ import annotations

import base64
import functools
import http.client
import json
import re
import smtplib
import threading
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from repermit.errors import TransportError
from repermit.i18n.lazy_text import LazyText
from repermit.smtp.connection import make_tls_context

if TYPE_CHECKING:
    from repermit.clock import Clock
    from repermit.settings.definitions import Bounces, MailServer

    Account = MailServer | Bounces

_RENEWAL_MARGIN = timedelta(minutes=5)
_NEVER = datetime.min.replace(tzinfo=UTC)


class TokenSource:
    """The tokens of one account, for any number of connections and threads."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._lock = threading.Lock()
        self._token = ""
        self._ends_at = self._renewed_at = _NEVER
        self._refresh_token = account.oauth_refresh_token

    def get_token(self, now: datetime, *, refused: str = "") -> str:
        """Return a token that stays valid for a while.

        - `now`: aware UTC.
        - `refused`: a token that a server refused; it is renewed, unless another thread has just
          done so.
        - Raises TransportError of scope "server".
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
            # A short outage of the sign-in service does not matter while the token is valid.
            if may_keep and now < self._ends_at:
                return
            raise
        life = timedelta(seconds=grant.seconds)
        self._token = grant.token
        self._ends_at = now + life
        self._renewed_at = now + max(life - _RENEWAL_MARGIN, life / 2)
        # Microsoft returns a new refresh token each time; the old one expires after 90 days.
        self._refresh_token = grant.refresh_token or self._refresh_token


@functools.lru_cache(maxsize=8)
def get_token_source(account: Account) -> TokenSource:
    """Return the only token source of an account in this process, so that all runs share tokens."""
    return TokenSource(account)


def make_xoauth2_response(username: str, token: str) -> str:
    """Return the client response of XOAUTH2, before base64.

    https://developers.google.com/workspace/gmail/imap/xoauth2-protocol; Microsoft has the same.
    """
    return f"user={username}\x01auth=Bearer {token}\x01\x01"


def log_in(host: smtplib.SMTP, username: str, tokens: TokenSource, clock: Clock) -> None:
    """Log in; if the server refuses the token, try once more with a new one.

    Raises OSError as smtplib's own `login` does, and TransportError if no token is available.
    """
    # A token is not sent to a server that does not offer this method.
    if "XOAUTH2" not in host.esmtp_features.get("auth", "").upper().split():
        raise smtplib.SMTPNotSupportedError("XOAUTH2 is not offered")
    token = tokens.get_token(clock.now())
    code, reply_text = _authenticate(host, make_xoauth2_response(username, token))
    if code == _REFUSED:
        token = tokens.get_token(clock.now(), refused=token)
        code, reply_text = _authenticate(host, make_xoauth2_response(username, token))
    if code != _WELCOME:
        raise smtplib.SMTPAuthenticationError(code, reply_text)


# RFC 4954 §4 and §6.
_WELCOME, _GO_ON, _REFUSED = 235, 334, 535


def _authenticate(host: smtplib.SMTP, login: str) -> tuple[int, bytes]:
    code, reply_text = host.docmd("AUTH", f"XOAUTH2 {base64.b64encode(login.encode()).decode()}")
    # The reason comes as a challenge; after an empty line the server sends its refusal.
    return host.docmd("") if code == _GO_ON else (code, reply_text)


# --- Requesting a token. --------------------------------------------------------------------------


_MICROSOFT = "https://login.microsoftonline.com"
_GOOGLE = "https://oauth2.googleapis.com/token"

# All permissions of the application at Exchange Online: SMTP.SendAsApp, IMAP.AccessAsApp and so on.
# https://learn.microsoft.com/en-us/exchange/client-developer/legacy-protocols/how-to-authenticate-an-imap-pop-smtp-application-by-using-oauth
_EXCHANGE_SCOPE = "https://outlook.office365.com/.default"

# In seconds; RFC 6749 §5.1 lets a service leave it out.
_DEFAULT_LIFETIME = 3600
_MAX_LIFETIME = 86_400

# RFC 6750 §2.1; it excludes line ends and the ^A that separates the fields of XOAUTH2.
_TOKEN = re.compile(r"[\x21-\x7e]+")

# RFC 6749 §5.2.
_REFUSALS = {
    "invalid_client": LazyText(
        "does not know oauth_client_id, or does not take oauth_client_secret"
    ),
    "unauthorized_client": LazyText("does not let the application of oauth_client_id have a token"),
    "invalid_grant": LazyText(
        "does not take oauth_refresh_token any more; somebody has to sign in anew"
    ),
    "invalid_scope": LazyText("does not let the application into a mailbox"),
    "temporarily_unavailable": LazyText("is out of order"),
}
_NO_TOKEN = LazyText("gives no token")


@dataclass(frozen=True)
class Grant:
    """A token, its lifetime in seconds, and the next refresh token ("" if it stays the same)."""

    token: str = field(repr=False)
    seconds: int
    refresh_token: str = field(default="", repr=False)


def ask_for_token(account: Account, refresh_token: str) -> Grant:
    """Request a new token: with a refresh token, or with the application's secret if that is "".

    Raises TransportError of scope "server", whose text has no secret and no token.
    """
    address = account.oauth_authority or (_MICROSOFT if account.oauth_tenant else _GOOGLE)
    service = SignInService(address.rstrip("/"), ca_file=account.ca_file)
    if account.oauth_tenant:
        answer = _request_microsoft_token(service, account, address.rstrip("/"), refresh_token)
    else:
        answer = _request_token(service, account, address, refresh_token)
    if "error" in answer:
        raise _make_refusal_error(service, answer)
    return _read_grant(service, answer)


def _request_microsoft_token(
    service: SignInService, account: Account, address: str, refresh_token: str
) -> Mapping[str, Any]:
    # Imported here, since it takes a third of a second to load.
    import msal  # noqa: PLC0415

    secret = account.oauth_client_secret
    kind = msal.ConfidentialClientApplication if secret else msal.PublicClientApplication
    try:
        # A new one each time: it would cache tokens too, by another clock than ours. The authority
        # comes from the settings, so it need not be discovered.
        application = kind(
            account.oauth_client_id,
            client_credential=secret or None,
            authority=f"{address}/{account.oauth_tenant}",
            instance_discovery=False,
            http_client=service,
        )
        answer: Mapping[str, Any] = (
            application.acquire_token_by_refresh_token(refresh_token, [_EXCHANGE_SCOPE])
            if refresh_token
            else application.acquire_token_for_client([_EXCHANGE_SCOPE])
        )
    except TransportError:
        raise
    except Exception:  # noqa: BLE001
        # It raises many errors for a malformed answer, and their texts quote it.
        raise service.make_unreadable_error() from None
    return answer


def _request_token(
    service: SignInService, account: Account, address: str, refresh_token: str
) -> Mapping[str, Any]:
    """Request a token as in RFC 6749 §6, since msal supports Microsoft's services only."""
    form = {
        "grant_type": "refresh_token",
        "refresh_token": refresh_token,
        "client_id": account.oauth_client_id,
        "client_secret": account.oauth_client_secret,
    }
    filled_in = {key: value for key, value in form.items() if value}
    return service.post(address, filled_in, {"Accept": "application/json"}).document


def _make_refusal_error(service: SignInService, answer: Mapping[str, Any]) -> TransportError:
    """Return the error for a refusal, in our words, with Microsoft's error numbers only."""
    reason = _REFUSALS.get(str(answer["error"]), _NO_TOKEN)
    numbers = answer.get("error_codes")
    error_numbers = (
        [error_number for error_number in numbers if type(error_number) is int]
        if isinstance(numbers, list)
        else []
    )
    number_text = "".join(f", AADSTS{number}" for number in error_numbers)
    return service.make_error(
        LazyText("%(what)s%(numbers)s", what=reason, numbers=number_text)
        if number_text
        else reason,
        status="5.7.8",
    )


def _read_grant(service: SignInService, answer: Mapping[str, Any]) -> Grant:
    token, following = answer.get("access_token"), answer.get("refresh_token", "")
    try:
        seconds = int(answer.get("expires_in", _DEFAULT_LIFETIME))
    except (ArithmeticError, TypeError, ValueError):
        raise service.make_unreadable_error() from None
    is_token = isinstance(token, str) and _TOKEN.fullmatch(token)
    if not is_token or not isinstance(following, str) or seconds < 1:
        raise service.make_unreadable_error()
    return Grant(str(token), min(seconds, _MAX_LIFETIME), following)


# --- The HTTP client for a sign-in service. -------------------------------------------------------


_TIMEOUT = 30
_MAX_ANSWER_SIZE = 1_000_000

# RFC 6749 §5.1 and §5.2, and Microsoft's error numbers.
_TOKEN_FIELDS = (
    "access_token",
    "expires_in",
    "refresh_token",
    "token_type",
    "error",
    "error_codes",
)


class Answer:
    """An answer with the attributes that msal expects of its HTTP client."""

    def __init__(self, status_code: int, document: Mapping[str, Any]) -> None:
        self.status_code = status_code
        self.document = document
        self.headers: dict[str, str] = {}

    @property
    def text(self) -> str:
        """Return the document as JSON."""
        return json.dumps(self.document)

    def raise_for_status(self) -> None:
        """Do nothing: an unusable answer has raised an error before."""


class SignInService:
    """A sign-in service at an address; it is also the HTTP client that msal uses.

    msal's own client trusts other certificate authorities than this machine, and msal logs an
    answer that it cannot read. All errors are TransportErrors.
    """

    def __init__(self, address: str, *, ca_file: str) -> None:
        self._address = address
        self._ca_file = ca_file

    def get(self, url: str, headers: Mapping[str, str] | None = None, **_: object) -> Answer:
        """Return what msal asks about a tenant before its first token."""
        # `_choose_opener` checks the scheme.
        request = urllib.request.Request(url, headers=dict(headers or {}))  # noqa: S310
        status, document = self._send(request)
        if status >= http.HTTPStatus.BAD_REQUEST:
            raise self.make_error(LazyText("does not know oauth_tenant"), status="5.7.8")
        return Answer(status, document)

    def post(
        self,
        url: str,
        data: Mapping[str, str],
        headers: Mapping[str, str] | None = None,
        **_: object,
    ) -> Answer:
        """Request a token; the answer is reduced to the fields needed for it.

        Microsoft's other fields identify a person, and msal logs unexpected ones.
        """
        body = urlencode(data).encode()
        request = urllib.request.Request(url, body, dict(headers or {}))  # noqa: S310
        status, document = self._send(request)
        return Answer(status, {key: document[key] for key in _TOKEN_FIELDS if key in document})

    def close(self) -> None:
        """Do nothing: each request has its own connection."""

    def make_error(self, problem: LazyText, *, status: str = "") -> TransportError:
        """Return the error for a fault of the service, in our words; `status`: RFC 4954 §6."""
        host = urlsplit(self._address).hostname
        reason = LazyText("the sign-in service %(host)s %(what)s", host=host or "", what=problem)
        return TransportError(0, status, reason=reason)

    def make_unreadable_error(self) -> TransportError:
        """Return the error for an answer that cannot be read."""
        return self.make_error(LazyText("gives no answer that can be read"))

    def _send(self, request: urllib.request.Request) -> tuple[int, dict[str, Any]]:
        try:
            with self._choose_opener(request).open(request, timeout=_TIMEOUT) as response:
                status, content = response.status, response.read(_MAX_ANSWER_SIZE)
        except (OSError, http.client.HTTPException):
            raise self.make_error(LazyText("cannot be reached")) from None
        if status >= http.HTTPStatus.INTERNAL_SERVER_ERROR:
            raise self.make_error(LazyText("is out of order (HTTP %(status)s)", status=str(status)))
        try:
            document = json.loads(content)
        except (ValueError, RecursionError):
            raise self.make_unreadable_error() from None
        if not isinstance(document, dict):
            raise self.make_unreadable_error()
        return status, document

    def _choose_opener(self, request: urllib.request.Request) -> urllib.request.OpenerDirector:
        """Return an opener that may carry the secrets of a request; raises for an unsafe URL."""
        if request.type == "https":
            checking = urllib.request.HTTPSHandler(context=make_tls_context(self._ca_file))
            return _make_opener(checking)
        # A URL that the service itself has named must not lead out of https.
        if not request.full_url.startswith(self._address):
            raise self.make_unreadable_error()
        # Without TLS it is this machine, as the settings ensure, and no proxy is used.
        return _make_opener(urllib.request.ProxyHandler({}))


class _AnyStatus(urllib.request.HTTPErrorProcessor):
    """Returns the response of any status; a redirect, which could leak secrets, is not followed."""

    def http_response(
        self, request: urllib.request.Request, response: http.client.HTTPResponse
    ) -> http.client.HTTPResponse:
        del request
        return response

    https_response = http_response


def _make_opener(handler: urllib.request.BaseHandler) -> urllib.request.OpenerDirector:
    return urllib.request.build_opener(handler, _AnyStatus)
