"""Launching: what is frozen, what is owed, what is kept; and that it is all or nothing."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from repermit import email_address
from repermit.campaigns.launch import launch
from repermit.campaigns.launch_refusals import REMINDER_NOTE, plan_launch, read_launch_state
from repermit.campaigns.mailing_lists import change_list
from repermit.campaigns.preview import draft_wording
from repermit.campaigns.result_types import LaunchResult, Plan
from repermit.contacts.circuit_breaker import AFTER_PILOT
from repermit.db.connection import Database
from repermit.db.models.campaigns import Campaign, CampaignWording, Wording
from repermit.db.models.contacts import Contact, Suppression
from repermit.db.models.evidence import Evidence, EvidencePart
from repermit.db.models.lists import ListText, MailingList, lock_list
from repermit.db.models.mails import Mail
from repermit.emails import frozen_draft
from repermit.errors import LaunchRefused
from repermit.evidence.verify import chain
from repermit.evidence.verify.proof import check_proof
from repermit.privacy import make_proof, printable_proof
from repermit.reports.outcomes_per_day import read_acts
from repermit.rules.consent import Answer, CampaignState, Exclusion, MailKind, MailState, Reason
from repermit.rules.legal_grounds import Grounds
from repermit.settings.definitions import CampaignRules
from tests.support import independent_verifier
from tests.support.builders import (
    DEADLINE,
    NOW,
    make_contact,
    make_list,
    make_removed,
    make_settings,
)
from tests.support.chain_faults import iter_chain_faults
from tests.support.public_pages import answer_on_page

ATTEST = "The board decided on 1 March; our own forms; nobody opted out."


def start(database: Database, mailing_list: MailingList, **overrides: Any) -> LaunchResult:
    values: dict[str, Any] = {
        "settings": make_settings(),
        "now": NOW,
        "deadline": DEADLINE,
        "attest": ATTEST,
        "actor": "anna@example.org",
    }
    return launch(database, mailing_list, **{**values, **overrides})


def test_a_launch_owes_everybody_an_ask(database: Database) -> None:
    mailing_list = make_list(database)
    make_contact(database, mailing_list)
    make_contact(database, mailing_list)
    make_removed(database, mailing_list, Reason.NO)
    launched = start(database, mailing_list)
    assert (launched.plan.asked, launched.plan.excluded[Exclusion.REMOVED]) == (2, 1)
    assert launched.state is CampaignState.SENDING
    campaign = Campaign.get_by_id(launched.campaign)
    assert (campaign.state, campaign.deadline) == (CampaignState.SENDING, DEADLINE)
    assert (campaign.launched_at, campaign.starts_at) == (NOW, NOW)
    assert (campaign.minimum_days, campaign.include_thin, campaign.downtime) == (14, False, 0)
    owed = Mail.select().where(Mail.kind == MailKind.ASK, Mail.state == MailState.QUEUED)
    assert owed.count() == 2


@pytest.mark.parametrize(
    ("starts_in", "state", "starts_at"),
    [
        (timedelta(days=-1), CampaignState.SENDING, NOW),
        (timedelta(), CampaignState.SENDING, NOW),
        (timedelta(days=1), CampaignState.SCHEDULED, NOW + timedelta(days=1)),
    ],
)
def test_a_launch_may_begin_later(
    database: Database, starts_in: timedelta, state: CampaignState, starts_at: object
) -> None:
    mailing_list = make_list(database)
    make_contact(database, mailing_list)
    launched = start(database, mailing_list, starts_at=NOW + starts_in)
    campaign = Campaign.get()
    assert (launched.state, campaign.state) == (state, state)
    assert (campaign.starts_at, Mail.get().due_at) == (starts_at, starts_at)


def test_the_minimum_of_days_is_that_of_the_launch(database: Database) -> None:
    mailing_list = make_list(database)
    make_contact(database, mailing_list)
    rules = CampaignRules(minimum_days=3)
    start(database, mailing_list, settings=make_settings(campaign=rules), include_thin=True)
    campaign = Campaign.get()
    assert (campaign.minimum_days, campaign.include_thin) == (3, True)


URL = "https://www.example.org/privacy"
SAYS = "We keep your address and no more."


def test_what_the_privacy_statement_said_is_kept_with_the_launch(database: Database) -> None:
    mailing_list = make_list(database, privacy_url=URL)
    make_contact(database, mailing_list)
    start(database, mailing_list, statements={URL: SAYS})
    (launched,) = read_acts(mailing_list.slug, ("launched",))
    digest = launched.content["privacy_wordings"][URL]
    assert Wording.get_by_id(digest).content == SAYS
    (row,) = CampaignWording.select()
    draft = frozen_draft.read_draft(Wording.get_by_id(row.wording_id).content)
    assert draft.mailing_list.privacy_wording == digest
    assert chain.verify_chain(database).fault is None
    with database.atomic():
        Wording.update(content="We sell it.").where(Wording.digest == digest).execute()
    assert chain.verify_chain(database).fault


def test_a_statement_that_was_not_read_leaves_its_address_alone(database: Database) -> None:
    mailing_list = make_list(database, privacy_url=URL)
    make_contact(database, mailing_list)
    start(database, mailing_list)
    (launched,) = read_acts(mailing_list.slug, ("launched",))
    assert launched.content["privacy_url"] == URL
    assert "privacy_wordings" not in launched.content
    (row,) = CampaignWording.select()
    assert "privacy_wordings" not in Wording.get_by_id(row.wording_id).content


def test_an_answer_proves_what_the_privacy_statement_said(database: Database) -> None:
    mailing_list = make_list(database, privacy_url=URL)
    contact = make_contact(database, mailing_list, "anna@example.org")
    start(database, mailing_list, statements={URL: SAYS})
    answer_on_page(database, contact.uid, Answer.YES, at=NOW + timedelta(hours=1))
    proof = make_proof.prove_address(
        database,
        mailing_list,
        "anna@example.org",
        settings=make_settings(),
        now=NOW + timedelta(days=1),
        actor="cli:0",
    )
    (told,) = [
        one["parts"]["consent"]["content"]
        for one in proof.document["statement"]["entries"]
        if one["entry"]["event"] == "confirmed"
    ]
    assert proof.document["statement"]["wordings"][told["privacy_wording"]] == SAYS
    octets = proof.text.encode()
    assert check_proof(octets).faults == ()
    assert independent_verifier.check(octets)
    page = printable_proof.make_proof_page(proof.document, language="en", zone=make_settings().zone)
    assert SAYS in page


def test_the_attested_grounds_are_kept_as_evidence_and_frozen_for_the_pages(
    database: Database,
) -> None:
    mailing_list = make_list(database)
    make_contact(database, mailing_list)
    start(
        database,
        mailing_list,
        grounds=Grounds(asking_ground="public_task", special_ground="members"),
    )
    (launched,) = read_acts(mailing_list.slug, ("launched",))
    told = (launched.content["asking_ground"], launched.content["special_ground"])
    assert told == ("public_task", "members")
    (row,) = CampaignWording.select()
    about = frozen_draft.read_draft(row.wording.content).mailing_list
    assert (about.asking_ground, about.special_ground) == told


def test_the_wording_is_frozen_in_each_language_that_is_needed(database: Database) -> None:
    mailing_list = make_list(database, language="nl")
    make_contact(database, mailing_list, language="fr")
    start(database, mailing_list)
    change_list(
        database,
        mailing_list,
        settings=make_settings(),
        now=NOW,
        actor="anna@example.org",
        purpose="Something else, monthly",
    )
    frozen = {row.language: row.wording for row in CampaignWording.select()}
    # The list's own language is always there, for whoever has none of the others.
    assert set(frozen) == {"fr", "nl"}
    draft = frozen_draft.read_draft(frozen["fr"].content)
    assert (draft.language, draft.deadline) == ("fr", DEADLINE)
    assert draft.mailing_list.purpose == "Nieuws over onze praktijk, vier keer per jaar"


def test_who_decided_and_what_they_were_told_is_kept(database: Database) -> None:
    mailing_list = make_list(database)
    make_contact(database, mailing_list)
    launched = start(database, mailing_list, attest=f" {ATTEST}\n")
    entry = Evidence.get()
    assert (entry.event, entry.actor, entry.campaign) == (
        "launched",
        "anna@example.org",
        launched.campaign,
    )
    kept = json.loads(EvidencePart.get().json)
    assert kept["attest"] == ATTEST
    assert (kept["asked"], kept["excluded"]["removed"]) == (1, 0)
    assert kept["left_out"] == {"opted_out": 0, "invalid": 0}
    assert kept["deadline"] == "2026-03-30T09:00:00.000000+00:00"
    assert kept["wordings"] == {"nl": CampaignWording.get().wording_id}
    assert Wording.get_by_id(kept["told"]).content == "\n\n".join(launched.plan.notes)
    assert list(iter_chain_faults()) == []


@pytest.mark.parametrize("attest", ["", " \n"])
def test_a_launch_must_be_attested(database: Database, attest: str) -> None:
    mailing_list = make_list(database)
    make_contact(database, mailing_list)
    with pytest.raises(LaunchRefused) as refused:
        start(database, mailing_list, attest=attest)
    (reason,) = refused.value.reasons
    assert reason.startswith("say who decided to ask, on what ground")


def test_an_empty_phrase_is_no_attestation(database: Database) -> None:
    mailing_list = make_list(database, privacy_url="")
    make_contact(database, mailing_list)
    with pytest.raises(LaunchRefused) as refused:
        start(database, mailing_list, attest="x")
    assert "where your privacy statement is" in refused.value.reasons[0]
    assert refused.value.reasons[1].startswith("this says too little: ")
    assert not Campaign.select().exists()


def test_a_refused_launch_gives_all_reasons_and_changes_nothing(database: Database) -> None:
    mailing_list = make_list(database, privacy_url="")
    with pytest.raises(LaunchRefused) as refused:
        start(database, mailing_list, attest="")
    assert len(refused.value.reasons) == 3
    for table in (Campaign, Mail, Evidence, Wording):
        assert not table.select().exists()


def test_another_number_than_the_admin_was_told_is_refused(database: Database) -> None:
    mailing_list = make_list(database)
    make_contact(database, mailing_list)
    with pytest.raises(LaunchRefused, match="2 were to be asked, and now there are 1") as refused:
        start(database, mailing_list, expected=2)
    assert len(refused.value.reasons) == 1
    assert not Campaign.select().exists()
    assert start(database, mailing_list, expected=1).plan.asked == 1


def test_a_plan_that_does_not_hold_any_more_is_made_anew(database: Database) -> None:
    mailing_list = MailingList.get_by_id(make_list(database, languages=("de",)).id)
    make_contact(database, mailing_list)

    def plan() -> Plan:
        settings = make_settings()
        return plan_launch(mailing_list, settings=settings, now=NOW, deadline=DEADLINE)

    seen = plan()
    make_contact(database, mailing_list, language="de")
    with pytest.raises(LaunchRefused, match="1 were to be asked, and now there are 2"):
        start(database, mailing_list, plan=seen, expected=1)
    start(database, mailing_list, plan=seen, expected=None)
    assert {one.language for one in CampaignWording.select()} == {"de", "nl"}


@pytest.mark.parametrize("what", ["purpose", "further language", "own words there"])
def test_what_changes_while_mails_are_drafted_is_not_launched_unseen(
    database: Database, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    mailing_list = MailingList.get_by_id(make_list(database, languages=("de",)).id)
    make_contact(database, mailing_list)
    plan = plan_launch(mailing_list, settings=make_settings(), now=NOW, deadline=DEADLINE)

    def change_before(*args: Any) -> MailingList:
        changes: dict[str, Any] = {
            "purpose": MailingList.update(purpose="Aanbiedingen, vier keer per jaar"),
            "further language": ListText.delete(),
            "own words there": ListText.update(own_subject="Dürfen wir?"),
        }
        changes[what].execute()
        return lock_list(*args)

    monkeypatch.setattr("repermit.campaigns.launch.lock_list", change_before)
    with pytest.raises(LaunchRefused, match="Something has changed meanwhile"):
        start(database, mailing_list, plan=plan, expected=1)
    assert not Campaign.select().exists()


def test_answers_that_come_meanwhile_have_nothing_worded_anew(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or where they come all the time, a launch in many languages would never come through."""
    mailing_list = MailingList.get_by_id(make_list(database, languages=("de",)).id)
    people = [make_contact(database, mailing_list, language="de") for _ in range(3)]
    worded: list[str] = []

    def draft(*args: Any, language: str, **rest: Any) -> Any:
        worded.append(language)
        return draft_wording(*args, language=language, **rest)

    def say_no_before(*args: Any) -> Any:
        if len(people) > 1:
            Contact.update(status="removed").where(Contact.id == people.pop().id).execute()
        return read_launch_state(*args)

    monkeypatch.setattr("repermit.campaigns.launch.draft_wording", draft)
    monkeypatch.setattr("repermit.campaigns.launch.read_launch_state", say_no_before)
    assert start(database, mailing_list).plan.asked == 1
    assert worded == ["de", "nl"]


