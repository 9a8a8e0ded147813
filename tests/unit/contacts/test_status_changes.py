"""What happens to a contact: status, evidence, suppression and unsent mails together."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from repermit import email_address
from repermit.clock import format_timestamp
from repermit.contacts import erasure, lookup, status_changes
from repermit.contacts.last_ask import EvidenceFields
from repermit.contacts.status_changes import Act
from repermit.db.connection import Database, is_postgresql
from repermit.db.models.campaigns import CampaignWording, Wording
from repermit.db.models.contacts import Contact, SignUp, Suppression
from repermit.db.models.evidence import Evidence, EvidencePart
from repermit.db.models.lists import MailingList
from repermit.db.models.mails import Mail
from repermit.errors import TransitionRefused
from repermit.rules.consent import (
    Basis,
    CampaignState,
    Dropped,
    MailKind,
    MailState,
    Reason,
    Status,
)
from tests.support.builders import (
    DEADLINE,
    NOW,
    make_asked,
    make_campaign,
    make_contact,
    make_list,
    make_mail,
    make_removed,
    make_settings,
)
from tests.support.chain_faults import iter_chain_faults
from tests.support.public_pages import freeze_wording
from tests.support.query_plans import plans_of

KEY = make_settings().fingerprint_key
LATER = NOW + timedelta(days=3)
REMOVING = [one for one in Reason if one is not Reason.WITHDRAWN]


def act(**overrides: Any) -> Act:
    values: dict[str, Any] = {"at": LATER, "actor": "person", "campaign": 7}
    return Act(**{**values, **overrides})


def confirm(database: Database, contact: Contact, basis: Basis = Basis.ANSWER) -> Contact:
    with database.atomic():
        status_changes.confirm_contact(
            lookup.lock_contact(contact.id),
            basis=basis,
            act=act(consent={"answer": "yes"}, trace={"browser": "x"}),
            fingerprint_key=KEY,
        )
    return fresh(contact)


def remove(
    database: Database,
    *some: Contact,
    reason: Reason = Reason.NO,
    facts: Mapping[int, EvidenceFields] | None = None,
) -> int:
    with database.atomic():
        return status_changes.remove_contacts(
            some, reason=reason, act=act(), fingerprint_key=KEY, evidence_by_id=facts
        )


def erase(database: Database, contact: Contact) -> Contact:
    with database.atomic():
        erasure.erase_contact(
            lookup.lock_contact(contact.id),
            act=act(actor="anna@example.org", consent={"note": "by phone"}),
            fingerprint_key=KEY,
        )
    return fresh(contact)


def fresh(contact: Contact) -> Contact:
    found: Contact = Contact.get_by_id(contact.id)
    return found


def kept(part: str) -> list[Any]:
    query = EvidencePart.select().where(EvidencePart.part == part).order_by(EvidencePart.seq)
    return [json.loads(row.json) for row in query]


def states_of_mails() -> list[tuple[str, str]]:
    return [(mail.state, mail.reason) for mail in Mail.select().order_by(Mail.id)]


# --- Confirming. --------------------------------------------------------------------------------


def test_a_confirmation_is_status_and_evidence_together(database: Database) -> None:
    contact = make_contact(database, make_list(database), "jan@example.org", name="Jan")
    found = confirm(database, contact)
    assert (found.status, found.status_at, found.reason) == (Status.CONFIRMED, LATER, "")
    assert (found.basis, found.basis_at) == (Basis.ANSWER, LATER)
    entry = Evidence.get()
    assert (entry.event, entry.at, entry.list, entry.campaign) == ("confirmed", LATER, "news", 7)
    assert (entry.subject, entry.actor) == (contact.subject, "person")
    assert kept("consent") == [{"answer": "yes", "basis": "answer"}]
    named = {"address": "jan@example.org", "name": "Jan", "link": contact.uid}
    assert kept("person") == [named]
    assert kept("trace") == [{"browser": "x"}]
    assert list(iter_chain_faults()) == []


def test_the_persons_own_yes_lifts_the_suppression_of_this_list(database: Database) -> None:
    mailing_list, other = make_list(database), make_list(database, slug="other")
    contact = make_removed(database, mailing_list, Reason.NO, "jan@example.org")
    make_removed(database, mailing_list, Reason.NO, "piet@example.org")
    make_removed(database, other, Reason.NO, "jan@example.org")
    confirm(database, contact, Basis.SIGN_UP)
    left = {(one.list_id, one.fingerprint) for one in Suppression.select()}
    assert left == {
        (mailing_list.id, email_address.fingerprint(KEY, "piet@example.org")),
        (other.id, email_address.fingerprint(KEY, "jan@example.org")),
    }


def test_a_yes_for_one_list_leaves_a_suppression_for_all_to_the_other_lists(
    database: Database,
) -> None:
    mailing_list, other = make_list(database), make_list(database, slug="other")
    contact = make_removed(database, mailing_list, Reason.NO, "jan@example.org")
    fingerprint = email_address.fingerprint(KEY, "jan@example.org")
    with database.atomic():
        Suppression.create(list=None, fingerprint=fingerprint, subject="", reason="no", at=NOW)
    confirm(database, contact, Basis.SIGN_UP)
    assert [one.list_id for one in Suppression.select()] == [None]
    assert lookup.is_suppressed(other.id, fingerprint)
    assert Contact.get().status == Status.CONFIRMED


# --- Removing. ----------------------------------------------------------------------------------


@pytest.mark.parametrize("reason", REMOVING)
def test_invariant_5_a_removal_is_status_evidence_and_suppression_together(
    database: Database, reason: Reason
) -> None:
    mailing_list = make_list(database)
    contact = make_contact(database, mailing_list, "Jan@example.org")
    assert remove(database, contact, reason=reason) == 1
    found = fresh(contact)
    assert (found.status, found.status_at, found.reason) == (Status.REMOVED, LATER, reason)
    suppression = Suppression.get()
    assert suppression.list == mailing_list
    assert suppression.fingerprint == email_address.fingerprint(KEY, "jan@example.org")
    assert (suppression.subject, suppression.reason) == (contact.subject, reason)
    assert suppression.at == LATER
    entry = Evidence.get()
    assert (entry.event, entry.subject, entry.list) == ("removed", contact.subject, "news")
    assert [one["reason"] for one in kept("consent")] == [reason]
    assert list(iter_chain_faults()) == []


@pytest.mark.parametrize("status", [Status.CONFIRMED, Status.CUSTOMER])
def test_what_is_withdrawn_leaves_no_basis(database: Database, status: Status) -> None:
    contact = make_contact(
        database, make_list(database), status=status, basis=Basis.ANSWER, basis_at=NOW
    )
    remove(database, contact, reason=Reason.WITHDRAWN)
    assert (fresh(contact).basis, fresh(contact).basis_at) == ("", None)


def test_invariant_5_a_removal_that_is_not_allowed_changes_nothing(database: Database) -> None:
    mailing_list = make_list(database)
    unconfirmed = make_contact(database, mailing_list)
    confirmed = make_contact(database, mailing_list, status=Status.CONFIRMED)
    with pytest.raises(TransitionRefused):
        remove(database, unconfirmed, confirmed, reason=Reason.NO_RESPONSE)
    assert fresh(unconfirmed).status == Status.UNCONFIRMED
    assert not Suppression.select().exists()
    assert not Evidence.select().exists()


def test_invariant_5_what_fails_later_undoes_the_removal(database: Database) -> None:
    contact = make_contact(database, make_list(database))

    def remove_and_fail() -> None:
        with database.atomic():
            status_changes.remove_contacts(
                [contact], reason=Reason.NO, act=act(), fingerprint_key=KEY
            )
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        remove_and_fail()
    assert fresh(contact).status == Status.UNCONFIRMED
    assert not Suppression.select().exists()
    assert not Evidence.select().exists()


def test_many_are_removed_at_once_each_with_its_own_facts(database: Database) -> None:
    mailing_list = make_list(database)
    some = [make_contact(database, mailing_list) for _ in range(3)]
    facts = {some[1].id: EvidenceFields(individual={"asked_at": "then"})}
    assert remove(database, *some, reason=Reason.NO_RESPONSE, facts=facts) == 3
    assert [
        {name: one.get(name) for name in ("reason", "asked_at")} for one in kept("consent")
    ] == [
        {"reason": "no_response", "asked_at": None},
        {"reason": "no_response", "asked_at": "then"},
        {"reason": "no_response", "asked_at": None},
    ]
    assert Suppression.select().count() == 3


@pytest.mark.parametrize("reason", REMOVING)
def test_a_removal_tells_what_the_list_told_when_it_asked(
    database: Database, reason: Reason
) -> None:
    mailing_list = make_list(database)
    contact = make_contact(database, mailing_list)
    earlier = make_campaign(database, mailing_list, state=CampaignState.CLOSED)
    make_mail(database, earlier, contact)
    campaign = make_campaign(database, mailing_list)
    digest = freeze_wording(database, campaign, mailing_list, "de")
    ask = make_mail(database, campaign, contact, wording=CampaignWording.get())
    reminded = {"kind": MailKind.REMINDER, "sent_at": LATER}
    make_mail(database, campaign, contact, **reminded)
    with database.atomic():
        MailingList.update(purpose="Something else", privacy_url="https://new.example").execute()
    remove(database, contact, reason=reason)
    assert kept("consent") == [
        {
            "reason": str(reason),
            "mail_wording": digest,
            "asked_at": format_timestamp(NOW + timedelta(seconds=1)),
            "ask_message_id": ask.message_id,
            "reminded_at": format_timestamp(LATER),
            "deadline": format_timestamp(DEADLINE),
            "language": "de",
            "list_name": mailing_list.name,
            "purpose": mailing_list.purpose,
            "frequency": "",
            "privacy_url": mailing_list.privacy_url,
            "sensitive": False,
        }
    ]


def test_a_removal_says_of_whom_nobody_asked_that_the_purpose_was_not_seen(
    database: Database,
) -> None:
    mailing_list = make_list(database, sensitive=True)
    contact = make_contact(database, mailing_list)
    campaign = make_campaign(database, mailing_list)
    # It is owed still, so nothing was told.
    make_mail(database, campaign, contact, state=MailState.QUEUED, sent_at=None)
    remove(database, contact, reason=Reason.REQUEST)
    assert kept("consent") == [
        {
            "reason": "request",
            "list_name": mailing_list.name,
            "sensitive": True,
            "unseen": {
                "language": "nl",
                "purpose": mailing_list.purpose,
                "frequency": "",
                "privacy_url": mailing_list.privacy_url,
            },
        }
    ]


@pytest.mark.parametrize("is_asked", [True, False])
def test_a_removal_claims_nothing_of_what_the_person_saw_elsewhere(
    database: Database, is_asked: bool
) -> None:
    """Their own sign-up says what they saw; and so does an ask of a form not known here."""
    mailing_list = make_list(database)
    basis = "" if is_asked else Basis.SIGN_UP
    status = Status.UNCONFIRMED if is_asked else Status.CONFIRMED
    contact = make_contact(database, mailing_list, status=status, basis=basis)
    if is_asked:
        campaign = make_campaign(database, mailing_list)
        with database.atomic():
            Wording.create(digest="a" * 64, content="1")
            frozen = CampaignWording.create(
                campaign=campaign, kind=MailKind.ASK, language="nl", wording="a" * 64
            )
        make_mail(database, campaign, contact, wording=frozen)
    remove(database, contact, reason=Reason.COMPLAINT)
    (told,) = kept("consent")
    assert not {"purpose", "unseen"} & set(told)
    assert told.get("mail_wording") == ("a" * 64 if is_asked else None)


def test_nobody_to_remove_leaves_no_trace(database: Database) -> None:
    assert remove(database) == 0
    assert not Evidence.select().exists()


def test_a_later_removal_changes_the_reason_and_keeps_the_subject(database: Database) -> None:
    mailing_list = make_list(database)
    contact = make_contact(database, mailing_list)
    remove(database, contact, reason=Reason.NO_RESPONSE)
    with database.atomic():
        Suppression.update(subject="f" * 32).execute()
    remove(database, fresh(contact), reason=Reason.NO)
    suppression = Suppression.get()
    assert (suppression.reason, suppression.subject) == (Reason.NO, "f" * 32)
    assert fresh(contact).reason == Reason.NO


# --- Mails that are owed. -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "dropped"),
    [
        (Reason.NO, Dropped.ANSWERED),
        (Reason.BOUNCE, Dropped.SUPPRESSED),
        (Reason.REQUEST, Dropped.SUPPRESSED),
    ],
)
def test_no_ask_leaves_any_more_after_a_removal(
    database: Database, reason: Reason, dropped: Dropped
) -> None:
    mailing_list = make_list(database)
    contact = make_contact(database, mailing_list)
    for state in (MailState.QUEUED, MailState.CLAIMED, MailState.STARTED, MailState.SENT):
        campaign = make_campaign(database, mailing_list, state=CampaignState.CLOSED)
        make_mail(database, campaign, contact, state=state)
    remove(database, contact, reason=reason)
    assert states_of_mails() == [
        (MailState.DROPPED, dropped),
        (MailState.DROPPED, dropped),
        (MailState.STARTED, ""),
        (MailState.SENT, ""),
    ]


def test_an_answer_drops_asks_and_reminders_but_not_what_was_asked_for(
    database: Database,
) -> None:
    mailing_list = make_list(database)
    campaign = make_campaign(database, mailing_list)
    contact = make_contact(database, mailing_list)
    other = make_contact(database, mailing_list)
    for kind in (MailKind.ASK, MailKind.REMINDER, MailKind.CONFIRM, MailKind.RECEIPT):
        make_mail(database, campaign, contact, kind=kind, state=MailState.QUEUED)
    make_mail(database, campaign, other, state=MailState.QUEUED)
    confirm(database, contact)
    assert states_of_mails() == [
        (MailState.DROPPED, Dropped.ANSWERED),
        (MailState.DROPPED, Dropped.ANSWERED),
        (MailState.QUEUED, ""),
        (MailState.QUEUED, ""),
        (MailState.QUEUED, ""),
    ]


def test_dropping_says_how_many_there_were(database: Database) -> None:
    mailing_list = make_list(database)
    campaign = make_campaign(database, mailing_list)
    some = [make_contact(database, mailing_list) for _ in range(2)]
    for contact in some:
        make_mail(database, campaign, contact, state=MailState.QUEUED)
    with database.atomic():
        assert status_changes.drop_unsent(some, Dropped.SUPPRESSED) == 2
        assert status_changes.drop_unsent(some, Dropped.SUPPRESSED) == 0


# --- Erasing. -----------------------------------------------------------------------------------


def test_erasure_takes_address_and_name_away_and_leaves_what_adds_up(database: Database) -> None:
    mailing_list = make_list(database)
    contact = make_contact(
        database,
        mailing_list,
        "jan@example.org",
        name="Jan",
        language="nl",
        source="fair 2019",
        since=NOW,
    )
    with database.atomic():
        for address in ("jan@example.org", "piet@example.org"):
            SignUp.create(
                list=mailing_list, uid=address, address=address, address_key=address, at=NOW
            )
    confirm(database, contact)
    erased = erase(database, contact)
    assert (erased.address, erased.address_key, erased.name) == (None, contact.uid, "")
    assert (erased.language, erased.source, erased.since) == ("", "", None)
    assert erased.erased_at == LATER
    assert (erased.status, erased.reason) == (Status.REMOVED, Reason.REQUEST)
    assert [row.address for row in SignUp.select()] == ["piet@example.org"]
    assert Suppression.get().fingerprint == email_address.fingerprint(KEY, "jan@example.org")
    assert kept("person") == kept("trace") == []
    events = [row.event for row in Evidence.select().order_by(Evidence.seq)]
    assert events == ["confirmed", "removed", "erased"]
    assert kept("consent")[-1] == {
        "seqs": [1, 2],
        "whose": email_address.fingerprint(KEY, "jan@example.org"),
        "parts": ["person", "trace"],
        "note": "by phone",
    }
    assert Evidence.get_by_id(3).actor == "anna@example.org"
    assert list(iter_chain_faults()) == []


def test_who_was_removed_before_keeps_that_reason_after_erasure(database: Database) -> None:
    contact = make_removed(database, make_list(database), Reason.NO)
    erased = erase(database, contact)
    assert (erased.status, erased.reason, erased.status_at) == ("removed", "no", NOW)
    assert [row.event for row in Evidence.select().order_by(Evidence.seq)] == ["removed", "erased"]
    assert list(iter_chain_faults()) == []


# --- Suppression. -------------------------------------------------------------------------------


def test_a_suppression_holds_for_its_list_or_for_all(database: Database) -> None:
    mailing_list, other = make_list(database), make_list(database, slug="other")
    with database.atomic():
        for its_list, fingerprint in ((mailing_list, "here"), (None, "everywhere")):
            Suppression.create(
                list=its_list, fingerprint=fingerprint, subject="", reason="no", at=NOW
            )
    assert lookup.is_suppressed(mailing_list.id, "here")
    assert not lookup.is_suppressed(other.id, "here")
    assert lookup.is_suppressed(other.id, "everywhere")
    assert not lookup.is_suppressed(mailing_list.id, "nowhere")


# --- New, and unasked. --------------------------------------------------------------------------


def test_a_new_contact_has_ids_that_tell_nothing(database: Database) -> None:
    mailing_list = make_list(database)
    address = email_address.parse("Jan@Example.org")
    first, second = (lookup.make_contact(mailing_list, address, name="Jan") for _ in range(2))
    assert (first.address, first.address_key, first.name) == (
        "Jan@example.org",
        "jan@example.org",
        "Jan",
    )
    assert len({first.uid, first.subject, second.uid, second.subject}) == 4


def unasked(database: Database, *, closed: bool) -> set[str]:
    mailing_list = make_list(database)
    earlier = make_campaign(database, mailing_list, state=CampaignState.CLOSED)
    make_mail(
        database,
        earlier,
        make_contact(database, mailing_list, "before@example.org"),
        state="failed",
    )
    state = CampaignState.CLOSED if closed else CampaignState.OPEN
    campaign = make_campaign(database, mailing_list, state=state)
    make_contact(database, mailing_list, "bystander@example.org")
    for mail_state in MailState:
        contact = make_contact(database, mailing_list, f"{mail_state}@example.org")
        make_mail(database, campaign, contact, state=mail_state, reply_code=550, reason="r")
    answered = make_contact(database, mailing_list, "answered@example.org", status=Status.CONFIRMED)
    make_mail(database, campaign, answered, state=MailState.FAILED)
    make_mail(
        database,
        campaign,
        make_contact(database, mailing_list, "reader@example.org"),
        kind=MailKind.CONFIRM,
        state=MailState.FAILED,
    )
    rows = list(lookup.select_unasked(mailing_list).dicts())
    assert all((row["mail_reason"], row["reply_code"]) == ("r", 550) for row in rows)
    assert all(row["address"] == f"{row['mail_state']}@example.org" for row in rows)
    return {row["mail_state"] for row in rows}


def test_invariant_4_during_a_campaign_the_unasked_are_those_given_up(database: Database) -> None:
    assert unasked(database, closed=False) == {"failed", "in_doubt", "dropped"}


def test_invariant_4_after_it_they_are_all_who_are_still_unconfirmed(database: Database) -> None:
    assert unasked(database, closed=True) == set(MailState)


def test_invariant_4_whose_ask_came_back_is_unasked(database: Database) -> None:
    mailing_list = make_list(database)
    contact = make_contact(database, mailing_list)
    make_mail(database, make_campaign(database, mailing_list), contact, bounce="soft")
    assert [row.mail_bounce for row in lookup.select_unasked(mailing_list).objects()] == ["soft"]


@pytest.mark.counted_on_both
def test_who_came_after_a_closed_campaign_is_not_looked_at_for_who_is_unasked(
    database: Database,
) -> None:
    news = make_list(database)
    make_asked(database, news, make_campaign(database, news, state=CampaignState.CLOSED))
    make_contact(database, news)
    assert lookup.select_unasked(news).count() == 1
    (plan,) = plans_of(database, lookup.select_unasked(news).count, having="COUNT")
    if is_postgresql(database):
        assert re.search(r"Index Cond: .*status = .*reason = .*id <= ", plan)
    else:
        assert "(list_id=? AND status=? AND reason=? AND id<?)" in plan


def test_without_a_campaign_nobody_is_unasked(database: Database) -> None:
    mailing_list = make_list(database)
    make_contact(database, mailing_list)
    assert lookup.select_unasked(mailing_list).count() == 0


def test_who_was_asked_is_not_unasked(database: Database) -> None:
    mailing_list = make_list(database)
    make_asked(database, mailing_list, make_campaign(database, mailing_list))
    assert lookup.select_unasked(mailing_list).count() == 0


def test_several_are_erased_at_once_each_with_an_entry_of_their_own(
    database: Database,
) -> None:
    mailing_list = make_list(database)
    people = [make_contact(database, mailing_list, name="Jan") for _ in range(3)]
    people.append(make_removed(database, mailing_list, Reason.NO))
    with database.atomic():
        erased = erasure.erase_contacts(people, act=Act(at=NOW, actor="job"), fingerprint_key=KEY)
    assert (erased.contacts, erased.removed, erased.entries) == (4, 3, 4)
    assert {one.address_key for one in Contact.select()} == {one.uid for one in people}
    assert Evidence.select().where(Evidence.event == "erased").count() == 4
    assert not EvidencePart.select().where(EvidencePart.part == "person").exists()
    assert list(iter_chain_faults()) == []
