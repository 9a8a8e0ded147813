"""What commands share: help that ends with examples, which tests run, and files of text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from repermit.errors import NotFound, Refused


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


def _refuse_file_name(context: click.Context, _: click.Parameter, slug: str | None) -> str | None:
    """Refuse what no list can be called, but a file can: LIST and FILE are easily swapped."""
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


def _pick_language(_: click.Context, __: click.Parameter, wanted: str) -> str:
    """Return the one of ours that is wanted: "nl", "nl_NL.UTF-8"; "C" and "POSIX" are none."""
    from repermit.i18n import catalogues

    language = catalogues.choose_language(wanted.partition(".")[0], default="en")
    return language if language == "nl" else "en"


language_option = click.option(
    "--language",
    envvar=("LC_ALL", "LC_MESSAGES", "LANG"),
    default="en",
    metavar="CODE",
    callback=_pick_language,
    help="en or nl.  [default: that of LC_ALL, LC_MESSAGES or LANG]",
)


# --- Texts that the admin gives in files of their own. --------------------------------------------


def read_text(path: Path) -> str:
    """Return what stands in a text file in UTF-8; raises NotFound."""
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise NotFound(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise NotFound(f"{path} is no UTF-8 text; save it as plain text in UTF-8") from None


def read_consent_text(path: Path) -> str:
    """Return the text of a form; raises NotFound, and Refused for one that says nothing."""
    text = read_text(path)
    if not text.removeprefix("\ufeff").strip():
        raise Refused(
            f"{path} holds no text: put the text of the form there with which these people "
            "signed up, or leave --consent-text out"
        )
    return text