def test_a_second_launch_is_refused_while_the_first_is_live(database: Database) -> None:
    mailing_list = make_list(database)
    make_contact(database, mailing_list)
    start(database, mailing_list)
    with pytest.raises(LaunchRefused, match="under way"):
        start(database, mailing_list)


def test_what_the_database_says_of_the_list_counts(database: Database) -> None:
    mailing_list = make_list(database)
    make_contact(database, mailing_list)
    with database.atomic():
        MailingList.update(privacy_url="").execute()
    with pytest.raises(LaunchRefused, match="where your privacy statement is"):
        start(database, mailing_list)


# --- Pilots. ------------------------------------------------------------------------------------


@pytest.mark.parametrize("starts_in", [timedelta(), timedelta(days=1)])
def test_a_pilot_is_asked_first_and_the_others_wait(
    database: Database, starts_in: timedelta
) -> None:
    mailing_list = make_list(database)
    for _ in range(5):
        make_contact(database, mailing_list)
    launched = start(database, mailing_list, pilot=2, starts_at=NOW + starts_in)
    assert (launched.pilot, launched.plan.asked) == (2, 5)
    assert Campaign.get().pilot == 2
    due = [mail.due_at for mail in Mail.select().order_by(Mail.id)]
    assert due == [NOW + starts_in] * 2 + [AFTER_PILOT] * 3
    assert json.loads(EvidencePart.get().json)["pilot"] == 2


