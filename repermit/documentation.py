"""The packaged pages of docs/, for the admin's help and the command `help`."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from markdown_it import MarkdownIt
from markdown_it.token import Token

from repermit.package_files import find_asset

KINDS = ("tutorial", "how-to", "reference", "explanation")
"""The packaged folders of docs/; `develop` is for readers of the source."""

INDEX = "README"
"""The name of the page that lists all others."""

_NAME = re.compile(rf"(?:{'|'.join(KINDS)})/[a-z0-9-]{{1,100}}")
_LINK = re.compile(r"(?<!!)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^()\s]+)\)")
_TABLE = re.compile(r"<table>.*?</table>", re.DOTALL)


@dataclass(frozen=True)
class Page:
    """A page: its name such as `how-to/check`, its language, its title and its Markdown."""

    name: str
    language: str
    title: str
    text: str


def list_names() -> list[str]:
    """Return the names of all pages, in the order of their kinds."""
    docs = find_asset("docs")
    return [
        f"{kind}/{path.stem}"
        for kind in KINDS
        for path in sorted((docs / kind).glob("*.md"))
        if "." not in path.stem
    ]


def list_pages(language: str) -> list[Page]:
    """Return all pages, each in a language if it is translated, otherwise in English."""
    pages = (find_page(name, language=language) for name in list_names())
    return [page for page in pages if page]


def find_page(name: str, *, language: str) -> Page | None:
    """Return a page in a language, or in English if it is not translated; None without one.

    - `name`: such as `how-to/check`, or only `check` if that is unique.
    """
    if "/" not in name and name != INDEX:
        matches = [full_name for full_name in list_names() if full_name.endswith(f"/{name}")]
        name = matches[0] if len(matches) == 1 else name
    if name != INDEX and not _NAME.fullmatch(name):
        return None
    for chosen in (language, "en"):
        ending = ".md" if chosen == "en" else f".{chosen}.md"
        path = find_asset("docs") / f"{name}{ending}"
        if path.is_file():
            text = path.read_text("utf-8")
            return Page(name, chosen, text.partition("\n")[0].removeprefix("# "), text)
    return None


def render_html(page: Page, *, url_of: Callable[[str, str], str]) -> str:
    """Return a page as HTML; its links lead to the help, and links to other files are removed.

    - `url_of`: returns the URL of a page, given its name and the language that a link such as "In
      English" asks for; "" for the language of the page.
    """
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = markdown.parse(page.text)
    english_anchors = iter(_list_english_anchors(markdown, page))
    for index, token in enumerate(tokens):
        if token.type == "heading_open":
            anchor = slugify(tokens[index + 1].content)
            token.attrSet("id", anchor)
            # Pages without a translation link to a heading by its English words.
            english = next(english_anchors, anchor)
            if english != anchor:
                target = Token("html_inline", "", 0, content=f'<span id="{english}"></span>')
                tokens[index + 1].children = [target, *(tokens[index + 1].children or ())]
        if token.children:
            token.children = _link_within(page, token.children, url_of)
    html: str = markdown.renderer.render(tokens, markdown.options, {})
    return _TABLE.sub(_make_scrollable, html)


def _list_english_anchors(markdown: MarkdownIt, page: Page) -> list[str]:
    """Return the English anchors of a translated page; the index is no translation."""
    english = find_page(page.name, language="en")
    if english is None or english == page or page.name == INDEX:
        return []
    tokens = markdown.parse(english.text)
    return [
        slugify(text.content)
        for heading, text in pairwise(tokens)
        if heading.type == "heading_open"
    ]


def _make_scrollable(table: re.Match[str]) -> str:
    """Put a table into a scrollable region that is labelled with its column titles."""
    titles = ", ".join(filter(None, re.findall(r"<th[^>]*>(.*?)</th>", table[0])))
    label = re.sub("<[^>]*>", "", titles)
    opening = f'<div class="wide" tabindex="0" role="group" aria-label="{label}">'
    return f"{opening}\n{table[0]}\n</div>"


def _link_within(page: Page, tokens: list[Token], url_of: Callable[[str, str], str]) -> list[Token]:
    """Turn links between files into links between pages; remove images, which are not packaged."""
    result: list[Token] = []
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
            result.append(token)
    return result


def render_text(page: Page) -> str:
    """Return a page's Markdown for a terminal; links show the page's name for `help`."""

    def name_page(link: re.Match[str]) -> str:
        text, href = link.groups()
        if href.startswith("https://"):
            return link[0]
        name = _resolve(page, href, _name_topic)
        return f"{text} ({name.partition('#')[0]})" if name and not href.startswith("#") else text

    return _LINK.sub(name_page, page.text)


def _name_topic(name: str, language: str) -> str:
    return f"{name} --language {language}" if language else name


def _resolve(page: Page, href: str, url_of: Callable[[str, str], str]) -> str | None:
    if href.startswith(("https://", "#")):
        return href
    path, _, heading = href.partition("#")
    path = posixpath.normpath(posixpath.join(posixpath.dirname(page.name), path))
    name, ending = posixpath.splitext(path.removesuffix(".md"))
    if not path.endswith(".md") or (name != INDEX and not _NAME.fullmatch(name)):
        return None
    language = ending.removeprefix(".") or "en"
    address = url_of(name, "" if language == page.language else language)
    return address + (f"#{heading}" if heading else "")


def slugify(heading: str) -> str:
    """Return the anchor of a heading, as GitHub makes it."""
    words = re.sub(r"[^\w\- ]", "", heading.lower())
    return words.replace(" ", "-")
