"""Adding and lifting suppressions; all writing to the journal goes through here.

Each call belongs to the caller's transaction.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

from peewee import JOIN

from repermit import email_address
from repermit.clock import format_timestamp
from repermit.db.connection import Database, is_postgresql, make_id_list, make_value_list, proxy
from repermit.db.journal_seal import seal_journal
from repermit.db.lost_suppressions import LostSuppression, find_lost_suppressions
from repermit.db.models.base import Meta, PreparedQuery, parse_timestamp
from repermit.db.models.contacts import Contact, Suppression
from repermit.db.models.imports import Import
from repermit.db.models.lists import MailingList, find_list
from repermit.db.suppression_journal import Journal
from repermit.db.work_steps import run_steps
from repermit.errors import ConfigError
from repermit.evidence import chain
from repermit.evidence.entries import Entry
from repermit.settings.definitions import Settings


class NewSuppression(NamedTuple):
    """A suppression to be added.

    - `subject`: the contact's subject, or a new one without a contact.
    - `has_moved`: the person has left this address only, not the list; the journal says so.
    - `imported_by`: the id of the import that brought it, whose undo lifts it; None without one.
    """

    fingerprint: str
    subject: str
    reason: str
    at: datetime
    has_moved: bool = False
    imported_by: int | None = None


def add_suppressions(mailing_list: MailingList, new_suppressions: Sequence[NewSuppression]) -> None:
    """Suppress addresses on a list; existing suppressions keep their subject, not the reason.

    Any number may be given, each address once. A suppression that came with an import becomes
    permanent, unless it is given with an import again.
    """
    rows = (
        (
            mailing_list.id,
            suppression.fingerprint,
            suppression.subject,
            str(suppression.reason),
            format_timestamp(suppression.at),
            suppression.imported_by,
        )
        for suppression in new_suppressions
    )
    Suppression.insert_rows(
        _ROW,
        rows,
        unique=(Suppression.fingerprint, Suppression.list),
        replace=(Suppression.reason, Suppression.at, Suppression.imported_by),
    )
    _write_lines(_make_line(mailing_list.slug, suppression) for suppression in new_suppressions)


_ROW = (
    Suppression.list,
    Suppression.fingerprint,
    Suppression.subject,
    Suppression.reason,
    Suppression.at,
    Suppression.imported_by,
)


def suppress_selected(mailing_list: MailingList, query: Any, columns: Sequence[Any]) -> None:
    """Insert the rows of a query as suppressions, without loading them all.

    For the addresses of a large file. Existing suppressions are not changed.

    - `columns`: the columns of Suppression that the query's values belong to, in order.
    """
    names = [column.name for column in columns]
    if _get_journal() is not None:
        for values in query.tuples().iterator():
            value_by_name = dict(zip(names, values, strict=True))
            suppression = NewSuppression(
                fingerprint=value_by_name["fingerprint"],
                subject=value_by_name["subject"],
                reason=value_by_name["reason"],
                at=parse_timestamp(value_by_name["at"]),
            )
            _write_lines([_make_line(mailing_list.slug, suppression)])
    insert = Suppression.insert_from(query, list(columns))
    # Not on SQLite: it would ignore other errors too, and has a single writer anyway.
    (insert.on_conflict_ignore() if is_postgresql(proxy.obj) else insert).execute()


def delete_suppressions(*conditions: Any) -> int:
    """Lift the suppressions that meet these conditions; return how many.

    For the person's own Yes, or the undo of the import that brought them. The line in the journal
    is written after the commit. It names the suppression's time, so that it does not lift a later
    one of the same address, whose line may have been written before.
    """
    journal = _get_journal()
    if journal is not None:
        query: Any = (
            Suppression.select(Suppression.fingerprint, Suppression.at, MailingList.slug)
            .join(MailingList, JOIN.LEFT_OUTER)
            .where(*conditions)
            .tuples()
        )
        lifted = list(query)
        if not lifted:
            return 0
        for fingerprint, at, slug in lifted:
            lift = {"list": slug, "fingerprint": fingerprint, "until": format_timestamp(at)}
            journal.add_lines_after_commit({"do": "lift", **lift})
    return int(Suppression.delete().where(*conditions).execute())


def delete_suppression(list_id: int, fingerprint: str) -> None:
    """Lift the suppression of one address on one list, if there is one."""
    if _OWN.rows(list_id, fingerprint):
        delete_suppressions(Suppression.list == list_id, Suppression.fingerprint == fingerprint)


_OWN = PreparedQuery(
    lambda list_id, fingerprint: (
        Suppression.select(Suppression.id)
        .where(Suppression.list == list_id, Suppression.fingerprint == fingerprint)
        .tuples()
    ),
    2,
)


def detach_from_import(record: Import, subjects: Sequence[str]) -> None:
    """Make an import's suppressions of these subjects permanent: its undo does not lift them."""
    _detach(Suppression.imported_by == record, Suppression.subject.in_(make_value_list(subjects)))


def keep_suppressions_of_subjects(mailing_list: MailingList, subjects: Sequence[str]) -> None:
    """Make a list's suppressions of these subjects permanent, whatever import brought them."""
    _detach(
        Suppression.imported_by.in_(_select_imports(mailing_list)),
        Suppression.subject.in_(make_value_list(subjects)),
    )


def keep_suppressions_of_addresses(mailing_list: MailingList, fingerprints: Sequence[str]) -> None:
    """Make a list's suppressions of these fingerprints permanent, whatever import brought them."""
    # By the index of fingerprints: one import may have brought most suppressions.
    _detach(
        (Suppression.imported_by + 0).in_(_select_imports(mailing_list)),
        Suppression.fingerprint.in_(make_value_list(fingerprints)),
    )


