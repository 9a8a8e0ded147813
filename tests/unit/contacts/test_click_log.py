"""Openings between the page and the database: bounded, and lost by no failure."""

from __future__ import annotations

from datetime import timedelta

import pytest
from peewee import DatabaseError

from repermit.contacts import click_log, erasure, status_changes
from repermit.contacts.click_log import LinkRequest, PendingOpenings
from repermit.db.connection import Database
from repermit.db.models.base import new_id
from repermit.db.models.contacts import Contact, Opening
from tests.support.builders import NOW, make_contact, make_list, make_settings

A_SECOND = timedelta(seconds=1)
GET = LinkRequest("yes", is_head=False, at=NOW)
HEAD = LinkRequest("no", is_head=True, at=NOW + A_SECOND)


@pytest.fixture
def contact(database: Database) -> Contact:
    return make_contact(database, make_list(database))


def test_what_was_opened_is_written_once(database: Database, contact: Contact) -> None:
    pending = PendingOpenings()
    for seen in (GET, GET, HEAD):
        pending.add(contact.uid, seen)
    assert Opening.select().count() == 0
    assert pending.write(database) == 1
    assert pending.write(database) == 0
    row = Opening.get()
    assert (row.contact_id, row.list_id) == (contact.id, contact.list_id)
    assert (row.yes_gets, row.yes_heads, row.no_gets, row.no_heads) == (2, 0, 0, 1)
    assert (row.began_at, row.together_at) == (NOW, NOW + A_SECOND)
    assert click_log.read_link_history(contact, row) == click_log.make_link_history(row)


def test_the_row_grows_by_counts_alone_and_knows_its_oldest_moment(
    database: Database, contact: Contact
) -> None:
    for days in (3, 1, 2):
        pending = PendingOpenings()
        pending.add(contact.uid, LinkRequest("no", is_head=False, at=NOW + timedelta(days=days)))
        pending.write(database)
    row = Opening.get()
    assert (row.no_gets, row.no_first_at, row.no_last_at) == (
        3,
        NOW + timedelta(days=1),
        NOW + timedelta(days=3),
    )
    assert row.began_at == NOW + timedelta(days=1)


def test_a_flood_on_one_link_or_on_many_takes_no_more_than_its_room(
    database: Database, contact: Contact
) -> None:
    other = make_contact(database, contact.list)
    pending = PendingOpenings(max_pending=5, max_per_contact=3)
    for _ in range(100):
        pending.add(contact.uid, GET)
    for _ in range(100):
        pending.add(other.uid, GET)
    assert pending.write(database) == 2
    assert [row.yes_gets for row in Opening.select().order_by(Opening.contact)] == [3, 2]
    # Then there is room again.
    pending.add(contact.uid, GET)
    assert pending.write(database) == 1
    assert Opening.get(Opening.contact == contact).yes_gets == 4


def test_of_nobody_and_of_who_was_erased_nothing_is_kept(
    database: Database, contact: Contact
) -> None:
    pending = PendingOpenings()
    pending.add(contact.uid, GET)
    pending.add(new_id(), GET)
    with database.atomic():
        erasure.erase_contact(
            contact,
            act=status_changes.Act(at=NOW, actor="person"),
            fingerprint_key=make_settings().fingerprint_key,
        )
    pending.write(database)
    assert Opening.select().count() == 0


def test_what_a_press_takes_is_there_again_if_the_press_fails(
    database: Database, contact: Contact
) -> None:
    pending = PendingOpenings()
    pending.add(contact.uid, GET)
    with pytest.raises(LookupError), pending.take_openings(contact.uid, timeout=1):
        raise LookupError
    with pending.take_openings(contact.uid, timeout=1) as seen:
        assert seen == (GET,)
    with pending.take_openings(contact.uid, timeout=1) as seen:
        assert seen == ()
    assert pending.write(database) == 0


def test_what_cannot_be_written_waits(database: Database, contact: Contact) -> None:
    pending = PendingOpenings()
    pending.add(contact.uid, GET)
    Opening.drop_table()
    with pytest.raises(DatabaseError, match="opening"):
        pending.write(database)
    Opening.create_table()
    assert pending.write(database) == 1
    assert Opening.get().yes_gets == 1


def test_erasing_takes_the_openings_along_and_so_does_deleting(
    database: Database, contact: Contact
) -> None:
    other = make_contact(database, contact.list)
    pending = PendingOpenings()
    for one in (contact, other):
        pending.add(one.uid, GET)
    pending.write(database)
    with database.atomic():
        erasure.erase_contact(
            contact,
            act=status_changes.Act(at=NOW, actor="person"),
            fingerprint_key=make_settings().fingerprint_key,
        )
    assert [row.contact_id for row in Opening.select()] == [other.id]
    with database.atomic():
        Contact.delete().where(Contact.id == other.id).execute()
    assert Opening.select().count() == 0


def test_of_links_that_nothing_happened_to_nothing_is_kept(
    database: Database, contact: Contact
) -> None:
    with database.atomic():
        click_log.save_link_history(contact, None, click_log.read_link_history(contact, None))
    assert Opening.select().count() == 0
    assert click_log.read_signals(click_log.find_opening(contact)) == ()
