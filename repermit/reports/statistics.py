"""Statistics of a campaign: its people by state, in parts that add up, and answers per day.

Pages, reports and mails use these counts.
"""

from __future__ import annotations

import json
import time
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
from repermit.db.models.mails import IS_ASK_OR_REMINDER, Mail
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
    """The people of a campaign by state; `asked` is the sum of all others.

    - `yes`: agreed themselves.
    - `otherwise`: confirmed or customers by another proof.
    - `removed`: by reason, with every reason.
    - `silent`: asked, and not decided.
    - `waiting`: still to be asked.
    - `unasked`: could not be asked, by reason.
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
        """Return how many were asked and gave no answer, removed for it or not."""
        return self.silent + self.removed[Reason.NO_RESPONSE]

    @property
    def gone(self) -> int:
        """Return how many were removed for a reason other than silence."""
        return sum(self.removed.values()) - self.removed[Reason.NO_RESPONSE]

    @property
    def answered(self) -> int:
        """Return how many said Yes or No themselves, and are not gone for another reason."""
        return self.yes + self.removed[Reason.NO] + self.removed[Reason.WITHDRAWN]

    @property
    def reached(self) -> int:
        """Return how many the question may have reached."""
        others = self.waiting + sum(self.unasked.values()) + self.otherwise
        return self.asked - others - self.removed[Reason.BOUNCE]


class _PeopleGroup(NamedTuple):
    """People with the same status and the same state of their ask; `size` is their number."""

    status: str
    reason: str
    basis: str
    mail: str
    mail_reason: str
    bounce: str
    size: int


def count_people(campaign: Campaign) -> People:
    """Count a campaign's people in one query, so that the parts add up."""
    return _sum_groups(campaign, _iter_groups(Mail.campaign == campaign))


def _sum_groups(campaign: Campaign, groups: Iterable[_PeopleGroup]) -> People:
    yes = confirmed_otherwise = silent = waiting = asked = 0
    removed = dict.fromkeys(Reason, 0)
    unasked = {str(reason_unasked): 0 for reason_unasked in lookup.UNASKED_REASONS}
    for group in groups:
        asked += group.size
        if is_undecided(Status(group.status), group.basis, include_thin=campaign.include_thin):
            if group.mail in UNSETTLED and campaign.state != CampaignState.CLOSED:
                waiting += group.size
            elif reason_unasked := _explain_unasked(group, campaign):
                # A contact with a thin proof keeps it, and may be mailed as before.
                if group.status == Status.UNCONFIRMED:
                    unasked[reason_unasked] += group.size
                else:
                    confirmed_otherwise += group.size
            else:
                silent += group.size
        elif group.status == Status.REMOVED:
            removed[Reason(group.reason)] += group.size
        elif group.basis in OWN_YES:
            yes += group.size
        else:
            confirmed_otherwise += group.size
    return People(
        asked=asked,
        yes=yes,
        otherwise=confirmed_otherwise,
        removed=removed,
        silent=silent,
        waiting=waiting,
        unasked=unasked,
    )


def _explain_unasked(group: _PeopleGroup, campaign: Campaign) -> str:
    """Return why a group could not be asked, "" if it was; as `select_unasked` decides it."""
    was_sent = group.mail == MailState.SENT and not group.bounce
    if was_sent and campaign.state != CampaignState.CLOSED:
        return ""
    return lookup.explain_unasked(group.mail, group.mail_reason, group.bounce)


def _iter_groups_slowly(
    campaign: Campaign, should_stop: Callable[[], bool]
) -> Iterator[_PeopleGroup]:
    """Yield the groups of some people after the others, each person once, with rests between."""
    last = 0
    while not should_stop():
        began = time.monotonic()
        is_next = (Mail.campaign == campaign, IS_ASK_OR_REMINDER, Mail.contact > last)
        asks = Mail.select(Mail.contact).where(*is_next, Mail.kind == MailKind.ASK)
        some = asks.order_by(Mail.contact).limit(_PEOPLE_AT_ONCE)
        last = Mail.select(fn.MAX(some.c.contact_id)).from_(some).scalar()
        if last is None:
            return
        yield from list(_iter_groups(*is_next, Mail.contact <= last))
        time.sleep(_REST_FACTOR * (time.monotonic() - began))


