"""Links that go to the address itself: for one use and one hour."""

from __future__ import annotations

from datetime import timedelta

import pytest

from repermit.answers import join
from repermit.contacts import erasure, status_changes
from repermit.db.connection import Database, is_postgresql
from repermit.db.models.base import Meta, new_id
from repermit.db.models.contacts import Contact, SignUp
from repermit.db.models.lists import MailingList
from repermit.db.models.mails import FreshLink, Mail
from repermit.privacy import data_links
from repermit.rules.consent import MailKind, Reason, Status
from tests.support.builders import NOW, make_contact, make_list, make_removed, make_settings
from tests.support.one_time_links import asked_for, at_once, opened_for
from tests.support.public_pages import everything_in

HOUR = timedelta(hours=1)
MOMENT = timedelta(microseconds=1)


@pytest.fixture
def anna(database: Database, mailing_list: MailingList) -> Contact:
    return make_contact(database, mailing_list, "Anna@example.org", status=Status.CONFIRMED)


def test_a_link_goes_to_the_address_itself(database: Database, anna: Contact) -> None:
    link = asked_for(database, anna)
    assert (link.address, link.address_key) == ("Anna@example.org", "anna@example.org")
    assert (link.purpose, link.language, link.used_at, link.authority) == ("see", "nl", None, "")
    assert (link.mail.kind, link.mail.contact_id, link.mail.due_at) == (
        MailKind.CONFIRM,
        anna.id,
        NOW,
    )


def test_three_links_a_day_go_to_an_address_and_of_each_contact_one_more_waits(
    database: Database, anna: Contact
) -> None:
    other = make_contact(database, make_list(database, slug="other"), "anna@example.org")
    for number, contact in enumerate((anna, other, anna, other, anna, anna, other)):
        later = NOW + timedelta(minutes=number)
        data_links.ask_for_link(database, uid=contact.uid, language="", now=later)
    day = timedelta(days=1)
    dues = [(row.contact_id, row.mail.due_at) for row in FreshLink.select().order_by(FreshLink.id)]
    assert dues == [
        (anna.id, NOW),
        (other.id, NOW + timedelta(minutes=1)),
        (anna.id, NOW + timedelta(minutes=2)),
        (other.id, NOW + day),
        (anna.id, NOW + day + timedelta(minutes=1)),
    ]
    waiting = FreshLink.select().order_by(FreshLink.id.desc()).get()
    assert data_links.open_link(database, uid=waiting.uid, now=waiting.at + HOUR - MOMENT)


def test_sign_ups_of_somebody_s_address_keep_no_link_from_them(
    database: Database, mailing_list: MailingList, anna: Contact
) -> None:
    def sign_up() -> None:
        join.request_sign_up(
            database, mailing_list, address="anna@example.org", name="", language="", now=NOW
        )

    for _ in range(4):
        sign_up()
    assert asked_for(database, anna).mail.due_at == NOW
    assert (SignUp.select().count(), FreshLink.select().count()) == (3, 1)


def test_links_of_somebody_keep_nobody_from_signing_up(
    database: Database, mailing_list: MailingList, anna: Contact
) -> None:
    for _ in range(4):
        asked_for(database, anna)
    join.request_sign_up(
        database, mailing_list, address="anna@example.org", name="", language="", now=NOW
    )
    assert SignUp.select().count() == 1


def test_three_a_day_hold_at_once(database: Database, anna: Contact) -> None:
    at_once(database, *[lambda: asked_for(database, anna)] * 6)
    assert Mail.select().where(Mail.due_at == NOW).count() == 3
    assert Mail.select().count() == 4


def test_who_is_off_the_list_gets_a_link_too_and_who_is_gone_does_not(
    database: Database, mailing_list: MailingList
) -> None:
    left = make_removed(database, mailing_list, Reason.NO, "left@example.org")
    gone = make_removed(database, mailing_list, Reason.NO, "gone@example.org")
    with database.atomic():
        erasure.erase_contact(
            gone,
            act=status_changes.Act(at=NOW, actor="person"),
            fingerprint_key=make_settings().fingerprint_key,
        )
    for uid in (left.uid, gone.uid, new_id()):
        data_links.ask_for_link(database, uid=uid, language="", now=NOW)
    assert [row.address for row in FreshLink.select()] == ["left@example.org"]


@pytest.mark.parametrize(
    ("after", "state"), [(HOUR - MOMENT, "good"), (HOUR, "late"), (HOUR + MOMENT, "late")]
)
def test_a_link_is_good_for_one_hour(
    database: Database, anna: Contact, after: timedelta, state: str
) -> None:
    uid = asked_for(database, anna).uid
    before = everything_in(database)
    found = data_links.find_link(uid, "see", now=NOW + after)
    assert found is not None
    assert (found.state, found.uid, found.address) == (state, anna.uid, "A…a@example.org")
    assert data_links.find_link(uid, "address", now=NOW) is None
    assert everything_in(database) == before
    opened = data_links.open_link(database, uid=uid, now=NOW + after)
    assert (opened is not None) is (state == "good")


def test_a_link_works_once_also_for_two_presses_at_once(database: Database, anna: Contact) -> None:
    uid = asked_for(database, anna).uid
    pressed = at_once(
        database, *[lambda: data_links.open_link(database, uid=uid, now=NOW + MOMENT)] * 4
    )
    assert len([one for one in pressed if one]) == 1
    found = data_links.find_link(uid, "see", now=NOW + MOMENT)
    assert found is not None
    assert found.state == "used"
    assert data_links.open_link(database, uid=new_id(), now=NOW) is None


@pytest.mark.parametrize(("after", "holds"), [(HOUR - MOMENT, True), (HOUR, False)])
def test_what_a_link_opened_ends_with_its_hour(
    database: Database, anna: Contact, after: timedelta, holds: bool
) -> None:
    opened = opened_for(database, anna)
    assert (opened.contact, opened.uid, opened.ends_at) == (anna.id, anna.uid, NOW + HOUR)
    # A digest of it is all that stands in the database.
    assert opened.authority not in {row.authority for row in FreshLink.select()}
    later = data_links.find_access(opened.authority, now=NOW + after)
    assert (later == opened) is holds
    assert data_links.find_access(new_id(), now=NOW) is None
    assert data_links.find_access("", now=NOW) is None


def test_whoever_asks_for_a_link_does_not_wait_for_the_deleting_of_old_ones(
    database: Database, anna: Contact
) -> None:
    asked_for(database, anna)
    asked_for(database, anna, now=NOW + timedelta(days=2))
    assert FreshLink.select().count() == 2


def test_links_are_forgotten_after_a_day(database: Database, anna: Contact) -> None:
    asked_for(database, anna)
    assert data_links.delete_expired_links(database, now=NOW + timedelta(days=1) - MOMENT) == 0
    owed = Meta.select().where(Meta.key == "wipe_owed")
    assert not owed.exists()
    assert data_links.delete_expired_links(database, now=NOW + timedelta(days=1)) == 1
    # On SQLite the addresses that they went to stand in the log until that is written back.
    assert owed.exists() is not is_postgresql(database)
    # That a mail was sent stays.
    assert Mail.select().count() == 1


def test_an_erasure_takes_the_links_along(database: Database, anna: Contact) -> None:
    opened = opened_for(database, anna)
    with database.atomic():
        erasure.erase_contact(
            Contact.get_by_id(anna.id),
            act=status_changes.Act(at=NOW, actor="admin"),
            fingerprint_key=make_settings().fingerprint_key,
        )
    assert FreshLink.select().count() == 0
    assert data_links.find_access(opened.authority, now=NOW) is None
