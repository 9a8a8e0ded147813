"""The tables of contacts, sign-ups, suppressions, and the click log, which is not evidence."""

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

from repermit.db.models.base import Table, optional_timestamp_field, timestamp_field
from repermit.db.models.imports import Import
from repermit.db.models.lists import MailingList


class Contact(Table):
    """One address on one list.

    - `address`: null after an erasure; `address_key` is then the `uid`, so that it stays unique.
    - `basis`: the basis on which a confirmed or customer contact may be mailed.
    - `form_version`: grows with each press and answer, so that a page's forms are good for one
      press.
    - `has_refused`: whether a No was ever recorded, except by an import, which may be undone.
    - `has_predecessor`: whether entries with its `subject` are of another address, or from before
      an erasure.
    """

    if TYPE_CHECKING:
        list_id: int
        imported_by_id: int | None

    id = BigAutoField()
    list = ForeignKeyField(MailingList, backref="contacts", index=False)
    uid = CharField(max_length=32, unique=True)
    subject = CharField(max_length=32)
    address = TextField(null=True)
    address_key = TextField()
    name = TextField(default="")
    language = CharField(default="")
    source = TextField(default="")
    since = optional_timestamp_field()
    status = CharField()
    status_at = timestamp_field()
    reason = CharField(default="")
    basis = CharField(default="")
    basis_at = optional_timestamp_field()
    imported_by = ForeignKeyField(Import, null=True, index=False)
    erased_at = optional_timestamp_field()
    form_version = IntegerField(default=0, constraints=[SQL("DEFAULT 0")])
    has_refused = BooleanField(default=False, constraints=[SQL("DEFAULT FALSE")])
    has_predecessor = BooleanField(default=False, constraints=[SQL("DEFAULT FALSE")])

    class Meta:
        """One row for each address of a list; counts and pages by status use the second index."""

        indexes = ((("list", "address_key"), True), (("list", "status", "reason", "id"), False))


# Finds the contacts of an import, and quickly whether any of them has changed since.
Contact.add_index(
    Contact.imported_by,
    Contact.status_at,
    Contact.id,
    name="contact_imported",
    where=SQL("imported_by_id IS NOT NULL"),
)


Contact.add_index(Contact.list, name="contact_erased", where=SQL("erased_at IS NOT NULL"))
# Only these are looked up by subject. An index of all contacts would slow imports down by a third
# or more, as each random subject is on another page.
Contact.add_index(
    Contact.subject,
    name="contact_subject",
    where=SQL("has_predecessor OR erased_at IS NOT NULL"),
)


# Find the contacts to erase, and those whose proofs may end, quickly among a million.
Contact.add_index(
    Contact.list,
    Contact.status_at,
    Contact.id,
    name="contact_to_erase",
    where=SQL("status = 'removed' AND erased_at IS NULL"),
)


Contact.add_index(
    Contact.status_at, Contact.id, name="contact_removed", where=SQL("status = 'removed'")
)


class SignUp(Table):
    """A sign-up, or a late Yes, that has to be confirmed from its address.

    - `doubted_at`: when a Yes was last asked for again.
    - `declined_at`: when the reader declined it, since a Yes was last asked for again.
    - `form_version`: grows with each press on its page.
    """

    if TYPE_CHECKING:
        list_id: int

    id = BigAutoField()
    list = ForeignKeyField(MailingList, backref="sign_ups")
    uid = CharField(max_length=32, unique=True)
    address = TextField()
    address_key = TextField(index=True)
    name = TextField(default="")
    language = CharField(default="")
    at = timestamp_field()
    confirmed_at = optional_timestamp_field()
    declined_at = optional_timestamp_field()
    doubted_at = optional_timestamp_field()
    form_version = IntegerField(default=0, constraints=[SQL("DEFAULT 0")])


# Finds the unconfirmed sign-ups, which are deleted, quickly among many confirmed ones.
SignUp.add_index(SignUp.at, name="sign_up_unconfirmed", where=SQL("confirmed_at IS NULL"))


class Suppression(Table):
    """The fingerprint of an address that is not asked again, for its list or (null) for all."""

    if TYPE_CHECKING:
        list_id: int | None
        imported_by_id: int | None

    id = BigAutoField()
    list = ForeignKeyField(MailingList, null=True, index=False)
    fingerprint = CharField(max_length=64)
    subject = CharField(max_length=32)
    reason = CharField()
    at = timestamp_field()
    imported_by = ForeignKeyField(Import, null=True, index=False)

    class Meta:
        """One for each address of a list."""

        indexes = ((("fingerprint", "list"), True),)


Suppression.add_index(Suppression.subject, name="suppression_subject")
Suppression.add_index(
    Suppression.imported_by,
    Suppression.subject,
    name="suppression_imported",
    where=SQL("imported_by_id IS NOT NULL"),
)


class Opening(Table):
    """The click log of one contact's links in one row; see bot_detection.LinkHistory.

    - `signs`: the signals of the last press if it was suspicious, separated by commas.
    - `held_at`: since when a Yes waits for another press.
    - `began_at`: the oldest time in the row, which is deleted `trace_days` later.
    """

    if TYPE_CHECKING:
        contact_id: int
        list_id: int

    contact = ForeignKeyField(Contact, primary_key=True, on_delete="CASCADE")
    list = ForeignKeyField(MailingList)
    yes_gets = IntegerField(default=0)
    yes_heads = IntegerField(default=0)
    yes_first_at = optional_timestamp_field()
    yes_last_at = optional_timestamp_field()
    no_gets = IntegerField(default=0)
    no_heads = IntegerField(default=0)
    no_first_at = optional_timestamp_field()
    no_last_at = optional_timestamp_field()
    together_at = optional_timestamp_field()
    yes_at = optional_timestamp_field()
    no_at = optional_timestamp_field()
    disowned_at = optional_timestamp_field()
    doubted_at = optional_timestamp_field()
    is_contradicted = BooleanField(default=False)
    settled_at = optional_timestamp_field()
    signs = CharField(default="")
    held_at = optional_timestamp_field()
    began_at = timestamp_field(index=True)


# Counts the contacts with a held Yes quickly among a million.
Opening.add_index(Opening.list, name="opening_held", where=SQL("held_at IS NOT NULL"))
