"""Imports: files taken in or waiting, and how contacts were before."""

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
    """One file taken in; until its task is done, only a part of it is."""

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
    """How a contact was that an import changed, by whose number it is put back if it is undone."""

    id = BigAutoField()
    record = ForeignKeyField(Import, index=False)
    contact = BigIntegerField()
    status = CharField()
    status_at = timestamp_field()
    basis = CharField(default="")
    basis_at = optional_timestamp_field()

    class Meta:
        """Found a step at a time."""

        indexes = ((("record", "id"), False),)


class Upload(Table):
    """A file that was handed in and has not been taken in yet; it stands beside the database.

    `token` is its name there, `choices` how it is to be read and taken in, as JSON. `rows` is how
    many it has, and `people` of how many something stands in it who are not on the list; both null
    until it has been looked at, `people` also once others are on the list. It goes once it is taken
    in, given up, or a day old.
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
