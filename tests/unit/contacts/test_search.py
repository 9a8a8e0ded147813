"""Finding contacts, a page at a time."""

from __future__ import annotations

import re
from typing import Any

import pytest

from repermit.contacts import counts as contacts_counts
from repermit.contacts import search as contacts_search
from repermit.contacts.search import ContactPage
from repermit.db.connection import Database, is_postgresql
from repermit.db.models.base import new_id
from repermit.db.models.contacts import Contact
from repermit.db.models.lists import MailingList
from repermit.rules.consent import Reason, Status
from tests.support.builders import NOW, make_contact, make_list, make_removed, put_in
from tests.support.query_plans import plans_of


def addresses_of(found: ContactPage) -> list[str | None]:
    return [one.address for one in found.contacts]


def all_pages(mailing_list: MailingList, **wanted: Any) -> list[str | None]:
    """Return what all pages together hold, each of two."""
    every, after = [], ""
    while True:
        found = contacts_search.find_contacts(mailing_list, page=2, after=after, **wanted)
        assert len(found.contacts) <= 2
        every += addresses_of(found)
        if not found.after:
            return every
        after = found.after


def fill(database: Database, mailing_list: MailingList, count: int) -> None:
    """Put so many contacts on a list at once, called many00000@example.net and on."""
    rows = [
        {
            "list": mailing_list,
            "uid": new_id(),
            "subject": new_id(),
            "address": f"many{n:05}@example.net",
            "address_key": f"many{n:05}@example.net",
            "status": Status.UNCONFIRMED,
            "status_at": NOW,
        }
        for n in range(count)
    ]
    put_in(database, Contact, rows)


def test_all_are_found_by_address_page_by_page(
    database: Database, mailing_list: MailingList
) -> None:
    make_contact(database, make_list(database, slug="other"))
    for name in "edcba":
        make_contact(database, mailing_list, f"{name}@example.org")
    assert all_pages(mailing_list) == [f"{name}@example.org" for name in "abcde"]


def test_a_status_is_found_by_reason_page_by_page(
    database: Database, mailing_list: MailingList
) -> None:
    make_contact(database, mailing_list)
    for reason in (Reason.NO, Reason.BOUNCE, Reason.NO, Reason.NO):
        make_removed(database, mailing_list, reason)
    everybody = all_pages(mailing_list, status="removed")
    assert len(everybody) == len(set(everybody)) == 4
    reasons = {one.address: one.reason for one in Contact.select()}
    assert [reasons[address] for address in everybody] == ["bounce", "no", "no", "no"]
    assert len(all_pages(mailing_list, status="removed", reason="no")) == 3
    assert all_pages(mailing_list, status="confirmed") == []


READ, KEPT = "anna@shop.bücher.example", "anna@shop.xn--bcher-kva.example"


@pytest.mark.parametrize(
    "typed",
    [READ, KEPT, "Bücher", "xn--bcher", "na@shop.bücher.", "bu\u0308cher.example", "cher.ex"],
)
def test_a_domain_is_found_as_people_write_it_and_as_it_is_kept(
    database: Database, mailing_list: MailingList, typed: str
) -> None:
    make_contact(database, mailing_list, READ)
    make_contact(database, mailing_list, "bea@münchen.example")
    assert addresses_of(contacts_search.find_contacts(mailing_list, search=typed)) == [KEPT]


@pytest.mark.parametrize("typed", [READ, KEPT, "anna@shop.bücher.", "anna@shop.xn--", "anna@"])
def test_in_a_large_list_too_it_is_found_by_its_beginning(
    database: Database, mailing_list: MailingList, typed: str
) -> None:
    make_contact(database, mailing_list, READ)
    make_contact(database, mailing_list, "bea@münchen.example")
    counts = contacts_search._Counts(all=1_000_000, matching=1_000_000)
    query = Contact.select().where(Contact.list == mailing_list)
    assert addresses_of(contacts_search._search(query, typed, "", 50, counts=counts)) == [KEPT]


@pytest.mark.parametrize("typed", ["Ömer", "ömer", "Özil", "özil", "ÖMER", "ömer özil", "Ömer Ö"])
def test_a_search_finds_a_name_whose_capitals_have_accents(
    database: Database, mailing_list: MailingList, typed: str
) -> None:
    make_contact(database, mailing_list, "oz@example.org", name="Ömer Özil")
    make_contact(database, mailing_list, "zola@example.org", name="Émile Zola")
    assert all_pages(mailing_list, search=typed) == ["oz@example.org"]


@pytest.mark.parametrize("after", ["9" * 23, f"x.{'9' * 23}"])
def test_a_number_that_no_database_holds_counts_as_the_first_page(
    database: Database, mailing_list: MailingList, after: str
) -> None:
    make_contact(database, mailing_list, "a@example.org")
    found = contacts_search.find_contacts(mailing_list, status="unconfirmed", after=after)
    assert addresses_of(found) == ["a@example.org"]
    assert addresses_of(contacts_search.find_contacts(mailing_list, after=after)) == [
        "a@example.org"
    ]


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("jan@example.org", ["jan@example.org"]),
        (" JAN@Example.org ", ["jan@example.org"]),
        ("jan", ["adjan@example.org", "jan@example.org"]),
        ("de vries", ["piet@example.org"]),
        ("100%", []),
        ("jan@example.net", []),
    ],
)
def test_a_search_finds_a_whole_address_or_a_part_of_address_or_name(
    database: Database, mailing_list: MailingList, search: str, found: list[str]
) -> None:
    for address in ("jan@example.org", "adjan@example.org"):
        make_contact(database, mailing_list, address)
    make_contact(database, mailing_list, "piet@example.org", name="Piet de Vries")
    assert all_pages(mailing_list, search=search) == found
    assert all_pages(mailing_list, search=search, status="removed") == []


