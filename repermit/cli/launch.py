"""The commands `preview` and `launch`."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from repermit.cli.command import command, json_option, slug_argument
from repermit.cli.context import CommandContext, pass_command_context
from repermit.cli.output import echo, echo_counts, echo_json, pluralize, warn
from repermit.cli.send import print_sent, send_due_mails
from repermit.clock import count_days
from repermit.rules.legal_grounds import AskingGround, Grounds, SpecialGround

if TYPE_CHECKING:
    from repermit.campaigns.result_types import LaunchProblem, LaunchResult, Plan
    from repermit.cli.output import Tell
    from repermit.db.connection import Database
    from repermit.db.models.lists import MailingList


@command(
    examples=(
        "repermit preview news",
        "repermit preview news --language de",
        "repermit preview news --kind reminder",
        "repermit preview news --to me@example.org",
    )
)
@slug_argument
@click.option("--to", metavar="ADDRESS", help="Send it there instead of printing it.")
@click.option("--language", metavar="LANG", help="[default: the list's]")
@click.option(
    "--deadline",
    metavar="WHEN",
    help="The deadline to show.  [default: the campaign's, or in 28 days]",
)
@click.option(
    "--kind",
    type=click.Choice(["ask", "reminder", "confirm", "receipt"]),
    default="ask",
    help="The ask, its reminder, the mail that confirms a sign-up, or the receipt of a Yes."
    "  [default: ask]",
)
@pass_command_context
def preview(
    context: CommandContext,
    slug: str,
    *,
    to: str | None,
    language: str | None,
    deadline: str | None,
    kind: str,
) -> None:
    """Show a mail that people on the list would get, or send it to yourself.

    While a campaign is under way it is what people get: its ask and its reminder are frozen.
    """
    from repermit.campaigns import launch_refusals
    from repermit.campaigns import preview as campaigns_preview
    from repermit.rules.consent import MailKind
    from repermit.smtp import mail_server

    with context.mailing_list(slug) as (database, mailing_list):
        mail = campaigns_preview.preview_mail(
            mailing_list,
            settings=context.settings,
            now=context.now,
            kind=MailKind(kind),
            language=language,
            deadline=context.parse_future_time(deadline) if deadline else None,
            to=to,
        )
        lacks = launch_refusals.check_description(mailing_list, context.settings)
        if to is not None:
            mail_server.send_one(context.settings.mail, mail)
            campaigns_preview.record_test_mail(
                database, mailing_list, now=context.now, actor=context.actor
            )
    if to is None:
        echo(f"Subject: {mail.subject}", "", mail.text.rstrip())
    else:
        echo(f"Sent to {to}. Its links belong to nobody: pressing them changes nothing.")
    if lacks:
        warn("", "Before a launch:", *(f"  - {lack}" for lack in lacks))


def _parse_accepted(
    _: click.Context, __: click.Parameter, values: tuple[str, ...]
) -> dict[str, str]:
    from repermit.campaigns.launch_refusals import is_reason
    from repermit.checks import findings

    reasons = {}
    for value in values:
        code, equals, reason = value.partition("=")
        if not equals or not is_reason(reason):
            raise click.BadParameter(
                f"{value!r} is not CODE=REASON, such as pages_here_alone='a trial in our office'"
            )
        if code not in findings.FINDING_TYPES:
            raise click.BadParameter(f"a check finds nothing that is called {code!r}")
        reasons[code] = reason
    return reasons


@command(
    examples=(
        (
            "repermit launch news --deadline 2026-12-22 --attest \\\n"
            '    "Decided by the board on 1 November, since …; addresses from our own forms;\n'
            '    none of them opted out"'
        ),
        'repermit launch news --deadline 2026-12-22T17:00 --attest "$(cat decision.txt)" --wait',
        'repermit launch news --deadline 2026-12-22 --attest "$(cat decision.txt)" --pilot 100',
        (
            'repermit launch news --deadline 2026-12-22 --attest "$(cat decision.txt)" \\\n'
            '    --accept spf_none="our host adds the record this week"'
        ),
    )
)
@slug_argument
@click.option("--deadline", required=True, metavar="WHEN", help="Until when answers count.")
@click.option(
    "--attest", default="", metavar="TEXT", help="Who decided, and on what ground: a sentence."
)
@click.option(
    "--ground",
    type=click.Choice([ground.replace("_", "-") for ground in AskingGround]),
    help="The ground of the law on which you ask (GDPR art. 6(1)(f), (e), (a)), as the answer page "
    "says it.",
)
@click.option(
    "--special-ground",
    type=click.Choice([ground.replace("_", "-") for ground in SpecialGround]),
    help="What allows asking a sensitive list (GDPR art. 9(2)(a), (d)); it stands there too. "
    "`members`: only where your field is politics, philosophy, religion or trade unions.",
)
@click.option("--at", metavar="WHEN", help="Begin then.  [default: now]")
@click.option("--include-thin", is_flag=True, help="Ask those too whose proof shows no wording.")
@click.option(
    "--pilot",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="Ask so many first, then wait for `repermit resume`.",
)
@click.option(
    "--reminder",
    type=click.IntRange(1, 365),
    default=None,
    metavar="DAYS_BEFORE",
    help="Remind who has not answered, once, so many days before the deadline.",
)
@click.option(
    "--accept",
    "accepted",
    multiple=True,
    metavar="CODE=REASON",
    callback=_parse_accepted,
    help="Launch although the check finds this wrong, since …; kept as evidence. May be given "
    "several times.",
)
@click.option("--wait", is_flag=True, help="Also send what is due now, then return.")
@json_option
@pass_command_context
def launch(
    context: CommandContext,
    slug: str,
    *,
    deadline: str,
    attest: str,
    ground: str | None,
    special_ground: str | None,
    at: str | None,
    include_thin: bool,
    pilot: int,
    reminder: int | None,
    accepted: dict[str, str],
    wait: bool,
    as_json: bool,
) -> int:
    """Ask everybody on a list who has not opted in, once.

    WHEN is 2026-12-22 (to the end of that day) or 2026-12-22T17:00.

    --attest says who decided, on what ground, where the addresses came from, and that none of them
    opted out. It is kept as evidence. Without it nothing starts, and you see what would happen. Nor
    does anything that `repermit check` calls WRONG, unless --accept says why it may be so. With
    --wait, Ctrl-C stops the sending as in `repermit send`; the campaign stays launched.
    """
    from repermit.sending.worker_lock import StopRequest

    stop_request = StopRequest()
    deadline_time, starts_at = (
        context.parse_future_time(deadline),
        context.parse_future_time(at) if at else None,
    )
    with context.mailing_list(slug) as (database, mailing_list):
        result = _launch_campaign(
            context,
            database,
            mailing_list,
            deadline=deadline_time,
            starts_at=starts_at,
            attest=attest,
            grounds=Grounds(
                asking_ground=(ground or "").replace("-", "_"),
                special_ground=(special_ground or "").replace("-", "_"),
            ),
            include_thin=include_thin,
            pilot=pilot,
            reminder=reminder or 0,
            accepted=accepted,
            as_json=as_json,
        )
        if not as_json:
            _print_launched(context, slug, result, deadline_time, starts_at)
        if wait:
            sent = send_due_mails(context, database, mailing_list, stop_request=stop_request)
            print_sent(sent, stop_request=stop_request, to=warn if as_json else echo)
        if as_json:
            echo_json(_make_document(context, mailing_list, result))
    return stop_request.exit_code


def _launch_campaign(
    context: CommandContext,
    database: Database,
    mailing_list: MailingList,
    *,
    deadline: datetime,
    starts_at: datetime | None,
    attest: str,
    grounds: Grounds,
    include_thin: bool,
    pilot: int,
    reminder: int,
    accepted: dict[str, str],
    as_json: bool,
) -> LaunchResult:
    """Launch, and print the plan: on stdout, or on stderr if refused or for JSON."""
    from repermit.campaigns import campaign_draft, launch_refusals
    from repermit.campaigns import launch as campaigns_launch
    from repermit.web.public.answer import make_unanswered_wording

    plan = launch_refusals.plan_launch(
        mailing_list,
        settings=context.settings,
        now=context.now,
        deadline=deadline,
        starts_at=starts_at,
        grounds=grounds,
        include_thin=include_thin,
        reminder=reminder,
    )
    problems = _find_problems(context, database, mailing_list)
    is_open = any(problem.code not in accepted for problem in problems)
    is_refused = bool(plan.refusals or is_open or campaign_draft.check_attestation(attest))
    if is_refused or as_json:
        _print_plan(context, plan, deadline, to=warn)
    # No website is fetched for a launch that is refused.
    statements = {} if is_refused else _read_statements(context, mailing_list)
    result = campaigns_launch.launch(
        database,
        mailing_list,
        settings=context.settings,
        now=context.now,
        deadline=deadline,
        starts_at=starts_at,
        attest=attest,
        grounds=grounds,
        include_thin=include_thin,
        pilot=pilot,
        reminder=reminder,
        plan=plan,
        actor=context.actor,
        problems=problems,
        accepted=accepted,
        statements=statements,
        make_page_wording=partial(
            make_unanswered_wording, settings=context.settings, now=context.now
        ),
    )
    # Printed after the launch, so that stdout stays empty if the database fails (full disk).
    if not as_json:
        _print_plan(context, result.plan, deadline, to=echo)
    return result


def _read_statements(context: CommandContext, mailing_list: MailingList) -> dict[str, str]:
    """Return the texts of the list's privacy statements, by URL; warn of unreadable ones."""
    from repermit.checks import run
    from repermit.contacts.lookup import read_list_facts

    urls = read_list_facts(mailing_list).privacy_urls
    statements = run.read_privacy_statements(context.settings, urls)
    for url in urls:
        if url not in statements:
            warn(
                f"{url} could not be read: the evidence has the address of the privacy statement, "
                "not its text."
            )
    return statements


