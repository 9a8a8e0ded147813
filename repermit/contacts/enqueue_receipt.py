"""The receipt of a contact's latest answer: its content, and the mail that carries it.

Mails are enqueued in the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from repermit.clock import format_timestamp
from repermit.db.models.base import PreparedQuery
from repermit.db.models.contacts import Contact
from repermit.db.models.evidence import Evidence
from repermit.db.models.lists import MailingList
from repermit.db.models.mails import Mail
from repermit.evidence import chain_reader, consent_receipt, proof_file, signed_checkpoint
from repermit.evidence.consent_receipt import NO_REGISTER, ConsentRecordInput
from repermit.rules.consent import (
    NOT_STARTED,
    OWN_YES,
    POSSIBLY_SENT,
    Answer,
    Dropped,
    MailKind,
    MailState,
    Status,
)
from repermit.rules.requested_mails_per_day import MAX_REQUESTED_MAILS, find_next_mail_time
from repermit.settings.definitions import Settings
from repermit.signed_links import Links


def enqueue_receipt(
    contact: Contact, mailing_list: MailingList, *, at: datetime, answer: Answer = Answer.YES
) -> None:
    """Enqueue the receipt of an answer, if the list sends receipts; at most three a day.

    - `at`: the time of the answer's entry, which is appended in the same transaction; the mail of a
      Yes finds the entry by it (see `find_receipt_entry`).

    Unsent receipts of earlier answers are dropped. A fourth receipt is due a day after the third
    last one, so that the last mail is about the last answer.
    """
    if not mailing_list.receipts:
        return
    drop_receipts(contact)
    due_at = find_next_mail_time([mail.due_at for mail in _LATEST.rows(contact)], now=at)
    _INSERT_RECEIPT.execute(
        mailing_list.id, contact.id, format_timestamp(due_at), _make_topic(answer, at)
    )


# Only so many, as whoever holds a link can have answered any number of times.
_LATEST = PreparedQuery(
    lambda contact: (
        Mail.select(Mail.due_at)
        .where(
            Mail.contact == contact,
            Mail.kind == MailKind.RECEIPT,
            Mail.state.in_(POSSIBLY_SENT),
        )
        .order_by(Mail.due_at.desc())
        .limit(MAX_REQUESTED_MAILS)
    ),
    1,
)
_INSERT_RECEIPT = PreparedQuery(
    lambda mailing_list, contact, due_at, topic: Mail.insert(
        list=mailing_list,
        contact=contact,
        kind=MailKind.RECEIPT,
        due_at=due_at,
        message_id="",
        topic=topic,
    ),
    4,
)


def enqueue_no_receipt(contact: Contact, *, at: datetime) -> None:
    """Enqueue the receipt of a No that takes back a Yes; call it before the No is applied.

    A first No gets no receipt, as it contradicts no earlier one.
    """
    if contact.status == Status.CONFIRMED and contact.basis in OWN_YES:
        enqueue_receipt(contact, contact.list, at=at, answer=Answer.NO)


def has_receipt(contact: Contact) -> bool:
    """Return whether the receipt of the Yes that confirmed a contact was or may have been sent."""
    receipts = Mail.select().where(
        Mail.contact == contact,
        Mail.kind == MailKind.RECEIPT,
        Mail.topic == _make_topic(Answer.YES, contact.status_at),
        Mail.state.in_(POSSIBLY_SENT),
    )
    return bool(receipts.exists())


def _make_topic(answer: Answer, at: datetime) -> str:
    """Return the topic of a receipt: the answer and its time, for a Yes only the time."""
    return at.isoformat() if answer is Answer.YES else f"{answer} {at.isoformat()}"


def is_receipt_of_no(mail: Mail) -> bool:
    """Return whether a mail is the receipt of a No."""
    return mail.kind == MailKind.RECEIPT and str(mail.topic).startswith(f"{Answer.NO} ")


def read_receipt(topic: str) -> tuple[Answer, datetime]:
    """Return the answer that a receipt's topic names, and the time of its entry."""
    answer, _, at = topic.rpartition(" ")
    return Answer(answer or Answer.YES), datetime.fromisoformat(at)


def drop_receipts(contact: Contact) -> None:
    """Drop a contact's receipts that are not sent yet, as their answer no longer holds."""
    _DROP.execute(contact)


_DROP = PreparedQuery(
    lambda contact: Mail.update(state=MailState.DROPPED, reason=Dropped.ANSWERED).where(
        Mail.contact == contact,
        Mail.kind == MailKind.RECEIPT,
        Mail.state.in_(NOT_STARTED),
    ),
    1,
)


def find_receipt_entry(subject: str, slug: str, at: datetime) -> int | None:
    """Return the sequence number of the entry of a Yes, None without one at that time."""
    entry: Evidence | None = _ENTRY.first(subject, slug, at)
    return entry.seq if entry else None


_ENTRY = PreparedQuery(
    lambda subject, slug, at: Evidence.select(Evidence.seq).where(
        Evidence.subject == subject,
        Evidence.list == slug,
        Evidence.event == "confirmed",
        Evidence.at == at,
    ),
    3,
)


def read_consent_record_input(
    contact: Contact, *, settings: Settings, register: Mapping[str, Sequence[str]] = NO_REGISTER
) -> ConsentRecordInput:
    """Return the input of a contact's consent record; `register` as in `ConsentRecordInput`."""
    slug = contact.list.slug
    entries = chain_reader.read_entries_of_subject(contact.subject, slug)
    return consent_receipt.ConsentRecordInput(
        list=slug,
        subject=contact.subject,
        entries=proof_file.make_recorded_entries(entries),
        controller=consent_receipt.describe_controller(settings.organisation),
        retention=consent_receipt.describe_retention(settings.retention),
        register=register,
    )


def make_receipt(
    contact: Contact, record_input: ConsentRecordInput, *, settings: Settings, links: Links
) -> dict[str, Any] | None:
    """Return the receipt for a contact, None if it was never asked and never answered."""
    if not consent_receipt.compose_consent_record(record_input)["event"]:
        return None
    return consent_receipt.compose_receipt(
        record_input,
        withdrawal_url=links.url("no", contact.uid),
        checkpoint=signed_checkpoint.make_signed_checkpoint(settings).to_json(),
    )
