"""Acts that go in steps beside the pages, and how far each has come.

May import the tables of this room. Whoever takes the next step locks its row, so that any number
of processes may try at once; a kill loses a step at most, which has changed nothing then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from peewee import BigIntegerField, CharField, ForeignKeyField, IntegerField, TextField

from repermit.models.tables import Campaign, Import, MailingList, Table, moment


class Launching(Table):
    """A campaign whose asks are being made: nothing of it is sent as long as this row stands.

    Contacts up to `newest` are its audience, and those up to `reached` have been looked at: `owed`
    have their ask, and `suppressed` were left out for that alone. `facts` is what its entry will
    say, as JSON, and `actor` of whom.
    """

    if TYPE_CHECKING:
        campaign_id: int

    campaign = ForeignKeyField(Campaign, primary_key=True)
    actor = CharField()
    facts = TextField()
    reached = BigIntegerField()
    newest = BigIntegerField()
    owed = IntegerField(default=0)
    suppressed = IntegerField(default=0)


class Undoing(Table):
    """An import that is being taken back: nothing is launched or taken in as long as this stands.

    `at` is when that was decided, and by whom `actor`. Its contacts up to the number `reached` have
    been looked at, and of those that it had changed as many as `looked_at`; `rows` is of how many
    rows of its file something is to be taken back.
    """

    if TYPE_CHECKING:
        record_id: int
        list_id: int

    record = ForeignKeyField(Import, primary_key=True)
    list = ForeignKeyField(MailingList, unique=True)
    actor = CharField()
    at = moment()
    rows = IntegerField()
    reached = BigIntegerField(default=0)
    looked_at = IntegerField(default=0)
    contacts = IntegerField(default=0)
    restored = IntegerField(default=0)
    suppressions = IntegerField(default=0)
