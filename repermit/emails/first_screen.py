"""What of a mail stands on the first screen of a phone, as its text or HTML lets it be estimated.

Who answers has looked for seconds: what comes after the first screen is read by few. The usual
wording is measured in a browser (tests/support/first_screen.py); an own one is estimated here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from html.parser import HTMLParser
from math import ceil

MOST_PIXELS = 640
"""Where the first screen of a small phone ends, below the bars of its browser."""

MOST_WORDS = 60
"""How many words somebody reads who looks at a mail for some fifteen seconds."""

MOST_SIGNS = 60
"""How many signs of a subject a phone shows, or a few more."""

_ANSWER = re.compile(r"https?://\S+/(yes|no)/\S+")
# The words on a button stand in the line before its address.
_LABEL = re.compile(r"([^\n]*)\n(?=https?://\S+/(yes|no)/)")
_LINK = re.compile(r"https?://\S+")
_WORD = re.compile(r"\S*\w\S*")

# As templates/mail/layout.html draws them on a screen of 360 pixels.
_TOP, _LINE, _GAP, _BUTTON = 16, 25, 14, 40
_LETTERS, _LABEL_LETTERS = 33, 25
"""How many letters of usual width stand in a line, and in one of a button."""

# How wide letters are beside the usual one; others by whether they are capitals.
_WIDTHS = {
    **dict.fromkeys("fijlrtI1.,:;!|'‘’“”„()[]/- ", 0.5),
    **dict.fromkeys("mwMW@%—…жмшщыюфЖМШЩЫЮФωΩ", 1.6),
}
_CAPITAL, _SMALL = 1.2, 1.14


@dataclass(frozen=True, kw_only=True)
class FirstScreen:
    """How far down the last of both answers ends, and the words before the first."""

    pixels: int
    words: int

    @property
    def is_enough(self) -> bool:
        """Say whether both answers are seen at once, by whoever reads no more."""
        return self.pixels <= MOST_PIXELS and self.words <= MOST_WORDS


def estimate_mail(text: str, html: str) -> FirstScreen | None:
    """Return the worse of what both parts of a mail say of its first screen; None without answers.

    Either part may be of somebody's own wording.
    """
    parts = (estimate_first_screen(part) for part in (text, read_html_lines(html)))
    found = [part for part in parts if part]
    if not found:
        return None
    return FirstScreen(
        pixels=max(part.pixels for part in found), words=max(part.words for part in found)
    )


def read_html_lines(html: str) -> str:
    """Return what an HTML part says as a text part would: the address of a link below its words."""
    reader = _LineReader()
    reader.feed(html)
    return "".join(reader.pieces)


class _LineReader(HTMLParser):
    """Reads HTML as lines and paragraphs; what stands in the head and the preview is not seen."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[str] = []
        self._links: list[str] = []
        self._unseen = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        if self._unseen or tag == "head" or known.get("class") == "preview":
            self._unseen += tag not in _VOID
        elif tag == "br":
            # One that ends no line makes an empty one, as tall as any.
            self.pieces.append("\n" if self._is_line_begun() else f"{_EMPTY_LINE}\n")
        elif tag == "a":
            self._links.append(known.get("href") or "")
            self._break_line_at_answer(self._links[-1])
        else:
            self._begin_block(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._unseen:
            self._unseen -= 1
        elif tag == "a" and self._links:
            link = self._links.pop()
            self._break_line_at_answer(link)
            if _ANSWER.fullmatch(link):
                self.pieces.append(f"{link}\n")
        else:
            self._begin_block(tag)

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            self.pieces.append(_BLANKS.sub(" ", data))

    def _begin_block(self, tag: str) -> None:
        if tag in _PARAGRAPHS:
            self.pieces.append("\n\n")
        elif tag in _BLOCKS and self._is_line_begun():
            self.pieces.append("\n")

    def _is_line_begun(self) -> bool:
        last = next((piece for piece in reversed(self.pieces) if piece != " "), "\n")
        return not last.endswith("\n")

    def _break_line_at_answer(self, link: str) -> None:
        if _ANSWER.fullmatch(link):
            self.pieces.append("\n")


_VOID = frozenset({"br", "hr", "img", "link", "meta"})
_PARAGRAPHS = frozenset("blockquote h1 h2 h3 hr ol p ul".split())
# They begin a line, without a gap above it.
_BLOCKS = frozenset("div li table td tr".split())
# A blank that does not break has a line of its own; other blanks have none.
_EMPTY_LINE = "\N{NO-BREAK SPACE}"
_BLANKS = re.compile(r"[ \t\r\n\f]+")


def estimate_first_screen(text: str) -> FirstScreen | None:
    """Return what the text part of a mail says of its first screen; None if it has no answers."""
    labels = {found[2]: found[1] for found in _LABEL.finditer(text)}
    text = _LABEL.sub("", text)
    answers: dict[str, re.Match[str]] = {}
    for found in _ANSWER.finditer(text):
        answers.setdefault(found[1], found)
    if not answers:
        return None
    places = sorted(found.start() for found in answers.values())
    before = _LINK.sub("", text[: places[0]])
    above = _LINK.sub("", text[: places[-1]])
    paragraphs = [one for one in re.split(r"\n[ \t\r\n]*\n", above) if one.strip(" \t\r\n")]
    lines = [line for one in paragraphs for line in one.splitlines() if line.strip(" \t")]
    rows = sum(_count_rows(line, _LETTERS) for line in lines)
    rows += sum(_count_rows(labels.get(answer) or "-", _LABEL_LETTERS) for answer in answers)
    height = rows * _LINE + len(paragraphs) * _GAP + len(answers) * _BUTTON
    return FirstScreen(pixels=_TOP + height, words=len(_WORD.findall(before)))


def _count_rows(line: str, most: int) -> int:
    """Return in how many rows of so many usual letters a line stands, broken at its blanks."""
    rows, left = 0, 0.0
    for word in line.split(" "):
        width = _measure(word)
        if rows and _WIDTHS[" "] + width <= left:
            left -= _WIDTHS[" "] + width
        else:
            needed = max(1, ceil(width / most))
            rows, left = rows + needed, needed * most - width
    return rows


def _measure(word: str) -> float:
    return sum(_WIDTHS.get(letter, _CAPITAL if letter.isupper() else _SMALL) for letter in word)
