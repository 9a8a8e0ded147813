"""Unicode normal forms and size limits of text that comes from outside.

Every other module calls `normalize` here and never `unicodedata.normalize`, which ruff refuses.
"""

from __future__ import annotations

import unicodedata
from typing import Literal
from urllib.parse import SplitResult, urlsplit

Form = Literal["NFC", "NFD", "NFKC", "NFKD"]

_MOST_MARKS = 30
"""Combining marks that a text may have in a row (UAX #15 §13, Stream-Safe Text Process)."""

LONGEST_URL = 2_048
"""Bytes of a URL; browsers and mail programs cut longer ones off."""

# Letters by their category, but compatibility decomposition makes combining marks of them.
_HALFWIDTH_MARKS = "\uff9e\uff9f"


def normalize(form: Form, text: str) -> str:
    """Return text in a normal form, without the combining marks that follow the 30th in a row.

    Python sorts a run of marks by insertion, with the interpreter's lock held: 63 kB of them take
    seconds in which no thread runs. No word of any language has so many in a row.
    """
    if text.isascii():
        return text
    return unicodedata.normalize(form, text if len(text) <= _MOST_MARKS else _stream_safe(text))


def _stream_safe(text: str) -> str:
    kept = []
    marks = 0
    for sign in text:
        marks = marks + 1 if _is_mark(sign) else 0
        if marks <= _MOST_MARKS:
            kept.append(sign)
    return "".join(kept)


def _is_mark(sign: str) -> bool:
    return unicodedata.category(sign)[0] == "M" or sign in _HALFWIDTH_MARKS


def split_url(url: str) -> SplitResult:
    """Return the parts of a URL that somebody typed, whose host Python normalizes by itself.

    Raises ValueError for one that is not valid or has more than LONGEST_URL bytes.
    """
    if not is_within(url, LONGEST_URL):
        raise ValueError("the URL is too long")
    return urlsplit(url)


def is_within(text: str, most: int) -> bool:
    """Say whether a text has at most so many bytes in UTF-8; lone surrogates count as three."""
    return len(text) <= most and len(text.encode(errors="surrogatepass")) <= most
