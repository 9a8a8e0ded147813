"""How people and programs of the demonstration ask for its pages: over real HTTP.

Imports nothing of repermit.
"""

from __future__ import annotations

import urllib.error
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_TIMEOUT = 30


def head(url: str) -> None:
    """Ask whether a page is there."""
    _ask(urllib.request.Request(url, method="HEAD"))  # noqa: S310  our own http links


def get(url: str) -> str:
    """Return a page, whatever its status."""
    return _ask(urllib.request.Request(url))  # noqa: S310


def post(url: str, fields: Mapping[str, str]) -> str:
    """Send a form; return the page that answers it, whatever its status."""
    body = urllib.parse.urlencode(fields).encode()
    return _ask(urllib.request.Request(url, data=body))  # noqa: S310


def _ask(request: urllib.request.Request) -> str:
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as reply:  # noqa: S310
            return str(reply.read().decode())
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.read().decode()
