"""Mails: what is owed, when the next may leave, what was replied, and links that are sent once."""

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
    """One message owed.

    `message_id` is the same for every attempt. `reply_code` and `reply_status` are the server's
    codes only, since its words quote addresses. `wording` is the one that this very mail was made
    from, null before. `bounce` is a consent.BounceKind that came after a server had accepted it,
    with its status code. `topic` says what a `notice` is about.
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
        """Counts come by campaign."""

        indexes = ((("campaign", "kind", "state"), False),)


# What is to be done is found at once among a million that are done, and a mail that is on its way
# changes few indexes: its lease stays from its claim to its outcome.
Mail.add_index(
    Mail.kind,
    Mail.campaign,
    Mail.due_at,
    Mail.id,
    name="mail_queued",
    where=SQL("state = 'queued'"),
)


# What somebody has just asked for comes before all else, in each claim.
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
Mail.add_index(
    Mail.campaign,
    Mail.contact,
    Mail.kind,
    unique=True,
    name="mail_asked_once",
    where=SQL("kind IN ('ask', 'reminder')"),
)


def enqueue_notice(
    topic: str, *, list_id: int, due_at: datetime, campaign: Campaign | None = None
) -> None:
    """Owe the admin a mail about a list or a campaign, in the caller's transaction."""
    Mail.create(
        list=list_id, campaign=campaign, kind="notice", topic=topic, due_at=due_at, message_id=""
    )


class Pace(Table):
    """When the next mail of a scope may be claimed: "" for all mails, or a domain."""

    scope = CharField(primary_key=True)
    next_at = timestamp_field()


class Reply(Table):
    """What a person wrote back, for the admin to decide: a plain Yes or No, or something else.

    `proposed` is the answer that it seems to give, as `human_replies` has it; nothing of its text
    is kept.
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
    """A message that lies in a mailbox which is read by POP3, and that was looked at.

    `mailbox` is what the mailbox is known by, and `name` what it calls the message, as a digest.
    """

    id = BigAutoField()
    mailbox = CharField(max_length=32)
    name = CharField(max_length=32)

    class Meta:
        """A message is known once."""

        indexes = ((("mailbox", "name"), True),)

    @classmethod
    def insert_names(cls, mailbox: str, names: Iterable[str]) -> None:
        """Note that these messages were looked at; some may be known already."""
        fields = (cls.mailbox, cls.name)
        rows = [(mailbox, name) for name in sorted(names)]
        cls.insert_rows(fields, rows, unique=fields, replace=(cls.name,))


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
    at = timestamp_field(index=True)
    used_at = optional_timestamp_field()
    authority = CharField(max_length=64, default="", index=True)
