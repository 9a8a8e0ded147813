"""One contact's whole history: how it came, what was sent, what came back, what was decided.

Nothing here writes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from repermit.contacts.circuit_breaker import AFTER_PILOT
from repermit.db.models.contacts import Contact, SignUp
from repermit.db.models.evidence import Evidence, EvidencePart
from repermit.db.models.imports import Import
from repermit.db.models.mails import Mail, Reply
from repermit.rules.consent import MailState

_TOLD = ("answer", "method", "reason", "basis", "note", "came_back", "status", "file", "given_by")


@dataclass(frozen=True, kw_only=True)
class Moment:
    """Something that happened to a contact.

    `what` is `imported`, `signed_up`, `mail_<state>`, `bounced`, `replied`, or an event of the
    evidence, whose number and actor are given then. `facts` are words and codes of its own; of an
    erasure that was only a part whose time was over, which part has `ended`.
    """

    at: datetime
    what: str
    seq: int = 0
    actor: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)


def timeline(contact: Contact) -> tuple[Moment, ...]:
    """Return what happened to a contact, the oldest first."""
    moments = (
        *_coming(contact),
        *_mails(contact),
        *_replies(contact),
        *_evidence(contact),
    )
    return tuple(sorted(moments, key=lambda one: one.at))


def _coming(contact: Contact) -> Iterator[Moment]:
    if contact.imported_by_id is not None:
        file = Import.get_by_id(contact.imported_by_id)
        yield Moment(at=file.at, what="imported", facts={"file": file.file})
    signed_up = SignUp.select().where(
        SignUp.list == contact.list_id, SignUp.address_key == contact.address_key
    )
    for one in signed_up:
        yield Moment(at=one.at, what="signed_up")


def _mails(contact: Contact) -> Iterator[Moment]:
    for mail in list(Mail.select().where(Mail.contact == contact)):
        facts = {"kind": mail.kind, "reason": mail.reason, "code": _code(mail)}
        at = mail.sent_at if mail.state == MailState.SENT else mail.started_at
        yield Moment(at=at or _owed_at(mail), what=f"mail_{mail.state}", facts=facts)
        if mail.bounced_at:
            came_back = {"kind": mail.bounce, "code": mail.bounce_status}
            yield Moment(at=mail.bounced_at, what="bounced", facts=came_back)


def _owed_at(mail: Mail) -> datetime:
    """Return when a mail is due that was not tried; of one that waits for a pilot, since when."""
    campaign = mail.campaign
    at: datetime = mail.due_at
    return campaign.launched_at if campaign is not None and at >= AFTER_PILOT else at


def _code(mail: Mail) -> str:
    return f"{mail.reply_code or ''} {mail.reply_status}".strip()


def _replies(contact: Contact) -> Iterator[Moment]:
    for reply in list(Reply.select().where(Reply.contact == contact)):
        yield Moment(at=reply.at, what="replied", facts={"proposed": reply.proposed})


def _evidence(contact: Contact) -> Iterator[Moment]:
    entries = list(
        Evidence.select().where(
            Evidence.subject == contact.subject, Evidence.list == contact.list.slug
        )
    )
    seqs = [one.seq for one in entries]
    parts = EvidencePart.select().where(
        EvidencePart.seq.in_(seqs), EvidencePart.part.in_(("consent", "person"))
    )
    said: dict[int, dict[str, object]] = {}
    for part in parts:
        said.setdefault(part.seq, {}).update(json.loads(part.json))
    for one in entries:
        its = said.get(one.seq, {})
        facts = {name: str(its[name]) for name in _TOLD if its.get(name)}
        if its.get("why") == "retention":
            facts["ended"] = "consent" if its.get("parts") == ["consent"] else "trace"
        yield Moment(at=one.at, what=one.event, seq=one.seq, actor=one.actor, facts=facts)
