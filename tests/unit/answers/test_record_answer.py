"""What an answer does, and what is kept of it."""

from __future__ import annotations

import json
import threading
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest

from repermit.answers import link_target, record_answer
from repermit.answers.link_target import RecordedAnswer
from repermit.contacts import erasure, human_replies, status_changes
from repermit.contacts.last_ask import EvidenceFields
from repermit.db.connection import Database
from repermit.db.models.base import new_id
from repermit.db.models.campaigns import Wording
from repermit.db.models.contacts import Contact, Suppression
from repermit.db.models.evidence import Evidence, EvidencePart
from repermit.db.models.lists import MailingList
from repermit.db.models.mails import Mail
from repermit.errors import AddressError, NotFound, Refused
from repermit.evidence import consent_receipt, entries
from repermit.evidence.verify.contacts import check_contacts
from repermit.rules.consent import Answer, Basis, Outcome, Reason, Status
from tests.support.builders import (
    DEADLINE,
    NOW,
    make_asked,
    make_campaign,
    make_contact,
    make_mail,
    make_removed,
    make_settings,
)
from tests.support.chain_faults import iter_chain_faults
from tests.support.public_pages import freeze_wording

SOON = NOW + timedelta(days=1)
MICROSECOND = timedelta(microseconds=1)
TRACE = {"network": "198.51.100.0/24", "browser": "Firefox"}


def give(
    database: Database,
    contact: Contact,
    answer: Answer,
    *,
    arrived: datetime = SOON,
    page_wording: str = "As on the page.",
    **more: Any,
) -> RecordedAnswer | None:
    page = link_target.PageShown(wording=page_wording)
    values: dict[str, Any] = {"method": "page", "trace": TRACE, "page": lambda _: page}
    return record_answer.record_answer(
        database,
        uid=contact.uid,
        answer=answer,
        arrived_at=arrived,
        settings=make_settings(),
        **{**values, **more},
    )


def given(
    database: Database, contact: Contact, answer: Answer, *, arrived: datetime = SOON, **more: Any
) -> RecordedAnswer:
    recorded = give(database, contact, answer, arrived=arrived, **more)
    assert recorded is not None
    return recorded


def parts() -> list[dict[str, Any]]:
    """Return the parts of the last entry: consent, person, trace."""
    last = Evidence.select().order_by(Evidence.seq.desc()).get()
    rows = {row.part: row for row in EvidencePart.select().where(EvidencePart.seq == last.seq)}
    return [json.loads(rows[name].json) if name in rows else {} for name in entries.PARTS]


def events() -> list[str]:
    return [row.event for row in Evidence.select().order_by(Evidence.seq)]


@pytest.fixture
def asked(database: Database, mailing_list: MailingList) -> Contact:
    """Return a contact of a running campaign."""
    return make_asked(
        database, mailing_list, make_campaign(database, mailing_list), "anna@example.org"
    )


def test_a_yes_confirms_and_leaves_its_evidence(database: Database, asked: Contact) -> None:
    recorded = given(database, asked, Answer.YES)
    assert (recorded.outcome, recorded.status) == (Outcome.CONFIRM, Status.CONFIRMED)
    row = Contact.get_by_id(asked.id)
    assert (row.status, row.status_at, row.basis, row.basis_at) == (
        Status.CONFIRMED,
        SOON,
        Basis.ANSWER,
        SOON,
    )
    assert events() == ["confirmed"]
    assert not list(iter_chain_faults())


