"""The command `status`, which shows the state of a list and its campaign."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import click

from repermit.cli import progress_bar
from repermit.cli.bounce import print_replies
from repermit.cli.checkpoints_and_keys import print_checkpoint
from repermit.cli.command import command, json_option, slug_argument
from repermit.cli.context import CommandContext, pass_command_context
from repermit.cli.forget import describe_due_erasures
from repermit.cli.mailing_list import describe_untranslated
from repermit.cli.output import (
    echo,
    echo_counts,
    echo_json,
    echo_table,
    pluralize,
)

if TYPE_CHECKING:
    from repermit.campaigns.result_types import CampaignDetails, CampaignProgress, CampaignStatus
    from repermit.db.models.lists import MailingList
    from repermit.reports.statistics import Figures
    from repermit.sending.in_doubt import Resolution
    from repermit.sending.server_faults import ServerFault


@command(
    examples=("repermit status news", "repermit status news --watch", "repermit status news --json")
)
@slug_argument
@click.option("--watch", is_flag=True, help="First follow it until it is over, or until Ctrl-C.")
@json_option
@pass_command_context
def status(context: CommandContext, slug: str, *, watch: bool, as_json: bool) -> None:
    """Show how a list and its campaign stand.

    --watch shows on stderr how far the mails are, and at its end what this command shows anyhow.
    """
    from repermit.campaigns import list_translations, progress
    from repermit.contacts import human_replies
    from repermit.imports import undo
    from repermit.reports import statistics
    from repermit.sending import in_doubt, server_faults

    with context.mailing_list(slug) as (_, mailing_list):
        if watch:
            _watch_campaign(context, mailing_list)
        overview = progress.read_status(mailing_list, settings=context.settings, now=context.now)
        if as_json:
            echo_json(overview.to_json())
            return
        replies = human_replies.list_waiting_replies(mailing_list)
        fault = server_faults.read_last_fault()
        postponed = server_faults.count_policy_refusals(mailing_list)
        erasures = tuple(describe_due_erasures(context, mailing_list))
        untranslated = list_translations.count_untranslated(mailing_list)
        unfinished = undo.find_unfinished_import(mailing_list)
        resolution = in_doubt.find_resolution(mailing_list)
        figures = statistics.read_figures(mailing_list, zone=context.settings.zone, now=context.now)
    _print_status(context, overview, fault)
    if unfinished is not None:
        echo(
            f"{unfinished.file} is being taken in: {unfinished.done:,} of "
            f"{unfinished.total:,} "
            "addresses so far. None of them is counted here, or asked, before all are."
        )
    echo(*_describe_resolution(resolution))
    echo(*_describe_ending(figures))
    echo(*describe_untranslated(untranslated, slug))
    echo(*_describe_postponed(postponed))
    print_replies(context, slug, replies)
    echo(*erasures)


# Reading the progress takes at most this share of the time, however many mails there are.
_READ_SHARE = 0.05
_MIN_READ_INTERVAL = 1.0


def _watch_campaign(context: CommandContext, mailing_list: MailingList) -> None:
    from repermit.campaigns import progress
    from repermit.sending.worker_lock import StopRequest

    progress_state = progress.read_progress(mailing_list)
    stop_request = StopRequest()
    with (
        stop_request.on_signals(),
        progress_bar.show_progress(
            lambda: _make_progress_state(progress_state), interval=context.settings.mail.interval
        ),
    ):
        duration = 0.0
        while progress_state and progress_state.state.is_live:
            if stop_request.wait(max(_MIN_READ_INTERVAL, duration / _READ_SHARE)):
                break
            began = time.monotonic()
            progress_state = progress.read_progress(mailing_list)
            duration = time.monotonic() - began


def _make_progress_state(progress_state: CampaignProgress | None) -> progress_bar.ProgressState:
    from repermit.rules.consent import CampaignState, MailState

    if progress_state is None:
        return progress_bar.ProgressState(0, word="no campaign yet")
    return progress_bar.ProgressState(
        sum(progress_state.mails.values()),
        sent=progress_state.mails[MailState.SENT],
        failed=progress_state.mails[MailState.FAILED],
        dropped_or_in_doubt=progress_state.mails[MailState.DROPPED]
        + progress_state.mails[MailState.IN_DOUBT],
        word="" if progress_state.state is CampaignState.SENDING else str(progress_state.state),
    )


def _print_status(
    context: CommandContext, overview: CampaignStatus, fault: ServerFault | None
) -> None:
    if overview.campaign is None:
        echo(f"{overview.list}: no campaign yet.")
    else:
        _print_campaign(context, overview, overview.campaign, fault)
    echo("", "Contacts:")
    echo_counts(overview.contacts, zeros=True)
    if any(overview.removed.values()):
        echo("", "Removed, by reason:")
        echo_counts(overview.removed)
    for kind, states in overview.mails.items():
        if any(states.values()):
            echo("", f"Mails of kind {kind}:")
            echo_counts(states)
    echo("", "Checkpoint of the record, for `repermit verify --checkpoint`; keep it elsewhere:")
    print_checkpoint(overview.checkpoint)
    if overview.unasked:
        see = f"`repermit export {overview.list} unasked`"
        echo("", f"Could not be asked{_describe_in_doubt(overview)}; see {see}.")
    if overview.held:
        echo(
            "",
            f"Held: {overview.held:,}. Their Yes looks like a program's and waits for one press "
            "more;",
            "at the deadline they count as silent.",
        )
    if overview.still_mailed:
        echo(
            "",
            f"Still mailed: {overview.still_mailed:,}. People of whom nothing is held here pressed",
            "unsubscribe in a mail. If it came from another tool, `repermit reconcile` finds them.",
        )
    if overview.in_doubt:
        _print_doubts(context, overview)
    if overview.lost_launch_at:
        echo(
            "",
            f"A campaign was launched on this list, or may have been, "
            f"on {context.format_time(overview.lost_launch_at)}.",
            "The database knows nothing of it since it was restored; the mails of the next one are",
            "all in doubt at first.",
        )


def _describe_in_doubt(overview: CampaignStatus) -> str:
    """Return how many contacts count as not asked, and how many of them may have been asked."""
    if not (doubts := overview.unasked_in_doubt):
        return f": {overview.unasked:,}"
    clause = "1 is in doubt" if doubts == 1 else f"{doubts:,} are in doubt"
    return f", as far as is known: {overview.unasked:,}, of whom {clause} and may have been"


def _print_campaign(
    context: CommandContext,
    overview: CampaignStatus,
    campaign: CampaignDetails,
    fault: ServerFault | None,
) -> None:
    from repermit.rules.consent import MailKind
    from repermit.rules.why_no_reminder import explain_missing_reminder

    slug = overview.list
    echo(f"{slug}: the campaign is {campaign.state}.")
    fields = {
        "asked": f"{campaign.asked:,}, in {', '.join(campaign.languages)}",
        "launched": context.format_time(campaign.launched_at),
        "deadline": context.format_time(campaign.deadline),
    }
    if campaign.pilot:
        fields["pilot"] = f"{campaign.pilot:,} first, the others wait for `repermit resume {slug}`"
    if campaign.reminder_at:
        fields["reminder"] = context.format_time(campaign.reminder_at)
    if campaign.late_reminders:
        fields["not sent"] = (
            f"{pluralize(campaign.late_reminders, 'reminder')}, since people would have had too "
            "little time left"
        )
    elif missing := explain_missing_reminder(
        state=campaign.state,
        reminder_at=campaign.reminder_at,
        deadline=campaign.deadline,
        made=sum(overview.mails[MailKind.REMINDER].values()),
        now=context.now,
    ):
        fields["not sent"] = missing
    width = max(map(len, fields))
    for name, value in fields.items():
        echo(f"  {name:<{width}}  {value}")
    echo(*_list_next_steps(context, slug, campaign), *_list_obstacles(context, campaign, fault))


def _list_obstacles(
    context: CommandContext, campaign: CampaignDetails, fault: ServerFault | None
) -> Iterator[str]:
    """Yield why the mails of a sending campaign wait."""
    from repermit.rules.consent import CampaignState

    if fault and campaign.state is CampaignState.SENDING:
        yield (
            f"Sending waits since {context.format_time(fault.since)}: {fault.reason}. It is "
            "tried again "
            "by itself, and nobody is taken off for it."
        )


def _list_next_steps(
    context: CommandContext, slug: str, campaign: CampaignDetails
) -> Iterator[str]:
    """Yield what happens next, and what the admin has to do."""
    from repermit.rules.consent import CampaignState

    if campaign.state is CampaignState.SCHEDULED:
        yield f"The asking begins on {context.format_time(campaign.starts_at)}."
    if campaign.pause_reason:
        yield _PAUSE_TEXTS[campaign.pause_reason]
    if campaign.state is CampaignState.PAUSED:
        yield f"Nobody is asked or removed until `repermit resume {slug}`; answers still count."
    if campaign.state.is_live and campaign.deadline <= context.now:
        yield (
            f"The deadline has passed: `repermit expire {slug}`, which `serve` does by itself, "
            "takes off who did not answer."
        )


_PAUSE_TEXTS = {
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


def _describe_postponed(counts: Mapping[str, int]) -> Iterator[str]:
    """Yield how many mails were refused for a policy, by reply code."""
    if counts:
        codes = ", ".join(counts)
        yield ""
        yield (
            f"Refused for a policy, of the mail server's or of the recipients': "
            f"{pluralize(sum(counts.values()), 'mail')} ({codes}). They are offered again every "
            "four "
            "hours, as long as there is time; nobody is taken off for it."
        )


def _describe_resolution(resolution: Resolution | None) -> Iterator[str]:
    """Yield how many mails a running decision on mails in doubt still has to settle."""
    if resolution is not None:
        outcome = "sent again" if resolution.resend else "counted as failed"
        yield ""
        yield (
            f"It is decided that mails in doubt are {outcome}: "
            f"{pluralize(resolution.remaining, 'mail')} to go. "
            "`serve` and `worker` do so by themselves."
        )


def _describe_ending(figures: Figures | None) -> Iterator[str]:
    """Yield how far the end of a campaign is: contacts to take off, and mails to drop."""
    from repermit.rules.consent import UNSETTLED, CampaignState

    if figures is None:
        return
    unsent = sum(figures.mails[state] for state in UNSETTLED)
    is_running = figures.state.is_live and figures.state is not CampaignState.PAUSED
    if is_running and 0 < figures.expired < figures.silent:
        yield ""
        yield f"Taken off for silence so far: {figures.expired:,} of {figures.silent:,}."
    if not figures.state.is_live and unsent:
        yield ""
        yield (
            f"Not sent, and still to be dropped: {pluralize(unsent, 'mail')}. "
            "`serve` and `worker` do so by themselves."
        )


def _print_doubts(context: CommandContext, overview: CampaignStatus) -> None:
    echo("", "In doubt: the mail server may or may not have taken these. Look at its log, then:")
    echo(f"`repermit resolve {overview.list} --resend` or `--leave`.")
    restored = [doubt for doubt in overview.in_doubt if doubt.is_restored]
    if restored:
        echo(
            f"Of {pluralize(len(restored), 'mail')} the database was restored to before they may "
            f"have left, after {context.format_time(restored[0].started_at)}."
        )
    if len(restored) < len(overview.in_doubt):
        _print_broken_off(context, overview)


def _print_broken_off(context: CommandContext, overview: CampaignStatus) -> None:
    echo_table(
        ("mail", "kind", "address", "started", "attempts"),
        (
            (
                doubt.mail,
                str(doubt.kind),
                doubt.address,
                context.format_time(doubt.started_at),
                doubt.attempts,
            )
            for doubt in overview.in_doubt
            if not doubt.is_restored
        ),
    )


COMMANDS = (status,)
