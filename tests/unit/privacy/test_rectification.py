"""Correcting name, language and address."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from peewee import fn

from repermit import email_address
from repermit.answers import join, record_answer
from repermit.answers.link_target import PageShown
from repermit.contacts import erasure, status_changes
from repermit.db.connection import Database
from repermit.db.models.base import new_id
from repermit.db.models.contacts import Contact, SignUp, Suppression
from repermit.db.models.evidence import Evidence, EvidencePart
from repermit.db.models.lists import MailingList
from repermit.db.models.mails import FreshLink, Mail
from repermit.db.suppression_journal import Journal
from repermit.errors import AddressError, Refused
from repermit.privacy import data_links, forget, make_proof, rectification
from repermit.rules.consent import Answer, MailKind, Reason, Status
from tests.support.builders import (
    NOW,
    make_campaign,
    make_contact,
    make_list,
    make_mail,
    make_removed,
    make_settings,
)
from tests.support.chain_faults import iter_chain_faults
from tests.support.one_time_links import TRACE, asked_for, at_once, newest, opened_for
from tests.unit.db.test_suppression_journal import CHECK

SETTINGS = make_settings()
LATER = NOW + timedelta(minutes=5)


@pytest.fixture
def anna(database: Database, mailing_list: MailingList) -> Contact:
    return make_contact(
        database,
        mailing_list,
        "anna@example.org",
        status=Status.CONFIRMED,
        basis="answer",
        name="Ana",
        language="nl",
    )


def correct(database: Database, authority: str, **more: Any) -> bool | None:
    values: dict[str, Any] = {"name": "Anna", "language": "fr", "now": LATER, "trace": TRACE}
    return rectification.correct_data(database, authority=authority, **{**values, **more})


def ask(database: Database, authority: str, address: str, **more: Any) -> bool | None:
    values: dict[str, Any] = {"language": "de", "now": LATER}
    return rectification.ask_new_address(
        database, authority=authority, address=address, **{**values, **more}
    )


def press(database: Database, uid: str, **more: Any) -> str | None:
    values: dict[str, Any] = {"settings": SETTINGS, "now": LATER, "trace": TRACE}
    moved = rectification.confirm_new_address(database, uid=uid, **{**values, **more})
    return moved.outcome if moved else None


def move(database: Database, contact: Contact, address: str) -> str | None:
    """Have an address corrected from beginning to end; return what came of it."""
    assert ask(database, opened_for(database, contact).authority, address)
    return press(database, newest("address").uid)


def parts_of(event: str) -> dict[str, Any]:
    entry = Evidence.get(Evidence.event == event)
    rows = EvidencePart.select().where(EvidencePart.seq == entry.seq)
    return {row.part: json.loads(row.json) for row in rows}


def suppressed(address: str) -> tuple[str, str] | None:
    fingerprint = email_address.fingerprint(SETTINGS.fingerprint_key, address)
    row = Suppression.get_or_none(Suppression.fingerprint == fingerprint)
    return (row.reason, row.subject) if row else None


# --- Name and language. --------------------------------------------------------------------------


def test_a_correction_counts_at_once_and_is_an_entry(database: Database, anna: Contact) -> None:
    authority = opened_for(database, anna).authority
    assert correct(database, authority) is True
    row = Contact.get_by_id(anna.id)
    assert (row.name, row.language, row.uid) == ("Anna", "fr", anna.uid)
    assert parts_of("corrected") == {
        "consent": {"method": "page", "fields": ["language", "name"]},
        "person": {"address": "anna@example.org", "name": "Anna", "link": anna.uid},
        "trace": TRACE,
    }
    assert not list(iter_chain_faults())
    assert correct(database, authority) is False
    assert Evidence.select().count() == 1


def test_what_an_ask_said_of_a_person_stays_known_when_they_correct_it(
    database: Database, mailing_list: MailingList, anna: Contact
) -> None:
    make_mail(database, make_campaign(database, mailing_list), anna)
    assert correct(database, opened_for(database, anna).authority) is True
    person = {"address": "anna@example.org", "name": "Anna", "link": anna.uid}
    assert parts_of("corrected")["person"] == {**person, "before": {"name": "Ana"}}
    assert move(database, anna, "anna@new.example.org") == "moved"
    seq = Evidence.select(fn.MAX(Evidence.seq)).scalar()
    moved = json.loads(EvidencePart.get(seq=seq, part="person").json)
    assert moved["before"] == {"address": "a…a@example.org"}


def test_nothing_can_be_corrected_without_an_authority_that_holds(
    database: Database, anna: Contact
) -> None:
    authority = opened_for(database, anna).authority
    over = NOW + timedelta(hours=1)
    assert correct(database, authority, now=over) is None
    assert correct(database, new_id()) is None
    assert ask(database, authority, "new@example.org", now=over) is None
    assert Contact.get_by_id(anna.id).name == "Ana"
    assert FreshLink.select().count() == 1


def test_a_person_who_is_erased_meanwhile_is_corrected_no_more(
    database: Database, anna: Contact
) -> None:
    authority = opened_for(database, anna).authority
    Contact.update(erased_at=NOW).where(Contact.id == anna.id).execute()
    assert correct(database, authority) is None


# --- The address. --------------------------------------------------------------------------------


def test_a_new_address_counts_only_once_it_is_confirmed(database: Database, anna: Contact) -> None:
    authority = opened_for(database, anna).authority
    assert ask(database, authority, "Anna@NEW.example.org") is True
    link = newest("address")
    assert (link.address, link.address_key, link.language) == (
        "Anna@new.example.org",
        "anna@new.example.org",
        "de",
    )
    assert link.mail.contact_id is None
    assert Contact.get_by_id(anna.id).address == "anna@example.org"
    assert press(database, link.uid) == "moved"
    row = Contact.get_by_id(anna.id)
    assert (row.address, row.address_key) == ("Anna@new.example.org", "anna@new.example.org")
    assert (row.uid, row.subject, row.status) == (anna.uid, anna.subject, Status.CONFIRMED)
    assert parts_of("corrected") == {
        "consent": {
            "method": "page",
            "fields": ["address"],
            "requested_at": LATER.isoformat(),
            "confirmed_at": LATER.isoformat(),
        },
        "person": {"address": "Anna@new.example.org", "name": "Ana", "link": anna.uid},
        "trace": TRACE,
    }
    assert not list(iter_chain_faults())


def test_the_address_from_before_is_told_and_gone(
    database: Database, mailing_list: MailingList, anna: Contact
) -> None:
    join.request_sign_up(
        database, mailing_list, address="anna@example.org", name="", language="", now=NOW
    )
    asked_for(database, anna)
    assert move(database, anna, "new@example.org") == "moved"
    told = newest("changed")
    assert (told.address, told.mail.contact_id, told.mail.state) == (
        "anna@example.org",
        None,
        "queued",
    )
    data_links.delete_expired_links(database, now=LATER + timedelta(days=1))
    for table in (Contact, SignUp, FreshLink):
        assert not table.select().where(table.address == "anna@example.org").exists()


def test_links_that_went_to_the_address_from_before_are_over(
    database: Database, anna: Contact
) -> None:
    unused = asked_for(database, anna)
    assert move(database, anna, "new@example.org") == "moved"
    assert data_links.open_link(database, uid=unused.uid, now=LATER) is None


def test_a_new_address_is_confirmed_once_also_by_two_presses_at_once(
    database: Database, anna: Contact
) -> None:
    ask(database, opened_for(database, anna).authority, "new@example.org")
    uid = newest("address").uid
    pressed = at_once(database, *[lambda: press(database, uid)] * 3)
    assert sorted(map(str, pressed)) == ["moved", "used", "used"]
    assert (
        Evidence.select().count()
        == FreshLink.select().where(FreshLink.purpose == "changed").count()
        == 1
    )


def test_a_link_that_is_late_or_unknown_changes_no_address(
    database: Database, anna: Contact
) -> None:
    ask(database, opened_for(database, anna).authority, "new@example.org")
    assert press(database, newest("address").uid, now=LATER + timedelta(hours=1)) == "late"
    assert press(database, newest("see").uid) is None
    assert Contact.get_by_id(anna.id).address == "anna@example.org"


def test_what_is_no_address_is_refused_and_the_same_one_is_nothing_new(
    database: Database, anna: Contact
) -> None:
    authority = opened_for(database, anna).authority
    with pytest.raises(AddressError):
        ask(database, authority, "anna@")
    assert ask(database, authority, "anna@example.org") is False
    assert ask(database, authority, "Anna@example.org") is True
    assert press(database, newest("address").uid) == "moved"
    assert Contact.get_by_id(anna.id).address == "Anna@example.org"
    assert suppressed("anna@example.org") is None
    # It is the same mailbox, which is not told that it gets no more mail.
    assert not FreshLink.select().where(FreshLink.purpose == "changed").exists()


def test_nobody_can_have_many_mailed(
    database: Database, mailing_list: MailingList, anna: Contact
) -> None:
    authority = opened_for(database, anna).authority
    for number in range(5):
        assert ask(database, authority, f"new{number}@example.org") is True
    assert FreshLink.select().where(FreshLink.purpose == "address").count() == 3
    for _ in range(4):
        join.request_sign_up(
            database, mailing_list, address="full@example.org", name="", language="", now=NOW
        )
    bert = make_contact(database, mailing_list, "bert@example.org")
    authority = opened_for(database, bert).authority
    # Sign-ups have a limit of their own, and what others asked for only makes a link wait.
    for number in range(3):
        other = make_contact(database, mailing_list, f"other{number}@example.org")
        assert ask(database, opened_for(database, other).authority, "full@example.org") is True
    assert ask(database, authority, "full@example.org") is True
    assert ask(database, authority, "full@example.org") is True
    full = FreshLink.select().where(FreshLink.address == "full@example.org")
    assert [row.at for row in full.order_by(FreshLink.id)] == [LATER] * 3 + [
        LATER + timedelta(days=1)
    ]


# --- Suppressions, and addresses of others. ------------------------------------------------------


def test_who_has_not_left_moves_and_the_old_address_gets_nothing_more(
    database: Database, anna: Contact
) -> None:
    assert move(database, anna, "new@example.org") == "moved"
    assert suppressed("anna@example.org") == (Reason.REQUEST, anna.subject)
    assert suppressed("new@example.org") is None


def test_the_address_from_before_neither_proves_nor_forgets_who_is_held_under_another(
    database: Database, mailing_list: MailingList, anna: Contact
) -> None:
    move(database, anna, "new@example.org")
    act: dict[str, Any] = {"settings": SETTINGS, "now": LATER, "actor": "cli:x"}
    with pytest.raises(Refused, match="the earlier address of somebody") as refused:
        make_proof.prove_address(database, mailing_list, "anna@example.org", **act)
    assert "new@" not in str(refused.value)
    with pytest.raises(Refused, match="the earlier address of somebody") as refused:
        forget.erase_address(database, "anna@example.org", mailing_list=mailing_list, **act)
    assert "new@" not in str(refused.value)
    assert Contact.get_by_id(anna.id).address == "new@example.org"


def test_where_one_list_refuses_nothing_is_forgotten_on_any(
    database: Database, anna: Contact, tmp_path: Path
) -> None:
    club = make_contact(database, make_list(database, slug="club"), "anna@example.org")
    move(database, anna, "new@example.org")
    act: dict[str, Any] = {"settings": SETTINGS, "now": LATER, "actor": "cli:x"}
    database.journal = Journal(tmp_path / "suppressions.journal", key_check=CHECK)
    # The list club comes first, and that of the earlier address after it.
    with pytest.raises(Refused, match="nothing was erased there"):
        forget.erase_address(database, "anna@example.org", mailing_list=None, **act)
    assert Contact.get_by_id(club.id).address == "anna@example.org"
    assert not Evidence.select().where(Evidence.event == "erased").exists()
    assert not database.journal.path.exists()
    assert forget.erase_address(database, "new@example.org", mailing_list=None, **act).lists
    assert forget.erase_address(database, "anna@example.org", mailing_list=None, **act).lists
    assert Contact.get_by_id(club.id).address is None
    assert list(iter_chain_faults()) == []


def test_who_moves_back_is_not_suppressed_by_their_own_moving(
    database: Database, anna: Contact
) -> None:
    move(database, anna, "new@example.org")
    assert move(database, Contact.get_by_id(anna.id), "anna@example.org") == "moved"
    assert suppressed("anna@example.org") is None
    assert suppressed("new@example.org") == (Reason.REQUEST, anna.subject)


def test_what_somebody_left_stays_left_under_the_new_address(
    database: Database, mailing_list: MailingList
) -> None:
    left = make_removed(database, mailing_list, Reason.NO, "left@example.org")
    assert move(database, left, "new@example.org") == "moved"
    for address in ("left@example.org", "new@example.org"):
        assert suppressed(address) == (Reason.NO, left.subject)
    at = Suppression.select(Suppression.at).distinct().tuples()
    assert list(at) == [(left.status_at,)]


@pytest.mark.parametrize("reason", [None, Reason.NO])
def test_an_address_with_a_place_of_its_own_is_not_taken_over(
    database: Database, mailing_list: MailingList, anna: Contact, reason: Reason | None
) -> None:
    taken = "bert@example.org"
    if reason:
        make_removed(database, mailing_list, reason, taken)
    else:
        make_contact(database, mailing_list, taken)
    before = list(Contact.select().order_by(Contact.id).dicts())
    assert move(database, anna, taken) == "taken"
    assert list(Contact.select().order_by(Contact.id).dicts()) == before
    assert suppressed("anna@example.org") is None
    assert not Evidence.select().where(Evidence.event == "corrected").exists()


def test_an_address_that_was_erased_is_not_taken_over(
    database: Database, mailing_list: MailingList, anna: Contact
) -> None:
    gone = make_removed(database, mailing_list, Reason.NO, "gone@example.org")
    with database.atomic():
        erasure.erase_contact(
            gone,
            act=status_changes.Act(at=NOW, actor="person"),
            fingerprint_key=SETTINGS.fingerprint_key,
        )
    assert move(database, anna, "gone@example.org") == "taken"
    assert Contact.get_by_id(anna.id).address == "anna@example.org"


def test_an_address_of_another_list_is_no_obstacle(database: Database, anna: Contact) -> None:
    make_contact(database, make_list(database, slug="other"), "new@example.org")
    assert move(database, anna, "new@example.org") == "moved"


def test_the_links_of_earlier_mails_keep_working(database: Database, anna: Contact) -> None:
    move(database, anna, "new@example.org")
    recorded = record_answer.record_answer(
        database,
        uid=anna.uid,
        answer=Answer.NO,
        arrived_at=LATER,
        settings=SETTINGS,
        method="one_click",
        trace={"network": "", "browser": ""},
    )
    assert recorded is not None
    assert recorded.reason == Reason.WITHDRAWN
    assert suppressed("new@example.org") == (Reason.WITHDRAWN, anna.subject)


def sign_up(database: Database, mailing_list: MailingList, address: str) -> Contact:
    """Sign an address up and confirm it; return the contact that it is now."""
    join.request_sign_up(database, mailing_list, address=address, name="", language="", now=LATER)
    join.confirm_sign_up(
        database,
        uid=SignUp.select().order_by(SignUp.id.desc()).get().uid,
        arrived_at=LATER,
        settings=SETTINGS,
        trace={"network": "", "browser": ""},
        page=lambda _: PageShown(wording="As on the page."),
    )
    found: Contact = Contact.get(Contact.address_key == address)
    return found


def test_whoever_signs_up_with_an_address_that_was_left_is_another_person(
    database: Database, mailing_list: MailingList, anna: Contact
) -> None:
    move(database, anna, "new@example.org")
    other = sign_up(database, mailing_list, "anna@example.org")
    assert other.subject != anna.subject
    assert suppressed("anna@example.org") is None
    assert Mail.select().where(Mail.kind != MailKind.RECEIPT).count() == 4


def test_whoever_signs_up_with_it_after_an_erasure_is_another_person_too(
    database: Database, mailing_list: MailingList, anna: Contact
) -> None:
    act: dict[str, Any] = {"settings": SETTINGS, "now": LATER, "actor": "cli:x"}
    move(database, anna, "new@example.org")
    forget.erase_address(database, "new@example.org", mailing_list=mailing_list, **act)
    other = sign_up(database, mailing_list, "anna@example.org")
    assert other.subject != anna.subject
    # Each of them is proved by the address that was theirs last, and by no other.
    for address, subject in (
        ("anna@example.org", other.subject),
        ("new@example.org", anna.subject),
    ):
        proof = make_proof.prove_address(database, mailing_list, address, **act)
        assert proof.document["statement"]["subject"] == subject
    assert list(iter_chain_faults()) == []
    # And who was erased comes back as themselves with their own address.
    assert sign_up(database, mailing_list, "new@example.org").subject == anna.subject
    assert list(iter_chain_faults()) == []


def test_the_earlier_address_of_who_came_back_before_they_moved_is_refused_too(
    database: Database, mailing_list: MailingList, anna: Contact
) -> None:
    act: dict[str, Any] = {"settings": SETTINGS, "now": LATER, "actor": "cli:x"}
    forget.erase_address(database, "anna@example.org", mailing_list=mailing_list, **act)
    again = sign_up(database, mailing_list, "anna@example.org")
    assert again.subject == anna.subject
    assert move(database, again, "new@example.org") == "moved"
    with pytest.raises(Refused, match="the earlier address of somebody"):
        forget.erase_address(database, "anna@example.org", mailing_list=mailing_list, **act)
    assert Contact.get_by_id(again.id).address == "new@example.org"
