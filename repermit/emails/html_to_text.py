"""Extracting the text from the HTML of a page."""

from __future__ import annotations

from functools import lru_cache
from html.parser import HTMLParser

_BLOCKS = frozenset(
    {"p", "li", "br", "address", "ul", "section", "div", "tr", "dt", "dd", "td", "th", "title"}
)
_HEADINGS = frozenset({"h1", "h2", "h3", "h4"})
_HIDDEN = frozenset({"script", "style", "template", "noscript"})

# Marks an empty line to keep; all other empty lines are dropped.
_BLANK = "\0"


class _TextParser(HTMLParser):
    """Extracts the text from HTML, with a line for each block and an empty one before a heading."""

    def __init__(self) -> None:
        super().__init__()
        self.lines = [""]
        self._hidden_depth = 0

    def handle_starttag(self, tag: str, _attrs: object) -> None:
        if tag in _HIDDEN:
            self._hidden_depth += 1
        if tag in _HEADINGS:
            self.lines.append(_BLANK)
        if tag in _BLOCKS | _HEADINGS:
            self.lines.append("- " if tag == "li" else "")

    def handle_endtag(self, tag: str) -> None:
        if tag in _HIDDEN:
            self._hidden_depth = max(self._hidden_depth - 1, 0)

    def handle_data(self, data: str) -> None:
        if not self._hidden_depth:
            self.lines[-1] += " ".join(data.split("\n"))


@lru_cache(maxsize=16)
def html_to_text(html: str) -> str:
    """Return the text of a page, with a line for each block and an empty one before headings."""
    parser = _TextParser()
    parser.feed(html)
    parser.close()
    lines = (" ".join(line.split()) for line in parser.lines)
    return "\n".join(line for line in lines if line).replace(_BLANK, "").strip()
