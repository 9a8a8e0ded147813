"""Settings that admins have chosen on the pages, and texts that they have corrected."""

from __future__ import annotations

from peewee import AutoField, CharField, TextField

from repermit.db.models.base import Table, timestamp_field


class Chosen(Table):
    """One setting, by its dotted name; `value` is JSON, and of a secret that under a seal."""

    key = CharField(primary_key=True)
    value = TextField()
    at = timestamp_field()
    by = CharField()


class Correction(Table):
    """One text in one language, known by its English singular; `forms` is a list in JSON."""

    id = AutoField()
    language = CharField()
    key = CharField()
    source = TextField()
    forms = TextField()
    at = timestamp_field()
    by = CharField()

    class Meta:
        """One for each text of a language."""

        indexes = ((("language", "key"), True),)
