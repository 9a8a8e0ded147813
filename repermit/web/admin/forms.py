"""The common part of all admin forms: texts in the page's language.

Forms prove that they are ours by the guard, so that these are plain forms without a token of their
own.
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

# What wtforms itself says of a choice that it did not offer, so that catalogues know it.
N_("Not a valid choice.")


class _Texts:
    """The catalogue of the page, as wtforms asks for it."""

    def gettext(self, text: str) -> str:
        return gettext(text)

    def ngettext(self, singular: str, plural: str, count: int) -> str:
        # Not the one of `showing`, which fills in: wtforms does so itself, with names of its own.
        catalogue = catalogues.load_translations(get_page_language())
        return catalogue.ngettext(singular, plural, count)


class Form(wtforms.Form):  # type: ignore[misc]
    """A form whose labels and messages are marked with N_ and shown in the page's language."""

    class Meta:
        """Where texts come from."""

        def get_translations(self, _form: Any) -> _Texts:
            """Return the catalogue of the page."""
            return _Texts()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self:
            field.label.text = gettext(field.label.text)

    def validate(self, extra_validators: Mapping[str, Sequence[Any]] | None = None) -> bool:
        """Say whether the form is valid; errors are added to their fields."""
        is_valid: bool = super().validate(extra_validators)
        for field in self:
            field.errors = [gettext(str(error)) for error in field.errors]
        return is_valid

    def refuse(self, name: str, reason: str) -> None:
        """Write at a field, or at the form under a field's name, what speaks against it."""
        field = self[name]
        field.errors = [*field.errors, reason]


# --- What the pages say of passwords, of waiting and of roles, in words. --------------------------


_MINUTE = 60


def describe_weakness(weakness: Weakness) -> str:
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


def describe_wait(wait: timedelta) -> str:
    """Return how long to wait, after too many tries that were wrong."""
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
    """Return a browser's name and its system's, of what it says of itself; "" for none known.

    Each says that it is several others too, so the order counts.
    """
    names = {"Edg": "Edge", "OPR": "Opera", "Firefox": "Firefox", "FxiOS": "Firefox"}
    names |= {"Chrome": "Chrome", "CriOS": "Chrome", "Safari": "Safari"}
    systems = {"Windows": "Windows", "iPhone": "iPhone", "iPad": "iPad", "Android": "Android"}
    systems |= {"Mac OS": "macOS", "Linux": "Linux"}
    parts = (_find_first(user_agent, names), _find_first(user_agent, systems))
    return ", ".join(name for name in parts if name)


def _find_first(user_agent: str, names: dict[str, str]) -> str:
    return next((name for sign, name in names.items() if sign in user_agent), "")
