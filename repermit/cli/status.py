"""Commands that follow a campaign, and do by hand what the jobs do: status, send, expire."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING

import click

from repermit.cli import progress_bar
from repermit.cli.bounce import say_replies
from repermit.cli.command import any_slug_argument, command, json_option, slug_argument
from repermit.cli.context import CommandContext, pass_house
from repermit.cli.forget import due_in_words
from repermit.cli.mailing_list import otherwise_in_words
from repermit.cli.output import say, say_json, say_table, several, tell_counts, warn
from repermit.cli.proof import say_checkpoint
from repermit.errors import Refused

if TYPE_CHECKING:
    from repermit.campaigns.campaign_results import CampaignFacts, CampaignProgress, CampaignStatus
    from repermit.cli.output import Tell
    from repermit.db.connection import Database
    from repermit.db.models.lists import MailingList
    from repermit.expiry.forecast import UpcomingExpiry
    from repermit.sending.in_doubt import Resolution
    from repermit.sending.send_due import SendResult
    from repermit.sending.server_faults import ServerFault
    from repermit.sending.worker_lock import StopRequest


@command(
    examples=("repermit status news", "repermit status news --watch", "repermit status news --json")
)
@slug_argument
@click.option("--watch", is_flag=True, help="First follow it until it is over, or until Ctrl-C.")
@json_option
@pass_house
def status(house: CommandContext, slug: str, *, watch: bool, as_json: bool) -> None:
    """Show how a list and its campaign stand.

    --watch shows on stderr how far the mails are, and at its end what this command shows anyhow.
    """
    from repermit.campaigns import list_translations, progress
    from repermit.contacts import human_replies
    from repermit.imports import undo
    from repermit.sending import in_doubt, server_faults

    with house.mailing_list(slug) as (_, mailing_list):
        if watch:
            _watch(house, mailing_list)
        found = progress.read_status(mailing_list, settings=house.settings, now=house.now)
        replies = human_replies.waiting_replies(mailing_list)
        fault = server_faults.read_last_fault()
        put_off = server_faults.count_policy_refusals(mailing_list)
        erasures = tuple(due_in_words(house, mailing_list))
        otherwise = list_translations.count_untranslated(mailing_list)
        coming = undo.unfinished_import(mailing_list)
        resolving = in_doubt.find_resolution(mailing_list)
    if as_json:
        say_json(found.to_json())
    else:
        _say_status(house, found, fault)
        if coming is not None:
            say(
                f"{coming.file} is being taken in: {coming.done:,} of {coming.addresses:,} "
                "addresses so far. Nobody whom it brings is counted here, or asked, before all are."
            )
        say(*_being_resolved(resolving))
        say(*otherwise_in_words(otherwise, slug))
        say(*_put_off(put_off))
        say_replies(house, slug, replies)
        say(*erasures)


# At most so much of the time goes into looking, however many mails there are.
_LOOKING = 0.05
_LOOK_SECONDS = 1.0


def _watch(house: CommandContext, mailing_list: MailingList) -> None:
    from repermit.campaigns import progress
    from repermit.sending.worker_lock import StopRequest

    found = progress.read_progress(mailing_list)
    stopping = StopRequest()
    with (
        stopping.on_signals(),
        progress_bar.shown(lambda: _standing(found), interval=house.settings.mail.interval),
    ):
        took = 0.0
        while found and found.state.is_live:
            if stopping.wait(max(_LOOK_SECONDS, took / _LOOKING)):
                break
            began = time.monotonic()
            found = progress.read_progress(mailing_list)
            took = time.monotonic() - began


def _standing(found: CampaignProgress | None) -> progress_bar.Standing:
    from repermit.rules.consent import CampaignState, MailState

    if found is None:
        return progress_bar.Standing(0, word="no campaign yet")
    return progress_bar.Standing(
        sum(found.mails.values()),
        sent=found.mails[MailState.SENT],
        failed=found.mails[MailState.FAILED],
        otherwise=found.mails[MailState.DROPPED] + found.mails[MailState.IN_DOUBT],
        word="" if found.state is CampaignState.SENDING else str(found.state),
    )


def _say_status(house: CommandContext, found: CampaignStatus, fault: ServerFault | None) -> None:
    if found.campaign is None:
        say(f"{found.list}: no campaign yet.")
    else:
        _say_campaign(house, found.list, found.campaign, fault)
    say("", "Contacts:")
    tell_counts(found.contacts, zeros=True)
    if any(found.removed.values()):
        say("", "Removed, by reason:")
        tell_counts(found.removed)
    for kind, states in found.mails.items():
        if any(states.values()):
            say("", f"Mails of kind {kind}:")
            tell_counts(states)
    say("", "Checkpoint of the record, for `repermit verify --checkpoint`; keep it elsewhere:")
    say_checkpoint(found.checkpoint)
    if found.unasked:
        see = f"`repermit export {found.list} unasked`"
        say("", f"Could not be asked{_in_doubt(found)}; see {see}.")
    if found.held:
        say(
            "",
            f"Held: {found.held:,}. Their Yes looks like a program's and waits for one press more;",
            "at the deadline they count as silent.",
        )
    if found.still_mailed:
        say(
            "",
            f"Still mailed: {found.still_mailed:,}. People of whom nothing is held here pressed",
            "unsubscribe in a mail. If it came from another tool, `repermit reconcile` finds them.",
        )
    if found.in_doubt:
        _say_doubts(house, found)
    if found.lost_launch_at:
        say(
            "",
            f"A campaign was launched on this list, or may have been, "
            f"on {house.in_words(found.lost_launch_at)}.",
            "The database knows nothing of it since it was restored; the mails of the next one are",
            "all in doubt at first.",
        )


def _in_doubt(found: CampaignStatus) -> str:
    """Return how many were not asked, and how many of them may have been."""
    if not (doubts := found.unasked_in_doubt):
        return f": {found.unasked:,}"
    told = "1 is in doubt" if doubts == 1 else f"{doubts:,} are in doubt"
    return f", as far as is known: {found.unasked:,}, of whom {told} and may have been"


def _say_campaign(
    house: CommandContext, slug: str, campaign: CampaignFacts, fault: ServerFault | None
) -> None:
    say(f"{slug}: the campaign is {campaign.state}.")
    facts = {
        "asked": f"{campaign.asked:,}, in {', '.join(campaign.languages)}",
        "launched": house.in_words(campaign.launched_at),
        "deadline": house.in_words(campaign.deadline),
    }
    if campaign.pilot:
        facts["pilot"] = f"{campaign.pilot:,} first, the others wait for `repermit resume {slug}`"
    if campaign.reminder_at:
        facts["reminder"] = house.in_words(campaign.reminder_at)
    width = max(map(len, facts))
    for name, value in facts.items():
        say(f"  {name:<{width}}  {value}")
    say(*_next_steps(house, slug, campaign), *_what_stands_in_the_way(house, campaign, fault))


def _what_stands_in_the_way(
    house: CommandContext, campaign: CampaignFacts, fault: ServerFault | None
) -> Iterator[str]:
    """Yield why the mails of a campaign that is sending wait."""
    from repermit.rules.consent import CampaignState

    if fault and campaign.state is CampaignState.SENDING:
        yield (
            f"Sending waits since {house.in_words(fault.since)}: {fault.reason}. It is tried again "
            "by itself, and nobody is taken off for it."
        )


def _next_steps(house: CommandContext, slug: str, campaign: CampaignFacts) -> Iterator[str]:
    """Yield what the admin may be waiting for, or has to do."""
    from repermit.rules.consent import CampaignState

    if campaign.state is CampaignState.SCHEDULED:
        yield f"The asking begins on {house.in_words(campaign.starts_at)}."
    if campaign.pause_reason:
        yield _PAUSED_FOR[campaign.pause_reason]
    if campaign.state is CampaignState.PAUSED:
        yield f"Nobody is asked or removed until `repermit resume {slug}`; answers still count."
    if campaign.state.is_live and campaign.deadline <= house.now:
        yield (
            f"The deadline has passed: `repermit expire {slug}`, which `serve` does by itself, "
            "takes off who did not answer."
        )


_PAUSED_FOR = {
    "pilot": "It paused by itself: the pilot has been asked. Look at what comes of it, then go on.",
    "bounces": (
        "It paused by itself: too many mails were refused or came back. Look at where these "
        "addresses came from before you go on."
    ),
    "complaint": (
        "It paused by itself: somebody reported a mail as unwanted. Look at whether these people "
        "can know who you are before you go on."
    ),
    "restored": (
        "It was paused when the database was restored: answers that came after the backup are "
        "lost. Give people time to answer again with `repermit extend` before you go on."
    ),
}


def _put_off(counts: Mapping[str, int]) -> Iterator[str]:
    """Yield what is to be known of mails that a policy stands against."""
    if counts:
        codes = ", ".join(counts)
        yield ""
        yield (
            f"Refused for a policy, of the mail server's or of the recipients': "
            f"{several(sum(counts.values()), 'mail')} ({codes}). They are offered again every four "
            "hours, as long as there is time; nobody is taken off for it."
        )


def _being_resolved(resolving: Resolution | None) -> Iterator[str]:
    """Yield how far a decision on mails in doubt is."""
    if resolving is not None:
        became = "sent again" if resolving.resend else "counted as failed"
        yield ""
        yield (
            f"It is decided that mails in doubt are {became}: "
            f"{several(resolving.remaining, 'mail')} to go. "
            "`serve` and `worker` do so by themselves."
        )


def _say_doubts(house: CommandContext, found: CampaignStatus) -> None:
    say("", "In doubt: the mail server may or may not have taken these. Look at its log, then:")
    say(f"`repermit resolve {found.list} --resend` or `--leave`.")
    restored = [doubt for doubt in found.in_doubt if doubt.is_restored]
    if restored:
        say(
            f"Of {several(len(restored), 'mail')} the database was restored to before they may "
            f"have left, after {house.in_words(restored[0].started_at)}."
        )
    if len(restored) < len(found.in_doubt):
        _say_broken_off(house, found)


def _say_broken_off(house: CommandContext, found: CampaignStatus) -> None:
    say_table(
        ("mail", "kind", "address", "started", "attempts"),
        (
            (
                doubt.mail,
                str(doubt.kind),
                doubt.address,
                house.in_words(doubt.started_at),
                doubt.attempts,
            )
            for doubt in found.in_doubt
            if not doubt.is_restored
        ),
    )


@command(examples=("repermit send", "repermit send news"))
@any_slug_argument
@pass_house
def send(house: CommandContext, slug: str | None) -> int:
    """Send what is due now, then return.

    `serve` does this by itself. With Ctrl-C the mails on the wire are finished, the rest stays
    queued, and the exit code is 130; a second one does not wait.
    """
    from repermit.db.models.lists import find_list
    from repermit.sending.worker_lock import StopRequest

    stopping = StopRequest()
    with house.database() as database:
        result = send_now(house, database, find_list(slug) if slug else None, stopping=stopping)
    if result.server_fault and not result.sent:
        raise Refused(f"{result.server_fault}; {several(result.waiting, 'mail')} waiting")
    say_sent(result, stopping=stopping)
    return stopping.exit_code


def send_now(
    house: CommandContext,
    database: Database,
    mailing_list: MailingList | None,
    *,
    stopping: StopRequest,
) -> SendResult:
    """Do what the jobs do that begin campaigns, remind and send, and show how far it is.

    Until a signal comes, of which `stopping` then tells.
    """
    from repermit.campaigns import enqueue_asks, lifecycle, reminders
    from repermit.sending import queue, send_due

    enqueue_asks.finish_launches(database, settings=house.settings, now=house.now)
    lifecycle.start_scheduled(database, now=house.now)
    reminders.enqueue_reminders(database, settings=house.settings, now=house.now)
    tally = progress_bar.Tally(queue.count_due(now=house.now, mailing_list=mailing_list))
    with (
        stopping.on_signals(),
        progress_bar.shown(lambda: tally.standing, interval=house.settings.mail.interval),
    ):
        return send_due.send_due(
            database,
            settings=house.settings,
            clock=house.clock,
            mailing_list=mailing_list,
            on_step=lambda step: tally.note(step.state),
            should_stop=lambda: stopping.is_asked,
        )


def say_sent(result: SendResult, *, stopping: StopRequest, to: Tell = say) -> None:
    """Tell what sending did; a server's fault, and that it was stopped, goes to stderr."""
    to(
        f"{result.sent:,} sent, {result.failed:,} failed, {result.dropped:,} dropped, "
        f"{result.in_doubt:,} in doubt, {result.waiting:,} waiting."
    )
    if result.server_fault:
        warn(f"The mail server would not go on ({result.server_fault}); the rest waits.")
    if stopping.is_asked:
        warn("Stopped. What was on the wire has been finished and marked, the rest stays queued.")


