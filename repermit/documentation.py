"""The pages of docs/ that come with the package, for the admin's help and the command `help`."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from dataclasses import dataclass

from markdown_it import MarkdownIt
from markdown_it.token import Token

from repermit.package_files import asset

KINDS = ("tutorial", "how-to", "reference", "explanation")
"""Folders of docs/ that come along; `develop` is for those who have the source."""

INDEX = "README"
"""Name of the page that lists all others."""

_NAME = re.compile(rf"(?:{'|'.join(KINDS)})/[a-z0-9-]+")
_TABLE = re.compile(r"<table>.*?</table>", re.DOTALL)


@dataclass(frozen=True)
class Page:
    """One page: its name such as `how-to/check`, its language, its title and its Markdown."""

    name: str
    language: str
    title: str
    text: str


def list_names() -> list[str]:
    """Return the names of all pages, in the order of their kinds."""
    docs = asset("docs")
    return [
        f"{kind}/{path.stem}"
        for kind in KINDS
        for path in sorted((docs / kind).glob("*.md"))
        if "." not in path.stem
    ]


def list_pages(language: str) -> list[Page]:
    """Return all pages, each in a language or else in English."""
    pages = (find_page(name, language=language) for name in list_names())
    return [page for page in pages if page]


def find_page(name: str, *, language: str) -> Page | None:
    """Return a page in a language, in English where it is not in that; None if there is none.

    - `name`: such as `how-to/check`, or only `check` where one kind alone has such a page.
    """
    if "/" not in name and name != INDEX:
        named = [each for each in list_names() if each.endswith(f"/{name}")]
        name = named[0] if len(named) == 1 else name
    if name != INDEX and not _NAME.fullmatch(name):
        return None
    for chosen in (language, "en"):
        ending = ".md" if chosen == "en" else f".{chosen}.md"
        path = asset("docs") / f"{name}{ending}"
        if path.is_file():
            text = path.read_text("utf-8")
            return Page(name, chosen, text.partition("\n")[0].removeprefix("# "), text)
    return None


def render_html(page: Page, *, url_of: Callable[[str], str]) -> str:
    """Return a page as HTML: links lead to the help, and what did not come along is no link.

    - `url_of` returns the address of a page by its name.
    """
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = markdown.parse(page.text)
    for at, token in enumerate(tokens):
        if token.type == "heading_open":
            token.attrSet("id", slugify(tokens[at + 1].content))
        if token.children:
            token.children = _link_within(page, token.children, url_of)
    html: str = markdown.renderer.render(tokens, markdown.options, {})
    return _TABLE.sub(_let_scroll, html)


def _let_scroll(table: re.Match[str]) -> str:
    """Put a table into a region that scrolls by itself, named by the titles of its columns."""
    titles = ", ".join(filter(None, re.findall(r"<th[^>]*>(.*?)</th>", table[0])))
    label = re.sub("<[^>]*>", "", titles)
    opening = f'<div class="wide" tabindex="0" role="group" aria-label="{label}">'
    return f"{opening}\n{table[0]}\n</div>"


def _link_within(page: Page, tokens: list[Token], url_of: Callable[[str], str]) -> list[Token]:
    """Turn links between files into links between pages; pictures did not come along."""
    kept: list[Token] = []
    is_linked = True
    for token in tokens:
        if token.type == "image":
            continue
        if token.type == "link_open":
            address = _resolve(page, str(token.attrGet("href")), url_of)
            is_linked = address is not None
            if address is not None:
                token.attrSet("href", address)
        if is_linked or token.type not in {"link_open", "link_close"}:
            kept.append(token)
    return kept


def _resolve(page: Page, href: str, url_of: Callable[[str], str]) -> str | None:
    if href.startswith(("https://", "#")):
        return href
    path, _, heading = href.partition("#")
    name = posixpath.normpath(posixpath.join(posixpath.dirname(page.name), path))
    name = re.sub(r"(\.[a-z]{2})?\.md$", "", name)
    if name != INDEX and not _NAME.fullmatch(name):
        return None
    return url_of(name) + (f"#{heading}" if heading else "")


def slugify(heading: str) -> str:
    """Return a heading as an anchor, as GitHub makes it."""
    words = re.sub(r"[^\w\- ]", "", heading.lower())
    return words.replace(" ", "-")
