"""Logging in with tokens (XOAUTH2): they are kept, and renewed before they end.

No token stands in a text or a log line.
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
from repermit.smtp.connection import checking_context

if TYPE_CHECKING:
    from repermit.clock import Clock
    from repermit.settings.definitions import Bounces, MailServer

    Account = MailServer | Bounces

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


# --- Asking for a token. --------------------------------------------------------------------------


_MICROSOFT = "https://login.microsoftonline.com"
_GOOGLE = "https://oauth2.googleapis.com/token"

# All that the application may do at Exchange Online: SMTP.SendAsApp, IMAP.AccessAsApp and so on.
# https://learn.microsoft.com/en-us/exchange/client-developer/legacy-protocols/how-to-authenticate-an-imap-pop-smtp-application-by-using-oauth
_EXCHANGE = "https://outlook.office365.com/.default"

# In seconds; RFC 6749 §5.1 lets a service leave it out.
_USUAL_LIFE = 3600
_LONGEST_LIFE = 86_400

# RFC 6750 §2.1, and so neither the end of a line nor the ^A that XOAUTH2 sets apart with.
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
    """A token, how many seconds it lasts, and the refresh token to use next ("": the same)."""

    token: str = field(repr=False)
    seconds: int
    refresh_token: str = field(default="", repr=False)


def ask_for_token(account: Account, refresh_token: str) -> Grant:
    """Return a fresh token: for `refresh_token`, or where it is "" on the application's own word.

    Raises TransportError of scope "server", in words that hold no secret and no token.
    """
    address = account.oauth_authority or (_MICROSOFT if account.oauth_tenant else _GOOGLE)
    service = SignInService(address.rstrip("/"), ca_file=account.ca_file)
    if account.oauth_tenant:
        answer = _ask_microsoft(service, account, address.rstrip("/"), refresh_token)
    else:
        answer = _ask(service, account, address, refresh_token)
    if "error" in answer:
        raise _refusal(service, answer)
    return _read(service, answer)


def _ask_microsoft(
    service: SignInService, account: Account, address: str, refresh_token: str
) -> Mapping[str, Any]:
    # It takes a third of a second to load, which is for those who use it.
    import msal  # noqa: PLC0415

    secret = account.oauth_client_secret
    kind = msal.ConfidentialClientApplication if secret else msal.PublicClientApplication
    try:
        # A new one each time: it would remember tokens too, and by another clock than ours. The
        # settings say where to ask, so that it need not ask elsewhere whether that is right.
        application = kind(
            account.oauth_client_id,
            client_credential=secret or None,
            authority=f"{address}/{account.oauth_tenant}",
            instance_discovery=False,
            http_client=service,
        )
        answer: Mapping[str, Any] = (
            application.acquire_token_by_refresh_token(refresh_token, [_EXCHANGE])
            if refresh_token
            else application.acquire_token_for_client([_EXCHANGE])
        )
    except TransportError:
        raise
    except Exception:  # noqa: BLE001
        # It stumbles in many ways over an answer that makes no sense, and its text quotes it.
        raise service.unreadable() from None
    return answer


def _ask(
    service: SignInService, account: Account, address: str, refresh_token: str
) -> Mapping[str, Any]:
    """Ask as RFC 6749 §6 has it; msal speaks to Microsoft's services alone."""
    form = {
        "grant_type": "refresh_token",
        "refresh_token": refresh_token,
        "client_id": account.oauth_client_id,
        "client_secret": account.oauth_client_secret,
    }
    filled_in = {key: value for key, value in form.items() if value}
    return service.post(address, filled_in, {"Accept": "application/json"}).document


def _refusal(service: SignInService, answer: Mapping[str, Any]) -> TransportError:
    """Return a refusal in words of ours, with the numbers alone by which Microsoft explains it."""
    what = _REFUSALS.get(str(answer["error"]), _NO_TOKEN)
    numbers = answer.get("error_codes")
    known = [one for one in numbers if type(one) is int] if isinstance(numbers, list) else []
    named = "".join(f", AADSTS{number}" for number in known)
    return service.fault(
        LazyText("%(what)s%(numbers)s", what=what, numbers=named) if named else what, status="5.7.8"
    )


def _read(service: SignInService, answer: Mapping[str, Any]) -> Grant:
    token, following = answer.get("access_token"), answer.get("refresh_token", "")
    try:
        seconds = int(answer.get("expires_in", _USUAL_LIFE))
    except (ArithmeticError, TypeError, ValueError):
        raise service.unreadable() from None
    is_token = isinstance(token, str) and _TOKEN.fullmatch(token)
    if not is_token or not isinstance(following, str) or seconds < 1:
        raise service.unreadable()
    return Grant(str(token), min(seconds, _LONGEST_LIFE), following)