@command(
    examples=(
        "repermit expire",
        "repermit expire news --dry-run",
        "repermit expire news --despite-downtime",
    )
)
@any_slug_argument
@click.option("--dry-run", is_flag=True, help="Show how many would be removed; write nothing.")
@click.option(
    "--despite-downtime",
    is_flag=True,
    help="Remove although the answer pages were down for more than a day in all.",
)
@json_option
@pass_house
def expire(
    house: CommandContext, slug: str | None, *, dry_run: bool, despite_downtime: bool, as_json: bool
) -> None:
    """Remove who did not answer, where the deadline has passed.

    `serve` does this by itself.
    """
    from repermit.db.models.lists import find_list
    from repermit.db.task_ownership import Work, foreground_work
    from repermit.expiry import forecast
    from repermit.expiry import sweep as expiry_sweep

    with house.database() as database:
        mailing_list = find_list(slug) if slug else None
        sweep = (
            expiry_sweep.preview_expiry
            if dry_run
            else partial(expiry_sweep.expire_due, actor=house.actor)
        )
        # Looking alone keeps nobody from it.
        with nullcontext() if dry_run else foreground_work(database, Work.EXPIRE):
            result = sweep(
                database,
                settings=house.settings,
                clock=house.clock,
                mailing_list=mailing_list,
                despite_downtime=despite_downtime,
            )
        coming = () if as_json else forecast.list_upcoming(now=house.now, mailing_list=mailing_list)
    if as_json:
        say_json(result.to_json())
    else:
        say(f"{'Would be removed' if dry_run else 'Removed'}, for no answer: {result.removed:,}")
        say(f"Could not be asked in time, and stay apart: {result.unasked:,}")
        say(*(_why_not_yet(house, one) for one in coming))
    warn(*result.waiting)


def _why_not_yet(house: CommandContext, one: UpcomingExpiry) -> str:
    """Say why a campaign's contacts are left alone, and how many the deadline is going to take."""
    from repermit.rules.consent import CampaignState

    if one.state is CampaignState.PAUSED:
        return f"{one.list}: paused, so nobody is removed until `repermit resume {one.list}`."
    unasked = f" Not asked yet, or too late: {one.unasked:,}." if one.unasked else ""
    return (
        f"{one.list}: the deadline is at {house.in_words(one.deadline)}; nobody is removed before. "
        f"Would be removed then, if no more answers come: {one.removed:,}.{unasked}"
    )


COMMANDS = (status, send, expire)
