"""Copies out of reach of an erasure: mails, exports and programs with a contact's address."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from peewee import fn

from repermit.contacts import lookup
from repermit.db.models.contacts import Contact
from repermit.db.models.evidence import Evidence, EvidencePart
from repermit.db.models.imports import Import, Upload
from repermit.db.models.lists import MailingList
from repermit.db.models.mails import Mail
from repermit.rules.consent import POSSIBLY_SENT, MailKind, MailState, PauseReason, Status

# --- The copies that an erasure cannot reach. -----------------------------------------------------


_STATUS_EVENTS = frozenset((Status.CONFIRMED, Status.CUSTOMER, Status.REMOVED))
_UNDOING_EVENTS = ("import_undone", "sign_up_undone")
_STATUSES_IN_FILE = {
    "keep": {Status.CONFIRMED, Status.CUSTOMER},
    "removed": {Status.REMOVED},
    "suppressions": {Status.REMOVED},
    "unasked": {Status.UNCONFIRMED},
    "evidence": {*Status},
    "archive": {*Status},
}
"""The statuses of the contacts in an export, by its kind; other kinds contain no contacts."""


@dataclass(frozen=True, kw_only=True)
class TakenFile:
    """An export that was taken while the address was stored; `rows` is its number of rows."""

    at: datetime
    actor: str
    what: str
    format: str
    tool: str
    rows: int


@dataclass(frozen=True, kw_only=True)
class ProofMade:
    """A proof of the person that was made while their address was stored, and so contains it."""

    at: datetime
    actor: str


@dataclass(frozen=True, kw_only=True)
class ExternalCopies:
    """The copies of a person's address that an erasure cannot reach.

    - `since`: the earliest time at which the address is known to have been stored; None without a
      contact.
    - `mails`: the number sent to them, the last at `last_mail_at`.
    - `on_the_wire`: the number of these that are being sent now.
    - `source`: the file that they came from; "" if from none.
    - `is_file_waiting`: an uploaded file is not imported yet; it is deleted within a day.

    Backups and the newsletter tool are not known here.
    """

    since: datetime | None
    mails: int
    on_the_wire: int
    last_mail_at: datetime | None
    source: str
    exports: tuple[TakenFile, ...]
    proofs: tuple[ProofMade, ...]
    is_file_waiting: bool


def find_external_copies(mailing_list: MailingList, contact: Contact | None) -> ExternalCopies:
    """Return the external copies of a contact's address; `contact` is None if it is not stored.

    For a person who was erased and came back, the copies from before the erasure are included.
    """
    rows = list_records(contact) if contact else []
    return ExternalCopies(
        since=find_held_since(rows) if rows else None,
        **_count_mails(rows),
        source=_find_source(rows),
        exports=tuple(iter_files_with(rows, _list_events(contact), _list_ask_times(rows)))
        if contact
        else (),
        proofs=tuple(_iter_proofs(rows)) if rows else (),
        is_file_waiting=Upload.select().where(Upload.list == mailing_list).exists(),
    )


def list_records(contact: Contact) -> list[Contact]:
    """Return a contact and its earlier erased rows, the newest first."""
    erased = lookup.list_erased_contacts(contact.list_id, contact.subject)
    return [contact, *(record for record in erased if record.id < contact.id)]


def find_held_since(rows: Sequence[Contact]) -> datetime:
    """Return the earliest time at which a person's data were stored, given all their rows."""
    first_entry = Evidence.select(fn.MIN(Evidence.at)).where(
        Evidence.subject == rows[0].subject, Evidence.list == rows[0].list.slug
    )
    first_mail = Mail.select(fn.MIN(Mail.due_at)).where(Mail.contact.in_(rows))
    import_ids = [record.imported_by_id for record in rows]
    first_import = Import.select(fn.MIN(Import.at)).where(Import.id.in_(import_ids))
    times = [record.status_at for record in rows]
    for query in (first_entry, first_mail, first_import):
        times += filter(None, [query.scalar()])
    return min(times)


def _find_source(rows: Sequence[Contact]) -> str:
    files = (Import.get_or_none(Import.id == record.imported_by_id) for record in rows)
    return next((file.file for file in files if file), "")


