"""The tree of commands, for tests that hold it to its help and to the documentation."""

from __future__ import annotations

import sysconfig
from collections.abc import Iterator
from pathlib import Path

import click

from repermit.cli import cli
from repermit.cli.command import Command, Group

REPERMIT = Path(sysconfig.get_path("scripts")) / "repermit"
"""The script that the package installs."""


def commands(group: Group = cli, *path: str) -> Iterator[tuple[tuple[str, ...], Command]]:
    """Yield every command with its path, the groups too."""
    yield path, group
    for name, found in group.commands.items():
        assert isinstance(found, Command)
        if isinstance(found, Group):
            yield from commands(found, *path, name)
        else:
            yield (*path, name), found


COMMANDS = {" ".join(("repermit", *path)): found for path, found in commands()}


def parse(arguments: list[str]) -> None:
    """Read arguments down to the command, which is not carried out."""
    context, rest = cli.make_context("repermit", arguments), arguments
    while isinstance(context.command, click.Group):
        rest = [*context._protected_args, *context.args]
        _, found, rest = context.command.resolve_command(context, rest)
        assert found is not None
        context = (
            found.make_context(found.name, rest, parent=context)
            if "--help" not in rest
            else click.Context(found, parent=context)
        )
