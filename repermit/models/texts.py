"""What readers of further languages are told of a list.

May import the tables of this room only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from peewee import AutoField, CharField, ForeignKeyField, TextField

from repermit.models.tables import MailingList, Table


class ListText(Table):
    """A list in one language more; its own words in its own language stand in MailingList.

    "" is what has not been said. The `own_` texts are the admin's templates for an ask in this
    language, "" for repermit's own.
    """

    if TYPE_CHECKING:
        list_id: int

    id = AutoField()
    list = ForeignKeyField(MailingList, backref="+", index=False)
    language = CharField()
    name = TextField(default="")
    purpose = TextField(default="")
    frequency = TextField(default="")
    privacy_url = TextField(default="")
    own_subject = TextField(default="")
    own_text = TextField(default="")
    own_html = TextField(default="")

    class Meta:
        """One for each language of a list."""

        indexes = ((("list", "language"), True),)
