"""Taking a list file in, and taking the last one back.

May import contacts, evidence, listfile and what lies below.
"""

from __future__ import annotations

from repermit.importing.results import ImportResult, Problem, UndoResult
from repermit.importing.taking_in import import_file
from repermit.importing.undoing import undo_import

__all__ = ["ImportResult", "Problem", "UndoResult", "import_file", "undo_import"]
