"""Making a page of a template, in the reader's language.

The style stands in the page, so that a page is one request.
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
from repermit.evidence.consent_receipt import REPRESENTATIVE
from repermit.i18n import catalogues
from repermit.package_files import find_asset
from repermit.setting_overrides.current_settings import TEXTS_VERSION_KEY, read_versions
from repermit.settings.definitions import Settings
from repermit.web.request_context import get_services

if TYPE_CHECKING:
    from jinja2 import Environment

NUMBER = "number"
"""What each form for an answer sends along: its number, good for one press."""

CONFIRMATION_FIELD = "round"
"""What buttons and links of a page that asks again send along: its mark."""


@dataclass(frozen=True, kw_only=True)
class PageContext:
    """Whom a page is for: the language it is in, and the list it is about, if it is about one.

    `settings` are those that hold while the page is made.

    Whoever opens a page says in its address that they speak for somebody too young or under
    guardianship, so that the page can ask them in these words.

    `path` is the page's own address below `public_url`, "" for a page that nobody can get once
    more, and which has no other languages therefore. `mark` is that of the round in which they are
    asked again, which the same page needs in another language.
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
        """Return who gives an answer that is sent from their page."""
        return REPRESENTATIVE if self.is_representative else ""

    def make_query(self) -> str:
        """Return the query string that keeps the reader's choices, "" for none."""
        return _make_query(self._chosen(""))

    def make_relative_url(self, language: str = "") -> str:
        """Return the relative address of the same page in another language, "" for it as it is."""
        return _make_query({**self._chosen(language), CONFIRMATION_FIELD: self.confirmation_token})

    def _chosen(self, language: str) -> dict[str, str]:
        current = self.language if self.is_switched else ""
        return {"lang": language or current, "as": self.given_by}


@dataclass(frozen=True, kw_only=True)
class LanguageChoice:
    """One language that a page can be read in; `url` is relative, since it stands there often."""

    code: str
    name: str
    url: str
    is_current: bool


def make_context(
    path: str, *, language: str, mailing_list: MailingListFacts | None = None
) -> PageContext:
    """Return the reader of a page; `?lang=` goes before the language that is known of them.

    A list is read in a language that it can be told in, and in no other.
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
    """Return the response with a page made of `template`."""
    fields |= make_frame_fields(context)
    if request.method != "POST" and _CHOOSE in request.args and fields["choices"]:
        template = "languages.html"
        fields |= {"every_choice": fields["choices"], "choices": [], "choose_url": ""}
    html = render(template, language=context.language, **fields)
    response = Response(html, status=status, content_type="text/html; charset=utf-8")
    response.content_language.add(context.language)
    return response


def render(template: str, *, language: str, **fields: Any) -> str:
    """Return a template filled in; everything is escaped that is not Markup."""
    return _make_environment(language).get_template(template).render(language=language, **fields)


def make_public_url(path: str, context: PageContext) -> str:
    """Return the whole address of a page, never from the Host header.

    A reader who has chosen another language keeps it, and whom they speak for.
    """
    return context.settings.public_url + path + context.make_query()


def list_language_names(list_facts: MailingListFacts | None = None) -> dict[str, str]:
    """Return each language's own name by its code, in the order of these names.

    Of a list that is given, those that it can be told in; there may be but one.
    """
    available = list_facts.languages if list_facts else catalogues.languages()
    return {
        code: catalogues.language_name(code) for code in catalogues.languages() if code in available
    }


def list_browser_languages() -> Iterator[str]:
    """Yield what the browser would rather read, of the languages there are, the best first."""
    for requested, quality in request.accept_languages:
        if quality:
            yield catalogues.choose_language(requested, otherwise="")


STYLE = "public"
"""The style sheet that stands in all public pages."""

MORE_STYLE = "public-forms-data-print"
"""The style sheet that pages have too which show a form or data, or are printed."""


@cache
def read_style(name: str) -> str:
    """Return a style sheet that stands in public pages."""
    return minify_css((find_asset("static") / f"{name}.css").read_text("utf-8"))


def minify_css(css: str) -> str:
    """Return a style sheet of ours without what only those need who read it."""
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
        TEXTS: get_services().texts_version,
        "current_language": catalogues.language_name(context.language),
        "style": Markup(read_style(STYLE)),  # noqa: S704  our own file
        "more_style": Markup(read_style(MORE_STYLE)),  # noqa: S704
    }


def _make_query(fields: Mapping[str, str]) -> str:
    query = urlencode({name: value for name, value in fields.items() if value})
    return f"?{query}" if query else ""


def _choose_language(requested: str, default: str, list_facts: MailingListFacts | None) -> str:
    chosen = catalogues.choose_language(requested, otherwise=default)
    return chosen if list_facts is None or chosen in list_facts.languages else default


_CHOOSE = "languages"
_MAX_CHOICES_INLINE = 8
"""How many languages stand above a page at most; else they have a page, which weighs less."""


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
    return template_engine.make_environment("public", language)


# --- In which words a page was shown, known again when a Yes comes from it. -----------------------


TEXTS = "texts"
"""What the forms for a Yes send along: the version of the texts, if any was ever corrected."""


def is_current_version() -> bool:
    """Say whether the page that sent a Yes was in the words that hold at this moment.

    Asked once the text of the page is made that is kept, since no later correction is in that then.
    """
    return request.form.get(TEXTS, "") == read_versions()[TEXTS_VERSION_KEY]