@pytest.mark.exhaustive
def test_in_a_large_list_a_search_finds_what_begins_so(
    database: Database, mailing_list: MailingList
) -> None:
    fill(database, mailing_list, contacts_search._MAX_SCANNED - 1)
    gone = make_removed(database, mailing_list, Reason.NO)
    assert contacts_search.find_contacts(mailing_list, search="0001").by_part
    make_contact(database, mailing_list, "zjan@example.org")
    for address in ("jan-a@example.org", "jan@example.org", "janneke@example.org"):
        make_contact(database, mailing_list, address)
    found = contacts_search.find_contacts(mailing_list, search="jan")
    assert not found.by_part
    assert addresses_of(found) == ["jan-a@example.org", "jan@example.org", "janneke@example.org"]
    assert all_pages(mailing_list, search="jan") == addresses_of(found)
    begins = str(gone.address)[:3]
    assert all_pages(mailing_list, search=begins, reason="no") == [gone.address]
    assert not all_pages(mailing_list, search="many", reason="no")
    many: dict[str, Any] = {"search": "many", "status": "unconfirmed"}
    first = contacts_search.find_contacts(mailing_list, **many)
    second = contacts_search.find_contacts(mailing_list, **many, after=first.after)
    assert addresses_of(second)[0] == "many00050@example.net"
    # A place before all that begin so is none that a page gave.
    before = contacts_search.find_contacts(mailing_list, search="jan@example.org").contacts[0].id
    assert addresses_of(contacts_search.find_contacts(mailing_list, **many, after=str(before))) == (
        addresses_of(first)
    )
    assert addresses_of(contacts_search.find_contacts(mailing_list, search="zjan@example.org")) == [
        "zjan@example.org"
    ]


def test_whoever_asks_for_a_reason_alone_asks_for_those_who_were_taken_off(
    database: Database, mailing_list: MailingList
) -> None:
    make_contact(database, mailing_list)
    gone = make_removed(database, mailing_list, Reason.NO)
    assert all_pages(mailing_list, reason="no") == [gone.address]
    assert all_pages(mailing_list, reason="no", status="unconfirmed") == []


@pytest.mark.counted_on_both
def test_a_search_in_a_large_list_looks_at_those_alone_that_may_match(
    database: Database, mailing_list: MailingList
) -> None:
    after = str(make_contact(database, mailing_list, "many1@example.org").id)
    query: Any = Contact.select().where(Contact.list == mailing_list, Contact.status == "removed")
    few, many = (
        contacts_search._Counts(
            all=1_000_000, matching=contacts_search._MAX_MATCHING_SCANNED + more
        )
        for more in (0, 1)
    )
    (rare,) = plans_of(database, lambda: contacts_search._search(query, "many", "", 50, counts=few))
    (deep,) = plans_of(
        database, lambda: contacts_search._search(query, "many", after, 50, counts=many)
    )
    if is_postgresql(database):
        assert "contact_list_id_address_key" in deep
        assert "contact_list_id_address_key" not in rare
    else:
        # From the page before on, not from the first that begins so; and past nobody else.
        assert "(list_id=? AND address_key>? AND address_key<?)" in deep
        assert "(list_id=? AND status=?)" in rare


@pytest.mark.counted_on_both
def test_the_next_page_of_a_status_begins_where_an_index_leads(
    database: Database, mailing_list: MailingList
) -> None:
    plans = plans_of(
        database,
        lambda: contacts_search.find_contacts(mailing_list, status="removed", after="no.7"),
    )
    # The rest of the reason, and the reasons after it.
    rest, others = plans
    if is_postgresql(database):
        assert re.search(r"Index Cond: .*reason.* = 'no'.*id > ", rest)
        assert re.search(r"Index Cond: .*reason.* > 'no'", others)
    else:
        assert "(list_id=? AND status=? AND reason=? AND id>?)" in rest
        assert "(list_id=? AND status=? AND reason>?)" in others
    assert not any(re.search("(?i)sort|temp b-tree", plan) for plan in plans)


@pytest.mark.parametrize("after", ["x", "1.x", "9999999", "-1"])
def test_a_place_that_no_page_gave_is_the_beginning(
    database: Database, mailing_list: MailingList, after: str
) -> None:
    make_contact(database, mailing_list)
    assert len(contacts_search.find_contacts(mailing_list, after=after).contacts) == 1
    assert len(
        contacts_search.find_contacts(mailing_list, after=after, status="unconfirmed").contacts
    )


def test_contacts_are_counted_by_status_and_reason(
    database: Database, mailing_list: MailingList
) -> None:
    make_contact(database, mailing_list)
    make_removed(database, mailing_list, Reason.NO)
    assert contacts_counts.count_contacts(mailing_list) == {
        ("unconfirmed", ""): 1,
        ("removed", "no"): 1,
    }


@pytest.mark.parametrize("sign", ["é", "\u0300\u0316", "%", "a"])
def test_a_search_for_what_is_far_too_long_finds_nobody(
    database: Database, mailing_list: MailingList, sign: str
) -> None:
    make_contact(database, mailing_list, "a@example.org")
    assert addresses_of(contacts_search.find_contacts(mailing_list, search=sign * 100_000)) == []
