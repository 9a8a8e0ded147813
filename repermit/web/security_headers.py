"""The headers of every response: nothing loads, nothing frames, nothing is kept.

They follow the OWASP Secure Headers Project, but for Referrer-Policy: without any referrer, forms
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

# What a page might ask of the browser; an empty list is nobody.
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
    """Add what tells the browser to do nothing but show the page and send its form.

    Headers that a page has set stay: an admin page has styles and a script in files.
    """
    response.headers.setdefault("Content-Security-Policy", _make_content_policy())
    for name, value in make_usual_headers(get_services().settings):
        response.headers.setdefault(name, value)
    return response


def make_plain_text_headers(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield the headers of a response that is no page, such as a refusal of the server in front."""
    yield "Content-Security-Policy", "default-src 'none'; base-uri 'none'; frame-ancestors 'none'"
    yield from make_usual_headers(settings)


def make_usual_headers(settings: Settings) -> Iterator[tuple[str, str]]:
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
    """Return for how long the host, and what is below it, is reached by https alone (RFC 6797).

    Where the pages share the host of a website, what is below that host is not theirs to decide on.
    """
    below = "" if urlsplit(settings.public_url).path else "; includeSubDomains"
    return f"max-age={_YEAR}{below}"


def _make_content_policy() -> str:
    styles = " ".join(f"'sha256-{_hash_source(read_style(name))}'" for name in (STYLE, MORE_STYLE))
    return (
        f"default-src 'none'; style-src {styles}; img-src data:; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    )


def _hash_source(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
