"""What an erasure cannot reach: where else somebody's address may stand, as the record knows it.

May import models, consent and what lies below. Nothing here writes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from peewee import fn

from repermit.consent import MailState
from repermit.models import Evidence, EvidencePart, Import, Mail, Upload

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from repermit.models import Contact, MailingList

_GONE = (MailState.STARTED, MailState.SENT, MailState.IN_DOUBT)


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
class Beyond:
    """Where somebody's address may stand out of reach.

    `mails` went to them, the last at `last_mail_at`; `on_the_wire` of these are under way in this
    moment. `source` is the file that they came from, "" if from none. `is_file_waiting`: a file was
    handed in that nobody has taken in yet; it goes by itself, within a day. Backups, and the tool
    that sends the newsletter, are out of reach of any record.
    """

    since: datetime | None
    mails: int
    on_the_wire: int
    last_mail_at: datetime | None
    source: str
    exports: tuple[TakenFile, ...]
    is_file_waiting: bool


def beyond(mailing_list: MailingList, contact: Contact | None) -> Beyond:
    """Return where a contact's address may stand; without one, that of somebody not held."""
    since = held_since(contact) if contact else None
    source = Import.get_or_none(Import.id == contact.imported_by_id) if contact else None
    return Beyond(
        since=since,
        **_mails(contact),
        source=source.file if source else "",
        exports=tuple(taken_files(mailing_list, since)) if since else (),
        is_file_waiting=Upload.select().where(Upload.list == mailing_list).exists(),
    )


def held_since(contact: Contact) -> datetime:
    """Return since when a contact is known to have been held."""
    first = Evidence.select(fn.MIN(Evidence.at)).where(Evidence.subject == contact.subject)
    owed = Mail.select(fn.MIN(Mail.due_at)).where(Mail.contact == contact)
    came = Import.select(Import.at).where(Import.id == contact.imported_by_id)
    known = (contact.status_at, first.scalar(), owed.scalar(), came.scalar())
    return min(moment for moment in known if moment is not None)


def _mails(contact: Contact | None) -> dict[str, Any]:
    own = Mail.select().where(Mail.contact == contact, Mail.state.in_(_GONE))
    found = list(own) if contact else []
    moments = [one.sent_at or one.started_at or one.due_at for one in found]
    return {
        "mails": len(found),
        "on_the_wire": sum(one.state == MailState.STARTED for one in found),
        "last_mail_at": max(moments, default=None),
    }


def taken_files(mailing_list: MailingList, since: datetime) -> Iterator[TakenFile]:
    """Yield the exports of a list since then; entries about nobody in particular are few."""
    rows: Any = (
        EvidencePart.select(Evidence.at, Evidence.actor, EvidencePart.json)
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
    for at, actor, text in rows:
        facts = json.loads(text)
        yield TakenFile(
            at=at,
            actor=actor,
            what=facts["what"],
            format=facts["format"],
            tool=facts["tool"],
            rows=facts["rows"],
        )
