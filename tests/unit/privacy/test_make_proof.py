"""Proofs: what they hold, that they hold, and that nothing in them can be changed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from repermit.answers import link_target
from repermit.campaigns.lifecycle import extend_campaign
from repermit.clock import ManualClock
from repermit.contacts import erasure, status_changes
from repermit.contacts import lookup as contacts_lookup
from repermit.db.connection import Database
from repermit.db.models.contacts import Contact, Suppression
from repermit.db.models.evidence import Evidence
from repermit.db.models.lists import MailingList
from repermit.errors import AddressError, NotFound, Refused
from repermit.evidence import proof_file, signed_checkpoint, stored_tree
from repermit.evidence.chain import append
from repermit.evidence.entries import Entry
from repermit.evidence.verify import proof as verify_proof
from repermit.expiry import sweep
from repermit.privacy import make_proof
from repermit.privacy.make_proof import Proof
from repermit.rules.consent import Answer, CampaignState, Reason
from tests.support.builders import (
    DEADLINE,
    NOW,
    make_asked,
    make_campaign,
    make_contact,
    make_list,
    make_removed,
    make_settings,
    record_launch,
)
from tests.support.chain_faults import iter_chain_faults
from tests.support.public_pages import answer_on_page, freeze_wording
from tests.support.published_schemas import problems_of
from tests.support.query_plans import statements_in_transactions

ANNA = "anna@example.org"
SOON = NOW + timedelta(days=1)
LATER = NOW + timedelta(days=800)
PAGE = "<p>⟦reason⟧</p>\n<p>This is about your address ⟦address⟧.</p>"


def is_about(document: Mapping[str, Any], address_key: str) -> bool:
    """Say whether a proof was made for whoever named this address."""
    named = document["statement"]["named"]
    return bool(proof_file.digest_address(address_key, named["salt"]) == named)


def answer(database: Database, contact: Contact, said: Answer, *, arrived: Any = SOON) -> None:
    answer_on_page(
        database, contact.uid, said, at=arrived, page=link_target.PageShown(wording=PAGE)
    )


@pytest.fixture
def anna(database: Database, mailing_list: MailingList) -> Contact:
    """Return who said Yes, among others who said something too."""
    campaign = make_campaign(database, mailing_list)
    freeze_wording(database, campaign, mailing_list, "nl")
    asked = [make_asked(database, mailing_list, campaign, f"other{n}@example.org") for n in "123"]
    answer(database, asked[0], Answer.NO)
    contact = make_asked(database, mailing_list, campaign, ANNA)
    with database.atomic():
        Contact.update(name="Anna de Vries", source="the desk", since=NOW).where(
            Contact.id == contact.id
        ).execute()
    answer(database, contact, Answer.YES)
    answer(database, asked[1], Answer.YES)
    make_removed(database, mailing_list, Reason.BOUNCE, "gone@example.org")
    return Contact.get_by_id(contact.id)


def prove(database: Database, mailing_list: MailingList, address: str = ANNA) -> Proof:
    return make_proof.prove_address(
        database, mailing_list, address, settings=make_settings(), now=LATER, actor="cli:anna"
    )


def test_a_proof_holds_and_has_the_record_the_wordings_and_the_entries(
    database: Database, mailing_list: MailingList, anna: Contact
) -> None:
    proof = prove(database, mailing_list)
    checked = verify_proof.check_proof(proof.text.encode())
    assert checked.faults == ()
    assert checked.gone == ()
    assert checked.document == proof.document
    statement = proof.document["statement"]
    assert not problems_of(statement["record"], "consent-record")
    assert [one["event_state"] for one in statement["record"]["event"]] == [
        "dpv:ConsentRequested",
        "dpv:ConsentGiven",
    ]
    (entry,) = statement["entries"]
    assert entry["parts"]["person"]["content"] == {
        "address": ANNA,
        "name": "Anna de Vries",
        "link": anna.uid,
        "source": "the desk",
        "since": NOW.isoformat(),
    }
    assert PAGE in statement["wordings"].values()
    assert len(statement["wordings"]) == 2
    assert proof.subject == anna.subject
    assert not list(iter_chain_faults())


def test_making_a_proof_is_an_entry_that_holds_its_digest_and_the_checkpoint_follows_it(
    database: Database, mailing_list: MailingList, anna: Contact
) -> None:
    proof = prove(database, mailing_list)
    last = Evidence.select().order_by(Evidence.seq.desc()).get()
    assert (last.event, last.actor, last.subject, last.at) == (
        "proved",
        "cli:anna",
        anna.subject,
        LATER,
    )
    assert proof.document["checkpoint"] == stored_tree.checkpoint().to_json()
    assert proof.document["seal"]["entry"]["seq"] == last.seq
    # Later proofs have it among the entries, and the record says the same as before.
    again = prove(database, mailing_list)
    assert verify_proof.check_proof(again.text.encode()).faults == ()
    events = [one["entry"]["event"] for one in again.document["statement"]["entries"]]
    assert events == ["confirmed", "proved"]
    assert again.document["statement"]["record"] == proof.document["statement"]["record"]


def test_a_proof_discloses_nobody_else(
    database: Database, mailing_list: MailingList, anna: Contact
) -> None:
    text = prove(database, mailing_list).text
    others = Contact.select().where(Contact.id != anna.id)
    assert others.count() == 4
    for other in others:
        assert not any(str(one) in text for one in (other.address, other.subject, other.uid))


def test_a_proof_of_silence_has_what_set_its_deadline(
    database: Database, mailing_list: MailingList
) -> None:
    campaign = make_campaign(database, mailing_list)
    record_launch(database, campaign)
    make_asked(database, mailing_list, campaign, ANNA)
    later = DEADLINE + timedelta(days=2)
    extend_campaign(
        database, mailing_list, deadline=later, settings=make_settings(), now=NOW, actor="user:1"
    )
    sweep.expire_due(
        database, settings=make_settings(), clock=ManualClock(later), despite_downtime=True
    )
    # Of no campaign of hers.
    record_launch(database, make_campaign(database, mailing_list, state=CampaignState.CANCELLED))
    for (proof,) in (prove_one(database, mailing_list), prove_all(database, mailing_list)):
        assert verify_proof.check_proof(proof.text.encode()).faults == ()
        statement = proof.document["statement"]
        launched, extended = statement["campaign_entries"]
        assert (launched["entry"]["event"], extended["entry"]["event"]) == ("launched", "extended")
        assert {one["entry"]["campaign"] for one in (launched, extended)} == {campaign.id}
        told = statement["entries"][0]["parts"]["consent"]["content"]
        assert told["deadline"] == extended["parts"]["consent"]["content"]["to"]


def test_a_proof_of_whom_nobody_asked_has_no_campaign(
    database: Database, mailing_list: MailingList
) -> None:
    make_removed(database, mailing_list, Reason.BOUNCE, ANNA)
    record_launch(database, make_campaign(database, mailing_list))
    assert "campaign_entries" not in prove(database, mailing_list).document["statement"]


def test_a_withdrawal_after_years_is_proved_with_the_times_of_the_consent(
    database: Database, mailing_list: MailingList, anna: Contact
) -> None:
    answer(database, anna, Answer.NO, arrived=LATER)
    record = prove(database, mailing_list).document["statement"]["record"]
    assert [(one["event_state"], one["event_time"]) for one in record["event"]] == [
        ("dpv:ConsentRequested", (NOW + timedelta(seconds=1)).isoformat()),
        ("dpv:ConsentGiven", SOON.isoformat()),
        ("dpv:ConsentWithdrawn", LATER.isoformat()),
    ]


def test_after_erasure_whoever_names_the_address_gets_the_proof_without_it(
    database: Database, mailing_list: MailingList, anna: Contact
) -> None:
    with database.atomic():
        erasure.erase_contact(
            contacts_lookup.lock_contact(anna.id),
            act=status_changes.Act(at=LATER, actor="person"),
            fingerprint_key=make_settings().fingerprint_key,
        )
    proof = prove(database, mailing_list, " Anna@EXAMPLE.org ")
    checked = verify_proof.check_proof(proof.text.encode())
    assert checked.faults == ()
    assert checked.gone == ((2, "person"), (2, "trace"), (5, "person"))
    assert "anna" not in proof.text.replace("cli:anna", "").lower()
    events = [one["event_state"] for one in proof.document["statement"]["record"]["event"]]
    assert events[-1] == "dpv:ConsentWithdrawn"
    assert is_about(proof.document, ANNA)
    assert not is_about(proof.document, "bram@example.org")
    by_number = make_proof.prove_contact(
        database, mailing_list, anna.id, settings=make_settings(), now=LATER, actor="user:1"
    )
    assert verify_proof.check_proof(by_number.text.encode()).faults == ()
    assert not is_about(by_number.document, ANNA)


def test_a_row_that_points_to_the_record_of_another_proves_nothing(
    database: Database, mailing_list: MailingList, anna: Contact
) -> None:
    """Whose entries are whose stands beside the chain, and can be changed by plain SQL."""
    other = Contact.get(Contact.address_key == "other2@example.org")
    with database.atomic():
        Contact.update(subject=anna.subject).where(Contact.id == other.id).execute()
    with pytest.raises(Refused, match="is of another one"):
        prove(database, mailing_list, "other2@example.org")
    with pytest.raises(Refused, match="is of another one"):
        make_proof.prove_contact(
            database, mailing_list, other.id, settings=make_settings(), now=LATER, actor="user:1"
        )
    gone = Contact.get(Contact.address_key == "gone@example.org")
    for contact in (anna, gone):
        with database.atomic():
            erasure.erase_contact(
                contacts_lookup.lock_contact(contact.id),
                act=status_changes.Act(at=LATER, actor="person"),
                fingerprint_key=make_settings().fingerprint_key,
            )
    with database.atomic():
        Contact.update(subject=other.subject).where(Contact.id == other.id).execute()
        own = Suppression.subject == gone.subject
        Suppression.update(subject=anna.subject).where(own).execute()
    # The second time the newest entry, of the first proof, names nobody.
    for _ in range(2):
        assert is_about(prove(database, mailing_list).document, ANNA)
    with pytest.raises(Refused, match="is of another one"):
        prove(database, mailing_list, "gone@example.org")


def test_a_contact_is_proved_by_number_as_by_address(
    database: Database, mailing_list: MailingList, anna: Contact
) -> None:
    proof = make_proof.prove_contact(
        database, mailing_list, anna.id, settings=make_settings(), now=LATER, actor="user:1"
    )
    assert is_about(proof.document, ANNA)


@pytest.mark.usefixtures("anna")
def test_of_whom_nothing_is_recorded_nothing_is_proved_and_nothing_wrong_is_told(
    database: Database, mailing_list: MailingList
) -> None:
    make_contact(database, mailing_list, "silent@example.org")
    before = stored_tree.checkpoint()
    for address in ("never@example.org", "silent@example.org"):
        with pytest.raises(NotFound, match="nothing is recorded of this address on the list news"):
            prove(database, mailing_list, address)
    other = make_list(database, slug="other")
    with pytest.raises(NotFound, match="on the list other"):
        prove(database, other, ANNA)
    with pytest.raises(AddressError):
        prove(database, mailing_list, "nobody")
    assert stored_tree.checkpoint() == before


@pytest.mark.usefixtures("anna")
def test_a_proof_is_readable_json_with_a_name_for_each_thing(
    database: Database, mailing_list: MailingList
) -> None:
    document = json.loads(prove(database, mailing_list).text)
    assert sorted(document) == ["checkpoint", "format", "paths", "previous", "seal", "statement"]


@pytest.mark.parametrize("kind", ["Timestamps", "CosignedCheckpoints"])
@pytest.mark.usefixtures("anna")
def test_what_others_vouched_for_is_read_while_others_write(
    database: Database, mailing_list: MailingList, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """There is more of it each day."""
    read_in_transaction: list[bool] = []
    of_proof: Any = getattr(make_proof, kind)

    def watch(*values: Any) -> Any:
        read_in_transaction.append(database.in_transaction())
        return of_proof(*values)

    monkeypatch.setattr(make_proof, kind, watch)
    prove(database, mailing_list)
    assert read_in_transaction == [False]


# --- Of everybody on a list. ----------------------------------------------------------------------


def prove_one(database: Database, mailing_list: MailingList) -> list[Proof]:
    return [prove(database, mailing_list)]


def prove_all(database: Database, mailing_list: MailingList) -> list[Proof]:
    """Return the proofs of an archive."""
    act: dict[str, Any] = {"now": LATER, "actor": "cli:els"}
    with make_proof.seal_proofs(database, mailing_list, settings=make_settings(), **act) as sealed:
        with database.atomic():
            archived = {"what": "archive", "format": "zip", "tool": "", "rows": sealed.count}
            entry = Entry(event="archived", at=LATER, actor="cli:els", list="news")
            seq = append(replace(entry, consent=archived))
            checkpoint = signed_checkpoint.make_signed_checkpoint(make_settings())
        return [proof for _, proof in sealed.closed_by(seq, checkpoint)]


@pytest.fixture
def composed(database: Database, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Return whether each statement was composed in a transaction."""
    found: list[bool] = []
    make_statement: Any = make_proof.make_statement

    def watch(*values: Any, **more: Any) -> Any:
        found.append(database.in_transaction())
        return make_statement(*values, **more)

    monkeypatch.setattr(make_proof, "make_statement", watch)
    return found


