"""Recording an answer: the rules decide, and one transaction applies the decision."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from repermit import email_address
from repermit.answers.held_answers import assess_press, is_yes_revoked
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
from repermit.db.models.base import PreparedQuery, parse_timestamp
from repermit.db.models.contacts import Contact, Opening
from repermit.db.models.evidence import Evidence
from repermit.db.models.lists import MailingList
from repermit.errors import NotFound, Refused
from repermit.evidence import chain, chain_reader, consent_receipt, entries
from repermit.i18n.lazy_text import LazyText
from repermit.rules import bot_detection
from repermit.rules.consent import (
    CHANGING_OUTCOMES,
    OWN_YES,
    REFUSALS,
    Answer,
    Basis,
    Decision,
    Outcome,
    Reason,
)
from repermit.settings.definitions import Settings
from repermit.signed_links import NOBODY, Form

_NOTE_INTERVAL = timedelta(days=1)


def record_answer(
    database: Database,
    *,
    uid: str,
    answer: Answer,
    arrived_at: datetime,
    settings: Settings,
    method: Method,
    trace: Mapping[str, str],
    page: Callable[[ContactState], PageShown] | None = None,
    unsaved_requests: Iterable[LinkRequest] = (),
    is_confirmation_page: bool = False,
    confirmation_token: str = "",
    form: Form | None = None,
) -> RecordedAnswer | None:
    """Record an answer that was given through a contact's link.

    - `arrived_at`: when the answer arrived, taken before any lock.
    - `page`: returns the page that the contact was shown, for an answer that changes anything; an
      error in it rolls back.
    - `unsaved_requests`: requests of the contact's links that are not stored yet.
    - `is_confirmation_page`: it was pressed on the page that asks for a Yes again;
      `confirmation_token` is what the buttons of that page send.
    - `form`: the submitted form; None for one-click (RFC 8058).

    The outcome is `hold` for a Yes that may be a program's: it is not recorded. It is `ask` if the
    form is stale and the answer would change anything. A No from the page of the last Yes revokes
    that Yes.

    Returns None if the contact is erased or unknown; a one-click No is then recorded once a day, so
    that the admin learns of a tool that still sends mail. If the person has signed up anew since, a
    one-click No counts for that. For `NOBODY`, the link with which `check` tries the pages, it
    writes nothing and returns None.
    """
    if uid == NOBODY:
        return None
    with database.atomic():
        contact = _lock_contact(uid)
        if contact and method == "one_click":
            contact = _lock_returned_contact(contact) or contact
        if contact is None or contact.erased_at is not None:
            if method == "one_click":
                _note_still_mailed(contact, arrived_at)
            return None
        opening = click_log.find_opening(contact)
        contact_state = read_contact_state(contact, opening)
        decision = predict_decision(contact_state, answer, arrived_at=arrived_at)
        press = assess_press(
            contact,
            opening,
            contact_state,
            answer,
            arrived_at,
            outcome=decision.outcome,
            unsaved_requests=unsaved_requests,
            is_confirmation_page=is_confirmation_page,
            confirmation_token=confirmation_token,
            form=form,
        )
        would_change = decision.outcome in CHANGING_OUTCOMES
        if press.confirmation_token:
            after = refresh_contact_state(contact_state, contact, press.opening)
            return RecordedAnswer(
                outcome=Outcome.HOLD,
                contact_state=after,
                confirmation_token=press.confirmation_token,
            )
        if press.is_form_stale:
            return RecordedAnswer(
                outcome=Outcome.ASK if would_change else decision.outcome,
                contact_state=contact_state,
            )
        trace_record = {**trace, **press.trace}
        if press.revokes_yes:
            return retract_yes(
                contact, consent_receipt.BOTH_PRESSED, trace_record, settings, at=arrived_at
            )
        # Wordings are never deleted, so a press that changes nothing stores none.
        shown = page(contact_state) if page and would_change else PageShown()
        consent_record = _make_consent_record(contact_state, answer, arrived_at, method, shown)
        if shown.wording:
            name = "page_wording" if shown.was_shown else "link_page_wording"
            consent_record[name] = chain.store_wording(shown.wording)
        act = status_changes.Act(
            at=arrived_at,
            actor="person",
            campaign=contact_state.campaign,
            consent=consent_record,
            trace=trace_record,
        )
        return _apply_decision(
            contact, press.opening, contact_state, answer, decision, act=act, settings=settings
        )


def disown_yes(
    database: Database,
    *,
    uid: str,
    arrived_at: datetime,
    settings: Settings,
    trace: Mapping[str, str],
    unsaved_requests: Iterable[LinkRequest],
    confirmation_token: str,
) -> RecordedAnswer | None:
    """Record that a contact who was asked again did not press Yes.

    If `confirmation_token` is that of the page that confirmed the recorded Yes, that Yes is revoked
    and the outcome is `remove`. Otherwise the outcome is what a Yes would do now. Returns None if
    the contact is erased or unknown.
    """
    with database.atomic():
        contact = _lock_contact(uid)
        if contact is None or contact.erased_at is not None:
            return None
        opening = click_log.find_opening(contact)
        history = click_log.read_link_history(contact, opening, unsaved_requests)
        after = bot_detection.record_disowned(history, at=arrived_at)
        opening = click_log.save_link_history(contact, opening, after, held_at=None)
        if bot_detection.is_confirmation_open(history):
            status_changes.invalidate_open_forms(contact)
        if is_yes_revoked(contact, history, confirmation_token):
            return retract_yes(contact, consent_receipt.NOT_PRESSED, trace, settings, at=arrived_at)
        contact_state = read_contact_state(contact, opening)
        outcome = predict_decision(contact_state, Answer.YES, arrived_at=arrived_at).outcome
        return RecordedAnswer(outcome=outcome, contact_state=contact_state)


def retract_yes(
    contact: Contact, method: str, trace: Mapping[str, Any], settings: Settings, *, at: datetime
) -> RecordedAnswer:
    """Remove a contact whose Yes came from a program; `method` says how that was found.

    The contact is locked. The reason is `request`: the person gave no No and may never have
    consented (GDPR art. 4(11)). Unsent receipts of the Yes are dropped. The contact gets a receipt
    of the removal, as the Yes may have been seen; after a sign-up only if its Yes had a receipt.
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
    return RecordedAnswer(outcome=Outcome.REMOVE, contact_state=after)


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
    is_day_alone: bool = False,
    reply_at: datetime | None = None,
    taken_by: str = "",
) -> RecordedAnswer:
    """Record an answer that was given to the admin by phone, by letter or in a reply.

    - `note`: how it was given.
    - `taken_by`: who received it, if not the `actor`.
    - `given_at`: when it was given; without it, the time of the reply by mail, or `now`. An answer
      that was given in time still reverses a `no_response`.
    - `reply_at`: when the reply by mail arrived that is decided on, whatever was proposed for it.
    - `is_day_alone`: only the day of `given_at` is known, which is the end of that day.

    Raises AddressError, NotFound, and Refused for an empty note, a future time, a Yes to a question
    that was not open then, or an answer that the person has changed since.
    """
    if not note.strip():
        raise Refused(
            "say how the answer was given: by phone, by letter, as a reply", cli=" (--note)"
        )
    with database.atomic():
        contact = _lock_contact_by_address(mailing_list, address)
        opening = click_log.find_opening(contact)
        contact_state = read_contact_state(contact, opening)
        asked_at = contact_state.asked_at
        if reply_at is None:
            reply_at = human_replies.find_reply_time(contact, answer)
            # A reply to an earlier campaign is no answer to this one.
            reply_at = None if reply_at and asked_at and reply_at < asked_at else reply_at
        told_at = given_at or reply_at
        arrived_at = told_at or now
        if given_at and given_at > now:
            raise Refused("an answer cannot have been given later than now")
        # A No may be given before the ask.
        is_early = told_at and asked_at and told_at < asked_at
        if answer is Answer.YES and is_early:
            raise Refused(LazyText("this person was asked only after that", code="given_before"))
        given_from = arrived_at
        if is_day_alone and answer is Answer.YES:
            # It may have been given before whatever happened on that day.
            given_from = _start_day(arrived_at, settings)
        _require_last_word(contact, mailing_list, answer, given_from=given_from)
        shown = PageShown(given_by=given_by)
        act = status_changes.Act(
            at=now,
            actor=actor,
            campaign=contact_state.campaign,
            consent=_make_consent_record(contact_state, answer, arrived_at, "note", shown),
            person={"note": note.strip(), **({"taken_by": taken_by} if taken_by else {})},
        )
        decision = predict_decision(contact_state, answer, arrived_at=arrived_at)
        recorded = _apply_decision(
            contact,
            opening,
            contact_state,
            answer,
            decision,
            act=act,
            settings=settings,
            given_at=arrived_at,
        )
    if recorded.outcome is Outcome.LATE:
        raise Refused(
            "a Yes counts only while a campaign asks for it, until its deadline; this person can "
            "sign up anew on the list's sign-up page"
        )
    return recorded


