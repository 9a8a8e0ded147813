"""The public halves of the keys that sign checkpoints, for whoever checks a proof."""

from __future__ import annotations

from flask import Blueprint, Response

from repermit.evidence import evidence_key
from repermit.web import error_pages
from repermit.web.request_context import get_site

pages = Blueprint("evidence_keys", __name__)


@pages.get("/.well-known/repermit-evidence-keys")
def show_keys() -> Response:
    """Show the keys as C2SP verifier keys, a line each: the present one, then those before it."""
    keys = evidence_key.known_keys(get_site().settings)
    if not keys:
        return error_pages.show_not_found()
    text = "".join(f"{key}\n" for key in keys)
    return Response(text, content_type="text/plain; charset=utf-8")
