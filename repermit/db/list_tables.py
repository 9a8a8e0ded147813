"""What readers of further languages are told of a list."""

from __future__ import annotations

from typing import TYPE_CHECKING

from peewee import AutoField, CharField, ForeignKeyField, IntegerField, TextField

from repermit.db.account_tables import User
from repermit.db.tables import Campaign, MailingList, Table, moment


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


# --- The table of what only the organisation knows of a list's processing. ------------------------


class RegisterNotes(Table):
    """What the record of processing activities takes from the organisation, as JSON."""

    if TYPE_CHECKING:
        list_id: int

    id = AutoField()
    list = ForeignKeyField(MailingList, unique=True, on_delete="CASCADE")
    notes = TextField(default="{}")
    updated_at = moment()


# --- The tables of the admin's work. --------------------------------------------------------------


class Draft(Table):
    """What has been answered so far of the conditions of a list's next campaign, as JSON."""

    if TYPE_CHECKING:
        list_id: int

    id = AutoField()
    list = ForeignKeyField(MailingList, unique=True, on_delete="CASCADE")
    answers = TextField(default="{}")
    updated_at = moment()


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
    at = moment()
    rows = IntegerField(null=True)
    people = IntegerField(null=True)


class HandedOver(Table):
    """A step of handing a campaign over that the admin has ticked."""

    if TYPE_CHECKING:
        campaign_id: int

    id = AutoField()
    campaign = ForeignKeyField(Campaign, on_delete="CASCADE")
    tool = CharField()
    step = CharField()
    by = CharField()
    at = moment()

    class Meta:
        """A step is ticked once."""

        indexes = ((("campaign", "tool", "step"), True),)
