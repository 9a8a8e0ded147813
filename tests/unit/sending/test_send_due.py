"""Sending: what goes out, what is dropped instead, and what a refusal leads to."""

from __future__ import annotations

import json
import logging
import socket
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from email.message import EmailMessage
from typing import Any

import pytest

from repermit.contacts import lookup, status_changes
from repermit.contacts.status_changes import Act
from repermit.db.connection import Database
from repermit.db.models.campaigns import Campaign
from repermit.db.models.contacts import Contact, Suppression
from repermit.db.models.evidence import Evidence
from repermit.db.models.lists import MailingList
from repermit.db.models.mails import Mail, Pace
from repermit.i18n.lazy_text import LazyText
from repermit.rules.consent import (
    Basis,
    CampaignState,
    Dropped,
    MailKind,
    MailState,
    Reason,
    Status,
)
from repermit.sending import server_faults
from repermit.sending.refusals_and_retries import compute_wait
from repermit.sending.send_due import SendProgress, SendResult
from repermit.sending.server_faults import ServerFault
from repermit.sending.worker_lock import Worker
from tests.support.builders import DEADLINE, NOW, make_campaign, make_contact, make_list
from tests.support.chain_faults import iter_chain_faults
from tests.support.inbox import HANG_UP, Inbox
from tests.support.mail_builders import make_closing_news, make_news
from tests.support.scripted_smtp_server import ScriptedServer
from tests.support.sending_campaign import (
    Story,
    again,
    mail_settings,
    make_story,
    make_wording,
    state_of,
)

TINY = timedelta(microseconds=1)
LATEST = DEADLINE - timedelta(days=14)


@pytest.fixture
def story(database: Database, database_url: str, inbox: Inbox) -> Story:
    return make_story(database, mail_settings(database_url, inbox.port))


def campaign_now(story: Story) -> Campaign:
    found: Campaign = Campaign.get_by_id(story.campaign.id)
    return found


def contact_of(mail: Mail) -> Contact:
    found: Contact = Contact.get_by_id(mail.contact_id)
    return found


def suppress(story: Story, contact: Contact, mailing_list: MailingList | None) -> None:
    key = story.settings.fingerprint_key
    with story.database.connection_context(), story.database.atomic():
        Suppression.create(
            list=mailing_list,
            fingerprint=lookup.make_fingerprint(contact, key),
            subject=contact.subject,
            reason=Reason.REQUEST,
            at=NOW,
        )


def remove(story: Story, contact: Contact, reason: Reason) -> None:
    with story.database.connection_context(), story.database.atomic():
        status_changes.remove_contacts(
            [lookup.lock_contact(contact.id)],
            reason=reason,
            act=Act(at=NOW, actor="person"),
            fingerprint_key=story.settings.fingerprint_key,
        )


def confirm(story: Story, contact: Contact) -> None:
    with story.database.connection_context(), story.database.atomic():
        status_changes.confirm_contact(
            lookup.lock_contact(contact.id),
            basis=Basis.ANSWER,
            act=Act(at=NOW, actor="person"),
            fingerprint_key=story.settings.fingerprint_key,
        )


# --- What goes out.


def test_an_ask_is_sent_once_and_marked(story: Story, inbox: Inbox) -> None:
    mail = story.owe("jan@example.org")
    assert story.send() == SendResult(sent=1)
    assert story.send() == SendResult()
    (received,) = inbox.mails
    row = again(mail)
    assert received.rcpt_tos == ("jan@example.org",)
    assert (row.state, row.sent_at, row.attempts) == (MailState.SENT, NOW, 1)
    assert (row.reply_code, row.reply_status, row.started_at) == (250, "2.0.0", NOW)
    assert row.lease_until is None
    assert received.message["Message-ID"] == row.message_id != ""


def test_the_oldest_goes_first_and_what_is_not_due_waits(story: Story, inbox: Inbox) -> None:
    second = story.owe("second@example.org", due_at=NOW)
    first = story.owe("first@example.org", due_at=NOW - TINY)
    waits = story.owe("waits@example.org", due_at=NOW + TINY)
    assert story.send() == SendResult(sent=2, waiting=1)
    assert [mail.rcpt_tos[0] for mail in inbox.mails] == ["first@example.org", "second@example.org"]
    assert [state_of(mail)[0] for mail in (first, second, waits)] == ["sent", "sent", "queued"]


