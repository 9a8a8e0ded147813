"""Following a campaign from the command line: status, send, expire."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from repermit.campaigns import lifecycle
from repermit.clock import ManualClock
from repermit.contacts import circuit_breaker, click_log
from repermit.db.models.campaigns import Campaign
from repermit.db.models.contacts import Contact
from repermit.db.models.evidence import Evidence
from repermit.db.models.mails import Mail
from repermit.evidence import chain
from repermit.evidence.entries import Entry
from repermit.evidence.merkle import EMPTY_ROOT
from repermit.expiry import downtime, sweep
from repermit.imports import import_file, import_task, undo
from repermit.rules import bot_detection
from repermit.rules.consent import (
    CampaignState,
    Dropped,
    MailKind,
    MailState,
    PauseReason,
    Reason,
    Status,
)
from tests.support.builders import (
    DEADLINE,
    NOW,
    make_asked,
    make_campaign,
    make_contact,
    make_mail,
    make_removed,
    note_list,
)
from tests.support.desk import ATTEST, Desk
from tests.support.inbox import Inbox


@pytest.fixture
def asked(desk: Desk) -> Desk:
    """Return a desk with an open campaign that has asked jan@example.org."""
    desk.add_news()
    with desk.news() as (database, news):
        make_asked(database, news, make_campaign(database, news), "jan@example.org")
    return desk


def launch(desk: Desk, *more: str) -> None:
    """Launch a campaign that asks two people."""
    desk.add_news()
    with desk.news() as (database, news):
        for address in ("jan@example.org", "piet@example.org"):
            make_contact(database, news, address)
    desk.do("launch", "news", "--deadline", "2026-03-30", "--attest", ATTEST, *more)


# --- status.


def test_a_list_without_a_campaign_has_a_status(desk: Desk) -> None:
    desk.add_news()
    assert desk.do("status", "news").startswith("news: no campaign yet.\n\nContacts:\n")
    assert desk.run("status", "news", "--json").document == {
        "list": "news",
        "campaign": None,
        "contacts": dict.fromkeys(Status, 0),
        "removed": dict.fromkeys(Reason, 0),
        "mails": {kind: dict.fromkeys(MailState, 0) for kind in MailKind},
        "unasked": 0,
        "held": 0,
        "checkpoint": {"seq": 0, "hash": "0" * 64, "root": EMPTY_ROOT},
    }


def test_a_status_tells_how_the_campaign_stands(desk: Desk) -> None:
    launch(desk)
    with desk.news() as (database, news):
        make_removed(database, news, Reason.NO)
    shown = desk.do("status", "news")
    assert "news: the campaign is sending.\n" in shown
    assert "  asked     2, in nl\n" in shown
    assert "  launched  Monday 2 March 2026, 10:00\n" in shown
    assert "  deadline  Monday 30 March 2026, 23:59\n" in shown
    assert "Removed, by reason:\n  1  no\n" in shown
    assert "Mails of kind ask:\n  2  queued\n" in shown
    assert "doubt" not in shown
    (line,) = (one for one in shown.splitlines() if one.startswith("{"))
    checkpoint = json.loads(line)
    assert checkpoint == desk.run("status", "news", "--json").document["checkpoint"]
    assert checkpoint["seq"] == 2


def test_status_and_report_tell_which_reminders_left_too_little_time(desk: Desk) -> None:
    desk.add_news()
    with desk.news() as (database, news):
        campaign = make_campaign(database, news, reminder_at=DEADLINE - timedelta(days=7))
        late = {"state": MailState.DROPPED, "reason": Dropped.TOO_LATE, "message_id": ""}
        for _ in range(2):
            contact = make_asked(database, news, campaign)
            make_mail(database, campaign, contact, kind=MailKind.REMINDER, **late)
    assert "  not sent  2 reminders, since people would have had too little time left\n" in desk.do(
        "status", "news"
    )
    assert desk.run("status", "news", "--json").document["campaign"]["late_reminders"] == 2
    assert "2 herinneringen zijn niet verstuurd, omdat er te weinig tijd" in desk.do(
        "report", "news"
    )


@pytest.mark.parametrize(
    ("state", "days", "is_told"),
    [
        (CampaignState.OPEN, -1, False),
        (CampaignState.OPEN, 1, True),
        (CampaignState.PAUSED, 1, True),
        (CampaignState.CANCELLED, 1, False),
    ],
)
def test_status_and_report_tell_that_no_reminder_was_made_in_time(
    desk: Desk, state: CampaignState, days: int, is_told: bool
) -> None:
    desk.add_news()
    with desk.news() as (database, news):
        reminder_at = DEADLINE - timedelta(days=7)
        closed_at = NOW if state is CampaignState.CANCELLED else None
        make_asked(
            database,
            news,
            make_campaign(
                database, news, state=state, reminder_at=reminder_at, closed_at=closed_at
            ),
        )
    desk.clock.move_to(DEADLINE + timedelta(days=days))
    assert ("  not sent  No reminder was made: " in desk.do("status", "news")) == is_told
    assert ("Er is geen herinnering gemaakt" in desk.do("report", "news")) == is_told


def test_a_status_tells_that_another_tool_still_mails_who_was_erased(desk: Desk) -> None:
    desk.add_news()
    with desk.database() as database, database.atomic():
        chain.append(Entry(event="still_mailed", at=NOW, actor="person", list="news"))
    assert "Still mailed: 1." in desk.do("status", "news")


def test_a_status_tells_whose_yes_waits_for_one_press_more(asked: Desk) -> None:
    assert "Held:" not in asked.do("status", "news")
    with asked.database() as database, database.atomic():
        past = bot_detection.record_doubtful_yes(bot_detection.LinkHistory(), at=NOW)
        click_log.save_link_history(Contact.get(), None, past, held_at=NOW)
    assert "Held: 1." in asked.do("status", "news")
    assert asked.run("status", "news", "--json").document["held"] == 1


def test_the_document_of_a_status_adds_up(desk: Desk) -> None:
    launch(desk, "--wait")
    desk.do("answer", "news", "jan@example.org", "no", "--note", "by phone")
    document = desk.run("status", "news", "--json").document
    campaign = document["campaign"]
    assert campaign["state"] == CampaignState.OPEN
    assert datetime.fromisoformat(campaign["deadline"]).utcoffset() == timedelta()
    assert sum(document["contacts"].values()) == 2
    assert sum(document["removed"].values()) == document["contacts"]["removed"] == 1
    assert sum(document["mails"]["ask"].values()) == campaign["asked"] == 2


def test_a_campaign_that_waits_for_its_day_says_so(desk: Desk) -> None:
    launch(desk, "--at", "2026-03-04T09:00")
    assert "The asking begins on Wednesday 4 March 2026, 09:00." in desk.do("status", "news")


def test_a_campaign_that_is_paused_says_how_to_go_on(asked: Desk) -> None:
    asked.do("pause", "news")
    assert "until `repermit resume news`" in asked.do("status", "news")


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("pilot", "the pilot has been asked"),
        ("bounces", "too many mails were refused or came back"),
        ("complaint", "somebody reported a mail as unwanted"),
    ],
)
def test_a_campaign_that_paused_by_itself_says_why(asked: Desk, reason: str, words: str) -> None:
    with asked.database() as database, database.atomic():
        circuit_breaker.pause_automatically(Campaign.get().id, PauseReason(reason), now=NOW)
    shown = asked.do("status", "news")
    assert f"It paused by itself: {words}" in shown
    assert "Nobody is asked or removed until `repermit resume news`" in shown
    assert asked.run("status", "news", "--json").document["campaign"]["pause_reason"] == reason


@pytest.mark.parametrize(
    ("late", "says"), [(-1, False), (0, True), (1, True)], ids=["before", "at", "after"]
)
def test_from_the_deadline_on_the_status_tells_what_comes(
    asked: Desk, late: int, says: bool
) -> None:
    asked.clock.move_to(DEADLINE + timedelta(microseconds=late))
    assert ("The deadline has passed" in asked.do("status", "news")) is says


def test_a_status_tells_how_many_have_been_taken_off_so_far(asked: Desk) -> None:
    with asked.news() as (database, news):
        make_asked(database, news, Campaign.get(), "piet@example.org")
        downtime.assume_up_until(database, moment=DEADLINE)
        sweep.expire_due(
            database,
            settings=asked.settings,
            clock=ManualClock(DEADLINE),
            chunk=1,
            should_stop=Contact.select().where(Contact.status == Status.REMOVED).exists,
        )
    assert "Taken off for silence so far: 1 of 2." in asked.do("status", "news")
    asked.clock.move_to(DEADLINE)
    asked.do("expire", "news")
    assert "so far" not in asked.do("status", "news")


def test_a_status_tells_how_much_of_a_campaign_that_was_cancelled_is_to_be_dropped(
    asked: Desk,
) -> None:
    with asked.news() as (database, news):
        contact = make_contact(database, news, "piet@example.org")
        make_mail(database, Campaign.get(), contact, state=MailState.QUEUED, sent_at=None)
    assert "to be dropped" not in asked.do("status", "news")
    with asked.news() as (database, news):
        lifecycle.cancel_campaign(database, news, now=NOW, actor="cli:0", max_rows=0)
    assert "Not sent, and still to be dropped: 1 mail." in asked.do("status", "news")


def test_who_could_not_be_asked_is_told_apart(desk: Desk) -> None:
    desk.add_news()
    with desk.news() as (database, news):
        campaign = make_campaign(database, news, state=CampaignState.CLOSED, closed_at=DEADLINE)
        make_mail(database, campaign, make_contact(database, news), state=MailState.FAILED)
    assert "Could not be asked: 1; see `repermit export news unasked`" in desk.do("status", "news")
    assert desk.run("status", "news", "--json").document["unasked"] == 1


def test_a_doubt_is_shown_with_what_to_do(asked: Desk) -> None:
    with asked.database() as database, database.atomic():
        Mail.update(state=MailState.IN_DOUBT, sent_at=None, started_at=NOW, attempts=1).execute()
        number = Mail.get().id
    shown = asked.do("status", "news")
    said = "asked, as far as is known: 1, of whom 1 is in doubt and may have been; see "
    assert f"{said}`repermit export news unasked`.\n\nIn doubt: " in shown
    assert "`repermit resolve news --resend` or `--leave`" in shown
    row = shown.splitlines()[-1].split()
    assert row == [
        str(number),
        "ask",
        "jan@example.org",
        *"Monday 2 March 2026, 10:00".split(),
        "1",
    ]


def test_who_is_in_doubt_is_told_apart_from_who_was_not_asked(asked: Desk) -> None:
    with asked.news() as (database, news):
        campaign = Campaign.get()
        for state in (MailState.IN_DOUBT, MailState.IN_DOUBT, MailState.FAILED):
            contact = make_contact(database, news)
            make_mail(database, campaign, contact, state=state, started_at=NOW)
    said = "asked, as far as is known: 3, of whom 2 are in doubt and may have been; see "
    assert said in asked.do("status", "news")
    assert asked.run("status", "news", "--json").document["unasked"] == 3


def test_a_status_counts_whom_a_policy_stands_against(desk: Desk, inbox: Inbox) -> None:
    launch(desk)
    assert "policy" not in desk.do("status", "news")
    replies = {"jan@example.org": "550 5.7.1 Client host rejected"}
    inbox.reply_to_rcpt = replies.get
    desk.do("send")
    told = desk.do("status", "news")
    assert "or of the recipients': 1 mail (550 5.7.1). They are offered again every four" in told
    assert "Sending waits" not in told


# --- send.


def test_sending_begins_what_is_due_and_sends_it(desk: Desk, inbox: Inbox) -> None:
    launch(desk, "--at", "2026-03-04T09:00")
    assert desk.do("send", "news").startswith("0 sent")
    desk.clock.advance(timedelta(days=2))
    assert desk.do("send") == "2 sent, 0 failed, 0 dropped, 0 in doubt, 0 waiting.\n"
    assert len(inbox.wait_for(2)) == 2


def test_sending_that_could_not_even_begin_is_refused(desk: Desk, inbox: Inbox) -> None:
    launch(desk)
    inbox.stop()
    reason = desk.refused("send", "news")
    assert "cannot be reached" in reason
    assert "2 mails waiting" in reason


def test_sending_that_a_server_ends_tells_what_was_sent(desk: Desk, inbox: Inbox) -> None:
    launch(desk)
    inbox.reply_to_rcpt = lambda _address: "452 4.5.3 later" if inbox.mails else None
    ran = desk.run("send", "news")
    assert ran.code == 0
    assert ran.out.startswith("1 sent")


def test_a_fault_of_the_server_is_told_once(
    desk: Desk, inbox: Inbox, caplog: pytest.LogCaptureFixture
) -> None:
    launch(desk)
    inbox.reply_to_rcpt = lambda _address: "550 5.4.5 Daily limit exceeded"
    reason = desk.refused("send", "news")
    assert reason.count("550 5.4.5") == 1
    # A log without a handler goes to stderr too.
    assert "550 5.4.5" not in caplog.text


def test_a_status_tells_what_stands_in_the_way_of_sending(desk: Desk, inbox: Inbox) -> None:
    launch(desk)
    inbox.reply_to_rcpt = lambda _address: "550 5.4.5 Daily limit exceeded"
    assert desk.run("send").code == 1
    words = (
        "Sending waits since Monday 2 March 2026, 10:00: the mail server refuses mails (550 5.4.5)."
    )
    assert words in " ".join(desk.do("status", "news").split())
    inbox.reply_to_rcpt = lambda _address: None
    desk.do("send")
    assert "Sending waits" not in desk.do("status", "news")


# --- expire.


def test_before_the_deadline_nobody_is_removed(asked: Desk) -> None:
    asked.clock.move_to(DEADLINE - timedelta(microseconds=1))
    assert asked.run("expire", "--json").document == {"removed": 0, "unasked": 0}


def test_before_the_deadline_it_is_said_when_it_is_and_how_many_it_takes(asked: Desk) -> None:
    asked.clock.move_to(DEADLINE - timedelta(microseconds=1))
    for command in (("expire",), ("expire", "news", "--dry-run")):
        shown = asked.do(*command)
        assert "removed, for no answer: 0\n" in shown.lower()
        assert shown.endswith(
            "\nnews: the deadline is at Monday 30 March 2026, 11:00; nobody is removed before. "
            "Would be removed then, if no more answers come: 1.\n"
        )
    with asked.news() as (database, news):
        make_mail(
            database,
            Campaign.get(),
            make_contact(database, news),
            state=MailState.QUEUED,
            sent_at=None,
        )
    assert asked.do("expire").endswith(" come: 1. Not asked yet, or too late: 1.\n")


def test_a_campaign_that_is_paused_says_why_nobody_is_removed(asked: Desk) -> None:
    asked.do("pause", "news")
    said = "news: paused, so nobody is removed until `repermit resume news`.\n"
    assert asked.do("expire", "--dry-run").endswith(said)


def test_at_the_deadline_who_did_not_answer_is_removed(asked: Desk) -> None:
    asked.clock.move_to(DEADLINE)
    with asked.database() as database:
        downtime.assume_up_until(database, moment=DEADLINE)
    told = "for no answer: 1\nCould not be asked in time, and stay apart: 0\n"
    assert asked.do("expire", "news", "--dry-run") == f"Would be removed, {told}"
    with asked.database():
        assert Contact.get().status == Status.UNCONFIRMED
    assert asked.do("expire", "news") == f"Removed, {told}"
    with asked.database():
        assert Contact.get().reason == Reason.NO_RESPONSE
        actors = {entry.actor for entry in Evidence.select() if entry.event != "imported"}
        assert {actor.partition(":")[0] for actor in actors} == {"cli"}
    assert asked.run("expire", "--json").document == {"removed": 0, "unasked": 0}


def test_pages_that_were_down_make_it_wait_for_the_admin(asked: Desk) -> None:
    asked.clock.move_to(DEADLINE)
    for command in (("expire", "--json"), ("expire", "news", "--dry-run", "--json")):
        ran = asked.run(*command)
        assert ran.document == {"removed": 0, "unasked": 0}
        assert "the answer pages were down for 28 days" in ran.err
    ran = asked.run("expire", "news", "--despite-downtime", "--json")
    assert ran.document == {"removed": 1, "unasked": 0}
    assert ran.err == ""


class _Killed(BaseException):
    """Stands for a kill: nothing catches it."""


def test_a_file_that_is_half_taken_in_is_told_and_nobody_of_it_counted(
    desk: Desk, tmp_path: Path
) -> None:
    def kill() -> None:
        raise _Killed

    desk.add_news()
    file = tmp_path / "half.csv"
    file.write_text("email\na@example.org\nb@example.org\n", "utf-8")
    with desk.news() as (database, news):
        note_list(database)
        with pytest.raises(_Killed):
            import_file.import_file(
                database,
                news,
                file,
                settings=desk.settings,
                now=NOW,
                actor="cli:0",
                on_staged=kill,
            )
        import_task.finish_imports(
            database,
            settings=desk.settings,
            now=NOW,
            step=1,
            should_stop=iter((False, True)).__next__,
        )
    said = desk.do("status", "news")
    assert "half.csv is being taken in: 1 of 2 addresses so far." in said
    assert desk.run("status", "news", "--json").document["contacts"]["unconfirmed"] == 0
    desk.do("backup", str(desk.folder / "half.db"))
    assert "2 rows imported" in desk.do("import", "news", str(file))
    assert "is being taken in" not in desk.do("status", "news")
    assert desk.run("status", "news", "--json").document["contacts"]["unconfirmed"] == 2
    # The backup knows of no file that is still there: what it had of it is taken back.
    desk.do("restore", str(desk.folder / "half.db"), "--replace")
    desk.do("verify")
    with desk.news() as (database, news):
        assert undo.find_unfinished_import(news)
        import_task.finish_imports(database, settings=desk.settings, now=NOW)
        assert undo.find_unfinished_import(news) is None
    assert desk.run("status", "news", "--json").document["contacts"]["unconfirmed"] == 0
    desk.do("verify")
    assert "2 rows imported" in desk.do("import", "news", str(file))
