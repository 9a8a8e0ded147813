"""Estimating from its HTML how much of a mail a phone's first screen shows.

People answer within seconds, and few read beyond the first screen. The default wording is measured
in a browser (tests/support/first_screen.py); an own wording is estimated here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from html.parser import HTMLParser
from math import ceil
from typing import NamedTuple

from repermit.unicode_limits import normalize

MAX_PIXELS = 640
"""The height of a small phone's screen without the bars of its browser."""

MAX_WORDS = 60
"""How many words a person reads in about fifteen seconds."""

_ANSWER = re.compile(r"https?://\S+/(yes|no)/\S+")
_WORD = re.compile(r"\S*\w\S*")
# Blanks at which a line may break; a no-break space counts as a letter.
_PIECE = re.compile(r"[ \t\r\n\f]+|[^ \t\r\n\f]+")

# The maximum width of a character per font size, in a wide typeface (DejaVu Sans), so that rows are
# overestimated and never underestimated. Bold characters are wider.
_WIDTHS = {
    **dict.fromkeys("\N{NO-BREAK SPACE} ", 0.32),
    **dict.fromkeys("fijlłıIJ.,:;|/'‘’-[]", 0.39),
    **dict.fromkeys("tr()!", 0.44),
    **dict.fromkeys("csz?*“”„", 0.56),
    **dict.fromkeys("ABCEFKLPRSTVXYZ", 0.7),
    **dict.fromkeys("DGHNOQU&#+<=>^~", 0.84),
    **dict.fromkeys("wMдмцъω", 0.88),
    **dict.fromkeys("mW@%—…жшщыюфæœ", 1.03),
    **dict.fromkeys("ЖШЩЮÆŒ", 1.1),
}
_DEFAULT, _FOREIGN, _CAPITAL, _IDEOGRAPH, _BOLD = 0.64, 0.67, 0.88, 1.3, 1.13
_FIRST_IDEOGRAPH = "\u2e80"


class _Block(NamedTuple):
    """How a browser draws an element, in pixels.

    - `row`, `size`: height of a row and font size; 0: those of the parent. An own `size` is bold.
    - `extra`: the height beside the rows, such as padding.
    - `narrower`: by how much its rows are narrower than the parent's.
    """

    above: float = 0
    below: float = 0
    narrower: float = 0
    extra: float = 0
    row: float = 0
    size: float = 0


# By element or class: from templates/mail/styles.css on a screen of 360 pixels, or else the
# default of browsers.
_BLOCKS = {
    **dict.fromkeys(("div", "table", "tbody", "td", "tr"), _Block()),
    "blockquote": _Block(above=17, below=17, narrower=80),
    "button": _Block(extra=28, narrower=34, row=23.4, size=18),
    "gap": _Block(extra=12),
    "h1": _Block(below=12, row=28.6, size=22),
    "h2": _Block(above=24, below=4, row=23.8, size=17),
    "h3": _Block(above=20, below=20, row=28.9, size=20),
    "hr": _Block(above=8.5, below=8.5, extra=2),
    "li": _Block(below=6),
    "ol": _Block(above=17, below=17, narrower=40),
    "p": _Block(below=16),
    "ul": _Block(below=16, narrower=22),
}
_TOP, _WIDTH, _ROW, _SIZE = 16, 320, 24.65, 17
_VOID = frozenset({"br", "hr", "img", "link", "meta"})


@dataclass(frozen=True, kw_only=True)
class FirstScreen:
    """The position at which the lower of both answers ends, and the words before the upper one."""

    pixels: int
    words: int

    @property
    def shows_both_answers(self) -> bool:
        """Return whether a reader sees both answers on the first screen, after few words."""
        return self.pixels <= MAX_PIXELS and self.words <= MAX_WORDS


def estimate_first_screen(html: str) -> FirstScreen | None:
    """Return the estimate for the HTML part of a mail; None if it has no links to answer."""
    renderer = _Renderer()
    renderer.feed(html)
    renderer.close()
    if not renderer.bottoms:
        return None
    return FirstScreen(pixels=ceil(max(renderer.bottoms.values())), words=renderer.words)


class _Box(NamedTuple):
    """An open element, its start, and how its rows are drawn."""

    kind: str
    link: str
    top: float
    width: float
    row: float
    size: float
    is_bold: bool

    def measure(self, word: str) -> float:
        """Return the maximum width of a word in pixels."""
        size = self.size * (_BOLD if self.is_bold else 1)
        return size * sum(map(measure_character, word))


