"""What old links show once the server is off: one page, and how web servers give it to them all."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from markupsafe import Markup

from repermit.archives.archive_readme import reply_address
from repermit.contacts import lookup
from repermit.db.models.lists import MailingList
from repermit.emails import template_engine
from repermit.i18n import catalogues
from repermit.package_files import embed_style
from repermit.settings.definitions import Settings
from repermit.signed_links import KINDS

if TYPE_CHECKING:
    from jinja2 import Environment

_PAGES = (*KINDS, "join")
"""What the first word of an old link's path may be."""


def files(mailing_list: MailingList, *, settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield each file of the folder, by its name in it.

    The page names no list: links of other lists of the same server end there too, and being on a
    list may be private.
    """
    page = _page(mailing_list, settings)
    base = urlsplit(settings.public_url).path.rstrip("/")
    values = {"base": re.escape(base), "pages": "|".join(_PAGES)}
    yield "index.html", page
    # Hosts without settings, such as GitHub Pages, show this one for whatever is not there.
    yield "404.html", page
    yield "nginx.conf", _NGINX % values
    yield "apache.conf", _APACHE % values
    yield "_redirects", "".join(f"{base}/{one}/* {base}/index.html 200\n" for one in _PAGES)


def _page(mailing_list: MailingList, settings: Settings) -> str:
    first = mailing_list.language
    about = lookup.list_facts(mailing_list)
    known = {
        "organisation": settings.organisation,
        "email": reply_address(mailing_list, settings=settings),
    }
    sections = [
        (one, _section(one, {**known, "privacy_url": about.in_language(one).privacy_url}))
        for one in about.languages
    ]
    return (
        _environment(first)
        .get_template("page.html")
        .render(
            **known,
            language=first,
            names={one: catalogues.language_name(one) for one in about.languages},
            sections=sections,
            **embed_style("public.css"),
        )
    )


def _section(language: str, known: dict[str, object]) -> Markup:
    text = _environment(language).get_template("section.html").render(**known, language=language)
    return Markup(text)  # noqa: S704  everything in it was escaped


@cache
def _environment(language: str) -> Environment:
    environment = template_engine.make_environment("archives", language)
    environment.filters["in_url"] = lambda text: quote(text, safe="@")
    return environment


_NGINX = """\
# In the `server` block of the old address; put this folder at /srv/old-links.
# A mail program that posts No to an old link is told 405: nothing here can carry that out.
location ~ ^%(base)s/(%(pages)s)(/|$) {
    root /srv/old-links;
    access_log off;    # its lines would hold the links
    add_header Cache-Control "no-store";
    add_header Referrer-Policy "no-referrer";
    rewrite ^ /index.html break;
}
"""

_APACHE = """\
# In the virtual host of the old address, with mod_rewrite and mod_headers; put this folder at
# /srv/old-links. A post to an old link is told 405: nothing here can carry out a No.
RewriteEngine On
RewriteCond %%{REQUEST_METHOD} !^(GET|HEAD)$
RewriteRule ^%(base)s/(%(pages)s)(/|$) - [R=405,L]
RewriteRule ^%(base)s/(%(pages)s)(/|$) /srv/old-links/index.html [L]
<Directory /srv/old-links>
    Require all granted
    Header set Cache-Control "no-store"
    Header set Referrer-Policy "no-referrer"
</Directory>
"""
