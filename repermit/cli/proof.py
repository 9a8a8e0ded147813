"""The command `proof`: the evidence about one person, in a file that anybody can check."""

from __future__ import annotations

from pathlib import Path

import click

from repermit.cli.checkpoints_and_keys import read_checkpoint
from repermit.cli.command import command, slug_argument
from repermit.cli.context import CommandContext, pass_command_context
from repermit.cli.output import echo, open_private_file


@command(
    examples=(
        "repermit proof news jan@example.org -o jan.json",
        "repermit proof news jan@example.org",
        "repermit proof news jan@example.org --checkpoint receipt.json -o jan.json",
    )
)
@slug_argument
@click.argument("address", metavar="ADDRESS")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    metavar="FILE",
    help="A file that you alone can read, and a page to print beside it.  [default: stdout]",
)
@click.option(
    "--checkpoint",
    "checkpoint_path",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A checkpoint that whoever asks holds, such as a receipt: the proof shows them that the "
    "record goes on from there.",
)
@pass_command_context
def proof(
    context: CommandContext,
    slug: str,
    address: str,
    *,
    output: Path | None,
    checkpoint_path: Path | None,
) -> None:
    """Prove what one person said: a file that anybody can check without this system.

    It holds their entries of the record, the words that they saw, and what it takes to check
    them; nothing of anybody else. Also of an address that was erased, as long as its proof is
    kept. The record tells that it was made.
    """
    from repermit.accounts import audit_log
    from repermit.privacy import make_proof, printable_proof
    from repermit.reports.data_recipients import describe_for_proofs

    page = _make_page_path(output)
    checkpoint = None if checkpoint_path is None else read_checkpoint(checkpoint_path)
    with context.mailing_list(slug) as (database, mailing_list):
        result = make_proof.prove_address(
            database,
            mailing_list,
            address,
            settings=context.settings,
            now=context.now,
            actor=context.actor,
            known=checkpoint,
            register=describe_for_proofs(mailing_list.slug, settings=context.settings),
        )
        with database.atomic():
            audit_log.record_access(
                now=context.now,
                actor=context.actor,
                act="proved",
                mailing_list=mailing_list,
                subject=result.subject,
            )
        language, zone = mailing_list.language, context.settings.zone
    if output is None or page is None:
        click.echo(result.text, nl=False)
        return
    for path, text in (
        (output, result.text),
        (page, printable_proof.make_proof_page(result.document, language=language, zone=zone)),
    ):
        with open_private_file(context, path) as file:
            file.write(text.encode())
    echo(f"The proof is in {output}; {page} is for reading and printing.")
    echo(f"Anybody can check it: repermit verify {output}")


def _make_page_path(output: Path | None) -> Path | None:
    """Return the path of a proof's page, None if the proof goes to stdout."""
    if output is None or str(output) == "-":
        return None
    page = output.with_suffix(".html")
    if page == output:
        raise click.UsageError("FILE is for the JSON, such as jan.json; jan.html comes beside it")
    return page


COMMANDS = (proof,)
