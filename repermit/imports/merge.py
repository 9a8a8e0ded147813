"""Merging the addresses of an import into its list, in the caller's transaction."""

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
from repermit.contacts.click_log import release_held_yes
from repermit.db import row_counts
from repermit.db.connection import is_postgresql, lock_rows, proxy, run_sql
from repermit.db.models.campaigns import latest_campaign
from repermit.db.models.contacts import Contact, Suppression
from repermit.db.models.imports import Import, ImportChange
from repermit.db.models.lists import MailingList
from repermit.evidence import chain
from repermit.evidence.entries import Entry
from repermit.imports.address_fate import (
    NEW,
    iter_batches,
    make_subject_sql,
    make_uid_sql,
    select_better_bases,
    select_newly_added,
    select_opted_out,
)
from repermit.imports.staging import Picked
from repermit.rules.consent import LEFT_ELSEWHERE, Basis, Dropped, Fate, Status, is_undecided
from repermit.suppression import suppressions


@dataclass(frozen=True, kw_only=True)
class ImportMerge:
    """The input of merging one import.

    - `bases`: the basis that each fate gives.
    - `fates`, `improved`: the numbers of addresses by fate, and of better bases.
    - `shared`: what the evidence of each contact says about the import: the digests of the file, of
      the form's text and of the attestation.
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
        """Return the time of the import."""
        return self.record.at


_STATUS_BY_FATE = {Fate.CONFIRMED: Status.CONFIRMED, Fate.CUSTOMER: Status.CUSTOMER}


def merge(import_merge: ImportMerge) -> None:
    """Merge an import, in the caller's transaction, which then appends the import's own entry.

    1. Insert new contacts. 2. Suppress addresses with an opt-out mark. 3. Store better bases.
    4. Remove contacts with an opt-out mark. 5. Append the evidence of new contacts. Contacts are
    locked before the first entry, as the chain's head must be locked last.
    """
    # A step without work would still read a million rows.
    marked_rows = import_merge.fates[Fate.OPTED_OUT]
    if marked_rows or import_merge.improved:
        _lock()
    _add_contacts(import_merge)
    if marked_rows:
        _suppress(import_merge)
    if marked_rows or import_merge.improved:
        _improve_bases(import_merge)
        _remove(import_merge)
    if import_merge.fates[Fate.CONFIRMED] or import_merge.fates[Fate.CUSTOMER]:
        _append_evidence_of_new(import_merge)


def _lock() -> None:
    affected = Picked.select(Picked.contact).where(
        ~Picked.contact.is_null(), Picked.said.in_((*_STATUS_BY_FATE, Fate.OPTED_OUT))
    )
    query = Contact.select(Contact.id).where(Contact.id.in_(affected)).order_by(Contact.id)
    for _ in lock_rows(query).tuples().iterator():
        pass


def _add_contacts(import_merge: ImportMerge) -> None:
    """Insert the new contacts in the order of their random ids.

    On PostgreSQL somebody may sign up at the same time: then the sign-up is kept, and the report
    counts one too many.
    """
    database = proxy.obj
    statement, values = _make_insert_sql(
        import_merge.mailing_list.id,
        import_merge.record.id,
        tuple(import_merge.bases.items()),
        format_timestamp(import_merge.now),
        is_postgresql(database),
    )
    last = row_counts.read_last_contact_id(database)
    run_sql(database, statement, *values)
    row_counts.count_imported_contacts(database, after=last)


@lru_cache(maxsize=8)
def _make_insert_sql(
    list_id: int,
    record_id: int,
    basis_by_fate: tuple[tuple[Fate, Basis], ...],
    now: str,
    on_postgresql: bool,  # noqa: FBT001
    /,
) -> tuple[str, list[Any]]:
    """Return the INSERT of `_add_contacts`, cached, as building it costs as hundreds of rows."""
    is_new = (Picked.fate.in_(NEW), Picked.contact.is_null())
    statuses = tuple((Picked.fate == fate, status) for fate, status in _STATUS_BY_FATE.items())
    bases = tuple((Picked.fate == fate, basis) for fate, basis in basis_by_fate)
    columns = {
        Contact.list: list_id,
        Contact.imported_by: record_id,
        Contact.uid: make_uid_sql(Picked.ids),
        Contact.subject: make_subject_sql(Picked.ids),
        Contact.address: fn.COALESCE(Picked.sending, Picked.key),
        Contact.address_key: Picked.key,
        Contact.name: Picked.name,
        Contact.language: Picked.language,
        Contact.source: Picked.source,
        Contact.since: Picked.since,
        Contact.status: Case(None, statuses, Status.UNCONFIRMED),
        Contact.status_at: now,
        Contact.reason: "",
        Contact.basis: Case(None, bases, ""),
        Contact.basis_at: Picked.basis_at,
    }
    insert = Contact.insert_from(_select_picked(columns, is_new), list(columns))
    # Not on SQLite: it would ignore other errors too, and has a single writer anyway.
    statement: tuple[str, list[Any]] = (
        insert.on_conflict_ignore() if on_postgresql else insert
    ).sql()
    return statement


def _suppress(import_merge: ImportMerge) -> None:
    columns = {
        Suppression.list: import_merge.mailing_list.id,
        Suppression.imported_by: import_merge.record.id,
        Suppression.fingerprint: Picked.fingerprint,
        Suppression.subject: make_subject_sql(Picked.ids),
        Suppression.reason: Picked.mark,
        Suppression.at: format_timestamp(import_merge.now),
    }
    is_marked = (Picked.fate == Fate.OPTED_OUT, Picked.contact.is_null())
    query = _select_picked(columns, is_marked)
    suppressions.suppress_selected(import_merge.mailing_list, query, list(columns))


def _select_picked(columns: Mapping[Any, Any], where: Sequence[Any]) -> Any:
    values = [
        value if hasattr(value, "alias") else Value(value, converter=False)
        for value in columns.values()
    ]
    return Picked.select(*values).where(*where).order_by(Picked.id)


def _improve_bases(import_merge: ImportMerge) -> None:
    """Give contacts a better basis, after storing their previous state for an undo.

    A held Yes of a contact whose question this decides is held no longer.
    """
    campaign = latest_campaign(import_merge.mailing_list)
    include_thin = campaign is not None and campaign.include_thin
    for fate, status in _STATUS_BY_FATE.items():
        basis = import_merge.bases[fate]
        for batch in iter_batches(select_better_bases(fate, basis)):
            _store_previous_states(import_merge, batch)
            Contact.update(
                status=status,
                status_at=import_merge.now,
                basis=basis,
                basis_at=Picked.basis_at,
            ).from_(Picked).where(
                Picked.contact == Contact.id, Contact.id.in_([contact.id for contact in batch])
            ).execute()
            status_changes.drop_unsent(batch, Dropped.ANSWERED)
            if not is_undecided(status, basis, include_thin=include_thin):
                release_held_yes([contact.id for contact in batch])
            chain.append(*(_make_entry(import_merge, contact) for contact in batch))


def _remove(import_merge: ImportMerge) -> None:
    """Remove contacts that opted out elsewhere, after storing their previous state for an undo."""
    act = status_changes.Act(
        at=import_merge.now, actor=import_merge.actor, consent={"file": import_merge.shared["file"]}
    )
    for batch in iter_batches(select_opted_out()):
        _store_previous_states(import_merge, batch)
        for mark, reason in LEFT_ELSEWHERE.items():
            status_changes.remove_contacts(
                [contact for contact in batch if contact.mark == mark],
                reason=reason,
                act=act,
                fingerprint_key=import_merge.fingerprint_key,
                file=import_merge.record,
            )


def _store_previous_states(import_merge: ImportMerge, contacts: Sequence[Any]) -> None:
    """Store the state of contacts; no address or name, which an erasure would have to reach."""
    rows = [
        {
            "record": import_merge.record,
            "contact": contact.id,
            "status": contact.status,
            "status_at": contact.status_at,
            "basis": contact.basis,
            "basis_at": contact.basis_at,
        }
        for contact in contacts
    ]
    ImportChange.insert_many(rows).execute()


def _append_evidence_of_new(import_merge: ImportMerge) -> None:
    for batch in iter_batches(select_newly_added()):
        chain.append(*(_make_entry(import_merge, contact) for contact in batch))


def _make_entry(import_merge: ImportMerge, contact: Any) -> Entry:
    """Return the entry of a contact that was added, or got a better basis, by the file's proof."""
    fate = Fate(contact.said)
    proof = json.loads(contact.proof) if fate is Fate.CONFIRMED else {}
    # These texts are from cells and may identify the person, as a full IP address does.
    personal = {name: text for name in ("source", "ip") if (text := proof.pop(name, ""))}
    if fate is Fate.CUSTOMER:
        # Without a date in the row the basis begins now, which does not say since when they buy.
        since = (
            "" if contact.claimed_at == import_merge.now else format_timestamp(contact.claimed_at)
        )
        proof = {"basis_at": since}
    return Entry(
        event=fate,
        at=import_merge.now,
        actor=import_merge.actor,
        list=import_merge.mailing_list.slug,
        subject=contact.subject,
        consent={"basis": import_merge.bases[fate], **import_merge.shared, **proof},
        person={
            "address": contact.address,
            "name": contact.name,
            "link": contact.uid,
            **personal,
        },
    )
