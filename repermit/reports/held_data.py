"""What is held about the people on a list: which data, of how many."""

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
from repermit.rules.consent import Status

PARTS = ("consent", "person", "trace")
"""The parts of an entry of the evidence."""


@dataclass(frozen=True, kw_only=True)
class WaitingFile:
    """A file that was handed in and waits to be taken in.

    `rows` is how many it has, and `people` of how many something stands in it of whom nothing else
    is held on the list; None if nobody has looked at it yet, or it cannot be read. Of people it is
    None also once somebody has come onto the list since, or gone.
    """

    name: str
    rows: int | None
    people: int | None


@dataclass(frozen=True, kw_only=True)
class HeldDataCounts:
    """Of how many people something is held; `since` is from when on, None if of nobody.

    Who has only signed up is among those of `addresses`, `names` and `languages`, and has no status
    yet. `statuses` counts everybody else, `erased` those of them of whom neither address nor name
    is held, `openings` those of whom it is kept how the links of their mails were opened.
    `only_signed_up` are those without a contact. `traces` counts entries rather than people, and
    `ip_addresses` everybody of whom a file may have had one. `files` wait to be taken in, and are
    told of in `waiting`: the other numbers are without them.
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
    fingerprints: int
    openings: int
    only_signed_up: int
    traces: int
    ip_addresses: int
    files: int
    waiting: tuple[WaitingFile, ...]

    @property
    def people_counts(self) -> dict[str, int]:
        """Return how many people there are of each kind, each person in one of them."""
        others = {"signed_up": self.only_signed_up, "in_files": self.only_in_files}
        statuses = {str(status): count for status, count in self.statuses.items()}
        return statuses | {kind: count for kind, count in others.items() if count}

    @property
    def data_counts(self) -> dict[str, int]:
        """Return of how many each kind of data is held, without what is held of nobody."""
        everybody = sum(self.statuses.values())
        counts = {
            "address": self.addresses,
            "name": self.names,
            "language": self.languages,
            "source": self.sources,
            "status": everybody,
            "answer": everybody - self.statuses[Status.UNCONFIRMED],
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
        """Return of how many people something stands in a file alone, as far as that is known."""
        return sum(one.people or 0 for one in self.waiting)

    @property
    def uncounted(self) -> int:
        """Return how many files there are of which it is not known who stands in them."""
        return sum(one.people is None for one in self.waiting)


def count_held_data(mailing_list: MailingList) -> HeldDataCounts:
    """Return what is held about the people on a list, from counts that are kept."""
    people = contacts_counts.count_contact_groups(mailing_list)
    statuses, languages = dict.fromkeys(Status, 0), 0
    for one, count in people.items():
        statuses[one.status] += count
        languages += count if one.language else 0
    found = contacts_counts.count_stored_fields(mailing_list)
    alone = _only_signed_up(mailing_list)
    waiting = _waiting(mailing_list)
    return HeldDataCounts(
        statuses=statuses,
        addresses=found.addresses + alone.addresses,
        names=found.names + alone.names,
        languages=languages + alone.languages,
        sources=found.sources,
        erased=people.total() - found.addresses,
        since=min(filter(None, _since(mailing_list, people)), default=None),
        sign_ups=SignUp.select().where(SignUp.list == mailing_list).count(),
        replies=Reply.select().where(Reply.list == mailing_list).count(),
        fingerprints=contacts_counts.count_suppressions(mailing_list).total(),
        openings=click_log.count_contacts_with_openings(mailing_list),
        only_signed_up=alone.addresses,
        traces=count_held_parts(mailing_list)["trace"],
        ip_addresses=min(_taken_over(mailing_list), found.addresses),
        files=len(waiting),
        waiting=waiting,
    )


def _waiting(mailing_list: MailingList) -> tuple[WaitingFile, ...]:
    """Return the files that wait, but for those of which nothing is left."""
    rows = Upload.select().where(
        Upload.list == mailing_list, Upload.rows.is_null() | (Upload.rows > 0)
    )
    return tuple(
        WaitingFile(
            name=email_address.mask_addresses_in_file_name(one.name),
            rows=one.rows,
            # While it is being looked at, neither is known.
            people=None if one.rows is None else one.people,
        )
        for one in rows.order_by(Upload.id)
    )


class _Alone(NamedTuple):
    addresses: int
    names: int
    languages: int


def _only_signed_up(mailing_list: MailingList) -> _Alone:
    """Return how many signed up who are in no contact, and of how many of them more is held."""
    own = Contact.select(Value(1)).where(
        Contact.list == SignUp.list, Contact.address_key == SignUp.address_key
    )

    def count(*held: Any) -> Any:
        return SignUp.select(fn.COUNT(SignUp.address_key.distinct())).where(
            SignUp.list == mailing_list, ~fn.EXISTS(own), *held
        )

    each = count(), count(SignUp.name != ""), count(SignUp.language != "")
    return _Alone(*(int(one.scalar()) for one in each))


def _taken_over(mailing_list: MailingList) -> int:
    """Return how many sign-ups elsewhere files brought, which may have had their IP addresses."""
    rows: Any = Import.select(Import.counts).where(
        Import.list == mailing_list, Import.undone_at.is_null()
    )
    return sum(json.loads(text).get("fates", {}).get("confirmed", 0) for (text,) in rows.tuples())


def _since(
    mailing_list: MailingList, people: Iterable[ContactGroup]
) -> tuple[datetime | None, datetime | None, datetime | None]:
    """Return since when there is a contact, a sign-up, and a file that waits; None for none."""
    waiting, signed_up = (
        table.select(fn.MIN(table.at)).where(table.list == mailing_list).scalar()
        for table in (Upload, SignUp)
    )
    return _first_contact(mailing_list, people), signed_up, waiting


def _first_contact(mailing_list: MailingList, people: Iterable[ContactGroup]) -> datetime | None:
    """Return when the one who has been on the list longest came, None if there is nobody.

    By their number, which an index finds among those of each status and reason.
    """
    first = (
        Contact.select(fn.MIN(Contact.id)).where(
            Contact.list == mailing_list, Contact.status == status, Contact.reason == reason
        )
        for status, reason in {(one.status, one.reason) for one in people}
    )
    number = min(filter(None, (query.scalar() for query in first)), default=None)
    if number is None:
        return None
    contact = Contact.get_by_id(number)
    came = [contact.status_at]
    if contact.imported_by is not None:
        came.append(contact.imported_by.at)
    entries = Evidence.select().where(
        Evidence.subject == contact.subject, Evidence.list == mailing_list.slug
    )
    oldest = entries.order_by(Evidence.seq).first()
    if oldest is not None:
        came.append(oldest.at)
    return min(came)


def count_held_parts(mailing_list: MailingList) -> dict[str, int]:
    """Return how many parts of the evidence about people on a list are still held, by kind."""
    counts = dict.fromkeys(PARTS, 0)
    rows: Any = (
        PartCount.select(PartCount.part, fn.SUM(PartCount.count).cast("BIGINT"))
        .where(PartCount.list == mailing_list.slug, PartCount.personal == 1)
        .group_by(PartCount.part)
        .tuples()
    )
    counts.update(dict(rows))
    return counts
