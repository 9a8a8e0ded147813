"""The tables of lists: their descriptions, also in further languages, and processing records."""

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

from repermit.db.connection import lock_rows
from repermit.db.models.base import Table, optional_timestamp_field, timestamp_field
from repermit.errors import NotFound
from repermit.i18n.lazy_text import LazyText
from repermit.rules import new_list_defaults


class MailingList(Table):
    """A mailing list: one purpose, as the person reads it; one privacy statement; one sender.

    - `lost_launch_at`: the time of a launch that a restored database does not have, or of a
      possible one; null once the admin has dealt with it.
    """

    pending_text: ListText | None = None
    """The texts in a further language that are previewed before they are saved."""

    id = AutoField()
    slug = CharField(unique=True)
    name = TextField()
    purpose = TextField(default="")
    frequency = TextField(default="")
    privacy_url = TextField(default="")
    language = CharField(default="nl")
    sender = TextField(default="")
    sensitive = BooleanField(default=False)
    receipts = BooleanField(default=new_list_defaults.RECEIPTS)
    own_subject = TextField(default="")
    own_text = TextField(default="")
    own_html = TextField(default="")
    created_at = timestamp_field()
    lost_launch_at = optional_timestamp_field()


def find_list(slug: str) -> MailingList:
    """Return the list with this slug; raises NotFound."""
    mailing_list: MailingList | None = MailingList.get_or_none(MailingList.slug == slug)
    if mailing_list is None:
        near = difflib.get_close_matches(slug, [row.slug for row in MailingList.select()], n=1)
        raise NotFound(
            "there is no list %(list)s",
            cli="; %(hint)s`repermit list add %(list)s …` makes one",
            list=slug,
            hint=LazyText("did you mean %(near)s? ", near=near[0]) if near else "",
        )
    return mailing_list


def lock_list(mailing_list: MailingList) -> MailingList:
    """Return the present row of a list, locked until the caller's transaction ends."""
    locked_list: MailingList = lock_rows(
        MailingList.select().where(MailingList.id == mailing_list.id)
    ).get()
    return locked_list


class ListText(Table):
    """The texts of a list in a further language; those in its main language are in MailingList.

    - `own_subject` and so on: the admin's templates for an ask in this language; "" for the default
      ones.

    Texts are "" if they are not translated.
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
    """The organisation's own notes in the record of processing activities, as JSON."""

    if TYPE_CHECKING:
        list_id: int

    id = AutoField()
    list = ForeignKeyField(MailingList, unique=True, on_delete="CASCADE")
    notes = TextField(default="{}")
    updated_at = timestamp_field()
