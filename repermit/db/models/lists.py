"""Lists: what people are told of each, also in further languages, and its processing record."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from peewee import (
    AutoField,
    BooleanField,
    CharField,
    ForeignKeyField,
    TextField,
)

from repermit.db.models.base import Table, optional_timestamp_field, timestamp_field
from repermit.errors import NotFound
from repermit.i18n.lazy_text import LazyText


class MailingList(Table):
    """One purpose, as the person reads it; one privacy statement; one sender.

    `lost_launch_at` is when a campaign was launched, or may have been, of which the database knows
    nothing, since it was restored from an older copy; null once it has been dealt with.
    """

    pending_text: ListText | None = None
    """What is to be said in one language more, to be looked at before it is saved."""

    id = AutoField()
    slug = CharField(unique=True)
    name = TextField()
    purpose = TextField(default="")
    frequency = TextField(default="")
    privacy_url = TextField(default="")
    language = CharField(default="nl")
    sender = TextField(default="")
    sensitive = BooleanField(default=False)
    receipts = BooleanField(default=True)
    own_subject = TextField(default="")
    own_text = TextField(default="")
    own_html = TextField(default="")
    created_at = timestamp_field()
    lost_launch_at = optional_timestamp_field()


def find_list(slug: str) -> MailingList:
    """Return the list of this name; raises NotFound."""
    found: MailingList | None = MailingList.get_or_none(MailingList.slug == slug)
    if found is None:
        near = difflib.get_close_matches(slug, [one.slug for one in MailingList.select()], n=1)
        raise NotFound(
            "there is no list %(list)s; %(hint)s`repermit list add %(list)s …` makes one",
            code="no_list",
            list=slug,
            hint=LazyText("did you mean %(near)s? ", near=near[0]) if near else "",
        )
    return found


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


class RegisterNotes(Table):
    """What the record of processing activities takes from the organisation, as JSON."""

    if TYPE_CHECKING:
        list_id: int

    id = AutoField()
    list = ForeignKeyField(MailingList, unique=True, on_delete="CASCADE")
    notes = TextField(default="{}")
    updated_at = timestamp_field()
