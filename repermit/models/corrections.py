"""Which texts of mails and pages the admin has corrected.

May import the tables of this room only.
"""

from __future__ import annotations

from peewee import AutoField, CharField, TextField

from repermit.models.tables import Table, moment


class Correction(Table):
    """One text in one language, known by its English singular; `forms` is a list in JSON."""

    id = AutoField()
    language = CharField()
    key = CharField()
    source = TextField()
    forms = TextField()
    at = moment()
    by = CharField()

    class Meta:
        """One for each text of a language."""

        indexes = ((("language", "key"), True),)
