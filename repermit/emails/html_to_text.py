"""Taking the text out of a page's HTML."""

from __future__ import annotations

from functools import lru_cache
from html.parser import HTMLParser

_BLOCKS = frozenset(
    {"p", "li", "br", "address", "ul", "section", "div", "tr", "dt", "dd", "td", "th", "title"}
)
_HEADINGS = frozenset({"h1", "h2", "h3", "h4"})
_UNSEEN = frozenset({"script", "style", "template", "noscript"})

# A line that is kept though nothing stands on it; no blank is left of what a page says.
_BLANK = "\0"


class _TextParser(HTMLParser):
    """Takes the text out of HTML, a line for each block and a blank one before each heading."""

    def __init__(self) -> None:
        super().__init__()
        self.lines = [""]
        self._depth_unseen = 0

    def handle_starttag(self, tag: str, _attrs: object) -> None:
        if tag in _UNSEEN:
            self._depth_unseen += 1
        if tag in _HEADINGS:
            self.lines.append(_BLANK)
        if tag in _BLOCKS | _HEADINGS:
            self.lines.append("- " if tag == "li" else "")

    def handle_endtag(self, tag: str) -> None:
        if tag in _UNSEEN:
            self._depth_unseen = max(self._depth_unseen - 1, 0)

    def handle_data(self, data: str) -> None:
        if not self._depth_unseen:
            self.lines[-1] += " ".join(data.split("\n"))


@lru_cache(maxsize=16)
def html_to_text(html: str) -> str:
    """Return what a page's HTML says, a line for each block and a blank one before headings."""
    reader = _TextParser()
    reader.feed(html)
    reader.close()
    lines = (" ".join(line.split()) for line in reader.lines)
    return "\n".join(line for line in lines if line).replace(_BLANK, "").strip()
