"""Campaigns: their wording, what is answered of their conditions, and handing them over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from peewee import (
    SQL,
    AutoField,
    BooleanField,
    CharField,
    ForeignKeyField,
    IntegerField,
    SmallIntegerField,
    TextField,
)

from repermit.db.models.base import Table, optional_timestamp_field, timestamp_field
from repermit.db.models.lists import MailingList
from repermit.rules.consent import CampaignState


class Campaign(Table):
    """One asking of a list's unconfirmed contacts.

    `paused_from` is the state to go back to, and `pause_reason` a consent.PauseReason if it paused
    by itself. `minimum_days` is the setting as it was at launch. `downtime` is how many seconds in
    all the answer pages were down since its start. After `pilot` people it waits for the admin, 0
    for none. At `reminder_at` those who have not answered are reminded, never if null, and nobody
    is left to remind since `reminded_at`. The `brake_` counts are what the admin knew of when the
    campaign went on after too many bounces.
    """

    if TYPE_CHECKING:
        list_id: int

    id = AutoField()
    list = ForeignKeyField(MailingList, backref="campaigns")
    state = CharField()
    paused_from = CharField(default="")
    pause_reason = CharField(default="")
    deadline = timestamp_field()
    launched_at = timestamp_field()
    starts_at = timestamp_field()
    opened_at = optional_timestamp_field()
    closed_at = optional_timestamp_field()
    include_thin = BooleanField(default=False)
    minimum_days = IntegerField()
    downtime = IntegerField(default=0)
    pilot = IntegerField(default=0)
    reminder_at = optional_timestamp_field()
    reminded_at = optional_timestamp_field()
    brake_sent = IntegerField(default=0)
    brake_bounced = IntegerField(default=0)
    brake_complaints = IntegerField(default=0)


Campaign.add_index(
    Campaign.list,
    unique=True,
    name="campaign_one_live",
    where=SQL("state IN ('scheduled', 'sending', 'paused', 'open')"),
)


class Wording(Table):
    """The exact text of a mail or page, stored once under its SHA-256."""

    digest = CharField(max_length=64, primary_key=True)
    content = TextField()


class CampaignWording(Table):
    """Which wording a campaign uses in which language.

    A new `revision` (counting from 1) is for the mails that are made from then on, as after a
    change of the deadline.
    """

    if TYPE_CHECKING:
        campaign_id: int
        wording_id: str

    id = AutoField()
    campaign = ForeignKeyField(Campaign, backref="wordings")
    kind = CharField()
    language = CharField()
    revision = SmallIntegerField(default=1)
    wording = ForeignKeyField(Wording)

    class Meta:
        """One wording for each kind, language and revision."""

        indexes = ((("campaign", "kind", "language", "revision"), True),)


def latest_campaign(mailing_list: MailingList) -> Campaign | None:
    """Return the list's live campaign, or else the last one, or None."""
    found: Campaign | None = (
        Campaign.select().where(Campaign.list == mailing_list).order_by(Campaign.id.desc()).first()
    )
    return found


def find_live_campaign(mailing_list: MailingList) -> Campaign | None:
    """Return the list's campaign that is under way, None if none is."""
    campaign = latest_campaign(mailing_list)
    return campaign if campaign and CampaignState(campaign.state).is_live else None


def list_newest_wordings(campaign: Campaign) -> list[CampaignWording]:
    """Return the wordings that a campaign uses by now, one for each kind and language."""
    rows = (
        CampaignWording.select(CampaignWording, Wording)
        .join(Wording)
        .where(CampaignWording.campaign == campaign)
        .order_by(CampaignWording.kind, CampaignWording.language, CampaignWording.revision)
    )
    return list({(row.kind, row.language): row for row in rows}.values())


class Draft(Table):
    """What has been answered so far of the conditions of a list's next campaign, as JSON."""

    if TYPE_CHECKING:
        list_id: int

    id = AutoField()
    list = ForeignKeyField(MailingList, unique=True, on_delete="CASCADE")
    answers = TextField(default="{}")
    updated_at = timestamp_field()


class HandedOver(Table):
    """A step of handing a campaign over that the admin has ticked."""

    if TYPE_CHECKING:
        campaign_id: int

    id = AutoField()
    campaign = ForeignKeyField(Campaign, on_delete="CASCADE")
    tool = CharField()
    step = CharField()
    by = CharField()
    at = timestamp_field()

    class Meta:
        """A step is ticked once."""

        indexes = ((("campaign", "tool", "step"), True),)
