"""The page behind an ask's links, made where no request is: by a command that launches."""

from __future__ import annotations

from collections.abc import Callable

from flask import Flask, g

from repermit.clock import Clock
from repermit.contacts.click_log import PendingOpenings
from repermit.db.connection import Database
from repermit.emails.frozen_draft import Draft
from repermit.settings.definitions import Settings
from repermit.signed_links import Links
from repermit.web.public import answer
from repermit.web.request_context import Site


def prepare_page_wording(
    settings: Settings, *, clock: Clock, database: Database
) -> Callable[[Draft], str]:
    """Return what makes the text of such a page from an ask's wording, with the database open."""
    app = Flask("repermit", static_folder=None, template_folder=None)
    app.extensions["repermit"] = Site(
        settings=settings,
        clock=clock,
        database=database,
        links=Links(settings.public_url, settings.secret_keys),
        openings=PendingOpenings(),
    )

    def make_page_wording(draft: Draft) -> str:
        with app.app_context():
            g.arrived = clock.now()
            return answer.make_unanswered_wording(draft)

    return make_page_wording