def test_what_a_clock_that_was_ahead_put_off_for_its_domain_goes_at_once(
    story: Story, inbox: Inbox
) -> None:
    wrong = NOW + timedelta(days=3)
    with story.database.atomic():
        Pace.create(scope="@example.org", next_at=wrong)
    put_off = story.owe("put-off@example.org", due_at=wrong)
    receipt = story.owe("receipt@example.org", kind=MailKind.RECEIPT, due_at=wrong)
    refused = story.owe("refused@example.org", reply_code=452, due_at=wrong)
    mail = replace(story.settings.mail, domain_rate_per_minute=60)
    assert story.send(settings=replace(story.settings, mail=mail)).sent == 1
    assert [mail.rcpt_tos[0] for mail in inbox.mails] == ["put-off@example.org"]
    assert [state_of(mail)[0] for mail in (put_off, receipt, refused)] == [
        "sent",
        "queued",
        "queued",
    ]


OVER = (CampaignState.CANCELLED, CampaignState.CLOSED)


@pytest.mark.parametrize(
    "state",
    [state for state in CampaignState if state not in {CampaignState.SENDING, *OVER}],
)
def test_only_a_campaign_that_is_sending_asks(
    story: Story, inbox: Inbox, state: CampaignState
) -> None:
    mail = story.owe()
    story.change(story.campaign, state=state)
    assert story.send() == SendResult(waiting=1)
    assert state_of(mail) == ("queued", "")
    assert not inbox.mails


def test_one_list_can_be_sent_alone(story: Story, inbox: Inbox) -> None:
    mine = story.owe("mine@example.org")
    other = make_list(story.database, slug="other")
    confirming = story.owe_confirm("other@example.org")
    story.change(confirming, list=other)
    assert story.send(mailing_list=story.mailing_list) == SendResult(sent=1)
    assert story.send(mailing_list=story.mailing_list) == SendResult()
    assert state_of(mine)[0] == "sent"
    assert state_of(confirming)[0] == "queued"
    assert story.send(mailing_list=other) == SendResult(sent=1)
    assert len(inbox.mails) == 2


def test_a_contact_whose_proof_is_thin_is_asked_if_the_campaign_says_so(
    story: Story, inbox: Inbox
) -> None:
    thin = {"status": Status.CONFIRMED, "basis": Basis.THIN}
    mail = story.owe(contact=make_contact(story.database, story.mailing_list, **thin))
    story.change(story.campaign, include_thin=True)
    assert story.send() == SendResult(sent=1)
    other = story.owe(contact=make_contact(story.database, story.mailing_list, **thin))
    story.change(story.campaign, include_thin=False, state=CampaignState.SENDING)
    assert story.send() == SendResult(dropped=1)
    assert (state_of(mail)[0], state_of(other)) == ("sent", ("dropped", "answered"))
    assert len(inbox.mails) == 1


def test_with_nothing_due_no_server_is_needed(database: Database, database_url: str) -> None:
    story = make_story(database, mail_settings(database_url, 1))
    assert story.send() == SendResult()


def test_a_run_can_be_stopped_between_two_mails(story: Story, inbox: Inbox) -> None:
    for _ in range(3):
        story.owe()
    assert story.send(should_stop=lambda: bool(inbox.mails)) == SendResult(sent=1, waiting=2)


def test_a_run_tells_how_far_it_is(story: Story) -> None:
    sent, dropped = story.owe(), story.owe()
    remove(story, contact_of(dropped), Reason.NO)
    story.change(dropped, state=MailState.QUEUED)
    told: list[SendProgress] = []
    story.send(on_step=told.append)
    # What is dropped is so already when the mails are claimed.
    assert told == [
        SendProgress(dropped.id, MailState.DROPPED, 1),
        SendProgress(sent.id, MailState.SENT, 2),
    ]


def test_a_worker_that_is_given_claims_the_mails(story: Story) -> None:
    mail = story.owe()
    with Worker.register(story.settings) as worker:
        story.send(worker=worker)
    assert again(mail).worker == worker.id


