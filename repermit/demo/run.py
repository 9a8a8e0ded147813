"""Run the demonstration: to click through, or once by itself with the result printed."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import click

from repermit.campaigns import progress
from repermit.campaigns.campaign_results import CampaignStatus
from repermit.demo import pages, story
from repermit.demo.environment import DAYS, Stage, set_stage
from repermit.demo.simulated_people import play
from repermit.expiry import sweep
from repermit.rules.consent import CampaignState
from repermit.sending import send_due
from repermit.web.server import Server


def run_demo() -> int:
    """Serve the demonstration until Ctrl-C; return the exit code."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s %(message)s")
    with set_stage() as stage:
        server = _server(stage)
        base = stage.settings.public_url
        click.echo(
            f"A campaign is running on this machine, for {DAYS} days of its own clock.\n\n"
            f"  Look at it, and move its clock:  {base}/\n"
            f"  The inbox of everybody asked:    {base}/inbox\n\n"
            "Nothing leaves this machine, and nothing stays on it. Ctrl-C ends it."
        )
        server.run()
    return 0


def run_once() -> int:
    """Play a whole campaign through and print its result.

    Return 0 if all numbers add up, 1 if not.
    """
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s %(message)s")
    with set_stage() as stage, served(stage):
        send_all(stage)
        asked = stage.inbox.mails
        play(asked, late=False)
        stage.move_to_deadline()
        expire_all(stage)
        play(asked, late=True)
        return 0 if story.tell(stage) else 1


def _server(stage: Stage) -> Server:
    return Server(
        stage.settings,
        database=stage.database,
        clock=stage.clock,
        host="127.0.0.1",
        port=stage.settings.web.port,
        around=lambda public: pages.beside(public, stage),
    )


@contextmanager
def served(stage: Stage) -> Iterator[None]:
    """Serve the pages and run the jobs in a thread of their own."""
    server = _server(stage)
    thread = threading.Thread(target=server.run_here, name="stage")
    thread.start()
    try:
        yield
    finally:
        server.stop()
        thread.join()


def send_all(stage: Stage) -> None:
    """Send until no ask is under way; the job beside it may be sending too."""
    while _state(stage) is CampaignState.SENDING:
        send_due.send_due(stage.database, settings=stage.settings, clock=stage.clock)
        _breath.wait(_BREATH_SECONDS)


def expire_all(stage: Stage) -> None:
    """Expire until the campaign is closed; the job beside it may be expiring too."""
    while _state(stage) is not CampaignState.CLOSED:
        sweep.expire_due(stage.database, settings=stage.settings, clock=stage.clock)
        _breath.wait(_BREATH_SECONDS)


def _status(stage: Stage) -> CampaignStatus:
    return progress.read_status(stage.mailing_list, settings=stage.settings, now=stage.clock.now())


def _state(stage: Stage) -> CampaignState | None:
    campaign = _status(stage).campaign
    return campaign.state if campaign else None


_breath = threading.Event()
_BREATH_SECONDS = 0.05
