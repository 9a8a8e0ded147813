"""What files that were handed in and wait were counted to hold, once that may hold no more.

May import models. Each call belongs to the caller's transaction.
"""

from __future__ import annotations

from repermit.models import Upload


def forget_file_counts(list_id: int) -> None:
    """Have it not known who stands in the files that wait for a list and nowhere else on it.

    Somebody has come onto the list, or gone, since they were looked at: whoever counted them beside
    the list would count people twice, or not at all. On PostgreSQL the rows are locked: after the
    contacts that are there, before new ones and before anything is appended.
    """
    counted = Upload.people.is_null(is_null=False)
    Upload.update(people=None).where(Upload.list == list_id, counted).execute()
