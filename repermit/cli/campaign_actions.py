"""Commands for a running campaign: pause, resume, cancel, extend, remind, resolve."""

from __future__ import annotations

from functools import partial

import click

from repermit.cli.command import command, slug_argument
from repermit.cli.context import CommandContext, pass_command_context
from repermit.cli.launch import print_pace
from repermit.cli.output import echo, pluralize
from repermit.errors import Refused


@command(examples=("repermit pause news",))
@slug_argument
@pass_command_context
def pause(context: CommandContext, slug: str) -> None:
    """Pause asking and removing; answers go on."""
    from repermit.campaigns import lifecycle

    with context.mailing_list(slug) as (database, mailing_list):
        lifecycle.pause_campaign(database, mailing_list, now=context.now, actor=context.actor)
    echo(
        "Paused: nobody is asked or removed, answers still count. "
        f"`repermit resume {slug}` goes on."
    )


@command(examples=("repermit resume news",))
@slug_argument
@pass_command_context
def resume(context: CommandContext, slug: str) -> None:
    """Go on after a pause, also one that the campaign made by itself.

    After a pilot the others are asked from now on.
    """
    from repermit.campaigns import lifecycle

    with context.mailing_list(slug) as (database, mailing_list):
        result = lifecycle.resume_campaign(
            database, mailing_list, settings=context.settings, now=context.now, actor=context.actor
        )
    echo("Resumed.")
    if result.let_go:
        echo(f"The pilot is over: {pluralize(result.let_go, 'mail')} more may leave now.")
        print_pace(context, result.last_ask_at, result.deadline, to=echo)


@command(examples=("repermit cancel news",))
@slug_argument
@pass_command_context
def cancel(context: CommandContext, slug: str) -> None:
    """End a campaign: nobody is removed for silence.

    What is unsent is dropped; links in mails that were sent still answer.
    """
    from repermit.campaigns import lifecycle

    with context.mailing_list(slug) as (database, mailing_list):
        lifecycle.cancel_campaign(database, mailing_list, now=context.now, actor=context.actor)
    echo("Cancelled: nobody will be removed for silence; links in sent mails still answer.")


@command(
    examples=(
        "repermit extend news --deadline 2027-01-05",
        'repermit extend news --deadline 2027-01-05 --note "The mails left later than planned."',
    )
)
@slug_argument
@click.option("--deadline", required=True, metavar="WHEN", help="The later deadline.")
@click.option(
    "--note",
    metavar="TEXT",
    default="",
    help="Why. It stands in the log, the report, and the proofs of all who were asked: name "
    "nobody.",
)
@pass_command_context
def extend(context: CommandContext, slug: str, *, deadline: str, note: str) -> None:
    """Move the deadline, to later only."""
    from repermit.campaigns import lifecycle
    from repermit.expiry import downtime
    from repermit.web.public.answer import make_unanswered_wording

    with context.mailing_list(slug) as (database, mailing_list):
        downtime.count_open_gap(database, now=context.now)
        result = lifecycle.extend_campaign(
            database,
            mailing_list,
            deadline=context.parse_time(deadline),
            note=note,
            now=context.now,
            actor=context.actor,
            settings=context.settings,
            make_page_wording=partial(
                make_unanswered_wording, settings=context.settings, now=context.now
            ),
        )
    echo(f"Answers count until {context.format_time(result.deadline)}.")
    echo("Mails that are still to leave name that moment.")
    if result.sent:
        echo(
            f"Sent already, and naming the earlier one, {context.format_time(result.until)}: "
            f"{pluralize(result.sent, 'mail')}."
        )
    if result.reminder_at and result.reminder_at > context.now:
        echo(f"Who has not answered is reminded on {context.format_time(result.reminder_at)}.")


@command(examples=("repermit remind news --before 7",))
@slug_argument
@click.option(
    "--before",
    required=True,
    type=click.IntRange(1, 365),
    metavar="DAYS",
    help="How many days before the deadline.",
)
@click.option(
    "--not-promised", is_flag=True, help="Your own words do not say that you ask only once."
)
@pass_command_context
def remind(context: CommandContext, slug: str, *, before: int, not_promised: bool) -> None:
    """Add a reminder to a campaign that is under way.

    Refused where a mail that has left says that people are asked once.
    """
    from repermit.campaigns import add_reminder

    with context.mailing_list(slug) as (database, mailing_list):
        reminder_at = add_reminder.add_reminder(
            database,
            mailing_list,
            days=before,
            settings=context.settings,
            now=context.now,
            actor=context.actor,
            not_promised=not_promised,
        )
    echo(f"Who has not answered is reminded on {context.format_time(reminder_at)}.")


@command(examples=("repermit resolve news --leave", "repermit resolve news --resend"))
@slug_argument
@click.option("--resend", "decision", flag_value="resend", help="Send them again.")
@click.option("--leave", "decision", flag_value="leave", help="Count them as failed.")
@pass_command_context
def resolve(context: CommandContext, slug: str, *, decision: str | None) -> None:
    """Decide on the mails in doubt, which a server may or may not have taken.

    Sent again, a mail may come twice; left, the person counts as not asked.
    """
    from repermit.sending import in_doubt

    if decision is None:
        raise click.UsageError("say --resend or --leave")
    with context.mailing_list(slug) as (database, mailing_list):
        count = in_doubt.resolve_in_doubt(
            database,
            mailing_list,
            resend=decision == "resend",
            now=context.now,
            actor=context.actor,
        )
    if not count:
        raise Refused("no mail of this list is in doubt")
    outcome = "to be sent again" if decision == "resend" else "counted as failed"
    echo(f"{pluralize(count, 'mail')} {outcome}.")


COMMANDS = (pause, resume, cancel, extend, remind, resolve)
