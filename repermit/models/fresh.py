"""Links that are good for one use and one hour, sent to an address at its reader's wish.

May import the tables of this room only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from peewee import BigAutoField, CharField, ForeignKeyField, TextField

from repermit.models.tables import Contact, Mail, Table, moment, moment_or_none


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
