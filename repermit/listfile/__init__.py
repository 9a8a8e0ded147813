"""Files of addresses as they come in the wild, read into rows.

May import addresses, config, clock and errors only; nothing is written and no address is judged.
"""

from __future__ import annotations

from repermit.listfile.archives import is_packed, unpacked_size
from repermit.listfile.model import (
    FIELDS,
    REPEATED_FIELDS,
    Column,
    DateNote,
    Glimpse,
    Part,
    Proof,
    Question,
    Row,
)
from repermit.listfile.opening import ListFile, glimpse, open_list

__all__ = [
    "FIELDS",
    "REPEATED_FIELDS",
    "Column",
    "DateNote",
    "Glimpse",
    "ListFile",
    "Part",
    "Proof",
    "Question",
    "Row",
    "glimpse",
    "is_packed",
    "open_list",
    "unpacked_size",
]