def _require_last_word(
    contact: Contact, mailing_list: MailingList, answer: Answer, *, given_from: datetime
) -> None:
    """Refuse an answer that is older than what its person has done since (GDPR art. 7(3)).

    - `given_from`: the earliest time at which it can have been given.
    """
    changed_at = _find_opposite_time(contact, mailing_list, answer)
    if changed_at is None or changed_at <= given_from:
        return
    if answer is Answer.YES:
        text = LazyText(
            "this person has said No since, or refused otherwise; a Yes after that needs the time "
            "at which it was given",
            code="given_before",
            cli=" (--given)",
        )
    else:
        text = LazyText(
            "this person has said Yes since; a No after that needs the time at which it was given",
            code="given_before",
            cli=" (--given)",
        )
    raise Refused(text)


def _start_day(moment: datetime, settings: Settings) -> datetime:
    local = moment.astimezone(settings.zone)
    return local.replace(hour=0, minute=0, second=0, microsecond=0).astimezone(UTC)


def _find_opposite_time(
    contact: Contact, mailing_list: MailingList, answer: Answer
) -> datetime | None:
    """Return when a person did what the opposite answer does; None if that is not their state."""
    if answer is Answer.YES:
        event, is_opposite = "removed", contact.status == "removed" and contact.reason in REFUSALS
    else:
        event, is_opposite = "confirmed", contact.basis in OWN_YES
    if not is_opposite:
        return None
    entry = (
        Evidence.select()
        .where(
            Evidence.subject == contact.subject,
            Evidence.list == mailing_list.slug,
            Evidence.event == event,
        )
        .order_by(Evidence.seq.desc())
        .first()
    )
    if entry is None:
        return None
    consent = chain_reader.read_consents([entry.seq]).get(entry.seq, {})
    if consent.get("method") in consent_receipt.TAKEN_BACK:
        # A program's Yes was taken back; the person has said neither.
        return None
    # A reported answer is recorded later than it was given, and a restore repeats removals.
    at = consent.get("arrived_at") or consent.get("left_at")
    return parse_timestamp(at) if at else entry.at


