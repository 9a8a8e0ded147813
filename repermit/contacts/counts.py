"""Counts of contacts and mails, from the count tables of the database.

Nothing here reads the counted rows. Contacts of an import are counted once all of it is imported.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from peewee import fn

from repermit.db.background_tasks import TaskKind, select_targets
from repermit.db.models.campaigns import Campaign
from repermit.db.models.lists import MailingList
from repermit.db.row_counts import ContactCount, HeldCount, MailCount, SuppressionCount
from repermit.rules.consent import Dropped, MailKind, MailState, Status


class ContactGroup(NamedTuple):
    """The columns by which contacts are counted."""

    status: Status
    reason: str
    basis: str
    language: str


class StoredFieldCounts(NamedTuple):
    """The number of contacts of a list with an address, a name and a source stored."""

    addresses: int
    names: int
    sources: int


class MailGroup(NamedTuple):
    """The columns by which mails are counted; `campaign` is 0 for mails without one."""

    campaign: int
    kind: MailKind
    state: MailState
    reason: str
    bounce: str


def count_contact_groups(mailing_list: MailingList | None = None) -> Counter[ContactGroup]:
    """Count the contacts of a list, or of all."""
    conditions: list[Any] = [_make_complete_condition(ContactCount)]
    if mailing_list is not None:
        conditions.append(ContactCount.list_id == mailing_list.id)
    rows = _iter_sums(ContactCount, ContactGroup._fields, conditions)
    return Counter(
        {
            ContactGroup(Status(status), *group_values): count
            for status, *group_values, count in rows
        }
    )


def count_contacts(mailing_list: MailingList) -> Counter[tuple[Status, str]]:
    """Count the contacts of a list by status and reason."""
    counts: Counter[tuple[Status, str]] = Counter()
    for group, count in count_contact_groups(mailing_list).items():
        counts[group.status, group.reason] += count
    return counts


def count_by_status(mailing_list: MailingList) -> dict[Status, int]:
    """Count the contacts of a list by status; every status has a key."""
    counts = dict.fromkeys(Status, 0)
    for (status, _), count in count_contacts(mailing_list).items():
        counts[status] += count
    return counts


def count_mails(
    mailing_list: MailingList | None = None, *, campaign: Campaign | None = None
) -> Counter[MailGroup]:
    """Count the mails of a campaign, or all of a list, or all there are."""
    conditions: list[Any] = []
    if campaign is not None:
        conditions = [MailCount.list_id == campaign.list_id, MailCount.campaign_id == campaign.id]
    elif mailing_list is not None:
        conditions = [MailCount.list_id == mailing_list.id]
    rows = _iter_sums(MailCount, ("campaign_id", *MailGroup._fields[1:]), conditions)
    return Counter(
        {
            MailGroup(campaign, MailKind(kind), MailState(state), *group_values): count
            for campaign, kind, state, *group_values, count in rows
        }
    )


def count_late_reminders(campaign: Campaign) -> int:
    """Count the reminders of a campaign that were dropped for leaving people too little time."""
    late_group = (MailKind.REMINDER, Dropped.TOO_LATE)
    counts = count_mails(campaign=campaign)
    return sum_mails(counts, lambda mails: (mails.kind, mails.reason) == late_group)


def count_stored_fields(mailing_list: MailingList) -> StoredFieldCounts:
    """Count how many contacts of a list have an address, a name and a source stored."""
    totals = StoredFieldCounts(0, 0, 0)
    names = ("addressed", "named", "sourced")
    conditions = (HeldCount.list_id == mailing_list.id, _make_complete_condition(HeldCount))
    for *flags, count in _iter_sums(HeldCount, names, conditions):
        totals = StoredFieldCounts(
            *(sum_ + flag * count for sum_, flag in zip(totals, flags, strict=True))
        )
    return totals


def count_erased(mailing_list: MailingList) -> int:
    """Count the erased contacts of a list, the only ones without an address."""
    conditions = (
        HeldCount.list_id == mailing_list.id,
        HeldCount.addressed == 0,
        _make_complete_condition(HeldCount),
    )
    return sum(count for _, count in _iter_sums(HeldCount, ("addressed",), conditions))


def count_suppressions(mailing_list: MailingList) -> Counter[tuple[str, bool]]:
    """Count a list's suppressions, not those for all lists, by reason and whether imported."""
    conditions = (SuppressionCount.list_id == mailing_list.id,)
    rows = _iter_sums(SuppressionCount, ("reason", "imported"), conditions)
    return Counter({(reason, bool(imported)): count for reason, imported, count in rows})


def has_suppressions(list_id: int) -> bool:
    """Return whether any address is suppressed for this list or for all lists."""
    list_condition = SuppressionCount.list_id.in_((list_id, 0))
    return bool(
        SuppressionCount.select().where(SuppressionCount.count != 0, list_condition).exists()
    )


def has_contacts_from_elsewhere(list_id: int, import_id: int) -> bool:
    """Return whether a list may have contacts that did not come from this import."""
    elsewhere = (ContactCount.list_id == list_id) & (ContactCount.import_id != import_id)
    return bool(ContactCount.select().where(ContactCount.count != 0, elsewhere).exists())


def sum_mails(counts: Counter[MailGroup], matches: Callable[[MailGroup], bool]) -> int:
    """Return the number of mails in the groups that match."""
    return sum(count for mails, count in counts.items() if matches(mails))


def _make_complete_condition(table: Any) -> Any:
    """Return the SQL condition that the import of the counted contacts is complete."""
    return table.import_id.not_in(select_targets(TaskKind.IMPORT))


def _iter_sums(table: Any, names: tuple[str, ...], conditions: Any) -> Iterator[tuple[Any, ...]]:
    columns = [getattr(table, name) for name in names]
    # Only triggers write the counts, and no sum is below zero.
    count = fn.SUM(table.count).cast("BIGINT")
    rows = table.select(*columns, count).where(table.count != 0, *conditions)
    yield from rows.group_by(*columns).having(count > 0).tuples()
