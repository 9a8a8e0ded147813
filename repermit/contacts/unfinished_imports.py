"""Whether a file is half taken in, or half taken back: nothing is told of such a list, or done."""

from __future__ import annotations

from repermit.db.background_tasks import TaskKind, task_on
from repermit.db.list_tables import Upload
from repermit.db.tables import MailingList
from repermit.errors import Refused
from repermit.i18n.lazy_text import Said

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


# --- What waiting uploads were counted to hold. ---------------------------------------------------


def forget_file_counts(list_id: int) -> None:
    """Have it not known who stands in the files that wait for a list and nowhere else on it.

    Somebody has come onto the list, or gone, since they were looked at: whoever counted them beside
    the list would count people twice, or not at all. On PostgreSQL the rows are locked: after the
    contacts that are there, before new ones and before anything is appended.
    """
    counted = Upload.people.is_null(is_null=False)
    Upload.update(people=None).where(Upload.list == list_id, counted).execute()