@lru_cache(1024)
def measure_character(character: str) -> float:
    """Return the maximum width of a character per font size."""
    # An accent does not make a character wider.
    character = normalize("NFD", character)[0]
    if character in _WIDTHS:
        return _WIDTHS[character]
    if character.isascii():
        return _CAPITAL if character.isupper() else _DEFAULT
    if character >= _FIRST_IDEOGRAPH:
        return _IDEOGRAPH
    return _CAPITAL if character.isupper() else _FOREIGN


class _Renderer(HTMLParser):
    """Lays out HTML row by row, without the head and the preview line.

    The larger of two adjoining margins counts (CSS 2.2 §8.3.1).
    """

    def __init__(self) -> None:
        super().__init__()
        self.bottoms: dict[str, float] = {}
        self.words = 0
        self._text_pieces: list[str] = []
        self._y: float = _TOP
        self._pending_margin: float = 0
        # The present line: the widths of its words, and the answers in it.
        self._line: list[float] = []
        self._answers_in_line: list[str] = []
        self._has_blank_before = False
        self._open_boxes = [_Box("", "", _TOP, _WIDTH, _ROW, _SIZE, is_bold=False)]
        self._hidden_depth = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        style = attributes.get("class") or ""
        if self._hidden_depth or tag == "head" or style == "preview":
            self._hidden_depth += tag not in _VOID
        elif tag == "br":
            # A break on an empty line makes an empty row of full height.
            self._end_line(is_empty_too=True)
        else:
            self._begin(style if style in _BLOCKS else tag, attributes.get("href") or "")
            if tag in _VOID:
                self._end()

    def handle_endtag(self, tag: str) -> None:
        if self._hidden_depth:
            self._hidden_depth -= 1
        elif tag not in _VOID and len(self._open_boxes) > 1:
            self._end()

    def handle_data(self, data: str) -> None:
        if self._hidden_depth:
            return
        self._text_pieces.append(data)
        for piece in _PIECE.findall(data):
            if piece[0] in " \t\r\n\f":
                self._has_blank_before = True
                continue
            width = self._open_boxes[-1].measure(piece)
            if self._line and not self._has_blank_before:
                width += self._line.pop()
            self._line.append(width)
            self._has_blank_before = False

    def close(self) -> None:
        super().close()
        self._end_line()

    def _begin(self, kind: str, link: str) -> None:
        parent, block = self._open_boxes[-1], _BLOCKS.get(kind, _Block())
        if kind in _BLOCKS:
            self._end_line()
            self._pending_margin = max(self._pending_margin, block.above)
        if block.extra:
            self._draw(block.extra)
        if _ANSWER.fullmatch(link) and not self.bottoms and not self._answers_in_line:
            self.words = len(_WORD.findall("".join(self._text_pieces)))
        self._open_boxes.append(
            _Box(
                kind,
                link,
                self._y,
                parent.width - block.narrower,
                block.row or parent.row,
                block.size or parent.size,
                is_bold=parent.is_bold or bool(block.size) or kind in {"b", "strong"},
            )
        )

    def _end(self) -> None:
        box = self._open_boxes[-1]
        if answer := _ANSWER.fullmatch(box.link):
            self._answers_in_line.append(answer[1])
        if box.kind in _BLOCKS:
            # An empty list item still has its bullet or number.
            self._end_line(is_empty_too=box.kind == "li" and box.top == self._y)
            self._pending_margin = max(self._pending_margin, _BLOCKS[box.kind].below)
        self._open_boxes.pop()

    def _end_line(self, *, is_empty_too: bool = False) -> None:
        box = self._open_boxes[-1]
        if self._line or is_empty_too:
            # Where hardly any width is left, there is one letter a row.
            rows = _count_rows(
                self._line,
                max(box.width, box.size),
                blank=box.measure(" "),
                character_width=box.size,
            )
            self._draw(max(1, rows) * box.row)
            self._line.clear()
        self._text_pieces.append("\n")
        self.bottoms = dict.fromkeys(self._answers_in_line, self._y) | self.bottoms
        self._answers_in_line.clear()

    def _draw(self, height: float) -> None:
        self._y += self._pending_margin + height
        self._pending_margin = 0


def _count_rows(
    word_widths: list[float], max_width: float, *, blank: float, character_width: float
) -> int:
    """Return how many rows words of these widths take, broken at blanks."""
    rows, room = 0, 0.0
    for width in word_widths:
        if rows and blank + width <= room:
            room -= blank + width
        else:
            # A word breaks between two letters, so most of its rows are not quite full.
            full_row = (
                max_width
                if width <= max_width
                else max(max_width - character_width, character_width)
            )
            needed = max(1, ceil(width / full_row))
            rows, room = rows + needed, needed * full_row - width
    return rows
