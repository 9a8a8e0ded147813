"""Checks of the answer pages and privacy statements: people and mail programs reach them."""

from __future__ import annotations

import http.client
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import Message
from urllib.parse import quote, urljoin, urlsplit

from repermit.checks.dns_lookup import DnsNoAnswer, DnsResolver, is_private, is_this_machine
from repermit.checks.findings import Finding, finding
from repermit.emails.html_to_text import html_to_text
from repermit.settings.definitions import Settings
from repermit.signed_links import NOBODY, PROXIES, Links
from repermit.smtp.connection import Cutter
from repermit.web_address import is_public, is_web_address

# --- One request over HTTP. -----------------------------------------------------------------------


_SECONDS = 5.0
_LEAST = 1.0
_READ = 1000
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, kw_only=True)
class FetchedPage:
    """The answer of a web server.

    - `headers`: by their names in lower case.
    - `certificate_ends`: aware UTC, None without TLS.
    """

    status: int
    headers: Mapping[str, str]
    beginning: bytes
    certificate_ends: datetime | None


def port_of(url: str) -> int:
    """Return the port that an address is at."""
    parts = urlsplit(url)
    return parts.port or _PORTS[parts.scheme]


def fetch(
    url: str,
    addresses: Sequence[str],
    *,
    to_private: bool,
    form: bytes | None = None,
    most: int = _READ,
    seconds: float = _SECONDS,
) -> FetchedPage:
    """Ask for `url` at the first of `addresses` that takes a connection; a `form` makes it a POST.

    It ends after `seconds` in all, however slowly the server writes, or `most` octets. What stands
    on this machine or a private network is not connected to, unless `to_private`. Raises
    ClosedNetwork if that leaves no address, TooSlow, other OSError (ssl.SSLError among them),
    http.client.HTTPException, and ValueError for what is no address.
    """
    open_ones = [one for one in addresses if to_private or is_public(one)]
    if not open_ones:
        raise ClosedNetwork
    ends_at = time.monotonic() + seconds
    with _dial(open_ones, port_of(url), ends_at) as plain:
        cutter = Cutter()
        cutter.watch(plain)
        left = max(ends_at - time.monotonic(), 0)
        timer = threading.Timer(left, cutter.end, kwargs={"cut": True})
        timer.start()
        try:
            return _fetch(url, plain, form, most)
        finally:
            timer.cancel()
            if not cutter.end(cut=False):
                # The headers of an answer that was cut off look as if they were whole.
                raise TooSlow


class ClosedNetwork(OSError):
    """A server stands where nothing is fetched from: on this machine, or a private network."""


class TooSlow(OSError):
    """A server took the connection, and did not answer in time."""


def _fetch(url: str, plain: socket.socket, form: bytes | None, most: int) -> FetchedPage:
    parts = urlsplit(url)
    host = str(parts.hostname)
    line = plain
    ends = None
    if parts.scheme == "https":
        line = secured = ssl.create_default_context().wrap_socket(plain, server_hostname=host)
        ends = _read_certificate_end(secured)
    with line:
        asking = http.client.HTTPConnection(host, parts.port or None)
        asking.sock = line
        _ask(asking, _encode_path(url), form)
        with asking.getresponse() as response:
            beginning = response.read(most)
        headers = {name.lower(): value for name, value in response.getheaders()}
        return FetchedPage(
            status=response.status, headers=headers, beginning=beginning, certificate_ends=ends
        )


def _dial(addresses: Sequence[str], port: int, ends_at: float) -> socket.socket:
    *others, last = addresses
    for address in others:
        with suppress(OSError):
            return _connect(address, port, ends_at)
    return _connect(last, port, ends_at)


def _connect(address: str, port: int, ends_at: float) -> socket.socket:
    left = max(ends_at - time.monotonic(), _LEAST)
    opened = socket.create_connection((address, port), timeout=left)
    # From here on the watch is the first to end it.
    opened.settimeout(left + _LEAST)
    return opened


def _encode_path(url: str) -> str:
    parts = urlsplit(url)
    query = f"?{parts.query}" if parts.query else ""
    return quote((parts.path or "/") + query, safe="/%:@!$&'()*+,;=~-._?")


def _ask(asking: http.client.HTTPConnection, path: str, form: bytes | None) -> None:
    headers = {"User-Agent": "repermit check", "Connection": "close"}
    if form is None:
        asking.request("GET", path, headers=headers)
        return
    headers["Content-Type"] = "application/x-www-form-urlencoded"
    asking.request("POST", path, body=form, headers=headers)


def _read_certificate_end(line: ssl.SSLSocket) -> datetime:
    certificate = line.getpeercert() or {}
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(str(certificate["notAfter"])), UTC)


# --- The answer pages and the privacy statements. -------------------------------------------------


_FEW_DAYS = 14

_ONE_CLICK = b"List-Unsubscribe=One-Click"  # RFC 8058 §3.2
_CONFIRMATION = b"Unsubscribed."

_PROXY_COUNTS = re.compile(r"([0-9]{1,4}) ([0-9]{1,4})")
_GONE = frozenset({404, 410})


def check_pages(resolver: DnsResolver, settings: Settings, *, now: datetime) -> Iterator[Finding]:
    """Yield what stands against the pages at `public_url`.

    What a mail program would post is posted, with a link of nobody, of which nothing is noted.
    """
    url = settings.public_url
    host = str(urlsplit(url).hostname)
    addresses = find_addresses(resolver, host)
    if not url.startswith("https:") and not is_this_machine(host):
        yield finding("pages_plain", url=url)
    if not addresses:
        yield from check_public_url(settings) or [finding("pages_no_name", host=host)]
        return
    if all(map(is_private, addresses)):
        yield finding("pages_here_alone", host=host)
    else:
        yield from check_public_url(settings)
    yield from _check_one_click(settings, host, addresses, now)


