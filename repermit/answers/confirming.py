"""Confirming a sign-up: the presses on the page behind the link in its mail.

May import contacts, models, consent, suspicion and this room's signing up.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from repermit import addresses, consent, contacts, evidence, receipts, suspicion
from repermit.answers.facts import Giver, SignedUp, SignUpFacts, Trace
from repermit.answers.looking import standing_of
from repermit.answers.recording import giver_told, record_answer, take_back
from repermit.answers.signing_up import adopt, contact_of
from repermit.consent import Answer, Basis, Outcome, Status
from repermit.models import Contact, SignUp, lock_rows
from repermit.suspicion import Past, Sign

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from repermit.config import Settings
    from repermit.links import Form
    from repermit.models import Database

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
        signs = suspicion.signs("yes", past, arrived=arrived, mailed_at=None)
        # In doubt, the newest round's Yes alone counts: of two programs one has an older page.
        if not suspicion.counts(past, signs, is_again=past.doubted_at is not None, mark=mark):
            doubted = suspicion.doubted(past, at=arrived)
            found.doubted_at, found.declined_at = doubted.doubted_at, None
            found.save()
            return _done(found, Outcome.HOLD, signs)
        found.confirmed_at, found.declined_at, found.doubted_at = arrived, None, None
        found.save()
        contact = contact_of(found, arrived, settings)
        key, is_new = settings.fingerprint_key, contact.id is None
        stood = {} if is_new else contacts.standing_before(contact, key)
        called = {} if is_new else contacts.called_before(contact)
        adopt(found, contact)
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
            consent=told | stood,
            person=called,
            trace={
                "network": trace.network,
                "browser": trace.browser,
                **_doubts_told(past, signs),
            },
        )
        contacts.owe_receipt(contact, found.list, at=arrived)
        contacts.confirm(contact, basis=Basis.SIGN_UP, act=act, fingerprint_key=key)
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
        if Sign.BOTH_ANSWERED in suspicion.signs("no", past, arrived=arrived, mailed_at=None):
            found.confirmed_at, found.declined_at = None, arrived
            found.form_version += 1
            found.save()
            _undo(contacts.lock(contact.id), trace, settings, at=arrived)
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
    method, key = receipts.BOTH_PRESSED, settings.fingerprint_key
    left = {"network": trace.network, "browser": trace.browser}
    act = contacts.Act(at=at, actor="reader", consent={"method": method}, trace=left)
    contacts.drop_receipts(contact)
    contacts.note_press(contact, is_no=True)
    if not contacts.put_back(contact, act=act, fingerprint_key=key):
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
    contact = _contact_at(found)
    standing = None if contact is None else standing_of(contact, contacts.opening_of(contact))
    return SignedUp(
        outcome=outcome,
        sign_up=_facts(found),
        standing=standing,
        ends_at=found.at + _VALID,
        mark=suspicion.awaited_mark(_past(found)),
        form_version=_form_version(found),
        signs=signs,
    )
