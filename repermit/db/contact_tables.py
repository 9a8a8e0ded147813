"""How the links of a contact were opened and pressed: a trace, which is no part of the evidence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from peewee import (
    SQL,
    BigAutoField,
    BooleanField,
    CharField,
    ForeignKeyField,
    IntegerField,
    TextField,
)

from repermit.db.tables import Contact, Mail, MailingList, Table, moment, moment_or_none


class Opening(Table):
    """What the links of one contact have been through, in one row, however often they are opened.

    A suspicion.Past. `signs` are those of the last press if it was suspect, with commas between
    them; `held_at` is when a Yes was asked for again that nothing has become of yet. `began_at` is
    the oldest moment in the row, which goes with it `trace_days` later.
    """

    if TYPE_CHECKING:
        contact_id: int
        list_id: int

    contact = ForeignKeyField(Contact, primary_key=True, on_delete="CASCADE")
    list = ForeignKeyField(MailingList)
    yes_gets = IntegerField(default=0)
    yes_heads = IntegerField(default=0)
    yes_first_at = moment_or_none()
    yes_last_at = moment_or_none()
    no_gets = IntegerField(default=0)
    no_heads = IntegerField(default=0)
    no_first_at = moment_or_none()
    no_last_at = moment_or_none()
    together_at = moment_or_none()
    yes_at = moment_or_none()
    no_at = moment_or_none()
    disowned_at = moment_or_none()
    doubted_at = moment_or_none()
    is_contradicted = BooleanField(default=False)
    settled_at = moment_or_none()
    signs = CharField(default="")
    held_at = moment_or_none()
    began_at = moment(index=True)


# Whose Yes is held is counted at once among a million that were opened.
Opening.add_index(Opening.list, name="opening_held", where=SQL("held_at IS NOT NULL"))


# --- Links that are good for one use and one hour, sent to an address at its reader's. ------------


class FreshLink(Table):
    """A link that is, or was, on its way to an address; kept for a day, for the limit of a day.

    `purpose` is `see` (everything that is held), `address` (whether a new address is right) or
    `changed` (no link: the address that mail went to before is told). `address` is where the mail
    goes, whatever the contact's becomes. What stands here opens nothing: the link in the mail is
    `uid` signed with a key that is kept elsewhere, and `authority` is the SHA-256 of what the page
    that the link opened hands on in its forms.
    """

    if TYPE_CHECKING:
        contact_id: int
        mail_id: int

    id = BigAutoField()
    contact = ForeignKeyField(Contact, on_delete="CASCADE")
    mail = ForeignKeyField(Mail, unique=True, on_delete="CASCADE")
    purpose = CharField()
    uid = CharField(max_length=32, unique=True)
    address = TextField()
    address_key = TextField(index=True)
    language = CharField(default="")
    at = moment(index=True)
    used_at = moment_or_none()
    authority = CharField(max_length=64, default="", index=True)
