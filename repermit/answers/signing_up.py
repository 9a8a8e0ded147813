"""Signing up: an address typed into a form, and its holder's press on the link in the mail.

May import contacts, evidence, models and consent. Double opt-in: the form alone does nothing but
owe a mail.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from repermit import addresses, consent, contacts, evidence, messages, receipts, suspicion
from repermit.answers.facts import Giver, SignedUp, SignUpFacts, Trace
from repermit.answers.looking import standing_of
from repermit.answers.recording import giver_told, record_answer, take_back
from repermit.consent import Answer, Basis, MailKind, Outcome, Status
from repermit.models import (
    Contact,
    Mail,
    SignUp,
    Suppression,
    lock_rows,
    new_id,
    owe_wiping,
)
from repermit.suspicion import Past, Sign

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from repermit.config import Settings
    from repermit.models import Database, MailingList

_VALID = timedelta(days=7)


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
    found = addresses.parse(address)
    with database.atomic():
        contacts.one_at_a_time(database, found.key)
        _forget_old(now)
        if not contacts.may_be_mailed(found.key, now=now):
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


def forget_old_sign_ups(database: Database, *, now: datetime) -> int:
    """Delete what nobody confirmed in a month; return how many there were."""
    with database.atomic():
        return _forget_old(now)


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
) -> SignedUp | None:
    """Put the person whom a sign-up's link names on its list, with the evidence.

    `arrived` is when the press reached us; `language` is that of the page. The outcome is `hold` if
    it may be a program's and has to be pressed again, `nothing` if the link was used before or
    nothing had to change, `late` if it has expired. Returns None if there is no such sign-up.
    """
    with database.atomic():
        found = _locked(database, uid)
        if found is None:
            return None
        foreseen = _foreseen(found, arrived)
        if foreseen is not Outcome.CONFIRM:
            return _done(found, foreseen)
        past = _past(found)
        signs = suspicion.signs("yes", past, arrived=arrived, mailed_at=None)
        if suspicion.is_suspect(signs) and not suspicion.is_awaited(past):
            found.doubted_at, found.declined_at = arrived, None
            found.save()
            return _done(found, Outcome.HOLD, signs)
        found.confirmed_at, found.declined_at, found.doubted_at = arrived, None, None
        found.save()
        contact = _contact_of(found, arrived, settings)
        if contact.status == Status.CONFIRMED and not consent.improves(
            contact.basis, Basis.SIGN_UP
        ):
            return _done(found, Outcome.NOTHING)
        told = _told(found, arrived, language or _facts(found).language)
        told.update(giver_told(given_by))
        told["page_wording"] = evidence.keep_wording(page_wording)
        act = contacts.Act(
            at=arrived,
            actor="person",
            consent=told,
            trace={
                "network": trace.network,
                "browser": trace.browser,
                **_doubts_told(past, signs),
            },
        )
        contacts.owe_receipt(contact, found.list, at=arrived)
        contacts.confirm(
            contact, basis=Basis.SIGN_UP, act=act, fingerprint_key=settings.fingerprint_key
        )
        return _done(found, Outcome.CONFIRM)


def decline_sign_up(
    database: Database, *, uid: str, arrived: datetime, settings: Settings, trace: Trace
) -> SignedUp | None:
    """Note that whoever has the mail does not want what was signed up for.

    Whom this link has put on the list it takes off again; nothing else changes, and the link can
    still be used. Within a minute of the Yes that is no withdrawal: whatever presses both was no
    person, or slipped, and a person may use the link after it. The outcome is `remove` if somebody
    was taken off. Returns None if there is no such sign-up.
    """
    with database.atomic():
        found = _locked(database, uid)
        if found is None:
            return None
        foreseen = _foreseen(found, arrived)
        if foreseen is Outcome.CONFIRM:
            found.declined_at = arrived
            found.save()
            return _done(found, foreseen)
        own = (Contact.list == found.list_id, Contact.address_key == found.address_key)
        contact: Contact | None = Contact.get_or_none(
            *own, Contact.status == Status.CONFIRMED, Contact.status_at == found.confirmed_at
        )
        if contact is None:
            return _done(found, foreseen)
        past = Past(yes_at=found.confirmed_at)
        if Sign.BOTH_ANSWERED in suspicion.signs("no", past, arrived=arrived, mailed_at=None):
            found.confirmed_at, found.declined_at = None, arrived
            found.save()
            left = {"network": trace.network, "browser": trace.browser}
            pressed = contacts.lock(contact.id)
            take_back(pressed, receipts.BOTH_PRESSED, left, settings, at=arrived)
            return _done(found, Outcome.REMOVE)
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


def _forget_old(now: datetime) -> int:
    """Delete what nobody confirmed in a month: addresses that anybody may have typed in."""
    old = SignUp.delete().where(
        SignUp.confirmed_at.is_null(), SignUp.at < now - contacts.SIGN_UPS_KEPT
    )
    count = int(old.execute())
    if count:
        owe_wiping()
    return count


def _foreseen(found: SignUp, moment: datetime) -> Outcome:
    if found.confirmed_at is not None:
        return Outcome.NOTHING
    return Outcome.CONFIRM if moment < found.at + _VALID else Outcome.LATE


def _facts(found: SignUp) -> SignUpFacts:
    mailing_list = contacts.list_facts(found.list)
    return SignUpFacts(
        address=addresses.in_part(found.address),
        language=mailing_list.pick(found.language),
        mailing_list=mailing_list,
    )


def _locked(database: Database, uid: str) -> SignUp | None:
    found: SignUp | None = SignUp.get_or_none(SignUp.uid == uid)
    if found is None:
        return None
    contacts.one_at_a_time(database, found.address_key)
    again: SignUp | None = lock_rows(SignUp.select().where(SignUp.uid == uid)).first()
    return again


def _contact_of(found: SignUp, arrived: datetime, settings: Settings) -> Contact:
    """Return the contact of a sign-up, locked; a new one if the list has none of this address."""
    own = (Contact.list == found.list_id, Contact.address_key == found.address_key)
    contact: Contact | None = lock_rows(Contact.select().where(*own)).first()
    if contact is None:
        contact = _new_contact(found, arrived, settings)
    contact.address = found.address
    contact.name = found.name or contact.name
    contact.language = found.language or contact.language
    contact.save()
    return contact


def _new_contact(found: SignUp, arrived: datetime, settings: Settings) -> Contact:
    address = addresses.Address(found.address, found.address_key)
    language = contacts.list_facts(found.list).pick(found.language)
    contact = contacts.new_contact(
        found.list,
        address,
        # Confirmed in the same transaction.
        status=Status.UNCONFIRMED,
        status_at=arrived,
        source=messages.translations(language).gettext("your own sign-up on our page"),
        since=arrived,
    )
    subject = _known_subject(found, settings)
    contact.subject = subject or contact.subject
    return contact


def _known_subject(found: SignUp, settings: Settings) -> str:
    """Return the subject of somebody erased, so that their evidence stays one person's.

    An address from which somebody has moved is not theirs any more, also once they are erased:
    whoever signs up with it is taken for another person.
    """
    fingerprint = addresses.fingerprint(settings.fingerprint_key, found.address_key)
    known: Suppression | None = (
        Suppression.select()
        .where(
            Suppression.fingerprint == fingerprint,
            (Suppression.list == found.list_id) | Suppression.list.is_null(),
        )
        .order_by(Suppression.list.is_null())
        .first()
    )
    if known is None or _is_there(found, known.subject):
        return ""
    # Who was never erased here was never held, and had no other address to move to.
    is_theirs = evidence.erased_as(known.subject) in {"", fingerprint}
    return known.subject if is_theirs else ""


def _is_there(found: SignUp, subject: str) -> bool:
    own = Contact.select(Contact.id).where(
        Contact.list == found.list_id,
        Contact.subject == subject,
        Contact.erased_at.is_null(),
    )
    return bool(own.exists())


def _told(found: SignUp, arrived: datetime, language: str) -> dict[str, Any]:
    return {
        "answer": "yes",
        "method": "page",
        "signed_up_at": found.at.isoformat(),
        "arrived_at": arrived.isoformat(),
        "language": language,
        **contacts.list_told(contacts.list_facts(found.list).told_in(language)),
    }


def _done(found: SignUp, outcome: Outcome, signs: tuple[Sign, ...] = ()) -> SignedUp:
    contact: Contact | None = Contact.get_or_none(
        Contact.list == found.list_id, Contact.address_key == found.address_key
    )
    standing = None if contact is None else standing_of(contact)
    return SignedUp(
        outcome=outcome,
        sign_up=_facts(found),
        standing=standing,
        ends_at=found.at + _VALID,
        is_doubted=found.doubted_at is not None,
        signs=signs,
    )
