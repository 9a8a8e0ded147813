"""The admin's acts on a running campaign: pause, resume, cancel, extend.

Each act is one transaction; the mails that it releases or drops follow in steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from repermit.campaigns.preview import freeze_wording, make_page_wordings, store_page_wordings
from repermit.campaigns.send_plan import predict_last_ask, to_local_time
from repermit.clock import format_timestamp
from repermit.contacts import circuit_breaker, counts, status_changes
from repermit.db.background_tasks import (
    JobKind,
    TaskKind,
    foreground_lock,
    lock_task,
    select_targets,
)
from repermit.db.connection import Database, lock_rows
from repermit.db.models.campaigns import (
    Campaign,
    CampaignWording,
    latest_campaign,
    list_newest_wordings,
)
from repermit.db.models.lists import MailingList
from repermit.db.models.mails import Mail
from repermit.db.work_steps import run_steps
from repermit.emails import frozen_draft, replace_deadline
from repermit.emails.frozen_draft import Draft
from repermit.errors import NotFound, Refused
from repermit.evidence import chain
from repermit.evidence.entries import Entry
from repermit.rules.consent import (
    ASKING_KINDS,
    NOT_STARTED,
    POSSIBLY_SENT,
    CampaignState,
    Dropped,
    MailKind,
    require_campaign,
)
from repermit.rules.deadlines_and_reminders import MAX_PERIOD, latest_ask
from repermit.settings.definitions import Settings

# --- The first and the last step of every act. ----------------------------------------------------


def lock_campaign(mailing_list: MailingList, act: str) -> Campaign:
    """Return the latest campaign, locked, if its state allows the act; otherwise raise Refused.

    While its asks are being enqueued it can only be cancelled, which deletes that task.
    """
    latest = latest_campaign(mailing_list)
    if latest is None:
        raise NotFound("there is no campaign on %(list)s", list=mailing_list.slug)
    # Locked in the order of a step of the launch: the task first.
    launch = lock_task(TaskKind.LAUNCH, latest.id)
    campaign: Campaign = lock_rows(Campaign.select().where(Campaign.id == latest.id)).get()
    require_campaign(CampaignState(campaign.state), act)
    if launch is not None:
        if act != "cancel":
            raise Refused(
                "the mails of this campaign are still being made ready; wait until they are"
            )
        launch.delete_instance()
    return campaign


def append_entry(
    event: str,
    campaign: Campaign,
    mailing_list: MailingList,
    *,
    now: datetime,
    actor: str,
    content: Mapping[str, Any] | None = None,
) -> None:
    """Append the entry of an admin's act on a campaign; the last step of its transaction."""
    chain.append(
        Entry(
            event=event,
            at=now,
            actor=actor,
            list=mailing_list.slug,
            campaign=campaign.id,
            consent=content or {},
        )
    )


# --- Pausing, resuming, cancelling and starting a campaign. ---------------------------------------


@dataclass(frozen=True, kw_only=True)
class ResumeResult:
    """A resumed campaign.

    - `let_go`: how many asks waited for the end of its pilot.
    - `last_ask_at`: when the last ask is sent at the configured rates, if nothing delays it.
    """

    state: CampaignState
    let_go: int
    last_ask_at: datetime
    deadline: datetime


def pause_campaign(
    database: Database, mailing_list: MailingList, *, now: datetime, actor: str
) -> None:
    """Stop asks, reminders and expiry; answers and confirmations still work."""
    with database.atomic():
        campaign = lock_campaign(mailing_list, "pause")
        campaign.paused_from = campaign.state
        campaign.state = CampaignState.PAUSED
        campaign.save()
        append_entry("paused", campaign, mailing_list, now=now, actor=actor)


