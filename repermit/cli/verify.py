"""Whether the chain of evidence holds: the command `verify`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from repermit.cli.command import command, json_option
from repermit.cli.context import CommandContext, pass_command_context
from repermit.cli.output import echo, echo_json, pluralize
from repermit.cli.proof import print_checkpoint, read_checkpoint, verify_file
from repermit.errors import Refused

if TYPE_CHECKING:
    from repermit.evidence.entries import Checkpoint
    from repermit.evidence.verify.chain import Verified


@command(
    examples=(
        "repermit verify",
        "repermit verify --json",
        "repermit verify --checkpoint checkpoint.json",
        "repermit verify --checkpoint checkpoint.json --json",
        "repermit verify jan.json",
        "repermit verify jan.json --checkpoint checkpoint.json",
    )
)
@click.argument("file", metavar="[FILE]", type=click.Path(path_type=Path), required=False)
@click.option(
    "--checkpoint",
    "kept",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A checkpoint that you kept elsewhere: what this command or `status --json` printed then.",
)
@json_option
@pass_command_context
def verify(context: CommandContext, file: Path | None, kept: Path | None, *, as_json: bool) -> int:
    """Walk the chain of evidence, and name the first entry that does not hold; or check a proof.

    Prints a checkpoint: keep it where nobody who can write to the database can reach it. Given
    again, it also shows a tail that was cut off or rewritten since. The exit code is 1 if something
    does not hold, or cannot be told.

    FILE is a proof, as `repermit proof` writes it or in the ZIP of a page, or what --checkpoint and
    --json printed: it is checked without settings, database or network, and told in words.
    """
    from repermit.evidence.verify import chain

    if file is not None and as_json:
        raise click.UsageError("--json is for the chain: a proof is JSON itself")
    known = None if kept is None else read_checkpoint(kept)
    if file is not None:
        verify_file(file, known=known)
        return 0
    context.lower_priority()
    with context.database() as database:
        result = chain.verify_chain(
            database, known=known, fingerprint_key=context.file.fingerprint_key, now=context.now
        )
    if as_json:
        echo_json(result.to_json())
        return 0 if result.fault is None else 1
    if result.checkpoint is None:
        raise Refused(f"the chain does not hold: {result.fault}")
    _print_result(result, result.checkpoint, known)
    return 0


def _print_result(result: Verified, checkpoint: Checkpoint, known: Checkpoint | None) -> None:
    parts = pluralize(result.parts, "part")
    erased = f" ({result.erased:,} more were erased)" if result.erased else ""
    wordings = pluralize(result.wordings, "wording")
    counts = f"{_count_entries(result.entries)}, {parts}{erased}, {wordings}"
    echo(f"The chain holds: {counts}.")
    if known is not None:
        echo(f"It goes on from your checkpoint at entry {known.seq:,}.")
    echo(
        "", "Checkpoint, for `--checkpoint`; keep it where nobody who can write here can reach it:"
    )
    print_checkpoint(checkpoint)


def _count_entries(count: int) -> str:
    return "1 entry" if count == 1 else f"{count:,} entries"


COMMANDS = (verify,)
