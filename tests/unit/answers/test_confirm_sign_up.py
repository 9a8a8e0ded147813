"""The presses on the page of a sign-up, of a program and of a person."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import permutations, product
from typing import TYPE_CHECKING, Any

import pytest

from repermit.answers import join
from repermit.answers.link_target import PageShown
from repermit.contacts import enqueue_receipt
from repermit.db.connection import Database
from repermit.db.models.campaigns import Campaign
from repermit.db.models.contacts import Contact, SignUp, Suppression
from repermit.db.models.evidence import Evidence
from repermit.db.models.lists import MailingList
from repermit.db.models.mails import Mail
from repermit.evidence import consent_receipt
from repermit.evidence.verify import chain
from repermit.reports import outcomes_per_day
from repermit.rules import bot_detection
from repermit.rules.consent import (
    Basis,
    CampaignState,
    MailKind,
    MailState,
    Outcome,
    Reason,
    Status,
)
from repermit.webhooks import events as webhooks_events
from tests.support.builders import (
    DEADLINE,
    NOW,
    make_campaign,
    make_contact,
    make_mail,
    make_removed,
    make_settings,
)

if TYPE_CHECKING:
    Standing = Callable[[Database, MailingList], Contact]

ADDRESS = "Anna@example.org"
SETTINGS = make_settings()
KEY = SETTINGS.fingerprint_key
LATER = NOW + timedelta(hours=1)
SECOND = timedelta(seconds=1)


def sign_up(database: Database, mailing_list: MailingList, address: str = ADDRESS) -> str:
    """Type the address into the form, in other letters and with another name; return the link."""
    join.request_sign_up(
        database,
        mailing_list,
        address=address.upper(),
        name="Somebody",
        language="fr",
        now=NOW,
    )
    uid: str = SignUp.select().order_by(SignUp.id.desc()).get().uid
    return uid


def say_yes(database: Database, uid: str, *, at: datetime, **more: Any) -> Outcome:
    done = join.confirm_sign_up(
        database,
        uid=uid,
        arrived_at=at,
        settings=SETTINGS,
        trace={"network": "", "browser": ""},
        page=lambda _: PageShown(wording="As on the page."),
        **more,
    )
    assert done is not None
    return done.outcome


def say_no(database: Database, uid: str, *, at: datetime) -> Outcome:
    done = join.decline_sign_up(
        database, uid=uid, arrived_at=at, settings=SETTINGS, trace={"network": "", "browser": ""}
    )
    assert done is not None
    return done.outcome


def as_they_stand() -> tuple[list[Any], list[Any]]:
    """Return all that is held of contacts and of those who are not to be asked.

    But for what says that something was pressed, and that it was No.
    """
    pressed = {"form_version", "has_refused"}
    people = [field for name, field in Contact._meta.fields.items() if name not in pressed]
    columns = [field for name, field in Suppression._meta.fields.items() if name != "id"]
    return list(Contact.select(*people).tuples()), list(Suppression.select(*columns).tuples())


def make_customer(database: Database, mailing_list: MailingList) -> Contact:
    return make_contact(
        database, mailing_list, ADDRESS, status="customer", basis="customer", basis_at=NOW
    )


def make_thin(database: Database, mailing_list: MailingList) -> Contact:
    return make_contact(
        database, mailing_list, ADDRESS, status="confirmed", basis="thin", basis_at=NOW, name="Anna"
    )


def make_unconfirmed(database: Database, mailing_list: MailingList) -> Contact:
    return make_contact(database, mailing_list, ADDRESS, name="Anna", language="de")


def make_gone(reason: Reason) -> Standing:
    return lambda database, mailing_list: make_removed(database, mailing_list, reason, ADDRESS)


STANDINGS: dict[str, Standing] = {
    "customer": make_customer,
    "thin": make_thin,
    "unconfirmed": make_unconfirmed,
    **{reason: make_gone(reason) for reason in Reason},
}


@pytest.mark.parametrize("make", STANDINGS.values(), ids=STANDINGS)
def test_a_program_that_presses_yes_and_no_leaves_everybody_as_they_stood(
    database: Database, mailing_list: MailingList, make: Standing
) -> None:
    make(database, mailing_list)
    before = as_they_stand()
    uid = sign_up(database, mailing_list)
    assert say_yes(database, uid, at=LATER) is Outcome.CONFIRM
    assert as_they_stand() != before
    assert say_no(database, uid, at=LATER + SECOND) is Outcome.CONFIRM
    assert as_they_stand() == before
    last = Evidence.select().order_by(Evidence.seq.desc()).get()
    assert (last.event, last.actor) == ("sign_up_undone", "reader")
    verified = chain.verify_chain(database, fingerprint_key=KEY)
    assert verified.fault is None
    # A person may use the link after it, and is asked once more, since both were pressed.
    assert say_yes(database, uid, at=LATER + timedelta(hours=1)) is Outcome.HOLD
    mark = bot_detection.make_confirmation_token(SignUp.get().doubted_at)
    assert (
        say_yes(database, uid, at=LATER + timedelta(hours=2), confirmation_token=mark)
        is Outcome.CONFIRM
    )
    assert Contact.get().basis == Basis.SIGN_UP


def test_who_was_nobody_before_is_taken_off(database: Database, mailing_list: MailingList) -> None:
    uid = sign_up(database, mailing_list)
    say_yes(database, uid, at=LATER)
    assert say_no(database, uid, at=LATER + SECOND) is Outcome.CONFIRM
    assert (Contact.get().status, Contact.get().reason) == (Status.REMOVED, Reason.REQUEST)
    assert chain.verify_chain(database, fingerprint_key=KEY).fault is None


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("status", "customer"),
        ("reason", "complaint"),
        ("basis", "thin"),
        ("status_at", NOW + SECOND),
    ],
)
def test_who_stands_otherwise_than_they_were_put_back_is_found(
    database: Database, mailing_list: MailingList, column: str, value: Any
) -> None:
    make_removed(database, mailing_list, Reason.NO, ADDRESS)
    uid = sign_up(database, mailing_list)
    say_yes(database, uid, at=LATER)
    say_no(database, uid, at=LATER + SECOND)
    with database.atomic():
        Contact.update({column: value}).execute()
    assert chain.verify_chain(database, fingerprint_key=KEY).fault is not None


def test_the_record_tells_that_the_yes_was_none(
    database: Database, mailing_list: MailingList
) -> None:
    contact = make_removed(database, mailing_list, Reason.NO, ADDRESS)
    before = receipts_of(contact)
    uid = sign_up(database, mailing_list)
    say_yes(database, uid, at=LATER)
    assert receipts_of(contact) != before
    say_no(database, uid, at=LATER + SECOND)
    assert receipts_of(contact) == before
    counted = outcomes_per_day.count_changes(0, outcomes_per_day.read_newest_seq(), SETTINGS.zone)
    assert {key.what: number for key, number in counted.items() if number} == {"no": 1}
    page = webhooks_events.read_events(0, limit=9)
    assert [(one.event, one.reason) for one in page.events] == [
        ("answer.no", "no"),
        ("answer.yes", ""),
        ("removed", "no"),
    ]


def receipts_of(contact: Contact) -> list[dict[str, str]]:
    """Return the events of a contact's consent record."""
    account = enqueue_receipt.read_consent_record_input(
        Contact.get_by_id(contact.id), settings=SETTINGS
    )
    events: list[dict[str, str]] = consent_receipt.compose_consent_record(account)["event"]
    return events


