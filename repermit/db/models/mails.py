"""The tables of mails: the queue, rates, replies, read messages of a mailbox, one-time links."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from peewee import (
    SQL,
    BigAutoField,
    CharField,
    ForeignKeyField,
    SmallIntegerField,
    TextField,
)

from repermit.db.models.base import Table, optional_timestamp_field, timestamp_field
from repermit.db.models.campaigns import Campaign, CampaignWording
from repermit.db.models.contacts import Contact, SignUp
from repermit.db.models.lists import MailingList


class Mail(Table):
    """One mail, to be sent or sent.

    - `message_id`: the same for every attempt.
    - `reply_code`, `reply_status`: the server's codes only, as its words quote addresses.
    - `wording`: the wording that this mail was made from; null until it is made.
    - `bounce`: a consent.BounceKind that came after a server had accepted it; `bounce_status` is
      its status code.
    - `topic`: the subject matter of a `notice`.
    """

    if TYPE_CHECKING:
        list_id: int
        campaign_id: int | None
        contact_id: int | None
        sign_up_id: int | None
        wording_id: int | None

    id = BigAutoField()
    list = ForeignKeyField(MailingList, index=False)
    campaign = ForeignKeyField(Campaign, null=True, backref="mails", index=False)
    contact = ForeignKeyField(Contact, null=True, backref="mails", on_delete="CASCADE")
    sign_up = ForeignKeyField(SignUp, null=True, on_delete="CASCADE")
    kind = CharField()
    state = CharField(default="queued")
    reason = CharField(default="")
    due_at = timestamp_field()
    attempts = SmallIntegerField(default=0)
    worker = CharField(default="")
    lease_until = optional_timestamp_field()
    started_at = optional_timestamp_field()
    sent_at = optional_timestamp_field()
    reply_code = SmallIntegerField(default=0)
    reply_status = CharField(default="")
    message_id = TextField()
    wording = ForeignKeyField(CampaignWording, null=True, index=False)
    bounce = CharField(default="")
    bounce_status = CharField(default="")
    bounced_at = optional_timestamp_field()
    topic = CharField(default="")

    class Meta:
        """For counts by campaign."""

        indexes = ((("campaign", "kind", "state"), False),)


# Finds the queued mails quickly among a million sent ones. Sending a mail changes few indexes, as
# its lease stays from its claim to its outcome.
Mail.add_index(
    Mail.kind,
    Mail.campaign,
    Mail.due_at,
    Mail.id,
    name="mail_queued",
    where=SQL("state = 'queued'"),
)


# The mails that people have just requested come first in each claim.
Mail.add_index(
    Mail.kind,
    Mail.due_at,
    Mail.id,
    name="mail_personal",
    where=SQL("state = 'queued' AND kind IN ('confirm', 'receipt', 'notice')"),
)


Mail.add_index(Mail.worker, name="mail_leased", where=SQL("lease_until IS NOT NULL"))
Mail.add_index(Mail.list, Mail.id, name="mail_in_doubt", where=SQL("state = 'in_doubt'"))
Mail.add_index(Mail.campaign, name="mail_bounced", where=SQL("bounce <> ''"))
Mail.add_index(Mail.list, name="mail_put_off", where=SQL("state = 'queued' AND reply_code >= 500"))

IS_ASK_OR_REMINDER = SQL("kind IN ('ask', 'reminder')")
"""In these words, so that SQLite uses the index `mail_asked_once`."""

Mail.add_index(
    Mail.campaign,
    Mail.contact,
    Mail.kind,
    unique=True,
    name="mail_asked_once",
    where=IS_ASK_OR_REMINDER,
)


def enqueue_notice(
    topic: str, *, list_id: int, due_at: datetime, campaign: Campaign | None = None
) -> None:
    """Enqueue a mail to the admin about a list or a campaign, in the caller's transaction."""
    Mail.create(
        list=list_id, campaign=campaign, kind="notice", topic=topic, due_at=due_at, message_id=""
    )


class Pace(Table):
    """The time of the next mail that may be claimed of a scope: "" (all mails) or a domain."""

    scope = CharField(primary_key=True)
    next_at = timestamp_field()


class Reply(Table):
    """A person's reply by mail, for the admin to decide on; its text is not stored.

    - `proposed`: the answer that it seems to give, see `human_replies`.
    """

    if TYPE_CHECKING:
        list_id: int
        contact_id: int

    id = BigAutoField()
    list = ForeignKeyField(MailingList, index=False)
    contact = ForeignKeyField(Contact, on_delete="CASCADE")
    message_digest = CharField(max_length=64, unique=True)
    proposed = CharField(default="")
    at = timestamp_field()
    decided_at = optional_timestamp_field()


class SeenMessage(Table):
    """A message in a POP3 mailbox that was read.

    - `mailbox`: the identity of the mailbox.
    - `name`: a digest of the mailbox's name for the message.
    """

    id = BigAutoField()
    mailbox = CharField(max_length=32)
    name = CharField(max_length=32)

    class Meta:
        """One row for each message."""

        indexes = ((("mailbox", "name"), True),)

    @classmethod
    def insert_names(cls, mailbox: str, names: Iterable[str]) -> None:
        """Store that these messages were read; some may be stored already."""
        fields = (cls.mailbox, cls.name)
        rows = [(mailbox, name) for name in sorted(names)]
        cls.insert_rows(fields, rows, unique=fields, replace=(cls.name,))


class FreshLink(Table):
    """A one-time link that is mailed to an address; stored for a day, for the daily limit.

    - `purpose`: `see` (all data stored), `address` (confirming a new address) or `changed` (no
      link, but a notice to the former address).
    - `address`: the recipient, whatever the contact's address becomes.
    - `uid`: in the mail it is signed with a key from outside the database, so that the database
      alone opens nothing.
    - `authority`: the SHA-256 of the value that the opened pages send along in their forms.
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
    at = timestamp_field(index=True)
    used_at = optional_timestamp_field()
    authority = CharField(max_length=64, default="", index=True)
