"""Serve the demonstration, to click through."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import click

from repermit.demo import pages
from repermit.demo.environment import DAYS, Demo, start_demo
from repermit.i18n import catalogues
from repermit.web.server import Server


def run_demo(language: str) -> int:
    """Serve the demonstration in a language until Ctrl-C; return the exit code."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s %(message)s")
    with start_demo(language) as demo:
        server = _make_server(demo)
        gettext = catalogues.load_translations(language).gettext
        running = gettext(
            "A campaign is running on this machine, for %(days)s days of its own clock."
        )
        rows = (
            (gettext("Look at it, and move its clock:"), f"{demo.settings.public_url}/"),
            (gettext("The inbox of everybody asked:"), f"{demo.settings.public_url}/inbox"),
            (
                gettext("The admin’s pages, logged in:"),
                gettext("press the button on the first page"),
            ),
        )
        click.echo(f"{running % {'days': DAYS}}\n")
        width = max(len(what) for what, _ in rows)
        for what, where in rows:
            click.echo(f"  {what:<{width}}  {where}")
        ends = gettext("Nothing leaves this machine, and nothing stays on it. Ctrl-C ends it.")
        click.echo(f"\n{ends}")
        server.run()
    return 0


def _make_server(demo: Demo) -> Server:
    return Server(
        demo.settings,
        database=demo.database,
        clock=demo.clock,
        host="127.0.0.1",
        port=demo.settings.web.port,
        around=lambda public: pages.add_demo_pages(public, demo),
    )


@contextmanager
def served(demo: Demo) -> Iterator[None]:
    """Serve the pages and run the jobs in a thread of their own."""
    server = _make_server(demo)
    thread = threading.Thread(target=server.run_here, name="stage")
    thread.start()
    try:
        yield
    finally:
        server.stop()
        thread.join()
