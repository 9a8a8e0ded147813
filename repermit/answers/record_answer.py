"""Recording an answer: the rules decide, and what follows is one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from repermit import email_address
from repermit.answers.held_answers import assess_press, is_taken_back
from repermit.answers.link_target import (
    ContactState,
    Giver,
    Method,
    PageShown,
    RecordedAnswer,
    predict_decision,
    read_contact_state,
    refresh_contact_state,
)
from repermit.contacts import click_log, enqueue_receipt, human_replies, lookup, status_changes
from repermit.contacts.click_log import LinkRequest
from repermit.contacts.status_changes import Act
from repermit.db.connection import Database, lock_rows
from repermit.db.models.base import PreparedQuery
from repermit.db.models.contacts import Contact, Opening
from repermit.db.models.evidence import Evidence
from repermit.db.models.lists import MailingList
from repermit.errors import NotFound, Refused
from repermit.evidence import chain, consent_receipt, entries
from repermit.rules import bot_detection
from repermit.rules.consent import CHANGING_OUTCOMES, Answer, Basis, Decision, Outcome, Reason
from repermit.settings.definitions import Settings
from repermit.signed_links import NOBODY, Form

_NOTE_INTERVAL = timedelta(days=1)


def record_answer(
    database: Database,
    *,
    uid: str,
    answer: Answer,
    arrived: datetime,
    settings: Settings,
    method: Method,
    trace: Mapping[str, str],
    page: Callable[[ContactState], PageShown] | None = None,
    seen: Iterable[LinkRequest] = (),
    is_again: bool = False,
    mark: str = "",
    form: Form | None = None,
) -> RecordedAnswer | None:
    """Record the answer of a link's person.

    `arrived` is when the answer reached us, stamped before any lock; `page` returns what somebody
    who stands so was shown, if there was a page, and what it raises leaves everything as it was;
    `seen` are openings that are not written yet, and `is_again` says that the page was the one that
    asks once more, whose buttons send `mark` along. `form` is the form of the page that it was
    pressed on, None where it needs none. A Yes that may be a program's is not recorded: its outcome
    is `hold`. Nor is what comes from a page after which something was pressed: its outcome is
    `ask`, where it would change anything. A No beside a Yes of one page takes that Yes back.

    Returns None if nothing is held of that person any more; a one-click No to such a link is noted,
    so that the admin learns that some tool still mails. Of the link of nobody, with which `check`
    tries the pages, nothing is written.
    """
    if uid == NOBODY:
        return None
    with database.atomic():
        contact = _lock_contact(uid)
        if contact is None or contact.erased_at is not None:
            if method == "one_click":
                _note_still_mailed(contact, arrived)
            return None
        opening = click_log.find_opening(contact)
        standing = read_contact_state(contact, opening)
        decision = predict_decision(standing, answer, arrived=arrived)
        shown = page(standing) if page else PageShown()
        press = assess_press(
            contact,
            opening,
            standing,
            answer,
            arrived,
            outcome=decision.outcome,
            seen=seen,
            is_again=is_again,
            mark=mark,
            form=form,
        )
        would_change = decision.outcome in CHANGING_OUTCOMES
        if press.mark:
            after = refresh_contact_state(standing, contact, press.opening)
            return RecordedAnswer(outcome=Outcome.HOLD, standing=after, mark=press.mark)
        if press.is_spent:
            return RecordedAnswer(
                outcome=Outcome.ASK if would_change else decision.outcome, standing=standing
            )
        trace_record = {**trace, **press.trace}
        if press.takes_back:
            return retract_yes(
                contact, consent_receipt.BOTH_PRESSED, trace_record, settings, at=arrived
            )
        consent_record = _make_consent_record(standing, answer, arrived, method, shown)
        # Wordings stay for good, so none is kept of a press that changes nothing.
        if shown.wording and would_change:
            name = "page_wording" if shown.was_shown else "link_page_wording"
            consent_record[name] = chain.store_wording(shown.wording)
        act = status_changes.Act(
            at=arrived,
            actor="person",
            campaign=standing.campaign,
            consent=consent_record,
            trace=trace_record,
        )
        return _apply_decision(
            contact, press.opening, standing, answer, decision, act=act, settings=settings
        )


def disown_yes(
    database: Database,
    *,
    uid: str,
    arrived: datetime,
    settings: Settings,
    trace: Mapping[str, str],
    seen: Iterable[LinkRequest] = (),
    mark: str = "",
) -> RecordedAnswer | None:
    """Record that a contact who was asked again did not press Yes.

    The Yes of the same page, whose buttons send `mark` along, is taken back: the outcome is
    `remove`. Otherwise nothing else changes, and it is what a Yes would do now. Returns None if
    nothing is held of that person any more.
    """
    with database.atomic():
        contact = _lock_contact(uid)
        if contact is None or contact.erased_at is not None:
            return None
        opening = click_log.find_opening(contact)
        past = click_log.read_link_history(contact, opening, seen)
        after = bot_detection.record_disowned(past, at=arrived)
        opening = click_log.save_link_history(contact, opening, after, held_at=None)
        if bot_detection.is_confirmation_open(past):
            status_changes.invalidate_open_forms(contact)
        if is_taken_back(contact, past, mark):
            return retract_yes(contact, consent_receipt.NOT_PRESSED, trace, settings, at=arrived)
        standing = read_contact_state(contact, opening)
        outcome = predict_decision(standing, Answer.YES, arrived=arrived).outcome
        return RecordedAnswer(outcome=outcome, standing=standing)


def retract_yes(
    contact: Contact, method: str, trace: Mapping[str, Any], settings: Settings, *, at: datetime
) -> RecordedAnswer:
    """Remove a contact whose Yes came from a program; `method` says how that was found.

    The contact is locked, and the reason is `request`: it is no No of the person's, nor a
    withdrawal, who may never have consented (GDPR art. 4(11)). What would tell them of a Yes is not
    sent any more. They are told of this, since they may have seen that Yes recorded; of a sign-up
    they are only if they were told of its Yes.
    """
    human_replies.settle_replies(contact, at=at)
    if contact.basis == Basis.ANSWER or enqueue_receipt.has_receipt(contact):
        enqueue_receipt.enqueue_receipt(contact, contact.list, at=at, answer=Answer.NO)
    else:
        enqueue_receipt.drop_receipts(contact)
    act = status_changes.Act(at=at, actor="reader", consent={"method": method}, trace=trace)
    key = settings.fingerprint_key
    status_changes.remove_contacts([contact], reason=Reason.REQUEST, act=act, fingerprint_key=key)
    after = read_contact_state(contact, click_log.find_opening(contact))
    return RecordedAnswer(outcome=Outcome.REMOVE, standing=after)


def record_reported_answer(
    database: Database,
    mailing_list: MailingList,
    address: str,
    answer: Answer,
    *,
    note: str,
    settings: Settings,
    now: datetime,
    actor: str,
    given_by: Giver = "",
    given_at: datetime | None = None,
    taken_by: str = "",
) -> RecordedAnswer:
    """Record an answer that the admin was given by phone, letter or reply.

    `note` says how, and `taken_by` who took it, if that was not the `actor`. The answer arrived at
    `given_at`, or when the person's reply by mail did, and may still reverse a `no_response`.
    Raises AddressError, NotFound, and Refused for an empty note, for a time that is still to
    come, and for a Yes to a question that was not open then.
    """
    if not note.strip():
        raise Refused(
            "say with --note how the answer was given: by phone, by letter, as a reply",
            code="answer_note",
        )
    with database.atomic():
        contact = _lock_contact_by_address(mailing_list, address)
        opening = click_log.find_opening(contact)
        standing = read_contact_state(contact, opening)
        arrived = given_at or human_replies.find_reply_time(contact, answer) or now
        if given_at and given_at > now:
            raise Refused("an answer cannot have been given later than now", code="given_later")
        # No may be said before one is asked.
        is_early = given_at and standing.asked_at and given_at < standing.asked_at
        if answer is Answer.YES and is_early:
            raise Refused("this person was asked only later than that", code="given_before")
        shown = PageShown(given_by=given_by)
        act = status_changes.Act(
            at=now,
            actor=actor,
            campaign=standing.campaign,
            consent=_make_consent_record(standing, answer, arrived, "note", shown),
            person={"note": note.strip(), **({"taken_by": taken_by} if taken_by else {})},
        )
        decision = predict_decision(standing, answer, arrived=arrived)
        recorded = _apply_decision(
            contact, opening, standing, answer, decision, act=act, settings=settings
        )
    if recorded.outcome is Outcome.LATE:
        raise Refused(
            "a Yes counts only while a campaign asks for it, until its deadline; this person can "
            "sign up anew on the list's sign-up page"
        )
    return recorded


def _lock_contact(uid: str) -> Contact | None:
    contact: Contact | None = _LOCK_QUERY.first(uid)
    return contact


_LOCK_QUERY = PreparedQuery(lambda uid: lock_rows(Contact.select().where(Contact.uid == uid)), 1)


def _lock_contact_by_address(mailing_list: MailingList, address: str) -> Contact:
    key = email_address.parse(address).key
    contact: Contact | None = Contact.get_or_none(
        Contact.list == mailing_list, Contact.address_key == key
    )
    if contact is None:
        raise NotFound("this address is not on the list %(list)s", list=mailing_list.slug)
    return lookup.lock_contact(contact.id)


def _apply_decision(
    contact: Contact,
    opening: Opening | None,
    standing: ContactState,
    answer: Answer,
    decision: Decision,
    *,
    act: Act,
    settings: Settings,
) -> RecordedAnswer:
    """Do what the rules decided; the contact is locked, and what it wrote by mail is decided on."""
    key = settings.fingerprint_key
    if decision.outcome is not Outcome.LATE:
        human_replies.settle_replies(contact, at=act.at)
    if decision.outcome is Outcome.CONFIRM:
        enqueue_receipt.enqueue_receipt(contact, contact.list, at=act.at)
        status_changes.confirm_contact(contact, basis=Basis.ANSWER, act=act, fingerprint_key=key)
    elif decision.reason is not None:
        enqueue_receipt.enqueue_no_receipt(contact, at=act.at)
        status_changes.remove_contacts(
            [contact], reason=decision.reason, act=act, fingerprint_key=key
        )
    elif answer is Answer.NO:
        status_changes.mark_contact_refused(contact)
    after = refresh_contact_state(standing, contact, opening)
    return RecordedAnswer(outcome=decision.outcome, standing=after)


def _make_consent_record(
    standing: ContactState, answer: Answer, arrived: datetime, method: Method, shown: PageShown
) -> dict[str, Any]:
    """Return the consent record of an answer (GDPR art. 7(1), EDPB 05/2020 §108)."""
    language = shown.language or standing.language
    return {
        "answer": str(answer),
        "method": method,
        "arrived_at": arrived.isoformat(),
        "asked_at": standing.asked_at.isoformat() if standing.asked_at else "",
        "reminded_at": standing.reminded_at.isoformat() if standing.reminded_at else "",
        "deadline": standing.deadline.isoformat() if standing.deadline else "",
        "mail_wording": standing.mail_wording,
        **standing.delivery,
        "language": language,
        **lookup.describe_list(standing.mailing_list.in_language(language)),
        **describe_giver(shown.given_by),
    }


def describe_giver(given_by: Giver) -> dict[str, str]:
    """Return the consent record's fields about a representative who gave the answer.

    For somebody too young or under guardianship they consent (GDPR art. 8(1), UAVG art. 5).
    """
    return {"given_by": given_by} if given_by else {}


def _note_still_mailed(contact: Contact | None, arrived: datetime) -> None:
    """Note, once a day, that another tool still mails somebody who is erased here."""
    subject = contact.subject if contact else ""
    is_noted = (
        Evidence.select()
        .where(
            Evidence.event == "still_mailed",
            Evidence.subject == subject,
            Evidence.at > arrived - _NOTE_INTERVAL,
        )
        .exists()
    )
    if not is_noted:
        chain.append(
            entries.Entry(
                event="still_mailed",
                at=arrived,
                actor="person",
                list=contact.list.slug if contact else "",
                subject=subject,
            )
        )
