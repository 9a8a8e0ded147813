"""What would come of a campaign's conditions: the plan, and its moments in words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from repermit.campaigns import launch_plan, send_plan
from repermit.campaigns.campaign_results import Plan
from repermit.campaigns.draft_conditions import Conditions
from repermit.db.models.lists import MailingList
from repermit.errors import Refused
from repermit.web.admin.campaign_form import moment, start
from repermit.web.admin.launch_obstacles import Obstacle, obstacles
from repermit.web.admin.rendering import gettext, moment_in_words, ngettext
from repermit.web.request_context import arrival, current_site

_USUAL_DAYS = 28
_A_FORTNIGHT = timedelta(days=14)


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """What a launch under these conditions would do; `against` is all that stands in its way.

    `deadline` and `starts_at` are None where they have not been given, or cannot be read any more.
    """

    conditions: Conditions
    deadline: datetime | None
    starts_at: datetime | None
    plan: Plan
    against: list[Obstacle]

    @property
    def begins_at(self) -> datetime | None:
        """Return when the asking begins, None if as soon as it is launched."""
        return self.starts_at if self.starts_at and self.starts_at > arrival() else None

    @property
    def pilot(self) -> int:
        """Return how many are asked first, 0 if all are asked at once."""
        return self.conditions.pilot if self.conditions.pilot < self.plan.asked else 0

    @property
    def days_to_answer(self) -> int:
        """Return how many whole days the last to be asked have to answer."""
        return (self.deadline - self.plan.last_ask_at).days if self.deadline else 0


def suggested() -> Conditions:
    """Return what is usual: four weeks, or longer where the settings want long to answer."""
    return Conditions(deadline=_usual_deadline().date().isoformat())


def outlook(mailing_list: MailingList, conditions: Conditions) -> Outlook:
    """Return what a launch now would do, and what stands against it; writes nothing."""
    deadline, starts_at = deadline_of(conditions), _read(start, conditions.starts)
    plan = launch_plan.plan(
        mailing_list,
        settings=current_site().settings,
        now=arrival(),
        deadline=deadline or _usual_deadline(),
        starts_at=starts_at,
        include_thin=conditions.include_thin,
        reminder=conditions.reminder,
    )
    against = obstacles(plan, conditions.attest)
    if conditions.starts and starts_at is None:
        wanted = gettext("Say anew when the asking begins.")
        against.insert(0, Obstacle(text=wanted, endpoint="conditions.show"))
    if deadline is None:
        wanted = gettext("Say until when answers count.")
        against.insert(0, Obstacle(text=wanted, endpoint="conditions.show"))
    return Outlook(
        conditions=conditions, deadline=deadline, starts_at=starts_at, plan=plan, against=against
    )


def deadline_of(conditions: Conditions) -> datetime | None:
    """Return the deadline that was chosen, None if none was or it cannot be read any more."""
    return _read(moment, conditions.deadline)


def deadline_in_words(deadline: datetime) -> str:
    """Return how far off a deadline is, and when that is."""
    zone = current_site().settings.zone
    days = (deadline.astimezone(zone).date() - arrival().astimezone(zone).date()).days
    if days < 1:
        return moment_in_words(deadline)
    return ngettext(
        "in one day, on %(moment)s",
        "in %(count)s days, on %(moment)s",
        days,
        moment=moment_in_words(deadline),
    )


def _read(read: Callable[[str], datetime | None], when: str) -> datetime | None:
    try:
        return read(when)
    except Refused:  # The clocks change, in the zone that the settings have now.
        return None


def _usual_deadline() -> datetime:
    server = current_site().settings
    days = max(timedelta(days=_USUAL_DAYS), timedelta(server.campaign.minimum_days) + _A_FORTNIGHT)
    # To the end of its day, and no later than a launch takes it.
    days = min(days, send_plan.LONGEST - timedelta(days=1))
    return (arrival() + days).astimezone(server.zone)
