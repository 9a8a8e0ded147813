"""What of a mail stands on the first screen of a phone, as its text part lets it be estimated.

Who answers has looked for seconds: what comes after the first screen is read by few. The usual
wording is measured in a browser (tests/support/first_screen.py); an own one is estimated here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import ceil

MOST_PIXELS = 640
"""Where the first screen of a small phone ends, below the bars of its browser."""

MOST_WORDS = 60
"""How many words somebody reads who looks at a mail for some fifteen seconds."""

_ANSWER = re.compile(r"https?://\S+/(yes|no)/\S+")
# The words on a button stand in the line before its address.
_LABEL = re.compile(r"[^\n]*\n(?=https?://\S+/(?:yes|no)/)")
_LINK = re.compile(r"https?://\S+")
_WORD = re.compile(r"\S*\w\S*")

# As templates/mail/layout.html draws them on a screen of 360 pixels.
_TOP, _LINE, _GAP, _BUTTON = 16, 25, 14, 82
_LETTERS = 34
"""How many letters of usual width stand in a line."""


@dataclass(frozen=True, kw_only=True)
class FirstScreen:
    """How far down the last of both answers ends, and the words before the first."""

    pixels: int
    words: int

    @property
    def is_enough(self) -> bool:
        """Say whether both answers are seen at once, by whoever reads no more."""
        return self.pixels <= MOST_PIXELS and self.words <= MOST_WORDS


def estimate_first_screen(text: str) -> FirstScreen | None:
    """Return what the text part of a mail says of its first screen; None if it has no answers."""
    text = _LABEL.sub("", text)
    answers: dict[str, re.Match[str]] = {}
    for found in _ANSWER.finditer(text):
        answers.setdefault(found[1], found)
    if not answers:
        return None
    places = sorted(found.start() for found in answers.values())
    before = _LINK.sub("", text[: places[0]])
    above = _LINK.sub("", text[: places[-1]])
    paragraphs = [one for one in re.split(r"\n\s*\n", above) if one.strip()]
    lines = [line for one in paragraphs for line in one.splitlines() if line.strip()]
    height = sum(ceil(len(line) / _LETTERS) * _LINE for line in lines) + len(paragraphs) * _GAP
    return FirstScreen(
        pixels=_TOP + height + len(answers) * _BUTTON, words=len(_WORD.findall(before))
    )