@pytest.mark.parametrize("pilot", [0, 3, 4])
def test_a_pilot_of_nobody_or_everybody_is_none(database: Database, pilot: int) -> None:
    mailing_list = make_list(database)
    for _ in range(3):
        make_contact(database, mailing_list)
    assert start(database, mailing_list, pilot=pilot).pilot == 0
    assert Campaign.get().pilot == 0
    assert {mail.due_at for mail in Mail.select()} == {NOW}


def test_who_is_suppressed_takes_no_place_in_a_pilot(database: Database) -> None:
    mailing_list = make_list(database)
    for number in range(4):
        make_contact(database, mailing_list, f"{number}@example.org")
    settings = make_settings()
    with database.atomic():
        Suppression.create(
            list=None,
            fingerprint=email_address.fingerprint(settings.fingerprint_key, "0@example.org"),
            subject="",
            reason="no",
            at=NOW,
        )
    start(database, mailing_list, pilot=2)
    asked = Contact.select().join(Mail).where(Mail.due_at == NOW).order_by(Contact.id)
    assert [contact.address for contact in asked] == ["1@example.org", "2@example.org"]


# --- Reminders. ---------------------------------------------------------------------------------


def test_a_reminder_is_planned_and_its_wording_frozen(database: Database) -> None:
    mailing_list = make_list(database, own_subject="Mogen wij?")
    make_contact(database, mailing_list, language="fr")
    launched = start(database, mailing_list, reminder=7)
    at = DEADLINE - timedelta(days=7) + timedelta(hours=1)  # the clocks go forward in between
    assert launched.plan.reminder_at == Campaign.get().reminder_at == at
    rows = CampaignWording.select().where(CampaignWording.kind == MailKind.REMINDER)
    digests = {row.language: row.wording_id for row in rows}
    assert set(digests) == {"fr", "nl"}
    draft = frozen_draft.read_draft(Wording.get_by_id(digests["nl"]).content)
    assert (draft.kind, draft.deadline) == ("reminder", DEADLINE)
    # There is no room for its hour, and the day alone would say more than is left.
    assert draft.subject == "Nieuws van de praktijk: herinnering."
    ask = CampaignWording.get(kind=MailKind.ASK, language="nl").wording
    assert "vraagt u dit." in ask.content
    assert "vraagt het u één keer" not in ask.content
    kept = json.loads(EvidencePart.get().json)
    assert kept["reminder_wordings"] == digests
    assert kept["reminder_at"] == "2026-03-23T10:00:00.000000+00:00"
    assert REMINDER_NOTE in launched.plan.notes


def test_without_a_reminder_there_is_no_wording_for_one(database: Database) -> None:
    mailing_list = make_list(database)
    make_contact(database, mailing_list)
    assert REMINDER_NOTE not in start(database, mailing_list).plan.notes
    assert Campaign.get().reminder_at is None
    assert "vraagt het u één keer." in CampaignWording.get().wording.content
    assert [row.kind for row in CampaignWording.select()] == ["ask"]
    kept = json.loads(EvidencePart.get().json)
    assert (kept["reminder_at"], kept.get("reminder_wordings")) == ("", None)
