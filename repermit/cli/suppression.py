"""Commands that export and import suppressions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from repermit.cli.command import Group, command, output_option, slug_argument
from repermit.cli.context import CommandContext, pass_command_context
from repermit.cli.import_file import mapping_option
from repermit.cli.output import echo, echo_counts, open_output, pluralize

if TYPE_CHECKING:
    from repermit.imports.suppression_import import SuppressionImportResult


@click.group(
    cls=Group,
    examples=(
        "repermit suppression export news -o suppressed.csv",
        "repermit suppression import news unsubscribed.csv --dry-run",
    ),
)
def suppression() -> None:
    """Hand over who is not to be asked, as fingerprints, or take it in."""


@command(
    examples=(
        "repermit suppression export news -o suppressed.csv",
        "repermit suppression export news --format json",
    )
)
@slug_argument
@click.option(
    "--format",
    "file_format",
    type=click.Choice(("csv", "json")),
    default="csv",
    help="[default: csv]",
)
@output_option
@pass_command_context
def export(context: CommandContext, slug: str, *, file_format: str, output: Path | None) -> None:
    """Export the fingerprints of who is not to be asked, for a system with the same key.

    No address stands in it.
    """
    from repermit.suppression import fingerprint_files

    with (
        context.mailing_list(slug) as (database, mailing_list),
        open_output(context, output) as file,
    ):
        rows = fingerprint_files.write_suppressions(
            database,
            mailing_list,
            out=file,
            form=file_format,
            settings=context.settings,
            now=context.now,
            actor=context.actor,
        )
    if output is not None:
        echo(f"{pluralize(rows, 'suppression')} in {output}.")


@command(
    "import",
    examples=(
        "repermit suppression import news suppressed.csv",
        "repermit suppression import news unsubscribed.xlsx --dry-run",
    ),
)
@slug_argument
@click.argument("file", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@mapping_option
@click.option("--dry-run", is_flag=True, help="Show what would happen; write nothing.")
@pass_command_context
def import_(
    context: CommandContext,
    slug: str,
    file: tuple[Path, ...],
    *,
    mapping: dict[str, str],
    dry_run: bool,
) -> None:
    """Take in who is not to be asked: fingerprints of the same key, addresses, or hashes.

    Hashes are MD5, SHA-1 or SHA-256 of the lower-cased address, without salt. They are held against
    the addresses on the list; those that fit none are lost, and counted.
    """
    from repermit.imports import suppression_import

    with context.mailing_list(slug) as (database, mailing_list):
        for row in file:
            result = suppression_import.import_suppressions(
                database,
                mailing_list,
                row,
                mapping=mapping,
                dry_run=dry_run,
                settings=context.settings,
                now=context.now,
                actor=context.actor,
            )
            _print_result(row, result, dry_run=dry_run)


def _print_result(file: Path, result: SuppressionImportResult, *, dry_run: bool) -> None:
    verb = "would be taken in; nothing was written" if dry_run else "taken in"
    echo(f"{file.name}: {pluralize(result.rows, 'row')} of {result.kind} {verb}:")
    echo_counts(
        {
            "suppressed now": result.added,
            "suppressed before": result.known,
            "said Yes here themselves, which holds": result.kept,
            "no address": result.invalid,
            "stood there before": result.duplicates,
            "hashes that fit nobody on the list": result.not_placed,
        }
    )
    if result.removed:
        verb = "would go" if dry_run else "are off"
        echo(f"Of them were on the list, and {verb}: {result.removed:,}")
    if result.not_placed:
        echo(
            "A hash does not tell its address: who comes onto the list later is not recognised by "
            "it. Take this file in again after each import, or ask for the addresses."
        )


suppression.add_command(export)
suppression.add_command(import_)

COMMANDS = (suppression,)
