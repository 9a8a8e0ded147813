"""What every command has: help that ends with examples, which the tests run through the parser.

May import click only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable


class Command(click.Command):
    """A command whose help shows how it is typed; an example may run over several lines."""

    def __init__(self, *args: Any, examples: tuple[str, ...], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = examples

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples as they are: wrapped, they could not be copied."""
        super().format_epilog(ctx, formatter)
        with formatter.section("Examples" if len(self.examples) > 1 else "Example"):
            for line in "\n".join(self.examples).splitlines():
                formatter.write(f"{'':{formatter.current_indent}}{line}\n")


class Group(Command, click.Group):
    """A command that has commands."""


def command(
    name: str | None = None, *, examples: tuple[str, ...]
) -> Callable[[Callable[..., Any]], Command]:
    """Make a function a command."""
    return click.command(name, cls=Command, examples=examples)


slug_argument = click.argument("slug", metavar="LIST")
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
