"""The command `send`, which sends the mails that are due, as the jobs do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from repermit.cli import progress_bar
from repermit.cli.command import any_slug_argument, command
from repermit.cli.context import CommandContext, pass_command_context
from repermit.cli.output import echo, pluralize, warn
from repermit.errors import Refused

if TYPE_CHECKING:
    from repermit.cli.output import Tell
    from repermit.db.connection import Database
    from repermit.db.models.lists import MailingList
    from repermit.sending.send_due import SendResult
    from repermit.sending.worker_lock import StopRequest


@command(examples=("repermit send", "repermit send news"))
@any_slug_argument
@pass_command_context
def send(context: CommandContext, slug: str | None) -> int:
    """Send what is due now, then return.

    `serve` does this by itself. With Ctrl-C the mails on the wire are finished, the rest stays
    queued, and the exit code is 130; a second one does not wait.
    """
    from repermit.db.models.lists import find_list
    from repermit.sending.worker_lock import StopRequest

    stop_request = StopRequest()
    with context.database() as database:
        result = send_due_mails(
            context, database, find_list(slug) if slug else None, stop_request=stop_request
        )
    if result.server_fault and not result.sent:
        raise Refused(f"{result.server_fault}; {pluralize(result.waiting, 'mail')} waiting")
    print_sent(result, stop_request=stop_request)
    return stop_request.exit_code


def send_due_mails(
    context: CommandContext,
    database: Database,
    mailing_list: MailingList | None,
    *,
    stop_request: StopRequest,
) -> SendResult:
    """Start due campaigns, enqueue reminders and send, as the jobs do, and show the progress.

    A signal ends it early and sets `stop_request`.
    """
    from repermit.campaigns import enqueue_asks, enqueue_reminders, lifecycle
    from repermit.sending import queue, send_due

    enqueue_asks.finish_launches(database, settings=context.settings, now=context.now)
    lifecycle.start_scheduled(database, now=context.now)
    enqueue_reminders.enqueue_reminders(database, settings=context.settings, now=context.now)
    tally = progress_bar.Tally(queue.count_due(now=context.now, mailing_list=mailing_list))
    with (
        stop_request.on_signals(),
        progress_bar.show_progress(lambda: tally.state, interval=context.settings.mail.interval),
    ):
        return send_due.send_due(
            database,
            settings=context.settings,
            clock=context.clock,
            mailing_list=mailing_list,
            on_step=lambda step: tally.count(step.state),
            should_stop=lambda: stop_request.is_asked,
        )


def print_sent(result: SendResult, *, stop_request: StopRequest, to: Tell = echo) -> None:
    """Print the results of sending; a server fault or a stop is printed on stderr."""
    to(
        f"{result.sent:,} sent, {result.failed:,} failed, {result.dropped:,} dropped, "
        f"{result.in_doubt:,} in doubt, {result.waiting:,} waiting."
    )
    if result.server_fault:
        warn(f"The mail server would not go on ({result.server_fault}); the rest waits.")
    if stop_request.is_asked:
        warn("Stopped. What was on the wire has been finished and marked, the rest stays queued.")


COMMANDS = (send,)
