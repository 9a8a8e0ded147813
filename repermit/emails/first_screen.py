"""What of a mail stands on the first screen of a phone, as its HTML lets it be estimated.

Who answers has looked for seconds: what comes after the first screen is read by few. The usual
wording is measured in a browser (tests/support/first_screen.py); an own one is estimated here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from html.parser import HTMLParser
from math import ceil
from typing import NamedTuple

from repermit.unicode_limits import normalize

MOST_PIXELS = 640
"""Where the first screen of a small phone ends, below the bars of its browser."""

MOST_WORDS = 60
"""How many words somebody reads who looks at a mail for some fifteen seconds."""

_ANSWER = re.compile(r"https?://\S+/(yes|no)/\S+")
_WORD = re.compile(r"\S*\w\S*")
# Blanks that break lines: one that does not is as a letter.
_PIECE = re.compile(r"[ \t\r\n\f]+|[^ \t\r\n\f]+")

# How wide a letter is beside its size, at most, in a wide typeface (DejaVu Sans): rather more rows
# than there are, never fewer. Bold ones are wider.
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
_USUAL, _FOREIGN, _CAPITAL, _IDEOGRAPH, _BOLD = 0.64, 0.67, 0.88, 1.3, 1.13
_FIRST_IDEOGRAPH = "\u2e80"
# Of the longest name by which somebody is greeted, with which first screens are measured: in words,
# and how wide it is beside the size of its letters. It is narrower than a row.
_NAME_WORDS, _NAME_WIDTH = 4, 18
WIDEST_NAME = f"M M M {'M' * 16}"
"""A name that takes as much room as any by which somebody is greeted.

Own words are estimated with it; the usual ones are measured with such a name as they are.
"""


class _Block(NamedTuple):
    """How a browser draws an element, in pixels; of rows and letters 0 means as around it.

    `extra` is what it draws beside its rows, such as padding. Letters of its own size are bold.
    """

    above: float = 0
    below: float = 0
    narrower: float = 0
    extra: float = 0
    row: float = 0
    size: float = 0


# As templates/mail/layout.html has it on a screen of 360 pixels, or else every browser; by element,
# or by class.
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
    """How far down the last of both answers ends, and the words before the first."""

    pixels: int
    words: int

    @property
    def is_enough(self) -> bool:
        """Say whether both answers are seen at once, by whoever reads no more."""
        return self.pixels <= MOST_PIXELS and self.words <= MOST_WORDS


def fits_greeting(name: str) -> bool:
    """Say whether a greeting by this name leaves the answers of a mail where they are measured."""
    return len(name.split()) <= _NAME_WORDS and sum(map(_measure_letter, name)) <= _NAME_WIDTH


def estimate_first_screen(html: str) -> FirstScreen | None:
    """Return what the HTML part of a mail says of its first screen; None if it has no answers."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    if not reader.bottoms:
        return None
    return FirstScreen(pixels=ceil(max(reader.bottoms.values())), words=reader.words)


class _Box(NamedTuple):
    """An element that is open, where it began, and how its lines are drawn."""

    kind: str
    link: str
    top: float
    width: float
    row: float
    size: float
    is_bold: bool

    def measure(self, word: str) -> float:
        """Return how wide a word is at most."""
        size = self.size * (_BOLD if self.is_bold else 1)
        return size * sum(map(_measure_letter, word))


@lru_cache(1024)
def _measure_letter(letter: str) -> float:
    """Return how wide a letter is at most, beside its size."""
    # An accent makes no letter wider.
    letter = normalize("NFD", letter)[0]
    if letter in _WIDTHS:
        return _WIDTHS[letter]
    if letter.isascii():
        return _CAPITAL if letter.isupper() else _USUAL
    if letter >= _FIRST_IDEOGRAPH:
        return _IDEOGRAPH
    return _CAPITAL if letter.isupper() else _FOREIGN


