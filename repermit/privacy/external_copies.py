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
from repermit.rules.consent import POSSIBLY_SENT, MailKind, MailState, Status

# --- The copies that an erasure cannot reach. -----------------------------------------------------


_STANDINGS = frozenset((Status.CONFIRMED, Status.CUSTOMER, Status.REMOVED))
_UNDOING_EVENTS = ("import_undone", "sign_up_undone")
_STATUSES_IN_FILE = {
    "keep": {Status.CONFIRMED, Status.CUSTOMER},
    "removed": {Status.REMOVED},
    "suppressions": {Status.REMOVED},
    "unasked": {Status.UNCONFIRMED},
    "evidence": {*Status},
    "archive": {*Status},
}
"""How somebody has to stand to be in a file. What is not here has nobody of a list in it."""


@dataclass(frozen=True, kw_only=True)
class TakenFile:
    """An export that was taken while the address was held; `rows` is how many it had."""

    at: datetime
    actor: str
    what: str
    format: str
    tool: str
    rows: int


@dataclass(frozen=True, kw_only=True)
class ProofMade:
    """A proof of one person that was made while their address was held, and so holds it."""

    at: datetime
    actor: str


@dataclass(frozen=True, kw_only=True)
class ExternalCopies:
    """The copies of somebody's address that an erasure cannot reach.

    - `mails`: how many went to them, the last at `last_mail_at`; `on_the_wire` of these are being
      sent now.
    - `source`: the file that they came from, "" if from none.
    - `is_file_waiting`: an uploaded file is not imported yet; it is deleted within a day.

    Backups, and the tool that sends the newsletter, are not known here.
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
    """Return where a contact's address may stand; without one, that of somebody not held.

    Of who was erased and came back, what went out each time is out of reach.
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
    """Return since when a person's data are known to be stored, given all their rows."""
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
    """Yield the proofs that were made of somebody alone; those of an archive are in that file."""
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
    mails = list(Mail.select().where(Mail.contact.in_(rows), Mail.state.in_(POSSIBLY_SENT)))
    times = [mail.sent_at or mail.started_at or mail.due_at for mail in mails]
    return {
        "mails": len(mails),
        "on_the_wire": sum(mail.state == MailState.STARTED for mail in mails),
        "last_mail_at": max(times, default=None),
    }


def iter_files_with(
    rows: Sequence[Contact],
    turns: Sequence[tuple[datetime, int, str]],
    asked: Sequence[datetime],
) -> Iterator[TakenFile]:
    """Yield the exports that had a contact in them, by how they stood at that moment.

    `rows` are what they were and are; `turns` are moment, number and event of their entries, the
    oldest first; `asked` is when a mail with the question was accepted: of who could not be asked,
    only who surely was is left out.
    """
    for number, taken in _iter_taken_files(rows[0].list, find_held_since(rows)):
        events_before = [event for at, seq, event in turns if (at, seq) < (taken.at, number)]
        if _find_standing(events_before) not in _STATUSES_IN_FILE.get(taken.what, set()):
            continue
        if taken.what == "evidence" and not events_before:
            continue
        if taken.what == "unasked" and any(at <= taken.at for at in asked):
            continue
        yield taken


def _find_standing(events: Sequence[str]) -> Status:
    """Return how somebody stands after some events.

    A file, or a sign-up, that is taken back puts back only whom nothing has happened to since, so
    that the last turn was its own.
    """
    statuses: list[str] = []
    for event in events:
        if event in _STANDINGS:
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
    """Yield the exports of a list since then, by their entries' numbers; these are few."""
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
        facts = json.loads(text)
        file = TakenFile(
            at=at,
            actor=actor,
            what=facts["what"],
            format=facts["format"],
            tool=facts["tool"],
            rows=facts["rows"],
        )
        yield number, file