def resume_campaign(
    database: Database,
    mailing_list: MailingList,
    *,
    settings: Settings,
    now: datetime,
    actor: str,
    max_rows: int | None = None,
) -> ResumeResult:
    """Return a campaign to its state before the pause; raises Refused if the deadline has passed.

    After a pilot the other asks become due now. It is refused too if, at the configured rates, the
    last contact asked would have too little time to answer. The asks are released after the act's
    transaction, in steps, as in `cancel_campaign`; `max_rows` is the same. Bounces and complaints
    that caused an automatic pause are not counted again.

    The time of the last ask is predicted before the transaction, since that takes long with rates
    by domain. A paused campaign sends nothing meanwhile.
    """
    latest = latest_campaign(mailing_list)
    last_ask_at = predict_last_ask(latest, settings=settings, now=now) if latest else now
    with database.atomic():
        campaign = lock_campaign(mailing_list, "resume")
        if campaign.deadline <= now:
            raise Refused(
                "the deadline has passed meanwhile: give people time to answer first, by a later "
                "deadline",
                cli=": `repermit extend %(list)s --deadline …`",
                list=mailing_list.slug,
            )
        content: dict[str, Any] = {}
        if campaign.pause_reason:
            content["after"] = campaign.pause_reason
            content |= circuit_breaker.reset_circuit_breaker(campaign)
        released = circuit_breaker.end_pilot(campaign)
        if released:
            _refuse_too_late(campaign, mailing_list.slug, settings, now, last_ask_at)
            content["let_go"] = released
        campaign.state = campaign.paused_from
        campaign.paused_from = campaign.pause_reason = ""
        campaign.save()
        append_entry("resumed", campaign, mailing_list, now=now, actor=actor, content=content)
    if released:
        with foreground_lock(database, JobKind.END_PILOT):
            run_steps(
                database,
                lambda limit: (
                    circuit_breaker.release_pilot_asks(campaign, now=now, max_rows=limit) > 0
                ),
                max_rows=max_rows,
            )
    return ResumeResult(
        state=CampaignState(campaign.state),
        let_go=released,
        last_ask_at=last_ask_at,
        deadline=campaign.deadline,
    )


def _refuse_too_late(
    campaign: Campaign, slug: str, settings: Settings, now: datetime, last_ask_at: datetime
) -> None:
    latest = latest_ask(campaign.deadline, campaign.minimum_days)
    if now > latest:
        raise Refused(
            "those who wait for the end of the pilot would have less than %(days)s days to "
            "answer, and would not be asked any more: give them time first, by a later deadline",
            cli=": `repermit extend %(list)s --deadline …`",
            days=campaign.minimum_days,
            list=slug,
        )
    if last_ask_at > latest:
        earliest = last_ask_at + timedelta(days=campaign.minimum_days)
        raise Refused(
            "the mails leave too slowly: the last of those who wait for the end of the pilot "
            "would be asked on %(last)s, and have less than %(days)s days to answer; the deadline "
            "must be later than %(earliest)s",
            cli=": `repermit extend %(list)s --deadline …` (the rates stand under [mail])",
            last=to_local_time(last_ask_at, settings),
            days=campaign.minimum_days,
            earliest=to_local_time(earliest, settings),
            list=slug,
        )


def cancel_campaign(
    database: Database,
    mailing_list: MailingList,
    *,
    now: datetime,
    actor: str,
    max_rows: int | None = None,
) -> None:
    """End a campaign: unsent mails are dropped, nobody is removed, links still answer.

    After the first transaction no mail can start. The unsent ones are dropped after it, in steps.

    - `max_rows`: drop about so many at most, if given. A background job drops the others, also
      after a kill.
    """
    with database.atomic():
        campaign = lock_campaign(mailing_list, "cancel")
        campaign.state = CampaignState.CANCELLED
        campaign.closed_at = now
        campaign.save()
        unsent = counts.sum_mails(
            counts.count_mails(campaign=campaign),
            lambda mails: mails.kind in ASKING_KINDS and mails.state in NOT_STARTED,
        )
        content = {"dropped": unsent}
        append_entry("cancelled", campaign, mailing_list, now=now, actor=actor, content=content)
    with foreground_lock(database, JobKind.DROP_MAILS):
        run_steps(
            database,
            lambda limit: (
                status_changes.drop_queued(campaign, Dropped.CANCELLED, max_rows=limit) > 0
            ),
            max_rows=max_rows,
        )


def start_scheduled(database: Database, *, now: datetime) -> int:
    """Start the scheduled campaigns that are due; return how many.

    Campaigns whose asks are still being enqueued are left out.
    """
    is_due = (
        Campaign.state == CampaignState.SCHEDULED,
        Campaign.starts_at <= now,
        Campaign.id.not_in(select_targets(TaskKind.LAUNCH)),
    )
    if not Campaign.select().where(*is_due).exists():
        return 0
    with database.atomic():
        return int(Campaign.update(state=CampaignState.SENDING).where(*is_due).execute())


# --- Moving a campaign's deadline, also in the mails that are not sent yet. -----------------------


@dataclass(frozen=True, kw_only=True)
class ExtendResult:
    """The result of moving a deadline; `sent` mails name the earlier one, `until`."""

    deadline: datetime
    until: datetime
    sent: int
    reminder_at: datetime | None


