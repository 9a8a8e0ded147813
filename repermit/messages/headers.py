"""Header lines, written byte by byte.

May import nothing of repermit. Why by hand: Python's own generator folds a long
List-Unsubscribe into =?utf-8?…?=, and Gmail then ignores it.
"""

from __future__ import annotations

import re
from email.header import Header

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
    lines = [f"{name}: {words[0]}"]
    for word in words[1:]:
        if len(lines[-1]) + 1 + len(word) > _LINE:
            lines.append("")
        lines[-1] += f" {word}"
    return "\r\n".join(lines) + "\r\n"


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
    # The name of the header that this allows for is the longest one that carries text.
    return tuple(
        Header(text, "utf-8", maxlinelen=_LINE - 2, header_name="Reply-To").encode().split()
    )