def _iter_proofs(rows: Sequence[Contact]) -> Iterator[ProofMade]:
    """Yield the proofs that were made of this person only; those of an archive are in its file."""
    archived = Evidence.alias("archived")
    is_in_archive = fn.EXISTS(
        archived.select(archived.seq).where(
            archived.subject == "",
            archived.event == "archived",
            archived.list == Evidence.list,
            archived.at == Evidence.at,
            archived.actor == Evidence.actor,
        )
    )
    sealed = Evidence.select(Evidence.at, Evidence.actor).where(
        Evidence.subject == rows[0].subject,
        Evidence.list == rows[0].list.slug,
        Evidence.event == "proved",
        ~is_in_archive,
    )
    for row in sealed.order_by(Evidence.seq):
        if any(record.erased_at is None or row.at <= record.erased_at for record in rows):
            yield ProofMade(at=row.at, actor=row.actor)


def _count_mails(rows: Sequence[Contact]) -> dict[str, Any]:
    # Of a mail that was left in doubt nobody knows either whether it arrived.
    was_left = (Mail.state == MailState.FAILED) & Mail.reason.in_(_LEFT_IN_DOUBT)
    possibly_sent = Mail.state.in_(POSSIBLY_SENT) | was_left
    mails = list(Mail.select().where(Mail.contact.in_(rows), possibly_sent))
    times = [mail.sent_at or mail.started_at or mail.due_at for mail in mails]
    return {
        "mails": len(mails),
        "on_the_wire": sum(mail.state == MailState.STARTED for mail in mails),
        "last_mail_at": max(times, default=None),
    }


_LEFT_IN_DOUBT = (MailState.IN_DOUBT, PauseReason.RESTORED)


def iter_files_with(
    rows: Sequence[Contact],
    events: Sequence[tuple[datetime, int, str]],
    asked_at: Sequence[datetime],
) -> Iterator[TakenFile]:
    """Yield the exports that contained a contact, by its status at that time.

    - `rows`: the contact and its earlier erased rows, the newest first.
    - `events`: time, number and event of its entries, the oldest first.
    - `asked_at`: the times at which a server accepted an ask. An export of unasked contacts is
      left out only if there was such a time before.
    """
    for number, taken in _iter_taken_files(rows[0].list, find_held_since(rows)):
        events_before = [event for at, seq, event in events if (at, seq) < (taken.at, number)]
        if _replay_status(events_before) not in _STATUSES_IN_FILE.get(taken.what, set()):
            continue
        if taken.what == "evidence" and not events_before:
            continue
        if taken.what == "unasked" and any(at <= taken.at for at in asked_at):
            continue
        yield taken


def _replay_status(events: Sequence[str]) -> Status:
    """Return a contact's status after these events.

    The undo of an import or a sign-up only restores contacts without later events, so the last
    status event is always the one that it undoes.
    """
    statuses: list[str] = []
    for event in events:
        if event in _STATUS_EVENTS:
            statuses.append(event)
        elif event in _UNDOING_EVENTS:
            del statuses[-1:]
    return Status(statuses[-1]) if statuses else Status.UNCONFIRMED


def _list_events(contact: Contact) -> list[tuple[datetime, int, str]]:
    entries: Any = Evidence.select(Evidence.at, Evidence.seq, Evidence.event).where(
        Evidence.subject == contact.subject, Evidence.list == contact.list.slug
    )
    return list(entries.order_by(Evidence.seq).tuples())


def _list_ask_times(rows: Sequence[Contact]) -> list[datetime]:
    sent_asks = Mail.select().where(
        Mail.contact.in_(rows),
        Mail.kind == MailKind.ASK,
        Mail.state == MailState.SENT,
        Mail.bounce == "",
    )
    return [mail.sent_at for mail in sent_asks if mail.sent_at]


def _iter_taken_files(
    mailing_list: MailingList, since: datetime
) -> Iterator[tuple[int, TakenFile]]:
    """Yield the exports of a list since a time, with their entries' numbers; there are few."""
    rows: Any = (
        EvidencePart.select(Evidence.seq, Evidence.at, Evidence.actor, EvidencePart.json)
        .join(Evidence, on=(Evidence.seq == EvidencePart.seq))
        .where(
            Evidence.subject == "",
            Evidence.event.in_(("exported", "archived")),
            Evidence.list == mailing_list.slug,
            Evidence.at >= since,
            EvidencePart.part == "consent",
        )
        .order_by(Evidence.seq)
        .tuples()
    )
    for number, at, actor, text in rows:
        consent = json.loads(text)
        file = TakenFile(
            at=at,
            actor=actor,
            what=consent["what"],
            format=consent["format"],
            tool=consent["tool"],
            rows=consent["rows"],
        )
        yield number, file
