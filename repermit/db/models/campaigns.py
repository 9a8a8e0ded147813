"""The tables of campaigns: wordings, drafts of conditions, and steps of handing over."""

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
    """One campaign: the asking of a list's unconfirmed contacts.

    - `paused_from`: the state to resume to.
    - `pause_reason`: a consent.PauseReason if it paused by itself.
    - `minimum_days`: the setting at launch.
    - `downtime`: the total seconds for which the answer pages were down since its start.
    - `pilot`: the number of people after which it waits for the admin; 0 for none.
    - `reminder_at`: the time of reminders; null for none. Nobody is left to remind since
      `reminded_at`.
    - `brake_sent` and so on: the counts that the admin knew when the campaign was resumed after the
      circuit breaker had paused it.
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
    """A campaign's wording of one kind in one language.

    - `revision`: counts from 1; a new one is for the mails made from then on, for example after a
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
    """Return a list's newest campaign, which is the live one if there is any; None without one."""
    campaign: Campaign | None = (
        Campaign.select().where(Campaign.list == mailing_list).order_by(Campaign.id.desc()).first()
    )
    return campaign


def find_live_campaign(mailing_list: MailingList) -> Campaign | None:
    """Return a list's live campaign; None without one."""
    campaign = latest_campaign(mailing_list)
    return campaign if campaign and CampaignState(campaign.state).is_live else None


def list_newest_wordings(campaign: Campaign) -> list[CampaignWording]:
    """Return the newest wordings of a campaign, one for each kind and language."""
    rows = (
        CampaignWording.select(CampaignWording, Wording)
        .join(Wording)
        .where(CampaignWording.campaign == campaign)
        .order_by(CampaignWording.kind, CampaignWording.language, CampaignWording.revision)
    )
    return list({(row.kind, row.language): row for row in rows}.values())


class Draft(Table):
    """The saved answers about the conditions of a list's next campaign, as JSON."""

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