def _find_problems(
    context: CommandContext, database: Database, mailing_list: MailingList
) -> list[LaunchProblem]:
    """Return what `repermit check` finds wrong with a launch; warn how many other points it has."""
    from repermit.bounces import poll
    from repermit.campaigns import result_types
    from repermit.campaigns.mailing_lists import mentions_frequency
    from repermit.campaigns.preview import preview_mail
    from repermit.checks import run

    launch_findings = run.list_launch_findings(
        context.settings,
        mailing_list.slug,
        database=database,
        now=context.now,
        mentions_frequency=mentions_frequency,
        preview_mail=preview_mail,
        log_in=poll.log_in,
        config_path=Path(context.config),
    )
    problems, other_findings = run.split_problems(launch_findings)
    if other_findings:
        count = pluralize(len(other_findings), "more point")
        warn(f"`repermit check` has {count}, nothing that stops a launch.")
    return [
        result_types.LaunchProblem(code=finding.code, found=finding.found) for finding in problems
    ]


def _print_plan(context: CommandContext, plan: Plan, deadline: datetime, *, to: Tell) -> None:
    languages = ", ".join(f"{count:,} in {language}" for language, count in plan.languages.items())
    to(f"To be asked: {plan.asked:,}{f' ({languages})' if languages else ''}")
    if any(plan.excluded.values()):
        to("Not asked:")
        echo_counts(plan.excluded, to=to)
    if any(plan.left_out.values()):
        fates = (f"{count:,} {fate.replace('_', ' ')}" for fate, count in plan.left_out.items())
        to(f"Left out at import: {', '.join(fates)}")
    if plan.asked and not plan.refusals:
        print_pace(context, plan.last_ask_at, deadline, to=to)
        if plan.reminder_at:
            to(f"Who has not answered is reminded on {context.format_time(plan.reminder_at)}.")
    for note in plan.notes:
        to(f"\nMind: {note}")
    to("")


