"""Suppressing addresses and lifting suppressions; all writing to the journal goes through here.

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
    """A suppression to be made: whose, why, and since when.

    `subject` is the contact's, or a fresh one where there is none. `has_moved` says that they have
    left this address alone, not the list: the journal notes it so. `imported_by` is the number of
    the import with which it is taken back, if it came with one.
    """

    fingerprint: str
    subject: str
    reason: str
    at: datetime
    has_moved: bool = False
    imported_by: int | None = None


def add_suppressions(mailing_list: MailingList, these: Sequence[NewSuppression]) -> None:
    """Suppress addresses for a list; who is suppressed already keeps the subject, not the reason.

    Any number may be given, each address once. What came with an import stays from now on, whatever
    becomes of that, unless it is given with one again.
    """
    rows = (
        (
            mailing_list.id,
            one.fingerprint,
            one.subject,
            str(one.reason),
            format_timestamp(one.at),
            one.imported_by,
        )
        for one in these
    )
    Suppression.insert_rows(
        _ROW,
        rows,
        unique=(Suppression.fingerprint, Suppression.list),
        replace=(Suppression.reason, Suppression.at, Suppression.imported_by),
    )
    _write_lines(_make_line(mailing_list.slug, one) for one in these)


_ROW = (
    Suppression.list,
    Suppression.fingerprint,
    Suppression.subject,
    Suppression.reason,
    Suppression.at,
    Suppression.imported_by,
)


def suppress_selected(mailing_list: MailingList, query: Any, columns: Sequence[Any]) -> None:
    """Suppress what a query finds, whose values are those of `columns` of Suppression, in order.

    For as many as a large file holds: they go from table to table, and past here to the journal.
    Who is suppressed already stays so.
    """
    names = [column.name for column in columns]
    if _journal() is not None:
        for values in query.tuples().iterator():
            found = dict(zip(names, values, strict=True))
            one = NewSuppression(
                fingerprint=found["fingerprint"],
                subject=found["subject"],
                reason=found["reason"],
                at=parse_timestamp(found["at"]),
            )
            _write_lines([_make_line(mailing_list.slug, one)])
    insert = Suppression.insert_from(query, list(columns))
    # SQLite would ignore every other mistake as well, and lets nobody else write meanwhile.
    (insert.on_conflict_ignore() if is_postgresql(proxy.obj) else insert).execute()


def delete_suppressions(*conditions: Any) -> int:
    """Lift the suppressions for which these conditions hold; return how many there were.

    By the person's own Yes, or because the import that made them is taken back. The journal learns
    of it once the transaction has committed, and which suppression it was: of a later one of the
    same address, whose transaction may have been quicker to write, this says nothing.
    """
    journal = _journal()
    if journal is not None:
        found: Any = (
            Suppression.select(Suppression.fingerprint, Suppression.at, MailingList.slug)
            .join(MailingList, JOIN.LEFT_OUTER)
            .where(*conditions)
            .tuples()
        )
        lifted = list(found)
        if not lifted:
            return 0
        for fingerprint, at, slug in lifted:
            about = {"list": slug, "fingerprint": fingerprint, "until": format_timestamp(at)}
            journal.add_lines_after_commit({"do": "lift", **about})
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
    """Keep the suppressions of these, whatever becomes of the import that they came with."""
    _detach(Suppression.imported_by == record, Suppression.subject.in_(make_value_list(subjects)))


def keep_suppressions_of_subjects(mailing_list: MailingList, subjects: Sequence[str]) -> None:
    """Keep a list's suppressions of these subjects, whatever file they came with."""
    _detach(
        Suppression.imported_by.in_(_files(mailing_list)),
        Suppression.subject.in_(make_value_list(subjects)),
    )


def keep_suppressions_of_addresses(mailing_list: MailingList, prints: Sequence[str]) -> None:
    """Keep a list's suppressions of these fingerprints, whatever file they came with."""
    # Found by the fingerprints: a file may have brought most of all suppressions.
    _detach(
        (Suppression.imported_by + 0).in_(_files(mailing_list)),
        Suppression.fingerprint.in_(make_value_list(prints)),
    )


def _detach(*conditions: Any) -> None:
    Suppression.update(imported_by=None).where(*conditions).execute()


