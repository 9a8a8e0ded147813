"""Signing up: an address typed into a form, and the contact that its holder's press makes of it.

Double opt-in: the form alone does nothing but owe a mail.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any

from repermit import email_address
from repermit.answers.link_target import Giver, SignedUp, SignUpFacts, Trace, standing_of
from repermit.answers.record_answer import giver_told, record_answer, take_back
from repermit.contacts import (
    click_log,
    enqueue_receipt,
    lookup,
    requested_mail_limit,
    status_changes,
)
from repermit.db import background_tasks
from repermit.db.connection import Database, lock_rows
from repermit.db.models.base import new_id
from repermit.db.models.contacts import Contact, SignUp, Suppression
from repermit.db.models.lists import MailingList
from repermit.db.models.mails import Mail
from repermit.db.secure_delete import delete_in_steps
from repermit.db.work_steps import LARGEST_STEP
from repermit.evidence import chain, chain_reader, consent_receipt, erasable_parts
from repermit.i18n import catalogues
from repermit.rules import bot_detection, consent
from repermit.rules.bot_detection import Past, Sign
from repermit.rules.consent import Answer, Basis, MailKind, Outcome, Status
from repermit.settings.definitions import Settings
from repermit.signed_links import Form


def sign_up(
    database: Database,
    mailing_list: MailingList,
    *,
    address: str,
    name: str,
    language: str,
    now: datetime,
) -> None:
    """Owe the holder of an address a mail with a link, three a day at most.

    It does the same whether or not the address is on the list, and says nothing about it. Raises
    AddressError for what is no address.
    """
    found = email_address.parse(address)
    with database.atomic():
        requested_mail_limit.one_at_a_time(database, found.key)
        if not requested_mail_limit.may_sign_up(found.key, now=now):
            return
        made = SignUp.create(
            list=mailing_list,
            uid=new_id(),
            address=found.sending,
            address_key=found.key,
            name=name,
            language=language,
            at=now,
        )
        Mail.create(
            list=mailing_list, sign_up=made, kind=MailKind.CONFIRM, due_at=now, message_id=""
        )
        background_tasks.forget_file_counts(mailing_list.id)


def forget_old_sign_ups(
    database: Database,
    *,
    now: datetime,
    chunk: int = LARGEST_STEP,
    should_stop: Callable[[], bool] = lambda: False,
) -> int:
    """Delete what nobody confirmed in a month: addresses that anybody may have typed in.

    In steps of `chunk` at most. Returns how many there were.
    """
    return delete_in_steps(
        database,
        SignUp,
        SignUp.confirmed_at.is_null(),
        SignUp.at < now - requested_mail_limit.SIGN_UPS_KEPT,
        holds_addresses=True,
        should_stop=should_stop,
        most_a_step=chunk,
    )


def contact_of(found: SignUp, arrived: datetime, settings: Settings) -> Contact:
    """Return the contact of a sign-up, locked; a new one, unsaved, if the list has none of it."""
    own = (Contact.list == found.list_id, Contact.address_key == found.address_key)
    contact: Contact | None = lock_rows(Contact.select().where(*own)).first()
    if contact is None:
        return _new_contact(found, arrived, settings)
    return contact


def adopt(found: SignUp, contact: Contact) -> None:
    """Save a contact as it has called itself in the form."""
    contact.address = found.address
    contact.name = found.name or contact.name
    contact.language = found.language or contact.language
    contact.save()


def _new_contact(found: SignUp, arrived: datetime, settings: Settings) -> Contact:
    address = email_address.Address(found.address, found.address_key)
    language = lookup.list_facts(found.list).pick(found.language)
    contact = lookup.new_contact(
        found.list,
        address,
        # Confirmed in the same transaction.
        status=Status.UNCONFIRMED,
        status_at=arrived,
        source=catalogues.translations(language).gettext("your own sign-up on our page"),
        since=arrived,
    )
    if subject := _known_subject(found, settings):
        contact.subject, contact.has_predecessor = subject, True
    return contact


def _known_subject(found: SignUp, settings: Settings) -> str:
    """Return the subject of somebody erased, so that their evidence stays one person's.

    An address from which somebody has moved is not theirs any more, also once they are erased:
    whoever signs up with it is taken for another person. Nor is theirs what another list has under
    that subject, with which a file of suppressions may have brought it here.
    """
    fingerprint = email_address.fingerprint(settings.fingerprint_key, found.address_key)
    known: Suppression | None = (
        Suppression.select()
        .where(
            Suppression.fingerprint == fingerprint,
            (Suppression.list == found.list_id) | Suppression.list.is_null(),
        )
        .order_by(Suppression.list.is_null())
        .first()
    )
    if known is None or lookup.find_held(found.list_id, known.subject):
        return ""
    slug = found.list.slug
    if chain_reader.told_elsewhere([known.subject], slug):
        return ""
    # Who was never erased here was never held, and had no other address to move to.
    is_theirs = erasable_parts.erased_as(known.subject, slug) in {"", fingerprint}
    return known.subject if is_theirs else ""


# --- Confirming a sign-up. ------------------------------------------------------------------------


_VALID = timedelta(days=7)


def look_up_sign_up(uid: str, *, now: datetime) -> SignedUp | None:
    """Return the sign-up that a link names and what a press on it would do, or None."""
    found: SignUp | None = SignUp.get_or_none(SignUp.uid == uid)
    return None if found is None else _done(found, _foreseen(found, now))


def confirm_sign_up(
    database: Database,
    *,
    uid: str,
    arrived: datetime,
    settings: Settings,
    trace: Trace,
    page_wording: str,
    language: str = "",
    given_by: Giver = "",
    mark: str = "",
    form: Form | None = None,
) -> SignedUp | None:
    """Put the person whom a sign-up's link names on its list, with the evidence.

    `arrived` is when the press reached us; `language` is that of the page, `mark` what its
    button sent along, "" unless it asked again, and `form` the form that it stood in. The outcome
    is `hold` if it may be a program's and has to be pressed again, `ask` if it comes from a page
    after which something was pressed, `nothing` if the link was used before or nothing had to
    change, `late` if it has expired. Returns None if there is no such sign-up.
    """
    with database.atomic():
        found = _locked(database, uid)
        if found is None:
            return None
        foreseen = _foreseen(found, arrived)
        if foreseen is not Outcome.CONFIRM:
            return _done(found, foreseen)
        if form and form.version != _form_version(found):
            return _done(found, Outcome.ASK)
        past = _past(found)
        found.form_version += 1
        signs = bot_detection.signs("yes", past, arrived=arrived, mailed_at=None)
        # In doubt, the newest round's Yes alone counts: of two programs one has an older page.
        if not bot_detection.counts(past, signs, is_again=past.doubted_at is not None, mark=mark):
            doubted = bot_detection.doubted(past, at=arrived)
            found.doubted_at, found.declined_at = doubted.doubted_at, None
            found.save()
            return _done(found, Outcome.HOLD, signs)
        found.confirmed_at, found.declined_at, found.doubted_at = arrived, None, None
        found.save()
        contact = contact_of(found, arrived, settings)
        key, is_new = settings.fingerprint_key, contact.id is None
        stood = {} if is_new else status_changes.standing_before(contact, key)
        called = {} if is_new else status_changes.called_before(contact)
        adopt(found, contact)
        if contact.status == Status.CONFIRMED and not consent.improves(
            contact.basis, Basis.SIGN_UP
        ):
            return _done(found, Outcome.NOTHING)
        told = _told(found, arrived, language or _facts(found).language)
        told.update(giver_told(given_by))
        told["page_wording"] = chain.keep_wording(page_wording)
        act = status_changes.Act(
            at=arrived,
            actor="person",
            consent=told | stood,
            person=called,
            trace={
                "network": trace.network,
                "browser": trace.browser,
                **_doubts_told(past, signs),
            },
        )
        enqueue_receipt.enqueue_receipt(contact, found.list, at=arrived)
        status_changes.confirm(contact, basis=Basis.SIGN_UP, act=act, fingerprint_key=key)
        return _done(found, Outcome.CONFIRM)


def decline_sign_up(
    database: Database,
    *,
    uid: str,
    arrived: datetime,
    settings: Settings,
    trace: Trace,
    form: Form | None = None,
) -> SignedUp | None:
    """Note that whoever has the mail does not want what was signed up for.

    `form` is the form of the page, as for the Yes; what was pressed after a Yes counts if it stood
    beside that. Whom this link has put on the list it takes off again; nothing else changes. Within
    a minute of the Yes that is no withdrawal: whatever presses both was no person, or slipped. Who
    stood somewhere before stands there again, and a person may use the link after it. The outcome
    is `remove` if somebody withdrew, and otherwise what a Yes would do now. Returns None if
    there is no such sign-up.
    """
    with database.atomic():
        found = _locked(database, uid)
        if found is None:
            return None
        foreseen = _foreseen(found, arrived)
        if foreseen is Outcome.CONFIRM:
            if form and form.version != _form_version(found):
                return _done(found, Outcome.ASK)
            found.declined_at = arrived
            found.form_version += 1
            found.save()
            return _done(found, foreseen)
        if form and form.version not in _versions_beside_yes(found):
            return _done(found, foreseen)
        own = (Contact.list == found.list_id, Contact.address_key == found.address_key)
        contact: Contact | None = Contact.get_or_none(
            *own, Contact.status == Status.CONFIRMED, Contact.status_at == found.confirmed_at
        )
        if contact is None:
            return _done(found, foreseen)
        past = Past(yes_at=found.confirmed_at)
        if Sign.BOTH_ANSWERED in bot_detection.signs("no", past, arrived=arrived, mailed_at=None):
            found.confirmed_at, found.declined_at = None, arrived
            found.form_version += 1
            found.save()
            _undo(lookup.lock(contact.id), trace, settings, at=arrived)
            return _done(found, _foreseen(found, arrived))
        record_answer(
            database,
            uid=contact.uid,
            answer=Answer.NO,
            arrived=arrived,
            settings=settings,
            method="page",
            trace=trace,
        )
        return _done(found, Outcome.REMOVE)


def _undo(contact: Contact, trace: Trace, settings: Settings, *, at: datetime) -> None:
    """Let whoever stood somewhere before the Yes of a sign-up stand there; take off anybody new."""
    method, key = consent_receipt.BOTH_PRESSED, settings.fingerprint_key
    left = {"network": trace.network, "browser": trace.browser}
    act = status_changes.Act(at=at, actor="reader", consent={"method": method}, trace=left)
    enqueue_receipt.drop_receipts(contact)
    status_changes.note_press(contact, is_no=True)
    if not status_changes.put_back(contact, act=act, fingerprint_key=key):
        take_back(contact, method, left, settings, at=at)


def _past(found: SignUp) -> Past:
    """Return what a sign-up's page has been through, as the rules read it."""
    return Past(
        no_at=found.declined_at,
        doubted_at=found.doubted_at,
        is_contradicted=found.declined_at is not None,
    )


