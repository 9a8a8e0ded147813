"""What makes a campaign pause by itself: bounces, complaints, and the end of its pilot.

May import evidence, models and what lies below.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from peewee import SQL, fn

from repermit import evidence
from repermit.consent import BounceKind, CampaignState, MailKind, MailState, PauseReason, brake
from repermit.evidence import Entry
from repermit.models import Campaign, Mail, lock_rows

if TYPE_CHECKING:
    from repermit.models import Database

AFTER_PILOT = datetime(9999, 1, 1, tzinfo=UTC)
"""When an ask is due that waits for the end of a pilot; `resume` gives it its real moment."""

_RUNNING = (CampaignState.SENDING, CampaignState.OPEN)
_BRAKES = (PauseReason.BOUNCES, PauseReason.COMPLAINT)
_ASKING = (MailKind.ASK, MailKind.REMINDER)
_UNDERWAY = (MailState.CLAIMED, MailState.STARTED)
# What a server says of the mail or its reader, not of itself or of the sender.
_REFUSED_FOR = ("recipient", "message")


@dataclass(frozen=True, kw_only=True)
class Tally:
    """What has become of a campaign's asks and reminders; `sent` counts the refused ones too."""

    sent: int
    bounced: int
    complaints: int


def tally(campaign: Campaign) -> Tally:
    """Count what the brake looks at, since the launch."""
    came_back = {str(kind): count for kind, count in _came_back(campaign)}
    refused = _count(campaign, MailState.FAILED, Mail.reason.in_(_REFUSED_FOR))
    return Tally(
        sent=_count(campaign, MailState.SENT) + refused,
        bounced=came_back.get(BounceKind.HARD, 0) + refused,
        complaints=came_back.get(BounceKind.COMPLAINT, 0),
    )


def apply_brake(campaign_id: int, *, percent: int, now: datetime) -> PauseReason | None:
    """Pause a campaign that has too many bounces or any complaint; return why, or None.

    What the admin knew of at the last `resume` after such a pause is not counted again, and after
    the deadline nothing is left to stop. Must be called in a transaction of its own, after the one
    that wrote the bounce down: it locks the campaign, which comes before the contacts.
    """
    campaign = _locked(campaign_id)
    if now >= campaign.deadline:
        return None
    found = tally(campaign)
    why = brake(
        found.sent - campaign.brake_sent,
        found.bounced - campaign.brake_bounced,
        found.complaints - campaign.brake_complaints,
        percent=percent,
    )
    if why and _pause(campaign, why, now, vars(found)):
        return why
    return None


def pause_by_itself(campaign_id: int, reason: PauseReason, *, now: datetime) -> bool:
    """Pause a campaign for a reason that the admin is told by mail; False if it was not to be.

    A campaign that is paused already stays so, but a brake takes the place of another reason, so
    that nobody lets it go on without knowing. Must be called inside the caller's transaction.
    """
    return _pause(_locked(campaign_id), reason, now, {})


def finish_pilots(database: Database, *, now: datetime) -> int:
    """Pause the campaigns whose pilot is through; return how many there were."""
    finished = 0
    for campaign in Campaign.select().where(
        Campaign.pilot > 0, Campaign.state == CampaignState.SENDING
    ):
        if _is_pilot_under_way(campaign):
            continue
        with database.atomic():
            finished += pause_by_itself(campaign.id, PauseReason.PILOT, now=now)
    return finished


def release_brake(campaign: Campaign) -> dict[str, int]:
    """Note on a campaign (not saved) what the admin knows of who lets it go on; return the counts.

    Nothing if it was not a brake that stopped it.
    """
    if campaign.pause_reason not in _BRAKES:
        return {}
    found = tally(campaign)
    campaign.brake_sent = found.sent
    campaign.brake_bounced = found.bounced
    campaign.brake_complaints = found.complaints
    return dict(vars(found))


def end_pilot(campaign: Campaign, *, now: datetime) -> int:
    """Make the asks due that wait for the end of a pilot (not saved); return how many.

    None while the pilot is still under way, as when the admin had paused in the middle of it.
    """
    is_through = campaign.pause_reason == PauseReason.PILOT or not _is_pilot_under_way(campaign)
    if not campaign.pilot or not is_through:
        return 0
    campaign.pilot = 0
    let_go = (
        Mail.update(due_at=now)
        .where(
            Mail.campaign == campaign,
            Mail.kind == MailKind.ASK,
            Mail.state == MailState.QUEUED,
            Mail.due_at == AFTER_PILOT,
        )
        .execute()
    )
    return int(let_go)


def _locked(campaign_id: int) -> Campaign:
    found: Campaign = lock_rows(Campaign.select().where(Campaign.id == campaign_id)).get()
    return found


def _pause(campaign: Campaign, reason: PauseReason, now: datetime, counts: dict[str, int]) -> bool:
    if campaign.state in _RUNNING:
        campaign.paused_from = campaign.state
        campaign.state = CampaignState.PAUSED
    elif campaign.state != CampaignState.PAUSED or not _outweighs(reason, campaign.pause_reason):
        return False
    campaign.pause_reason = reason
    campaign.save()
    Mail.create(
        list=campaign.list_id,
        campaign=campaign,
        kind=MailKind.NOTICE,
        topic=f"paused_{reason}",
        due_at=now,
        message_id="",
    )
    evidence.append(
        Entry(
            event="paused",
            at=now,
            actor="job",
            list=campaign.list.slug,
            campaign=campaign.id,
            consent={"reason": str(reason), **counts},
        )
    )
    return True


def _outweighs(reason: PauseReason, present: str) -> bool:
    return reason in _BRAKES and present not in _BRAKES


def _count(campaign: Campaign, state: MailState, *conditions: Any) -> int:
    found = Mail.select().where(
        Mail.campaign == campaign, Mail.kind.in_(_ASKING), Mail.state == state, *conditions
    )
    return int(found.count())


def _came_back(campaign: Campaign) -> Any:
    return (
        Mail.select(Mail.bounce, fn.COUNT(Mail.id))
        # The second is written out, so that the index for just these mails is used.
        .where(Mail.campaign == campaign, SQL("bounce <> ''"), Mail.kind.in_(_ASKING))
        .group_by(Mail.bounce)
        .tuples()
    )


def _is_pilot_under_way(campaign: Campaign) -> bool:
    """Say whether an ask that did not wait for the pilot has still to be settled."""
    asks = Mail.select().where(Mail.campaign == campaign, Mail.kind == MailKind.ASK)
    on_its_way = asks.where(Mail.state.in_(_UNDERWAY))
    yet_to_go = asks.where(Mail.state == MailState.QUEUED, Mail.due_at < AFTER_PILOT)
    return bool(on_its_way.exists() or yet_to_go.exists())