ACTS = pytest.mark.parametrize("act", [prove_one, prove_all])
Prove = Callable[[Database, MailingList], Sequence[Proof]]


@ACTS
@pytest.mark.usefixtures("anna")
def test_what_somebody_said_is_read_and_composed_while_others_write(
    database: Database, mailing_list: MailingList, composed: list[bool], act: Prove
) -> None:
    """Of somebody who pressed Yes and No thousands of times it takes seconds."""
    held = statements_in_transactions(database, lambda: act(database, mailing_list))
    assert set(composed) == {False}
    assert [sql for sql in held if sql.startswith("SELECT") and '"evidence_part"' in sql] == []


@ACTS
@pytest.mark.parametrize(("times", "expected"), [(1, [False] * 2), (3, [False] * 3 + [True])])
def test_what_somebody_says_meanwhile_stands_in_their_proof(
    *,
    database: Database,
    mailing_list: MailingList,
    anna: Contact,
    composed: list[bool],
    monkeypatch: pytest.MonkeyPatch,
    act: Prove,
    times: int,
    expected: list[bool],
) -> None:
    """Who never stops is proved while nobody writes."""
    Contact.delete().where(Contact.id != anna.id).execute()
    make_seal: Any = make_proof.make_seal

    def say_more() -> None:
        told = {"answer": "yes", "basis": "answer"}
        with database.connection_context(), database.atomic():
            entry = Entry(event="confirmed", at=LATER, actor="person", list="news")
            append(replace(entry, subject=anna.subject, consent=told))

    def watch(*values: Any, **more: Any) -> Any:
        if len(composed) <= times:
            with ThreadPoolExecutor(1) as pool:
                pool.submit(say_more).result()
        return make_seal(*values, **more)

    monkeypatch.setattr(make_proof, "make_seal", watch)
    (proof,) = act(database, mailing_list)
    assert composed == expected
    assert verify_proof.check_proof(proof.text.encode()).faults == ()
    events = [one["entry"]["event"] for one in proof.document["statement"]["entries"]]
    assert events == ["confirmed"] * (times + 1)


