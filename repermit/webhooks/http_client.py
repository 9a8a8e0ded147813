"""The HTTP client of webhooks: checked addresses only, a time limit, and signed messages.

A name is looked up once, and the client connects to one of the checked addresses: a second look-up
could give another address (DNS rebinding).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging
import secrets
import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from http.cookiejar import DefaultCookiePolicy
from types import TracebackType
from typing import Any, Self
from urllib.parse import SplitResult, urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

from repermit.errors import NotAllowed, Refused
from repermit.i18n.lazy_text import LazyText
from repermit.unicode_limits import split_url
from repermit.web_address import is_private_name, is_public, read_ip_address
from repermit.webhooks.events import describe_status

# At DEBUG it logs the path of every request, which contains a secret for some tools.
logging.getLogger("urllib3").setLevel(logging.INFO)

_TIMEOUT = 15.0
# How many addresses of a name are tried, so that many addresses take no longer.
_MAX_ADDRESSES = 3
# How much of a reply is read, so that the connection can be reused; the content is not used.
_MAX_REPLY_SIZE = 64 * 1024


@dataclass(frozen=True, kw_only=True)
class Reply:
    """The reply to a message.

    - `code`: the HTTP status, 0 without a reply.
    - `problem`: what went wrong, "" for nothing.
    - `retry_after`: after how many seconds the server wants the next attempt, 0 if not given.
    """

    code: int
    problem: str = ""
    retry_after: int = 0

    @property
    def is_accepted(self) -> bool:
        """Return whether the receiver has accepted the message."""
        return 200 <= self.code < 300  # noqa: PLR2004  RFC 9110 §15.3

    @property
    def is_gone(self) -> bool:
        """Return whether the receiver wants no more messages (RFC 9110 §15.5.11)."""
        return self.code == 410  # noqa: PLR2004


class HttpClient:
    """Posts messages, one after the other, in a `with` block; for one thread.

    - `seconds`: the time limit of a message, however slowly the receiver answers; the look-up of
      its name is not counted.
    - `verify`: as in requests.
    """

    def __init__(
        self, *, to_private: bool, seconds: float = _TIMEOUT, verify: bool | str = True
    ) -> None:
        self._to_private = to_private
        self._seconds = seconds
        self._duplicate: socket.socket | None = None
        self._has_timed_out = False
        self._session = requests.Session()
        # A proxy of the environment would look up names itself.
        self._session.trust_env = False
        self._session.verify = verify
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, _Adapter(self))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._session.close()
        self._close_duplicate()

    def post(self, url: str, *, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Send a message and return the reply; follows no redirect, and raises nothing."""
        self._has_timed_out = False
        timer = threading.Timer(self._seconds, self._abort)
        timer.start()
        try:
            return self._post(url, body, {**headers, "User-Agent": "repermit"})
        except NotAllowed as error:
            return Reply(code=0, problem=error.said)
        except requests.RequestException as error:
            return Reply(code=0, problem=self._describe_error(error))
        finally:
            timer.cancel()
            timer.join()

    def open_socket(self, host: str, port: int, *, encrypted: bool) -> socket.socket:
        """Connect to a checked address of a host; raises NotAllowed and OSError."""
        address_infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = list(dict.fromkeys(str(address_info[4][0]) for address_info in address_infos))
        for address in addresses:
            check_address(address, encrypted=encrypted, to_private=self._to_private)
        new_socket = self._connect_to_first(addresses[:_MAX_ADDRESSES], port)
        self._close_duplicate()
        # TLS takes the socket over; its duplicate still reaches the connection.
        self._duplicate = new_socket.dup()
        if self._has_timed_out:
            new_socket.close()
            raise TimeoutError
        return new_socket

    def _connect_to_first(self, addresses: list[str], port: int) -> socket.socket:
        *others, last = addresses
        for address in others:
            with suppress(OSError):
                return self._connect(address, port)
        return self._connect(last, port)

    def _connect(self, address: str, port: int) -> socket.socket:
        timeout = self._seconds / _MAX_ADDRESSES
        new_socket = socket.create_connection((address, port), timeout=timeout)
        new_socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return new_socket

    def _post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        response = self._session.post(
            url,
            data=body,
            headers=headers,
            timeout=self._seconds,
            allow_redirects=False,
            stream=True,
        )
        if self._has_timed_out:
            # The headers of an aborted response may look complete.
            raise requests.Timeout
        # The body is not used, and the status counts even if the body cannot be read.
        with response, suppress(HTTPError):
            response.raw.read(_MAX_REPLY_SIZE)
        return Reply(
            code=response.status_code,
            problem=describe_status(response.status_code),
            retry_after=_read_retry_after(response.headers.get("Retry-After", "")),
        )

    def _describe_error(self, error: requests.RequestException) -> LazyText:
        """Return what went wrong in our words: the library's have the whole URL."""
        if self._has_timed_out or isinstance(error, requests.Timeout):
            return LazyText("no answer in time")
        if isinstance(error, requests.exceptions.SSLError):
            return LazyText("no safe connection: its certificate cannot be trusted")
        return LazyText("it cannot be reached")

    def _abort(self) -> None:
        self._has_timed_out = True
        duplicate = self._duplicate
        if duplicate is not None:
            with suppress(OSError):
                duplicate.shutdown(socket.SHUT_RDWR)

    def _close_duplicate(self) -> None:
        duplicate, self._duplicate = self._duplicate, None
        if duplicate is not None:
            duplicate.close()


