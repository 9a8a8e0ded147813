"""Unicode normal forms and size limits of untrusted text.

All modules use `normalize` from here; ruff refuses `unicodedata.normalize`.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Literal
from urllib.parse import SplitResult, urlsplit

Form = Literal["NFC", "NFD", "NFKC", "NFKD"]

_MAX_MARKS = 30
"""The maximum combining marks in a row (UAX #15 §13, Stream-Safe Text Process)."""

MAX_URL_BYTES = 2_048
"""The maximum bytes of a URL; browsers and mail programs cut off longer ones."""

_SURROGATE = re.compile("[\ud800-\udfff]")

# These are letters by category, but compatibility decomposition turns them into combining marks.
_HALFWIDTH_MARKS = "\uff9e\uff9f"


def normalize(form: Form, text: str) -> str:
    """Return text in a normal form, without combining marks after the 30th in a row.

    Python uses an insertion sort for marks in a row and holds the interpreter's lock: 63 kB of them
    stop all threads for seconds. No word of any language has so many in a row.
    """
    if text.isascii():
        return text
    return unicodedata.normalize(form, text if len(text) <= _MAX_MARKS else _limit_marks(text))


def _limit_marks(text: str) -> str:
    characters = []
    mark_count = 0
    for char in text:
        mark_count = mark_count + 1 if _is_mark(char) else 0
        if mark_count <= _MAX_MARKS:
            characters.append(char)
    return "".join(characters)


def _is_mark(char: str) -> bool:
    return unicodedata.category(char)[0] == "M" or char in _HALFWIDTH_MARKS


def replace_surrogates(text: str) -> str:
    """Return text with U+FFFD for each lone surrogate, which no encoding can write."""
    return _SURROGATE.sub("\ufffd", text)


def split_url(url: str) -> SplitResult:
    """Return the parts of an untrusted URL; safe, although Python normalizes its host itself.

    Raises ValueError for an invalid URL, or one of more than MAX_URL_BYTES bytes.
    """
    if not is_within(url, MAX_URL_BYTES):
        raise ValueError("the URL is too long")
    return urlsplit(url)


def is_within(text: str, max_bytes: int) -> bool:
    """Say whether a text has at most so many bytes in UTF-8; lone surrogates count as three."""
    return len(text) <= max_bytes and len(text.encode(errors="surrogatepass")) <= max_bytes
