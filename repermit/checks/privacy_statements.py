"""Checks of privacy statements: people out on the internet reach them, and what they say."""

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
    """Yield a warning if a list's privacy statement is not there for people out on the internet.

    On this machine or a private network it is not looked for, unless `allow_private`.
    """
    gone = make_finding("list_privacy_gone", list=slug, url=url)
    addresses = find_addresses(resolver, str(urlsplit(url).hostname))
    if not addresses:
        yield gone
        return
    try:
        # Who asks for no more than people do may be refused all the same; that says nothing.
        is_gone = fetch(url, addresses, allow_private=allow_private).status in NOT_FOUND_STATUSES
    except FetchTimeout:
        yield make_finding("lists_too_slow")
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


def read_privacy_statement(resolver: DnsResolver, url: str, *, allow_private: bool) -> str:
    """Return what a privacy statement says, in text; "" if it cannot be read.

    Redirects are followed. On this machine or a private network it is not looked for, unless
    `allow_private`.
    """
    with suppress(OSError, ValueError, http.client.HTTPException, DnsNoAnswer):
        for _ in range(_MOST_REDIRECTS):
            if not is_web_address(url):
                return ""
            addresses = find_addresses(resolver, str(urlsplit(url).hostname))
            if not addresses:
                return ""
            page = fetch(url, addresses, allow_private=allow_private, max_bytes=_LARGEST_PAGE)
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
