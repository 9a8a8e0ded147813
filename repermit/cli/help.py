"""The documentation on the terminal: the command `help`."""

from __future__ import annotations

import difflib

import click

from repermit.cli.command import command
from repermit.cli.output import echo
from repermit.errors import NotFound


@command("help", examples=("repermit help", "repermit help check", "repermit help how-to/keys"))
@click.argument("topic", required=False)
@click.option("--language", default="en", metavar="CODE", help="en or nl.  [default: en]")
def show_help(topic: str | None, language: str) -> None:
    """Print a page of the documentation, or the names of all pages."""
    from rich.console import Console
    from rich.markdown import Markdown

    from repermit import documentation

    if topic is None:
        echo("Pages, for `repermit help PAGE`:", "")
        for name in documentation.list_names():
            echo(f"  {name}")
        return
    page = documentation.find_page(topic, language=language)
    if page is None:
        last = topic.rpartition("/")[2]
        pages = {name.rpartition("/")[2]: name for name in documentation.list_names()}
        near = difflib.get_close_matches(last, pages, n=1)
        hint = f"did you mean {pages[near[0]]}? " if near else ""
        raise NotFound(f"there is no page {topic}; {hint}`repermit help` lists all")
    Console(highlight=False, width=None).print(Markdown(page.text, hyperlinks=False))


COMMANDS = (show_help,)