def test_no_address_or_link_is_logged(
    story: Story, inbox: Inbox, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    answers = {"gone@example.org": "550 5.1.1 gone@example.org is unknown"}
    inbox.reply_to_rcpt = answers.get
    mails = [story.owe(address) for address in ("jan@example.org", "gone@example.org")]
    assert story.send() == SendResult(sent=1, failed=1)
    lines = [line.getMessage() for line in caplog.records if line.name.startswith("repermit")]
    assert lines == [f"mail {mails[0].id}: sent", f"mail {mails[1].id}: failed"]
    inbox.stop()
    story.owe_confirm("late@example.org")
    fault = str(story.send().server_fault)
    assert "cannot be" in fault
    lines = [line.getMessage() for line in caplog.records if line.name.startswith("repermit")]
    assert not any("@" in line or "ask.example.org" in line for line in (fault, *lines))


# --- When everybody has been asked.


def test_a_campaign_that_has_asked_everybody_is_open(story: Story) -> None:
    story.owe()
    story.clock.advance(timedelta(hours=1))
    story.send()
    campaign = campaign_now(story)
    assert (campaign.state, campaign.opened_at) == ("open", story.clock.now())


@pytest.mark.parametrize("state", [MailState.QUEUED, MailState.CLAIMED, MailState.STARTED])
def test_a_campaign_with_asks_on_their_way_is_still_sending(story: Story, state: MailState) -> None:
    with Worker.register(story.settings) as worker:
        lease = NOW + timedelta(minutes=5)
        due = NOW + timedelta(hours=1)
        story.owe(state=state, worker=worker.id, lease_until=lease, due_at=due)
        story.send()
        assert campaign_now(story).state == "sending"


@pytest.mark.parametrize("state", [MailState.SENT, MailState.FAILED, MailState.IN_DOUBT])
def test_a_campaign_whose_asks_have_come_to_an_end_is_open(story: Story, state: MailState) -> None:
    story.owe(state=state)
    story.send()
    assert campaign_now(story).state == "open"


def test_a_paused_campaign_stays_paused(story: Story) -> None:
    story.change(story.campaign, state=CampaignState.PAUSED)
    story.send()
    assert campaign_now(story).state == "paused"


# --- What is dropped instead.


def test_who_has_answered_is_not_asked(story: Story, inbox: Inbox) -> None:
    yes, no, bounced = story.owe(), story.owe(), story.owe()
    confirm(story, contact_of(yes))
    remove(story, contact_of(no), Reason.NO)
    remove(story, contact_of(bounced), Reason.BOUNCE)
    for mail in (yes, no, bounced):
        story.change(mail, state=MailState.QUEUED, reason="")
    assert story.send() == SendResult(dropped=3)
    reasons = [state_of(mail)[1] for mail in (yes, no, bounced)]
    assert reasons == [Dropped.ANSWERED, Dropped.ANSWERED, Dropped.SUPPRESSED]
    assert not inbox.mails


@pytest.mark.parametrize("everywhere", [True, False])
def test_a_suppressed_address_is_not_asked(story: Story, inbox: Inbox, everywhere: bool) -> None:
    mail = story.owe()
    suppress(story, contact_of(mail), None if everywhere else story.mailing_list)
    assert story.send() == SendResult(dropped=1)
    assert state_of(mail) == ("dropped", "suppressed")
    assert not inbox.mails


def test_a_suppression_of_another_list_is_no_obstacle(story: Story) -> None:
    mail = story.owe()
    suppress(story, contact_of(mail), make_list(story.database, slug="other"))
    assert story.send() == SendResult(sent=1)


@pytest.mark.parametrize(
    ("moment", "result"),
    [
        (LATEST - TINY, SendResult(sent=1)),
        (LATEST, SendResult(sent=1)),
        (LATEST + TINY, SendResult(dropped=1)),
    ],
)
def test_an_ask_goes_out_until_the_last_moment_that_leaves_time_to_answer(
    story: Story, moment: datetime, result: SendResult
) -> None:
    mail = story.owe()
    story.clock.move_to(moment)
    assert story.send() == result
    expected = ("sent", "") if result.sent else ("dropped", "too_late")
    assert state_of(mail) == expected


# --- Between the claim and the start.


# They happen in the server's thread, on a connection of its own.
def pause(story: Story, _mail: Mail) -> None:
    story.change(story.campaign, state=CampaignState.PAUSED)


def cancel(story: Story, _mail: Mail) -> None:
    story.change(story.campaign, state=CampaignState.CANCELLED)


def answer_yes(story: Story, mail: Mail) -> None:
    confirm(story, contact_of(mail))


def answer_no(story: Story, mail: Mail) -> None:
    remove(story, contact_of(mail), Reason.NO)


def suppress_everywhere(story: Story, mail: Mail) -> None:
    suppress(story, contact_of(mail), None)


def take_too_long(story: Story, _mail: Mail) -> None:
    story.clock.move_to(LATEST + TINY)


@pytest.mark.parametrize(
    ("happens", "state"),
    [
        (pause, ("queued", "")),
        (cancel, ("dropped", "cancelled")),
        (answer_yes, ("dropped", "answered")),
        (answer_no, ("dropped", "answered")),
        (suppress_everywhere, ("dropped", "suppressed")),
        (take_too_long, ("dropped", "too_late")),
    ],
)
def test_what_happens_until_the_start_still_stops_a_mail(
    story: Story, inbox: Inbox, happens: Callable[[Story, Mail], None], state: tuple[str, str]
) -> None:
    mail = story.owe("jan@example.org")

    def reply(_address: str) -> None:
        with story.database.connection_context():
            happens(story, mail)

    inbox.reply_to_rcpt = reply
    result = story.send()
    assert not inbox.mails
    assert state_of(mail) == state
    assert again(mail).attempts == 0
    assert (result.dropped, result.waiting) == ((1, 0) if state[0] == "dropped" else (0, 1))


def test_a_mail_that_another_worker_has_taken_over_is_left_to_it(
    story: Story, inbox: Inbox
) -> None:
    mail = story.owe()

    def take_over(_address: str) -> None:
        story.change(mail, worker="another")

    inbox.reply_to_rcpt = take_over
    # The other one is dead, so that at the end of the run the mail waits for anybody.
    assert story.send() == SendResult(waiting=1)
    assert (again(mail).state, again(mail).worker) == ("queued", "")
    assert not inbox.mails


def test_a_mail_that_is_gone_is_not_sent(story: Story, inbox: Inbox) -> None:
    mail = story.owe_confirm("jan@example.org")

    def forget(_address: str) -> None:
        with story.database.connection_context(), story.database.atomic():
            Mail.delete().where(Mail.id == mail.id).execute()

    inbox.reply_to_rcpt = forget
    assert story.send() == SendResult()
    assert not inbox.mails


def test_after_a_mail_that_was_stopped_the_next_one_goes_on_a_new_connection(
    database: Database, database_url: str
) -> None:
    def answer() -> str:
        with database.connection_context():
            answer_no(story, stopped)
        return "250 OK"

    with ScriptedServer(RCPT=[answer, "250 OK"]) as server:
        story = make_story(database, mail_settings(database_url, server.port))
        stopped, _ = story.owe(), story.owe()
        assert story.send() == SendResult(sent=1, dropped=1)
        assert server.has_been_cut_off.wait(60)
        # Nothing of the next mail got into the one that was stopped.
        assert (server.unfinished, len(server.mails), server.connections) == ([b""], 1, 2)


# --- Refusals.


@pytest.mark.parametrize(
    ("attempts", "minutes"), [(1, 1), (2, 4), (3, 16), (4, 64), (5, 240), (6, 240), (900, 240)]
)
def test_waits_grow_to_four_hours(attempts: int, minutes: int) -> None:
    assert compute_wait(attempts) == timedelta(minutes=minutes)


@pytest.mark.parametrize("where", ["rcpt", "data"])
def test_a_refusal_for_now_is_tried_again_later(story: Story, inbox: Inbox, where: str) -> None:
    mail = story.owe()
    refuse(inbox, where, "451 4.3.0 later")
    for attempts, minutes in ((1, 1), (2, 4), (3, 16)):
        assert story.send() == SendResult(waiting=1)
        row = again(mail)
        due = story.clock.now() + timedelta(minutes=minutes)
        assert (row.state, row.attempts, row.due_at) == ("queued", attempts, due)
        assert (row.reply_code, row.reply_status, row.started_at) == (451, "4.3.0", None)
        story.clock.move_to(due - TINY)
        assert story.send() == SendResult(waiting=1)
        story.clock.move_to(due)
    refuse(inbox, where, None)
    assert story.send() == SendResult(sent=1)
    assert again(mail).attempts == 4


def refuse(inbox: Inbox, where: str, reply: str | None) -> None:
    if where == "rcpt":
        inbox.reply_to_rcpt = lambda _address: reply
    else:
        inbox.reply_to_data = lambda _mail: reply


@pytest.mark.parametrize(
    ("early", "state"),
    [
        (timedelta(minutes=1) + TINY, ("queued", "")),
        (timedelta(minutes=1), ("queued", "")),
        (timedelta(minutes=1) - TINY, ("dropped", "too_late")),
    ],
)
def test_there_is_no_waiting_beyond_the_last_moment(
    story: Story, inbox: Inbox, early: timedelta, state: tuple[str, str]
) -> None:
    mail = story.owe()
    refuse(inbox, "rcpt", "450 4.2.0 greylisted")
    story.clock.move_to(LATEST - early)
    story.send()
    assert state_of(mail) == state


@pytest.mark.parametrize("where", ["rcpt", "data"])
def test_a_mailbox_that_is_not_there_ends_in_a_removal(
    story: Story, inbox: Inbox, where: str
) -> None:
    mail = story.owe("gone@example.org")
    refuse(inbox, where, "550 5.1.1 gone@example.org is unknown")
    assert story.send() == SendResult(failed=1)
    assert state_of(mail) == ("failed", "recipient")
    contact = Contact.get_by_id(mail.contact_id)
    assert (contact.status, contact.reason) == (Status.REMOVED, Reason.BOUNCE)
    assert Suppression.get().reason == Reason.BOUNCE
    assert Evidence.get().event == "removed"
    assert not list(iter_chain_faults())
    assert (again(mail).reply_code, again(mail).reply_status) == (550, "5.1.1")
    assert campaign_now(story).state == "open"


def test_who_answered_while_the_mail_bounced_stays(story: Story, inbox: Inbox) -> None:
    mail = story.owe()
    contact = Contact.get()

    def answer(_mail: object) -> str:
        confirm(story, contact)
        return "550 5.1.1 unknown"

    inbox.reply_to_data = answer
    assert story.send() == SendResult(failed=1)
    assert state_of(mail)[0] == "failed"
    assert Contact.get().status == Status.CONFIRMED


def test_any_other_refusal_for_good_removes_nobody(story: Story, inbox: Inbox) -> None:
    mail = story.owe()
    refuse(inbox, "data", "554 5.6.0 no")
    assert story.send() == SendResult(failed=1)
    assert state_of(mail) == ("failed", "message")
    assert Contact.get().status == Status.UNCONFIRMED


def test_a_mail_without_wording_fails_alone(story: Story, inbox: Inbox) -> None:
    other = make_list(story.database, slug="other")
    bare = make_campaign(story.database, other, state=CampaignState.SENDING)
    mail = story.owe(
        contact=make_contact(story.database, other), campaign=bare, list=other, due_at=NOW - TINY
    )
    story.owe()
    assert story.send() == SendResult(sent=1, failed=1)
    assert state_of(mail) == ("failed", "not_made")
    assert len(inbox.mails) == 1


# --- The server's own faults.


def test_what_stands_in_the_way_is_told_until_a_mail_leaves_again(
    story: Story, inbox: Inbox
) -> None:
    story.owe()
    assert server_faults.read_last_fault() is None
    began = story.clock.now()
    refuse(inbox, "rcpt", "550 5.4.5 Daily limit exceeded")
    story.send()
    story.clock.advance(timedelta(hours=1))
    story.send()
    reason = LazyText("the mail server refuses mails (550 5.4.5)")
    assert server_faults.read_last_fault() == ServerFault(
        reason, since=began, last_at=story.clock.now()
    )
    refuse(inbox, "rcpt", None)
    story.send()
    assert server_faults.read_last_fault() is None


def test_a_server_that_is_not_there_is_a_wait(database: Database, database_url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    story = make_story(database, mail_settings(database_url, port))
    mails = [story.owe(), story.owe()]
    result = story.send()
    assert "cannot be reached" in result.server_fault
    assert (result.sent, result.waiting) == (0, 2)
    assert [state_of(mail) for mail in mails] == [("queued", "")] * 2
    assert [again(mail).attempts for mail in mails] == [0, 0]


@pytest.mark.parametrize("where", ["rcpt", "data"])
def test_a_limit_ends_the_run_uses_no_attempt_and_removes_nobody(
    story: Story, inbox: Inbox, where: str
) -> None:
    mails = [story.owe(), story.owe()]
    refuse(inbox, where, "550 5.4.5 Daily limit exceeded")
    result = story.send()
    assert result == SendResult(waiting=2, server_fault="the mail server refuses mails (550 5.4.5)")
    assert [again(mail).attempts for mail in mails] == [0, 0]
    assert Contact.select().where(Contact.status == Status.UNCONFIRMED).count() == 2
    refuse(inbox, where, None)
    assert story.send() == SendResult(sent=2)


def test_a_mail_that_the_server_takes_offence_at_holds_up_nobody_else(
    story: Story, inbox: Inbox
) -> None:
    for name in ("bad", "good", "fine"):
        story.owe(f"{name}@example.org")
    replies = {"bad@example.org": "550 5.4.5 Daily limit exceeded"}
    inbox.reply_to_rcpt = replies.get
    story.clock.advance(timedelta(seconds=1))
    assert story.send().sent == 0
    assert story.send().sent == 2


def test_a_mail_in_doubt_ends_the_run_and_is_not_sent_again(story: Story, inbox: Inbox) -> None:
    mail, other = story.owe(due_at=NOW - TINY), story.owe()
    refuse(inbox, "data", HANG_UP)
    result = story.send()
    assert (result.in_doubt, result.waiting) == (1, 1)
    assert "has not said whether" in result.server_fault
    assert state_of(mail) == ("in_doubt", "")
    refuse(inbox, "data", None)
    assert story.send() == SendResult(sent=1)
    assert (state_of(mail)[0], state_of(other)[0]) == ("in_doubt", "sent")


def test_what_was_on_its_way_when_the_campaign_was_cancelled_is_not_owed_for_ever(
    story: Story, inbox: Inbox
) -> None:
    mail = story.owe()

    def reply(_mail: object) -> str:
        cancel(story, mail)
        return "451 4.3.0 later"

    inbox.reply_to_data = reply
    assert story.send().waiting == 0
    assert state_of(mail) == ("dropped", "cancelled")


def test_a_reminder_that_was_on_its_way_when_the_campaign_was_closed_is_not_owed_for_ever(
    story: Story, inbox: Inbox
) -> None:
    make_wording(story, "nl", kind=MailKind.REMINDER)
    mail = story.owe(kind=MailKind.REMINDER)

    def reply(_mail: object) -> str:
        story.change(story.campaign, state=CampaignState.CLOSED)
        return "550 5.7.1 no more today"

    inbox.reply_to_data = reply
    assert story.send().waiting == 0
    assert state_of(mail) == ("dropped", "too_late")


# --- A late outcome settles only its own unresolved doubt.


@pytest.mark.parametrize(
    ("meanwhile", "reply", "state"),
    [
        ({"state": MailState.IN_DOUBT}, None, "sent"),
        ({"state": MailState.IN_DOUBT}, "554 5.6.0 no", "failed"),
        ({"state": MailState.IN_DOUBT}, "451 later", "queued"),
        ({"state": MailState.IN_DOUBT}, "550 5.7.1 policy", "queued"),
        ({"state": MailState.IN_DOUBT}, HANG_UP, "in_doubt"),
        ({"state": MailState.FAILED, "worker": ""}, None, "failed"),
        ({"state": MailState.FAILED, "worker": ""}, "550 5.1.1 unknown", "failed"),
        ({"state": MailState.QUEUED, "worker": "", "due_at": DEADLINE}, None, "queued"),
        ({"state": MailState.QUEUED, "worker": "", "due_at": DEADLINE}, "554 no", "queued"),
        ({"state": MailState.IN_DOUBT, "worker": "another"}, None, "in_doubt"),
        ({"state": MailState.IN_DOUBT, "worker": "another"}, HANG_UP, "in_doubt"),
        ({"state": MailState.STARTED, "worker": "another"}, "550 5.7.1 policy", "in_doubt"),
    ],
)
def test_a_late_outcome_settles_only_its_own_doubt(
    story: Story, inbox: Inbox, meanwhile: dict[str, Any], reply: str | None, state: str
) -> None:
    mail = story.owe()

    def decide(_mail: object) -> str | None:
        story.change(mail, **meanwhile)
        return reply

    inbox.reply_to_data = decide
    story.send()
    story.send()
    assert state_of(mail)[0] == state
    assert Contact.get().status == Status.UNCONFIRMED


# --- Mails that their readers have asked for.


@pytest.mark.parametrize("state", [CampaignState.PAUSED, CampaignState.CLOSED])
def test_a_confirmation_goes_out_whatever_the_campaign_does(
    story: Story, inbox: Inbox, state: CampaignState
) -> None:
    story.change(story.campaign, state=state)
    mail = story.owe_confirm("jan@example.org")
    assert story.send() == SendResult(sent=1)
    (received,) = inbox.mails
    assert received.rcpt_tos == ("jan@example.org",)
    assert received.message["Message-ID"] == again(mail).message_id


def test_a_suppressed_address_gets_the_mail_that_it_has_asked_for(
    story: Story, inbox: Inbox
) -> None:
    contact = make_contact(story.database, story.mailing_list, "jan@example.org")
    remove(story, contact, Reason.NO)
    story.owe_confirm("jan@example.org")
    assert story.send() == SendResult(sent=1)
    assert inbox.to("jan@example.org")


@pytest.mark.parametrize(
    ("late", "result"),
    [
        (timedelta(days=3) - TINY, SendResult(sent=1)),
        (timedelta(days=3), SendResult(sent=1)),
        (timedelta(days=3) + TINY, SendResult(dropped=1)),
    ],
)
def test_a_confirmation_is_not_sent_days_later(
    story: Story, late: timedelta, result: SendResult
) -> None:
    story.owe_confirm("jan@example.org")
    story.clock.advance(late)
    assert story.send() == result


def test_a_sign_up_that_was_confirmed_needs_no_mail(story: Story) -> None:
    mail = story.owe_confirm("jan@example.org", confirmed_at=NOW)
    assert story.send() == SendResult(dropped=1)
    assert state_of(mail) == ("dropped", "answered")


def test_a_confirmation_to_no_mailbox_removes_nobody(story: Story, inbox: Inbox) -> None:
    make_contact(story.database, story.mailing_list, "jan@example.org")
    mail = story.owe_confirm("jan@example.org")
    refuse(inbox, "rcpt", "550 5.1.1 unknown")
    assert story.send() == SendResult(failed=1)
    assert state_of(mail) == ("failed", "recipient")
    assert Contact.get().status == Status.UNCONFIRMED


# --- Reminders.


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (CampaignState.SENDING, "sent"),
        (CampaignState.OPEN, "sent"),
        (CampaignState.PAUSED, "queued"),
        (CampaignState.CLOSED, "dropped"),
    ],
)
def test_a_reminder_goes_out_while_the_campaign_lasts(
    story: Story, inbox: Inbox, state: CampaignState, expected: str
) -> None:
    make_wording(story, "nl", kind=MailKind.REMINDER)
    story.change(story.campaign, state=state)
    mail = story.owe("jan@example.org", kind=MailKind.REMINDER)
    story.send()
    assert state_of(mail)[0] == expected
    assert bool(inbox.to("jan@example.org")) is (expected == "sent")


