"""The table of settings that admins have chosen on the pages."""

from __future__ import annotations

from peewee import AutoField, CharField, TextField

from repermit.db.tables import Table, moment


class Chosen(Table):
    """One setting, by its dotted name; `value` is JSON, and of a secret that under a seal."""

    key = CharField(primary_key=True)
    value = TextField()
    at = moment()
    by = CharField()


# --- Which texts of mails and pages the admin has corrected. --------------------------------------


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
