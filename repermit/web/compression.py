"""Answer pages made smaller on their way, for whoever takes gzip (RFC 9110 §8.4.1.3).

A page with a secret that also repeats what was asked of it is left as it is: its length would then
tell the secret, a letter at a time (BREACH, 2013). Those of these pages that have a secret repeat
nothing.
"""

from __future__ import annotations

import gzip

from flask import Response, request

_ROOMS = frozenset({"answering", "joining"})


def pack(response: Response) -> Response:
    """Return the response, compressed if it is such a page and the browser takes that."""
    if request.blueprint not in _ROOMS or response.mimetype != "text/html":
        return response
    response.vary.add("Accept-Encoding")
    if request.accept_encodings["gzip"] > 0:
        # Without a time in it, the same page is the same bytes.
        response.set_data(gzip.compress(response.get_data(), mtime=0))
        response.headers["Content-Encoding"] = "gzip"
    return response
