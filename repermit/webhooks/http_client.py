"""The HTTP client of webhooks: it connects to checked addresses alone, ends in time, and signs.

A name is looked up once, each address that comes of it is checked, and that very address is
connected to: a second look-up could give another one (DNS rebinding).
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

# At DEBUG it writes the path of every request, in which some tools have their secret.
logging.getLogger("urllib3").setLevel(logging.INFO)

_SECONDS = 15.0
# So many addresses of a name are tried, so that one that has many takes no longer.
_MAX_ADDRESSES = 3
# What is read of a reply, so that the connection may be used again; nobody looks at it.
_MAX_READ = 64 * 1024


@dataclass(frozen=True, kw_only=True)
class Reply:
    """The reply to a message: the HTTP status, 0 if there was none, and what went wrong.

    `retry_after`: in how many seconds the server wants the next attempt, 0 if it does not say.
    """

    code: int
    problem: str = ""
    retry_after: int = 0

    @property
    def is_taken(self) -> bool:
        """Whether the receiver has the message."""
        return 200 <= self.code < 300  # noqa: PLR2004  RFC 9110 §15.3

    @property
    def is_gone(self) -> bool:
        """Whether the receiver wants no message any more (RFC 9110 §15.5.11)."""
        return self.code == 410  # noqa: PLR2004


class HttpClient:
    """Posts messages, one after the other, within `with`; used by one thread.

    - `seconds`: how long a message may take, however slowly the receiver answers; the look-up of
      its name is not counted.
    - `verify`: as requests takes it.
    """

    def __init__(
        self, *, to_private: bool, seconds: float = _SECONDS, verify: bool | str = True
    ) -> None:
        self._to_private = to_private
        self._seconds = seconds
        self._twin: socket.socket | None = None
        self._is_late = False
        self._session = requests.Session()
        # A proxy of the environment would look up names by itself.
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
        self._drop_twin()

    def post(self, url: str, *, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Send a message and return what came of it; follows no redirect, raises nothing."""
        self._is_late = False
        watch = threading.Timer(self._seconds, self._break_off)
        watch.start()
        try:
            return self._post(url, body, {**headers, "User-Agent": "repermit"})
        except NotAllowed as error:
            return Reply(code=0, problem=error.said)
        except requests.RequestException as error:
            return Reply(code=0, problem=self._describe(error))
        finally:
            watch.cancel()
            watch.join()

    def open(self, host: str, port: int, *, encrypted: bool) -> socket.socket:
        """Connect to a checked address of this host; raises NotAllowed and OSError."""
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = list(dict.fromkeys(str(one[4][0]) for one in found))
        for address in addresses:
            check_address(address, encrypted=encrypted, to_private=self._to_private)
        opened = self._first_of(addresses[:_MAX_ADDRESSES], port)
        self._drop_twin()
        # TLS takes the socket over; its twin still reaches the connection.
        self._twin = opened.dup()
        if self._is_late:
            opened.close()
            raise TimeoutError
        return opened

    def _first_of(self, addresses: list[str], port: int) -> socket.socket:
        *others, last = addresses
        for address in others:
            with suppress(OSError):
                return self._connect(address, port)
        return self._connect(last, port)

    def _connect(self, address: str, port: int) -> socket.socket:
        each = self._seconds / _MAX_ADDRESSES
        opened = socket.create_connection((address, port), timeout=each)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return opened

    def _post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        response = self._session.post(
            url,
            data=body,
            headers=headers,
            timeout=self._seconds,
            allow_redirects=False,
            stream=True,
        )
        if self._is_late:
            # Broken off, its headers look as if they had come to their end.
            raise requests.Timeout
        # What a receiver says is not kept, and its status holds whatever becomes of the rest.
        with response, suppress(HTTPError):
            response.raw.read(_MAX_READ)
        return Reply(
            code=response.status_code,
            problem=describe_status(response.status_code),
            retry_after=_read_retry_after(response.headers.get("Retry-After", "")),
        )

    def _describe(self, error: requests.RequestException) -> LazyText:
        """Return what went wrong in our words: those of the library hold the whole URL."""
        if self._is_late or isinstance(error, requests.Timeout):
            return LazyText("no answer in time")
        if isinstance(error, requests.exceptions.SSLError):
            return LazyText("no safe connection: its certificate cannot be trusted")
        return LazyText("it cannot be reached")

    def _break_off(self) -> None:
        self._is_late = True
        twin = self._twin
        if twin is not None:
            with suppress(OSError):
                twin.shutdown(socket.SHUT_RDWR)

    def _drop_twin(self) -> None:
        twin, self._twin = self._twin, None
        if twin is not None:
            twin.close()


def _read_retry_after(text: str) -> int:
    # RFC 9110 §10.2.3 has a date too, which few send.
    return int(text) if text.isascii() and text.isdigit() and len(text) < len("1000000") else 0


class _PlainConnection(HTTPConnection):
    """A connection whose socket the client opens."""

    def __init__(self, *arguments: Any, client: HttpClient, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._client = client

    def _new_conn(self) -> socket.socket:
        return self._client.open(self.host, self.port, encrypted=False)


class _TlsConnection(HTTPSConnection):
    """The same with TLS, whose certificate is for the name, not the address."""

    def __init__(self, *arguments: Any, client: HttpClient, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._client = client

    def _new_conn(self) -> socket.socket:
        return self._client.open(self.host, self.port, encrypted=True)


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


# --- Where webhooks may go: which URLs can be added, which addresses may be connected to. ---------


_MAX_URL_LENGTH = 2_000


def check_url(url: str, *, to_private: bool) -> str:
    """Return the URL of a webhook, tidied; raises Refused for one that cannot be used."""
    parts = _split(url.strip())
    if parts.username is not None or parts.fragment:
        raise Refused("a webhook's URL has no user name, no password and no #")
    if parts.scheme == "http" and not to_private:
        raise Refused("a webhook's URL begins with https://, since mail addresses travel there")
    host = parts.hostname or ""
    if address := read_ip_address(host):
        check_address(address, encrypted=parts.scheme == "https", to_private=to_private)
    elif is_private_name(host) and not to_private:
        raise _refuse_private()
    return parts.geturl()


def read_host(url: str) -> str:
    """Return the host alone: what stands behind it may be secret."""
    return urlsplit(url).hostname or ""


def check_address(text: str, *, encrypted: bool, to_private: bool) -> None:
    """Raise NotAllowed for an IP address that may not be connected to."""
    is_of_the_internet = is_public(text)
    if not is_of_the_internet and not to_private:
        raise _refuse_private()
    if is_of_the_internet and not encrypted:
        raise NotAllowed("to the internet a webhook needs https")


def _split(url: str) -> SplitResult:
    try:
        parts = split_url(url)
        # What cannot be encoded cannot be looked up either.
        is_whole = bool((parts.hostname or "").encode("idna")) and parts.port != 0
    except ValueError:
        is_whole, parts = False, urlsplit("")
    plain = url.isascii() and url.isprintable() and not set(url) & set(' "<>\\^`{|}')
    is_web = parts.scheme in {"http", "https"}
    if not (is_whole and is_web and plain and len(url) <= _MAX_URL_LENGTH):
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
    """Return the three headers that sign a message which is sent at this moment."""
    timestamp = str(int(at.timestamp()))
    signed = b".".join((message_id.encode(), timestamp.encode(), body))
    key = base64.b64decode(secret.removeprefix(_PREFIX))
    signature = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,{signature}",
    }
