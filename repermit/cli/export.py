"""Commands that hand results over: export, reconcile."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from repermit.cli.command import command, json_option, output_option, slug_argument
from repermit.cli.context import CommandContext, pass_command_context
from repermit.cli.import_file import mapping_option
from repermit.cli.output import (
    echo,
    echo_counts,
    echo_json,
    open_output,
    pluralize,
    warn,
)
from repermit.errors import Refused

if TYPE_CHECKING:
    from repermit.cli.output import Tell

_KINDS = ("keep", "removed", "unasked", "evidence")
_FORMATS = ("csv", "json", "xlsx")
_TOOLS = ("mailchimp", "laposta", "brevo", "mailerlite", "outlook")


@command(
    examples=(
        "repermit export news keep -o keep.csv",
        "repermit export news keep -o keep.xlsx",
        "repermit export news keep --with-links --for mailchimp -o keep.csv",
        "repermit export news removed --for laposta -o take-off.csv",
        "repermit export news evidence -o evidence.json",
    )
)
@slug_argument
@click.argument("kind", metavar="|".join(_KINDS), type=click.Choice(_KINDS))
@click.option(
    "--format",
    "file_format",
    type=click.Choice(_FORMATS),
    help="[default: as the file's name ends, or csv]",
)
@click.option("--for", "tool", type=click.Choice(_TOOLS), help="In the form that this tool takes.")
@click.option("--with-links", is_flag=True, help="With a permanent unsubscribe_url for each.")
@output_option
@pass_command_context
def export(
    context: CommandContext,
    slug: str,
    kind: str,
    *,
    file_format: str | None,
    tool: str | None,
    with_links: bool,
    output: Path | None,
) -> None:
    """Export who stays, who was removed, who could not be asked, or the evidence.

    evidence is what the record has about the list, with names and addresses as far as they are
    kept, and who could log in. As JSON (-o FILE.json) anybody can check it: `repermit verify
    FILE.json`.
    """
    from repermit.exports import export as exports_export
    from repermit.exports import handover_steps

    file_format = _choose_format(file_format, output)
    if file_format == "xlsx" and output is None and sys.stdout.isatty():
        raise Refused("a spreadsheet is not for the screen: add -o FILE.xlsx")
    context.lower_priority()
    with (
        context.mailing_list(slug) as (database, mailing_list),
        open_output(context, output) as out,
    ):
        result = exports_export.write_export(
            mailing_list,
            kind,
            settings=context.settings,
            format=file_format,
            out=out,
            tool=tool,
            with_links=with_links,
            now=context.now,
            actor=context.actor,
            database=database,
        )
    tell: Tell = echo if output else warn
    if output is not None:
        echo(f"{pluralize(result.rows, 'row')} in {output}.")
        if result.checkpoint:
            echo(
                "The record's checkpoint with it; keep it where nobody who can write here reaches:"
            )
            echo(json.dumps(result.checkpoint.to_json()))
    if result.erased:
        tell(f"Erased, so that the address is held no longer: {result.erased:,} more.")
    if result.twice:
        tell(f"In two rows, since tools hold one form of the domain or the other: {result.twice:,}")
    for address in result.by_hand:
        warn(f"Not in the file, since a spreadsheet would take it for a formula: {address}")
    steps = handover_steps.list_steps(tool, kind, slug=slug) if tool else ()
    for number, step in enumerate(steps, start=1):
        tell(f"{number}. {step}")


def _choose_format(file_format: str | None, output: Path | None) -> str:
    """Return the format given by name or by the file's ending, CSV by default."""
    ending = output.suffix.lower().removeprefix(".") if output else ""
    if file_format is None and ending in _SPREADSHEET_SUFFIXES:
        raise click.UsageError(f"a spreadsheet is written as .xlsx, not as .{ending}")
    if file_format and ending in {*_FORMATS, *_SPREADSHEET_SUFFIXES} - {file_format}:
        raise click.UsageError(f"--format {file_format} does not go with a file called {output}")
    return file_format or (ending if ending in _FORMATS else "csv")


_SPREADSHEET_SUFFIXES = ("xls", "xlsm", "xlsb", "ods")


@command(examples=("repermit reconcile news mailchimp-today.zip",))
@slug_argument
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@mapping_option
@json_option
@pass_command_context
def reconcile(
    context: CommandContext, slug: str, file: Path, *, mapping: dict[str, str], as_json: bool
) -> None:
    """Compare a fresh export from your newsletter tool with what may be mailed.

    It knows erased people too, by their fingerprint.
    """
    from repermit.exports import reconcile as exports_reconcile

    with context.mailing_list(slug) as (_, mailing_list):
        result = exports_reconcile.reconcile(
            mailing_list, file, settings=context.settings, mapping=mapping
        )
    if as_json:
        echo_json(asdict(result))
        return
    echo_counts(exports_reconcile.count_findings(result), zeros=True)
    echo(*(f"  {line}" for line in exports_reconcile.format_lines(result)))
    echo(
        "",
        *(
            f"{n}. {step}"
            for n, step in enumerate(exports_reconcile.list_next_steps(result), start=1)
        ),
    )


COMMANDS = (export, reconcile)