@pytest.mark.parametrize(
    ("moment", "result"),
    [
        (DEADLINE - timedelta(days=1) - TINY, SendResult(sent=1)),
        (DEADLINE - timedelta(days=1), SendResult(sent=1)),
        (DEADLINE - timedelta(days=1) + TINY, SendResult(dropped=1)),
        (DEADLINE + TINY, SendResult(dropped=1)),
    ],
)
def test_a_reminder_that_leaves_less_than_a_day_is_not_sent(
    story: Story, moment: datetime, result: SendResult
) -> None:
    make_wording(story, "nl", kind=MailKind.REMINDER)
    story.change(story.campaign, reminder_at=DEADLINE - timedelta(days=7))
    mail = story.owe(kind=MailKind.REMINDER)
    story.clock.move_to(moment)
    assert story.send() == result
    assert state_of(mail) == (("sent", "") if result.sent else ("dropped", "too_late"))


@pytest.mark.parametrize(
    ("beyond", "result"),
    [(timedelta(), SendResult(sent=1)), (TINY, SendResult(dropped=1))],
)
def test_a_reminder_planned_for_a_day_before_may_leave_for_half_of_it(
    story: Story, beyond: timedelta, result: SendResult
) -> None:
    make_wording(story, "nl", kind=MailKind.REMINDER)
    story.change(story.campaign, reminder_at=DEADLINE - timedelta(days=1))
    story.owe(kind=MailKind.REMINDER)
    story.clock.move_to(DEADLINE - timedelta(hours=12) + beyond)
    assert story.send() == result


