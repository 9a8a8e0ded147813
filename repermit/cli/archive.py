"""The command `archive`: a list in one file that outlasts the server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from repermit.cli.command import command, slug_argument
from repermit.cli.context import CommandContext, pass_command_context
from repermit.cli.output import echo, open_private_file, pluralize
from repermit.errors import Refused

if TYPE_CHECKING:
    from repermit.archives.make_archive import ArchiveSummary
    from repermit.db.models.lists import MailingList


@command(examples=("repermit archive news -o news.zip",))
@slug_argument
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    metavar="FILE.zip",
    help="A file that is not there yet; you alone can read it.",
)
@pass_command_context
def archive(context: CommandContext, slug: str, *, output: Path) -> None:
    """Put all that is to outlast the server into one file, also a page for old links.

    Who may be mailed and who not, the proofs, the papers, the record. It prints what no longer
    works once the server is switched off, and what then has to be done by hand.
    """
    from repermit.archives import make_archive

    if output.suffix.lower() != ".zip":
        raise click.UsageError(f"an archive is a ZIP: -o {output.with_suffix('.zip')}")
    if output.exists():
        raise Refused(f"{output} exists already, and nothing is written over: give another name")
    context.lower_priority()
    with context.mailing_list(slug) as (database, mailing_list):
        with open_private_file(context, output) as file:
            summary = make_archive.archive(
                mailing_list,
                database=database,
                settings=context.settings,
                now=context.now,
                actor=context.actor,
                out=file,
            )
        echo(f"{output}: {output.stat().st_size / 1e6:,.1f} MB, SHA-256 {summary.digest}.")
        echo(*_describe_held(summary))
        echo(*_describe_left_out(context, mailing_list))


def _describe_held(summary: ArchiveSummary) -> Iterator[str]:
    """Yield what the archive contains."""
    from repermit.exports.export_rows import ExportKind

    rows = summary.rows
    yield (
        f"  {rows[ExportKind.KEEP]:,} who may be mailed, "
        f"{rows[ExportKind.REMOVED]:,} who were removed, "
        f"{rows[ExportKind.UNASKED]:,} who could not be asked"
    )
    yield f"  {pluralize(summary.suppressions, 'suppression')}, as fingerprints"
    proofs = pluralize(summary.proofs, "proof")
    yield f"  {proofs}, up to entry {summary.checkpoint.seq:,} of the record"
    if summary.unproved:
        yield f"  No proof, since the record says nothing of them: {summary.unproved:,}"
    if summary.erased:
        erased = f"{summary.erased:,} more"
        yield f"  Removed and erased, so that the address is held no longer: {erased}"
    if not summary.has_report:
        yield "  No report, since there was no campaign"
    yield "README.txt in it says what each file is and who may see it. Keep it encrypted."


def _describe_left_out(context: CommandContext, mailing_list: MailingList) -> Iterator[str]:
    """Yield what no longer works without the server, and what people must then do by hand."""
    from repermit.archives import make_archive
    from repermit.db.models.lists import MailingList

    yield from ("", "Once the server is switched off, these no longer work:")
    yield from _format_numbers(make_archive.list_lost_functions("en"))
    yield from ("", "Then this has to be done by hand:")
    yield from _format_numbers(
        make_archive.list_duties(mailing_list, settings=context.settings, language="en")
    )
    other_slugs = [row.slug for row in MailingList.select().order_by(MailingList.slug)]
    other_slugs.remove(mailing_list.slug)
    if other_slugs:
        yield from ("", f"It serves other lists too, which end with it: {', '.join(other_slugs)}.")


def _format_numbers(texts: list[str]) -> Iterator[str]:
    for number, text in enumerate(texts, start=1):
        yield f"  {number}. {text}"


COMMANDS = (archive,)
