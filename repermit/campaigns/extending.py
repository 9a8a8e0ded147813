"""Moving a campaign's deadline, and saying so in the mails that are still to leave.

May import consent, contacts, messages, models and what lies below. It is one transaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from repermit import contacts, messages
from repermit.campaigns.acting import append, locked
from repermit.campaigns.pacing import LONGEST
from repermit.campaigns.wording import freeze
from repermit.consent import MailKind, MailState
from repermit.errors import Refused
from repermit.models import Campaign, CampaignWording, Mail, Wording, stored

if TYPE_CHECKING:
    from datetime import datetime

    from repermit.config import Settings
    from repermit.models import Database, MailingList

_ASKING = (MailKind.ASK, MailKind.REMINDER)
# A mail in doubt may have been read, and sent again it is the same mail.
_MADE = (MailState.STARTED, MailState.SENT, MailState.IN_DOUBT)


@dataclass(frozen=True, kw_only=True)
class Extended:
    """A deadline that was moved; `sent` mails name the earlier one, `until`."""

    deadline: datetime
    until: datetime
    sent: int
    reminder_at: datetime | None


def extend(
    database: Database,
    mailing_list: MailingList,
    *,
    deadline: datetime,
    settings: Settings,
    now: datetime,
    actor: str,
) -> Extended:
    """Move the deadline (aware) to later; raises Refused if it is not, or by more than LONGEST.

    Also after it has passed, as long as the campaign has not been closed. Mails that are made from
    now on name the new deadline, and say all else as they were frozen. A reminder that has not
    begun moves along.
    """
    with database.atomic():
        campaign = locked(mailing_list, "extend")
        earlier = campaign.deadline
        if deadline <= max(earlier, now):
            raise Refused(
                "a deadline only moves later: it is %(deadline)s",
                deadline=earlier.astimezone(settings.zone),
            )
        if deadline - LONGEST > max(earlier, now):
            raise Refused(
                "a deadline moves by a year at most, and %(deadline)s is more: is its year right?",
                deadline=deadline.astimezone(settings.zone),
            )
        campaign.deadline = deadline
        if campaign.reminder_at and not _has_reminded(campaign):
            campaign.reminder_at += deadline - earlier
        campaign.save()
        sent = contacts.total(
            contacts.count_mails(campaign=campaign),
            lambda mails: mails.kind in _ASKING and mails.state in _MADE,
        )
        facts = {
            "from": stored(earlier),
            "to": stored(deadline),
            "sent": sent,
            "reminder_at": stored(campaign.reminder_at) if campaign.reminder_at else "",
            "wordings": _freeze_anew(campaign),
        }
        append("extended", campaign, mailing_list, now=now, actor=actor, facts=facts)
    return Extended(deadline=deadline, until=earlier, sent=sent, reminder_at=campaign.reminder_at)


def _has_reminded(campaign: Campaign) -> bool:
    owed = Mail.select().where(Mail.campaign == campaign, Mail.kind == MailKind.REMINDER)
    return bool(campaign.reminded_at or owed.exists())


def _freeze_anew(campaign: Campaign) -> dict[str, dict[str, str]]:
    """Store the newest wordings with the new deadline; return the digests by kind and language."""
    digests: dict[str, dict[str, str]] = {}
    for row in _newest(campaign):
        wording = messages.redated(messages.read_draft(row.wording.content), campaign.deadline)
        digest = freeze(campaign, wording, revision=row.revision + 1)
        digests.setdefault(row.kind, {})[row.language] = digest
    return digests


def _newest(campaign: Campaign) -> list[CampaignWording]:
    rows = (
        CampaignWording.select(CampaignWording, Wording)
        .join(Wording)
        .where(CampaignWording.campaign == campaign)
        .order_by(CampaignWording.kind, CampaignWording.language, CampaignWording.revision)
    )
    return list({(row.kind, row.language): row for row in rows}.values())
