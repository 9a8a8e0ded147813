"""A campaign in figures: its people by where they stand, in parts that add up, and answers per day.

The people are counted in one place for pages, reports and mails.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from peewee import fn

from repermit.clock import format_timestamp
from repermit.contacts import click_log, lookup
from repermit.contacts import counts as contacts_counts
from repermit.contacts.counts import MailGroup
from repermit.db.connection import Database
from repermit.db.models.base import Meta
from repermit.db.models.campaigns import Campaign, latest_campaign
from repermit.db.models.contacts import Contact
from repermit.db.models.lists import MailingList
from repermit.db.models.mails import Mail
from repermit.reports.outcomes_per_day import CountKey, Outcome, read_newest_seq, read_tallies
from repermit.rules.consent import (
    ASKING_KINDS,
    OWN_YES,
    UNSETTLED,
    BounceKind,
    CampaignState,
    MailKind,
    MailState,
    Reason,
    Status,
    is_undecided,
)

# --- The people of a campaign. -------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class People:
    """The people of a campaign by where they stand; `asked` is the sum of all the others.

    `yes` agreed themselves; `otherwise` are confirmed or customers by a proof that came meanwhile;
    `removed` has every reason. Of who has not decided, `silent` were asked, `waiting` still are to
    be, and `unasked` could not be, by why.
    """

    asked: int
    yes: int
    otherwise: int
    removed: Mapping[Reason, int]
    silent: int
    waiting: int
    unasked: Mapping[str, int]

    @property
    def unanswered(self) -> int:
        """Return how many were asked and gave no answer, also of those taken off for that."""
        return self.silent + self.removed[Reason.NO_RESPONSE]

    @property
    def gone(self) -> int:
        """Return how many were taken off for any reason but silence."""
        return sum(self.removed.values()) - self.removed[Reason.NO_RESPONSE]

    @property
    def answered(self) -> int:
        """Return how many said Yes or No themselves."""
        return self.yes + self.removed[Reason.NO] + self.removed[Reason.WITHDRAWN]

    @property
    def reached(self) -> int:
        """Return how many the question may have reached."""
        others = self.waiting + sum(self.unasked.values()) + self.otherwise
        return self.asked - others - self.removed[Reason.BOUNCE]


class _PeopleGroup(NamedTuple):
    """How many people have the same status and the same state of their ask."""

    status: str
    reason: str
    basis: str
    mail: str
    mail_reason: str
    bounce: str
    size: int


def count_people(campaign: Campaign) -> People:
    """Count a campaign's people in one query, so that the parts add up."""
    return _sum_groups(campaign, _iter_groups(campaign))


def _sum_groups(campaign: Campaign, groups: Iterable[_PeopleGroup]) -> People:
    yes = otherwise = silent = waiting = asked = 0
    removed = dict.fromkeys(Reason, 0)
    unasked = {str(why): 0 for why in lookup.UNASKED_REASONS}
    for group in groups:
        asked += group.size
        if is_undecided(Status(group.status), group.basis, include_thin=campaign.include_thin):
            if group.mail in UNSETTLED and campaign.state != CampaignState.CLOSED:
                waiting += group.size
            elif why := _explain_unasked(group, campaign):
                # Who has a thin proof keeps it, and may be mailed as before.
                if group.status == Status.UNCONFIRMED:
                    unasked[why] += group.size
                else:
                    otherwise += group.size
            else:
                silent += group.size
        elif group.status == Status.REMOVED:
            removed[Reason(group.reason)] += group.size
        elif group.basis in OWN_YES:
            yes += group.size
        else:
            otherwise += group.size
    return People(
        asked=asked,
        yes=yes,
        otherwise=otherwise,
        removed=removed,
        silent=silent,
        waiting=waiting,
        unasked=unasked,
    )


def _explain_unasked(group: _PeopleGroup, campaign: Campaign) -> str:
    """Return why they could not be asked, "" if they were; as select_unasked has it."""
    was_sent = group.mail == MailState.SENT and not group.bounce
    if was_sent and campaign.state != CampaignState.CLOSED:
        return ""
    return lookup.explain_unasked(group.mail, group.mail_reason, group.bounce)


def _iter_groups(campaign: Campaign) -> Iterator[_PeopleGroup]:
    columns = (
        *(Contact.status, Contact.reason, Contact.basis),
        *(Mail.state, Mail.reason, Mail.bounce),
    )
    rows: Any = (
        Mail.select(*columns, fn.COUNT(Mail.id))
        .join(Contact)
        .where(Mail.campaign == campaign, Mail.kind == MailKind.ASK)
        .group_by(*columns)
    )
    return map(_PeopleGroup._make, rows.tuples())


