"""Not being the person meant, and having everything deleted."""

from __future__ import annotations

import json
from datetime import timedelta
from zoneinfo import ZoneInfo

from repermit.contacts import human_replies, lookup, status_changes
from repermit.db.connection import Database
from repermit.db.models.base import new_id
from repermit.db.models.contacts import Contact, Suppression
from repermit.db.models.evidence import Evidence, EvidencePart
from repermit.db.models.lists import MailingList
from repermit.db.models.mails import FreshLink, Mail, Reply
from repermit.evidence.verify import proof as verify_proof
from repermit.privacy import make_proof, not_the_person, proof_text
from repermit.rules.consent import Basis, MailKind, Reason, Status
from tests.support.builders import NOW, make_contact, make_removed, make_settings
from tests.support.chain_faults import iter_chain_faults
from tests.support.one_time_links import TRACE, at_once, opened_for

SETTINGS = make_settings()


def say(database: Database, contact: Contact) -> bool:
    return not_the_person.say_not_the_person(
        database, uid=contact.uid, settings=SETTINGS, now=NOW, trace=TRACE
    )


def test_who_is_not_the_person_meant_takes_the_address_off(
    database: Database, mailing_list: MailingList
) -> None:
    contact = make_contact(database, mailing_list, status=Status.CONFIRMED, basis="answer")
    human_replies.save_reply(contact, digest="d" * 64, proposed="", at=NOW, decided_at=None)
    assert say(database, contact)
    row = Contact.get_by_id(contact.id)
    assert (row.status, row.reason) == (Status.REMOVED, Reason.REQUEST)
    assert Suppression.get().subject == contact.subject
    # Nothing of it is the act of the person meant.
    assert [(one.event, one.actor) for one in Evidence.select().order_by(Evidence.seq)] == [
        ("removed", "reader"),
        ("not_the_person", "reader"),
    ]
    told = json.loads(EvidencePart.get(EvidencePart.part == "consent").json)
    assert told == {"method": "not_the_person", "reason": "request"}
    assert not list(iter_chain_faults())
    assert Reply.get().decided_at == NOW
    mail = Mail.get()
    assert (mail.kind, mail.topic) == (MailKind.NOTICE, f"not_the_person {contact.id}")


def test_it_is_told_as_no_word_of_the_person_meant(
    database: Database, mailing_list: MailingList
) -> None:
    contact = make_contact(database, mailing_list)
    with database.atomic():
        act = status_changes.Act(
            at=NOW, actor="person", consent={"answer": "yes", "method": "page"}
        )
        status_changes.confirm_contact(
            contact, basis=Basis.ANSWER, act=act, fingerprint_key=SETTINGS.fingerprint_key
        )
    assert say(database, contact)
    proof = make_proof.prove_contact(
        database, mailing_list, contact.id, settings=SETTINGS, now=NOW, actor="cli:els"
    )
    assert verify_proof.check_proof(proof.text.encode()).faults == ()
    last = proof.document["statement"]["record"]["event"][-1]
    assert (last["event_state"], last["entity_id"]) == ("dpv:ConsentRevoked", "controller")
    said = [
        one.text
        for one in proof_text.describe_entries(proof.document, language="nl", zone=ZoneInfo("UTC"))
    ]
    assert said == [
        "De persoon zei Ja, door op een knop op een pagina te drukken.",
        (
            "De persoon werd van de lijst gehaald, omdat iemand die de mail op het adres leest zei "
            "niet de bedoelde persoon te zijn. Dat is geen Nee en geen intrekking van de persoon "
            "zelf."
        ),
        "Iemand die de mail op dit adres leest, zei niet de bedoelde persoon te zijn.",
    ]


def test_saying_it_again_changes_nothing_also_at_once(
    database: Database, mailing_list: MailingList
) -> None:
    contact = make_contact(database, mailing_list)
    assert at_once(database, *[lambda: say(database, contact)] * 3) == [True] * 3
    assert (Mail.select().count(), Evidence.select().count()) == (1, 2)


def yes(database: Database, contact: Contact) -> None:
    act = status_changes.Act(at=NOW, actor="person", consent={"answer": "yes", "method": "page"})
    with database.atomic():
        status_changes.confirm_contact(
            lookup.lock_contact(contact.id),
            basis=Basis.ANSWER,
            act=act,
            fingerprint_key=SETTINGS.fingerprint_key,
        )


def test_it_counts_anew_once_somebody_has_come_back(
    database: Database, mailing_list: MailingList
) -> None:
    contact = make_contact(database, mailing_list)
    assert say(database, contact)
    yes(database, contact)
    assert say(database, contact)
    row = Contact.get_by_id(contact.id)
    assert (row.status, row.reason) == (Status.REMOVED, Reason.REQUEST)
    assert [one.event for one in Evidence.select().order_by(Evidence.seq)] == [
        "removed",
        "not_the_person",
        "confirmed",
        "removed",
        "not_the_person",
    ]
    assert Mail.select().where(Mail.kind == MailKind.NOTICE).count() == 2
    assert Suppression.get().subject == contact.subject
    assert not list(iter_chain_faults())


def test_it_counts_anew_for_who_came_back_and_left_again(
    database: Database, mailing_list: MailingList
) -> None:
    contact = make_contact(database, mailing_list)
    assert say(database, contact)
    yes(database, contact)
    with database.atomic():
        status_changes.remove_contacts(
            [lookup.lock_contact(contact.id)],
            reason=Reason.WITHDRAWN,
            act=status_changes.Act(at=NOW, actor="person"),
            fingerprint_key=SETTINGS.fingerprint_key,
        )
    assert say(database, contact)
    assert Contact.get_by_id(contact.id).reason == Reason.WITHDRAWN
    assert Evidence.select().where(Evidence.event == "not_the_person").count() == 2


def test_an_address_that_has_left_keeps_its_reason_and_the_admin_is_told(
    database: Database, mailing_list: MailingList
) -> None:
    left = make_removed(database, mailing_list, Reason.NO)
    assert say(database, left)
    assert Contact.get_by_id(left.id).reason == Reason.NO
    assert Evidence.select().where(Evidence.event == "removed").count() == 1
    assert Mail.get().kind == MailKind.NOTICE


def test_a_person_has_everything_deleted(database: Database, mailing_list: MailingList) -> None:
    contact = make_contact(database, mailing_list, "anna@example.org", name="Anna")
    authority = opened_for(database, contact).authority
    assert not_the_person.erase_own_data(database, authority=authority, settings=SETTINGS, now=NOW)
    row = Contact.get_by_id(contact.id)
    assert (row.address, row.name, row.erased_at, row.reason) == (
        None,
        "",
        NOW,
        Reason.REQUEST,
    )
    assert not FreshLink.select().exists()
    assert {entry.actor for entry in Evidence.select()} == {"person"}
    assert "anna" not in repr(list(EvidencePart.select().tuples())).lower()
    assert not list(iter_chain_faults())
    # And of who is gone nothing more can be said.
    assert not say(database, row)
    assert not not_the_person.say_not_the_person(
        database, uid=new_id(), settings=SETTINGS, now=NOW, trace=TRACE
    )


def test_nothing_is_deleted_once_the_hour_is_over(
    database: Database, mailing_list: MailingList
) -> None:
    contact = make_contact(database, mailing_list)
    authority = opened_for(database, contact).authority
    over = NOW + timedelta(hours=1)
    assert not not_the_person.erase_own_data(
        database, authority=authority, settings=SETTINGS, now=over
    )
    assert Contact.get_by_id(contact.id).erased_at is None