@pytest.mark.parametrize(
    ("early", "result"),
    [(TINY, SendResult(sent=1)), (timedelta(), SendResult(dropped=1))],
)
def test_nobody_is_asked_at_the_deadline_itself(
    story: Story, early: timedelta, result: SendResult
) -> None:
    story.change(story.campaign, minimum_days=0)
    story.owe()
    story.clock.move_to(DEADLINE - early)
    assert story.send() == result


def test_who_has_answered_is_not_reminded(story: Story) -> None:
    make_wording(story, "nl", kind=MailKind.REMINDER)
    mail = story.owe(kind=MailKind.REMINDER)
    confirm(story, contact_of(mail))
    story.change(mail, state=MailState.QUEUED, reason="")
    assert story.send() == SendResult(dropped=1)
    assert state_of(mail) == ("dropped", "answered")


# --- Notices to the admin.


@pytest.mark.parametrize("state", [CampaignState.PAUSED, CampaignState.CANCELLED])
def test_a_notice_goes_to_the_admin_whatever_the_campaign_does(
    story: Story, inbox: Inbox, state: CampaignState
) -> None:
    story.change(story.campaign, state=state)
    mail = story.owe_notice()
    assert story.send() == SendResult(sent=1)
    (received,) = inbox.to(story.settings.organisation.email)
    assert received.message["Message-ID"] == again(mail).message_id