def _doubts_told(past: Past, signs: Iterable[Sign]) -> dict[str, Any]:
    """Return what spoke against a Yes that was settled by a further press."""
    if past.doubted_at is None:
        return {}
    return {
        "signs": [str(sign) for sign in signs],
        "asked_again_at": past.doubted_at.isoformat(),
    }


def _foreseen(found: SignUp, moment: datetime) -> Outcome:
    if found.confirmed_at is not None:
        return Outcome.NOTHING
    return Outcome.CONFIRM if moment < found.at + _VALID else Outcome.LATE


def _form_version(found: SignUp) -> int:
    """Return the version of the forms that count now.

    It grows with each press on the page of the sign-up and with each of the person's elsewhere, so
    that no page counts which was open before a No that was given by another link, or by phone.
    """
    contact = _contact_at(found)
    return found.form_version + (contact.form_version if contact else 0)


def _versions_beside_yes(found: SignUp) -> tuple[int, int]:
    """Return the versions of forms whose No counts after a Yes: now, and on the page of that Yes.

    That Yes was a press on the page, and an answer of the contact's.
    """
    version = _form_version(found)
    return version, version - 2


def _contact_at(found: SignUp) -> Contact | None:
    contact: Contact | None = Contact.get_or_none(
        Contact.list == found.list_id, Contact.address_key == found.address_key
    )
    return contact