def _files(mailing_list: MailingList) -> Any:
    return Import.select(Import.id).where(Import.list == mailing_list)


def note_erasure(mailing_list: MailingList, these: Sequence[tuple[str, str]], at: datetime) -> None:
    """Write to the journal whose data were erased, each by fingerprint and subject."""
    _write_lines(
        {
            "do": "erase",
            "at": format_timestamp(at),
            "list": mailing_list.slug,
            "fingerprint": fingerprint,
            "subject": subject,
        }
        for fingerprint, subject in these
    )


def note_sign_ups_forgotten(uids: Sequence[str]) -> None:
    """Write to the journal which sign-ups were deleted.

    By their random name alone: whoever has only signed up and asks to be forgotten has not asked
    for a fingerprint to be kept.
    """
    _write_lines({"do": "forget", "sign_up": uid} for uid in uids)


def note_launch(mailing_list: MailingList, at: datetime) -> None:
    """Write to the journal that a campaign was launched, which a restored database may not know."""
    _write_lines([{"do": "launch", "list": mailing_list.slug, "at": format_timestamp(at)}])


def mark_backup(mark: str) -> None:
    """Note in the journal that a backup begins here: it knows all that stands before.

    Everything before has been committed on SQLite, where one transaction follows the other.
    """
    _write_lines([{"do": "backup", "mark": mark}])


def _make_line(slug: str, one: NewSuppression) -> dict[str, str]:
    return {
        "do": "suppress",
        "at": format_timestamp(one.at),
        "list": slug,
        "fingerprint": one.fingerprint,
        "subject": one.subject,
        "reason": str(one.reason),
        **({"by": "move"} if one.has_moved else {}),
    }


def _write_lines(lines: Any) -> None:
    journal = _journal()
    if journal is not None:
        journal.add_lines(*lines)


def _journal() -> Journal | None:
    journal: Journal | None = proxy.obj.journal
    return journal


# --- Restoring suppressions that only the journal has. --------------------------------------------


def restore_lost_suppressions(database: Database, *, settings: Settings, now: datetime) -> int:
    """Restore the suppressions that the journal alone still has; return how many.

    Each list's entry of the evidence says how many. The journal is sealed as it is.
    """
    if database.journal is None:
        return 0
    lost = find_lost_suppressions(key=settings.fingerprint_key)
    held = _find_held_contacts({one.subject for one in lost}) if lost else {}
    rest = list(lost)

    def step(limit: int) -> bool:
        some, rest[:limit] = rest[:limit], []
        ids = make_id_list(held[one.subject] for one in some if one.subject in held)
        Contact.update(has_predecessor=True).where(Contact.id.in_(ids)).execute()
        _suppress_again(some, now)
        return bool(rest)

    if lost:
        run_steps(database, step)
    seal = partial(seal_journal, database.journal, database.journal.ensure_exists())
    # All lines are new to a database that was upgraded or restored.
    run_steps(database, lambda limit: seal(max_lines=limit))
    return len(lost)


def _find_held_contacts(subjects: Collection[str]) -> dict[str, int]:
    """Return the contacts of these subjects by subject; they may be held under another address."""
    own: Any = Contact.select(Contact.subject, Contact.id).where(Contact.erased_at.is_null())
    rows = own.tuples().iterator()
    return {subject: number for subject, number in rows if subject in subjects}


def _suppress_again(lost: Sequence[LostSuppression], now: datetime) -> None:
    counts = Counter(one.list for one in lost)
    for slug in sorted(counts):
        these = [
            NewSuppression(
                fingerprint=one.fingerprint,
                subject=one.subject,
                reason=one.reason,
                at=one.at,
                has_moved=one.has_moved,
            )
            for one in lost
            if one.list == slug
        ]
        add_suppressions(find_list(slug), these)
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

    Nobody who said No would be recognised, and nobody would notice. The database remembers not the
    key, only by what it is recognised: the first one that it was used with, or a later one as long
    as there is no fingerprint.
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
    """Say whether there are fingerprints, made with another key than this."""
    known = Meta.read(_KEY_CHECK)
    is_other = known is not None and known != email_address.compute_key_check(key)
    return is_other and bool(Suppression.select().exists())