def test_the_daily_mail_tells_what_its_topic_holds(story: Story, inbox: Inbox) -> None:
    story.owe_notice(make_news(no=3).topic)
    assert story.send() == SendResult(sent=1)
    (received,) = inbox.to(story.settings.organisation.email)
    body = received.message.get_body(("plain",))
    assert body
    assert "Nee: 3" in body.get_content()
    assert "https://ask.example.org/admin/lists/news/" in body.get_content()


def test_the_closing_mail_holds_the_checkpoint_of_its_topic(story: Story, inbox: Inbox) -> None:
    news = make_closing_news()
    story.owe_notice(news.topic)
    assert story.send().sent == 1
    (mail,) = inbox.mails
    body = mail.message.get_body(("plain",))
    assert body
    checkpoint = {"seq": news.seq, "hash": news.hash, "root": news.root}
    assert json.dumps(checkpoint) in body.get_content()


@pytest.mark.parametrize(
    ("late", "result"),
    [
        (timedelta(days=7) - TINY, SendResult(sent=1)),
        (timedelta(days=7), SendResult(sent=1)),
        (timedelta(days=7) + TINY, SendResult(dropped=1)),
    ],
)
def test_a_notice_is_no_news_after_a_week(
    story: Story, late: timedelta, result: SendResult
) -> None:
    story.owe_notice()
    story.clock.advance(late)
    assert story.send() == result


