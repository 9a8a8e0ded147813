"""Signing up: the form for an address, and the press by which its holder becomes a contact.

Double opt-in: the form only enqueues a mail.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from repermit import email_address
from repermit.answers.link_target import PageShown, SignUpResult, read_contact_state
from repermit.answers.record_answer import describe_giver, record_answer, retract_yes
from repermit.contacts import (
    click_log,
    enqueue_receipt,
    lookup,
    requested_mails_per_day,
    status_changes,
)
from repermit.db import background_tasks
from repermit.db.connection import Database, lock_rows
from repermit.db.models.base import new_id
from repermit.db.models.campaigns import Campaign
from repermit.db.models.contacts import Contact, SignUp, Suppression
from repermit.db.models.lists import MailingList
from repermit.db.models.mails import Mail
from repermit.db.secure_delete import delete_in_steps
from repermit.evidence import chain, chain_reader, consent_receipt, erasable_parts
from repermit.i18n import catalogues
from repermit.rules import bot_detection, consent
from repermit.rules.bot_detection import BotSignal, LinkHistory
from repermit.rules.consent import (
    Answer,
    Basis,
    CampaignState,
    MailKind,
    Outcome,
    Reason,
    Status,
)
from repermit.rules.sign_up_deadline import SIGN_UP_LIFETIME, SIGN_UPS_KEPT
from repermit.settings.definitions import Settings
from repermit.signed_links import Form


def request_sign_up(
    database: Database,
    mailing_list: MailingList,
    *,
    address: str,
    name: str,
    language: str,
    now: datetime,
) -> None:
    """Enqueue a mail with a link to the holder of an address, three a day at most.

    It does the same whether or not the address is on the list, so that nobody learns that. Raises
    AddressError for an invalid address.
    """
    parsed = email_address.parse(address)
    with database.atomic():
        requested_mails_per_day.lock_address(database, parsed.key)
        if not requested_mails_per_day.may_sign_up(parsed.key, now=now):
            return
        background_tasks.invalidate_upload_counts(mailing_list.id)
        sign_up_row = SignUp.create(
            list=mailing_list,
            uid=new_id(),
            address=parsed.sending,
            address_key=parsed.key,
            name=name,
            language=language,
            at=now,
        )
        Mail.create(
            list=mailing_list, sign_up=sign_up_row, kind=MailKind.CONFIRM, due_at=now, message_id=""
        )


def forget_old_sign_ups(
    database: Database,
    *,
    now: datetime,
    should_stop: Callable[[], bool] = lambda: False,
) -> int:
    """Delete sign-ups that nobody confirmed within `SIGN_UPS_KEPT`; return how many.

    Anybody may have typed their addresses.
    """
    return delete_in_steps(
        database,
        SignUp,
        SignUp.confirmed_at.is_null(),
        SignUp.at < now - SIGN_UPS_KEPT,
        holds_addresses=True,
        should_stop=should_stop,
    )


def _make_contact(sign_up: SignUp, arrived_at: datetime, settings: Settings) -> Contact:
    address = email_address.Address(sign_up.address, sign_up.address_key)
    language = lookup.read_list_facts(sign_up.list).pick_language(sign_up.language)
    contact = lookup.make_contact(
        sign_up.list,
        address,
        # Confirmed later in the same transaction.
        status=Status.UNCONFIRMED,
        status_at=arrived_at,
        source=catalogues.load_translations(language).gettext("your own sign-up on our page"),
        since=arrived_at,
    )
    if subject := _find_erased_subject(sign_up, settings):
        contact.subject, contact.has_predecessor = subject, True
    return contact


def _lock_or_add_contact(
    sign_up: SignUp, arrived_at: datetime, settings: Settings
) -> tuple[Contact, bool]:
    """Return the contact of a sign-up, locked, and whether it is new."""
    contact = _lock_contact(sign_up)
    if contact is None:
        new_contact = _make_contact(sign_up, arrived_at, settings)
        if lookup.insert_contact(new_contact):
            return new_contact, True
        contact = lock_rows(_select_contact(sign_up)).get()
    return contact, False


def _find_erased_subject(sign_up: SignUp, settings: Settings) -> str:
    """Return the subject of an erased contact that signs up again, "" if there is none.

    So its evidence stays under one subject. Not so for an address that the contact had left for
    another: it may be another person's now. Nor for a subject that belongs to another list, from
    which a suppression file may have brought it here.
    """
    fingerprint = email_address.fingerprint(settings.fingerprint_key, sign_up.address_key)
    suppression: Suppression | None = (
        Suppression.select()
        .where(
            Suppression.fingerprint == fingerprint,
            (Suppression.list == sign_up.list_id) | Suppression.list.is_null(),
        )
        .order_by(Suppression.list.is_null())
        .first()
    )
    if suppression is None or lookup.find_current_contact(sign_up.list_id, suppression.subject):
        return ""
    slug = sign_up.list.slug
    if chain_reader.find_subjects_of_other_lists([suppression.subject], slug):
        return ""
    # A contact that was never erased here was never stored, and had no address to move from.
    is_same_person = erasable_parts.read_erased_fingerprint(suppression.subject, slug) in {
        "",
        fingerprint,
    }
    return suppression.subject if is_same_person else ""


# --- Confirming a sign-up. ------------------------------------------------------------------------


def find_sign_up(uid: str, *, now: datetime) -> SignUpResult | None:
    """Return the sign-up that a link names and what a press on it would do, or None."""
    sign_up: SignUp | None = SignUp.get_or_none(SignUp.uid == uid)
    return None if sign_up is None else _make_result(sign_up, _predict_outcome(sign_up, now))


def confirm_sign_up(
    database: Database,
    *,
    uid: str,
    arrived_at: datetime,
    settings: Settings,
    trace: Mapping[str, str],
    page: Callable[[SignUpResult], PageShown],
    confirmation_token: str = "",
    form: Form | None = None,
) -> SignUpResult | None:
    """Confirm a sign-up: put its holder on the list, with the evidence.

    - `arrived_at`: when the press arrived.
    - `page`: returns the page that the holder was shown; an error in it rolls back.
    - `confirmation_token`: what the button sent, "" unless the page asked again.
    - `form`: the submitted form.

    The outcome is `hold` if the press may be a program's and is asked for again, `ask` if the form
    is stale, `nothing` if the link was used before or nothing had to change, and `late` if it has
    expired. Returns None if there is no such sign-up.
    """
    with database.atomic():
        sign_up = _lock_sign_up(database, uid)
        if sign_up is None:
            return None
        predicted = _predict_outcome(sign_up, arrived_at)
        before = _make_result(sign_up, predicted)
        if predicted is not Outcome.CONFIRM:
            return before
        if form and form.version != before.form_version:
            return replace(before, outcome=Outcome.ASK)
        history = _make_history(sign_up)
        sign_up.form_version += 1
        signals = bot_detection.detect_signals(
            "yes", history, arrived_at=arrived_at, mailed_at=None
        )
        # Only the newest confirmation request counts: of two programs one has an older page.
        if not bot_detection.is_valid_yes(
            history,
            signals,
            is_confirmation_page=history.doubted_at is not None,
            confirmation_token=confirmation_token,
        ):
            doubted = bot_detection.record_doubtful_yes(history, at=arrived_at)
            sign_up.doubted_at, sign_up.declined_at = doubted.doubted_at, None
            sign_up.save()
            return _make_result(sign_up, Outcome.HOLD, signals)
        shown = page(before)
        sign_up.confirmed_at, sign_up.declined_at, sign_up.doubted_at = arrived_at, None, None
        sign_up.save()
        contact, is_new = _lock_or_add_contact(sign_up, arrived_at, settings)
        if contact.status == Status.CONFIRMED and not consent.is_better_basis(
            contact.basis, Basis.SIGN_UP
        ):
            return _make_result(sign_up, Outcome.NOTHING)
        key = settings.fingerprint_key
        former_status = {} if is_new else status_changes.describe_previous_status(contact, key)
        former_names = {} if is_new else status_changes.describe_previous_name(contact)
        contact.address = sign_up.address
        # Anybody can have typed another name for this address.
        contact.name = contact.name or sign_up.name
        contact.language = sign_up.language or contact.language
        contact.save()
        consent_record = {
            **_make_consent_record(before, sign_up, arrived_at, shown.language),
            **describe_giver(shown.given_by),
            "page_wording": chain.store_wording(shown.wording),
        }
        act = status_changes.Act(
            at=arrived_at,
            actor="person",
            consent=consent_record | former_status,
            person=former_names,
            trace={**trace, **_describe_doubts(history, signals)},
        )
        enqueue_receipt.enqueue_receipt(contact, sign_up.list, at=arrived_at)
        status_changes.confirm_contact(contact, basis=Basis.SIGN_UP, act=act, fingerprint_key=key)
        return _make_result(sign_up, Outcome.CONFIRM)


def decline_sign_up(
    database: Database,
    *,
    uid: str,
    arrived_at: datetime,
    settings: Settings,
    trace: Mapping[str, str],
    is_no: bool = False,
    form: Form | None = None,
) -> SignUpResult | None:
    """Record that the reader of a sign-up mail declines it.

    - Not confirmed yet: the sign-up is marked as declined.
    - Confirmed by this link within the last minute: that Yes is undone. The contact gets back its
      former status, a new contact is removed, and the link works again.
    - Confirmed by this link earlier: the contact is removed, as by a No.
    - `is_no`: the reader wants no mails, so a contact that is on the list otherwise is removed too.
    - `form`: as for `confirm_sign_up`; a form of the page of the last Yes still counts.

    The outcome is `remove` if the contact withdrew, `ask` if the form is stale, otherwise what a
    Yes would do now. Returns None if there is no such sign-up.
    """
    with database.atomic():
        sign_up = _lock_sign_up(database, uid)
        if sign_up is None:
            return None
        predicted = _predict_outcome(sign_up, arrived_at)
        contact = _lock_contact(sign_up)
        is_refused = is_no and contact is not None and contact.status != Status.REMOVED
        if predicted is Outcome.CONFIRM:
            # Pressed twice: the first No took the contact off.
            is_repeated = is_no and sign_up.declined_at and contact and not is_refused
            if is_repeated or (form and form.version != _get_form_version(sign_up)):
                return _make_result(sign_up, Outcome.REMOVE if is_repeated else Outcome.ASK)
            sign_up.declined_at = arrived_at
            sign_up.form_version += 1
            sign_up.save()
            if contact is None or not is_refused:
                return _make_result(sign_up, predicted)
            return _record_no(database, sign_up, contact, trace, settings, at=arrived_at)
        version = _get_form_version(sign_up)
        at_its_yes = (Status.CONFIRMED, sign_up.confirmed_at)
        is_own_yes = contact is not None and (contact.status, contact.status_at) == at_its_yes
        # The page of a Yes is behind by the press, and by the contact's answer if it was recorded.
        is_stale = form and form.version not in {version, version - (2 if is_own_yes else 1)}
        if is_stale or contact is None or not (is_own_yes or is_refused):
            return _make_result(sign_up, predicted)
        history = LinkHistory(yes_at=sign_up.confirmed_at)
        if BotSignal.BOTH_ANSWERED in bot_detection.detect_signals(
            "no", history, arrived_at=arrived_at, mailed_at=None
        ):
            if not is_own_yes:
                return _make_result(sign_up, predicted)
            sign_up.confirmed_at, sign_up.declined_at = None, arrived_at
            sign_up.form_version += 1
            sign_up.save()
            _undo_yes(contact, trace, settings, at=arrived_at)
            return _make_result(sign_up, _predict_outcome(sign_up, arrived_at))
        return _record_no(database, sign_up, contact, trace, settings, at=arrived_at)


def _record_no(
    database: Database,
    sign_up: SignUp,
    contact: Contact,
    trace: Mapping[str, str],
    settings: Settings,
    *,
    at: datetime,
) -> SignUpResult:
    """Record the No of a contact that the reader of its sign-up mail gave."""
    record_answer(
        database,
        uid=contact.uid,
        answer=Answer.NO,
        arrived_at=at,
        settings=settings,
        method="page",
        trace=trace,
    )
    return _make_result(sign_up, Outcome.REMOVE)


def _undo_yes(
    contact: Contact, trace: Mapping[str, str], settings: Settings, *, at: datetime
) -> None:
    """Undo a sign-up's Yes: restore the former status, or remove a new contact.

    A contact that its campaign's end would have removed for silence meanwhile is removed too, as no
    sweep comes any more.
    """
    method, key = consent_receipt.BOTH_PRESSED, settings.fingerprint_key
    act = status_changes.Act(at=at, actor="reader", consent={"method": method}, trace=trace)
    enqueue_receipt.drop_receipts(contact)
    status_changes.invalidate_open_forms(contact, has_refused=True)
    if not status_changes.undo_sign_up(contact, act=act, fingerprint_key=key):
        retract_yes(contact, method, trace, settings, at=at)
    elif _has_missed_expiry(contact):
        status_changes.remove_contacts(
            [contact], reason=Reason.REQUEST, act=act, fingerprint_key=key
        )


def _has_missed_expiry(contact: Contact) -> bool:
    """Say whether a contact's campaign is closed, and its silence would have removed it.

    Call it after an entry of the contact, which the closing of a campaign waits for.
    """
    contact_state = read_contact_state(contact, click_log.find_opening(contact))
    campaign = Campaign.get_or_none(Campaign.id == contact_state.campaign)
    is_closed = campaign is not None and campaign.state == CampaignState.CLOSED
    return is_closed and contact_state.awaits_removal


def _make_history(sign_up: SignUp) -> LinkHistory:
    """Return the presses on a sign-up's page as a link history."""
    return LinkHistory(
        no_at=sign_up.declined_at,
        doubted_at=sign_up.doubted_at,
        is_contradicted=sign_up.declined_at is not None,
    )


