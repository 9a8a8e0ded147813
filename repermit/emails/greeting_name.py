"""Which names a mail greets by: those that do not move its answers down."""

from __future__ import annotations

from repermit.emails.first_screen import measure_character

# First screens are measured with the longest name: its words, and its width per font size. It is
# narrower than a row.
_MAX_WORDS, _MAX_WIDTH = 4, 18
WIDEST_NAME = f"M M M {'M' * 16}"
"""A name as wide as the widest in a greeting; own wordings are estimated with it.

The default wordings are measured with a real name of that width.
"""


def fits_greeting(name: str) -> bool:
    """Return whether a name is short enough not to move the answers of a mail down."""
    return len(name.split()) <= _MAX_WORDS and sum(map(measure_character, name)) <= _MAX_WIDTH
