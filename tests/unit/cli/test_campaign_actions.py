"""What the admin decides, from the command line: pausing, extending, answering, resolving."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from repermit.db.models.campaigns import Campaign
from repermit.db.models.contacts import Contact
from repermit.db.models.evidence import EvidencePart
from repermit.db.models.mails import Mail
from repermit.expiry.downtime import measure_downtime
from repermit.rules.consent import CampaignState, MailState, Status
from repermit.sending import in_doubt
from tests.support.builders import DEADLINE, NOW, make_campaign, make_contact, make_mail
from tests.support.desk import ACCEPTED, ATTEST, Desk
from tests.support.inbox import Inbox


@pytest.fixture
def running(desk: Desk) -> Desk:
    """Return a desk with an open campaign that has asked jan@example.org."""
    desk.add_news()
    with desk.news() as (database, news):
        campaign = make_campaign(database, news)
        make_mail(database, campaign, make_contact(database, news, "jan@example.org"))
    return desk


def state(desk: Desk) -> str:
    with desk.database():
        return Campaign.get().state


def test_a_campaign_is_paused_and_resumed(running: Desk) -> None:
    assert "`repermit resume news` goes on" in running.do("pause", "news")
    assert state(running) == CampaignState.PAUSED
    assert running.do("resume", "news") == "Resumed.\n"
    assert state(running) == CampaignState.OPEN
    running.refused("resume", "news")


def test_a_campaign_is_cancelled(running: Desk) -> None:
    assert "Cancelled: nobody will be removed" in running.do("cancel", "news")
    assert state(running) == CampaignState.CANCELLED
    running.refused("cancel", "news")


def test_a_deadline_is_moved_later_only(running: Desk) -> None:
    with running.database() as database, database.atomic():
        Mail.update(state=MailState.QUEUED).execute()
    moved = running.do("extend", "news", "--deadline", "2026-04-30")
    assert moved == (
        "Answers count until Thursday 30 April 2026, 23:59.\n"
        "Mails that are still to leave name that moment.\n"
    )
    assert "only moves later" in running.refused("extend", "news", "--deadline", "2026-04-29")


def test_a_deadline_is_moved_with_a_reason(running: Desk) -> None:
    running.do("extend", "news", "--deadline", "2026-04-30", "--note", "The post was late.")
    with running.database():
        told = [json.loads(one.json) for one in EvidencePart.select()]
    assert [one["note"] for one in told if "to" in one] == ["The post was late."]


@pytest.mark.parametrize(("deadline", "left"), [("2026-04-04", 0), ("2026-04-01", 3)])
def test_a_deadline_makes_up_for_pages_that_are_still_down(
    running: Desk, deadline: str, left: int
) -> None:
    with running.database() as database, database.atomic():
        Campaign.update(starts_at=NOW - timedelta(days=3)).execute()
    running.do("extend", "news", "--deadline", deadline)
    with running.database():
        assert round(measure_downtime(Campaign.get(), NOW) / timedelta(days=1)) == left


def test_mails_that_name_the_earlier_deadline_are_counted(running: Desk) -> None:
    shown = running.do("extend", "news", "--deadline", "2026-04-30")
    assert "naming the earlier one, Monday 30 March 2026, 11:00: 1 mail." in shown


def test_a_reminder_is_added_unless_a_mail_has_promised_to_ask_once(desk: Desk) -> None:
    desk.add_news()
    with desk.news() as (database, news):
        make_contact(database, news)
    desk.do("launch", "news", "--deadline", "2026-03-30", "--attest", ATTEST, *ACCEPTED)
    desk.misused("remind", "news", "--before", "0")
    for state_of_mail in (MailState.SENT, MailState.QUEUED):
        with desk.database() as database, database.atomic():
            Mail.update(state=state_of_mail, sent_at=NOW).execute()
        if state_of_mail is MailState.SENT:
            assert "asked once" in desk.refused("remind", "news", "--before", "7")
    assert desk.do("remind", "news", "--before", "7") == (
        "Who has not answered is reminded on Monday 23 March 2026, 09:00.\n"
    )
    assert "a reminder is set already" in desk.refused("remind", "news", "--before", "6")


@pytest.mark.parametrize(("begun", "said"), [(False, True), (True, False)])
def test_a_reminder_that_moves_along_is_told(running: Desk, begun: bool, said: bool) -> None:
    with running.news() as (database, _), database.atomic():
        campaign = Campaign.get()
        campaign.reminder_at = NOW - timedelta(days=1) if begun else NOW + timedelta(days=1)
        campaign.reminded_at = NOW if begun else None
        campaign.save()
    shown = running.do("extend", "news", "--deadline", "2026-03-31T11:00")
    assert ("is reminded on Wednesday 4 March 2026, 10:00" in shown) is said


def test_a_pilot_is_over_with_resume(desk: Desk, inbox: Inbox) -> None:
    desk.add_news()
    with desk.news() as (database, news):
        for _ in range(3):
            make_contact(database, news)
    desk.do("launch", "news", "--deadline", "2026-03-30", "--attest", ATTEST, "--pilot", "1")
    with desk.database() as database, database.atomic():
        campaign = Campaign.get()
        campaign.state, campaign.paused_from = CampaignState.PAUSED, CampaignState.SENDING
        campaign.pause_reason = "pilot"
        campaign.save()
    assert desk.do("resume", "news") == (
        "Resumed.\nThe pilot is over: 2 mails more may leave now.\n"
        "The last mail leaves on Monday 2 March 2026, 10:00, or as soon as the mail server takes "
        "it; 28 days to answer.\n"
    )
    desk.do("send", "news")
    assert len(inbox.mails) == 3


# --- answer.


def test_an_answer_by_phone_is_recorded_once(running: Desk) -> None:
    given = ("answer", "news", "Jan@Example.org", "yes", "--note", "by phone, to Anna")
    assert running.do(*given) == "Recorded: the contact is confirmed now.\n"
    assert running.do(*given) == "Nothing changed: the contact was confirmed already.\n"
    with running.database():
        assert Contact.get().status == Status.CONFIRMED


def test_when_an_answer_was_given_and_who_took_it_is_recorded(running: Desk) -> None:
    said = ("answer", "news", "jan@example.org", "no", "--note", "by phone")
    assert "later than now" in running.refused(*said, "--given", "2026-03-02T10:30")
    running.do(*said, "--given", "2026-03-01", "--taken-by", "Anna")
    with running.database():
        parts = {row.part: json.loads(row.json) for row in EvidencePart.select()}
    assert parts["consent"]["arrived_at"].startswith("2026-03-01T22:59:59")
    assert parts["person"]["taken_by"] == "Anna"


def test_an_answer_of_a_representative_is_recorded_as_such(running: Desk) -> None:
    note = ("--note", "by phone, the mother", "--representative")
    running.do("answer", "news", "jan@example.org", "yes", *note)
    with running.database():
        told = json.loads(EvidencePart.get(EvidencePart.part == "consent").json)
    assert told["given_by"] == "representative"


def test_a_no_says_how_it_counts(running: Desk) -> None:
    given = ("answer", "news", "jan@example.org", "no", "--note", "by letter")
    assert running.do(*given) == "Recorded: the contact is removed (no) now.\n"
    assert running.do(*given) == "Nothing changed: the contact was removed (no) already.\n"


@pytest.mark.parametrize(
    ("address", "note", "words"),
    [
        ("piet@example.org", "by phone", "this address is not on the list news"),
        ("no address", "by phone", "@"),
        ("jan@example.org", " ", "say how the answer was given"),
    ],
)
def test_an_answer_that_cannot_be_recorded_is_refused(
    running: Desk, address: str, note: str, words: str
) -> None:
    assert words in running.refused("answer", "news", address, "no", "--note", note)


def test_a_late_yes_is_refused(running: Desk) -> None:
    running.clock.move_to(DEADLINE)
    given = ("answer", "news", "jan@example.org", "yes", "--note", "by phone")
    assert "counts only while a campaign asks for it" in running.refused(*given)


# --- resolve.


@pytest.fixture
def doubtful(running: Desk) -> Desk:
    """Return that desk, with the mail in doubt."""
    with running.database() as database, database.atomic():
        Mail.update(
            state=MailState.IN_DOUBT, sent_at=None, started_at=NOW, worker="w", attempts=1
        ).execute()
    return running


def test_mails_in_doubt_may_be_left(doubtful: Desk) -> None:
    assert doubtful.do("resolve", "news", "--leave") == "1 mail counted as failed.\n"
    with doubtful.database():
        assert Mail.get().state == MailState.FAILED


def test_mails_in_doubt_may_be_sent_again(doubtful: Desk) -> None:
    assert doubtful.do("resolve", "news", "--resend") == "1 mail to be sent again.\n"
    with doubtful.database():
        assert Mail.get().state == MailState.QUEUED


@pytest.mark.parametrize(("resend", "became"), [(True, "sent again"), (False, "counted as failed")])
def test_the_status_tells_of_a_decision_that_is_under_way(
    doubtful: Desk, resend: bool, became: str
) -> None:
    said = f"It is decided that mails in doubt are {became}: 1 mail to go."
    with doubtful.news() as (database, news):
        in_doubt.resolve_in_doubt(
            database, news, resend=resend, now=NOW, actor="admin", max_mails=0
        )
    assert said in doubtful.do("status", "news")
    with doubtful.database() as database:
        in_doubt.finish_resolutions(database)
    assert "It is decided" not in doubtful.do("status", "news")


def test_without_a_doubt_there_is_nothing_to_decide(running: Desk) -> None:
    assert "no mail of this list is in doubt" in running.refused("resolve", "news", "--leave")
