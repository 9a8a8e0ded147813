"""The command `backup`, which copies the database."""

from __future__ import annotations

from pathlib import Path

import click

from repermit.cli.command import command
from repermit.cli.context import CommandContext, pass_command_context
from repermit.cli.output import echo

_ADVICE = (
    "It does not hold the journal: copy that along.",
    "Nor does it hold config.toml and the keys: keep a copy of those in another place.",
    "It holds people who may be erased later, and their addresses: let it expire.",
)


@command(examples=("repermit backup /srv/repermit/repermit-backup.db",))
@click.argument("file", type=click.Path(path_type=Path))
@pass_command_context
def backup(context: CommandContext, file: Path) -> None:
    """Copy the database to FILE while it runs, and check the copy.

    FILE must not be there yet, and you alone can read it. Nobody waits for it.
    """
    from repermit.backups import backup as backups_backup

    context.lower_priority()
    with context.database() as database:
        result = backups_backup.back_up(
            database, file, settings=context.file, now=context.now, actor=context.actor
        )
    echo(
        f"{result.path}: {result.size / 1e6:,.1f} MB, checked.",
        f"It ends with entry {result.checkpoint.seq:,} of the evidence, {result.checkpoint.hash}.",
        *_ADVICE,
    )


COMMANDS = (backup,)
