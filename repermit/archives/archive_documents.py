"""What an archive says in words: its README, what is left to people, and the page of old links."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from markupsafe import Markup

from repermit.contacts import lookup
from repermit.db.models.campaigns import latest_campaign
from repermit.db.models.lists import MailingList
from repermit.emails import sender_identity, template_engine
from repermit.i18n import catalogues, dates
from repermit.package_files import embed_style
from repermit.settings.definitions import Settings
from repermit.signed_links import KINDS

if TYPE_CHECKING:
    from jinja2 import Environment

_WIDTH = 76
_LINK_PATHS = (*KINDS, "join")
"""What the path of an old link may begin with."""


def render_readme(mailing_list: MailingList, *, settings: Settings, now: datetime) -> str:
    """Return README.txt in the list's language, with the line ends that Windows needs."""
    language = mailing_list.language
    text = _render(
        "readme.txt",
        language,
        name=mailing_list.name,
        moment=dates.moment_in_words(now, language=language, zone=settings.zone),
        has_report=latest_campaign(mailing_list) is not None,
        lost=list_lost_functions(language),
        duties=list_duties(mailing_list, settings=settings, language=language),
    )
    return text.replace("\n", "\r\n")


def list_lost_functions(language: str) -> list[str]:
    """Return what no longer works once the server is switched off."""
    return _render("lost_functions.txt", language).splitlines()


def list_duties(mailing_list: MailingList, *, settings: Settings, language: str) -> list[str]:
    """Return what the organisation has to do by hand once the server is switched off."""
    return _render(
        "duties.txt",
        language,
        url=settings.public_url,
        email=_choose_reply_address(mailing_list, settings),
        years=settings.retention.evidence_years,
    ).splitlines()


def make_static_site(mailing_list: MailingList, *, settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield the files that show a page to whoever presses an old link: name and content.

    The page names no list: links of other lists of the same server end there too, and being on a
    list may be private.
    """
    language = mailing_list.language
    page = _render_page(mailing_list, settings)
    base = urlsplit(settings.public_url).path.rstrip("/")
    values = {"base": re.escape(base), "pages": "|".join(_LINK_PATHS)}
    yield "index.html", page
    # Hosts without settings, such as GitHub Pages, show this one for whatever is not there.
    yield "404.html", page
    for name in ("nginx.conf", "apache.conf"):
        yield name, _render(name, language, **values) + "\n"
    yield "_redirects", "".join(f"{base}/{one}/* {base}/index.html 200\n" for one in _LINK_PATHS)


def _render_page(mailing_list: MailingList, settings: Settings) -> str:
    facts = lookup.read_list_facts(mailing_list)
    fields = {
        "organisation": settings.organisation,
        "email": _choose_reply_address(mailing_list, settings),
    }
    sections = []
    for language in facts.languages:
        privacy_url = facts.in_language(language).privacy_url
        section = _render("section.html", language, privacy_url=privacy_url, **fields)
        sections.append((language, Markup(section)))  # noqa: S704  everything in it was escaped
    return _render(
        "page.html",
        mailing_list.language,
        names={one: catalogues.language_name(one) for one in facts.languages},
        sections=sections,
        **fields,
        **embed_style("public.css"),
    )


def _choose_reply_address(mailing_list: MailingList, settings: Settings) -> str:
    facts = lookup.read_list_facts(mailing_list)
    return sender_identity.choose_reply_address(facts, settings.organisation)


def _render(template: str, language: str, **fields: object) -> str:
    return _environment(language).get_template(template).render(language=language, **fields)


@cache
def _environment(language: str) -> Environment:
    environment = template_engine.make_environment("archives", language)
    environment.filters.update(in_url=lambda text: quote(text, safe="@"), wrap=_wrap)
    return environment


def _wrap(text: str, first: str = "", rest: str = "") -> str:
    """Return a text in lines of 76 characters; `rest` stands before each but the first."""
    return textwrap.fill(
        text,
        _WIDTH,
        initial_indent=first,
        subsequent_indent=rest or first,
        break_long_words=False,
        break_on_hyphens=False,
    )