# --- The counts of a large campaign, stored from time to time. ------------------------------------


# Up to so many people are counted at once; larger counts are stored.
_FEW = 10_000
# How long a count is left alone while things change: 30 seconds for 100,000 people, of which
# counting takes a third of a second. And how old a count may be that is shown.
_REST_PER_PERSON = timedelta(microseconds=300)
_MAX_AGE = timedelta(hours=1)
_MAILABLE = (Status.CONFIRMED, Status.CUSTOMER)


@dataclass(frozen=True, kw_only=True)
class PeopleCount:
    """The people of a campaign as they stood at a moment.

    `may_be_mailed` are all on its list who may be, and `mailed_unasked` those of them for whom it
    has no ask. `mark` is what `_make_mark` returned then; it changes with anything that counts.
    """

    people: People
    may_be_mailed: int
    mailed_unasked: int
    at: datetime
    mark: str


def read_people(campaign: Campaign, *, now: datetime, few: int = _FEW) -> PeopleCount:
    """Return what became of a campaign's people: as of now, or as last counted if they are many."""
    mails = contacts_counts.count_mails(campaign=campaign)
    mark = _make_mark(campaign, mails)
    stored_count = None if _count_asks(mails) <= few else _read_stored(campaign)
    if stored_count and stored_count.mark == mark:
        return replace(stored_count, at=now)
    if stored_count and stored_count.at > now - _MAX_AGE:
        return stored_count
    return _count_now(campaign, mark, now)


def _count_now(campaign: Campaign, mark: str, now: datetime) -> PeopleCount:
    statuses = contacts_counts.count_contacts(campaign.list)
    may_be_mailed = sum(statuses[status, ""] for status in _MAILABLE)
    groups = list(_iter_groups(campaign))
    asked = sum(group.size for group in groups if group.status in _MAILABLE)
    return PeopleCount(
        people=_sum_groups(campaign, groups),
        may_be_mailed=may_be_mailed,
        # While answers come in, one who is asked may have come onto the list since.
        mailed_unasked=max(0, may_be_mailed - asked),
        at=now,
        mark=mark,
    )


def store_people_counts(
    database: Database,
    *,
    now: datetime,
    should_stop: Callable[[], bool] = bool,
    few: int = _FEW,
) -> int:
    """Count the people of large campaigns anew where something has changed; return of how many.

    Of each list's latest campaign, which its page and report are about. Any number of processes may
    do so at once; nothing is locked meanwhile.
    """
    counted = 0
    for campaign, mails in _iter_large(few):
        mark = _make_mark(campaign, mails)
        if not _is_count_due(_read_stored(campaign), mark, now):
            continue
        if should_stop():
            break
        document = {**asdict(_count_now(campaign, mark, now)), "at": format_timestamp(now)}
        with database.atomic():
            Meta.write(_make_key(campaign), json.dumps(document))
        counted += 1
    return counted


def _is_count_due(last: PeopleCount | None, mark: str, now: datetime) -> bool:
    if last is None:
        return True
    return last.mark != mark and last.at <= now - _REST_PER_PERSON * last.people.asked


def _iter_large(few: int) -> Iterator[tuple[Campaign, Counter[MailGroup]]]:
    newest = Campaign.select(fn.MAX(Campaign.id)).group_by(Campaign.list)
    for campaign in list(Campaign.select().where(Campaign.id.in_(newest)).order_by(Campaign.id)):
        mails = contacts_counts.count_mails(campaign=campaign)
        if _count_asks(mails) > few:
            yield campaign, mails


def _count_asks(mails: Counter[MailGroup]) -> int:
    return contacts_counts.sum_mails(mails, lambda group: group.kind is MailKind.ASK)


def _read_stored(campaign: Campaign) -> PeopleCount | None:
    value = Meta.read(_make_key(campaign))
    if value is None:
        return None
    document: dict[str, Any] = json.loads(value)
    if "mailed_unasked" not in document:
        # Counted by an earlier version.
        return None
    people: dict[str, Any] = document.pop("people")
    removed = {Reason(reason): count for reason, count in people.pop("removed").items()}
    at = datetime.fromisoformat(document.pop("at"))
    return PeopleCount(people=People(removed=removed, **people), at=at, **document)


def _make_mark(campaign: Campaign, mails: Counter[MailGroup]) -> str:
    """Return what changes whenever anybody comes to stand elsewhere, or any mail does.

    Read before the counting, so that what comes meanwhile makes it old.
    """
    groups = [(*map(str, group), count) for group, count in sorted(mails.items())]
    return f"{read_newest_seq()} {campaign.state} {groups}"


def _make_key(campaign: Campaign) -> str:
    return f"people_{campaign.id}"


# --- The figures of a list's latest campaign. ----------------------------------------------------


