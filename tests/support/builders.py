"""Small builders, so that a test states only what matters to it.

Whatever is saved is saved in a transaction of its own.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repermit import email_address
from repermit.clock import format_timestamp
from repermit.contacts import lookup, status_changes
from repermit.db import row_counts
from repermit.db.connection import Database, FairSqliteDatabase, run_sql
from repermit.db.models.base import Table
from repermit.db.models.campaigns import Campaign
from repermit.db.models.contacts import Contact
from repermit.db.models.lists import ListText, MailingList
from repermit.db.models.mails import Mail
from repermit.evidence import chain
from repermit.evidence.entries import Entry
from repermit.rules.consent import CampaignState, MailKind, MailState, Reason, Status
from repermit.settings.definitions import Organisation, Settings

if TYPE_CHECKING:
    from peewee import Model

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
"""A Monday morning on which the stories of the tests begin."""

LANGUAGES = ("de", "en", "fr", "nl")
"""The languages that a list speaks if a test does not say otherwise."""

DEADLINE = NOW + timedelta(days=28)

_numbers = count(1)


def make_settings(**overrides: Any) -> Settings:
    """Return settings that a campaign could run with."""
    values: dict[str, Any] = {
        "public_url": "https://ask.example.org",
        # Nothing is opened there, though folders may be made beside it.
        "database": f"sqlite:///{tempfile.gettempdir()}/unused.db",
        "secret_keys": (b"a-secret-key-for-tests-only",),
        "fingerprint_key": b"a-fingerprint-key-for-tests",
        "organisation": make_organisation(),
    }
    return Settings(**{**values, **overrides})


def make_organisation(**overrides: Any) -> Organisation:
    """Return a practice with everything that a mail must name."""
    values: dict[str, Any] = {
        "name": "Praktijk De Linde",
        "address": "Lindelaan 1\n1234 AB Utrecht",
        "email": "praktijk@example.org",
        "telephone": "+31 30 123 45 67",
        "website": "https://www.example.org",
        "officer": "privacy@example.org",
        "authority": "Autoriteit Persoonsgegevens",
        "authority_url": "https://autoriteitpersoonsgegevens.nl",
    }
    return Organisation(**{**values, **overrides})


def sqlite_path(database: Database) -> Path:
    """Return the file of an SQLite database."""
    assert isinstance(database, FairSqliteDatabase)
    return database.path


def make_list(
    database: Database, *, languages: Iterable[str] = LANGUAGES, **overrides: Any
) -> MailingList:
    """Save and return a list that may be launched, in `languages` besides its own."""
    values: dict[str, Any] = {
        "slug": "news",
        "name": "Nieuws van de praktijk",
        "purpose": "Nieuws over onze praktijk, vier keer per jaar",
        "privacy_url": "https://www.example.org/privacy",
        "sender": "Praktijk De Linde <praktijk@example.org>",
        "created_at": NOW,
    }
    made = MailingList(**{**values, **overrides})
    with database.atomic():
        insert(database, made)
        _describe(database, made, languages)
    return made


def note_list(database: Database, slug: str = "news") -> None:
    """Append the entry that a list has which an admin added."""
    with database.atomic():
        chain.append(Entry(event="list_added", at=NOW, actor="cli:els", list=slug))


def _describe(database: Database, mailing_list: MailingList, languages: Iterable[str]) -> None:
    """Let a list speak further languages, in the same words: they tell nothing apart."""
    words = {
        name: getattr(mailing_list, name)
        for name in ("name", "purpose", "frequency", "privacy_url")
    }
    for one in languages:
        if one != mailing_list.language:
            insert(database, ListText(list=mailing_list, language=one, **words))


def make_contact(
    database: Database, mailing_list: MailingList, address: str = "", **overrides: Any
) -> Contact:
    """Save and return a contact, unconfirmed if not told otherwise."""
    text = address or f"person{next(_numbers)}@example.org"
    values: dict[str, Any] = {"status": Status.UNCONFIRMED, "status_at": NOW}
    contact = lookup.make_contact(
        mailing_list, email_address.parse(text), **{**values, **overrides}
    )
    with database.atomic():
        insert(database, contact)
        if contact.imported_by_id is not None:
            row_counts.count_imported_contacts(database, after=contact.id - 1)
    return contact


def make_campaign(database: Database, mailing_list: MailingList, **overrides: Any) -> Campaign:
    """Save and return a campaign that is open until DEADLINE."""
    values: dict[str, Any] = {
        "list": mailing_list,
        "state": CampaignState.OPEN,
        "deadline": DEADLINE,
        "launched_at": NOW,
        "starts_at": NOW,
        "minimum_days": 14,
    }
    campaign = Campaign(**{**values, **overrides})
    with database.atomic():
        insert(database, campaign)
    return campaign


def record_launch(database: Database, campaign: Campaign, **facts: Any) -> None:
    """Put the launch of a campaign that was saved on record, as far as `facts` and its deadline."""
    entry = Entry(
        event="launched",
        at=campaign.launched_at,
        actor="user:1",
        list=campaign.list.slug,
        campaign=campaign.id,
        consent={"deadline": format_timestamp(campaign.deadline), **facts},
    )
    with database.atomic():
        chain.append(entry)


def make_mail(database: Database, campaign: Campaign, contact: Contact, **overrides: Any) -> Mail:
    """Save and return an ask that was sent a moment after the launch."""
    values: dict[str, Any] = {
        "list": campaign.list_id,
        "campaign": campaign,
        "contact": contact,
        "kind": MailKind.ASK,
        "state": MailState.SENT,
        "due_at": campaign.launched_at,
        "sent_at": campaign.launched_at + timedelta(seconds=1),
        "message_id": f"<{contact.uid}@example.org>",
    }
    mail = Mail(**{**values, **overrides})
    with database.atomic():
        insert(database, mail)
    return mail


def insert(database: Database, row: Table) -> None:
    """Insert a new row in the caller's transaction, as `save(force_insert=True)` does.

    To put that into words takes peewee longer than it takes the database, for nearly all rows that
    tests begin with.
    """
    meta, values = row._meta, row.__data__
    fields = [one for one in meta.sorted_fields if values.get(one.name) is not None]
    names = ", ".join(f'"{one.column_name}"' for one in fields)
    marks = ", ".join([database.param] * len(fields))
    # The names are those of our own tables.
    statement = f'INSERT INTO "{meta.table_name}" ({names}) VALUES ({marks})'  # noqa: S608
    given = (one.db_value(values[one.name]) for one in fields)
    (key,) = run_sql(database, f"{statement} RETURNING id", *given).fetchone()
    values["id"] = key
    row._dirty.clear()


def put_in(database: Database, model: type[Model], rows: Sequence[Mapping[str, Any]]) -> None:
    """Put many rows in at once; each has the same fields.

    Of many rows in one statement peewee makes a tree first, and takes far longer over it than the
    database over them.
    """
    meta: Any = model._meta
    defaults = meta.get_default_dict()
    fields = [meta.combined[name] for name in {**defaults, **rows[0]}]
    names = ", ".join(f'"{field.column_name}"' for field in fields)
    marks = ", ".join([database.param] * len(fields))
    values = [[field.db_value({**defaults, **row}[field.name]) for field in fields] for row in rows]
    # The names are those of our own tables.
    statement = f'INSERT INTO "{meta.table_name}" ({names}) VALUES ({marks})'  # noqa: S608
    connection: Any = database
    with database.atomic():
        connection.cursor().executemany(statement, values)


def make_asked(
    database: Database, mailing_list: MailingList, campaign: Campaign, address: str = ""
) -> Contact:
    """Save and return an unconfirmed contact whose ask was sent."""
    contact = make_contact(database, mailing_list, address)
    make_mail(database, campaign, contact)
    return contact


def make_removed(
    database: Database,
    mailing_list: MailingList,
    reason: Reason,
    address: str = "",
    *,
    at: datetime = NOW,
) -> Contact:
    """Save and return a contact that was taken off for `reason`."""
    before = Status.CONFIRMED if reason is Reason.WITHDRAWN else Status.UNCONFIRMED
    contact = make_contact(database, mailing_list, address, status=before)
    with database.atomic():
        status_changes.remove_contacts(
            [contact],
            reason=reason,
            act=status_changes.Act(at=at, actor="person"),
            fingerprint_key=make_settings().fingerprint_key,
        )
    return Contact.get_by_id(contact.id)
