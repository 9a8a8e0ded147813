"""Counts of the data that is stored about the people on a list, by kind."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from peewee import Value, fn

from repermit import email_address
from repermit.contacts import click_log
from repermit.contacts import counts as contacts_counts
from repermit.contacts.counts import ContactGroup
from repermit.db.models.contacts import Contact, SignUp
from repermit.db.models.evidence import Evidence
from repermit.db.models.imports import Import, Upload
from repermit.db.models.lists import MailingList
from repermit.db.models.mails import Reply
from repermit.db.row_counts import PartCount
from repermit.rules.consent import MailKind, Status

PARTS = ("consent", "person", "trace")
"""The parts of an entry of the evidence."""


@dataclass(frozen=True, kw_only=True)
class WaitingFile:
    """An uploaded file that waits to be imported.

    - `rows`: the number of its rows; None if it was not read yet or cannot be read.
    - `people`: the number of people that are in this file but not on the list otherwise; None if
      unknown, also because the list has changed since.
    """

    name: str
    rows: int | None
    people: int | None


@dataclass(frozen=True, kw_only=True)
class HeldDataCounts:
    """The number of people per kind of data stored, and since when (`since`, None if nobody).

    - `statuses`: contacts by status, including erased ones.
    - `erased`: contacts without address and name.
    - `only_signed_up`: sign-ups without a contact; they count in `addresses`, `names` and
      `languages`.
    - `openings`: contacts whose link openings are stored.
    - `mails`: mails to people, not people.
    - `traces`: entries, not people.
    - `ip_addresses`: people whose IP address an imported file may have contained.
    - `files`: uploads not yet imported, detailed in `waiting` and counted nowhere else.
    """

    statuses: Mapping[Status, int]
    addresses: int
    names: int
    languages: int
    sources: int
    erased: int
    since: datetime | None
    sign_ups: int
    replies: int
    mails: int
    fingerprints: int
    openings: int
    only_signed_up: int
    traces: int
    ip_addresses: int
    files: int
    waiting: tuple[WaitingFile, ...]

    @property
    def people_counts(self) -> dict[str, int]:
        """Return the number of people of each kind; each person counts once."""
        other_people = {"signed_up": self.only_signed_up, "in_files": self.only_in_files}
        statuses = {str(status): count for status, count in self.statuses.items()}
        return statuses | {kind: count for kind, count in other_people.items() if count}

    @property
    def data_counts(self) -> dict[str, int]:
        """Return the number of people for each kind of data, without kinds that nobody has."""
        contact_count = sum(self.statuses.values())
        counts = {
            "address": self.addresses,
            "name": self.names,
            "language": self.languages,
            "source": self.sources,
            "status": contact_count,
            "answer": contact_count - self.statuses[Status.UNCONFIRMED],
            "mail": self.mails,
            "reply": self.replies,
            "openings": self.openings,
            "trace": self.traces,
            "ip_address": self.ip_addresses,
            "file": self.files,
            "fingerprint": self.fingerprints,
        }
        return {kind: count for kind, count in counts.items() if count}

    @property
    def only_in_files(self) -> int:
        """Return the number of people known to be in an upload only."""
        return sum(waiting_file.people or 0 for waiting_file in self.waiting)

    @property
    def uncounted(self) -> int:
        """Return the number of uploads whose people were not counted."""
        return sum(waiting_file.people is None for waiting_file in self.waiting)


def count_held_data(mailing_list: MailingList) -> HeldDataCounts:
    """Count the data stored about the people on a list, from stored counts where possible."""
    groups = contacts_counts.count_contact_groups(mailing_list)
    statuses, languages = dict.fromkeys(Status, 0), 0
    for group, count in groups.items():
        statuses[group.status] += count
        languages += count if group.language else 0
    stored_fields = contacts_counts.count_stored_fields(mailing_list)
    sign_ups_only = _count_only_signed_up(mailing_list)
    waiting = _list_waiting_files(mailing_list)
    return HeldDataCounts(
        statuses=statuses,
        addresses=stored_fields.addresses + sign_ups_only.addresses,
        names=stored_fields.names + sign_ups_only.names,
        languages=languages + sign_ups_only.languages,
        sources=stored_fields.sources,
        erased=groups.total() - stored_fields.addresses,
        since=min(filter(None, _find_first_times(mailing_list, groups)), default=None),
        sign_ups=SignUp.select().where(SignUp.list == mailing_list).count(),
        replies=Reply.select().where(Reply.list == mailing_list).count(),
        mails=contacts_counts.sum_mails(
            contacts_counts.count_mails(mailing_list),
            lambda group: group.kind is not MailKind.NOTICE,
        ),
        fingerprints=contacts_counts.count_suppressions(mailing_list).total(),
        openings=click_log.count_contacts_with_openings(mailing_list),
        only_signed_up=sign_ups_only.addresses,
        traces=count_held_parts(mailing_list)["trace"],
        ip_addresses=min(_count_imported_sign_ups(mailing_list), stored_fields.addresses),
        files=len(waiting),
        waiting=waiting,
    )


def _list_waiting_files(mailing_list: MailingList) -> tuple[WaitingFile, ...]:
    """Return the uploads that wait for import, except those without any rows left."""
    rows = Upload.select().where(
        Upload.list == mailing_list, Upload.rows.is_null() | (Upload.rows > 0)
    )
    return tuple(
        WaitingFile(
            name=email_address.mask_addresses_in_name(upload.name),
            rows=upload.rows,
            # While it is being read, neither is known.
            people=None if upload.rows is None else upload.people,
        )
        for upload in rows.order_by(Upload.id)
    )


class _SignUpCounts(NamedTuple):
    addresses: int
    names: int
    languages: int


def _count_only_signed_up(mailing_list: MailingList) -> _SignUpCounts:
    """Count sign-ups without a contact, and those of them with a name and a language."""
    contact_of_sign_up = Contact.select(Value(1)).where(
        Contact.list == SignUp.list, Contact.address_key == SignUp.address_key
    )

    def count(*conditions: Any) -> Any:
        return SignUp.select(fn.COUNT(SignUp.address_key.distinct())).where(
            SignUp.list == mailing_list, ~fn.EXISTS(contact_of_sign_up), *conditions
        )

    queries = count(), count(SignUp.name != ""), count(SignUp.language != "")
    return _SignUpCounts(*(int(query.scalar()) for query in queries))


def _count_imported_sign_ups(mailing_list: MailingList) -> int:
    """Count the imported sign-ups from elsewhere, whose files may have contained IP addresses."""
    rows: Any = Import.select(Import.counts).where(
        Import.list == mailing_list, Import.undone_at.is_null()
    )
    return sum(json.loads(text).get("fates", {}).get("confirmed", 0) for (text,) in rows.tuples())


def _find_first_times(
    mailing_list: MailingList, groups: Iterable[ContactGroup]
) -> tuple[datetime | None, datetime | None, datetime | None]:
    """Return the times of the first contact, sign-up and waiting upload; None for none."""
    waiting, signed_up = (
        table.select(fn.MIN(table.at)).where(table.list == mailing_list).scalar()
        for table in (Upload, SignUp)
    )
    return _first_contact(mailing_list, groups), signed_up, waiting


def _first_contact(mailing_list: MailingList, groups: Iterable[ContactGroup]) -> datetime | None:
    """Return when the oldest contact was added; None if there is none.

    Found by its id, for which there is an index within each status and reason.
    """
    queries = (
        Contact.select(fn.MIN(Contact.id)).where(
            Contact.list == mailing_list, Contact.status == status, Contact.reason == reason
        )
        for status, reason in {(group.status, group.reason) for group in groups}
    )
    first_id = min(filter(None, (query.scalar() for query in queries)), default=None)
    if first_id is None:
        return None
    contact = Contact.get_by_id(first_id)
    times = [contact.status_at]
    if contact.imported_by is not None:
        times.append(contact.imported_by.at)
    entries = Evidence.select().where(
        Evidence.subject == contact.subject, Evidence.list == mailing_list.slug
    )
    oldest = entries.order_by(Evidence.seq).first()
    if oldest is not None:
        times.append(oldest.at)
    return min(times)


def count_held_parts(mailing_list: MailingList) -> dict[str, int]:
    """Count the stored parts of evidence about people on a list, by kind."""
    counts = dict.fromkeys(PARTS, 0)
    rows: Any = (
        PartCount.select(PartCount.part, fn.SUM(PartCount.count).cast("BIGINT"))
        .where(PartCount.list == mailing_list.slug, PartCount.personal == 1)
        .group_by(PartCount.part)
        .tuples()
    )
    counts.update(dict(rows))
    return counts
