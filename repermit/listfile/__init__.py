"""Files of addresses as they come in the wild, read into rows.

May import addresses, config, clock and errors only; nothing is written and no address is judged.
"""

from __future__ import annotations

from repermit.listfile.model import FIELDS, Column, Part, Proof, Question, Row
from repermit.listfile.opening import ListFile, open_list

__all__ = ["FIELDS", "Column", "ListFile", "Part", "Proof", "Question", "Row", "open_list"]
