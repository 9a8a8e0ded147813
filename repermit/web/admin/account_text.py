"""What the pages say of passwords, of waiting and of roles, in words."""

from __future__ import annotations

import math
from datetime import timedelta

from repermit.accounts.passwords import SHORTEST as SHORTEST_PASSWORD
from repermit.accounts.passwords import Weakness
from repermit.accounts.user_info import Role
from repermit.web.admin.rendering import gettext, ngettext

_MINUTE = 60


def weakness_in_words(weakness: Weakness) -> str:
    """Return why a password may not be chosen."""
    return {
        Weakness.SHORT: gettext(
            "It is too short: take %(count)d signs or more, for instance four words.",
            count=SHORTEST_PASSWORD,
        ),
        Weakness.LONG: gettext("It is too long to be typed again."),
        Weakness.COMMON: gettext("It is a common one, or easily guessed: take other words."),
        Weakness.ADDRESS: gettext("It holds a part of your e-mail address."),
        Weakness.ORGANISATION: gettext("It holds a word of the organisation’s name."),
    }[weakness]


def wait_in_words(wait: timedelta) -> str:
    """Return how long to wait, after too many tries that were wrong."""
    seconds = seconds_of(wait)
    if seconds < _MINUTE:
        return ngettext(
            "Too many tries went wrong. Please wait one second, then try again.",
            "Too many tries went wrong. Please wait %(count)s seconds, then try again.",
            seconds,
        )
    return ngettext(
        "Too many tries went wrong. Please wait one minute, then try again.",
        "Too many tries went wrong. Please wait %(count)s minutes, then try again.",
        -(-seconds // _MINUTE),
    )


def seconds_of(wait: timedelta) -> int:
    """Return a wait in whole seconds, rounded up."""
    return math.ceil(wait.total_seconds())


def role_in_words(role: Role) -> str:
    """Return what somebody may do."""
    return {Role.ADMIN: gettext("Admin"), Role.VIEWER: gettext("Viewer")}[role]


def browser_in_words(said: str) -> str:
    """Return a browser's name and its system's, of what it says of itself; "" for none known.

    Each says that it is several others too, so the order counts.
    """
    names = {"Edg": "Edge", "OPR": "Opera", "Firefox": "Firefox", "FxiOS": "Firefox"}
    names |= {"Chrome": "Chrome", "CriOS": "Chrome", "Safari": "Safari"}
    systems = {"Windows": "Windows", "iPhone": "iPhone", "iPad": "iPad", "Android": "Android"}
    systems |= {"Mac OS": "macOS", "Linux": "Linux"}
    found = (_first(said, names), _first(said, systems))
    return ", ".join(name for name in found if name)


def _first(said: str, names: dict[str, str]) -> str:
    return next((name for sign, name in names.items() if sign in said), "")
