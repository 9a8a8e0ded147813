"""Checking that privacy statements can be reached from the internet, and reading their text."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from contextlib import suppress
from email.message import Message
from urllib.parse import urljoin, urlsplit

from repermit.checks.dns_lookup import DnsNoAnswer, DnsResolver
from repermit.checks.findings import Finding, make_finding
from repermit.checks.http_fetch import (
    NOT_FOUND_STATUSES,
    FetchedPage,
    FetchTimeout,
    fetch,
    find_addresses,
)
from repermit.emails.html_to_text import html_to_text
from repermit.web_address import is_web_address


def check_privacy_statement(
    resolver: DnsResolver, slug: str, url: str, *, allow_private: bool
) -> Iterator[Finding]:
    """Yield a warning if a list's privacy statement cannot be reached from the internet.

    - `allow_private`: also look on this machine and private networks.
    """
    gone_finding = make_finding("list_privacy_gone", list=slug, url=url)
    addresses = find_addresses(resolver, str(urlsplit(url).hostname))
    if not addresses:
        yield gone_finding
        return
    try:
        # Other statuses do not count: a server may refuse a program and still serve people.
        is_gone = fetch(url, addresses, allow_private=allow_private).status in NOT_FOUND_STATUSES
    except FetchTimeout:
        yield make_finding("lists_too_slow")
        return
    except (OSError, ValueError, http.client.HTTPException):
        is_gone = True
    if is_gone:
        yield gone_finding


# A page of 1 MB has programs or pictures in it. The text is cut off at the length of a book.
_MAX_PAGE_SIZE = 1_000_000
_MAX_TEXT_LENGTH = 200_000
_MAX_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


def read_privacy_statement(resolver: DnsResolver, url: str, *, allow_private: bool) -> str:
    """Return the text of a privacy statement; "" if it cannot be read.

    - Redirects are followed.
    - `allow_private`: also look on this machine and private networks.
    """
    with suppress(OSError, ValueError, http.client.HTTPException, DnsNoAnswer):
        for _ in range(_MAX_REDIRECTS):
            if not is_web_address(url):
                return ""
            addresses = find_addresses(resolver, str(urlsplit(url).hostname))
            if not addresses:
                return ""
            page = fetch(url, addresses, allow_private=allow_private, max_bytes=_MAX_PAGE_SIZE)
            if page.status not in _REDIRECTS:
                return _read_text(page)
            url = urljoin(url, page.headers.get("location", ""))
    return ""


def _read_text(page: FetchedPage) -> str:
    content_type = Message()
    content_type["content-type"] = page.headers.get("content-type", "")
    # Without a content type, a browser may not show the page as text.
    is_text = page.headers.get("content-type", "").lower().startswith("text/")
    if page.status != http.client.OK or not is_text or len(page.beginning) == _MAX_PAGE_SIZE:
        return ""
    try:
        text = page.beginning.decode(content_type.get_content_charset("utf-8"), "replace")
    except LookupError:
        return ""
    if content_type.get_content_type() == "text/html":
        text = html_to_text(text)
    # PostgreSQL does not store NUL in text.
    return text.replace("\0", "").strip()[:_MAX_TEXT_LENGTH]
