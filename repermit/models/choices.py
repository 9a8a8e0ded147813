"""The table of settings that admins have chosen on the pages.

May import the tables of this room.
"""

from __future__ import annotations

from peewee import CharField, TextField

from repermit.models.tables import Table, moment


class Chosen(Table):
    """One setting, by its dotted name; `value` is JSON, and of a secret that under a seal."""

    key = CharField(primary_key=True)
    value = TextField()
    at = moment()
    by = CharField()
