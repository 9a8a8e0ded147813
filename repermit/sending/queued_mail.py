"""A queued mail with all data needed to check and compose it, read in batches."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from operator import itemgetter
from typing import Any, NamedTuple

from peewee import JOIN

from repermit.db.connection import Database, make_id_list, run_sql
from repermit.db.models.base import parse_timestamp
from repermit.db.models.contacts import Contact, SignUp
from repermit.db.models.mails import FreshLink, Mail
from repermit.rules.consent import ASKING_KINDS


class QueuedMail(NamedTuple):
    """A mail with the fields of its contact, sign-up and fresh link, None where it has none.

    Times are aware UTC, except `due_at`, which is as the database returns it.
    """

    id: int
    kind: str
    list_id: int
    campaign_id: int | None
    contact_id: int | None
    attempts: int
    due_at: str | datetime
    started_at: datetime | None
    message_id: str
    wording_id: int | None
    topic: str
    uid: str | None
    address: str | None
    address_key: str | None
    name: str | None
    language: str | None
    source: str | None
    since: datetime | None
    status: str | None
    basis: str | None
    reason: str | None
    sign_up_uid: str | None
    sign_up_address: str | None
    sign_up_language: str | None
    signed_up_at: datetime | None
    confirmed_at: datetime | None
    link_uid: str | None
    link_purpose: str | None
    link_address: str | None
    link_language: str | None
    link_at: datetime | None
    link_used_at: datetime | None

    @property
    def is_asking(self) -> bool:
        """Return whether the mail is an ask or a reminder, which its reader has not requested."""
        return self.kind in ASKING_KINDS

    @property
    def owner(self) -> str:
        """Return the uid under the marks of the mail, see `message_id.MailMarker.make_marks`."""
        return self.sign_up_uid or self.uid or ""

    @property
    def recipient(self) -> str:
        """Return the recipient's address, "" for a notice to the admin."""
        return self.link_address or self.sign_up_address or self.address or ""


_COLUMNS = (
    Mail.id,
    Mail.kind,
    Mail.list,
    Mail.campaign,
    Mail.contact,
    Mail.attempts,
    Mail.due_at,
    Mail.started_at,
    Mail.message_id,
    Mail.wording,
    Mail.topic,
    Contact.uid,
    Contact.address,
    Contact.address_key,
    Contact.name,
    Contact.language,
    Contact.source,
    Contact.since,
    Contact.status,
    Contact.basis,
    Contact.reason,
    SignUp.uid,
    SignUp.address,
    SignUp.language,
    SignUp.at,
    SignUp.confirmed_at,
    FreshLink.uid,
    FreshLink.purpose,
    FreshLink.address,
    FreshLink.language,
    FreshLink.at,
    FreshLink.used_at,
)


_TIME_FIELDS = tuple(
    map(
        QueuedMail._fields.index,
        ("started_at", "since", "signed_up_at", "confirmed_at", "link_at", "link_used_at"),
    )
)
_get_times = itemgetter(*_TIME_FIELDS)


def read_mails(database: Database, ids: Sequence[int]) -> list[QueuedMail]:
    """Return the mails with these numbers, the oldest first."""
    query = Mail.select().where(Mail.id.in_(make_id_list(ids))).order_by(Mail.due_at, Mail.id)
    statement, values = make_sql(query)
    return run_query(database, statement, *values)


def make_sql(mails: Any) -> tuple[str, Sequence[Any]]:
    """Return the SQL and values with which `run_query` reads the mails of a query, in its order."""
    query = (
        mails.select(*_COLUMNS)
        .join_from(Mail, Contact, JOIN.LEFT_OUTER)
        .join_from(Mail, SignUp, JOIN.LEFT_OUTER)
        .join_from(Mail, FreshLink, JOIN.LEFT_OUTER)
    )
    statement, values = query.sql()
    return statement, values


def run_query(database: Database, statement: str, *values: Any) -> list[QueuedMail]:
    """Return the mails that the SQL of `make_sql` finds."""
    # Without peewee, which would convert every field of every row.
    return [_make_queued_mail(row) for row in run_sql(database, statement, *values)]


def _make_queued_mail(row: tuple[Any, ...]) -> QueuedMail:
    if any(_get_times(row)):
        values = list(row)
        for index in _TIME_FIELDS:
            if values[index] is not None:
                values[index] = parse_timestamp(values[index])
        return QueuedMail._make(values)
    return QueuedMail._make(row)