def _iter_groups(*conditions: Any) -> Iterator[_PeopleGroup]:
    columns = (
        *(Contact.status, Contact.reason, Contact.basis),
        *(Mail.state, Mail.reason, Mail.bounce),
    )
    rows: Any = (
        Mail.select(*columns, fn.COUNT(Mail.id))
        .join(Contact)
        .where(Mail.kind == MailKind.ASK, *conditions)
        .group_by(*columns)
    )
    return map(_PeopleGroup._make, rows.tuples())


# --- The counts of a large campaign, stored from time to time. ------------------------------------


# Up to this many people are counted while a page waits; larger counts are stored.
_MAX_COUNTED_AT_ONCE = 10_000
# A stored count is not renewed sooner: 30 seconds for 100,000 people, whose counting takes a third
# of a second. A count older than _MAX_AGE is not shown.
_RECOUNT_DELAY_PER_PERSON = timedelta(microseconds=300)
_MAX_AGE = timedelta(hours=1)
# Counted within some 25 milliseconds; then the worker rests for three times as long.
_PEOPLE_AT_ONCE = 3_000
_REST_FACTOR = 3
_MAILABLE = (Status.CONFIRMED, Status.CUSTOMER)


@dataclass(frozen=True, kw_only=True)
class PeopleCount:
    """The people of a campaign as counted at time `at`.

    - `may_be_mailed`: everybody on its list who may be mailed.
    - `mailed_unasked`: those of them without an ask of the campaign.
    - `mark`: what `_make_mark` returned; it differs once anything counted has changed.
    """

    people: People
    may_be_mailed: int
    mailed_unasked: int
    at: datetime
    mark: str


def read_people(
    campaign: Campaign, *, now: datetime, max_counted_at_once: int = _MAX_COUNTED_AT_ONCE
) -> PeopleCount:
    """Return a campaign's people as of now, or as last counted if they are many.

    - `max_counted_at_once`: up to how many people are counted now.
    """
    mails = contacts_counts.count_mails(campaign=campaign)
    mark = _make_mark(campaign, mails)
    stored_count = None if _count_asks(mails) <= max_counted_at_once else _read_stored(campaign)
    if stored_count and stored_count.mark == mark:
        return replace(stored_count, at=now)
    if stored_count and stored_count.at > now - _MAX_AGE:
        return stored_count
    return _count_now(campaign, mark, now, _iter_groups(Mail.campaign == campaign))


def _count_now(
    campaign: Campaign, mark: str, now: datetime, people_groups: Iterator[_PeopleGroup]
) -> PeopleCount:
    # Before the people: whoever says Yes meanwhile was asked, and is none who was not.
    statuses = contacts_counts.count_contacts(campaign.list)
    may_be_mailed = sum(statuses[status, ""] for status in _MAILABLE)
    groups = list(people_groups)
    asked = sum(group.size for group in groups if group.status in _MAILABLE)
    return PeopleCount(
        people=_sum_groups(campaign, groups),
        may_be_mailed=may_be_mailed,
        # The two counts are not read at one moment, so the difference may be below zero.
        mailed_unasked=max(0, may_be_mailed - asked),
        at=now,
        mark=mark,
    )


def store_people_counts(
    database: Database,
    *,
    now: datetime,
    should_stop: Callable[[], bool] = bool,
    max_counted_at_once: int = _MAX_COUNTED_AT_ONCE,
) -> int:
    """Count the people of large campaigns again if they changed; return how many were counted.

    Only the latest campaign of each list, which its page and report show. Several processes may
    run it at once; nothing is locked. It rests for longer than it counts, so that pages do not
    wait for it.
    """
    stored = 0
    for campaign, mails in _iter_large(max_counted_at_once):
        mark = _make_mark(campaign, mails)
        if not _is_count_due(_read_stored(campaign), mark, now):
            continue
        count = _count_now(campaign, mark, now, _iter_groups_slowly(campaign, should_stop))
        if should_stop():
            break
        document = {**asdict(count), "at": format_timestamp(now)}
        with database.atomic():
            Meta.write(_make_key(campaign), json.dumps(document))
        stored += 1
    return stored


