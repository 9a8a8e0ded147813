"""The command `check`, which tests whether a campaign would work."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import click

from repermit.cli.command import command, json_option
from repermit.cli.context import CommandContext, pass_command_context
from repermit.cli.output import echo, echo_json, pluralize, warn
from repermit.errors import ConfigError, NotFound, Refused

if TYPE_CHECKING:
    from repermit.checks.findings import Finding, Report
    from repermit.settings.definitions import Settings

_VERDICT_MARKS = {"ok": "ok", "warning": "mind", "problem": "WRONG", "unknown": "?"}
_WIDTH = max(map(len, _VERDICT_MARKS.values()))


@command(
    examples=(
        "repermit check",
        "repermit check --mail preview.eml",
        "repermit check --recount",
        "repermit check --nameserver 9.9.9.9 --json",
    )
)
@click.option(
    "--mail",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A mail of yours as it was received, such as a preview, to verify its signatures (DKIM).",
)
@click.option(
    "--nameserver",
    default="",
    metavar="IP[:PORT]",
    help="Ask this DNS server, to see what others see.  [default: this machine's own]",
)
@click.option(
    "--recount",
    is_flag=True,
    help="First count contacts and mails anew, for the counts that pages show.",
)
@json_option
@pass_command_context
def check(
    context: CommandContext, mail: Path | None, nameserver: str, *, recount: bool, as_json: bool
) -> int:
    """Say whether a campaign would work, and what to mend, in words to pass on.

    Looks at settings, keys, database, lists, mail server, pages, and what the DNS says of the
    sender. Sends nothing and changes nothing. The exit code is 1 if something is wrong.
    """
    if recount:
        _print_recount(context)
    report = _run_checks(context, mail, nameserver)
    if as_json:
        echo_json(report.to_json())
    else:
        _print_report(report)
    return 0 if report.works else 1


def _print_recount(context: CommandContext) -> None:
    from repermit.db.row_counts import correct_counts

    with context.database() as database:
        correct_counts(database)


def _run_checks(context: CommandContext, mail: Path | None, nameserver: str) -> Report:
    from repermit.bounces import poll
    from repermit.campaigns.mailing_lists import mentions_frequency
    from repermit.campaigns.preview import preview_mail
    from repermit.checks import run
    from repermit.db.connection import connect
    from repermit.db.suppression_journal import make_journal

    received = None if mail is None else _read_mail(mail)
    try:
        context.require_owner()
        settings = _read_settings(context)
        database = connect(settings.database, journal=make_journal(settings))
    except ConfigError as error:
        return run.report_refused_settings(error)
    return run.run_checks(
        settings,
        database=database,
        now=context.now,
        mentions_frequency=mentions_frequency,
        preview_mail=preview_mail,
        log_in=poll.log_in,
        config_path=Path(context.config),
        nameserver=nameserver,
        mail=received,
    )


def _read_settings(context: CommandContext) -> Settings:
    """Return the settings; those of config.toml if the database fails or does not answer soon."""
    from repermit.checks import dns_lookup, run

    try:
        (outcome,) = dns_lookup.run_in_parallel([lambda: context.settings], seconds=run.SECONDS)
    except ConfigError:
        raise
    except Refused:
        outcome = None
    return outcome or context.file


def _read_mail(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise NotFound(f"{path} cannot be read: {error.strerror}") from None


def _print_report(report: Report) -> None:
    area = ""
    for finding in report.findings:
        if finding.area != area:
            echo(*([""] if area else []), finding.area.upper())
            area = finding.area
        _print_finding(finding)
    echo("")
    if report.works:
        echo("A campaign would work, as far as this can be seen.")
    else:
        problems = pluralize(
            sum(finding.verdict == "problem" for finding in report.findings), "problem"
        )
        warn(f"repermit: a campaign would not work yet: {problems}")


def _print_finding(finding: Finding) -> None:
    indent = " " * (_WIDTH + 4)
    for text, mark in ((finding.found, _VERDICT_MARKS[finding.verdict]), (finding.remedy, "")):
        if text:
            first, *more_lines = textwrap.wrap(
                text, 92, break_long_words=False, break_on_hyphens=False
            )
            echo(f"  {mark:<{_WIDTH}}  {first}", *(f"{indent}{line}" for line in more_lines))


COMMANDS = (check,)
