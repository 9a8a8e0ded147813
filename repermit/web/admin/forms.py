"""The base class of admin forms, with texts in the page's language, and common texts.

The guard checks the CSRF token, so these forms have no token field.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import wtforms

from repermit.accounts.passwords import MIN_LENGTH as SHORTEST_PASSWORD
from repermit.accounts.passwords import Weakness
from repermit.accounts.user_info import Role
from repermit.i18n import catalogues
from repermit.i18n.lazy_text import N_
from repermit.web.admin.rendering import get_page_language, gettext, ngettext

# A message of wtforms, marked for the catalogues.
N_("Not a valid choice.")


class _Texts:
    """The translations of the page, with the interface of wtforms."""

    def gettext(self, text: str) -> str:
        return gettext(text)

    def ngettext(self, singular: str, plural: str, count: int) -> str:
        # Not that of `rendering`, which fills in the count: wtforms does so itself.
        catalogue = catalogues.load_translations(get_page_language())
        return catalogue.ngettext(singular, plural, count)


class Form(wtforms.Form):  # type: ignore[misc]
    """A form whose labels and messages are marked with N_ and shown in the page's language."""

    class Meta:
        """Settings of wtforms."""

        def get_translations(self, _form: Any) -> _Texts:
            """Return the translations of the page."""
            return _Texts()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self:
            field.label.text = gettext(field.label.text)

    def validate(self, extra_validators: Mapping[str, Sequence[Any]] | None = None) -> bool:
        """Return whether the form is valid; errors are added to their fields."""
        is_valid: bool = super().validate(extra_validators)
        for field in self:
            field.errors = [gettext(str(error)) for error in field.errors]
        return is_valid

    def refuse(self, name: str, reason: str) -> None:
        """Add an error to a field."""
        field = self[name]
        field.errors = [*field.errors, reason]


# --- Texts about passwords, waits, roles and browsers. --------------------------------------------


_MINUTE = 60


def describe_weakness(weakness: Weakness) -> str:
    """Explain why a password may not be chosen."""
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


def describe_wait(wait: timedelta) -> str:
    """Describe how long to wait after too many wrong attempts."""
    seconds = to_seconds(wait)
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


def to_seconds(wait: timedelta) -> int:
    """Return a wait in whole seconds, rounded up."""
    return math.ceil(wait.total_seconds())


def describe_role(role: Role) -> str:
    """Return the title of a role."""
    return {Role.ADMIN: gettext("Admin"), Role.VIEWER: gettext("Viewer")}[role]


def describe_browser(user_agent: str) -> str:
    """Return the browser and system that a User-Agent names; "" if both are unknown.

    A User-Agent names several other browsers too, so the order matters.
    """
    names = {"Edg": "Edge", "OPR": "Opera", "Firefox": "Firefox", "FxiOS": "Firefox"}
    names |= {"Chrome": "Chrome", "CriOS": "Chrome", "Safari": "Safari"}
    systems = {"Windows": "Windows", "iPhone": "iPhone", "iPad": "iPad", "Android": "Android"}
    systems |= {"Mac OS": "macOS", "Linux": "Linux"}
    parts = (_find_first(user_agent, names), _find_first(user_agent, systems))
    return ", ".join(name for name in parts if name)


def _find_first(user_agent: str, names: dict[str, str]) -> str:
    return next((name for marker, name in names.items() if marker in user_agent), "")
