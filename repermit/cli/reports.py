"""Commands for the reports that the law asks for: register, report, breach."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from repermit.cli.command import command, json_option, slug_argument
from repermit.cli.context import CommandContext, pass_command_context
from repermit.cli.output import echo, open_private_file, pluralize, warn

if TYPE_CHECKING:
    from repermit.db.connection import Database
    from repermit.db.models.lists import MailingList
    from repermit.reports.make_report import Report, ReportKind

_LANGUAGES = ("en", "nl")


def _check_suffix(context: click.Context, _: click.Parameter, output: Path | None) -> Path | None:
    """Refuse an output file whose name ends neither in .html nor in .json."""
    if output is None or output.suffix.lower() in {".html", ".json"}:
        if output and output.suffix.lower() == ".html" and context.params.get("as_json"):
            raise click.UsageError(f"--json does not go with a file called {output}")
        return output
    raise click.BadParameter("the file ends in .html, to be read and printed, or in .json")


def _add_output_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of every report."""
    command = click.option(
        "-o",
        "--output",
        type=click.Path(path_type=Path),
        callback=_check_suffix,
        metavar="FILE",
        help="FILE.html, which prints well, or FILE.json.  [default: text on stdout]",
    )(command)
    command = click.option(
        "--language",
        type=click.Choice(_LANGUAGES),
        help="[default: the list's, or en]",
    )(command)
    return slug_argument(json_option(command))


def _read_pairs(
    _context: click.Context, _parameter: click.Parameter, given: tuple[str, ...]
) -> dict[str, str]:
    """Parse the values KEY=VALUE of an option."""
    pairs = [text.partition("=") for text in given]
    for key, equals, _value in pairs:
        if not equals:
            raise click.BadParameter(f"{key}: give KEY=VALUE, such as hosting.country=NL")
    return {key: value for key, _equals, value in pairs}


@command(
    examples=(
        "repermit register news",
        "repermit register news -o record.html",
        'repermit register news --set hosting.name="A Host" --set hosting.country=NL',
        "repermit register news --set mail.agreement=2025-05-02 --set joint-controllers=none",
    )
)
@_add_output_options
@click.option(
    "--set",
    "changes",
    multiple=True,
    callback=_read_pairs,
    metavar="KEY=VALUE",
    help="Fill in what only you know; an empty VALUE takes it back. Can be given several times.",
)
@pass_command_context
def register(
    context: CommandContext,
    slug: str,
    *,
    changes: dict[str, str],
    output: Path | None,
    language: str | None,
    as_json: bool,
) -> None:
    """Print the record of processing activities of a list (GDPR art. 30(1)).

    It knows most by itself and shows what it cannot know as to be filled in, with the KEY.
    """
    from repermit.reports import register_notes
    from repermit.reports.make_report import ReportKind

    with context.mailing_list(slug) as (database, mailing_list):
        if changes:
            register_notes.set_notes(
                database, mailing_list, changes, now=context.now, actor=context.actor
            )
        document = _make_report(context, mailing_list, ReportKind.REGISTER, language)
        is_wanted = not changes or output is not None or as_json
        if is_wanted:
            _write_report(context, database, mailing_list, document, output=output, as_json=as_json)
    if not is_wanted:
        echo("Kept.")
    _warn_about_gaps(document.gaps)


def _warn_about_gaps(gaps: dict[str, str]) -> None:
    if gaps:
        warn(f"To be filled in: {pluralize(len(gaps), 'thing')}, with --set or in its place:")
        width = max(map(len, gaps))
        warn(*(f"  {key:<{width}}  {question}" for key, question in gaps.items()))


@command(
    examples=(
        "repermit report news",
        "repermit report news -o report.html",
        "repermit report news --json",
    )
)
@_add_output_options
@pass_command_context
def report(
    context: CommandContext, slug: str, *, output: Path | None, language: str | None, as_json: bool
) -> None:
    """Print the report of a list's latest campaign: what was asked, answered and carried out.

    Also while it runs. It counts people and names nobody on the list, so it may be mailed.
    """
    from repermit.reports.make_report import ReportKind

    with context.mailing_list(slug) as (database, mailing_list):
        document = _make_report(context, mailing_list, ReportKind.REPORT, language)
        _write_report(context, database, mailing_list, document, output=output, as_json=as_json)


@command(
    examples=(
        "repermit breach news",
        "repermit breach news --discovered 2026-03-02T14:30 -o breach.html",
    )
)
@_add_output_options
@click.option(
    "--discovered",
    metavar="WHEN",
    help="When you became aware of it; the 72 hours run from then.",
)
@pass_command_context
def breach(
    context: CommandContext,
    slug: str,
    *,
    discovered: str | None,
    output: Path | None,
    language: str | None,
    as_json: bool,
) -> None:
    """Print what to do if data have leaked: the clock, the steps, what could have leaked, drafts.

    GDPR art. 33 and 34. It shows what could have leaked at most, and where to look.
    """
    from repermit.reports.make_report import ReportKind

    discovered_at = _parse_discovered(context, discovered)
    with context.mailing_list(slug) as (database, mailing_list):
        document = _make_report(
            context, mailing_list, ReportKind.BREACH, language, discovered=discovered_at
        )
        _write_report(context, database, mailing_list, document, output=output, as_json=as_json)


def _parse_discovered(context: CommandContext, text: str | None) -> datetime | None:
    """Parse the time at which a breach was noticed, which must be past."""
    if text is None:
        return None
    when = context.parse_time(text)
    if when > context.now:
        raise click.UsageError(f"--discovered {text} has not come yet; give the time of day too")
    return when


def _make_report(
    context: CommandContext,
    mailing_list: MailingList,
    kind: ReportKind,
    language: str | None,
    **more: Any,
) -> Report:
    from repermit.reports import make_report

    return make_report.make_report(
        mailing_list,
        kind,
        settings=context.settings,
        now=context.now,
        language=language or "",
        **more,
    )


def _write_report(
    context: CommandContext,
    database: Database,
    mailing_list: MailingList,
    document: Report,
    *,
    output: Path | None,
    as_json: bool,
) -> None:
    """Record that a report was made, and print it or write its file."""
    from repermit.reports import make_report

    file_format = "json" if as_json else "text"
    file_format = output.suffix.lower().removeprefix(".") if output else file_format
    render = {
        "text": make_report.render_text,
        "html": make_report.render_page,
        "json": make_report.render_json,
    }[file_format]
    content = render(document)
    make_report.record_report(
        database,
        mailing_list,
        document,
        content=content,
        file_format=file_format,
        now=context.now,
        actor=context.actor,
    )
    if output is None:
        click.echo(content, nl=False)
        return
    with open_private_file(context, output) as file:
        file.write(content.encode())
    echo(f"{document.title}: {output}")


COMMANDS = (register, report, breach)
