"""The table of what only the organisation knows of a list's processing.

May import the tables of this room.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from peewee import AutoField, ForeignKeyField, TextField

from repermit.models.tables import MailingList, Table, moment


class RegisterNotes(Table):
    """What the record of processing activities takes from the organisation, as JSON."""

    if TYPE_CHECKING:
        list_id: int

    id = AutoField()
    list = ForeignKeyField(MailingList, unique=True, on_delete="CASCADE")
    notes = TextField(default="{}")
    updated_at = moment()
