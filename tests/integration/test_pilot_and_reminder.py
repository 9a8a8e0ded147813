"""Pilot, circuit breaker and reminder from the launch to the inbox, from the command line."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.support.builders import NOW, make_contact
from tests.support.desk import ATTEST, Desk, links_of
from tests.support.inbox import Inbox, Received
from tests.support.public_pages import answer_by

DEADLINE = "2026-03-30"
ADMIN = ("praktijk@example.org",)


def launch(desk: Desk, people: int, *more: str) -> str:
    desk.add_news(language="en")
    with desk.news() as (database, news):
        for number in range(people):
            make_contact(database, news, f"p{number}@example.com")
    return desk.do("launch", "news", "--deadline", DEADLINE, "--attest", ATTEST, *more)


def received(inbox: Inbox) -> list[Received]:
    return list(inbox.mails)


def test_a_pilot_is_sent_and_told_and_the_rest_goes_with_resume(desk: Desk, inbox: Inbox) -> None:
    launch(desk, 5, "--pilot", "2", "--wait")
    assert len([mail for mail in received(inbox) if mail.rcpt_tos != ADMIN]) == 2
    assert "It paused by itself: the pilot has been asked" in desk.do("status", "news")
    # Nothing more leaves by itself but the notice.
    desk.clock.advance(timedelta(days=1))
    desk.do("send")
    desk.do("send")
    (notice,) = [mail for mail in received(inbox) if mail.rcpt_tos == ADMIN]
    assert "the campaign has been paused" in str(notice.message["Subject"])
    assert len(received(inbox)) == 3
    resumed = desk.do("resume", "news")
    assert "3 mails more may leave now" in resumed
    assert "The last mail leaves on Tuesday 3 March 2026, 10:00, or as soon as" in resumed
    desk.do("send")
    assert len({mail.rcpt_tos for mail in received(inbox)}) == len(received(inbox)) == 6
    assert "the campaign is open" in desk.do("status", "news")


@pytest.mark.exhaustive
def test_a_campaign_with_too_many_refusals_pauses_and_goes_on_when_told(
    desk: Desk, inbox: Inbox
) -> None:
    inbox.reply_to_rcpt = lambda address: "550 5.1.1 unknown" if address < "p2" else None
    launch(desk, 300, "--wait")
    document = desk.run("status", "news", "--json").document
    assert (document["campaign"]["state"], document["campaign"]["pause_reason"]) == (
        "paused",
        "bounces",
    )
    inbox.reply_to_rcpt = lambda _address: None
    desk.do("send")
    assert [mail.rcpt_tos for mail in received(inbox)].count(ADMIN) == 1
    desk.do("resume", "news")
    desk.do("send")
    document = desk.run("status", "news", "--json").document
    assert (document["campaign"]["state"], document["campaign"]["pause_reason"]) == ("open", "")
    assert document["mails"]["ask"]["queued"] == 0


def test_who_has_not_answered_is_reminded_once(desk: Desk, inbox: Inbox) -> None:
    launch(desk, 3, "--reminder", "7", "--wait")
    answered, silent = received(inbox)[0], {mail.rcpt_tos for mail in received(inbox)[1:]}
    with desk.pages() as client:
        assert answer_by(client, links_of(answered)["yes"]).status_code == 200
    desk.clock.move_to(NOW + timedelta(days=20))
    desk.do("send")
    assert len(received(inbox)) == 3
    desk.clock.move_to(NOW + timedelta(days=21))
    desk.do("send")
    desk.do("send")
    reminders = received(inbox)[3:]
    assert {mail.rcpt_tos for mail in reminders} == silent
    assert len(reminders) == 2
    for mail in reminders:
        assert str(mail.message["Subject"]).startswith("Reminder, ")
        assert mail.message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    with desk.pages() as client:
        assert answer_by(client, links_of(reminders[0])["no"]).status_code == 200
    assert desk.run("status", "news", "--json").document["contacts"] == {
        "unconfirmed": 1,
        "confirmed": 1,
        "customer": 0,
        "removed": 1,
    }


def test_a_deadline_that_is_moved_stands_in_the_mails_that_leave_later(
    desk: Desk, inbox: Inbox
) -> None:
    launch(desk, 2, "--pilot", "1", "--wait")
    desk.do("extend", "news", "--deadline", "2026-04-30")
    desk.do("resume", "news")
    desk.do("send")
    texts = []
    for mail in received(inbox):
        body = mail.message.get_body(("plain",))
        assert body is not None
        if mail.rcpt_tos != ADMIN:
            texts.append(body.get_content())
    first, second = texts
    assert "30 March 2026" in first
    assert "30 April 2026" in second
    assert "March" not in second
