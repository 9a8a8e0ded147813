"""The files that the admin's pages load: a stylesheet and a script of our own, vendored ones."""

from __future__ import annotations

import mimetypes
from pathlib import Path

from flask import Blueprint, Response, abort, request
from werkzeug.security import safe_join

from repermit.package_files import asset
from repermit.web.admin.page_permissions import for_everybody

pages = Blueprint("styles", __name__, url_prefix="/admin/static")

_A_DAY = 24 * 3600


@pages.get("/<path:name>")
@for_everybody
def file(name: str) -> Response:
    """Return a file of `static/`; they are small and read whole."""
    found = safe_join(str(asset("static")), name)
    if found is None or not Path(found).is_file():
        abort(404)
    response = Response(Path(found).read_bytes(), mimetype=mimetypes.guess_type(name)[0])
    response.cache_control.max_age = _A_DAY
    response.add_etag()
    response.make_conditional(request)
    return response
