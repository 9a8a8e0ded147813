"""Whether a text shows a name, however the two are written.

May import normalization. Pure.
"""

from __future__ import annotations

import re
import unicodedata

from repermit.normalization import normalize

_SHORT = 4
"""A name of fewer letters is looked for as words of its own: "ms" stands in "items" too."""


def plain_words(text: str) -> list[str]:
    """Return the words of a text in small letters, without accents and punctuation."""
    folded = normalize("NFKD", text.casefold())
    seen = "".join(letter for letter in folded if not unicodedata.combining(letter))
    return re.findall(r"[^\W_]+", seen)


def shows(text: str, name: str) -> bool:
    """Say whether a name stands in a text, also with other hyphens, blanks, accents or capitals."""
    words, seen = plain_words(name), plain_words(text)
    bare = "".join(words)
    if len(bare) < _SHORT:
        return bool(bare) and f" {' '.join(words)} " in f" {' '.join(seen)} "
    return bare in "".join(seen)
