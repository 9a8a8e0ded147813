"""Mails with a checkpoint to witnesses: when, to whom, what they hold, and what fails."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from repermit.campaigns import lifecycle
from repermit.checks.database import check_database
from repermit.db.connection import Database
from repermit.db.models.base import Meta
from repermit.db.models.campaigns import Campaign
from repermit.db.models.mails import Mail
from repermit.evidence import (
    chain,
    checkpoint_mails,
    cosignature_request,
    cosigned_checkpoints,
    signed_checkpoint,
    stored_tree,
)
from repermit.evidence.entries import Entry
from repermit.evidence.signed_note import Note
from repermit.jobs.periodic_jobs import Jobs
from repermit.rules.consent import CampaignState, MailKind, MailState
from repermit.settings.definitions import EvidenceRules
from tests.support.builders import DEADLINE, make_settings
from tests.support.inbox import Inbox
from tests.support.sending_campaign import Story, mail_settings, make_story
from tests.support.witness import Witness, serving

DAY = timedelta(days=1)
OFFICER, ACCOUNTANT = "officer@example.org", "books@example.com"
KEY = bytes(range(32))
OWN = signed_checkpoint.get_public_key(make_settings(evidence_key=KEY))


@pytest.fixture
def story(database: Database, database_url: str, inbox: Inbox) -> Story:
    settings = replace(
        mail_settings(database_url, inbox.port),
        evidence_key=KEY,
        evidence=EvidenceRules(witnesses=(OFFICER, ACCOUNTANT)),
    )
    return make_story(database, settings)


def enqueue(story: Story) -> int:
    return checkpoint_mails.enqueue_checkpoint_mails(
        story.database, settings=story.settings, now=story.clock.now()
    )


def record(story: Story) -> None:
    with story.database.atomic():
        chain.append(Entry(event="list_changed", at=story.clock.now(), actor="cli:0", list="news"))


def text_of(received: object) -> str:
    body = received.message.get_body(("plain",))  # type: ignore[attr-defined]
    return str(body.get_content())


def unreached(story: Story) -> list[str]:
    witnesses = story.settings.evidence.witnesses
    found = check_database(
        story.database, None, now=story.clock.now(), witnesses=witnesses
    ).findings
    return [one.found for one in found if one.code == "database_witnesses"]


# --- When, and to whom. ---------------------------------------------------------------------------


def test_each_witness_gets_one_at_launch_each_day_at_the_deadline_and_at_closing(
    story: Story,
) -> None:
    assert enqueue(story) == 2  # launch, and that day
    assert enqueue(story) == 0
    story.clock.advance(DAY)
    assert enqueue(story) == 2
    story.clock.advance(DEADLINE - story.clock.now())
    assert enqueue(story) == 2  # the deadline, and that day
    story.change(story.campaign, state=CampaignState.CLOSED, closed_at=DEADLINE)
    assert enqueue(story) == 2
    story.clock.advance(DAY)
    assert enqueue(story) == 0


def test_each_witness_gets_one_when_a_campaign_is_cancelled(story: Story, inbox: Inbox) -> None:
    enqueue(story)
    now = story.clock.now()
    lifecycle.cancel_campaign(story.database, story.mailing_list, now=now, actor="cli:0")
    assert enqueue(story) == 2
    story.send()
    assert len(inbox.to(OFFICER)) == 2
    story.clock.advance(DEADLINE - now)
    assert enqueue(story) == 0


def test_without_witnesses_nothing_is_enqueued(story: Story) -> None:
    story.settings = replace(story.settings, evidence=EvidenceRules())
    assert enqueue(story) == 0
    assert not Mail.select().exists()


def test_nobody_gets_two_for_one_occasion_however_many_processes_do_it(story: Story) -> None:
    def do(_: int) -> int:
        with story.database.connection_context():
            return enqueue(story)

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(do, range(4))) == 2


def test_the_job_enqueues_them(story: Story) -> None:
    jobs = Jobs(story.settings, story.database, clock=story.clock, stopping=threading.Event())
    for _ in range(2):
        jobs.send_checkpoints_to_witnesses()
    assert Mail.select().where(Mail.kind == MailKind.NOTICE).count() == 2


# --- What it holds. -------------------------------------------------------------------------------


def test_it_holds_the_signed_checkpoint_of_then_and_says_what_to_do(
    story: Story, inbox: Inbox
) -> None:
    record(story)
    then = stored_tree.checkpoint()
    enqueue(story)
    record(story)
    assert story.send().sent == 2
    for address in (OFFICER, ACCOUNTANT):
        for received in inbox.to(address):
            text = text_of(received)
            (line,) = [one for one in text.splitlines() if one.startswith("{")]
            kept = signed_checkpoint.read_checkpoint_copy(line)
            assert (kept.seq, kept.hash, kept.root) == (then.seq, then.hash, then.root)
            key = signed_checkpoint.get_public_key(story.settings)
            assert key
            assert Note.read(kept.note).list_signers([key]) == [key]
            # The whole mail will do, as a mail program saves it.
            for head in ("", "From officer@example.org Mon Mar  2 09:00:00 2026\n"):
                saved = head + received.raw.decode()
                assert signed_checkpoint.read_checkpoint_copy(saved) == kept
            assert "repermit verify --checkpoint checkpoint.json" in text
            assert received.rcpt_tos == (address,)


def test_it_names_neither_the_list_nor_anybody_on_it(story: Story, inbox: Inbox) -> None:
    story.change(story.owe("jan@example.net"), state=MailState.SENT)
    enqueue(story)
    story.send()
    for received in inbox.mails:
        assert b"jan@" not in received.raw
        assert story.mailing_list.name not in text_of(received)


def test_no_address_of_a_witness_stands_in_the_database(story: Story) -> None:
    enqueue(story)
    assert not [mail.topic for mail in Mail.select() if "@" in mail.topic]


def test_who_is_named_no_more_gets_nothing_any_more(story: Story, inbox: Inbox) -> None:
    enqueue(story)
    story.settings = replace(story.settings, evidence=EvidenceRules(witnesses=(OFFICER,)))
    story.send()
    assert inbox.to(ACCOUNTANT) == ()
    assert len(inbox.to(OFFICER)) == 1
    assert unreached(story) == []


@pytest.fixture
def program() -> Iterator[Witness]:
    assert OWN
    with serving(Witness(OWN.name, OWN.public)) as found:
        yield found


def add_program(story: Story, program: Witness) -> Callable[[], None]:
    """Name a program as a witness too, of a record that has begun; return what the job does."""
    record(story)
    rules = story.settings.evidence
    rules = replace(rules, witness_url=program.url, witness_key=program.vkey)
    story.settings = replace(story.settings, evidence=rules)
    jobs = Jobs(story.settings, story.database, clock=story.clock, stopping=threading.Event())
    return jobs.send_checkpoints_to_witnesses


def notes_to(inbox: Inbox, address: str) -> list[str]:
    lines = [line for one in inbox.to(address) for line in text_of(one).splitlines()]
    documents = (line for line in lines if line.startswith("{"))
    return [signed_checkpoint.read_checkpoint_copy(document).note for document in documents]


def test_it_holds_the_note_that_a_program_has_cosigned_on_that_occasion(
    story: Story, inbox: Inbox, program: Witness
) -> None:
    add_program(story, program)()
    assert story.send().sent == 2
    (kept,) = cosigned_checkpoints.read_stored_checkpoints()
    for address in (OFFICER, ACCOUNTANT):
        assert notes_to(inbox, address) == [kept.note]
    witness = cosigned_checkpoints.read_witness_key(story.settings)
    assert OWN
    assert witness
    assert Note.read(kept.note).list_signers([OWN, witness]) == [OWN, witness]


def test_every_attempt_holds_the_same_note_whatever_was_cosigned_since(
    story: Story, inbox: Inbox, program: Witness
) -> None:
    run = add_program(story, program)
    inbox.reply_to_rcpt = lambda address: "450 4.2.0 later" if address == OFFICER else None
    run()
    story.send()
    inbox.reply_to_rcpt = lambda _: None
    # The same checkpoint once more, by a clock that goes wrong.
    story.clock.advance(DAY)
    program.now -= 1000
    run()
    story.send()
    first, again = cosigned_checkpoints.read_notes()
    assert first != again
    assert sorted(notes_to(inbox, OFFICER)) == sorted(notes_to(inbox, ACCOUNTANT))
    assert set(notes_to(inbox, OFFICER)) == {first, again}


def test_a_program_that_fails_delays_no_mail_which_then_stays_as_it_is(
    story: Story, inbox: Inbox, program: Witness
) -> None:
    run = add_program(story, program)
    program.answers = "down"
    run()
    program.answers = "well"
    story.clock.advance(timedelta(hours=1))
    run()
    assert len(cosigned_checkpoints.read_notes()) == 1
    story.send()
    assert notes_to(inbox, OFFICER) == [
        signed_checkpoint.make_signed_checkpoint(story.settings).note
    ]


def test_a_note_that_a_program_cosigned_on_an_earlier_occasion_alone_is_not_taken(
    story: Story, inbox: Inbox, program: Witness
) -> None:
    add_program(story, program)
    cosignature_request.request_cosignatures(
        story.database, settings=story.settings, clock=story.clock
    )
    (earlier,) = cosigned_checkpoints.read_stored_checkpoints()
    record(story)
    program.answers = "down"
    story.clock.advance(DAY)
    assert enqueue(story) == 2  # launch and its day, cosigned; and the next day
    story.send()
    point = signed_checkpoint.make_signed_checkpoint(story.settings)
    assert point.seq > earlier.seq
    assert notes_to(inbox, OFFICER) == [point.note]


def test_a_cosigned_note_that_is_gone_leaves_the_signed_one(
    story: Story, inbox: Inbox, program: Witness
) -> None:
    add_program(story, program)()
    with story.database.atomic():
        Meta.delete().where(Meta.key.startswith("cosigned")).execute()
    story.send()
    assert notes_to(inbox, OFFICER) == [
        signed_checkpoint.make_signed_checkpoint(story.settings).note
    ]


# --- What fails. ----------------------------------------------------------------------------------


def test_a_refusal_for_now_is_tried_again_and_told_meanwhile(story: Story, inbox: Inbox) -> None:
    inbox.reply_to_rcpt = lambda address: "450 4.2.0 later" if address == OFFICER else None
    enqueue(story)
    story.send()
    assert unreached(story) == [f"The last checkpoint by mail has not reached {OFFICER}."]
    inbox.reply_to_rcpt = lambda _: None
    story.clock.advance(timedelta(hours=1))
    story.send()
    assert len(inbox.to(OFFICER)) == 1
    assert unreached(story) == []


def test_a_refusal_for_good_is_told_until_the_next_one_arrives_and_stops_no_campaign(
    story: Story, inbox: Inbox
) -> None:
    inbox.reply_to_rcpt = lambda address: "550 5.1.1 unknown" if address == OFFICER else None
    enqueue(story)
    story.owe("jan@example.net")
    story.send()
    assert unreached(story) == [f"The last checkpoint by mail has not reached {OFFICER}."]
    assert len(inbox.to("jan@example.net")) == 1
    assert Campaign.get().state in {CampaignState.SENDING, CampaignState.OPEN}
    inbox.reply_to_rcpt = lambda _: None
    story.clock.advance(DAY)
    enqueue(story)
    story.send()
    assert unreached(story) == []


def test_a_mail_to_a_witness_that_came_back_is_told(story: Story) -> None:
    enqueue(story)
    story.send()
    assert unreached(story) == []
    with story.database.atomic():
        Mail.update(bounce="hard").execute()
    assert unreached(story) == [
        f"The last checkpoint by mail has not reached {OFFICER}, {ACCOUNTANT}."
    ]
