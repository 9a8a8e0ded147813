"""The headers of every response: nothing loads, nothing frames, nothing is kept.

May import config.
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING

from repermit.web.rendering import style
from repermit.web.site import current_site

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask import Response

_HALF_A_YEAR = 180 * 24 * 3600


def add_headers(response: Response) -> Response:
    """Add what tells the browser to do nothing but show the page and send its form.

    What a page has said of itself stays: an admin's page has styles and a script in files.
    """
    for name, value in _usual():
        response.headers.setdefault(name, value)
    if current_site().settings.public_url.startswith("https:"):
        response.headers["Strict-Transport-Security"] = f"max-age={_HALF_A_YEAR}"
    return response


def _usual() -> Iterator[tuple[str, str]]:
    yield "Content-Security-Policy", _policy()
    yield "Referrer-Policy", "same-origin"
    yield "X-Content-Type-Options", "nosniff"
    yield "X-Frame-Options", "DENY"
    yield "X-Robots-Tag", "noindex, nofollow"
    yield "Cache-Control", "no-store"


def _policy() -> str:
    styles = " ".join(f"'sha256-{_digest(style(name))}'" for name in ("public", "public-more"))
    return (
        f"default-src 'none'; style-src {styles}; img-src data:; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    )


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
