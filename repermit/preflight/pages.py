"""Whether people and mail programs reach the answer pages.

May import links, config and this room.
"""

from __future__ import annotations

import http.client
import re
import ssl
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from repermit.links import NOBODY, PROXIES, Links
from repermit.preflight.names import is_private, is_this_machine
from repermit.preflight.visiting import ClosedNetwork, TooSlow, port_of, visit
from repermit.preflight.words import finding

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from repermit.config import Settings
    from repermit.preflight.facts import Finding
    from repermit.preflight.names import Names
    from repermit.preflight.visiting import Visit

_FEW_DAYS = 14

_ONE_CLICK = b"List-Unsubscribe=One-Click"  # RFC 8058 §3.2
_ANSWER = b"Unsubscribed."

_TOLD = re.compile(r"([0-9]{1,4}) ([0-9]{1,4})")
_GONE = frozenset({404, 410})


def look_at_pages(names: Names, settings: Settings, *, now: datetime) -> Iterator[Finding]:
    """Yield what stands against the pages at `public_url`.

    What a mail program would post is posted, with a link of nobody, of which nothing is noted.
    """
    url = settings.public_url
    host = str(urlsplit(url).hostname)
    addresses = addresses_of(names, host)
    if not url.startswith("https:") and not is_this_machine(host):
        yield finding("pages_plain", url=url)
    if not addresses:
        yield from look_at_reach(settings) or [finding("pages_no_name", host=host)]
        return
    if all(map(is_private, addresses)):
        yield finding("pages_here_alone", host=host)
    else:
        yield from look_at_reach(settings)
    yield from _visited(settings, host, addresses, now)


def look_at_reach(settings: Settings) -> list[Finding]:
    """Return what is wrong if `public_url` by itself leads to this machine or a private network."""
    host = str(urlsplit(settings.public_url).hostname)
    return [finding("pages_here_alone", host=host)] if is_private(host) else []


def addresses_of(names: Names, host: str) -> tuple[str, ...]:
    """Return the addresses of a web server; this machine's own name is not in the DNS."""
    return ("127.0.0.1", "::1") if host == "localhost" else names.addresses(host)


def look_at_statement(names: Names, slug: str, url: str, *, to_private: bool) -> Iterator[Finding]:
    """Yield a warning if a list's privacy statement is not there for people out on the internet.

    On this machine or a private network it is not looked for, unless `to_private`.
    """
    gone = finding("list_privacy_gone", list=slug, url=url)
    addresses = addresses_of(names, str(urlsplit(url).hostname))
    if not addresses:
        yield gone
        return
    try:
        # Who asks for no more than people do may be refused all the same; that says nothing.
        is_gone = visit(url, addresses, to_private=to_private).status in _GONE
    except TooSlow:
        yield finding("lists_too_slow")
        return
    except (OSError, ValueError, http.client.HTTPException):
        is_gone = True
    if is_gone:
        yield gone


def _visited(
    settings: Settings, host: str, addresses: tuple[str, ...], now: datetime
) -> Iterator[Finding]:
    url = settings.public_url
    one_click = Links(url, settings.secret_keys).url("no", NOBODY)
    try:
        to_private = settings.web.checks_to_private
        seen = visit(one_click, addresses, form=_ONE_CLICK, to_private=to_private)
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
        yield _judged(seen, url)
        yield from _about_the_way(seen)
        yield from _about_the_end(seen, host, now)


def _judged(seen: Visit, url: str) -> Finding:
    status = str(seen.status)
    if seen.status == http.HTTPStatus.OK and seen.beginning.startswith(_ANSWER):
        return finding("pages_ok", url=url)
    if seen.status in _GONE or seen.status < http.HTTPStatus.MULTIPLE_CHOICES:
        return finding("pages_not_ours", url=url)
    if seen.status < http.HTTPStatus.BAD_REQUEST:
        return finding("pages_redirect", url=url, status=status)
    if seen.status < http.HTTPStatus.INTERNAL_SERVER_ERROR:
        return finding("pages_refused", url=url, status=status)
    return finding("pages_out_of_order", url=url, status=status)


def _about_the_way(seen: Visit) -> Iterator[Finding]:
    """Yield a warning if more web servers stand in front than the pages believe.

    This request named no address, so that each that arrived was added on the way. Of fewer nothing
    is said: this machine's way may be shorter than everybody else's, or none of them may add one.
    """
    told = _TOLD.fullmatch(seen.headers.get(PROXIES.lower(), ""))
    if told and int(told[1]) > int(told[2]):
        yield finding("pages_proxies", seen=told[1], trusted=told[2])


def _about_the_end(seen: Visit, host: str, now: datetime) -> Iterator[Finding]:
    if seen.certificate_ends is None:
        return
    days = (seen.certificate_ends - now).days
    if days < _FEW_DAYS:
        yield finding("pages_certificate_ends", host=host, days=str(max(0, days)))
