"""Whether a file is half taken in, or half taken back: nothing is told of such a list, or done.

May import models and what lies below.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from repermit.errors import Refused
from repermit.models import TaskKind, task_on
from repermit.saying import Said

if TYPE_CHECKING:
    from repermit.models import MailingList

_IMPORTS = (TaskKind.IMPORT, TaskKind.IMPORT_SUPPRESSIONS)
_TAKEN_IN = Said("a file is being taken into this list; wait until that is done", code="taken_in")
_TAKEN_BACK = Said(
    "a file is being taken back from this list; wait until that is done", code="taken_back"
)


def unfinished_file(mailing_list: MailingList) -> Said | None:
    """Return that a file of a list is under way, None if all are done with."""
    if any(task_on(kind, mailing_list) for kind in _IMPORTS):
        return _TAKEN_IN
    return _TAKEN_BACK if task_on(TaskKind.UNDO_IMPORT, mailing_list) else None


def require_no_unfinished_file(mailing_list: MailingList) -> None:
    """Raise Refused while a file of a list is under way."""
    if any(task_on(kind, mailing_list) for kind in _IMPORTS):
        raise Refused(_TAKEN_IN)
    if task_on(TaskKind.UNDO_IMPORT, mailing_list):
        raise Refused(_TAKEN_BACK)
