"""What an import writes of proof and of customers, and onto whom is there already."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from repermit.contacts.click_log import count_held_yes
from repermit.db.connection import Database
from repermit.db.models.campaigns import Wording
from repermit.db.models.contacts import Contact, Opening
from repermit.db.models.evidence import Evidence
from repermit.db.models.imports import Import
from repermit.db.models.lists import MailingList
from repermit.db.models.mails import Mail
from repermit.errors import Refused
from repermit.rules.consent import Basis, Fate, MailState, Status
from tests.support.builders import (
    NOW,
    make_asked,
    make_campaign,
    make_contact,
    make_list,
    make_mail,
)
from tests.support.chain_faults import iter_chain_faults
from tests.support.import_helpers import (
    ATTEST,
    OPTED_IN,
    contact_at,
    everything,
    fates_of,
    mailchimp,
    on_list,
    parts_of,
    plain,
    take_in,
    write,
)

SIGNED_UP = datetime(2021, 5, 4, 10, 0, tzinfo=UTC)


@pytest.fixture
def news(database: Database) -> MailingList:
    return make_list(database)


# --- Proof. ---------------------------------------------------------------------------------------


def test_proof_confirms_and_is_kept_as_evidence(
    database: Database, news: MailingList, tmp_path: Path
) -> None:
    path = mailchimp(tmp_path, {"email": "jan@example.org", "First Name": "Jan", **OPTED_IN})
    form = "I want your news four times a year."
    result = take_in(database, news, path, consent_text=f"\n{form}\n")
    assert fates_of(result) == {Fate.CONFIRMED: 1}
    assert result.thin == 0
    contact = contact_at(news, "jan@example.org")
    assert (contact.status, contact.basis) == (Status.CONFIRMED, Basis.IMPORTED)
    assert (contact.status_at, contact.basis_at) == (NOW, SIGNED_UP)
    (parts,) = parts_of("confirmed")
    about = {"ip": "81.2.69.142", "link": contact.uid}
    named = {"address": "jan@example.org", "name": "Jan", **about}
    assert parts["person"] == named
    consent = parts["consent"]
    assert consent["basis"] == Basis.IMPORTED
    assert "OPTIN_TIME" in consent["method"]
    assert consent["at"] == "2021-05-04T10:00:00.000000+00:00"
    assert "81.2.69.142" not in str(consent)
    # Nobody agreed elsewhere to what this list says today.
    assert "purpose" not in consent
    assert consent["unseen"]["purpose"] == news.purpose
    assert Wording.get_by_id(consent["wording"]).content == form
    assert consent["file"] == Import.get().digest
    assert Evidence.get(Evidence.event == "confirmed").subject == contact.subject
    assert list(iter_chain_faults()) == []


def test_proof_without_the_text_of_the_form_is_thin(
    database: Database, news: MailingList, tmp_path: Path
) -> None:
    result = take_in(database, news, mailchimp(tmp_path, {"email": "a@example.org", **OPTED_IN}))
    assert result.thin == 1
    assert contact_at(news, "a@example.org").basis == Basis.THIN
    assert parts_of("confirmed")[0]["consent"]["wording"] == ""


def test_mailchimps_confirm_time_alone_proves_nothing(
    database: Database, news: MailingList, tmp_path: Path
) -> None:
    row = {"email": "a@example.org", "CONFIRM_TIME": "2021-05-04 10:00:00"}
    assert fates_of(take_in(database, news, mailchimp(tmp_path, row))) == {Fate.ASK: 1}


def test_an_import_is_an_entry_after_those_of_its_contacts(
    database: Database, news: MailingList, tmp_path: Path
) -> None:
    path = mailchimp(tmp_path, {"email": "a@example.org", **OPTED_IN}, {"email": "b@example.org"})
    take_in(database, news, path, source="Mailchimp")
    events = [row.event for row in Evidence.select().order_by(Evidence.seq)]
    assert events == ["confirmed", "imported"]
    (parts,) = parts_of("imported")
    consent = parts["consent"]
    assert (consent["rows"], consent["name"], consent["source"]) == (2, "export.csv", "Mailchimp")
    assert consent["size"] == path.stat().st_size
    assert consent["fates"]["confirmed"] == consent["fates"]["ask"] == 1
    assert {"part": "export.csv", "column": "Email Address", "field": "address"} in consent[
        "columns"
    ]
    assert json.loads(Import.get().counts)["fates"] == consent["fates"]


# --- Customers. -----------------------------------------------------------------------------------


def test_a_customer_column_makes_customers_whose_conditions_are_attested(
    database: Database, news: MailingList, tmp_path: Path
) -> None:
    path = write(tmp_path, "email,klant\r\na@example.org,ja\r\nb@example.org,nee\r\n")
    result = take_in(database, news, path, attest=ATTEST)
    assert fates_of(result) == {Fate.CUSTOMER: 1, Fate.ASK: 1}
    contact = contact_at(news, "a@example.org")
    assert (contact.status, contact.basis) == (Status.CUSTOMER, Basis.CUSTOMER)
    assert contact.basis_at == NOW
    (parts,) = parts_of("customer")
    assert Wording.get_by_id(parts["consent"]["attest"]).content == ATTEST


def test_a_whole_file_of_customers_is_attested_at_once(
    database: Database, news: MailingList, tmp_path: Path
) -> None:
    path = plain(tmp_path, ("a@example.org", ""), ("info@example.org", ""))
    result = take_in(database, news, path, customers=True, attest=ATTEST)
    assert fates_of(result) == {Fate.CUSTOMER: 2}


@pytest.mark.parametrize("options", [{"customers": True}, {"customers": True, "attest": " "}, {}])
def test_customers_without_an_attestation_are_refused_and_nothing_changes(
    database: Database, news: MailingList, tmp_path: Path, options: dict[str, Any]
) -> None:
    path = write(tmp_path, "email,klant\r\nb@example.org,nee\r\na@example.org,ja\r\n")
    before = everything()
    with pytest.raises(Refused, match="--attest"):
        take_in(database, news, path, **options)
    assert everything() == before


@pytest.mark.parametrize("customers", [True, False])
def test_a_dry_run_needs_no_attestation_and_says_that_one_is_missing(
    database: Database, news: MailingList, tmp_path: Path, *, customers: bool
) -> None:
    path = write(tmp_path, "email,klant\r\nb@example.org,nee\r\na@example.org,ja\r\n")
    before = everything()
    result = take_in(database, news, path, customers=customers, dry_run=True)
    assert result.unattested
    assert everything() == before
    attested = take_in(database, news, path, customers=customers, attest=ATTEST, dry_run=True)
    assert not attested.unattested
    assert attested.fates == result.fates


def test_a_file_without_customers_needs_no_attestation(
    database: Database, news: MailingList, tmp_path: Path
) -> None:
    path = write(tmp_path, "email,klant\r\nb@example.org,nee\r\n")
    assert not take_in(database, news, path, dry_run=True).unattested
    assert not take_in(database, news, path).unattested


@pytest.mark.parametrize("customers", [True, False])
def test_a_sensitive_list_has_no_customers(
    database: Database, tmp_path: Path, customers: bool
) -> None:
    sensitive = make_list(database, sensitive=True)
    path = write(tmp_path, "email,klant\r\na@example.org,ja\r\n")
    with pytest.raises(Refused, match="explicit consent"):
        take_in(database, sensitive, path, customers=customers, attest=ATTEST)


# --- On the list already. -------------------------------------------------------------------------


def test_an_address_on_the_list_is_a_duplicate_and_keeps_what_it_has(
    database: Database, news: MailingList, tmp_path: Path
) -> None:
    take_in(database, news, plain(tmp_path, ("a@example.org", "Jan")))
    result = take_in(database, news, plain(tmp_path, ("a@example.org", "Piet")))
    assert fates_of(result) == {Fate.DUPLICATE: 1}
    assert result.problems[0].reason == "this address is on the list already"
    assert contact_at(news, "a@example.org").name == "Jan"


def test_the_same_address_on_another_list_is_no_duplicate(
    database: Database, news: MailingList, tmp_path: Path
) -> None:
    make_contact(database, make_list(database, slug="other"), "a@example.org")
    result = take_in(database, news, plain(tmp_path, ("a@example.org", "")))
    assert fates_of(result) == {Fate.ASK: 1}


@pytest.mark.parametrize(
    ("basis", "options", "expected"),
    [
        ("", {}, Basis.THIN),
        ("", {"consent_text": "the form"}, Basis.IMPORTED),
        (Basis.CUSTOMER, {}, Basis.THIN),
        (Basis.THIN, {}, Basis.THIN),
        (Basis.THIN, {"consent_text": "the form"}, Basis.IMPORTED),
        (Basis.IMPORTED, {}, Basis.IMPORTED),
        (Basis.SIGN_UP, {"consent_text": "the form"}, Basis.SIGN_UP),
        (Basis.ANSWER, {"consent_text": "the form"}, Basis.ANSWER),
    ],
)
def test_proof_can_only_improve_a_basis(
    *,
    database: Database,
    news: MailingList,
    tmp_path: Path,
    basis: str,
    options: dict[str, Any],
    expected: Basis,
) -> None:
    status = {"": Status.UNCONFIRMED, Basis.CUSTOMER: Status.CUSTOMER}.get(basis, Status.CONFIRMED)
    make_contact(
        database, news, "a@example.org", status=status, basis=basis, basis_at=NOW if basis else None
    )
    path = mailchimp(tmp_path, {"email": "a@example.org", **OPTED_IN})
    is_better = basis != expected
    for dry_run in (True, False):
        result = take_in(database, news, path, dry_run=dry_run, **options)
        assert fates_of(result) == {Fate.DUPLICATE: 1}
        assert result.improved == is_better
    contact = contact_at(news, "a@example.org")
    assert (contact.status, contact.basis) == (Status.CONFIRMED, expected)
    assert contact.basis_at == (SIGNED_UP if is_better else NOW)
    assert len(parts_of("confirmed")) == is_better
    assert take_in(database, news, path, **options).improved == 0


def test_an_attested_customer_is_better_than_no_basis_and_no_better_than_any(
    database: Database, news: MailingList, tmp_path: Path
) -> None:
    make_contact(database, news, "a@example.org")
    make_contact(
        database, news, "b@example.org", status=Status.CONFIRMED, basis=Basis.THIN, basis_at=NOW
    )
    path = plain(tmp_path, ("a@example.org", ""), ("b@example.org", ""))
    assert take_in(database, news, path, customers=True, attest=ATTEST).improved == 1
    assert on_list(news) == {
        "a@example.org": (Status.CUSTOMER, "", Basis.CUSTOMER),
        "b@example.org": (Status.CONFIRMED, "", Basis.THIN),
    }


def test_who_turns_out_to_have_signed_up_is_not_asked_any_more(
    database: Database, news: MailingList, tmp_path: Path
) -> None:
    contact = make_contact(database, news, "a@example.org")
    campaign = make_campaign(database, news)
    mail = make_mail(database, campaign, contact, state=MailState.QUEUED, sent_at=None)
    take_in(database, news, mailchimp(tmp_path, {"email": "a@example.org", **OPTED_IN}))
    assert Mail.get_by_id(mail.id).state == MailState.DROPPED


def hold_yes(database: Database, contact: Contact) -> None:
    """Let a Yes of this contact wait for one more press."""
    with database.atomic():
        Opening.create(contact=contact, list=contact.list, held_at=NOW, began_at=NOW)


def test_a_held_yes_of_whom_a_file_confirms_waits_for_nothing_more(
    database: Database, news: MailingList, tmp_path: Path
) -> None:
    campaign = make_campaign(database, news)
    proven, customer, other = (make_asked(database, news, campaign) for _ in range(3))
    for contact in (proven, customer, other):
        hold_yes(database, contact)
    take_in(database, news, mailchimp(tmp_path, {"email": str(proven.address), **OPTED_IN}))
    assert count_held_yes(news) == 2
    bought = plain(tmp_path, (str(customer.address), ""))
    take_in(database, news, bought, customers=True, attest=ATTEST)
    assert count_held_yes(news) == 1
    assert Opening.get(Opening.contact == other).held_at == NOW


@pytest.mark.parametrize(("include_thin", "held"), [(True, 1), (False, 0)])
def test_a_held_yes_stays_held_as_long_as_the_campaign_asks_on_a_thin_proof(
    database: Database, news: MailingList, tmp_path: Path, include_thin: bool, held: int
) -> None:
    campaign = make_campaign(database, news, include_thin=include_thin)
    contact = make_asked(database, news, campaign)
    hold_yes(database, contact)
    file = mailchimp(tmp_path, {"email": str(contact.address), **OPTED_IN})
    take_in(database, news, file)
    assert count_held_yes(news) == held
    take_in(database, news, file, consent_text="Yes, send me the news.")
    assert count_held_yes(news) == 0