def _read_retry_after(text: str) -> int:
    # RFC 9110 §10.2.3 also allows a date, which few servers send.
    return int(text) if text.isascii() and text.isdigit() and len(text) < len("1000000") else 0


class _PlainConnection(HTTPConnection):
    """A connection whose socket the client opens."""

    def __init__(self, *arguments: Any, client: HttpClient, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._client = client

    def _new_conn(self) -> socket.socket:
        return self._client.open_socket(self.host, self.port, encrypted=False)


class _TlsConnection(HTTPSConnection):
    """The same with TLS; the certificate must be for the name, not the address."""

    def __init__(self, *arguments: Any, client: HttpClient, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._client = client

    def _new_conn(self) -> socket.socket:
        return self._client.open_socket(self.host, self.port, encrypted=True)


class _Adapter(HTTPAdapter):
    """Makes requests open their connections through the client."""

    def __init__(self, client: HttpClient) -> None:
        super().__init__(max_retries=0)
        self._client = client

    def get_connection_with_tls_context(self, *arguments: Any, **options: Any) -> Any:
        """Return the pool for a request; the client opens its connections."""
        pool: Any = super().get_connection_with_tls_context(*arguments, **options)
        kind = _TlsConnection if pool.scheme == "https" else _PlainConnection
        pool.ConnectionCls = partial(kind, client=self._client)
        return pool


# --- The URLs that webhooks may have, and the addresses that may be connected to. -----------------


_MAX_URL_LENGTH = 2_000


def check_url(url: str, *, to_private: bool) -> str:
    """Return the normalized URL of a webhook; raises Refused for one that cannot be used."""
    url_parts = _parse_url(url.strip())
    if url_parts.username is not None or url_parts.fragment:
        raise Refused("a webhook's URL has no user name, no password and no #")
    if url_parts.scheme == "http" and not to_private:
        raise Refused("a webhook's URL begins with https://, since mail addresses travel there")
    host = url_parts.hostname or ""
    if address := read_ip_address(host):
        check_address(address, encrypted=url_parts.scheme == "https", to_private=to_private)
    elif is_private_name(host) and not to_private:
        raise _refuse_private()
    return url_parts.geturl()


def read_host(url: str) -> str:
    """Return only the host of a URL, as the rest may be secret."""
    return urlsplit(url).hostname or ""


def check_address(text: str, *, encrypted: bool, to_private: bool) -> None:
    """Raise NotAllowed for an IP address that may not be connected to."""
    is_of_the_internet = is_public(text)
    if not is_of_the_internet and not to_private:
        raise _refuse_private()
    if is_of_the_internet and not encrypted:
        raise NotAllowed("to the internet a webhook needs https")


def _parse_url(url: str) -> SplitResult:
    try:
        parts = split_url(url)
        # A name that cannot be encoded cannot be looked up either.
        is_parsable = bool((parts.hostname or "").encode("idna")) and parts.port != 0
    except ValueError:
        is_parsable, parts = False, urlsplit("")
    has_plain_characters = url.isascii() and url.isprintable() and not set(url) & set(' "<>\\^`{|}')
    is_web = parts.scheme in {"http", "https"}
    if not (is_parsable and is_web and has_plain_characters and len(url) <= _MAX_URL_LENGTH):
        raise Refused("a webhook's URL looks like https://tool.example.org/hooks/news")
    return parts


def _refuse_private() -> NotAllowed:
    return NotAllowed(
        "a webhook may not go to this machine or to a private network; "
        "webhooks_to_private = true under [web] would allow it"
    )


# --- Signatures of the Standard Webhooks scheme. --------------------------------------------------

# https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md


_PREFIX = "whsec_"
# The scheme asks for 24 to 64 bytes.
_BYTES = 32


def new_secret() -> str:
    """Return a new signing secret."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(_BYTES)).decode()


def sign_message(secret: str, *, message_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """Return the three headers that sign a message; `at`: when it is sent."""
    timestamp = str(int(at.timestamp()))
    signed = b".".join((message_id.encode(), timestamp.encode(), body))
    key = base64.b64decode(secret.removeprefix(_PREFIX))
    signature = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,{signature}",
    }