def test_those_of_a_list_are_found_among_others_and_never_looked_for_in_a_transaction(
    database: Database, mailing_list: MailingList, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(make_proof, "MAX_ROWS_PER_STEP", 3)
    other = make_list(database, slug="other")
    wanted = []
    for n in range(20):
        make_contact(database, other, f"o{n}@example.org", status="removed", reason="no")
        make_contact(database, mailing_list, f"undecided{n}@example.org")
        gone = {"status": "removed", "reason": "no"}
        wanted.append(make_contact(database, mailing_list, f"p{n}@example.org", **gone).id)
    seen: list[int] = []
    held_up: list[str] = []

    def compose(_list: object, numbers: Sequence[int], **_: object) -> make_proof.Claims:
        seen.extend(numbers)
        return make_proof.Claims([], [])

    in_transaction: Any = database.in_transaction

    def watch(statement: str, values: Any = None, *rest: Any) -> Any:
        if in_transaction() and '"contact"' in statement and '"t1"."id" >' in statement:
            held_up.append(statement)
        return run(statement, values, *rest)

    run: Any = database.execute_sql
    monkeypatch.setattr(database, "execute_sql", watch)
    monkeypatch.setattr(make_proof, "_compose_claims", compose)
    act: dict[str, Any] = {"settings": make_settings(), "now": LATER, "actor": "cli:els"}
    with make_proof.seal_proofs(database, mailing_list, **act):
        pass
    assert seen == wanted
    assert held_up == []
