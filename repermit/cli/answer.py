"""The command `answer`: recording an answer given by phone, letter or reply."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from repermit.cli.command import command, slug_argument
from repermit.cli.context import CommandContext, pass_command_context
from repermit.cli.output import echo

if TYPE_CHECKING:
    from datetime import datetime


@command(
    examples=(
        'repermit answer news jan@example.org yes --note "by phone, to Anna"',
        'repermit answer news jan@example.org no --note "a call" --given 2026-03-03 --taken-by An',
    )
)
@slug_argument
@click.argument("address", metavar="ADDRESS")
@click.argument("answer", metavar="yes|no", type=click.Choice(["yes", "no"]))
@click.option("--note", required=True, metavar="TEXT", help="How the answer came.")
@click.option(
    "--representative", is_flag=True, help="The legal representative gave it, such as a parent."
)
@click.option(
    "--given",
    metavar="WHEN",
    help="When it was given, if not now; before the deadline it counts.",
)
@click.option("--taken-by", metavar="NAME", default="", help="Who took it, if not you.")
@pass_command_context
def answer(
    context: CommandContext,
    slug: str,
    address: str,
    answer: str,
    *,
    note: str,
    representative: bool,
    given: str | None,
    taken_by: str,
) -> None:
    """Record an answer given by phone, letter or reply."""
    from repermit.answers import record_answer
    from repermit.rules.consent import Answer, Outcome

    with context.mailing_list(slug) as (database, mailing_list):
        recorded = record_answer.record_reported_answer(
            database,
            mailing_list,
            address,
            Answer(answer),
            note=note,
            settings=context.settings,
            now=context.now,
            actor=context.actor,
            given_by="representative" if representative else "",
            given_at=_read_past(given, context) if given else None,
            is_day_alone=given is not None and "T" not in given,
            taken_by=taken_by.strip(),
        )
    status_text = f"{recorded.status} ({recorded.reason})" if recorded.reason else recorded.status
    if recorded.outcome is Outcome.NOTHING:
        echo(f"Nothing changed: the contact was {status_text} already.")
    else:
        echo(f"Recorded: the contact is {status_text} now.")


def _read_past(text: str, context: CommandContext) -> datetime:
    """Parse a past time; today's date means now."""
    moment = context.parse_time(text)
    is_today = text == context.now.astimezone(context.settings.zone).date().isoformat()
    return context.now if is_today else moment


COMMANDS = (answer,)
