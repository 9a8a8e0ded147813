"""Bring what is picked onto the list, in the caller's transaction."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from peewee import Case, Value, fn

from repermit.clock import format_timestamp
from repermit.contacts import status_changes
from repermit.db import row_counts
from repermit.db.connection import is_postgresql, lock_rows, proxy, run_sql
from repermit.db.models.contacts import Contact, Suppression
from repermit.db.models.imports import Import, ImportChange
from repermit.db.models.lists import MailingList
from repermit.evidence import chain
from repermit.evidence.entries import Entry
from repermit.imports.address_fate import (
    NEW,
    iter_batches,
    select_better_bases,
    select_newly_added,
    select_opted_out,
    subject_of,
    uid_of,
)
from repermit.imports.staging import Picked
from repermit.rules.consent import LEFT_ELSEWHERE, Basis, Dropped, Fate, Status
from repermit.suppression import suppressions


@dataclass(frozen=True, kw_only=True)
class ImportMerge:
    """One import under way.

    `bases` has the basis that each fate gives. `shared` is what the evidence of each contact says
    of the import: the file's digest, and those of the form's text and of the attestation.
    `fates` and `improved` count what there is to do.
    """

    mailing_list: MailingList
    record: Import
    actor: str
    bases: Mapping[Fate, Basis]
    fates: Mapping[Fate, int]
    improved: int
    shared: Mapping[str, Any]
    fingerprint_key: bytes

    @property
    def now(self) -> datetime:
        """Return the moment of the import."""
        return self.record.at


_STATUS_OF = {Fate.CONFIRMED: Status.CONFIRMED, Fate.CUSTOMER: Status.CUSTOMER}


def merge(taking: ImportMerge) -> None:
    """Write everything; the transaction is the caller's, the entry of the import still to come.

    1. new contacts; 2. suppressions of marked addresses; 3. better bases; 4. removals of marked
    contacts; 5. evidence of the new contacts. Contacts are locked before the first entry, as the
    lock of the chain's head comes last.
    """
    # Each step would look through a million rows for what it is known not to find.
    marked_rows = taking.fates[Fate.OPTED_OUT]
    if marked_rows or taking.improved:
        _lock()
    _add_contacts(taking)
    if marked_rows:
        _suppress(taking)
    if marked_rows or taking.improved:
        _change_contacts(taking)
    if taking.fates[Fate.CONFIRMED] or taking.fates[Fate.CUSTOMER]:
        _append_evidence_of_new(taking)


def _lock() -> None:
    affected = Picked.select(Picked.contact).where(
        ~Picked.contact.is_null(), Picked.said.in_((*_STATUS_OF, Fate.OPTED_OUT))
    )
    query = Contact.select(Contact.id).where(Contact.id.in_(affected)).order_by(Contact.id)
    for _ in lock_rows(query).tuples().iterator():
        pass


def _add_contacts(taking: ImportMerge) -> None:
    """Insert the new contacts in the order of their random ids.

    On PostgreSQL somebody may sign up in this very moment: then that stands, and only the
    report is one off.
    """
    database = proxy.obj
    statement, values = _make_insert_sql(
        taking.mailing_list.id,
        taking.record.id,
        tuple(taking.bases.items()),
        format_timestamp(taking.now),
        is_postgresql(database),
    )
    last = row_counts.read_last_contact_id(database)
    run_sql(database, statement, *values)
    row_counts.count_imported_contacts(database, after=last)


@lru_cache(maxsize=8)
def _make_insert_sql(
    list_id: int,
    record_id: int,
    its_bases: tuple[tuple[Fate, Basis], ...],
    now: str,
    on_postgresql: bool,  # noqa: FBT001
    /,
) -> tuple[str, list[Any]]:
    """Return the SQL that does so: to put it together anew takes as long as hundreds of rows."""
    is_new = (Picked.fate.in_(NEW), Picked.contact.is_null())
    statuses = tuple((Picked.fate == fate, status) for fate, status in _STATUS_OF.items())
    bases = tuple((Picked.fate == fate, basis) for fate, basis in its_bases)
    columns = {
        Contact.list: list_id,
        Contact.imported_by: record_id,
        Contact.uid: uid_of(Picked.ids),
        Contact.subject: subject_of(Picked.ids),
        Contact.address: fn.COALESCE(Picked.sending, Picked.key),
        Contact.address_key: Picked.key,
        Contact.name: Picked.name,
        Contact.language: Picked.language,
        Contact.source: Picked.source,
        Contact.since: Picked.since,
        Contact.status: Case(None, statuses, Status.UNCONFIRMED),
        Contact.status_at: Value(now, converter=False),
        Contact.reason: "",
        Contact.basis: Case(None, bases, ""),
        Contact.basis_at: Picked.basis_at,
    }
    insert = Contact.insert_from(_select_picked(columns, is_new), list(columns))
    # SQLite would ignore every other mistake as well, and lets nobody else write meanwhile.
    found: tuple[str, list[Any]] = (insert.on_conflict_ignore() if on_postgresql else insert).sql()
    return found


def _suppress(taking: ImportMerge) -> None:
    columns = {
        Suppression.list: taking.mailing_list.id,
        Suppression.imported_by: taking.record.id,
        Suppression.fingerprint: Picked.fingerprint,
        Suppression.subject: subject_of(Picked.ids),
        Suppression.reason: Picked.mark,
        Suppression.at: _moment(taking.now),
    }
    is_marked = (Picked.fate == Fate.OPTED_OUT, Picked.contact.is_null())
    query = _select_picked(columns, is_marked)
    suppressions.suppress_selected(taking.mailing_list, query, list(columns))


def _select_picked(columns: Mapping[Any, Any], where: Sequence[Any]) -> Any:
    values = [
        value if hasattr(value, "alias") else Value(value, converter=False)
        for value in columns.values()
    ]
    return Picked.select(*values).where(*where).order_by(Picked.id)


def _moment(moment: datetime) -> Any:
    return Value(format_timestamp(moment), converter=False)


def _change_contacts(taking: ImportMerge) -> None:
    _improve(taking)
    _remove(taking)


def _improve(taking: ImportMerge) -> None:
    """Give contacts their better basis, and keep how each of them was."""
    for said, status in _STATUS_OF.items():
        basis = taking.bases[said]
        for some in iter_batches(select_better_bases(said, basis)):
            _keep_images(taking, some)
            Contact.update(
                status=status,
                status_at=taking.now,
                basis=basis,
                basis_at=Picked.basis_at,
            ).from_(Picked).where(
                Picked.contact == Contact.id, Contact.id.in_([contact.id for contact in some])
            ).execute()
            status_changes.drop_unsent(some, Dropped.ANSWERED)
            chain.append(*(_entry(taking, contact) for contact in some))


def _remove(taking: ImportMerge) -> None:
    """Take off who opted out elsewhere, and keep how each of them was."""
    act = status_changes.Act(
        at=taking.now, actor=taking.actor, consent={"file": taking.shared["file"]}
    )
    for some in iter_batches(select_opted_out()):
        _keep_images(taking, some)
        for mark, reason in LEFT_ELSEWHERE.items():
            status_changes.remove_contacts(
                [contact for contact in some if contact.mark == mark],
                reason=reason,
                act=act,
                fingerprint_key=taking.fingerprint_key,
                file=taking.record,
            )


def _keep_images(taking: ImportMerge, contacts: Sequence[Any]) -> None:
    """Keep how contacts are, without address or name: erasing must reach those everywhere."""
    rows = [
        {
            "record": taking.record,
            "contact": contact.id,
            "status": contact.status,
            "status_at": contact.status_at,
            "basis": contact.basis,
            "basis_at": contact.basis_at,
        }
        for contact in contacts
    ]
    ImportChange.insert_many(rows).execute()


def _append_evidence_of_new(taking: ImportMerge) -> None:
    for some in iter_batches(select_newly_added()):
        chain.append(*(_entry(taking, contact) for contact in some))


def _entry(taking: ImportMerge, contact: Any) -> Entry:
    """Return the entry of a contact that came onto the list, or rose, by what the file proves."""
    said = Fate(contact.said)
    proof = json.loads(contact.proof) if said is Fate.CONFIRMED else {}
    # They are what stood in a cell, and so may name them; a whole network address does.
    typed = {name: text for name in ("source", "ip") if (text := proof.pop(name, ""))}
    if said is Fate.CUSTOMER:
        # Of a row without a date the basis begins now, which says nothing of since when they buy.
        since = "" if contact.claimed_at == taking.now else format_timestamp(contact.claimed_at)
        proof = {"basis_at": since}
    return Entry(
        event=said,
        at=taking.now,
        actor=taking.actor,
        list=taking.mailing_list.slug,
        subject=contact.subject,
        consent={"basis": taking.bases[said], **taking.shared, **proof},
        person={
            "address": contact.address,
            "name": contact.name,
            "link": contact.uid,
            **typed,
        },
    )