# --- The way to a sign-in service, for secrets. ---------------------------------------------------


_SECONDS = 30
_LONGEST = 1_000_000

# RFC 6749 §5.1 and §5.2, and the numbers that Microsoft gives its refusals.
_WANTED = ("access_token", "expires_in", "refresh_token", "token_type", "error", "error_codes")


class Answer:
    """An answer in the shape that msal asks of its HTTP client."""

    def __init__(self, status_code: int, document: Mapping[str, Any]) -> None:
        self.status_code = status_code
        self.document = document
        self.headers: dict[str, str] = {}

    @property
    def text(self) -> str:
        """Return the document as it could have come."""
        return json.dumps(self.document)

    def raise_for_status(self) -> None:
        """Do nothing: what no use can be made of has been refused before."""


class SignInService:
    """The service at an address; also the HTTP client that msal takes in place of its own.

    msal's own would trust other authorities than this machine does, and msal writes an answer
    that it cannot read, with whatever it holds, to the log. Every fault is a TransportError.
    """

    def __init__(self, address: str, *, ca_file: str) -> None:
        self._address = address
        self._ca_file = ca_file

    def get(self, url: str, headers: Mapping[str, str] | None = None, **_: object) -> Answer:
        """Ask what msal wants to know of a tenant before its first token."""
        # Where it may lead is seen to on the way.
        asking = urllib.request.Request(url, headers=dict(headers or {}))  # noqa: S310
        status, document = self._ask(asking)
        if status >= http.HTTPStatus.BAD_REQUEST:
            raise self.fault(LazyText("does not know oauth_tenant"), status="5.7.8")
        return Answer(status, document)

    def post(
        self,
        url: str,
        data: Mapping[str, str],
        headers: Mapping[str, str] | None = None,
        **_: object,
    ) -> Answer:
        """Ask for a token. Of the answer only what is needed for it remains.

        What else Microsoft sends tells who somebody is, and msal would log it if it was odd.
        """
        body = urlencode(data).encode()
        asking = urllib.request.Request(url, body, dict(headers or {}))  # noqa: S310
        status, document = self._ask(asking)
        return Answer(status, {key: document[key] for key in _WANTED if key in document})

    def close(self) -> None:
        """Do nothing: each request has a connection of its own."""

    def fault(self, what: LazyText, *, status: str = "") -> TransportError:
        """Return a fault of the service in words of ours; `status` as in RFC 4954 §6."""
        host = urlsplit(self._address).hostname
        reason = LazyText("the sign-in service %(host)s %(what)s", host=host or "", what=what)
        return TransportError(0, status, reason=reason)

    def unreadable(self) -> TransportError:
        """Return the fault of an answer that is none."""
        return self.fault(LazyText("gives no answer that can be read"))

    def _ask(self, asking: urllib.request.Request) -> tuple[int, dict[str, Any]]:
        try:
            with self._way_to(asking).open(asking, timeout=_SECONDS) as response:
                status, content = response.status, response.read(_LONGEST)
        except (OSError, http.client.HTTPException):
            raise self.fault(LazyText("cannot be reached")) from None
        if status >= http.HTTPStatus.INTERNAL_SERVER_ERROR:
            raise self.fault(LazyText("is out of order (HTTP %(status)s)", status=str(status)))
        try:
            document = json.loads(content)
        except (ValueError, RecursionError):
            raise self.unreadable() from None
        if not isinstance(document, dict):
            raise self.unreadable()
        return status, document

    def _way_to(self, asking: urllib.request.Request) -> urllib.request.OpenerDirector:
        """Return a way that the secrets of a request may take."""
        if asking.type == "https":
            checking = urllib.request.HTTPSHandler(context=checking_context(self._ca_file))
            return _opener(checking)
        # What a service names as its other addresses is not to lead out of https.
        if not asking.full_url.startswith(self._address):
            raise self.unreadable()
        # Without TLS it is this very machine (the settings see to it), and no proxy is asked.
        return _opener(urllib.request.ProxyHandler({}))


class _AnyStatus(urllib.request.HTTPErrorProcessor):
    """Returns the answer of any status; a redirect would carry secrets elsewhere."""

    def http_response(
        self, request: urllib.request.Request, response: http.client.HTTPResponse
    ) -> http.client.HTTPResponse:
        del request
        return response

    https_response = http_response


def _opener(handler: urllib.request.BaseHandler) -> urllib.request.OpenerDirector:
    return urllib.request.build_opener(handler, _AnyStatus)