def test_a_notice_about_nothing_that_is_known_fails_alone(story: Story, inbox: Inbox) -> None:
    mail, other = story.owe_notice("weather"), story.owe("jan@example.org")
    assert story.send() == SendResult(sent=1, failed=1)
    assert (state_of(mail), state_of(other)[0]) == (("failed", "not_made"), "sent")
    assert inbox.to("jan@example.org")


# --- Two at once.


def test_two_threads_never_send_a_mail_twice(story: Story, inbox: Inbox) -> None:
    mails = [story.owe() for _ in range(30)]
    results: list[SendResult] = []

    def send() -> None:
        with story.database.connection_context():
            results.append(story.send())

    threads = [threading.Thread(target=send) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    recipients = [mail.rcpt_tos[0] for mail in inbox.mails]
    assert len(recipients) == len(set(recipients)) == len(mails)
    assert sum(result.sent for result in results) == len(mails)
    assert campaign_now(story).state == "open"


def test_the_language_of_the_contact_is_used_where_there_is_a_wording(
    story: Story, inbox: Inbox
) -> None:
    make_wording(story, "de")
    for language in ("de", "nl", "fr", ""):
        address = f"reads-{language}@example.org"
        contact = make_contact(story.database, story.mailing_list, address, language=language)
        story.owe(contact=contact)
    assert story.send() == SendResult(sent=4)
    german = {mail.rcpt_tos[0]: "Sie" in _read_text(mail.message) for mail in inbox.mails}
    assert german == {
        f"reads-{language}@example.org": language == "de" for language in ("de", "nl", "fr", "")
    }


def _read_text(message: EmailMessage) -> str:
    body = message.get_body(("plain",))
    assert body is not None
    return str(body.get_content())
