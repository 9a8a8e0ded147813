"""How an address stands on a list, for whoever asks by the address."""

from __future__ import annotations

from datetime import timedelta

import pytest

from repermit.contacts import erasure, lookup, status_changes
from repermit.contacts.lookup import AddressStatus
from repermit.db.connection import Database
from repermit.db.models.lists import MailingList
from repermit.rules.consent import Reason, Status
from tests.support.builders import NOW, make_contact, make_list, make_removed, make_settings

KEY = make_settings().fingerprint_key


def stands(mailing_list: MailingList, address: str = "anna@example.org") -> AddressStatus:
    return lookup.find_address_status(mailing_list, address, fingerprint_key=KEY)


@pytest.mark.parametrize(
    ("status", "may_be_mailed"),
    [(Status.UNCONFIRMED, False), (Status.CONFIRMED, True), (Status.CUSTOMER, True)],
)
def test_a_contact_stands_as_it_does(
    database: Database, mailing_list: MailingList, status: Status, may_be_mailed: bool
) -> None:
    contact = make_contact(
        database, mailing_list, "anna@example.org", status=status, basis="answer"
    )
    found = stands(mailing_list, " Anna@EXAMPLE.org ")
    assert found == AddressStatus(
        status=status,
        reason="",
        basis="answer",
        since=NOW,
        is_suppressed=False,
        subject=contact.subject,
    )
    assert found.may_be_mailed == may_be_mailed


def test_who_was_removed_is_suppressed(database: Database, mailing_list: MailingList) -> None:
    make_removed(database, mailing_list, Reason.NO, "anna@example.org")
    found = stands(mailing_list)
    assert (found.status, found.reason, found.is_suppressed) == ("removed", "no", True)
    assert not found.may_be_mailed


def test_of_who_was_erased_only_the_suppression_is_known(
    database: Database, mailing_list: MailingList
) -> None:
    contact = make_contact(database, mailing_list, "anna@example.org", status=Status.CONFIRMED)
    act = status_changes.Act(at=NOW + timedelta(days=1), actor="me")
    with database.atomic():
        erasure.erase_contact(contact, act=act, fingerprint_key=KEY)
    assert stands(mailing_list) == AddressStatus(
        status=None, reason="", basis="", since=None, is_suppressed=True, subject=""
    )


@pytest.mark.parametrize("address", ["jan@example.org", "no address", "", "a\x00@example.org"])
def test_what_the_list_does_not_have_is_not_known(
    database: Database, mailing_list: MailingList, address: str
) -> None:
    make_removed(database, make_list(database, slug="other"), Reason.NO, "jan@example.org")
    found = stands(mailing_list, address)
    assert (found.status, found.is_suppressed, found.may_be_mailed) == (None, False, False)
