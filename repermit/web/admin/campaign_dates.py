"""Step 4 of a campaign: its conditions, such as deadline and attestation, and the check."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, request
from wtforms import BooleanField, SelectField, StringField, TextAreaField
from wtforms.fields.choices import SelectChoice

from repermit.campaigns import campaign_draft, launch_refusals
from repermit.campaigns.campaign_draft import Conditions
from repermit.campaigns.result_types import Plan
from repermit.campaigns.send_plan import MORNING
from repermit.checks.findings import Report
from repermit.clock import count_days, parse_when
from repermit.db.models.campaigns import Campaign, find_live_campaign
from repermit.db.models.lists import MailingList, find_list
from repermit.errors import Refused
from repermit.i18n import dates
from repermit.i18n.lazy_text import N_, LazyText
from repermit.reports import closing_report
from repermit.web.admin.audit_log import make_actor_formatter
from repermit.web.admin.check_findings import check_everything, list_findings
from repermit.web.admin.current_user import get_actor
from repermit.web.admin.forms import Form
from repermit.web.admin.rendering import (
    flash_message,
    format_time,
    gettext,
    make_step_fields,
    ngettext,
    redirect_to,
    render_page,
)
from repermit.web.admin.result_text import ASKING_GROUNDS, SPECIAL_GROUNDS, make_sentence
from repermit.web.request_context import get_arrival, get_services

if TYPE_CHECKING:
    from werkzeug.wrappers import Response as AnyResponse

pages = Blueprint("campaign_dates", __name__, url_prefix="/admin/lists/<slug>/conditions")


@pages.get("", endpoint="show")
def show_form(slug: str) -> Response:
    """Show the saved conditions, or suggested ones for a new campaign.

    For a running campaign, show those that were frozen at its launch.
    """
    mailing_list = find_list(slug)
    if campaign := find_live_campaign(mailing_list):
        return _show_frozen(mailing_list, campaign)
    conditions = campaign_draft.read_conditions(mailing_list) or campaign_draft.suggest_conditions(
        get_services().settings, get_arrival()
    )
    return _show_page(mailing_list, make_form(conditions), conditions)


@pages.post("", endpoint="save")
def save_dates(slug: str) -> AnyResponse:
    """Save the conditions; this starts nothing."""
    mailing_list, form = find_list(slug), ConditionsForm(request.form)
    if find_live_campaign(mailing_list):
        # The page was open while somebody launched.
        text = gettext(
            "Nothing was saved: a campaign is under way, and its conditions are settled."
        )
        flash_message(text, kind="warning")
        return redirect_to("campaign_dates.show", slug=slug)
    conditions = _validate(mailing_list, form)
    if conditions is None or form.errors:
        return _show_page(mailing_list, form, conditions, status=422)
    campaign_draft.save_conditions(
        get_services().database, mailing_list, conditions, now=get_arrival(), actor=get_actor()
    )
    flash_message(gettext("Saved."))
    if "look" in request.form:
        return redirect_to("campaign_dates.show", slug=slug, _anchor="outlook")
    return redirect_to("launch.show", slug=slug)


@pages.post("/check")
def check_campaign(slug: str) -> AnyResponse:
    """Run the check, and show its findings beside the form as typed."""
    mailing_list, form = find_list(slug), ConditionsForm(request.form)
    if campaign := find_live_campaign(mailing_list):
        return _show_frozen(mailing_list, campaign)
    return _show_page(mailing_list, form, _validate(mailing_list, form), report=check_everything())


# The field at which a refusal of the typed times is shown, by the refusal's code.
_TIME_FIELDS = {
    **dict.fromkeys(("too_near", "too_slow", "too_far"), "until"),
    **dict.fromkeys(("reminder_too_soon", "reminders_too_slow"), "reminder"),
}


def _validate(mailing_list: MailingList, form: ConditionsForm) -> Conditions | None:
    """Return the typed conditions, None if they cannot be read; errors are added to their fields.

    Times at which no campaign could run are errors too.
    """
    if not form.validate():
        return None
    conditions = read_conditions(form)
    outlook = make_outlook(mailing_list, conditions)
    for reason in outlook.plan.refusals if outlook.deadline else ():
        if field := _TIME_FIELDS.get(reason.code):
            form.refuse(field, make_sentence(reason))
    return conditions


def _show_page(
    mailing_list: MailingList,
    form: ConditionsForm,
    conditions: Conditions | None,
    *,
    status: int = 200,
    report: Report | None = None,
) -> Response:
    """Return the page; `conditions` is None if the typed ones cannot be read."""
    settings = get_services().settings
    outlook = make_outlook(mailing_list, conditions or Conditions())
    return render_page(
        "campaign_dates/show.html",
        status=status,
        **make_step_fields(mailing_list),
        form=form,
        is_suggested=campaign_draft.read_conditions(mailing_list) is None,
        zone=dates.name_zone(settings.zone),
        minimum_days=settings.campaign.minimum_days,
        is_limited=bool(settings.mail.interval or settings.mail.domain_interval),
        outlook=outlook if conditions and outlook.deadline else None,
        deadline_in_words=describe_deadline,
        lacks=[
            obstacle.text
            for obstacle in outlook.against
            if obstacle.endpoint == "campaign_dates.show"
        ]
        if conditions
        else [],
        told=[make_sentence(note) for note in outlook.plan.notes],
        findings=report and list_findings(report, mailing_list.slug),
    )


def _show_frozen(mailing_list: MailingList, campaign: Campaign) -> Response:
    """Return the read-only page of the conditions that were frozen at launch."""
    frozen, zone = closing_report.read_conditions(campaign), get_services().settings.zone
    return render_page(
        "campaign_dates/frozen.html",
        **make_step_fields(mailing_list),
        frozen=frozen,
        zone=dates.name_zone(zone),
        days=count_days(frozen.starts_at, frozen.deadline, zone),
        launched_by=make_actor_formatter()(frozen.launched_by) if frozen.launched_by else "",
        grounds=list_grounds(frozen.asking_ground, frozen.special_ground),
    )


def list_grounds(asking_ground: str, special_ground: str) -> list[str]:
    """Return the titles of the legal grounds that were given."""
    grounds = ((ASKING_GROUNDS, asking_ground), (SPECIAL_GROUNDS, special_ground))
    return [gettext(titles[ground]) for titles, ground in grounds if ground in titles]


# --- The form of a campaign's conditions. ---------------------------------------------------------


_REMINDER_DAYS = range(1, 366)
_PILOT_SIZES = range(10**9)
_NUMBER = re.compile(r"[0-9]{1,9}")


class ConditionsForm(Form):
    """The form for the conditions of a launch."""

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
    asking_ground = SelectField(N_("The ground of the law on which you ask"), default="")
    special_ground = SelectField(N_("What allows it on a sensitive list (GDPR art. 9)"), default="")

    def __init__(self, *arguments: Any, **values: Any) -> None:
        super().__init__(*arguments, **values)
        for field, titles in (
            (self.asking_ground, ASKING_GROUNDS),
            (self.special_ground, SPECIAL_GROUNDS),
        ):
            field.choices = [
                SelectChoice("", gettext("not said")),
                *(SelectChoice(ground, gettext(title)) for ground, title in titles.items()),
            ]

    def validate(self, extra_validators: Mapping[str, Any] | None = None) -> bool:
        """Return whether the form can be read as conditions; an empty field is no error."""
        super().validate(extra_validators)
        self._check_moment("until", "until_time", _parse_future_time)
        self._check_moment("starts", "starts_time", _parse_future_start)
        self._check_number("reminder", _REMINDER_DAYS, lacks=N_("A number from 1 to 365."))
        self._check_number("pilot", _PILOT_SIZES, lacks=N_("A whole number."))
        return not self.errors

    def _check_moment(self, day: str, time: str, read: Callable[[str], object]) -> None:
        try:
            read(join_date_time(self, day, time))
        except Refused as error:
            self.refuse(day, make_sentence(error.said))

    def _check_number(self, name: str, allowed: range, *, lacks: str) -> None:
        typed = _get_text(self, name)
        if typed and not (_NUMBER.fullmatch(typed) and int(typed) in allowed):
            self.refuse(name, gettext(lacks))


def join_date_time(form: Form, day: str, time: str) -> str:
    """Join a day and its time as the command line takes them, "" if neither is given."""
    typed_time = _get_text(form, time)
    return f"{_get_text(form, day)}T{typed_time}" if typed_time else _get_text(form, day)


def parse_time(text: str) -> datetime | None:
    """Parse a time to an aware UTC datetime, None for ""; raises Refused."""
    return parse_when(text, get_services().settings.zone) if text else None


def _parse_future_time(text: str) -> datetime | None:
    """Parse a deadline; raises Refused for one that has passed."""
    parsed = parse_time(text)
    if parsed is not None and parsed <= get_arrival():
        raise Refused("this has passed already: choose a later day")
    return parsed


def _parse_future_start(text: str) -> datetime | None:
    """Parse a start; raises Refused if it has passed; a day without a time passes at its end."""
    _parse_future_time(text)
    return parse_start(text)


def parse_start(text: str) -> datetime | None:
    """Parse a start to an aware UTC datetime, a day as its morning, None for ""; raises Refused."""
    return parse_time(text if "T" in text or not text else f"{text}T{MORNING:%H:%M}")


def read_conditions(form: ConditionsForm) -> Conditions:
    """Return the conditions of a valid form."""
    return Conditions(
        deadline=join_date_time(form, "until", "until_time"),
        starts=join_date_time(form, "starts", "starts_time"),
        reminder=int(_get_text(form, "reminder") or 0),
        pilot=int(_get_text(form, "pilot") or 0),
        include_thin=bool(form.include_thin.data),
        attest=_get_text(form, "attest").replace("\r\n", "\n"),
        asking_ground=_get_text(form, "asking_ground"),
        special_ground=_get_text(form, "special_ground"),
    )


def make_form(conditions: Conditions) -> ConditionsForm:
    """Return a form that is filled in with conditions."""
    until, _, until_time = conditions.deadline.partition("T")
    starts, _, starts_time = conditions.starts.partition("T")
    return ConditionsForm(
        data={
            **vars(conditions),
            "until": until,
            "until_time": until_time,
            "starts": starts,
            "starts_time": starts_time,
            "reminder": str(conditions.reminder or ""),
            "pilot": str(conditions.pilot or ""),
        }
    )


def _get_text(form: Form, name: str) -> str:
    return (form[name].data or "").strip()


# --- The outlook of a campaign's conditions: the plan, and its times as text. ---------------------


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """The plan of a launch under these conditions.

    - `deadline`, `starts_at`: None if not given, or not readable any more.
    - `against`: all obstacles to the launch.
    """

    conditions: Conditions
    deadline: datetime | None
    starts_at: datetime | None
    plan: Plan
    against: list[Obstacle]

    @property
    def begins_at(self) -> datetime | None:
        """Return when the asking begins, None if at the launch."""
        return self.starts_at if self.starts_at and self.starts_at > get_arrival() else None

    @property
    def pilot(self) -> int:
        """Return how many are asked first, 0 if all are asked at once."""
        return self.conditions.pilot if self.conditions.pilot < self.plan.asked else 0

    @property
    def days_to_answer(self) -> int:
        """Return how many days to answer the people have who are asked last."""
        zone = get_services().settings.zone
        return count_days(self.plan.last_ask_at, self.deadline, zone) if self.deadline else 0


def make_outlook(mailing_list: MailingList, conditions: Conditions) -> Outlook:
    """Return the plan of a launch now, and the obstacles to it; writes nothing."""
    settings = get_services().settings
    deadline = campaign_draft.read_deadline(conditions, settings)
    starts_at = _read_start(conditions)
    plan = launch_refusals.plan_launch(
        mailing_list,
        settings=settings,
        now=get_arrival(),
        deadline=deadline or campaign_draft.suggest_deadline(settings, get_arrival()),
        starts_at=starts_at,
        grounds=conditions.grounds,
        include_thin=conditions.include_thin,
        reminder=conditions.reminder,
    )
    against = list_obstacles(plan, conditions.attest)
    if conditions.starts and starts_at is None:
        request_text = gettext("Say anew when the asking begins.")
        against.insert(0, Obstacle(text=request_text, endpoint="campaign_dates.show"))
    if deadline is None:
        is_suggested = campaign_draft.read_conditions(mailing_list) is None
        request_text = (
            gettext(
                "The last day is only suggested so far: look at it in step 4, and save it there."
            )
            if is_suggested
            else gettext("Say until when answers count.")
        )
        against.insert(0, Obstacle(text=request_text, endpoint="campaign_dates.show"))
    return Outlook(
        conditions=conditions, deadline=deadline, starts_at=starts_at, plan=plan, against=against
    )


def describe_deadline(deadline: datetime) -> str:
    """Describe a deadline: how many days from now, and its time."""
    zone = get_services().settings.zone
    days = count_days(get_arrival(), deadline, zone)
    if days < 1:
        return format_time(deadline)
    return ngettext(
        "in one day, on %(moment)s",
        "in %(count)s days, on %(moment)s",
        days,
        moment=format_time(deadline),
    )


def _read_start(conditions: Conditions) -> datetime | None:
    try:
        return parse_start(conditions.starts)
    except Refused:  # In the present zone the clocks change: the time comes twice or never.
        return None


# --- The obstacles to a launch. -------------------------------------------------------------------


_CONDITIONS = "campaign_dates.show"
_CODES_BY_ENDPOINT = {
    "settings.show": (
        "organisation_name", "organisation_address", "organisation_contact", "organisation_email",
        "organisation_authority", "unprotected",
    ),
    "list_form.show": ("sender", "privacy_url", "purpose", "frequency", "no_sender"),
    "text_corrections.show": ("corrected_text",),
    _CONDITIONS: (
        "deadline_passed", "too_near", "too_slow", "too_far", "reminder_too_soon",
        "reminders_too_slow", "attest", "attest_more",
    ),
    "campaign_page.show": ("under_way",),
    "imports.show": ("nobody", "taken_back"),
}  # fmt: skip
_ENDPOINTS = {code: endpoint for endpoint, codes in _CODES_BY_ENDPOINT.items() for code in codes}
# Refusals without a code are about the mail: the admin's own wording, or its size.
_MAIL = "mail_wording.show"


@dataclass(frozen=True, kw_only=True)
class Obstacle:
    """An obstacle to a launch, and the endpoint of the page where it is resolved."""

    text: str
    endpoint: str


def list_obstacles(plan: Plan, attest: str) -> list[Obstacle]:
    """Return all obstacles to a launch, in the order of the checks."""
    lacks = campaign_draft.check_attestation(attest)
    return [_make_obstacle(reason) for reason in (*plan.refusals, *((lacks,) if lacks else ()))]


def _make_obstacle(reason: LazyText) -> Obstacle:
    return Obstacle(text=make_sentence(reason), endpoint=_ENDPOINTS.get(reason.code, _MAIL))
