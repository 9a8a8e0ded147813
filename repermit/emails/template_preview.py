"""Reading a template of the admin's as its reader will see it.

What is checked is what is seen: no letter in another shape, and nothing hidden between letters.
"""

from __future__ import annotations

import html
import re
import unicodedata

from repermit.emails.frozen_draft import mark
from repermit.unicode_limits import normalize

# A field, with the blanks that the engine takes away where a hyphen stands inside the braces.
# Blanks are looked at from the first of them on only: from each, they would take their number
# squared.
FIELD = re.compile(r"(?:(?<!\s)\s+\{\{-|\{\{[-+]?)\s*(\w+)\s*(?:-\}\}\s*|\}\})")
_MARK = re.compile(r"⟦(\w+)⟧")

# What has no shape of its own: controls, soft hyphens, zero-width letters and turns of direction;
# and accents that stand alone once all others are joined to their letter.
_UNSEEN = frozenset(("Cc", "Cf", "Mn", "Mc", "Me"))
# Hangul fillers are letters by their category, but are not drawn.
_FILLERS = "\u115f\u1160\u3164\uffa0"
# IDNA takes the ideographic full stop for the dot of a domain (UTS 46).
_DOTS = {ord("。"): ".", **dict.fromkeys(map(ord, _FILLERS))}


def marked(template: str) -> str:
    """Return a template with every field as its mark, ⟦stop⟧, where the engine will put it."""
    return FIELD.sub(lambda found: mark(found[1]), template)


def shown(text: str) -> str:
    """Return marked text with its fields as the admin wrote them, {{ stop }}."""
    return _MARK.sub(r"{{ \1 }}", text)


def fields_in(text: str) -> set[str]:
    """Return the names of the fields in marked text."""
    return set(_MARK.findall(text))


def decoded(text: str) -> str:
    """Return text with its character references (&amp;) as characters."""
    return html.unescape(text)


def as_read(text: str) -> str:
    """Return text in plain shapes (NFKC), without what cannot be seen; blanks stay."""
    # Twice: what is composed only once the unseen is away.
    for _ in range(2):
        text = normalize("NFKC", decoded(text)).translate(_DOTS)
        text = "".join(letter for letter in text if letter.isspace() or _is_seen(letter))
    return text


def _is_seen(letter: str) -> bool:
    return unicodedata.category(letter) not in _UNSEEN
