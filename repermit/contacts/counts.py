"""How many contacts and mails there are, from the counts that the database keeps.

Nothing here looks at the rows that are counted. Who comes with a file is counted once all of it is
taken in.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from peewee import fn

from repermit.db.background_tasks import TaskKind, targets_of
from repermit.db.models.campaigns import Campaign
from repermit.db.models.lists import MailingList
from repermit.db.row_counts import ContactCount, HeldCount, MailCount, SuppressionCount
from repermit.rules.consent import MailKind, MailState, Status


class People(NamedTuple):
    """What contacts that are counted together have in common."""

    status: Status
    reason: str
    basis: str
    language: str


class Held(NamedTuple):
    """Of how many contacts of a list an address, a name and a source are held."""

    addresses: int
    names: int
    sources: int


class Mails(NamedTuple):
    """What mails that are counted together have in common; `campaign` is 0 for those of none."""

    campaign: int
    kind: MailKind
    state: MailState
    reason: str
    bounce: str


def count_people(mailing_list: MailingList | None = None) -> Counter[People]:
    """Count the contacts of a list, or of all."""
    own: list[Any] = [_is_whole(ContactCount)]
    if mailing_list is not None:
        own.append(ContactCount.list_id == mailing_list.id)
    rows = _sums(ContactCount, People._fields, own)
    return Counter({People(Status(status), *more): count for status, *more, count in rows})


def count_contacts(mailing_list: MailingList) -> Counter[tuple[Status, str]]:
    """Count the contacts of a list by status and reason."""
    counts: Counter[tuple[Status, str]] = Counter()
    for people, count in count_people(mailing_list).items():
        counts[people.status, people.reason] += count
    return counts


def count_mails(
    mailing_list: MailingList | None = None, *, campaign: Campaign | None = None
) -> Counter[Mails]:
    """Count the mails of a campaign, or all of a list, or all there are."""
    own: list[Any] = []
    if campaign is not None:
        own = [MailCount.list_id == campaign.list_id, MailCount.campaign_id == campaign.id]
    elif mailing_list is not None:
        own = [MailCount.list_id == mailing_list.id]
    rows = _sums(MailCount, ("campaign_id", *Mails._fields[1:]), own)
    return Counter(
        {
            Mails(campaign, MailKind(kind), MailState(state), *more): count
            for campaign, kind, state, *more, count in rows
        }
    )


def count_held(mailing_list: MailingList) -> Held:
    """Count of how many contacts of a list what is held."""
    found = Held(0, 0, 0)
    names = ("addressed", "named", "sourced")
    own = (HeldCount.list_id == mailing_list.id, _is_whole(HeldCount))
    for *marks, count in _sums(HeldCount, names, own):
        found = Held(*(sum_ + mark * count for sum_, mark in zip(found, marks, strict=True)))
    return found


def count_suppressions(mailing_list: MailingList) -> Counter[tuple[str, bool]]:
    """Count the suppressions of a list alone by their reason, and whether a file brought them."""
    own = (SuppressionCount.list_id == mailing_list.id,)
    rows = _sums(SuppressionCount, ("reason", "imported"), own)
    return Counter({(reason, bool(imported)): count for reason, imported, count in rows})


def has_suppressions(list_id: int) -> bool:
    """Say whether any address at all is suppressed for this list, or for all."""
    own = SuppressionCount.list_id.in_((list_id, 0))
    return bool(SuppressionCount.select().where(SuppressionCount.count != 0, own).exists())


def total(counts: Counter[Mails], which: Callable[[Mails], bool]) -> int:
    """Return how many mails there are of which something holds."""
    return sum(count for mails, count in counts.items() if which(mails))


def _is_whole(table: Any) -> Any:
    """Return the condition under which the file that brought contacts is taken in whole."""
    return table.import_id.not_in(targets_of(TaskKind.IMPORT))


def _sums(table: Any, names: tuple[str, ...], own: Any) -> Iterator[tuple[Any, ...]]:
    columns = [getattr(table, name) for name in names]
    # Written by the triggers alone, a count is never below zero.
    count = fn.SUM(table.count).cast("BIGINT")
    rows = table.select(*columns, count).where(table.count != 0, *own)
    yield from rows.group_by(*columns).having(count > 0).tuples()
