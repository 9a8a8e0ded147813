"""The pages about no list: the front page, the evidence keys, and robots.txt."""

from __future__ import annotations

from flask import Blueprint, Response, request

from repermit.evidence import evidence_key
from repermit.package_files import LANGUAGES
from repermit.web import error_pages
from repermit.web.rendering import list_browser_languages, make_context, render_page
from repermit.web.request_context import get_services

pages = Blueprint("front_page", __name__)


@pages.get("/")
def show_front() -> Response:
    """Show the organisation; no list is named, since it may be a sensitive one."""
    shared = error_pages.find_shared_facts()
    preferred = (*list_browser_languages(), shared["language"], LANGUAGES[0])
    context = make_context(request.path, language=next(filter(None, preferred)))
    template = "front_page.html" if get_services().settings.organisation.name else "not_set_up.html"
    response = render_page(template, context, shared_privacy_url=shared["privacy_url"])
    response.vary.add("Accept-Language")
    return response


@pages.get("/.well-known/repermit-evidence-keys")
def show_evidence_keys() -> Response:
    """Show the public keys that sign checkpoints, for checking a proof.

    They are C2SP verifier keys, one a line: the present key, then the former ones.
    """
    keys = evidence_key.list_known_keys(get_services().settings)
    if not keys:
        return error_pages.show_not_found()
    text = "".join(f"{key}\n" for key in keys)
    return Response(text, content_type="text/plain; charset=utf-8")


@pages.get("/robots.txt")
def show_robots() -> Response:
    """Ask search engines to index no page."""
    return Response("User-agent: *\nDisallow: /\n", content_type="text/plain; charset=utf-8")
