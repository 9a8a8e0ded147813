"""Header lines, written byte by byte.

May import nothing of repermit. Why by hand: Python's own generator folds a long
List-Unsubscribe into =?utf-8?…?=, and Gmail then ignores it.
"""

from __future__ import annotations

import re
from email.charset import Charset
from email.header import Header
from functools import reduce

_LINE = 76
# Longer words are encoded, since an encoded text can be folded anywhere (RFC 5322 §2.1.1).
_LONGEST_WORD = 60
_CONTROL = re.compile("[\x00-\x1f\x7f]")


def header(name: str, *words: str) -> str:
    """Return one header with its CRLF, folded between words only, never inside one.

    The first word stays on the first line, however long: some readers take an empty first line
    for an empty header. Raises ValueError if a word could start a header of its own.
    """
    if any(_CONTROL.search(word) for word in words):
        message = f"a control character in {name}"
        raise ValueError(message)
    return f"{unfinished(name, words)}\r\n"


def unfinished(name: str, words: tuple[str, ...]) -> str:
    """Return a header of checked words, without its CRLF."""
    beginning = f"{name}: {words[0]}"
    return reduce(with_word, words[1:], beginning) if len(words) > 1 else beginning


def with_word(header: str, word: str) -> str:
    """Return an unfinished header with one word more, folded before it if need be."""
    length = len(header) - header.rfind("\n") - 1
    fold = "" if length + 1 + len(word) <= _LINE else "\r\n"
    return f"{header}{fold} {word}"


def text_words(text: str) -> tuple[str, ...]:
    """Return a line of text as words for `header`, encoded where it must be (RFC 2047)."""
    words = text.split(" ")
    plain = text.isascii() and "=?" not in text and max(map(len, words)) <= _LONGEST_WORD
    return tuple(words) if plain else _encoded(text)


def mailbox_words(display_name: str, address: str) -> tuple[str, ...]:
    """Return "Name <address>" as words; the address alone if there is no name (RFC 5322 §3.4)."""
    return (*phrase_words(display_name), f"<{address}>") if display_name else (address,)


def phrase_words(phrase: str) -> tuple[str, ...]:
    """Return a display name as a quoted string, or encoded where that cannot carry it."""
    quoted = '"' + phrase.replace("\\", "\\\\").replace('"', '\\"') + '"'
    plain = phrase.isascii() and "=?" not in phrase and len(quoted) <= _LONGEST_WORD
    return (quoted,) if plain else _encoded(phrase)


def _encoded(text: str) -> tuple[str, ...]:
    word = _UTF8.header_encode(text)
    # Header comes to the same for what fits on the first line, but tries it sign by sign.
    if len(word) <= _FIRST_LINE and text.splitlines() == [text]:
        return (word,)
    header = Header(text, "utf-8", maxlinelen=_LINE - 2, header_name=_LONGEST_NAME)
    return tuple(header.encode().split())


_UTF8 = Charset("utf-8")
# The longest name of the headers that carry text.
_LONGEST_NAME = "Reply-To"
_FIRST_LINE = _LINE - 2 - len(f"{_LONGEST_NAME}: ")
