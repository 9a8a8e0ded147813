"""The form of a campaign's conditions: days and times as browsers send them, checked at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from wtforms import BooleanField, StringField, TextAreaField

from repermit.campaigns.draft_conditions import Conditions
from repermit.campaigns.send_plan import MORNING
from repermit.clock import parse_when
from repermit.errors import Refused
from repermit.i18n.lazy_text import N_
from repermit.web.admin.forms import Form
from repermit.web.admin.rendering import gettext
from repermit.web.admin.result_text import sentence
from repermit.web.request_context import arrival, current_site

_MOST_DAYS = 365
_MOST_PEOPLE = 10**9 - 1
_NUMBER = re.compile(r"[0-9]{1,9}")


class ConditionsForm(Form):
    """What a campaign is launched with, each as it was typed."""

    until = StringField(N_("Last day to answer"))
    until_time = StringField(N_("Time; empty for the end of that day"))
    starts = StringField(N_("First day of asking"))
    starts_time = StringField(N_("Time; empty for nine in the morning"))
    reminder = StringField(N_("Remind so many days before the deadline"))
    pilot = StringField(N_("Ask so many people first"))
    include_thin = BooleanField(
        N_("Also ask those whose sign-up was imported without the words they agreed to")
    )
    attest = TextAreaField(N_("Who decided to ask, and on what ground?"))

    def validate(self, extra_validators: Mapping[str, Any] | None = None) -> bool:
        """Say whether conditions can be made of it; what is still missing is no mistake."""
        super().validate(extra_validators)
        self._check_moment("until", "until_time", _moment_to_come)
        self._check_moment("starts", "starts_time", _start_to_come)
        self._check_number("reminder", most=_MOST_DAYS, lacks=N_("A number from 0 to 365."))
        self._check_number("pilot", most=_MOST_PEOPLE, lacks=N_("A whole number."))
        return not self.errors

    def _check_moment(self, day: str, time: str, read: Callable[[str], object]) -> None:
        try:
            read(when(self, day, time))
        except Refused as error:
            self.refuse(day, sentence(error.said))

    def _check_number(self, name: str, *, most: int, lacks: str) -> None:
        typed = _typed(self, name)
        if typed and not (_NUMBER.fullmatch(typed) and int(typed) <= most):
            self.refuse(name, gettext(lacks))


def when(form: Form, day: str, time: str) -> str:
    """Return a day and its time as the command line takes them, "" if neither is given."""
    typed_time = _typed(form, time)
    return f"{_typed(form, day)}T{typed_time}" if typed_time else _typed(form, day)


def moment(text: str) -> datetime | None:
    """Return WHEN as aware UTC, None for ""; raises Refused."""
    return parse_when(text, current_site().settings.zone) if text else None


def _moment_to_come(text: str) -> datetime | None:
    """Return a deadline; raises Refused for one that has passed."""
    found = moment(text)
    if found is not None and found <= arrival():
        raise Refused("this has passed already: choose a later day", code="deadline_typed")
    return found


def _start_to_come(text: str) -> datetime | None:
    """Return a start; raises Refused for one that has passed, of a day once it is over."""
    _moment_to_come(text)
    return start(text)


def start(text: str) -> datetime | None:
    """Return WHEN as aware UTC, of a day its morning, None for ""; raises Refused."""
    return moment(text if "T" in text or not text else f"{text}T{MORNING:%H:%M}")


def given(form: ConditionsForm) -> Conditions:
    """Return what a form that has been found good says."""
    return Conditions(
        deadline=when(form, "until", "until_time"),
        starts=when(form, "starts", "starts_time"),
        reminder=int(_typed(form, "reminder") or 0),
        pilot=int(_typed(form, "pilot") or 0),
        include_thin=bool(form.include_thin.data),
        attest=_typed(form, "attest").replace("\r\n", "\n"),
    )


def form_of(conditions: Conditions) -> ConditionsForm:
    """Return the form that says these conditions."""
    until, _, until_time = conditions.deadline.partition("T")
    starts, _, starts_time = conditions.starts.partition("T")
    return ConditionsForm(
        data={
            "until": until,
            "until_time": until_time,
            "starts": starts,
            "starts_time": starts_time,
            "reminder": str(conditions.reminder or ""),
            "pilot": str(conditions.pilot or ""),
            "include_thin": conditions.include_thin,
            "attest": conditions.attest,
        }
    )


def _typed(form: Form, name: str) -> str:
    return (form[name].data or "").strip()
