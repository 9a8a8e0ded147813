"""What an admin does for one person: takes them off at their request, adds them by hand."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from repermit.contacts import admin_requests, erasure, status_changes
from repermit.contacts.admin_requests import NewContact
from repermit.db.connection import Database
from repermit.db.models.campaigns import Wording
from repermit.db.models.contacts import Contact, Suppression
from repermit.db.models.evidence import Evidence, EvidencePart
from repermit.db.models.lists import MailingList
from repermit.errors import AddressError, NotFound, Refused, TransitionRefused
from repermit.rules.consent import Basis, Reason, Status
from tests.support.builders import (
    NOW,
    make_asked,
    make_campaign,
    make_contact,
    make_list,
    make_removed,
    make_settings,
)

WHO = {"settings": make_settings(), "now": NOW, "actor": "user:1"}


def said(part_of_it: str = "consent") -> dict[str, Any]:
    """Return a part of the newest entry."""
    seq = Evidence.select().order_by(Evidence.seq.desc()).get().seq
    part = EvidencePart.get(EvidencePart.seq == seq, EvidencePart.part == part_of_it)
    found: dict[str, Any] = json.loads(part.json)
    return found


def take_off(database: Database, mailing_list: MailingList, number: int, note: str) -> None:
    admin_requests.remove_at_request(database, mailing_list, number, note=note, **WHO)  # type: ignore[arg-type]


def add(database: Database, mailing_list: MailingList, **overrides: Any) -> Contact:
    person = {"address": "Jan@Example.org", "source": " the visitors' book ", **overrides}
    return admin_requests.add_contact(database, mailing_list, NewContact(**person), **WHO)  # type: ignore[arg-type]


def test_who_asks_for_it_is_taken_off_with_evidence_and_suppression(
    database: Database, mailing_list: MailingList
) -> None:
    campaign = make_campaign(database, mailing_list)
    contact = make_asked(database, mailing_list, campaign)
    take_off(database, mailing_list, contact.id, " by phone ")
    now = Contact.get_by_id(contact.id)
    assert (now.status, now.reason) == (Status.REMOVED, Reason.REQUEST)
    assert Suppression.get().reason == Reason.REQUEST
    entry = Evidence.get()
    assert (entry.event, entry.actor, entry.campaign) == ("removed", "user:1", campaign.id)
    assert said() == {"reason": "request"}
    assert said("person")["note"] == "by phone"


def test_who_was_in_no_campaign_can_be_taken_off_too(
    database: Database, mailing_list: MailingList
) -> None:
    take_off(database, mailing_list, make_contact(database, mailing_list).id, "by letter")
    assert Evidence.get().campaign == 0


def test_what_cannot_be_taken_off_changes_nothing(
    database: Database, mailing_list: MailingList
) -> None:
    contact = make_contact(database, mailing_list)
    with pytest.raises(Refused, match="say how"):
        take_off(database, mailing_list, contact.id, " ")
    with pytest.raises(NotFound):
        take_off(database, make_list(database, slug="other"), contact.id, "by phone")
    assert not Evidence.select().exists()
    gone = make_removed(database, mailing_list, Reason.NO)
    with pytest.raises(TransitionRefused):
        take_off(database, mailing_list, gone.id, "by phone")


def test_somebody_without_a_ground_is_added_to_be_asked(
    database: Database, mailing_list: MailingList
) -> None:
    made = Contact.get_by_id(add(database, mailing_list, name=" Jan ", language="de").id)
    assert (made.address, made.address_key) == ("Jan@example.org", "jan@example.org")
    assert (made.name, made.language, made.source) == ("Jan", "de", "the visitors' book")
    assert (made.status, made.basis, made.since) == (Status.UNCONFIRMED, "", None)
    assert Evidence.get().event == "added"
    assert said()["method"] == "by_hand"


@pytest.mark.parametrize(
    ("basis", "wording"), [(Basis.IMPORTED, "Yes, send me news"), (Basis.THIN, "")]
)
def test_a_registered_opt_in_is_added_with_its_proof(
    database: Database, mailing_list: MailingList, basis: Basis, wording: str
) -> None:
    made = add(
        database,
        mailing_list,
        basis=basis,
        basis_at=NOW.replace(year=2024),
        proof="paper form in folder 7",
        wording=wording,
    )
    now = Contact.get_by_id(made.id)
    assert (now.status, now.basis) == (Status.CONFIRMED, basis)
    assert now.basis_at == now.since == NOW.replace(year=2024)
    assert Evidence.get().event == "confirmed"
    told = said()
    assert said("person")["proof"] == "paper form in folder 7"
    assert bool(told["wording"]) is bool(wording)
    assert Wording.select().count() == bool(wording)


@pytest.mark.parametrize("since", [None, NOW.replace(year=2025)])
def test_a_customer_is_added_with_the_attestation(
    database: Database, mailing_list: MailingList, since: Any
) -> None:
    made = add(
        database, mailing_list, basis=Basis.CUSTOMER, basis_at=since, proof="bought a lamp, told so"
    )
    now = Contact.get_by_id(made.id)
    assert (now.status, now.basis, now.basis_at) == (Status.CUSTOMER, "customer", since or NOW)
    assert Evidence.get().event == "customer"
    assert said()["basis"] == "customer"


@pytest.mark.parametrize(
    ("person", "why"),
    [
        ({"basis": Basis.ANSWER}, "nobody can be added by hand in this way"),
        ({"source": " "}, "where the address comes from"),
        ({"basis": Basis.THIN}, "what shows it"),
        ({"basis": Basis.CUSTOMER, "proof": " "}, "what shows it"),
        ({"basis": Basis.IMPORTED, "proof": "a form"}, "the text of the form"),
    ],
)
def test_a_basis_needs_its_proof(
    database: Database, mailing_list: MailingList, person: dict[str, Any], why: str
) -> None:
    with pytest.raises(Refused, match=why):
        add(database, mailing_list, **person)
    assert not Contact.select().exists()


def test_a_sensitive_list_has_no_customers(database: Database) -> None:
    sensitive = make_list(database, sensitive=True)
    with pytest.raises(Refused, match="sensitive"):
        add(database, sensitive, basis=Basis.CUSTOMER, proof="bought something")


def test_nobody_is_added_twice_beside_an_import(
    database: Database, mailing_list: MailingList
) -> None:
    refused: list[Refused] = []

    def add_too() -> None:
        with database.connection_context(), pytest.raises(Refused, match="already") as refusal:
            add(database, mailing_list)
        refused.append(refusal.value)

    thread = threading.Thread(target=add_too)
    with database.atomic():
        make_contact(database, mailing_list, "jan@example.org")
        thread.start()
        thread.join(0.3)
        assert thread.is_alive()
    thread.join()
    assert len(refused) == 1
    assert Contact.select().count() == 1


def test_nobody_is_added_twice_or_against_their_word(
    database: Database, mailing_list: MailingList
) -> None:
    make_contact(database, mailing_list, "jan@example.org")
    with pytest.raises(Refused, match="on the list already"):
        add(database, mailing_list)
    gone = make_removed(database, mailing_list, Reason.NO, "piet@example.org")
    with database.atomic():
        erasure.erase_contact(
            gone,
            act=status_changes.Act(at=NOW, actor="person"),
            fingerprint_key=make_settings().fingerprint_key,
        )
    with pytest.raises(Refused, match="said No before") as refused:
        add(database, mailing_list, address="piet@example.org")
    assert refused.value.said.code == "address"
    with pytest.raises(AddressError):
        add(database, mailing_list, address="piet")