def test_an_ask_that_the_yes_dropped_is_owed_again(
    database: Database, mailing_list: MailingList
) -> None:
    contact = make_unconfirmed(database, mailing_list)
    campaign = make_campaign(database, mailing_list, state=CampaignState.SENDING)
    make_mail(database, campaign, contact, state=MailState.QUEUED, sent_at=None)
    uid = sign_up(database, mailing_list)
    say_yes(database, uid, at=LATER)
    ask = Mail.get(Mail.contact == contact, Mail.kind == MailKind.ASK)
    assert (ask.state, ask.reason) == (MailState.DROPPED, "answered")
    say_no(database, uid, at=LATER + SECOND)
    ask = Mail.get(Mail.contact == contact, Mail.kind == MailKind.ASK)
    assert (ask.state, ask.reason) == (MailState.QUEUED, "")


@pytest.mark.parametrize(
    ("state", "sent_at", "status"),
    [
        (CampaignState.CLOSED, NOW, Status.REMOVED),
        # The next sweep decides.
        (CampaignState.OPEN, NOW, Status.UNCONFIRMED),
        (CampaignState.CANCELLED, NOW, Status.UNCONFIRMED),
        # Asked too late, so silence removes nobody.
        (CampaignState.CLOSED, DEADLINE, Status.UNCONFIRMED),
    ],
)
def test_whose_yes_is_undone_after_the_campaign_closed_is_taken_off_as_the_silent_were(
    database: Database,
    mailing_list: MailingList,
    state: CampaignState,
    sent_at: datetime,
    status: Status,
) -> None:
    contact = make_unconfirmed(database, mailing_list)
    campaign = make_campaign(database, mailing_list, state=state)
    make_mail(database, campaign, contact, sent_at=sent_at)
    uid = sign_up(database, mailing_list)
    SignUp.update(at=DEADLINE - 2 * SECOND).execute()
    say_yes(database, uid, at=DEADLINE - SECOND)
    say_no(database, uid, at=DEADLINE + SECOND)
    after = Contact.get_by_id(contact.id)
    reason = Reason.REQUEST if status is Status.REMOVED else ""
    assert (after.status, after.reason, after.name) == (status, reason, "Anna")
    Mail.delete().execute()
    Campaign.delete().execute()
    assert chain.verify_chain(database, fingerprint_key=KEY).fault is None
    told = [event["event_state"] for event in receipts_of(contact)]
    assert consent_receipt.GIVEN not in told