def _lock_contact(uid: str) -> Contact | None:
    contact: Contact | None = _LOCK_QUERY.first(uid)
    return contact


_LOCK_QUERY = PreparedQuery(lambda uid: lock_rows(Contact.select().where(Contact.uid == uid)), 1)


def _lock_returned_contact(contact: Contact) -> Contact | None:
    """Return the contact that an erased one became by a new sign-up, locked, or None."""
    if contact.erased_at is None:
        return None
    current = lookup.find_current_contact(contact.list_id, contact.subject)
    return current and lookup.lock_contact(current.id)


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
    contact_state: ContactState,
    answer: Answer,
    decision: Decision,
    *,
    act: Act,
    settings: Settings,
    given_at: datetime | None = None,
) -> RecordedAnswer:
    """Apply the decision to the locked contact; its waiting replies are settled by it."""
    key = settings.fingerprint_key
    if decision.outcome is not Outcome.LATE:
        human_replies.settle_replies(contact, at=act.at)
    if decision.outcome is Outcome.CONFIRM:
        enqueue_receipt.enqueue_receipt(contact, contact.list, at=act.at)
        status_changes.confirm_contact(
            contact, basis=Basis.ANSWER, act=act, fingerprint_key=key, given_at=given_at
        )
    elif decision.reason is not None:
        enqueue_receipt.enqueue_no_receipt(contact, at=act.at)
        status_changes.remove_contacts(
            [contact], reason=decision.reason, act=act, fingerprint_key=key
        )
    elif answer is Answer.NO:
        status_changes.mark_contact_refused(contact)
    after = refresh_contact_state(contact_state, contact, opening)
    return RecordedAnswer(outcome=decision.outcome, contact_state=after)


def _make_consent_record(
    contact_state: ContactState,
    answer: Answer,
    arrived_at: datetime,
    method: Method,
    shown: PageShown,
) -> dict[str, Any]:
    """Return the consent record of an answer (GDPR art. 7(1), EDPB 05/2020 §108)."""
    language = shown.language or contact_state.language
    return {
        "answer": str(answer),
        "method": method,
        "arrived_at": arrived_at.isoformat(),
        "asked_at": contact_state.asked_at.isoformat() if contact_state.asked_at else "",
        "reminded_at": contact_state.reminded_at.isoformat() if contact_state.reminded_at else "",
        "deadline": contact_state.deadline.isoformat() if contact_state.deadline else "",
        "mail_wording": contact_state.mail_wording,
        **contact_state.delivery,
        "language": language,
        **lookup.describe_list(contact_state.mailing_list.in_language(language)),
        **describe_giver(shown.given_by),
    }


def describe_giver(given_by: Giver) -> dict[str, str]:
    """Return the consent record's fields about a representative who gave the answer.

    A representative consents for a child or a person under guardianship (GDPR art. 8(1), UAVG
    art. 5).
    """
    return {"given_by": given_by} if given_by else {}


def _note_still_mailed(contact: Contact | None, arrived_at: datetime) -> None:
    """Record, once a day, that another tool still mails a contact that is erased or unknown."""
    subject = contact.subject if contact else ""
    is_noted = (
        Evidence.select()
        .where(
            Evidence.event == "still_mailed",
            Evidence.subject == subject,
            Evidence.at > arrived_at - _NOTE_INTERVAL,
        )
        .exists()
    )
    if not is_noted:
        chain.append(
            entries.Entry(
                event="still_mailed",
                at=arrived_at,
                actor="person",
                list=contact.list.slug if contact else "",
                subject=subject,
            )
        )
