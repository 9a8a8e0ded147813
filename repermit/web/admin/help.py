"""The help: pages of docs/ in the reader's language, or in one that is asked for."""

from __future__ import annotations

from flask import Blueprint, Response, abort, request
from markupsafe import Markup

from repermit import documentation
from repermit.web.admin.page_permissions import for_viewers
from repermit.web.admin.rendering import (
    LANGUAGES,
    get_page_language,
    make_help_url,
    render_page,
)

pages = Blueprint("help", __name__, url_prefix="/admin/help")


@pages.get("/")
@for_viewers
def show_index() -> Response:
    """Show all pages of the help."""
    return _show(documentation.INDEX)


@pages.get("/<path:page_name>")
@for_viewers
def show_page(page_name: str) -> Response:
    """Show one page of the help."""
    return _show(page_name)


def _show(name: str) -> Response:
    reader, chosen = get_page_language(), request.args.get("language", "")
    language = chosen if chosen in LANGUAGES else reader
    page = documentation.find_page(name, language=language)
    if page is None:
        abort(404)

    def make_url(name: str, other: str) -> str:
        wanted, usual = other or language, documentation.find_page(name, language=reader)
        is_usual = wanted == reader or (usual is not None and usual.language == wanted)
        return make_help_url(name) + ("" if is_usual else f"?language={wanted}")

    html = documentation.render_html(page, url_of=make_url)
    return render_page("help/show.html", page=page, text=Markup(html))  # noqa: S704  our own text
