"""What has been counted already, so that no page counts a million entries anew.

May import the tables of this room.
"""

from __future__ import annotations

from peewee import AutoField, CharField, IntegerField

from repermit.models.tables import Table


class Tally(Table):
    """How many people of a campaign (0: of none) came to stand somewhere, on a day of a list.

    `list` is the slug and `day` an ISO date in the organisation's zone; a row without a day says
    how many stand there now. `what` is a reports.Turn.
    """

    id = AutoField()
    list = CharField()
    campaign = IntegerField(default=0)
    day = CharField(max_length=10, default="")
    what = CharField()
    count = IntegerField(default=0)

    class Meta:
        """One row for each thing that is counted."""

        indexes = ((("list", "campaign", "day", "what"), True),)