def _is_count_due(last: PeopleCount | None, mark: str, now: datetime) -> bool:
    if last is None:
        return True
    return last.mark != mark and last.at <= now - _RECOUNT_DELAY_PER_PERSON * last.people.asked


def _iter_large(max_counted_at_once: int) -> Iterator[tuple[Campaign, Counter[MailGroup]]]:
    newest = Campaign.select(fn.MAX(Campaign.id)).group_by(Campaign.list)
    for campaign in list(Campaign.select().where(Campaign.id.in_(newest)).order_by(Campaign.id)):
        mails = contacts_counts.count_mails(campaign=campaign)
        if _count_asks(mails) > max_counted_at_once:
            yield campaign, mails


def _count_asks(mails: Counter[MailGroup]) -> int:
    return contacts_counts.sum_mails(mails, lambda group: group.kind is MailKind.ASK)


def _read_stored(campaign: Campaign) -> PeopleCount | None:
    value = Meta.read(_make_key(campaign))
    if value is None:
        return None
    document: dict[str, Any] = json.loads(value)
    if "mailed_unasked" not in document:
        # Stored by an earlier version.
        return None
    people: dict[str, Any] = document.pop("people")
    removed = {Reason(reason): count for reason, count in people.pop("removed").items()}
    at = datetime.fromisoformat(document.pop("at"))
    return PeopleCount(people=People(removed=removed, **people), at=at, **document)


def _make_mark(campaign: Campaign, mails: Counter[MailGroup]) -> str:
    """Return a text that differs once any person or mail has changed state.

    Read before counting, so that a change during the counting makes the count outdated.
    """
    groups = [(*map(str, group), count) for group, count in sorted(mails.items())]
    return f"{read_newest_seq()} {campaign.state} {groups}"


def _make_key(campaign: Campaign) -> str:
    return f"people_{campaign.id}"


# --- The figures of a list's latest campaign. ----------------------------------------------------


_MAX_SHOWN = timedelta(days=400)
"""A chart has this many days at most, and more only up to the last day with an answer."""


@dataclass(frozen=True, kw_only=True)
class Day:
    """The answers of a day in the organisation's time zone."""

    day: date
    yes: int
    no: int


@dataclass(frozen=True, kw_only=True)
class Figures:
    """The figures of a list's latest campaign.

    - `counted_at`: when the people were counted; `mails`, `bounces`, `held`, `expired` and `days`
      are read later, with the figures.
    - `asked`: its audience, the sum of `yes`, `no`, `silent`, `waiting`, `unasked`, `otherwise`.
    - `no`: removed for any reason but silence.
    - `waiting`: their mail is still to be sent.
    - `unasked`: could not be asked, as `select_unasked` decides it.
    - `otherwise`: stay by a proof of their own.
    - `expired`: those of `silent` who were removed for it so far.
    - `held`: those whose Yes may be a program's, and waits for one more press.
    - `reached`: those of `asked` who may have got the question.
    - `answered`: said Yes or No themselves, and are not gone for another reason.
    - `mails`: asks and reminders by state.
    - `days`: from the start to the deadline, or to the end of a cancelled campaign.
    - `is_whole`: False while entries are still to be counted.
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
    mailing_list: MailingList,
    *,
    zone: ZoneInfo,
    now: datetime,
    max_counted_at_once: int = _MAX_COUNTED_AT_ONCE,
) -> Figures | None:
    """Return the figures of the list's latest campaign; None if there is none."""
    campaign = latest_campaign(mailing_list)
    if campaign is None:
        return None
    count = read_people(campaign, now=now, max_counted_at_once=max_counted_at_once)
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