def _facts(found: SignUp) -> SignUpFacts:
    mailing_list = lookup.list_facts(found.list)
    return SignUpFacts(
        address=email_address.in_part(found.address),
        language=mailing_list.pick(found.language),
        mailing_list=mailing_list,
    )


def _locked(database: Database, uid: str) -> SignUp | None:
    found: SignUp | None = SignUp.get_or_none(SignUp.uid == uid)
    if found is None:
        return None
    requested_mail_limit.one_at_a_time(database, found.address_key)
    again: SignUp | None = lock_rows(SignUp.select().where(SignUp.uid == uid)).first()
    return again


def _told(found: SignUp, arrived: datetime, language: str) -> dict[str, Any]:
    return {
        "answer": "yes",
        "method": "page",
        "signed_up_at": found.at.isoformat(),
        "arrived_at": arrived.isoformat(),
        "language": language,
        **lookup.list_told(lookup.list_facts(found.list).told_in(language)),
    }


def _done(found: SignUp, outcome: Outcome, signs: tuple[Sign, ...] = ()) -> SignedUp:
    contact = _contact_at(found)
    standing = None if contact is None else standing_of(contact, click_log.opening_of(contact))
    return SignedUp(
        outcome=outcome,
        sign_up=_facts(found),
        standing=standing,
        ends_at=found.at + _VALID,
        mark=bot_detection.awaited_mark(_past(found)),
        form_version=_form_version(found),
        signs=signs,
    )