def _describe_doubts(history: LinkHistory, signals: Iterable[BotSignal]) -> dict[str, Any]:
    """Return the trace's fields about a Yes that was asked for again and confirmed."""
    if history.doubted_at is None:
        return {}
    return {
        "signs": [str(signal) for signal in signals],
        "asked_again_at": history.doubted_at.isoformat(),
    }


def _predict_outcome(sign_up: SignUp, arrived_at: datetime) -> Outcome:
    if sign_up.confirmed_at is not None:
        return Outcome.NOTHING
    return Outcome.CONFIRM if arrived_at < sign_up.at + SIGN_UP_LIFETIME else Outcome.LATE


def _get_form_version(sign_up: SignUp) -> int:
    """Return the version of the forms that count now.

    It grows with each press on the sign-up's page and each answer of the contact elsewhere. So a
    page that was open before a No by another link, or by phone, does not count.
    """
    contact = _find_contact(sign_up)
    return sign_up.form_version + (contact.form_version if contact else 0)


def _find_contact(sign_up: SignUp) -> Contact | None:
    contact: Contact | None = _select_contact(sign_up).first()
    return contact


def _lock_contact(sign_up: SignUp) -> Contact | None:
    contact: Contact | None = lock_rows(_select_contact(sign_up)).first()
    return contact


