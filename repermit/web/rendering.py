"""Making a page of a template, in the reader's language.

May import messages (for its catalogues) and config. The style stands in the page, so that a page
is one request.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from flask import Response, request
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from repermit import messages
from repermit.config import asset
from repermit.web.site import current_site

if TYPE_CHECKING:
    from repermit.messages import MailingListFacts

_NAMES = {"nl": "Nederlands", "en": "English", "de": "Deutsch", "fr": "Français"}


@dataclass(frozen=True, kw_only=True)
class Reader:
    """Whom a page is for: the language it is in, and the list it is about, if it is about one.

    `path` is the page's own address below `public_url`, under which it has its other languages.
    """

    language: str
    path: str
    mailing_list: MailingListFacts | None = None
    is_switched: bool = False


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One language that a page can be read in."""

    code: str
    name: str
    url: str
    is_current: bool


def make_reader(
    path: str, *, language: str, mailing_list: MailingListFacts | None = None
) -> Reader:
    """Return the reader of a page; `?lang=` goes before the language that is known of them."""
    wanted = request.args.get("lang", "")
    chosen = messages.pick_language(wanted, otherwise=language)
    return Reader(
        language=chosen,
        path=path,
        mailing_list=mailing_list,
        is_switched=chosen != language,
    )


def page(template: str, reader: Reader, *, status: int = 200, **fields: Any) -> Response:
    """Return the response with a page made of `template`."""
    html = render(template, language=reader.language, **frame(reader), **fields)
    return Response(html, status=status, content_type="text/html; charset=utf-8")


def render(template: str, *, language: str, **fields: Any) -> str:
    """Return a template filled in; everything is escaped that is not Markup."""
    return _environment(language).get_template(template).render(language=language, **fields)


def public_url(path: str, reader: Reader | None = None) -> str:
    """Return the whole address of a page, never from the Host header.

    A reader who has chosen another language keeps it.
    """
    url = current_site().settings.public_url + path
    return f"{url}?lang={reader.language}" if reader and reader.is_switched else url


@cache
def style() -> str:
    """Return the style sheet that stands in every page."""
    return (asset("static") / "public.css").read_text("utf-8")


def frame(reader: Reader) -> dict[str, Any]:
    """Return what stands around every page."""
    about = reader.mailing_list
    return {
        "organisation": current_site().settings.organisation,
        "privacy_url": about.privacy_url if about else "",
        "choices": _choices(reader),
        "style": Markup(style()),  # noqa: S704  our own file
    }


def _choices(reader: Reader) -> list[Choice]:
    return [
        Choice(
            code=code,
            name=_NAMES.get(code, code),
            url=f"{public_url(reader.path)}?lang={code}",
            is_current=code == reader.language,
        )
        for code in sorted(messages.languages(), key=lambda code: _NAMES.get(code, code))
    ]


@cache
def _environment(language: str) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(asset("templates") / "public"),
        autoescape=True,
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
    )
    install = environment.install_gettext_translations  # type: ignore[attr-defined]
    install(messages.translations(language), newstyle=True)
    return environment
