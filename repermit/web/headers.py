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
    from flask import Response

_HALF_A_YEAR = 180 * 24 * 3600


def add_headers(response: Response) -> Response:
    """Add what tells the browser to do nothing but show the page and send its form."""
    response.headers.update(
        {
            "Content-Security-Policy": _policy(),
            "Referrer-Policy": "same-origin",
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
            "X-Robots-Tag": "noindex, nofollow",
            "Cache-Control": "no-store",
        }
    )
    if current_site().settings.public_url.startswith("https:"):
        response.headers["Strict-Transport-Security"] = f"max-age={_HALF_A_YEAR}"
    return response


def _policy() -> str:
    digest = base64.b64encode(hashlib.sha256(style().encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    )