def _select_contact(sign_up: SignUp) -> Any:
    return Contact.select().where(
        Contact.list == sign_up.list_id, Contact.address_key == sign_up.address_key
    )


def _lock_sign_up(database: Database, uid: str) -> SignUp | None:
    sign_up: SignUp | None = SignUp.get_or_none(SignUp.uid == uid)
    if sign_up is None:
        return None
    # In the order of an erasure: the contact before its sign-ups.
    _lock_contact(sign_up)
    requested_mails_per_day.lock_address(database, sign_up.address_key)
    locked: SignUp | None = lock_rows(SignUp.select().where(SignUp.uid == uid)).first()
    return locked


def _make_consent_record(
    before: SignUpResult, sign_up: SignUp, arrived_at: datetime, language: str
) -> dict[str, Any]:
    language = language or before.language
    return {
        "answer": "yes",
        "method": "page",
        "signed_up_at": sign_up.at.isoformat(),
        "arrived_at": arrived_at.isoformat(),
        "language": language,
        # As the page described it.
        **lookup.describe_list(before.mailing_list.in_language(language)),
    }


def _make_result(
    sign_up: SignUp, outcome: Outcome, signals: tuple[BotSignal, ...] = ()
) -> SignUpResult:
    contact = _find_contact(sign_up)
    contact_state = (
        None if contact is None else read_contact_state(contact, click_log.find_opening(contact))
    )
    mailing_list = lookup.read_list_facts(sign_up.list)
    return SignUpResult(
        outcome=outcome,
        address=email_address.mask_address(sign_up.address),
        language=mailing_list.pick_language(sign_up.language),
        mailing_list=mailing_list,
        contact_state=contact_state,
        ends_at=sign_up.at + SIGN_UP_LIFETIME,
        confirmation_token=bot_detection.find_open_confirmation_token(_make_history(sign_up)),
        form_version=_get_form_version(sign_up),
        signals=signals,
    )