MAX_NOTE_LENGTH = 500
"""The most characters of the note on a moved deadline, since each proof contains it."""


def extend_campaign(
    database: Database,
    mailing_list: MailingList,
    *,
    deadline: datetime,
    settings: Settings,
    now: datetime,
    actor: str,
    note: str = "",
    make_page_wording: Callable[[Draft], str] | None = None,
) -> ExtendResult:
    """Move the deadline (an aware datetime) to later, by MAX_PERIOD at most; raises Refused.

    It may have passed already, as long as the campaign is not closed. Mails that are composed from
    now on name the new deadline; their wording is otherwise unchanged. A reminder that has not
    begun is moved by the same time.

    - `note`: the reason, which everybody can read: it is in the proofs of all who were asked.
    - `make_page_wording`: as for a launch.
    """
    reason = " ".join(note.split())
    if len(reason) > MAX_NOTE_LENGTH:
        raise Refused("say why in at most %(most)s characters", most=str(MAX_NOTE_LENGTH))
    while True:
        latest = latest_campaign(mailing_list)
        # Before taking the lock: in two dozen languages this takes a tenth of a second.
        reworded = list(_reword_mails(latest, deadline)) if latest else []
        pages = make_page_wordings([draft for _, draft in reworded], make_page_wording)
        with database.atomic():
            campaign = lock_campaign(mailing_list, "extend")
            if list_newest_wordings(campaign) != [row for row, _ in reworded]:
                continue
            earlier = campaign.deadline
            _refuse_deadline(deadline, earlier, now=now, settings=settings)
            campaign.deadline = deadline
            downtime = campaign.downtime
            if deadline - max(earlier, now) >= timedelta(seconds=downtime):
                # People get the time back in which they could not reach the pages.
                campaign.downtime = 0
            if campaign.reminder_at and not _has_reminded(campaign):
                campaign.reminder_at += deadline - earlier
            campaign.save()
            sent = counts.sum_mails(
                counts.count_mails(campaign=campaign),
                lambda mails: mails.kind in ASKING_KINDS and mails.state in POSSIBLY_SENT,
            )
            reminder_at = campaign.reminder_at
            content = {
                "from": format_timestamp(earlier),
                "to": format_timestamp(deadline),
                "sent": sent,
                "reminder_at": format_timestamp(reminder_at) if reminder_at else "",
                "wordings": _refreeze_wordings(campaign, reworded),
                **store_page_wordings(pages),
            }
            if reason:
                content["note"] = reason
            if downtime and not campaign.downtime:
                content["downtime"] = downtime
            append_entry("extended", campaign, mailing_list, now=now, actor=actor, content=content)
        return ExtendResult(deadline=deadline, until=earlier, sent=sent, reminder_at=reminder_at)


def _refuse_deadline(
    deadline: datetime, earlier: datetime, *, now: datetime, settings: Settings
) -> None:
    if deadline <= max(earlier, now):
        raise Refused(
            "a deadline only moves later: it is %(deadline)s",
            deadline=earlier.astimezone(settings.zone),
        )
    if deadline - MAX_PERIOD > max(earlier, now):
        raise Refused(
            "a deadline moves by a year at most, and %(deadline)s is more: is its year right?",
            deadline=deadline.astimezone(settings.zone),
        )


def _has_reminded(campaign: Campaign) -> bool:
    reminders = Mail.select().where(Mail.campaign == campaign, Mail.kind == MailKind.REMINDER)
    return bool(campaign.reminded_at or reminders.exists())


def _refreeze_wordings(
    campaign: Campaign, reworded: Iterable[tuple[CampaignWording, Draft]]
) -> dict[str, dict[str, str]]:
    """Store the newest wordings with the new deadline; return the digests by kind and language."""
    digests: dict[str, dict[str, str]] = {}
    for row, draft in reworded:
        digest = freeze_wording(campaign, draft, revision=row.revision + 1)
        digests.setdefault(row.kind, {})[row.language] = digest
    return digests


def _reword_mails(
    campaign: Campaign, deadline: datetime
) -> Iterator[tuple[CampaignWording, Draft]]:
    """Yield the newest wordings of a campaign, each with its draft for another deadline."""
    for row in list_newest_wordings(campaign):
        draft = frozen_draft.read_draft(row.wording.content)
        yield row, replace_deadline.replace_deadline(draft, deadline)
