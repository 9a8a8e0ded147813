"""What one installation's pages work with, and the request's moment and trace."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import datetime

from flask import current_app, g, request

from repermit.clock import Clock
from repermit.contacts.click_log import PendingOpenings
from repermit.db.connection import Database
from repermit.setting_overrides.current_settings import CurrentSettings
from repermit.settings.definitions import Settings
from repermit.signed_links import Links
from repermit.web.client_address import mask_network

LONGEST_WAIT = 2.0
"""Seconds that somebody waits for an answer to be recorded before they are asked to press again."""

SECONDS_LEFT = "repermit.seconds_left"
"""By which name the environment of a request says how many of these there are left."""

ARRIVED = "repermit.arrived"
"""By which name it says when the last byte of a request came, aware UTC."""

KEEPS_CONNECTION = "repermit.keeps_connection"
"""By which name it says that the thread keeps its connection to the database for later requests."""

_LONGEST_BROWSER = 300


@dataclass(frozen=True, kw_only=True)
class Site:
    """Settings, clock, database and links of the application, and openings to be written."""

    settings: Settings
    clock: Clock
    database: Database
    links: Links
    openings: PendingOpenings


def get_site() -> Site:
    """Return the site of the request under way, with the settings that held when it began."""
    site: Site = g.get("site") or current_app.extensions["repermit"]
    return site


def get_file_settings() -> Settings:
    """Return the settings of config.toml alone, without the overrides from the pages."""
    return _get_current_settings().file


def load_settings() -> None:
    """Take the settings as they are now, for the whole of a request that has the database open."""
    if "opened" in g:
        g.site = replace(get_site(), settings=_get_current_settings().settings())
        g.texts = _get_current_settings().texts


def _get_current_settings() -> CurrentSettings:
    present: CurrentSettings = current_app.extensions["repermit.present"]
    return present


def stamp_arrival() -> None:
    """Note when the request arrived, before anything could make it wait (invariant 10).

    The server in front knows it, before the request waits for a thread.
    """
    g.arrived = request.environ.get(ARRIVED) or get_site().clock.now()
    g.waits_until = time.monotonic() + request.environ.get(SECONDS_LEFT, LONGEST_WAIT)


def get_seconds_left() -> float:
    """Return how long the request under way may still wait for its turn to write; 0 if no more."""
    seconds: float = g.waits_until - time.monotonic()
    return max(seconds, 0.0)


def get_arrival() -> datetime:
    """Return when the request arrived, aware UTC."""
    arrived: datetime = g.arrived
    return arrived


def make_trace() -> dict[str, str]:
    """Return the request's trace: its network in part (198.51.100.0/24), and the browser's name."""
    return {
        "network": mask_network(request.remote_addr or ""),
        "browser": request.headers.get("User-Agent", "")[:_LONGEST_BROWSER],
    }


def count_forwarded() -> int:
    """Return how many addresses X-Forwarded-For names: each web server on the way adds one."""
    named = request.headers.get("X-Forwarded-For", "").split(",")
    return sum(1 for address in named if address.strip())
