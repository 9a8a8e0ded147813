"""The command `expire`, which removes contacts that did not answer, as the jobs do."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING

import click

from repermit.cli.command import any_slug_argument, command, json_option
from repermit.cli.context import CommandContext, pass_command_context
from repermit.cli.output import echo, echo_json, warn

if TYPE_CHECKING:
    from repermit.expiry.forecast import UpcomingExpiry


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
@pass_command_context
def expire(
    context: CommandContext,
    slug: str | None,
    *,
    dry_run: bool,
    despite_downtime: bool,
    as_json: bool,
) -> None:
    """Remove who did not answer, where the deadline has passed.

    `serve` does this by itself.
    """
    from repermit.db.background_tasks import JobKind, foreground_lock
    from repermit.db.models.lists import find_list
    from repermit.expiry import forecast
    from repermit.expiry import sweep as expiry_sweep

    with context.database() as database:
        mailing_list = find_list(slug) if slug else None
        sweep = (
            expiry_sweep.preview_expiry
            if dry_run
            else partial(expiry_sweep.expire_due, actor=context.actor)
        )
        # A dry run does not keep the workers from expiring.
        with nullcontext() if dry_run else foreground_lock(database, JobKind.EXPIRE):
            result = sweep(
                database,
                settings=context.settings,
                clock=context.clock,
                mailing_list=mailing_list,
                despite_downtime=despite_downtime,
            )
        upcoming = (
            () if as_json else forecast.list_upcoming(now=context.now, mailing_list=mailing_list)
        )
    if as_json:
        echo_json(result.to_json())
    else:
        echo(f"{'Would be removed' if dry_run else 'Removed'}, for no answer: {result.removed:,}")
        echo(f"Could not be asked in time, and stay apart: {result.unasked:,}")
        echo(*(_describe_upcoming(context, campaign) for campaign in upcoming))
    warn(*result.waiting)


def _describe_upcoming(context: CommandContext, upcoming: UpcomingExpiry) -> str:
    """Say why a campaign's contacts are not removed yet, and how many the deadline will remove."""
    from repermit.rules.consent import CampaignState

    if upcoming.state is CampaignState.PAUSED:
        return (
            f"{upcoming.list}: paused, so nobody is removed until `repermit resume "
            f"{upcoming.list}`."
        )
    unasked = f" Not asked yet, or too late: {upcoming.unasked:,}." if upcoming.unasked else ""
    return (
        f"{upcoming.list}: the deadline is at {context.format_time(upcoming.deadline)}; nobody "
        "is removed before. "
        f"Would be removed then, if no more answers come: {upcoming.removed:,}.{unasked}"
    )


COMMANDS = (expire,)
