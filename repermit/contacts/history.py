"""The history of one contact: its arrival, mails, bounces, replies and evidence entries.

Nothing here writes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from peewee import fn

from repermit.contacts.circuit_breaker import AFTER_PILOT
from repermit.db.models.campaigns import Campaign
from repermit.db.models.contacts import Contact, SignUp
from repermit.db.models.evidence import Evidence
from repermit.db.models.imports import Import
from repermit.db.models.mails import Mail, Reply
from repermit.evidence import chain_reader
from repermit.rules.consent import Dropped, MailState

_SHOWN_KEYS = (
    "answer",
    "method",
    "reason",
    "basis",
    "note",
    "came_back",
    "status",
    "file",
    "given_by",
)


@dataclass(frozen=True, kw_only=True)
class HistoryEvent:
    """An event in the history of a contact.

    - `what`: `imported`, `signed_up`, `mail_<state>`, `bounced`, `replied`, or an evidence event.
    - `seq`, `actor`: set for an evidence event.
    - `facts`: details; for a part that was erased when its retention ended, its name as `ended`.
    """

    at: datetime
    what: str
    seq: int = 0
    actor: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)


def read_history(contact: Contact) -> tuple[HistoryEvent, ...]:
    """Return the events of a contact, the oldest first."""
    events = (
        *_iter_arrivals(contact),
        *_iter_replies(contact),
        *_iter_evidence(contact),
        # After the answers that they were dropped for.
        *_iter_mails(contact),
    )
    return tuple(sorted(events, key=lambda event: event.at))


def _iter_arrivals(contact: Contact) -> Iterator[HistoryEvent]:
    if contact.imported_by_id is not None:
        file = Import.get_by_id(contact.imported_by_id)
        yield HistoryEvent(at=file.at, what="imported", facts={"file": file.file})
    sign_ups = SignUp.select().where(
        SignUp.list == contact.list_id, SignUp.address_key == contact.address_key
    )
    for sign_up in sign_ups:
        yield HistoryEvent(at=sign_up.at, what="signed_up")


def _iter_mails(contact: Contact) -> Iterator[HistoryEvent]:
    for mail in list(Mail.select().where(Mail.contact == contact)):
        facts = {"kind": mail.kind, "reason": mail.reason, "code": _format_code(mail)}
        at = find_mail_time(mail, contact)
        yield HistoryEvent(at=at, what=f"mail_{mail.state}", facts=facts)
        if mail.bounced_at:
            bounce_facts = {"kind": mail.bounce, "code": mail.bounce_status}
            yield HistoryEvent(at=mail.bounced_at, what="bounced", facts=bounce_facts)


def find_mail_time(mail: Mail, contact: Contact) -> datetime:
    """Return when a mail to a contact got its state.

    - Never started: when it is due; if it waits for a pilot, the launch time.
    - Dropped: when its contact answered; else when its campaign ended, if it was due later.
    """
    at: datetime | None = mail.sent_at if mail.state == MailState.SENT else mail.started_at
    due_at: datetime = mail.due_at
    campaign = mail.campaign
    if at is not None or campaign is None:
        return at or due_at
    if mail.state == MailState.DROPPED and mail.reason == Dropped.ANSWERED:
        return _find_first_answer(contact, campaign) or min(due_at, contact.status_at)
    if mail.state == MailState.DROPPED:
        return min(due_at, campaign.closed_at or campaign.deadline)
    launched_at: datetime = campaign.launched_at
    return launched_at if due_at >= AFTER_PILOT else due_at


def _find_first_answer(contact: Contact, campaign: Campaign) -> datetime | None:
    """Return when a contact first answered after a launch, or was removed."""
    query = Evidence.select(fn.MIN(Evidence.at)).where(
        Evidence.subject == contact.subject,
        Evidence.list == contact.list.slug,
        Evidence.event.in_(("confirmed", "removed")),
        Evidence.at >= campaign.launched_at,
    )
    at: datetime | None = query.scalar()
    return at


def _format_code(mail: Mail) -> str:
    return f"{mail.reply_code or ''} {mail.reply_status}".strip()


def _iter_replies(contact: Contact) -> Iterator[HistoryEvent]:
    for reply in list(Reply.select().where(Reply.contact == contact)):
        yield HistoryEvent(at=reply.at, what="replied", facts={"proposed": reply.proposed})


def _iter_evidence(contact: Contact) -> Iterator[HistoryEvent]:
    for entry, parts in chain_reader.read_entries_with_parts(
        contact.subject, contact.list.slug, parts=("consent", "person")
    ):
        content = {**parts.get("consent", {}), **parts.get("person", {})}
        facts = {name: str(content[name]) for name in _SHOWN_KEYS if content.get(name)}
        if content.get("why") == "retention":
            facts["ended"] = "consent" if content.get("parts") == ["consent"] else "trace"
        yield HistoryEvent(
            at=entry.at, what=entry.event, seq=entry.seq, actor=entry.actor, facts=facts
        )
