"""What became of the people of a large campaign, counted now and then, so that a page need not.

May import contacts, models, and this package's counting. Where each of a million stands and what
became of their mail is told by both tables together, which takes seconds; the job does that.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from peewee import fn

from repermit import contacts
from repermit.consent import MailKind, Reason
from repermit.models import Campaign, Meta, stored
from repermit.reports.papers.people import People, count_people
from repermit.reports.turns import head

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from repermit.models import Database

FEW = 10_000
"""So many people are counted while somebody waits."""

# How long a count is left alone while things change, and how old one may be that is shown.
_REST = timedelta(minutes=5)
_LONGEST = timedelta(hours=1)


@dataclass(frozen=True, kw_only=True)
class Counted:
    """The people of a campaign, as they stood at a moment."""

    people: People
    at: datetime


def people_of(campaign: Campaign, *, now: datetime, few: int = FEW) -> Counted:
    """Return what became of a campaign's people: as of now, or as last counted if they are many."""
    kept = None if _count(campaign) <= few else _kept(campaign)
    if kept is not None and kept.mark == _mark(campaign):
        return Counted(people=kept.people, at=now)
    if kept is not None and kept.at > now - _LONGEST:
        return Counted(people=kept.people, at=kept.at)
    return Counted(people=count_people(campaign), at=now)


def keep_people(
    database: Database,
    *,
    now: datetime,
    should_stop: Callable[[], bool] = bool,
    few: int = FEW,
) -> int:
    """Count the people of large campaigns anew where something has changed; return of how many.

    Of each list's latest campaign, which is the one that papers are about. Any number of processes
    may do so at once; nothing is locked meanwhile.
    """
    counted = 0
    for campaign in _large(few):
        kept, mark = _kept(campaign), _mark(campaign)
        if kept is not None and (kept.mark == mark or kept.at > now - _REST):
            continue
        if should_stop():
            break
        said = {"mark": mark, "at": stored(now), "people": asdict(count_people(campaign))}
        with database.atomic():
            Meta.insert(key=_key(campaign), value=json.dumps(said)).on_conflict(
                conflict_target=[Meta.key], preserve=[Meta.value]
            ).execute()
        counted += 1
    return counted


def _large(few: int) -> Iterator[Campaign]:
    newest = Campaign.select(fn.MAX(Campaign.id)).group_by(Campaign.list)
    for campaign in list(Campaign.select().where(Campaign.id.in_(newest)).order_by(Campaign.id)):
        if _count(campaign) > few:
            yield campaign


def _count(campaign: Campaign) -> int:
    counts = contacts.count_mails(campaign=campaign)
    return contacts.total(counts, lambda mails: mails.kind is MailKind.ASK)


@dataclass(frozen=True, kw_only=True)
class _Kept(Counted):
    """What was counted; `mark` is what it stood at, which changes with anything that counts."""

    mark: str


def _kept(campaign: Campaign) -> _Kept | None:
    row = Meta.get_or_none(Meta.key == _key(campaign))
    if row is None:
        return None
    said: dict[str, Any] = json.loads(row.value)
    removed = {Reason(reason): count for reason, count in said["people"].pop("removed").items()}
    return _Kept(
        people=People(removed=removed, **said["people"]),
        at=datetime.fromisoformat(said["at"]),
        mark=said["mark"],
    )


def _mark(campaign: Campaign) -> str:
    """Return what changes whenever anybody comes to stand elsewhere, or any mail does.

    Read before the counting, so that what comes meanwhile makes it old.
    """
    mails = sorted(contacts.count_mails(campaign=campaign).items())
    return f"{head()} {campaign.state} {[(*map(str, one), count) for one, count in mails]}"


def _key(campaign: Campaign) -> str:
    return f"people_{campaign.id}"