def check_public_url(settings: Settings) -> list[Finding]:
    """Return what is wrong if `public_url` by itself leads to this machine or a private network."""
    host = str(urlsplit(settings.public_url).hostname)
    return [finding("pages_here_alone", host=host)] if is_private(host) else []


def find_addresses(resolver: DnsResolver, host: str) -> tuple[str, ...]:
    """Return the addresses of a web server; this machine's own name is not in the DNS."""
    return ("127.0.0.1", "::1") if host == "localhost" else resolver.addresses(host)


def check_privacy_statement(
    resolver: DnsResolver, slug: str, url: str, *, to_private: bool
) -> Iterator[Finding]:
    """Yield a warning if a list's privacy statement is not there for people out on the internet.

    On this machine or a private network it is not looked for, unless `to_private`.
    """
    gone = finding("list_privacy_gone", list=slug, url=url)
    addresses = find_addresses(resolver, str(urlsplit(url).hostname))
    if not addresses:
        yield gone
        return
    try:
        # Who asks for no more than people do may be refused all the same; that says nothing.
        is_gone = fetch(url, addresses, to_private=to_private).status in _GONE
    except TooSlow:
        yield finding("lists_too_slow")
        return
    except (OSError, ValueError, http.client.HTTPException):
        is_gone = True
    if is_gone:
        yield gone


# A statement of 1 MB has a program in it, or pictures; of one that is longer than a book no more
# is kept.
_LARGEST_PAGE = 1_000_000
_LONGEST_TEXT = 200_000
_MOST_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


def read_privacy_statement(resolver: DnsResolver, url: str, *, to_private: bool) -> str:
    """Return what a privacy statement says, in text; "" if it cannot be read.

    Redirects are followed. On this machine or a private network it is not looked for, unless
    `to_private`.
    """
    with suppress(OSError, ValueError, http.client.HTTPException, DnsNoAnswer):
        for _ in range(_MOST_REDIRECTS):
            if not is_web_address(url):
                return ""
            addresses = find_addresses(resolver, str(urlsplit(url).hostname))
            if not addresses:
                return ""
            page = fetch(url, addresses, to_private=to_private, most=_LARGEST_PAGE)
            if page.status not in _REDIRECTS:
                return _read_text(page)
            url = urljoin(url, page.headers.get("location", ""))
    return ""


def _read_text(page: FetchedPage) -> str:
    content_type = Message()
    content_type["content-type"] = page.headers.get("content-type", "")
    # A page that names no type is none that a browser shows as text for sure.
    is_text = page.headers.get("content-type", "").lower().startswith("text/")
    if page.status != http.client.OK or not is_text or len(page.beginning) == _LARGEST_PAGE:
        return ""
    try:
        text = page.beginning.decode(content_type.get_content_charset("utf-8"), "replace")
    except LookupError:
        return ""
    if content_type.get_content_type() == "text/html":
        text = html_to_text(text)
    # What a database takes as text.
    return text.replace("\0", "").strip()[:_LONGEST_TEXT]


def _check_one_click(
    settings: Settings, host: str, addresses: tuple[str, ...], now: datetime
) -> Iterator[Finding]:
    url = settings.public_url
    one_click = Links(url, settings.secret_keys).url("no", NOBODY)
    try:
        to_private = settings.web.checks_to_private
        seen = fetch(one_click, addresses, form=_ONE_CLICK, to_private=to_private)
    except ClosedNetwork:
        yield finding("pages_not_visited", host=host)
    except TooSlow:
        yield finding("pages_too_slow")
    except ssl.SSLCertVerificationError as error:
        yield finding("pages_certificate", host=host, reason=error.verify_message)
    except (ssl.SSLError, http.client.HTTPException):
        yield finding("pages_garbled", url=url)
    except OSError:
        yield finding("pages_unreachable", url=url, port=str(port_of(url)))
    else:
        yield _judge_record(seen, url)
        yield from _check_proxies(seen)
        yield from _check_certificate_end(seen, host, now)


def _judge_record(seen: FetchedPage, url: str) -> Finding:
    status = str(seen.status)
    if seen.status == http.HTTPStatus.OK and seen.beginning.startswith(_CONFIRMATION):
        return finding("pages_ok", url=url)
    if seen.status in _GONE or seen.status < http.HTTPStatus.MULTIPLE_CHOICES:
        return finding("pages_not_ours", url=url)
    if seen.status < http.HTTPStatus.BAD_REQUEST:
        return finding("pages_redirect", url=url, status=status)
    if seen.status < http.HTTPStatus.INTERNAL_SERVER_ERROR:
        return finding("pages_refused", url=url, status=status)
    return finding("pages_out_of_order", url=url, status=status)


def _check_proxies(seen: FetchedPage) -> Iterator[Finding]:
    """Yield a warning if more web servers stand in front than the pages believe.

    This request named no address, so that each that arrived was added on the way. Of fewer nothing
    is said: this machine's way may be shorter than everybody else's, or none of them may add one.
    """
    told = _PROXY_COUNTS.fullmatch(seen.headers.get(PROXIES.lower(), ""))
    if told and int(told[1]) > int(told[2]):
        yield finding("pages_proxies", seen=told[1], trusted=told[2])


def _check_certificate_end(seen: FetchedPage, host: str, now: datetime) -> Iterator[Finding]:
    if seen.certificate_ends is None:
        return
    days = (seen.certificate_ends - now).days
    if days < _FEW_DAYS:
        yield finding("pages_certificate_ends", host=host, days=str(max(0, days)))