_MAX_SHOWN = timedelta(days=400)
"""So many days ahead are drawn, and as many as anybody has answered on."""


@dataclass(frozen=True, kw_only=True)
class Day:
    """What came on a day, by the calendar of the organisation's zone."""

    day: date
    yes: int
    no: int


@dataclass(frozen=True, kw_only=True)
class Figures:
    """The people of a list's latest campaign.

    `asked` is its audience, and the sum of `yes`, `no` (of every kind, or gone), `silent`,
    `waiting` (for their mail), `unasked` (could not be asked, as `select_unasked` has it) and
    `otherwise` (stay by a proof of their own). `expired` are those of
    `silent` who were taken off for it by now, and `held` those whose Yes may be a program's, and
    waits for one press more. `reached` are those of `asked` whom the question may
    have reached, and `answered` said Yes or No themselves. `mails` counts asks and reminders by
    state. `days` go from its beginning to the deadline, or to its end. People stand as they did at
    `counted_at`. `is_whole` is false while the counting of days is behind.
    """

    campaign: int
    state: CampaignState
    counted_at: datetime
    asked: int
    yes: int
    no: int
    silent: int
    expired: int
    held: int
    waiting: int
    unasked: int
    otherwise: int
    reached: int
    answered: int
    mails: Mapping[MailState, int]
    bounces: Mapping[BounceKind, int]
    days: tuple[Day, ...]
    is_whole: bool


def read_figures(
    mailing_list: MailingList, *, zone: ZoneInfo, now: datetime, few: int = _FEW
) -> Figures | None:
    """Return how the list's latest campaign stands; None if there is none."""
    campaign = latest_campaign(mailing_list)
    if campaign is None:
        return None
    count = read_people(campaign, now=now, few=few)
    people = count.people
    tallies, are_days_whole = read_tallies(mailing_list.slug, campaign.id, zone=zone)
    mails = contacts_counts.count_mails(campaign=campaign)
    return Figures(
        campaign=campaign.id,
        state=CampaignState(campaign.state),
        counted_at=count.at,
        asked=people.asked,
        yes=people.yes,
        no=people.gone,
        silent=people.unanswered,
        expired=tallies[CountKey(mailing_list.slug, campaign.id, "", Outcome.NO_RESPONSE)],
        held=click_log.count_held_yes(mailing_list),
        waiting=people.waiting,
        unasked=sum(people.unasked.values()),
        otherwise=people.otherwise,
        reached=people.reached,
        answered=people.answered,
        mails=_count_by_state(mails),
        bounces=_count_bounces(mails),
        days=_list_days(campaign, tallies, zone),
        is_whole=are_days_whole,
    )


def _count_by_state(mails: Counter[MailGroup]) -> dict[MailState, int]:
    counts = dict.fromkeys(MailState, 0)
    for group, number in mails.items():
        if group.kind in ASKING_KINDS:
            counts[group.state] += number
    return counts


def _count_bounces(mails: Counter[MailGroup]) -> dict[BounceKind, int]:
    counts = dict.fromkeys(BounceKind, 0)
    for group, number in mails.items():
        if group.kind is MailKind.ASK and group.bounce:
            counts[BounceKind(group.bounce)] += number
    return counts


def _list_days(
    campaign: Campaign, counts: Mapping[CountKey, int], zone: ZoneInfo
) -> tuple[Day, ...]:
    by_day: dict[str, dict[Outcome, int]] = {}
    for key, number in counts.items():
        by_day.setdefault(key.day, {})[key.what] = number
    first, last = (
        _get_local_day(campaign.starts_at, zone),
        _get_local_day(_find_end(campaign), zone),
    )
    counted = max((date.fromisoformat(day) for day in by_day if day), default=first)
    last = min(last, max(first + _MAX_SHOWN, counted))
    days = (first + timedelta(days=n) for n in range((last - first).days + 1))
    return tuple(_make_day(day, by_day.get(day.isoformat(), {})) for day in days)


def _find_end(campaign: Campaign) -> datetime:
    is_cancelled = campaign.state == CampaignState.CANCELLED
    ended = campaign.closed_at if is_cancelled and campaign.closed_at else campaign.deadline
    # A deadline at midnight is the end of the day before.
    return max(ended - timedelta(microseconds=1), campaign.starts_at)


def _make_day(day: date, counts: Mapping[Outcome, int]) -> Day:
    no = counts.get(Outcome.NO, 0) + counts.get(Outcome.WITHDRAWN, 0)
    return Day(day=day, yes=counts.get(Outcome.YES, 0), no=no)


def _get_local_day(at: datetime, zone: ZoneInfo) -> date:
    return at.astimezone(zone).date()
