"""Rendering public pages from templates, in the reader's language.

The style sheet is part of the page, so that a page is one request.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from flask import Response, request
from markupsafe import Markup

from repermit.answers.link_target import Giver
from repermit.emails import template_engine
from repermit.emails.mail_types import MailingListFacts
from repermit.evidence import chain
from repermit.evidence.consent_receipt import REPRESENTATIVE
from repermit.i18n import catalogues
from repermit.package_files import find_asset
from repermit.setting_overrides.current_settings import TEXTS_VERSION_KEY, read_versions
from repermit.settings.definitions import Settings
from repermit.web.request_context import get_services

if TYPE_CHECKING:
    from jinja2 import Environment

NUMBER = "number"
"""The field of every answer form with its number, which is valid for one press.

That of a Yes has the digest of the page's wording too, after a hyphen.
"""

CONFIRMATION_FIELD = "round"
"""The field by which a page that asks again sends its confirmation token."""


@dataclass(frozen=True, kw_only=True)
class PageContext:
    """The data that a page needs to be rendered.

    - `settings`: those of the current request.
    - `path`: the path below `public_url`; "" for a page that cannot be requested again, which
      therefore offers no other languages.
    - `mailing_list`: the list that the page is about, if any.
    - `is_switched`: the reader chose another language than the known one.
    - `is_representative`: the URL says that the reader speaks for a child or a person under
      guardianship; the page then addresses a representative.
    - `confirmation_token`: of the page that asks again, for its links to other languages.
    """

    settings: Settings
    language: str
    path: str
    mailing_list: MailingListFacts | None = None
    is_switched: bool = False
    is_representative: bool = False
    confirmation_token: str = ""

    @property
    def given_by(self) -> Giver:
        """Return the giver of an answer that is sent from this page."""
        return REPRESENTATIVE if self.is_representative else ""

    def make_query(self) -> str:
        """Return the query string that keeps the reader's choices, "" for none."""
        return _make_query(self._chosen(""))

    def make_relative_url(self, language: str = "") -> str:
        """Return the relative URL of the same page, in another language if one is given."""
        return _make_query({**self._chosen(language), CONFIRMATION_FIELD: self.confirmation_token})

    def _chosen(self, language: str) -> dict[str, str]:
        current = self.language if self.is_switched else ""
        return {"lang": language or current, "as": self.given_by}


@dataclass(frozen=True, kw_only=True)
class LanguageChoice:
    """A language in which a page is available; `url` is relative to keep pages small."""

    code: str
    name: str
    url: str
    is_current: bool


def make_context(
    path: str, *, language: str, mailing_list: MailingListFacts | None = None
) -> PageContext:
    """Return the context of a page; `?lang=` overrides `language`.

    A page about a list is only available in the languages of the list's texts.
    """
    requested = request.args.get("lang", "")
    chosen = _choose_language(requested, language, mailing_list)
    return PageContext(
        settings=get_services().settings,
        language=chosen,
        path=path,
        mailing_list=mailing_list and mailing_list.in_language(chosen),
        is_switched=chosen != language,
        is_representative=request.args.get("as") == REPRESENTATIVE,
    )


def render_page(
    template: str, context: PageContext, *, status: int = 200, **fields: Any
) -> Response:
    """Return the response with the rendered template."""
    fields |= make_frame_fields(context)
    if request.method != "POST" and _CHOOSE in request.args and fields["choices"]:
        template = "languages.html"
        fields |= {"every_choice": fields["choices"], "choices": [], "choose_url": ""}
    html = render(template, language=context.language, **fields)
    response = Response(html, status=status, content_type="text/html; charset=utf-8")
    response.content_language.add(context.language)
    return response


def render(template: str, *, language: str, **fields: Any) -> str:
    """Return the rendered template; everything but Markup is escaped."""
    return _make_environment(language).get_template(template).render(language=language, **fields)


def make_public_url(path: str, context: PageContext) -> str:
    """Return the absolute URL of a page, never from the Host header.

    It keeps the reader's choice of language and of speaking as a representative.
    """
    return context.settings.public_url + path + context.make_query()