class _Reader(HTMLParser):
    """Draws HTML row by row; what stands in the head and the preview is not seen.

    Of margins that meet the larger counts (CSS 2.2 §8.3.1).
    """

    def __init__(self) -> None:
        super().__init__()
        self.bottoms: dict[str, float] = {}
        self.words = 0
        self._said: list[str] = []
        self._y: float = _TOP
        self._margin: float = 0
        # The widths of its words, and the answers in it.
        self._line: list[float] = []
        self._reached: list[str] = []
        self._is_apart = False
        self._open = [_Box("", "", _TOP, _WIDTH, _ROW, _SIZE, is_bold=False)]
        self._unseen = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        style = known.get("class") or ""
        if self._unseen or tag == "head" or style == "preview":
            self._unseen += tag not in _VOID
        elif tag == "br":
            # One that ends no line makes an empty one, as tall as any.
            self._end_line(is_empty_too=True)
        else:
            self._begin(style if style in _BLOCKS else tag, known.get("href") or "")
            if tag in _VOID:
                self._end()

    def handle_endtag(self, tag: str) -> None:
        if self._unseen:
            self._unseen -= 1
        elif tag not in _VOID and len(self._open) > 1:
            self._end()

    def handle_data(self, data: str) -> None:
        if self._unseen:
            return
        self._said.append(data)
        for piece in _PIECE.findall(data):
            if piece[0] in " \t\r\n\f":
                self._is_apart = True
                continue
            width = self._open[-1].measure(piece)
            if self._line and not self._is_apart:
                width += self._line.pop()
            self._line.append(width)
            self._is_apart = False

    def close(self) -> None:
        super().close()
        self._end_line()

    def _begin(self, kind: str, link: str) -> None:
        around, block = self._open[-1], _BLOCKS.get(kind, _Block())
        if kind in _BLOCKS:
            self._end_line()
            self._margin = max(self._margin, block.above)
        if block.extra:
            self._draw(block.extra)
        if _ANSWER.fullmatch(link) and not self.bottoms and not self._reached:
            self.words = len(_WORD.findall("".join(self._said)))
        self._open.append(
            _Box(
                kind,
                link,
                self._y,
                around.width - block.narrower,
                block.row or around.row,
                block.size or around.size,
                is_bold=around.is_bold or bool(block.size) or kind in {"b", "strong"},
            )
        )

    def _end(self) -> None:
        box = self._open[-1]
        if answer := _ANSWER.fullmatch(box.link):
            self._reached.append(answer[1])
        if box.kind in _BLOCKS:
            # An entry of a list has its dot or number, if nothing else.
            self._end_line(is_empty_too=box.kind == "li" and box.top == self._y)
            self._margin = max(self._margin, _BLOCKS[box.kind].below)
        self._open.pop()

    def _end_line(self, *, is_empty_too: bool = False) -> None:
        box = self._open[-1]
        if self._line or is_empty_too:
            # Where hardly any width is left, letters stand below one another.
            rows = _count_rows(
                self._line, max(box.width, box.size), blank=box.measure(" "), letter=box.size
            )
            self._draw(max(1, rows) * box.row)
            self._line.clear()
        self._said.append("\n")
        self.bottoms = dict.fromkeys(self._reached, self._y) | self.bottoms
        self._reached.clear()

    def _draw(self, height: float) -> None:
        self._y += self._margin + height
        self._margin = 0


def _count_rows(words: list[float], most: float, *, blank: float, letter: float) -> int:
    """Return in how many rows of a width words of these widths stand, broken at their blanks."""
    rows, left = 0, 0.0
    for width in words:
        if rows and blank + width <= left:
            left -= blank + width
        else:
            # A word is only broken between letters, so that most of its rows are not quite full.
            row = most if width <= most else max(most - letter, letter)
            needed = max(1, ceil(width / row))
            rows, left = rows + needed, needed * row - width
    return rows
