"""The path of `public_url`: the pages work whether or not the proxy in front strips it.

May import nothing of repermit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment
    from flask import Flask
    from werkzeug.routing import MapAdapter


class StripPublicPath:
    """Take the path of `public_url` off the path of a request, if it is still there.

    A path that is a page as it stands is left alone, also if it begins like `public_url`'s.
    """

    def __init__(self, inner: WSGIApplication, *, app: Flask, public_path: str) -> None:
        self._inner = inner
        self._pages: MapAdapter = app.url_map.bind("")
        self._public_path = public_path

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Pass the request on, without the path of `public_url`."""
        path: str = environ["PATH_INFO"]
        if path.startswith(self._public_path + "/") and not self._pages.allowed_methods(path):
            environ["PATH_INFO"] = path.removeprefix(self._public_path)
        return self._inner(environ, start_response)
