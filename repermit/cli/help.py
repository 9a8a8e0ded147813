"""The documentation on the terminal: the command `help`."""

from __future__ import annotations

import difflib

import click

from repermit.cli.command import command
from repermit.cli.output import echo
from repermit.errors import NotFound


@command("help", examples=("repermit help", "repermit help check", "repermit help how-to/keys"))
@click.argument("topic", required=False)
@click.option(
    "--language",
    envvar=("LC_ALL", "LC_MESSAGES", "LANG"),
    default="en",
    metavar="CODE",
    help="en or nl.  [default: that of LC_ALL, LC_MESSAGES or LANG]",
)
def show_help(topic: str | None, language: str) -> None:
    """Print a page of the documentation, or the names and titles of all pages.

    A page is also found by its title, such as "Uw woorden".
    """
    from rich.console import Console
    from rich.markdown import Markdown

    from repermit import documentation
    from repermit.i18n import catalogues

    # "nl", "nl_NL.UTF-8", "nl.UTF-8"; "C" and "POSIX" are none of ours.
    language = catalogues.pick_language(language.partition(".")[0], otherwise="en")
    gettext = catalogues.translations(language).gettext
    pages = documentation.list_pages(language)
    if topic is None:
        echo(gettext("Pages, for `repermit help PAGE`:"), "")
        width = max(len(page.name) for page in pages)
        for page in pages:
            echo(f"  {page.name:<{width}}  {page.title}")
        return
    titles = {documentation.slugify(page.title): page.name for page in reversed(pages)}
    for name in (topic, titles.get(documentation.slugify(topic), "")):
        if found := documentation.find_page(name, language=language):
            Console(highlight=False, width=None).print(Markdown(found.text, hyperlinks=False))
            return
    last = documentation.slugify(topic.rpartition("/")[2])
    names = titles | {page.name.rpartition("/")[2]: page.name for page in pages}
    near = difflib.get_close_matches(last, names, n=1)
    hint = f"did you mean {names[near[0]]}? " if near else ""
    raise NotFound(f"there is no page {topic}; {hint}`repermit help` lists all")


COMMANDS = (show_help,)
