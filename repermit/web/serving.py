"""The server in front of the application: waitress, without an access log.

May import config.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import waitress

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

    from repermit.config import Settings

_LARGEST_BODY = 64 * 1024

# It would warn once for each request of a burst that has to wait for a thread.
logging.getLogger("waitress.queue").setLevel(logging.ERROR)


def make_server(
    app: WSGIApplication,
    *,
    settings: Settings,
    host: str | None = None,
    port: int | None = None,
    sockets: dict[int, Any] | None = None,
) -> Any:
    """Return a server that listens already; `run()` serves.

    `host` and `port` stand for those of the settings; port 0 takes a free one, which is then
    `effective_port`. `sockets` is filled with what waitress listens and talks on.
    """
    return waitress.create_server(
        app,
        map=sockets,
        host=settings.web.host if host is None else host,
        port=settings.web.port if port is None else port,
        threads=settings.web.threads,
        max_request_body_size=_LARGEST_BODY,
        # So that the name of the software, and its version, go to nobody.
        ident=None,
        # Which X-Forwarded-For entries are believed is decided by `web.trusted_proxies`.
        clear_untrusted_proxy_headers=False,
    )
