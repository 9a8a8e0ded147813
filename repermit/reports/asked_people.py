"""The outcome of a campaign for the people it asked: counts that add up to all of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from peewee import fn

from repermit.contacts import counts as contacts_counts
from repermit.contacts import lookup
from repermit.db.connection import Database
from repermit.db.models.base import Meta, stored
from repermit.db.models.campaigns import Campaign
from repermit.db.models.contacts import Contact
from repermit.db.models.mails import Mail
from repermit.reports.outcome_counts import read_newest_seq
from repermit.rules.consent import (
    Basis,
    CampaignState,
    MailKind,
    MailState,
    Reason,
    Status,
    is_undecided,
)

_OWED = (MailState.QUEUED, MailState.CLAIMED, MailState.STARTED)
_ANSWERS = (Basis.ANSWER, Basis.SIGN_UP)


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


@dataclass(frozen=True, kw_only=True)
class _PeopleGroup:
    """How many people have the same status and the same state of their ask."""

    status: Status
    reason: str
    basis: str
    mail: MailState
    mail_reason: str
    bounce: str
    count: int


def count_people(campaign: Campaign) -> People:
    """Count a campaign's people in one query, so that the parts add up."""
    yes = otherwise = silent = waiting = asked = 0
    removed = dict.fromkeys(Reason, 0)
    unasked = {str(why): 0 for why in lookup.UNASKED_REASONS}
    for group in _groups(campaign):
        asked += group.count
        if is_undecided(group.status, group.basis, include_thin=campaign.include_thin):
            if group.mail in _OWED and campaign.state != CampaignState.CLOSED:
                waiting += group.count
            elif why := _why_unasked(group, campaign):
                # Who has a thin proof keeps it, and may be mailed as before.
                if group.status is Status.UNCONFIRMED:
                    unasked[why] += group.count
                else:
                    otherwise += group.count
            else:
                silent += group.count
        elif group.status is Status.REMOVED:
            removed[Reason(group.reason)] += group.count
        elif group.basis in _ANSWERS:
            yes += group.count
        else:
            otherwise += group.count
    return People(
        asked=asked,
        yes=yes,
        otherwise=otherwise,
        removed=removed,
        silent=silent,
        waiting=waiting,
        unasked=unasked,
    )


def _why_unasked(group: _PeopleGroup, campaign: Campaign) -> str:
    """Return why they could not be asked, "" if they were; as select_unasked has it."""
    was_sent = group.mail == MailState.SENT and not group.bounce
    if was_sent and campaign.state != CampaignState.CLOSED:
        return ""
    return lookup.explain_unasked(group.mail, group.mail_reason, group.bounce)


def _groups(campaign: Campaign) -> Iterable[_PeopleGroup]:
    columns = (
        Contact.status,
        Contact.reason,
        Contact.basis,
        Mail.state,
        Mail.reason,
        Mail.bounce,
    )
    rows: Any = (
        Mail.select(*columns, fn.COUNT(Mail.id))
        .join(Contact)
        .where(Mail.campaign == campaign, Mail.kind == MailKind.ASK)
        .group_by(*columns)
        .tuples()
    )
    for status, reason, basis, state, mail_reason, bounce, count in rows:
        yield _PeopleGroup(
            status=Status(status),
            reason=reason,
            basis=basis,
            mail=MailState(state),
            mail_reason=mail_reason,
            bounce=bounce,
            count=count,
        )


# --- The counts of a large campaign, stored from time to time. ------------------------------------


FEW = 10_000
"""Up to how many people are counted at once; larger counts are stored."""

# How long a count is left alone while things change, and how old one may be that is shown.
_REST = timedelta(minutes=5)
_LONGEST = timedelta(hours=1)


@dataclass(frozen=True, kw_only=True)
class PeopleCount:
    """The people of a campaign, as they stood at a moment."""

    people: People
    at: datetime


def read_people(campaign: Campaign, *, now: datetime, few: int = FEW) -> PeopleCount:
    """Return what became of a campaign's people: as of now, or as last counted if they are many."""
    kept = None if _count_asks(campaign) <= few else _read_stored(campaign)
    if kept is not None and kept.mark == _make_mark(campaign):
        return PeopleCount(people=kept.people, at=now)
    if kept is not None and kept.at > now - _LONGEST:
        return PeopleCount(people=kept.people, at=kept.at)
    return PeopleCount(people=count_people(campaign), at=now)


def store_people_counts(
    database: Database,
    *,
    now: datetime,
    should_stop: Callable[[], bool] = bool,
    few: int = FEW,
) -> int:
    """Count the people of large campaigns anew where something has changed; return of how many.

    Of each list's latest campaign, which its report is about. Any number of processes
    may do so at once; nothing is locked meanwhile.
    """
    counted = 0
    for campaign in _find_large(few):
        kept, mark = _read_stored(campaign), _make_mark(campaign)
        if kept is not None and (kept.mark == mark or kept.at > now - _REST):
            continue
        if should_stop():
            break
        said = {"mark": mark, "at": stored(now), "people": asdict(count_people(campaign))}
        with database.atomic():
            Meta.write(_key(campaign), json.dumps(said))
        counted += 1
    return counted


def _find_large(few: int) -> Iterator[Campaign]:
    newest = Campaign.select(fn.MAX(Campaign.id)).group_by(Campaign.list)
    for campaign in list(Campaign.select().where(Campaign.id.in_(newest)).order_by(Campaign.id)):
        if _count_asks(campaign) > few:
            yield campaign


def _count_asks(campaign: Campaign) -> int:
    counts = contacts_counts.count_mails(campaign=campaign)
    return contacts_counts.sum_mails(counts, lambda mails: mails.kind is MailKind.ASK)


@dataclass(frozen=True, kw_only=True)
class _StoredCount(PeopleCount):
    """What was counted; `mark` is what it stood at, which changes with anything that counts."""

    mark: str


def _read_stored(campaign: Campaign) -> _StoredCount | None:
    value = Meta.read(_key(campaign))
    if value is None:
        return None
    said: dict[str, Any] = json.loads(value)
    removed = {Reason(reason): count for reason, count in said["people"].pop("removed").items()}
    return _StoredCount(
        people=People(removed=removed, **said["people"]),
        at=datetime.fromisoformat(said["at"]),
        mark=said["mark"],
    )


def _make_mark(campaign: Campaign) -> str:
    """Return what changes whenever anybody comes to stand elsewhere, or any mail does.

    Read before the counting, so that what comes meanwhile makes it old.
    """
    mails = sorted(contacts_counts.count_mails(campaign=campaign).items())
    return (
        f"{read_newest_seq()} {campaign.state} {[(*map(str, one), count) for one, count in mails]}"
    )


def _key(campaign: Campaign) -> str:
    return f"people_{campaign.id}"