def print_pace(
    context: CommandContext, last_ask_at: datetime, deadline: datetime, *, to: Tell
) -> None:
    """Print when the last mail leaves, and how long people then have to answer."""
    server = context.settings.mail
    has_rates = server.interval or server.domain_interval
    pace_text = (
        "at the rates under [mail]" if has_rates else "or as soon as the mail server takes it"
    )
    time_to_answer = deadline - last_ask_at
    span = (
        pluralize(count_days(last_ask_at, deadline, context.settings.zone), "day")
        if time_to_answer.days
        else pluralize(time_to_answer.seconds // 3600, "hour")
    )
    leaves_on = context.format_time(last_ask_at)
    to(f"The last mail leaves on {leaves_on}, {pace_text}; {span} to answer.")


def _print_launched(
    context: CommandContext,
    slug: str,
    result: LaunchResult,
    deadline: datetime,
    starts_at: datetime | None,
) -> None:
    deadline_text = f"answers count until {context.format_time(deadline)}"
    if result.is_in_doubt:
        echo(
            f"Launched, but none of the {pluralize(result.plan.asked, 'mail')} leaves yet; "
            f"{deadline_text}.",
            "Whoever is on this list may have been asked before the database was restored, so that "
            "all are in doubt.",
            f"Look at the mail server's log: `repermit resolve {slug} --leave` if they were asked, "
            "`--resend` if not.",
        )
        return
    echo(f"Launched: {result.plan.asked:,} will be asked; {deadline_text}.")
    if starts_at:
        echo(f"The asking begins on {context.format_time(starts_at)}.")
    if result.pilot:
        echo(
            f"{result.pilot:,} are asked first; then the others wait until you give "
            f"`repermit resume {slug}`."
        )
    echo("`repermit serve` sends, answers and removes by itself.")


def _make_document(
    context: CommandContext, mailing_list: MailingList, result: LaunchResult
) -> dict[str, object]:
    from repermit.campaigns import progress

    overview = progress.read_status(mailing_list, settings=context.settings, now=context.now)
    plan = result.plan.to_json()
    plan_keys = ("asked", "excluded", "last_ask_at")
    return {**overview.to_json(), **{name: plan[name] for name in plan_keys}}


COMMANDS = (preview, launch)