def list_language_names(list_facts: MailingListFacts | None = None) -> dict[str, str]:
    """Return the languages' own names by code, in the order of these names.

    - `list_facts`: limits them to the languages of this list's texts, at least one.
    """
    available = list_facts.languages if list_facts else catalogues.languages()
    return {
        code: catalogues.language_name(code) for code in catalogues.languages() if code in available
    }


def list_browser_languages() -> Iterator[str]:
    """Yield the available languages that the browser accepts, the preferred first."""
    for requested, quality in request.accept_languages:
        if quality:
            yield catalogues.choose_language(requested, default="")


STYLE = "public"
"""The style sheet of all public pages."""

MORE_STYLE = "public-forms-data-print"
"""The additional style sheet for forms, data and print."""


@cache
def read_style(name: str) -> str:
    """Return a style sheet of public pages, minified."""
    return minify_css((find_asset("static") / f"{name}.css").read_text("utf-8"))


def minify_css(css: str) -> str:
    """Return a style sheet without comments and unneeded white space."""
    text = re.sub(r"/\*.*?\*/", "", css, flags=re.DOTALL)
    text = re.sub(r"\s+", " ", text)
    return re.sub(r" ?([{};,]) ?|(?<=:) ", r"\1", text).replace(";}", "}").strip()


def make_frame_fields(context: PageContext) -> dict[str, Any]:
    """Return the template's fields for the frame of every page."""
    list_facts = context.mailing_list
    choices = _list_choices(context)
    return {
        "organisation": context.settings.organisation,
        "privacy_url": list_facts.privacy_url if list_facts else "",
        "choices": choices,
        "choose_url": f"?{_CHOOSE}{context.make_relative_url().replace('?', '&')}"
        if len(choices) > _MAX_CHOICES_INLINE
        else "",
        "current_language": catalogues.language_name(context.language),
        "style": Markup(read_style(STYLE)),  # noqa: S704  our own file
        "more_style": Markup(read_style(MORE_STYLE)),  # noqa: S704
    }


def _make_query(fields: Mapping[str, str]) -> str:
    query = urlencode({name: value for name, value in fields.items() if value})
    return f"?{query}" if query else ""


def _choose_language(requested: str, default: str, list_facts: MailingListFacts | None) -> str:
    chosen = catalogues.choose_language(requested, default=default)
    return chosen if list_facts is None or chosen in list_facts.languages else default


_CHOOSE = "languages"
_MAX_CHOICES_INLINE = 8
"""The most languages that a page lists itself; more are listed on a separate page."""


def _list_choices(context: PageContext) -> list[LanguageChoice]:
    names = list_language_names(context.mailing_list)
    if not context.path or len(names) == 1:
        return []
    return [
        LanguageChoice(
            code=code,
            name=name,
            url=context.make_relative_url(code),
            is_current=code == context.language,
        )
        for code, name in names.items()
    ]


@cache
def _make_environment(language: str) -> Environment:
    environment = template_engine.make_environment("public", language)
    environment.filters["breakable"] = _make_breakable
    return environment


def _make_breakable(text: str, most: int = 24) -> Markup:
    """Return a text whose words may break after so many letters.

    A long word must not be wider than a small phone, also where there are no styles: with them it
    breaks by itself where it has to.
    """
    parts = ([word[n : n + most] for n in range(0, len(word), most)] for word in text.split(" "))
    return Markup(" ").join(map(Markup("<wbr>").join, parts))


# --- The wording that a page was shown with. ------------------------------------------------------


_DIGEST_DIGITS = 16


def digest_shown_wording(wording: str) -> str:
    """Return the digest of a page's wording, which its Yes sends after the form's number.

    It includes the version of the texts at the beginning of the request, as a text may be corrected
    while the page is made.
    """
    return _digest_wording(wording, get_services().texts_version)


def is_wording_shown(wording: str) -> bool:
    """Return whether the page that sent a Yes had this wording.

    Call it after the wording to be stored is rendered, so that no later correction is in that.
    """
    digest = _digest_wording(wording, read_versions()[TEXTS_VERSION_KEY])
    return request.form.get(NUMBER, "").partition("-")[2] == digest


def _digest_wording(wording: str, texts_version: str) -> str:
    return chain.digest_wording(f"{texts_version}\n{wording}")[:_DIGEST_DIGITS]
