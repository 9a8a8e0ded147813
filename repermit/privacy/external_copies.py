"""Copies out of reach of an erasure: mails, exports and programs that have somebody's address."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from peewee import fn

from repermit.contacts import lookup
from repermit.db.connection import chunks
from repermit.db.models.contacts import Contact
from repermit.db.models.evidence import Evidence, EvidencePart
from repermit.db.models.imports import Import, Upload
from repermit.db.models.lists import MailingList
from repermit.db.models.mails import Mail
from repermit.db.models.webhooks import Delivery, Webhook
from repermit.privacy.data_links import Entry, HandedOn, Letter
from repermit.rules.consent import MailKind, MailState, Status

# --- The files and programs that had a person's address. ------------------------------------------


_CHUNK = 500


def handed_on(
    contact: Contact, entries: Sequence[Entry], letters: Sequence[Letter]
) -> tuple[HandedOn, ...]:
    """Return the files that had a contact's address in them, and the programs that were told of it.

    By how the contact stood at that moment, as its entries tell. A file of who could not be asked
    is left out only of who surely was asked by then.
    """
    found = (*_files(contact, entries, letters), *_told(entries))
    return tuple(sorted(found, key=lambda one: one.at))


def _files(
    contact: Contact, entries: Sequence[Entry], letters: Sequence[Letter]
) -> Iterator[HandedOn]:
    turns = [(entry.at, entry.seq, entry.event) for entry in entries]
    asked = [one.at for one in letters if _was_asked(one)]
    for taken in files_with(rows_of(contact), turns, asked):
        yield HandedOn(at=taken.at, what=taken.what, to=taken.tool)


def _was_asked(one: Letter) -> bool:
    return one.kind == MailKind.ASK and one.state == MailState.SENT and not one.bounce


def _told(entries: Sequence[Entry]) -> Iterator[HandedOn]:
    """Yield which programs were told of answers and removals, also those that are told no more."""
    for some in chunks([entry.seq for entry in entries], _CHUNK):
        rows: Any = (
            Delivery.select(Delivery.at, Webhook.url)
            .join(Webhook)
            .where(Delivery.seq.in_(some), Delivery.state == "delivered")
            .tuples()
        )
        for at, url in rows:
            yield HandedOn(at=at, what="told", to=urlsplit(url).hostname or "")


# --- The copies that an erasure cannot reach. -----------------------------------------------------


_GONE = (MailState.STARTED, MailState.SENT, MailState.IN_DOUBT)
_STANDINGS = frozenset((Status.CONFIRMED, Status.CUSTOMER, Status.REMOVED))
_TAKING_BACK = ("import_undone", "sign_up_undone")
_WHO_IS_IN = {
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
    rows = rows_of(contact) if contact else []
    return ExternalCopies(
        since=held_since(rows) if rows else None,
        **_mails(rows),
        source=_source(rows),
        exports=tuple(files_with(rows, _turns(contact), _asked(rows))) if contact else (),
        proofs=tuple(_proofs(rows)) if rows else (),
        is_file_waiting=Upload.select().where(Upload.list == mailing_list).exists(),
    )


def rows_of(contact: Contact) -> list[Contact]:
    """Return a contact, and what they were each time they were erased before, the newest first."""
    erased = lookup.list_erased_contacts(contact.list_id, contact.subject)
    return [contact, *(one for one in erased if one.id < contact.id)]


def held_since(rows: Sequence[Contact]) -> datetime:
    """Return since when somebody is known to have been held, by what they were and are."""
    first = Evidence.select(fn.MIN(Evidence.at)).where(
        Evidence.subject == rows[0].subject, Evidence.list == rows[0].list.slug
    )
    owed = Mail.select(fn.MIN(Mail.due_at)).where(Mail.contact.in_(rows))
    files = [one.imported_by_id for one in rows]
    came = Import.select(fn.MIN(Import.at)).where(Import.id.in_(files))
    known = [one.status_at for one in rows]
    for query in (first, owed, came):
        known += filter(None, [query.scalar()])
    return min(known)


def _source(rows: Sequence[Contact]) -> str:
    files = (Import.get_or_none(Import.id == one.imported_by_id) for one in rows)
    return next((file.file for file in files if file), "")


def _proofs(rows: Sequence[Contact]) -> Iterator[ProofMade]:
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
        if any(one.erased_at is None or row.at <= one.erased_at for one in rows):
            yield ProofMade(at=row.at, actor=row.actor)


def _mails(rows: Sequence[Contact]) -> dict[str, Any]:
    found = list(Mail.select().where(Mail.contact.in_(rows), Mail.state.in_(_GONE)))
    moments = [one.sent_at or one.started_at or one.due_at for one in found]
    return {
        "mails": len(found),
        "on_the_wire": sum(one.state == MailState.STARTED for one in found),
        "last_mail_at": max(moments, default=None),
    }


def files_with(
    rows: Sequence[Contact],
    turns: Sequence[tuple[datetime, int, str]],
    asked: Sequence[datetime],
) -> Iterator[TakenFile]:
    """Yield the exports that had a contact in them, by how they stood at that moment.

    `rows` are what they were and are; `turns` are moment, number and event of their entries, the
    oldest first; `asked` is when a mail with the question was accepted: of who could not be asked,
    only who surely was is left out.
    """
    for number, taken in _taken_files(rows[0].list, held_since(rows)):
        before = [event for at, seq, event in turns if (at, seq) < (taken.at, number)]
        if _standing(before) not in _WHO_IS_IN.get(taken.what, set()):
            continue
        if taken.what == "evidence" and not before:
            continue
        if taken.what == "unasked" and any(at <= taken.at for at in asked):
            continue
        yield taken


def _standing(events: Sequence[str]) -> Status:
    """Return how somebody stands after some events.

    A file, or a sign-up, that is taken back puts back only whom nothing has happened to since, so
    that the last turn was its own.
    """
    turns: list[str] = []
    for event in events:
        if event in _STANDINGS:
            turns.append(event)
        elif event in _TAKING_BACK:
            del turns[-1:]
    return Status(turns[-1]) if turns else Status.UNCONFIRMED


def _turns(contact: Contact) -> list[tuple[datetime, int, str]]:
    own: Any = Evidence.select(Evidence.at, Evidence.seq, Evidence.event).where(
        Evidence.subject == contact.subject, Evidence.list == contact.list.slug
    )
    return list(own.order_by(Evidence.seq).tuples())


def _asked(rows: Sequence[Contact]) -> list[datetime]:
    sent = Mail.select().where(
        Mail.contact.in_(rows),
        Mail.kind == MailKind.ASK,
        Mail.state == MailState.SENT,
        Mail.bounce == "",
    )
    return [one.sent_at for one in sent if one.sent_at]


def _taken_files(mailing_list: MailingList, since: datetime) -> Iterator[tuple[int, TakenFile]]:
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
