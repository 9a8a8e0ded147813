"""The documentation on the terminal: the command `help`."""

from __future__ import annotations

import click

from repermit.cli.command import command, language_option
from repermit.cli.output import echo
from repermit.errors import NotFound


@command("help", examples=("repermit help", "repermit help check", "repermit help how-to/keys"))
@click.argument("topic", required=False)
@language_option
def show_help(topic: str | None, language: str) -> None:
    """Print a page of the documentation, or the names and titles of all pages.

    A page is also found by its title in English or Dutch, such as "Uw woorden".
    """
    import difflib

    from rich.console import Console
    from rich.markdown import Markdown

    from repermit import documentation
    from repermit.i18n import catalogues

    gettext = catalogues.load_translations(language).gettext
    pages = documentation.list_pages(language)
    if topic is None:
        echo(gettext("Pages, for `repermit help PAGE`:"), "")
        width = max(len(page.name) for page in pages)
        for page in pages:
            echo(f"  {page.name:<{width}}  {page.title}")
        return
    # Titles match in either language. Of two pages with the same title, the first one in the
    # reader's language wins, as it comes last here.
    searched = (*documentation.list_pages("nl"), *documentation.list_pages("en"), *reversed(pages))
    titles = {documentation.slugify(page.title): page for page in searched}
    match = documentation.find_page(topic, language=language)
    if match := match or titles.get(documentation.slugify(topic)):
        text = documentation.render_text(match)
        Console(highlight=False, width=None).print(Markdown(text, hyperlinks=False))
        return
    last = documentation.slugify(topic.rpartition("/")[2])
    names = titles | {page.name.rpartition("/")[2]: page for page in pages}
    similar = difflib.get_close_matches(last, names, n=1)
    if similar:
        text = gettext(
            "there is no page %(topic)s; did you mean %(page)s? `repermit help` lists all"
        )
        raise NotFound(text % {"topic": topic, "page": names[similar[0]].name})
    text = gettext("there is no page %(topic)s; `repermit help` lists all")
    raise NotFound(text % {"topic": topic})


COMMANDS = (show_help,)