def test_the_evidence_of_a_yes_shows_what_was_asked_and_answered(
    database: Database, mailing_list: MailingList
) -> None:
    campaign = make_campaign(database, mailing_list)
    digest = freeze_wording(database, campaign, mailing_list, "nl")
    asked = make_asked(database, mailing_list, campaign, "anna@example.org")
    given(database, asked, Answer.YES)
    consent, person, trace = parts()
    page_wording = consent.pop("page_wording")
    assert Wording.get_by_id(page_wording).content == "As on the page."
    assert consent == {
        "answer": "yes",
        "basis": "answer",
        "method": "page",
        "arrived_at": SOON.isoformat(),
        "asked_at": (NOW + timedelta(seconds=1)).isoformat(),
        "reminded_at": "",
        "deadline": DEADLINE.isoformat(),
        "mail_wording": digest,
        "ask_message_id": f"<{asked.uid}@example.org>",
        "list_name": "Nieuws van de praktijk",
        "purpose": "Nieuws over onze praktijk, vier keer per jaar",
        "frequency": "",
        "privacy_url": "https://www.example.org/privacy",
        "sensitive": False,
        "language": "nl",
    }
    assert person == {"address": "anna@example.org", "name": "", "link": asked.uid}
    assert trace == {"network": "198.51.100.0/24", "browser": "Firefox"}


def test_the_evidence_says_that_there_was_a_reminder(
    database: Database, mailing_list: MailingList
) -> None:
    campaign = make_campaign(database, mailing_list)
    contact = make_asked(database, mailing_list, campaign)
    make_mail(database, campaign, contact, kind="reminder", sent_at=SOON)
    given(database, contact, Answer.YES, arrived=SOON + MICROSECOND)
    assert parts()[0]["reminded_at"] == SOON.isoformat()


def test_a_no_removes_and_suppresses(database: Database, asked: Contact) -> None:
    recorded = given(database, asked, Answer.NO)
    assert (recorded.outcome, recorded.status, recorded.reason) == (
        Outcome.REMOVE,
        Status.REMOVED,
        Reason.NO,
    )
    assert Suppression.select().count() == 1
    assert events() == ["removed"]


def test_a_no_after_a_yes_withdraws_it(database: Database, asked: Contact) -> None:
    given(database, asked, Answer.YES)
    assert given(database, asked, Answer.NO).reason == Reason.WITHDRAWN


def test_a_no_counts_for_ever(database: Database, asked: Contact) -> None:
    given(database, asked, Answer.YES)
    late = given(database, asked, Answer.NO, arrived=DEADLINE + timedelta(days=3650))
    assert late.status is Status.REMOVED


def test_a_yes_after_a_no_is_asked_for_once_more_while_the_question_is_open(
    database: Database, asked: Contact
) -> None:
    given(database, asked, Answer.NO)
    later = SOON + timedelta(days=3)
    held = given(database, asked, Answer.YES, arrived=later)
    assert (held.outcome, held.status) == (Outcome.HOLD, Status.REMOVED)
    again = given(
        database,
        asked,
        Answer.YES,
        arrived=later,
        is_confirmation_page=True,
        confirmation_token=held.confirmation_token,
    )
    assert again.status is Status.CONFIRMED
    assert Suppression.select().count() == 0
    assert events() == ["removed", "confirmed"]


@pytest.mark.parametrize("answer", Answer)
def test_the_same_answer_twice_changes_nothing(
    database: Database, asked: Contact, answer: Answer
) -> None:
    first = given(database, asked, answer)
    second = given(database, asked, answer, arrived=SOON + timedelta(hours=1))
    assert second.outcome is Outcome.NOTHING
    assert second.contact_state == first.contact_state
    assert len(events()) == 1


@pytest.mark.parametrize(
    ("arrived", "outcome"),
    [
        (DEADLINE - MICROSECOND, Outcome.CONFIRM),
        (DEADLINE, Outcome.LATE),
        (DEADLINE + MICROSECOND, Outcome.LATE),
    ],
)
def test_a_yes_counts_until_the_deadline(
    database: Database, asked: Contact, arrived: datetime, outcome: Outcome
) -> None:
    assert given(database, asked, Answer.YES, arrived=arrived).outcome is outcome
    assert len(events()) == (outcome is Outcome.CONFIRM)


