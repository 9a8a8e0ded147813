"""Take files in, for tests that care about what becomes of the rows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from repermit.db.connection import Database
from repermit.db.models.contacts import Contact, Suppression
from repermit.db.models.evidence import Evidence, EvidencePart
from repermit.db.models.lists import MailingList
from repermit.imports.import_file import import_file
from repermit.imports.import_report import ImportResult, UndoResult
from repermit.imports.undo import undo_import
from repermit.rules.consent import Fate
from tests.support.builders import NOW, make_settings
from tests.support.list_files import MAILCHIMP_TITLES, as_csv

OPTED_IN = {"OPTIN_TIME": "2021-05-04 10:00:00", "OPTIN_IP": "81.2.69.142"}
"""What Mailchimp writes of a sign-up by the person."""

ATTEST = "They bought from us, were told at the till, and get news of similar products."


def take_in(
    database: Database, mailing_list: MailingList, path: Path, **options: Any
) -> ImportResult:
    """Import a file as the admin does."""
    values = {"settings": make_settings(), "now": NOW, "actor": "admin@example.org"}
    return import_file(database, mailing_list, path, **{**values, **options})


def take_back(database: Database, mailing_list: MailingList, **options: Any) -> UndoResult:
    """Undo the last import as the admin does."""
    values = {"settings": make_settings(), "now": NOW, "actor": "admin@example.org"}
    return undo_import(database, mailing_list, **{**values, **options})


def write(folder: Path, text: str, name: str = "list.csv") -> Path:
    """Write a list file."""
    path = folder / name
    path.write_text(text, encoding="utf-8", newline="")
    return path


def plain(folder: Path, *rows: Sequence[str], name: str = "list.csv") -> Path:
    """Write a file of addresses and names."""
    return write(folder, as_csv([("email", "name"), *rows]), name)


def mailchimp(
    folder: Path, *rows: Mapping[str, str], more: Sequence[str] = (), name: str = "export.csv"
) -> Path:
    """Write an audience export of Mailchimp's; a row's `email` is its address."""
    titles = (*MAILCHIMP_TITLES, *more)
    cells = [
        [row.get("email" if title == "Email Address" else title, "") for title in titles]
        for row in rows
    ]
    return write(folder, as_csv([titles, *cells]), name)


def fates_of(result: ImportResult) -> dict[Fate, int]:
    """Return the fates that occur."""
    return {fate: count for fate, count in result.fates.items() if count}


def on_list(mailing_list: MailingList) -> dict[str, tuple[str, str, str]]:
    """Return status, reason and basis of every contact, by address."""
    return {
        str(contact.address): (contact.status, contact.reason, contact.basis)
        for contact in Contact.select().where(Contact.list == mailing_list)
    }


def contact_at(mailing_list: MailingList, key: str) -> Contact:
    """Return the contact of an address."""
    return Contact.get(Contact.list == mailing_list, Contact.address_key == key)


def everything() -> list[Any]:
    """Return all that an import may write, to compare before and after."""
    tables = (Contact, Suppression, Evidence, EvidencePart)
    return [list(table.select().order_by(table._meta.primary_key).tuples()) for table in tables]


def parts_of(event: str) -> list[dict[str, Any]]:
    """Return the parts of all entries of one event, in their order."""
    found: dict[int, dict[str, Any]] = {}
    query = (
        EvidencePart.select()
        .join(Evidence, on=(Evidence.seq == EvidencePart.seq))
        .where(Evidence.event == event)
        .order_by(EvidencePart.seq)
    )
    for part in query:
        found.setdefault(part.seq, {})[part.part] = json.loads(part.json)
    return list(found.values())
