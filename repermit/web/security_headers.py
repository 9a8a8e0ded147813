"""The security headers of every response: no foreign content, no framing, no caching.

They follow the OWASP Secure Headers Project, except Referrer-Policy: without a referrer, forms
could not be told from those of other websites.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from repermit.settings.definitions import Settings
from repermit.web.rendering import MORE_STYLE, STYLE, read_style
from repermit.web.request_context import get_services

if TYPE_CHECKING:
    from flask import Response

_YEAR = 365 * 24 * 3600

# Features of the browser that no page may use.
_DISABLED_FEATURES = (
    "accelerometer",
    "autoplay",
    "camera",
    "display-capture",
    "encrypted-media",
    "fullscreen",
    "geolocation",
    "gyroscope",
    "magnetometer",
    "microphone",
    "midi",
    "payment",
    "picture-in-picture",
    "publickey-credentials-get",
    "screen-wake-lock",
    "sync-xhr",
    "usb",
    "xr-spatial-tracking",
)
_PERMISSIONS = ", ".join(f"{feature}=()" for feature in _DISABLED_FEATURES)


def add_headers(response: Response) -> Response:
    """Add headers that let the browser only show the page and send its form.

    Headers that a page has set are kept: an admin page loads styles and a script.
    """
    response.headers.setdefault("Content-Security-Policy", _make_content_policy())
    for name, value in make_common_headers(get_services().settings):
        response.headers.setdefault(name, value)
    return response


def make_plain_text_headers(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield the headers of a response that is no page, such as a refusal of waitress."""
    yield "Content-Security-Policy", "default-src 'none'; base-uri 'none'; frame-ancestors 'none'"
    yield from make_common_headers(settings)


def make_common_headers(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield the headers of every response, except the content security policy."""
    yield "Referrer-Policy", "same-origin"
    yield "X-Content-Type-Options", "nosniff"
    yield "X-Frame-Options", "DENY"
    yield "X-Robots-Tag", "noindex, nofollow"
    yield "Cache-Control", "no-store"
    yield "Cross-Origin-Opener-Policy", "same-origin"
    yield "Cross-Origin-Resource-Policy", "same-origin"
    yield "Permissions-Policy", _PERMISSIONS
    if settings.public_url.startswith("https:"):
        yield "Strict-Transport-Security", _make_transport_policy(settings)


def _make_transport_policy(settings: Settings) -> str:
    """Return the value of Strict-Transport-Security (RFC 6797).

    Subdomains are left out if the pages share a website's host, which decides about them.
    """
    subdomains = "" if urlsplit(settings.public_url).path else "; includeSubDomains"
    return f"max-age={_YEAR}{subdomains}"


def _make_content_policy() -> str:
    styles = " ".join(f"'sha256-{_hash_source(read_style(name))}'" for name in (STYLE, MORE_STYLE))
    return (
        f"default-src 'none'; style-src {styles}; img-src data:; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    )


def _hash_source(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
