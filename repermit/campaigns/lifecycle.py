"""What the admin does to a campaign that is under way: pause, resume, cancel.

Each act is one transaction; the mails that it makes due or drops follow in steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from repermit.campaigns.preview import freeze_wording, keep_page_wordings, make_page_wordings
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

# --- What every act on a campaign begins and ends with. -------------------------------------------


def lock_campaign(mailing_list: MailingList, act: str) -> Campaign:
    """Return the latest campaign, locked, if its state allows the act.

    While its asks are made there is one act, to cancel it; nothing is left to be made then.
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
    facts: Mapping[str, Any] | None = None,
) -> None:
    """Append what an admin did to a campaign; the last step of the act's transaction."""
    chain.append(
        Entry(
            event=event,
            at=now,
            actor=actor,
            list=mailing_list.slug,
            campaign=campaign.id,
            consent=facts or {},
        )
    )


# --- What the admin does to a campaign that is under way. -----------------------------------------


@dataclass(frozen=True, kw_only=True)
class ResumeResult:
    """A campaign that goes on; `let_go` asks had waited for the end of its pilot.

    `last_ask_at` is when the rates let the last ask out, if nothing holds it up.
    """

    state: CampaignState
    let_go: int
    last_ask_at: datetime
    deadline: datetime


def pause_campaign(
    database: Database, mailing_list: MailingList, *, now: datetime, actor: str
) -> None:
    """Stop asks, reminders and expiry; answers and confirmations go on."""
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
    most: int | None = None,
) -> ResumeResult:
    """Go back to where the pause came from; raises Refused if the deadline has passed.

    After a pilot the others' asks are due from now on; refused too if, at the rates, the last of
    them would be too late to have time to answer. They are made due after the act itself, in steps
    as `cancel` has, and `most` is the same. What made the campaign pause by itself does not do so
    again: only what comes on top of it.

    When the last ask leaves is worked out before the act: where domains have a rate, that takes
    long among many. Nothing of a campaign that is paused is sent meanwhile.
    """
    latest = latest_campaign(mailing_list)
    last_ask_at = predict_last_ask(latest, settings=settings, now=now) if latest else now
    with database.atomic():
        campaign = lock_campaign(mailing_list, "resume")
        if campaign.deadline <= now:
            raise Refused(
                "the deadline has passed meanwhile; give people time to answer first: "
                "`repermit extend %(list)s --deadline …`",
                code="resume_passed",
                list=mailing_list.slug,
            )
        facts: dict[str, Any] = {}
        if campaign.pause_reason:
            facts["after"] = campaign.pause_reason
            facts |= circuit_breaker.reset_circuit_breaker(campaign)
        let_go = circuit_breaker.end_pilot(campaign)
        if let_go:
            _refuse_too_late(campaign, mailing_list.slug, settings, now, last_ask_at)
            facts["let_go"] = let_go
        campaign.state = campaign.paused_from
        campaign.paused_from = campaign.pause_reason = ""
        campaign.save()
        append_entry("resumed", campaign, mailing_list, now=now, actor=actor, facts=facts)
    if let_go:
        with foreground_lock(database, JobKind.END_PILOT):
            run_steps(
                database,
                lambda limit: (
                    circuit_breaker.release_pilot_asks(campaign, now=now, max_rows=limit) > 0
                ),
                max_rows=most,
            )
    return ResumeResult(
        state=CampaignState(campaign.state),
        let_go=let_go,
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
            "answer, and would not be asked any more; give them time first: "
            "`repermit extend %(list)s --deadline …`",
            code="pilot_too_near",
            days=campaign.minimum_days,
            list=slug,
        )
    if last_ask_at > latest:
        earliest = last_ask_at + timedelta(days=campaign.minimum_days)
        raise Refused(
            "the mails leave too slowly: at the rates under [mail] the last of those who wait for "
            "the end of the pilot is asked on %(last)s, and would have less than %(days)s days to "
            "answer; the deadline must be later than %(earliest)s: "
            "`repermit extend %(list)s --deadline …`",
            code="pilot_too_slow",
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
    most: int | None = None,
) -> None:
    """End a campaign: what is unsent is dropped, nobody is removed, links still answer.

    From the first transaction on no mail can start any more. The unsent are dropped after it, in
    steps that let others write in between, and about `most` of them at most if given; what is left,
    also by a kill, is dropped by the sweep that looks after campaigns.
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
        facts = {"dropped": unsent}
        append_entry("cancelled", campaign, mailing_list, now=now, actor=actor, facts=facts)
    with foreground_lock(database, JobKind.DROP_MAILS):
        run_steps(
            database,
            lambda limit: (
                status_changes.drop_queued(campaign, Dropped.CANCELLED, max_rows=limit) > 0
            ),
            max_rows=most,
        )


def start_scheduled(database: Database, *, now: datetime) -> int:
    """Let the campaigns whose time has come begin; return how many there were.

    Not those whose asks are still being made.
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


# --- Moving a campaign's deadline, and saying so in the mails that are still to leave. ------------


@dataclass(frozen=True, kw_only=True)
class ExtendResult:
    """A deadline that was moved; `sent` mails name the earlier one, `until`."""

    deadline: datetime
    until: datetime
    sent: int
    reminder_at: datetime | None


LONGEST_NOTE = 500
"""How many characters may say why a deadline is moved: each proof carries them."""


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
    """Move the deadline (aware) to later, by LONGEST_PERIOD at most; raises Refused.

    Also after it has passed, as long as the campaign has not been closed. Mails that are made from
    now on name the new deadline, and say all else as they were frozen. A reminder that has not
    begun moves along. `make_page_wording` is as for a launch. `note` is why, for everybody to see:
    it stands in the proofs of whoever was asked.
    """
    reason = " ".join(note.split())
    if len(reason) > LONGEST_NOTE:
        raise Refused("say why in at most %(most)s characters", most=str(LONGEST_NOTE))
    while True:
        latest = latest_campaign(mailing_list)
        # Before the lock is taken: in two dozen languages this takes a tenth of a second.
        reworded = list(_reword_mails(latest, deadline)) if latest else []
        pages = make_page_wordings([draft for _, draft in reworded], make_page_wording)
        with database.atomic():
            campaign = lock_campaign(mailing_list, "extend")
            if list_newest_wordings(campaign) != [row for row, _ in reworded]:
                continue
            earlier = campaign.deadline
            _refuse_deadline(deadline, earlier, now=now, settings=settings)
            campaign.deadline = deadline
            if campaign.reminder_at and not _has_reminded(campaign):
                campaign.reminder_at += deadline - earlier
            campaign.save()
            sent = counts.sum_mails(
                counts.count_mails(campaign=campaign),
                lambda mails: mails.kind in ASKING_KINDS and mails.state in POSSIBLY_SENT,
            )
            reminder_at = campaign.reminder_at
            facts = {
                "from": format_timestamp(earlier),
                "to": format_timestamp(deadline),
                "sent": sent,
                "reminder_at": format_timestamp(reminder_at) if reminder_at else "",
                "wordings": _refreeze_wordings(campaign, reworded),
                **keep_page_wordings(pages),
            }
            if reason:
                facts["note"] = reason
            append_entry("extended", campaign, mailing_list, now=now, actor=actor, facts=facts)
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
    """Yield the newest wordings of a campaign, each with what it says of another deadline."""
    for row in list_newest_wordings(campaign):
        draft = frozen_draft.read_draft(row.wording.content)
        yield row, replace_deadline.replace_deadline(draft, deadline)
