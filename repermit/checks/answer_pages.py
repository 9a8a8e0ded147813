"""Checks of the answer pages: people and mail programs reach them, with a valid certificate."""

from __future__ import annotations

import http.client
import re
import ssl
from collections.abc import Iterator
from datetime import datetime
from urllib.parse import urlsplit

from repermit.checks.dns_lookup import DnsResolver, is_private, is_this_machine
from repermit.checks.findings import Finding, make_finding
from repermit.checks.http_fetch import (
    NOT_FOUND_STATUSES,
    FetchedPage,
    FetchTimeout,
    PrivateNetworkError,
    fetch,
    find_addresses,
    get_port,
)
from repermit.settings.definitions import Settings
from repermit.signed_links import NOBODY, PROXIES, Links

_MIN_DAYS = 14

_ONE_CLICK = b"List-Unsubscribe=One-Click"  # RFC 8058 §3.2
_CONFIRMATION = b"Unsubscribed."

_PROXY_COUNTS = re.compile(r"([0-9]{1,4}) ([0-9]{1,4})")


def check_pages(resolver: DnsResolver, settings: Settings, *, now: datetime) -> Iterator[Finding]:
    """Yield findings about the pages at `public_url`.

    A mail program's one-click request is posted with the link of NOBODY, which is not recorded.
    """
    url = settings.public_url
    host = str(urlsplit(url).hostname)
    addresses = find_addresses(resolver, host)
    if not url.startswith("https:") and not is_this_machine(host):
        yield make_finding("pages_plain", url=url)
    if not addresses:
        yield from check_public_url(settings) or [make_finding("pages_no_name", host=host)]
        return
    if all(map(is_private, addresses)):
        yield make_finding("pages_here_alone", host=host)
    else:
        yield from check_public_url(settings)
    yield from _check_one_click(settings, host, addresses, now)


def check_public_url(settings: Settings) -> list[Finding]:
    """Return a problem if the host of `public_url` is this machine or in a private network."""
    host = str(urlsplit(settings.public_url).hostname)
    return [make_finding("pages_here_alone", host=host)] if is_private(host) else []


def _check_one_click(
    settings: Settings, host: str, addresses: tuple[str, ...], now: datetime
) -> Iterator[Finding]:
    url = settings.public_url
    one_click = Links(url, settings.secret_keys).url("no", NOBODY)
    try:
        allow_private = settings.web.checks_to_private
        page = fetch(one_click, addresses, form=_ONE_CLICK, allow_private=allow_private)
    except PrivateNetworkError:
        yield make_finding("pages_not_visited", host=host)
    except FetchTimeout:
        yield make_finding("pages_too_slow")
    except ssl.SSLCertVerificationError as error:
        yield make_finding("pages_certificate", host=host, reason=error.verify_message)
    except (ssl.SSLError, http.client.HTTPException):
        yield make_finding("pages_garbled", url=url)
    except OSError:
        yield make_finding("pages_unreachable", url=url, port=str(get_port(url)))
    else:
        yield _judge_record(page, url)
        yield from _check_proxies(page)
        yield from _check_certificate_end(page, host, now)


def _judge_record(page: FetchedPage, url: str) -> Finding:
    status = str(page.status)
    if page.status == http.HTTPStatus.OK and page.beginning.startswith(_CONFIRMATION):
        return make_finding("pages_ok", url=url)
    if page.status in NOT_FOUND_STATUSES or page.status < http.HTTPStatus.MULTIPLE_CHOICES:
        return make_finding("pages_not_ours", url=url)
    if page.status < http.HTTPStatus.BAD_REQUEST:
        return make_finding("pages_redirect", url=url, status=status)
    if page.status < http.HTTPStatus.INTERNAL_SERVER_ERROR:
        return make_finding("pages_refused", url=url, status=status)
    return make_finding("pages_out_of_order", url=url, status=status)


def _check_proxies(page: FetchedPage) -> Iterator[Finding]:
    """Yield a warning if there are more reverse proxies than `trusted_proxies`.

    This request had no forwarded address, so each that arrived was added on the way. Fewer proxies
    give no warning: requests from this machine may pass fewer, or the proxies may add no address.
    """
    proxy_counts = _PROXY_COUNTS.fullmatch(page.headers.get(PROXIES.lower(), ""))
    if proxy_counts and int(proxy_counts[1]) > int(proxy_counts[2]):
        yield make_finding("pages_proxies", seen=proxy_counts[1], trusted=proxy_counts[2])


def _check_certificate_end(page: FetchedPage, host: str, now: datetime) -> Iterator[Finding]:
    if page.certificate_ends is None:
        return
    days = (page.certificate_ends - now).days
    if days < _MIN_DAYS:
        yield make_finding("pages_certificate_ends", host=host, days=str(max(0, days)))
