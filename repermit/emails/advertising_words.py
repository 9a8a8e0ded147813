"""The words that make an ask an advertisement.

An ask that advertises is itself unsolicited mail (ICO on Honda, 2017). An organisation that offers
an incentive must still show that the Yes was free (EDPB 05/2020 §48). The words are data:
`repermit/data/advertising_words.toml`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from repermit.expressions import Expressions

_EXPRESSIONS = Expressions("advertising_words.toml", "offers", "words", "figures")

# A search blocks all other threads, and a search through 100 kB takes a second.
_STEP = 1_000


def find_offers(text: str) -> tuple[str, ...]:
    """Return the words of a text that make an offer, each once.

    - `text`: as `normalize_text` returns it.
    """
    return tuple(dict.fromkeys(_iter_offers(" ".join(text.split()))))


def _iter_offers(text: str) -> Iterator[str]:
    searched_until = 0
    for start in range(0, len(text), _STEP):
        # A match may begin in one step and end in the next.
        for match in _compile_offer().finditer(text, max(start, searched_until), start + 2 * _STEP):
            if match.start() < start + _STEP:
                searched_until = match.end()
                yield match[0]


@cache
def _compile_offer() -> re.Pattern[str]:
    offers = "|".join(map(_EXPRESSIONS.make_source, _EXPRESSIONS.data["offers"]))
    # There is no word boundary beside a character such as € or %.
    return re.compile(rf"\b(?:{offers})(?!\w)|{_EXPRESSIONS.make_source('any')}", re.IGNORECASE)
