"""Shared parts of commands: help with examples (which tests run), options, and text files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from repermit.errors import NotFound, Refused


class Command(click.Command):
    """A command whose help ends with examples; an example may have several lines."""

    def __init__(self, *args: Any, examples: tuple[str, ...], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = examples

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples without wrapping, so that they can be copied."""
        super().format_epilog(ctx, formatter)
        with formatter.section("Examples" if len(self.examples) > 1 else "Example"):
            for line in "\n".join(self.examples).splitlines():
                formatter.write(f"{'':{formatter.current_indent}}{line}\n")


class Group(Command, click.Group):
    """A command with subcommands."""


def command(
    name: str | None = None, *, examples: tuple[str, ...]
) -> Callable[[Callable[..., Any]], Command]:
    """Return a decorator that turns a function into a command."""
    return click.command(name, cls=Command, examples=examples)


def _refuse_file_name(context: click.Context, _: click.Parameter, slug: str | None) -> str | None:
    """Refuse a file's name in place of a list's: LIST and FILE are easily swapped."""
    if slug is None or not set(slug) & set("./\\"):
        return slug
    message = f"{slug} looks like a file, not like a list such as news"
    if any(parameter.name == "file" for parameter in context.command.params):
        message += f"; the list comes first: {context.command_path} LIST FILE"
    raise click.BadParameter(message)


slug_argument = click.argument("slug", metavar="LIST", callback=_refuse_file_name)
any_slug_argument = click.argument(
    "slug", metavar="[LIST]", required=False, callback=_refuse_file_name
)
output_option = click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A file that you alone can read.  [default: stdout]",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")


def _pick_language(_: click.Context, __: click.Parameter, locale: str) -> str:
    """Return "nl" for a locale such as "nl_NL.UTF-8", otherwise "en", also for "C" and "POSIX"."""
    from repermit.i18n import catalogues

    language = catalogues.choose_language(locale.partition(".")[0], default="en")
    return language if language == "nl" else "en"


language_option = click.option(
    "--language",
    envvar=("LC_ALL", "LC_MESSAGES", "LANG"),
    default="en",
    metavar="CODE",
    callback=_pick_language,
    help="en or nl.  [default: that of LC_ALL, LC_MESSAGES or LANG]",
)


# --- Reading text files. --------------------------------------------------------------------------


def read_text(path: Path) -> str:
    """Return the content of a text file in UTF-8; raises NotFound."""
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise NotFound(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise NotFound(f"{path} is no UTF-8 text; save it as plain text in UTF-8") from None


def read_consent_text(path: Path) -> str:
    """Return the text of a sign-up form; raises NotFound, and Refused for an empty one."""
    text = read_text(path)
    if not text.removeprefix("\ufeff").strip():
        raise Refused(
            f"{path} holds no text: put the text of the form there with which these people "
            "signed up, or leave --consent-text out"
        )
    return text