@pytest.mark.parametrize(
    ("answer", "status", "reason"),
    [(Answer.YES, Status.CONFIRMED, ""), (Answer.NO, Status.REMOVED, Reason.NO)],
)
def test_an_answer_in_time_reverses_a_removal_for_silence_that_came_first(
    database: Database, asked: Contact, answer: Answer, status: Status, reason: str
) -> None:
    with database.atomic():
        status_changes.remove_contacts(
            [asked],
            reason=Reason.NO_RESPONSE,
            act=status_changes.Act(at=DEADLINE, actor="job"),
            fingerprint_key=make_settings().fingerprint_key,
        )
    recorded = given(database, asked, answer, arrived=DEADLINE - MICROSECOND)
    assert (recorded.status, recorded.reason) == (status, reason)
    assert not list(iter_chain_faults())


def test_a_contact_that_was_never_asked_may_say_no_but_not_yes(
    database: Database, mailing_list: MailingList
) -> None:
    contact = make_contact(database, mailing_list)
    assert given(database, contact, Answer.YES).outcome is Outcome.LATE
    assert given(database, contact, Answer.NO).reason == Reason.NO


def test_a_one_click_no_keeps_no_page_wording(database: Database, asked: Contact) -> None:
    give(database, asked, Answer.NO, method="one_click", page_wording="")
    consent, _, _ = parts()
    assert consent["method"] == "one_click"
    assert "page_wording" not in consent


def erase(database: Database, contact: Contact) -> None:
    with database.atomic():
        erasure.erase_contact(
            contact,
            act=status_changes.Act(at=NOW, actor="admin"),
            fingerprint_key=make_settings().fingerprint_key,
        )


def test_nobody_answers_for_a_contact_that_was_erased(database: Database, asked: Contact) -> None:
    erase(database, asked)
    before = events()
    assert give(database, asked, Answer.YES) is None
    assert events() == before


def test_a_tool_that_still_mails_somebody_erased_is_noted_once_a_day(
    database: Database, asked: Contact
) -> None:
    erase(database, asked)
    for hours in (0, 1, 25):
        arrived = SOON + timedelta(hours=hours)
        assert give(database, asked, Answer.NO, method="one_click", arrived=arrived) is None
    noted = list(Evidence.select().where(Evidence.event == "still_mailed"))
    assert [entry.at for entry in noted] == [SOON, SOON + timedelta(hours=25)]
    assert {(entry.subject, entry.list) for entry in noted} == {(asked.subject, "news")}


def test_a_tool_that_still_mails_somebody_unknown_is_noted_too(database: Database) -> None:
    recorded = record_answer.record_answer(
        database,
        uid=new_id(),
        answer=Answer.NO,
        arrived_at=SOON,
        settings=make_settings(),
        method="one_click",
        trace=TRACE,
    )
    assert recorded is None
    assert events() == ["still_mailed"]


