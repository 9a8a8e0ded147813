"""Signing up by double opt-in."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest

from repermit import email_address
from repermit.answers import join, record_answer
from repermit.answers.link_target import PageShown, SignUpResult
from repermit.contacts import erasure, lookup, status_changes
from repermit.db.connection import Database
from repermit.db.models.base import new_id
from repermit.db.models.campaigns import Wording
from repermit.db.models.contacts import Contact, SignUp, Suppression
from repermit.db.models.evidence import Evidence, EvidencePart
from repermit.db.models.lists import MailingList
from repermit.db.models.mails import Mail
from repermit.errors import AddressError
from repermit.rules.consent import Answer, Basis, MailKind, MailState, Outcome, Reason, Status
from tests.support.builders import NOW, make_contact, make_list, make_removed, make_settings
from tests.support.chain_faults import iter_chain_faults
from tests.support.query_plans import plans_of

LATER = NOW + timedelta(hours=1)


def sign_up(
    database: Database, mailing_list: MailingList, address: str = "", **more: Any
) -> SignUp | None:
    """Sign up, and return the newest sign-up."""
    values: dict[str, Any] = {"name": "Anna", "language": "fr", "now": NOW}
    join.request_sign_up(
        database, mailing_list, address=address or "anna@example.org", **{**values, **more}
    )
    newest: SignUp | None = SignUp.select().order_by(SignUp.id.desc()).first()
    return newest


def signed_up(database: Database, mailing_list: MailingList, address: str = "") -> SignUp:
    made = sign_up(database, mailing_list, address)
    assert made is not None
    return made


def confirm(database: Database, uid: str, *, arrived: datetime = LATER) -> SignUpResult | None:
    return join.confirm_sign_up(
        database,
        uid=uid,
        arrived_at=arrived,
        settings=make_settings(),
        trace={"network": "2001:db8::/48", "browser": "Firefox"},
        page=lambda _: PageShown(wording="As on the page."),
    )


def confirmed(database: Database, made: SignUp, *, arrived: datetime = LATER) -> SignUpResult:
    done = confirm(database, made.uid, arrived=arrived)
    assert done is not None
    return done


def test_a_sign_up_owes_a_mail_and_puts_nobody_on_the_list(
    database: Database, mailing_list: MailingList
) -> None:
    made = signed_up(database, mailing_list, "Anna@BÜCHER.example.org")
    assert (made.address, made.address_key) == (
        "Anna@xn--bcher-kva.example.org",
        "anna@xn--bcher-kva.example.org",
    )
    mail = Mail.get()
    assert (mail.kind, mail.state, mail.due_at) == (MailKind.CONFIRM, MailState.QUEUED, NOW)
    assert (mail.sign_up_id, mail.contact_id, mail.campaign_id) == (made.id, None, None)
    assert Contact.select().count() == Evidence.select().count() == 0


def test_what_is_no_address_is_refused(database: Database, mailing_list: MailingList) -> None:
    with pytest.raises(AddressError):
        sign_up(database, mailing_list, "anna@")
    assert SignUp.select().count() == 0


def test_an_address_gets_three_mails_a_day_at_most(
    database: Database, mailing_list: MailingList
) -> None:
    for _ in range(5):
        sign_up(database, mailing_list)
    sign_up(database, mailing_list, "other@example.org")
    assert Mail.select().count() == 4
    sign_up(database, mailing_list, now=NOW + timedelta(days=1) - timedelta(microseconds=1))
    assert Mail.select().count() == 4
    sign_up(database, mailing_list, now=NOW + timedelta(days=1))
    assert Mail.select().count() == 5


@pytest.mark.counted_on_both
def test_three_a_day_hold_over_all_lists_and_at_once(
    database: Database, mailing_list: MailingList
) -> None:
    other = make_list(database, slug="other")
    start = threading.Barrier(6)

    def press(of: MailingList) -> None:
        with database.connection_context():
            start.wait()
            sign_up(database, of)

    threads = [threading.Thread(target=press, args=(of,)) for of in (mailing_list, other) * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Mail.select().count() == 3


def test_an_address_on_the_list_gets_the_same_mail(
    database: Database, mailing_list: MailingList
) -> None:
    make_contact(database, mailing_list, "anna@example.org", status=Status.CONFIRMED)
    make_removed(database, mailing_list, Reason.NO, "bert@example.org")
    sign_up(database, mailing_list, "anna@example.org")
    sign_up(database, mailing_list, "bert@example.org")
    assert Mail.select().count() == 2


def test_what_nobody_confirmed_is_forgotten_after_a_month(
    database: Database, mailing_list: MailingList
) -> None:
    sign_up(database, mailing_list, "old@example.org")
    confirmed(database, signed_up(database, mailing_list, "kept@example.org"))
    sign_up(database, mailing_list, "older@example.org")
    sign_up(database, mailing_list, "new@example.org", now=NOW + timedelta(days=31))
    # Not by whoever signs up next, who would have to wait for it.
    assert SignUp.select().count() == 4
    later = NOW + timedelta(days=31)
    assert join.forget_old_sign_ups(database, now=later, should_stop=lambda: True) == 0
    assert join.forget_old_sign_ups(database, now=later) == 2
    left = {row.address for row in SignUp.select()}
    assert left == {"kept@example.org", "new@example.org"}
    assert join.forget_old_sign_ups(database, now=later) == 0


def test_what_nobody_confirmed_is_found_without_reading_what_was_confirmed(
    database: Database, mailing_list: MailingList
) -> None:
    sign_up(database, mailing_list)
    later = NOW + timedelta(days=31)
    plans = plans_of(
        database,
        lambda: join.forget_old_sign_ups(database, now=later),
        having='DELETE FROM "sign_up"',
    )
    assert plans
    for plan in plans:
        assert "sign_up_unconfirmed" in plan
        assert "SORT" not in plan.upper()
        assert "TEMP B-TREE" not in plan


def test_the_sign_ups_of_who_is_erased_are_found_by_their_addresses(
    database: Database, mailing_list: MailingList
) -> None:
    keys = [f"anna{number}@example.org" for number in range(200)]
    with database.atomic():
        (plan,) = plans_of(
            database, lambda: erasure.delete_sign_ups(mailing_list.id, keys), having="sign_up"
        )
    assert "sign_up_address_key" in plan


def test_a_press_on_the_link_puts_somebody_new_on_the_list(
    database: Database, mailing_list: MailingList
) -> None:
    made = signed_up(database, mailing_list)
    done = confirmed(database, made)
    assert done.outcome is Outcome.CONFIRM
    row = Contact.get()
    assert (row.status, row.basis, row.basis_at) == (Status.CONFIRMED, Basis.SIGN_UP, LATER)
    assert (row.address, row.name, row.language) == ("anna@example.org", "Anna", "fr")
    assert (row.source, row.since) == ("votre propre inscription sur notre page", LATER)
    assert done.contact_state is not None
    assert done.contact_state.uid == row.uid
    assert not list(iter_chain_faults())


def test_the_evidence_of_a_sign_up_shows_both_steps(
    database: Database, mailing_list: MailingList
) -> None:
    confirmed(database, signed_up(database, mailing_list))
    entry = Evidence.get()
    assert (entry.event, entry.actor, entry.at) == ("confirmed", "person", LATER)
    found = {row.part: json.loads(row.json) for row in EvidencePart.select()}
    page_wording = found["consent"].pop("page_wording")
    assert Wording.get_by_id(page_wording).content == "As on the page."
    assert found["consent"] == {
        "answer": "yes",
        "basis": "sign_up",
        "method": "page",
        "signed_up_at": NOW.isoformat(),
        "arrived_at": LATER.isoformat(),
        "list_name": "Nieuws van de praktijk",
        "purpose": "Nieuws over onze praktijk, vier keer per jaar",
        "frequency": "",
        "privacy_url": "https://www.example.org/privacy",
        "sensitive": False,
        "language": "fr",
    }
    assert found["trace"] == {"network": "2001:db8::/48", "browser": "Firefox"}


def test_who_said_no_comes_back_by_their_own_sign_up(
    database: Database, mailing_list: MailingList
) -> None:
    contact = make_removed(database, mailing_list, Reason.NO, "anna@example.org")
    confirmed(database, signed_up(database, mailing_list))
    row = Contact.get()
    assert (row.id, row.subject, row.status, row.reason) == (
        contact.id,
        contact.subject,
        Status.CONFIRMED,
        "",
    )
    assert Suppression.select().count() == 0


def test_who_was_erased_comes_back_as_the_same_subject(
    database: Database, mailing_list: MailingList
) -> None:
    contact = make_contact(database, mailing_list, "anna@example.org")
    with database.atomic():
        erasure.erase_contact(
            contact,
            act=status_changes.Act(at=NOW, actor="admin"),
            fingerprint_key=make_settings().fingerprint_key,
        )
    confirmed(database, signed_up(database, mailing_list))
    row = Contact.get(Contact.status == Status.CONFIRMED)
    assert row.id != contact.id
    assert row.subject == contact.subject


@pytest.mark.parametrize(
    ("basis", "outcome"),
    [
        (Basis.THIN, Outcome.CONFIRM),
        (Basis.IMPORTED, Outcome.CONFIRM),
        (Basis.ANSWER, Outcome.NOTHING),
    ],
)
def test_a_sign_up_improves_a_lesser_proof(
    database: Database, mailing_list: MailingList, basis: Basis, outcome: Outcome
) -> None:
    make_contact(database, mailing_list, "anna@example.org", status="confirmed", basis=basis)
    done = confirmed(database, signed_up(database, mailing_list))
    assert done.outcome is outcome
    assert Contact.get().basis == (Basis.SIGN_UP if outcome is Outcome.CONFIRM else basis)


def test_a_name_that_is_known_stays_when_none_is_given(
    database: Database, mailing_list: MailingList
) -> None:
    make_contact(database, mailing_list, "anna@example.org", name="Anna B.", language="de")
    made = sign_up(database, mailing_list, name="", language="")
    assert made is not None
    confirmed(database, made)
    row = Contact.get()
    assert (row.name, row.language) == ("Anna B.", "de")


@pytest.mark.parametrize("status", [Status.CONFIRMED, Status.UNCONFIRMED])
def test_nobody_else_chooses_the_name_of_who_is_known(
    database: Database, mailing_list: MailingList, status: Status
) -> None:
    basis = Basis.SIGN_UP if status == Status.CONFIRMED else ""
    known = {"name": "Anna B.", "language": "de", "status": status, "basis": basis}
    make_contact(database, mailing_list, "anna@example.org", **known)
    made = sign_up(database, mailing_list, "Anna@example.org", name="Somebody else", language="fr")
    assert made is not None
    confirmed(database, made)
    row = Contact.get()
    assert row.name == "Anna B."
    # Only a Yes that has an entry changes anything.
    is_known = status == Status.CONFIRMED
    assert Evidence.select().count() == (0 if is_known else 1)
    assert (row.address, row.language) == (
        ("anna@example.org", "de") if is_known else ("Anna@example.org", "fr")
    )


def test_a_yes_beside_an_import_of_the_same_address_counts(
    database: Database, mailing_list: MailingList
) -> None:
    made = signed_up(database, mailing_list)
    outcomes: list[Outcome] = []

    def press() -> None:
        with database.connection_context():
            outcomes.append(confirmed(database, made).outcome)

    thread = threading.Thread(target=press)
    with database.atomic():
        imported = lookup.make_contact(
            mailing_list,
            email_address.parse("anna@example.org"),
            name="Anna B.",
            status=Status.UNCONFIRMED,
            status_at=NOW,
        )
        assert lookup.insert_contact(imported)
        thread.start()
        thread.join(0.3)
        assert thread.is_alive()
    thread.join()
    assert outcomes == [Outcome.CONFIRM]
    row = Contact.get()
    assert (row.uid, row.name, row.status) == (imported.uid, "Anna B.", Status.CONFIRMED)
    assert list(iter_chain_faults()) == []


def test_a_link_works_once(database: Database, mailing_list: MailingList) -> None:
    made = signed_up(database, mailing_list)
    uid = confirmed(database, made).contact_state.uid  # type: ignore[union-attr]
    record_answer.record_answer(
        database,
        uid=uid,
        answer=Answer.NO,
        arrived_at=LATER,
        settings=make_settings(),
        method="page",
        trace={"network": "", "browser": ""},
    )
    again = confirmed(database, made)
    assert again.outcome is Outcome.NOTHING
    assert Contact.get().status == Status.REMOVED


@pytest.mark.parametrize(
    ("after", "outcome"),
    [
        (timedelta(microseconds=-1), Outcome.CONFIRM),
        (timedelta(), Outcome.LATE),
        (timedelta(microseconds=1), Outcome.LATE),
    ],
)
def test_a_link_is_good_for_seven_days(
    database: Database, mailing_list: MailingList, after: timedelta, outcome: Outcome
) -> None:
    made = signed_up(database, mailing_list)
    arrived = NOW + timedelta(days=7) + after
    foreseen = join.find_sign_up(made.uid, now=arrived)
    assert foreseen is not None
    assert foreseen.outcome is outcome
    assert (foreseen.address, foreseen.language) == ("a…a@example.org", "fr")
    assert SignUp.get().confirmed_at is None
    assert confirmed(database, made, arrived=arrived).outcome is outcome
    assert Contact.select().count() == (outcome is Outcome.CONFIRM)


def test_an_unknown_link_confirms_nothing(database: Database, mailing_list: MailingList) -> None:
    sign_up(database, mailing_list)
    assert join.find_sign_up(new_id(), now=NOW) is None
    assert confirm(database, new_id()) is None


def test_a_no_does_not_lock_out_an_erasure(database: Database, mailing_list: MailingList) -> None:
    """On PostgreSQL, which locks rows: both lock the contact before its sign-ups."""
    made = signed_up(database, mailing_list)
    contact = make_contact(database, mailing_list, made.address)
    begun = threading.Event()

    def decline() -> SignUpResult | None:
        with database.connection_context():
            begun.set()
            return join.decline_sign_up(
                database,
                uid=made.uid,
                arrived_at=NOW,
                settings=make_settings(),
                trace={},
                is_no=True,
            )

    with ThreadPoolExecutor(1) as other:
        with database.atomic():
            lookup.lock_contact(contact.id)
            declined = other.submit(decline)
            assert begun.wait(20)
            time.sleep(0.3)
            erasure.delete_sign_ups(mailing_list.id, [made.address_key])
        assert declined.result(20) is None


def test_two_links_for_one_new_address_make_one_contact_when_pressed_at_once(
    database: Database, mailing_list: MailingList
) -> None:
    made = [signed_up(database, mailing_list) for _ in range(2)]
    start = threading.Barrier(2)
    outcomes: list[Outcome] = []

    def press(which: SignUp) -> None:
        with database.connection_context():
            start.wait()
            outcomes.append(confirmed(database, which).outcome)

    threads = [threading.Thread(target=press, args=(which,)) for which in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == [Outcome.CONFIRM, Outcome.NOTHING]
    assert Contact.select().count() == Evidence.select().count() == 1
