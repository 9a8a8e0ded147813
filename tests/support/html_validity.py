"""What HTML lets stand where, as far as mails use it, and how a mail is held to it.

A parser (HTML Living Standard §13.2) alone finds what is written wrong, not what stands where it
may not; there are so few elements in a mail that they can be listed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from justhtml import Element, JustHTML, Node

_FLOW = frozenset("p h1 h2 h3 ul ol table div blockquote hr a b i em strong span u br code".split())
_PHRASING = frozenset("a b i em strong span u br code".split())
_CHILDREN = {
    "html": frozenset(("head", "body")),
    "head": frozenset(("meta", "title", "style")),
    "body": frozenset(("div",)),
    "div": _FLOW,
    "table": frozenset(("tbody",)),
    "tbody": frozenset(("tr",)),
    "tr": frozenset(("td",)),
    "td": _FLOW,
    "ul": frozenset(("li",)),
    "ol": frozenset(("li",)),
    **dict.fromkeys(("p", "h1", "h2", "h3", "li"), _PHRASING),
    **dict.fromkeys(("b", "i", "em", "strong", "span", "u"), _PHRASING),
    # A link within a link is none.
    "a": _PHRASING - {"a"},
}
_GLOBAL = frozenset(("class", "style", "lang", "dir"))
_ATTRIBUTES = {
    "a": frozenset(("href",)),
    "meta": frozenset(("charset", "name", "content")),
    "table": frozenset(("role",)),
    "div": frozenset(("role", "aria-label")),
}
# What Word alone reads: its settings, which are XML, and markup around ours.
_SETTINGS = re.compile(r"<xml>.*?</xml>", re.DOTALL)
_FOR_WORD = re.compile(r"<!--\[if mso\]>|<!\[endif\]-->")


def flaws_of(html: str) -> list[str]:
    """Return what is wrong with a mail's HTML, as every mail program reads it and as Word does.

    Raises justhtml's StrictModeError for what is written wrong.
    """
    root = _parsed(html)
    _parsed(_FOR_WORD.sub("", _SETTINGS.sub("", html)))
    return [*_misplaced(root), *_unlike_a_mail(root)]


def _parsed(html: str) -> Element:
    document = JustHTML(html, strict=True, sanitize=False).root
    (root,) = _elements(document)
    return root


def _elements(node: Node) -> Iterator[Element]:
    """Yield what stands directly in a node; no comments, no text."""
    return (one for one in node.children or () if isinstance(one, Element))


def _all(element: Element) -> Iterator[Element]:
    yield element
    for one in _elements(element):
        yield from _all(one)


def _misplaced(root: Element) -> Iterator[str]:
    for element in _all(root):
        for child in _elements(element):
            if child.name not in _CHILDREN.get(element.name, frozenset()):
                yield f"<{child.name}> in <{element.name}>"
        allowed = _GLOBAL | _ATTRIBUTES.get(element.name, frozenset())
        yield from (f"{name} of <{element.name}>" for name in {*element.attrs} - allowed)


def _unlike_a_mail(root: Element) -> Iterator[str]:
    """Yield what would be read aloud as what it is not, or loads something."""
    for one in _all(root):
        if one.name == "table" and one.attrs.get("role") != "presentation":
            yield "a table that is read aloud as one"
        if re.search(r"url\(|@import", str(one.attrs.get("style"))):
            yield "a style that loads something"