def interleavings() -> Iterator[tuple[tuple[int, str], ...]]:
    """Yield who presses what, of two programs that each press all three buttons, in all orders.

    The two buttons that say no do the same; and it does not matter which program is which.
    """
    orders = sorted(set(permutations(("yes", "no", "no"))))
    for turns in sorted(turns for turns in set(permutations((0, 0, 0, 1, 1, 1))) if not turns[0]):
        for both in product(orders, orders):
            own = [iter(order) for order in both]
            yield tuple((who, next(own[who])) for who in turns)


@pytest.mark.everyday("sqlite")
@pytest.mark.parametrize("is_loaded_at_once", [True, False])
def test_two_programs_that_each_press_all_buttons_give_no_yes_in_any_order(
    database: Database, mailing_list: MailingList, *, is_loaded_at_once: bool
) -> None:
    # With one page for both it does not matter either who presses.
    alike = {tuple(what for _, what in one): one for one in interleavings()}
    for number, presses in enumerate(alike.values() if is_loaded_at_once else interleavings()):
        uid = sign_up(database, mailing_list, address=f"a{number}@example.org")
        pages = {0: "", 1: ""} if is_loaded_at_once else {}
        at = LATER
        for who, what in presses:
            at += SECOND
            mark = pages.setdefault(who, mark_on_page(uid, at))
            if what == "yes":
                say_yes(database, uid, at=at, confirmation_token=mark)
            else:
                say_no(database, uid, at=at)
        assert Contact.select().where(Contact.status == Status.CONFIRMED).count() == 0, presses
        # What they have done costs their person one press more at most.
        at += timedelta(hours=1)
        first = say_yes(database, uid, at=at, confirmation_token=mark_on_page(uid, at))
        if first is Outcome.HOLD:
            again = say_yes(database, uid, at=at + SECOND, confirmation_token=mark_on_page(uid, at))
            assert again is Outcome.CONFIRM
        with database.atomic():
            Contact.update(status="unconfirmed").execute()


def test_a_second_yes_of_the_page_before_is_asked_again(
    database: Database, mailing_list: MailingList
) -> None:
    uid = sign_up(database, mailing_list)
    say_no(database, uid, at=LATER)
    assert say_yes(database, uid, at=LATER + SECOND) is Outcome.HOLD
    first = mark_on_page(uid, LATER + SECOND)
    assert say_yes(database, uid, at=LATER + 2 * SECOND) is Outcome.HOLD
    newest = mark_on_page(uid, LATER + 2 * SECOND)
    assert say_yes(database, uid, at=LATER + 2 * SECOND, confirmation_token=first) is Outcome.HOLD
    assert len({"", first, newest, mark_on_page(uid, LATER)}) == 4
    assert Contact.select().count() == 0


def mark_on_page(uid: str, at: datetime) -> str:
    """Return what the buttons of a sign-up's page send along."""
    found = join.find_sign_up(uid, now=at)
    assert found is not None
    return found.confirmation_token