def test_one_answer_posted_by_eight_at_once_is_one_entry(
    database: Database, asked: Contact
) -> None:
    outcomes: list[Outcome] = []
    start = threading.Barrier(8)

    def press() -> None:
        with database.connection_context():
            start.wait()
            outcomes.append(given(database, asked, Answer.YES).outcome)

    threads = [threading.Thread(target=press) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == [Outcome.CONFIRM] + [Outcome.NOTHING] * 7
    assert events() == ["confirmed"]
    assert not list(iter_chain_faults())


def tell(
    database: Database, mailing_list: MailingList, address: str, answer: Answer, **more: Any
) -> RecordedAnswer:
    values: dict[str, Any] = {"note": "by phone", "now": SOON, "actor": "admin@example.org"}
    return record_answer.record_reported_answer(
        database, mailing_list, address, answer, settings=make_settings(), **{**values, **more}
    )


def test_an_answer_by_phone_is_recorded_with_how_it_was_given(
    database: Database, mailing_list: MailingList, asked: Contact
) -> None:
    recorded = tell(database, mailing_list, "Anna@Example.org", Answer.YES)
    assert recorded.status is Status.CONFIRMED
    consent, person, trace = parts()
    assert consent["method"] == "note"
    # It may name somebody, so that it goes with the person.
    assert "note" not in consent
    assert (person["address"], person["note"], trace) == (asked.address, "by phone", {})
    assert Evidence.get().actor == "admin@example.org"


def test_who_took_an_answer_and_when_it_was_given_is_recorded(
    database: Database, mailing_list: MailingList, asked: Contact
) -> None:
    given_at = SOON - timedelta(hours=1)
    told = {"given_at": given_at, "taken_by": "Anna at the desk"}
    tell(database, mailing_list, "anna@example.org", Answer.YES, **told)
    consent, person, _ = parts()
    assert consent["arrived_at"] == given_at.isoformat()
    # Who it was goes with the person, as the note does.
    assert person["taken_by"] == "Anna at the desk"
    assert "Anna" not in repr(consent)
    entry = Evidence.get()
    assert (entry.at, entry.actor) == (SOON, "admin@example.org")
    # On the list since it was noted, by a Yes that is as old as it was given.
    contact = Contact.get_by_id(asked.id)
    assert (contact.status_at, contact.basis_at) == (SOON, given_at)
    with database.atomic():
        assert list(check_contacts()) == []


def test_since_when_a_yes_by_phone_holds_is_verified(
    database: Database, mailing_list: MailingList, asked: Contact
) -> None:
    given_at = SOON - timedelta(hours=1)
    tell(database, mailing_list, "anna@example.org", Answer.YES, given_at=given_at)
    with database.atomic():
        Contact.update(basis_at=given_at - MICROSECOND).where(Contact.id == asked.id).execute()
        (fault,) = check_contacts()
    assert fault.what == f"contact {asked.id}: since when"


def test_an_answer_by_phone_before_the_deadline_counts_also_after_the_sweep(
    database: Database, mailing_list: MailingList, asked: Contact
) -> None:
    with database.atomic():
        status_changes.remove_contacts(
            [asked],
            reason=Reason.NO_RESPONSE,
            act=status_changes.Act(at=DEADLINE, actor="job"),
            fingerprint_key=make_settings().fingerprint_key,
        )
    given = DEADLINE - MICROSECOND
    later = {"now": DEADLINE + timedelta(days=3)}
    with pytest.raises(Refused, match="until its deadline"):
        tell(database, mailing_list, "anna@example.org", Answer.YES, given_at=DEADLINE, **later)
    tell(database, mailing_list, "anna@example.org", Answer.YES, given_at=given, **later)
    assert Contact.get_by_id(asked.id).status == Status.CONFIRMED


@pytest.mark.parametrize(
    ("given_at", "why"),
    [(SOON + MICROSECOND, "later than now"), (NOW, "asked only after that")],
)
def test_a_time_at_which_nobody_can_have_answered_is_refused(
    database: Database, mailing_list: MailingList, asked: Contact, given_at: datetime, why: str
) -> None:
    with pytest.raises(Refused, match=why):
        tell(database, mailing_list, "anna@example.org", Answer.YES, given_at=given_at)
    assert Contact.get_by_id(asked.id).status == Status.UNCONFIRMED


@pytest.mark.parametrize("reason", [Reason.COMPLAINT, Reason.REQUEST])
def test_a_yes_from_before_a_refusal_is_refused(
    database: Database, asked: Contact, reason: Reason
) -> None:
    refused_at = SOON + timedelta(days=5)
    with database.atomic():
        status_changes.remove_contacts(
            [asked],
            reason=reason,
            act=status_changes.Act(at=refused_at, actor="job"),
            fingerprint_key=make_settings().fingerprint_key,
        )
    _tell_out_of_order(database, asked, Answer.YES, changed_at=refused_at, status=Status.REMOVED)


@pytest.mark.parametrize("answer", list(Answer))
def test_an_answer_from_before_the_opposite_one_is_refused(
    database: Database, asked: Contact, answer: Answer
) -> None:
    """A call that is written down days later does not undo what the person has pressed since."""
    opposite = Answer.NO if answer is Answer.YES else Answer.YES
    pressed_at = SOON + timedelta(days=5)
    given(database, asked, opposite, arrived=pressed_at)
    status = Status.REMOVED if opposite is Answer.NO else Status.CONFIRMED
    _tell_out_of_order(database, asked, answer, changed_at=pressed_at, status=status)


def _tell_out_of_order(
    database: Database,
    asked: Contact,
    answer: Answer,
    *,
    changed_at: datetime,
    status: Status,
) -> None:
    """Tell an answer from before a change, which is refused; then one from after it."""
    tell_answer = partial(
        tell, database, asked.list, "anna@example.org", answer, now=changed_at + timedelta(days=1)
    )
    with pytest.raises(Refused, match=r"since.*\(--given\)"):
        tell_answer(given_at=changed_at - MICROSECOND)
    assert Contact.get_by_id(asked.id).status == status
    tell_answer(given_at=changed_at + MICROSECOND)
    assert Contact.get_by_id(asked.id).status != status


def test_a_yes_of_a_day_is_refused_if_the_person_refused_on_that_day(
    database: Database, asked: Contact
) -> None:
    given(database, asked, Answer.NO, arrived=SOON)
    told = {"given_at": SOON + timedelta(hours=2), "now": SOON + timedelta(days=1)}
    with pytest.raises(Refused, match="needs the time"):
        tell(database, asked.list, "anna@example.org", Answer.YES, **told, is_day_alone=True)
    tell(database, asked.list, "anna@example.org", Answer.YES, **told)
    assert Contact.get_by_id(asked.id).status == Status.CONFIRMED


@pytest.mark.parametrize("method", sorted(consent_receipt.TAKEN_BACK))
def test_that_the_yes_of_a_program_was_taken_back_is_no_refusal(
    database: Database, asked: Contact, method: str
) -> None:
    taken_back_at = SOON + timedelta(hours=2)
    given(database, asked, Answer.YES, arrived=SOON)
    with database.atomic():
        record_answer.retract_yes(
            Contact.get_by_id(asked.id), method, {}, make_settings(), at=taken_back_at
        )
    told = {"given_at": SOON + timedelta(hours=1), "now": taken_back_at + timedelta(hours=1)}
    tell(database, asked.list, "anna@example.org", Answer.YES, **told)
    assert Contact.get_by_id(asked.id).status == Status.CONFIRMED


def test_a_removal_that_a_restore_repeats_is_of_when_the_person_left(
    database: Database, asked: Contact
) -> None:
    left_at, restored_at = SOON + timedelta(days=1), SOON + timedelta(days=5)
    left = {"left_at": left_at.isoformat(), "left_for": "no"}
    with database.atomic():
        status_changes.remove_contacts(
            [asked],
            reason=Reason.NO,
            act=status_changes.Act(at=restored_at, actor="job", consent={"by": "restored"}),
            fingerprint_key=make_settings().fingerprint_key,
            evidence_by_id={asked.id: EvidenceFields(left)},
            removed_at_by_id={asked.id: left_at},
        )
    now = restored_at + timedelta(days=1)
    tell_yes = partial(tell, database, asked.list, "anna@example.org", Answer.YES, now=now)
    with pytest.raises(Refused, match="has said No since"):
        tell_yes(given_at=left_at - MICROSECOND)
    tell_yes(given_at=left_at + MICROSECOND)
    assert Contact.get_by_id(asked.id).status == Status.CONFIRMED


def test_the_time_of_an_answer_is_when_it_was_given_not_when_it_was_written_down(
    database: Database, mailing_list: MailingList, asked: Contact
) -> None:
    tell(database, mailing_list, "anna@example.org", Answer.NO, given_at=SOON - timedelta(hours=2))
    tell(database, mailing_list, "anna@example.org", Answer.YES, given_at=SOON - timedelta(hours=1))
    assert Contact.get_by_id(asked.id).status == Status.CONFIRMED


@pytest.mark.usefixtures("asked")
def test_the_evidence_names_the_mail_and_the_reply_of_its_server(
    database: Database, mailing_list: MailingList
) -> None:
    with database.atomic():
        Mail.update(message_id="<a-b@example.org>", reply_code=250, reply_status="2.1.5").execute()
    tell(database, mailing_list, "anna@example.org", Answer.NO)
    consent, _, _ = parts()
    assert consent["ask_message_id"] == "<a-b@example.org>"
    assert consent["ask_reply"] == "250 2.1.5"


def test_a_no_by_letter_removes(
    database: Database, mailing_list: MailingList, asked: Contact
) -> None:
    recorded = tell(database, mailing_list, "anna@example.org", Answer.NO)
    assert recorded.reason == Reason.NO
    assert recorded.contact_state.uid == asked.uid


@pytest.mark.parametrize("note", ["", "  "])
def test_an_answer_without_a_note_is_refused(
    database: Database, mailing_list: MailingList, asked: Contact, note: str
) -> None:
    with pytest.raises(Refused, match="--note"):
        tell(database, mailing_list, "anna@example.org", Answer.NO, note=note)
    assert Contact.get_by_id(asked.id).status == Status.UNCONFIRMED


def test_a_yes_after_the_deadline_is_refused_with_the_reason(
    database: Database, mailing_list: MailingList, asked: Contact
) -> None:
    with pytest.raises(Refused, match="until its deadline"):
        tell(database, mailing_list, "anna@example.org", Answer.YES, now=DEADLINE)
    assert Contact.get_by_id(asked.id).status == Status.UNCONFIRMED


def test_an_address_that_is_not_on_the_list_is_not_found(
    database: Database, mailing_list: MailingList
) -> None:
    make_removed(database, mailing_list, Reason.NO)
    with pytest.raises(NotFound, match="not on the list news"):
        tell(database, mailing_list, "nobody@example.org", Answer.NO)
    with pytest.raises(AddressError):
        tell(database, mailing_list, "nobody", Answer.NO)


# --- Answers given by mail, which the admin records later.


def write_back(database: Database, contact: Contact, proposed: str, at: datetime) -> None:
    with database.atomic():
        human_replies.save_reply(contact, digest=f"{at}", proposed=proposed, at=at, decided_at=None)


@pytest.mark.parametrize(
    ("late", "status"),
    [(-1, Status.CONFIRMED), (0, Status.REMOVED), (1, Status.REMOVED)],
    ids=["before", "at", "after"],
)
def test_invariant_10_a_yes_by_mail_counts_from_its_arrival_also_after_the_sweep(
    database: Database, mailing_list: MailingList, asked: Contact, late: int, status: Status
) -> None:
    arrived = DEADLINE + late * MICROSECOND
    write_back(database, asked, "yes", arrived)
    with database.atomic():
        status_changes.remove_contacts(
            [asked],
            reason=Reason.NO_RESPONSE,
            act=status_changes.Act(at=DEADLINE, actor="job"),
            fingerprint_key=make_settings().fingerprint_key,
        )
    now = DEADLINE + timedelta(days=3)
    if status is Status.CONFIRMED:
        tell(database, mailing_list, "anna@example.org", Answer.YES, now=now)
        assert parts()[0]["arrived_at"] == arrived.isoformat()
        assert human_replies.list_waiting_replies(mailing_list) == ()
    else:
        with pytest.raises(Refused, match="until its deadline"):
            tell(database, mailing_list, "anna@example.org", Answer.YES, now=now)
        assert len(human_replies.list_waiting_replies(mailing_list)) == 1
    assert Contact.get_by_id(asked.id).status == status


@pytest.mark.parametrize("answer", Answer)
def test_an_answer_on_the_page_decides_on_what_was_written_too(
    database: Database, mailing_list: MailingList, asked: Contact, answer: Answer
) -> None:
    write_back(database, asked, "yes", SOON)
    given(database, asked, answer)
    assert human_replies.list_waiting_replies(mailing_list) == ()


def test_an_answer_that_changes_nothing_decides_on_what_was_written(
    database: Database, mailing_list: MailingList
) -> None:
    make_campaign(database, mailing_list)
    gone = make_removed(database, mailing_list, Reason.BOUNCE, "anna@example.org")
    write_back(database, gone, "no", SOON)
    assert tell(database, mailing_list, "anna@example.org", Answer.NO).outcome is Outcome.NOTHING
    assert human_replies.list_waiting_replies(mailing_list) == ()
