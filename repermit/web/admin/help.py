"""The help: pages of docs/, in the user's language or a requested one."""

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
    page_language, requested = get_page_language(), request.args.get("language", "")
    language = requested if requested in LANGUAGES else page_language
    page = documentation.find_page(name, language=language)
    if page is None:
        abort(404)

    def make_url(name: str, other_language: str) -> str:
        target_language, default_page = (
            other_language or language,
            documentation.find_page(name, language=page_language),
        )
        is_default = target_language == page_language or (
            default_page is not None and default_page.language == target_language
        )
        return make_help_url(name) + ("" if is_default else f"?language={target_language}")

    html = documentation.render_html(page, url_of=make_url)
    return render_page("help/show.html", page=page, text=Markup(html))  # noqa: S704  our own text
