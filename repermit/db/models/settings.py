"""The tables of settings that admins have chosen on the pages, and of corrected texts."""

from __future__ import annotations

from peewee import AutoField, CharField, TextField

from repermit.db.models.base import Table, timestamp_field


class Chosen(Table):
    """One setting, by its dotted name; `value` is JSON, encrypted for a secret."""

    key = CharField(primary_key=True)
    value = TextField()
    at = timestamp_field()
    by = CharField()


class Correction(Table):
    """A corrected text in one language, identified by its English singular; `forms` is JSON."""

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
