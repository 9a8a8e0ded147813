"""Certificates as servers of tests show them, under an authority that only the test believes.

The fixtures `authority` and `ca_file` are every test's. Imports no repermit.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import trustme


def server_context(authority: trustme.CA, name: str = "localhost", **more: Any) -> ssl.SSLContext:
    """Return what a server needs that shows a certificate for `name`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name, **more).configure_cert(context)
    return context
