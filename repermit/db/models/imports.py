"""The tables of imports: finished and running ones, changed contacts, and pending uploads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from peewee import (
    AutoField,
    BigAutoField,
    BigIntegerField,
    CharField,
    ForeignKeyField,
    IntegerField,
    TextField,
)

from repermit.db.models.accounts import User
from repermit.db.models.base import Table, optional_timestamp_field, timestamp_field
from repermit.db.models.lists import MailingList


class Import(Table):
    """One import; while its task runs, only a part of the file is merged."""

    if TYPE_CHECKING:
        list_id: int

    id = AutoField()
    list = ForeignKeyField(MailingList, backref="imports")
    file = TextField()
    digest = CharField(max_length=64)
    counts = TextField()
    at = timestamp_field()
    undone_at = optional_timestamp_field()


class ImportChange(Table):
    """The previous state of a contact that an import changed, to be restored by an undo."""

    id = BigAutoField()
    record = ForeignKeyField(Import, index=False)
    contact = BigIntegerField()
    status = CharField()
    status_at = timestamp_field()
    basis = CharField(default="")
    basis_at = optional_timestamp_field()

    class Meta:
        """Read in the order of ids, a step at a time."""

        indexes = ((("record", "id"), False),)


class Upload(Table):
    """An uploaded file that is not imported yet; it is stored beside the database.

    - `token`: the name of its folder.
    - `choices`: the choices for importing it, as JSON.
    - `rows`: the number of its rows; null until it is read.
    - `people`: the number of people in it who are not on the list; null until it is read, and after
      the list has changed.

    Deleted when it is imported or discarded, or after a day.
    """

    if TYPE_CHECKING:
        list_id: int
        user_id: int

    id = AutoField()
    list = ForeignKeyField(MailingList, on_delete="CASCADE")
    user = ForeignKeyField(User, on_delete="CASCADE")
    token = CharField(max_length=32, unique=True)
    name = TextField()
    choices = TextField(default="{}")
    at = timestamp_field()
    rows = IntegerField(null=True)
    people = IntegerField(null=True)