def _detach(*conditions: Any) -> None:
    Suppression.update(imported_by=None).where(*conditions).execute()


def _select_imports(mailing_list: MailingList) -> Any:
    return Import.select(Import.id).where(Import.list == mailing_list)


def note_erasure(
    mailing_list: MailingList, erased: Sequence[tuple[str, str]], at: datetime
) -> None:
    """Write erasures to the journal, each as (fingerprint, subject)."""
    _write_lines(
        {
            "do": "erase",
            "at": format_timestamp(at),
            "list": mailing_list.slug,
            "fingerprint": fingerprint,
            "subject": subject,
        }
        for fingerprint, subject in erased
    )


def note_sign_ups_forgotten(uids: Sequence[str]) -> None:
    """Write deleted sign-ups to the journal, by their random name only.

    A person who only signed up and asks to be erased has not agreed to a stored fingerprint.
    """
    _write_lines({"do": "forget", "sign_up": uid} for uid in uids)


def note_launch(mailing_list: MailingList, at: datetime) -> None:
    """Write a launch to the journal, since a restored database may lack it."""
    _write_lines([{"do": "launch", "list": mailing_list.slug, "at": format_timestamp(at)}])


def mark_backup(mark: str) -> None:
    """Write to the journal that a backup begins, which contains all earlier lines.

    On SQLite all earlier lines are committed, as there is one transaction at a time.
    """
    _write_lines([{"do": "backup", "mark": mark}])


def _make_line(slug: str, suppression: NewSuppression) -> dict[str, str]:
    return {
        "do": "suppress",
        "at": format_timestamp(suppression.at),
        "list": slug,
        "fingerprint": suppression.fingerprint,
        "subject": suppression.subject,
        "reason": str(suppression.reason),
        **({"by": "move"} if suppression.has_moved else {}),
    }


def _write_lines(lines: Any) -> None:
    journal = _get_journal()
    if journal is not None:
        journal.add_lines(*lines)


def _get_journal() -> Journal | None:
    journal: Journal | None = proxy.obj.journal
    return journal


# --- Restoring suppressions that only the journal has. --------------------------------------------


def restore_lost_suppressions(database: Database, *, settings: Settings, now: datetime) -> int:
    """Restore the suppressions that only the journal still has; return how many.

    An entry for each list records the number. Then the journal is sealed.
    """
    if database.journal is None:
        return 0
    lost = find_lost_suppressions(key=settings.fingerprint_key)
    contact_by_subject = (
        _find_held_contacts({suppression.subject for suppression in lost}) if lost else {}
    )
    remaining = list(lost)

    def step(limit: int) -> bool:
        batch, remaining[:limit] = remaining[:limit], []
        ids = make_id_list(
            contact_by_subject[suppression.subject]
            for suppression in batch
            if suppression.subject in contact_by_subject
        )
        Contact.update(has_predecessor=True).where(Contact.id.in_(ids)).execute()
        _suppress_again(batch, now)
        return bool(remaining)

    if lost:
        run_steps(database, step)
    seal = partial(seal_journal, database.journal, database.journal.ensure_exists())
    # All lines are new to a database that was upgraded or restored.
    run_steps(database, lambda limit: seal(max_lines=limit))
    return len(lost)


def _find_held_contacts(subjects: Collection[str]) -> dict[str, int]:
    """Return the ids of contacts by subject; their address may be another one now."""
    own: Any = Contact.select(Contact.subject, Contact.id).where(Contact.erased_at.is_null())
    rows = own.tuples().iterator()
    return {subject: number for subject, number in rows if subject in subjects}


def _suppress_again(lost: Sequence[LostSuppression], now: datetime) -> None:
    counts = Counter(suppression.list for suppression in lost)
    for slug in sorted(counts):
        new_suppressions = [
            NewSuppression(
                fingerprint=suppression.fingerprint,
                subject=suppression.subject,
                reason=suppression.reason,
                at=suppression.at,
                has_moved=suppression.has_moved,
            )
            for suppression in lost
            if suppression.list == slug
        ]
        add_suppressions(find_list(slug), new_suppressions)
    chain.append(
        *(
            Entry(
                event="suppressions_put_back",
                at=now,
                actor="job",
                list=slug,
                consent={"rows": count},
            )
            for slug, count in sorted(counts.items())
        )
    )


# --- Whether the fingerprint key is the one that a database was used with. ------------------------


_KEY_CHECK = "fingerprint_key_check"


def require_known_key(database: Database, settings: Settings) -> None:
    """Raise ConfigError if the fingerprints in the database were made with another key.

    Otherwise suppressed addresses would silently not be recognised. The database stores a check
    value of the key, not the key. While there are no fingerprints, a new key replaces the old one.
    """
    check = email_address.compute_key_check(settings.fingerprint_key)
    if Meta.read(_KEY_CHECK) == check:
        return
    if is_other_key(settings.fingerprint_key):
        raise ConfigError(
            "fingerprint_key is not the one that this database was used with, and with another one "
            "nobody who said No would be recognised: put the former key back, from the copy of "
            "your settings",
            key="fingerprint_key",
        )
    with database.atomic():
        Meta.write(_KEY_CHECK, check)


def is_other_key(key: bytes) -> bool:
    """Say whether there are fingerprints that were made with another key."""
    known = Meta.read(_KEY_CHECK)
    is_other = known is not None and known != email_address.compute_key_check(key)
    return is_other and bool(Suppression.select().exists())
