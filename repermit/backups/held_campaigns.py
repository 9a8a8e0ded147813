"""What a restored database does not know, and therefore does not do by itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from peewee import fn

from repermit.backups.backup import Held
from repermit.db.background_tasks import BackgroundTask, TaskKind, targets_of
from repermit.db.models.accounts import Invitation, Session
from repermit.db.models.campaigns import Campaign
from repermit.db.models.lists import MailingList
from repermit.db.models.mails import FreshLink, Mail
from repermit.evidence import chain
from repermit.evidence.entries import Entry
from repermit.rules.consent import CampaignState, MailState, PauseReason

_LIVE = [state for state in CampaignState if state.is_live]
_UNSENT = (MailState.QUEUED, MailState.CLAIMED, MailState.STARTED)


def hold(
    *,
    launched: Mapping[str, Iterable[datetime]] | None,
    made_at: datetime,
    now: datetime,
    actor: str,
) -> Held:
    """Let nothing go on that may have gone on already since `made_at`, in the caller's transaction.

    1. Campaigns that were live pause, so that nobody is asked, and nobody removed for a silence
    that may have been broken since. 2. Whatever mail had not been sent may have been: it is in
    doubt, and a person decides. 3. Reminders that may have begun are not begun again. 4. Where a
    campaign was launched since, the mails of the next one are in doubt too: `launched` says when by
    list, as far as journals tell, and None that there is no journal, so that it may have been on
    any. 5. Whoever was logged in is no more, and one-time links that may have been used end.
    6. What was being decided about mails in doubt ends: they may have been sent again since.
    """
    live = list(Campaign.select().where(Campaign.state.in_(_LIVE)).order_by(Campaign.id))
    reminders = tuple(one.list.slug for one in live if _has_begun_to_remind(one, now))
    for campaign in live:
        _pause(campaign, now, actor)
    BackgroundTask.delete().where(BackgroundTask.kind == TaskKind.RESOLVE).execute()
    Session.delete().execute()
    Invitation.delete().execute()
    FreshLink.update(used_at=now, authority="").execute()
    return Held(
        paused=tuple(one.list.slug for one in live),
        in_doubt=_doubt(made_at),
        reminders=reminders,
        launched=_remember(_lost_launches(launched, made_at)),
    )


def _lost_launches(
    launched: Mapping[str, Iterable[datetime]] | None, made_at: datetime
) -> dict[str, datetime]:
    """Return when each list was last asked by a campaign that may have gone on unseen."""
    if launched is None:
        return {one.slug: made_at for one in MailingList.select()}
    known = {(one.list.slug, one.launched_at) for one in Campaign.select()}
    lost = {
        slug: max(unknown)
        for slug, moments in launched.items()
        if (unknown := [at for at in moments if (slug, at) not in known])
    }
    # Its asks were still being made when the backup was: those that are made yet may have left too.
    halfway = Campaign.select().where(Campaign.id.in_(targets_of(TaskKind.LAUNCH)))
    return {one.list.slug: one.launched_at for one in halfway} | lost


def _remember(lost: Mapping[str, datetime]) -> tuple[str, ...]:
    for slug, at in lost.items():
        MailingList.update(lost_launch_at=at).where(MailingList.slug == slug).execute()
    return tuple(sorted(lost))


def _doubt(made_at: datetime) -> int:
    # When a mail that was under way began is known; all others begin with the backup.
    values: dict[str, Any] = {
        "state": MailState.IN_DOUBT,
        "reason": PauseReason.RESTORED,
        "started_at": fn.COALESCE(Mail.started_at, made_at),
        "worker": "",
        "lease_until": None,
    }
    return int(Mail.update(**values).where(Mail.state.in_(_UNSENT)).execute())


def _has_begun_to_remind(campaign: Campaign, now: datetime) -> bool:
    return bool(campaign.reminder_at and campaign.reminder_at <= now and not campaign.reminded_at)


def _pause(campaign: Campaign, now: datetime, actor: str) -> None:
    if campaign.state != CampaignState.PAUSED:
        campaign.paused_from = campaign.state
        campaign.state = CampaignState.PAUSED
    # What had stopped it before has still to be looked at.
    campaign.pause_reason = campaign.pause_reason or PauseReason.RESTORED
    if _has_begun_to_remind(campaign, now):
        campaign.reminded_at = now
    campaign.save()
    chain.append(
        Entry(
            event="paused",
            at=now,
            actor=actor,
            list=campaign.list.slug,
            campaign=campaign.id,
            consent={"reason": str(PauseReason.RESTORED)},
        )
    )
