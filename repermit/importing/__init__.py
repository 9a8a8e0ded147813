"""Taking a list file in, and taking the last one back.

May import contacts, evidence, listfile and what lies below.
"""

from __future__ import annotations

from repermit.importing.forgetting import Waiting, forget_in_upload
from repermit.importing.history import (
    PastImport,
    TakingBack,
    UnfinishedImport,
    being_taken_back,
    past_imports,
    unfinished_import,
)
from repermit.importing.import_task import finish_imports, merge_import
from repermit.importing.results import ImportResult, Problem, UndoResult
from repermit.importing.sights import Sight, count_doubtful, read_doubtful
from repermit.importing.sights import count as count_sights
from repermit.importing.sights import read as read_sights
from repermit.importing.sights import read_all as read_all_sights
from repermit.importing.taking_in import import_file
from repermit.importing.undoing import finish_undoings, undo_import
from repermit.importing.uploads import (
    LARGEST,
    Choices,
    Kept,
    find_upload,
    give_up,
    keep_upload,
    note_upload,
    plain_name,
    sweep_uploads,
)
from repermit.importing.working import choices_of, glimpses_of, look_at, take_in

__all__ = [
    "LARGEST",
    "Choices",
    "ImportResult",
    "Kept",
    "PastImport",
    "Problem",
    "Sight",
    "TakingBack",
    "UndoResult",
    "UnfinishedImport",
    "Waiting",
    "being_taken_back",
    "choices_of",
    "count_doubtful",
    "count_sights",
    "find_upload",
    "finish_imports",
    "finish_undoings",
    "forget_in_upload",
    "give_up",
    "glimpses_of",
    "import_file",
    "keep_upload",
    "look_at",
    "merge_import",
    "note_upload",
    "past_imports",
    "plain_name",
    "read_all_sights",
    "read_doubtful",
    "read_sights",
    "sweep_uploads",
    "take_in",
    "undo_import",
    "unfinished_import",
]
