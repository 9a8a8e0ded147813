"""Whom the open questions of a campaign are about, and how they are decided."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from repermit.contacts import human_replies
from repermit.db.connection import Database
from repermit.db.models.accounts import Access
from repermit.db.models.contacts import Contact
from repermit.db.models.evidence import Evidence
from repermit.db.models.lists import MailingList
from repermit.db.models.mails import Mail, Reply
from repermit.rules.consent import MailKind, MailState, Reason, Status
from repermit.settings.definitions import Settings
from tests.support.admin_pages import admin_client, post, words_at
from tests.support.builders import (
    DEADLINE,
    NOW,
    make_asked,
    make_campaign,
    make_contact,
    make_list,
    make_mail,
)
from tests.support.mailboxes import ImapMailbox
from tests.support.public_pages import Pages
from tests.support.returned_mails import reply_to
from tests.unit.bounces.test_reply_excerpts import account_of, digest_of
from tests.unit.reports.test_outcomes_per_day import say_yes, take_off

if TYPE_CHECKING:
    from flask.testing import FlaskClient

pytestmark = pytest.mark.usefixtures("mailing_list")

URL = "/admin/lists/news/"


def test_a_deadline_that_waits_for_replies_says_so(
    database: Database, mailing_list: MailingList, client: FlaskClient
) -> None:
    deadline = NOW - timedelta(hours=1)
    campaign = make_campaign(database, mailing_list, deadline=deadline, minimum_days=0)
    contact = make_contact(database, mailing_list, "jan@example.net")
    make_mail(database, campaign, contact, sent_at=NOW - timedelta(days=9))
    said = "Whoever wrote back before the deadline is not removed before you decide on the reply"
    assert said not in look(client)
    assert "jan@example.net" in look(client, URL + "silent")
    reply_of(database, contact, at=deadline - timedelta(days=1))
    assert f"{said}, until Monday 16 March 2026 at most." in look(client)
    silent = look(client, URL + "silent")
    assert "jan@example.net" not in silent
    assert "Whoever wrote back, and waits for your decision, is not among them." in silent


def look(client: FlaskClient, url: str = URL) -> str:
    """Return what a page says, in English."""
    return words_at(client, url)


def test_the_mails_in_doubt_are_listed_and_the_look_is_noted(
    database: Database, mailing_list: MailingList, client: FlaskClient
) -> None:
    campaign = make_campaign(database, mailing_list)
    assert "No mail is in doubt." in look(client, URL + "doubts")
    doubtful = make_contact(database, mailing_list, "jan@example.net")
    make_mail(database, campaign, doubtful, state=MailState.IN_DOUBT, started_at=NOW)
    assert "jan@example.net" in look(client, URL + "doubts")
    assert {one.act for one in Access.select()} == {"doubts"}


# --- Replies.


def reply_of(
    database: Database,
    contact: Contact,
    proposed: str = "",
    # Once the ask was sent.
    at: datetime = NOW + timedelta(seconds=1),
) -> int:
    with database.atomic():
        human_replies.save_reply(
            contact,
            digest=contact.uid * 2,
            proposed=proposed,
            at=at,
            decided_at=None,
        )
    number: int = Reply.select().order_by(Reply.id.desc()).get().id
    return number


@pytest.mark.parametrize(
    ("decision", "status", "said"),
    [
        ("yes", Status.CONFIRMED, "Recorded as a Yes."),
        ("no", Status.REMOVED, "Recorded as a No."),
        ("none", Status.UNCONFIRMED, "Set aside: it is no answer."),
    ],
)
def test_a_reply_is_decided_on(
    database: Database, client: FlaskClient, decision: str, status: Status, said: str
) -> None:
    mailing_list = MailingList.get()
    contact = make_asked(
        database, mailing_list, make_campaign(database, mailing_list), "jan@example.net"
    )
    number = reply_of(database, contact)
    assert "Somebody wrote back." in look(client)
    assert "jan@example.net" in look(client, URL + "replies")
    url = f"{URL}replies/{number}"
    assert post(client, url, decision=decision).status_code == 303
    after = look(client, URL + "replies")
    assert said in after
    assert "No reply waits." in after
    assert Contact.get_by_id(contact.id).status == status
    assert post(client, url, decision="no").status_code == 303
    assert "Somebody has decided on that reply already." in look(client, URL + "replies")
    assert Contact.get_by_id(contact.id).status == status


def test_what_was_set_aside_can_be_decided_again_and_both_are_entries(
    database: Database, mailing_list: MailingList, client: FlaskClient
) -> None:
    contact = make_asked(database, mailing_list, make_campaign(database, mailing_list))
    number = reply_of(database, contact)
    post(client, f"{URL}replies/{number}", decision="none")
    assert "set aside as no answer" in look(client, URL + "replies")
    undo = f"{URL}replies/{number}/undo"
    assert post(client, undo, decision="none").status_code == 303
    assert "The reply waits for your decision again." in look(client, URL + "replies")
    assert [one.number for one in human_replies.list_waiting_replies(mailing_list)] == [number]
    # Pressed a second time there is nothing to take back.
    post(client, undo, decision="none")
    assert "Something has come of that reply since." in look(client, URL + "replies")
    events = [one.event for one in Evidence.select().order_by(Evidence.seq)]
    assert events == ["reply_set_aside", "reply_reopened"]
    assert Evidence.select().where(Evidence.subject == contact.subject).count() == 2


@pytest.mark.parametrize("proposed", ["", "yes", "no", "stop"])
@pytest.mark.parametrize(
    ("decision", "label"), [("yes", "It was a No after all"), ("no", "It was a Yes after all")]
)
def test_a_wrong_yes_or_no_is_followed_by_its_opposite_and_stays_in_the_record(
    client: FlaskClient,
    pages: Pages,
    decision: str,
    label: str,
    proposed: str,
) -> None:
    statuses = [Status.CONFIRMED, Status.REMOVED]
    if decision == "no":
        statuses.reverse()
    database, mailing_list = pages.database, MailingList.get()
    contact = make_asked(
        database, mailing_list, make_campaign(database, mailing_list), "jan@example.net"
    )
    number = reply_of(database, contact, proposed)
    post(client, f"{URL}replies/{number}", decision=decision)
    assert label in look(client, URL + "replies")
    assert Contact.get_by_id(contact.id).status == statuses[0]
    pages.clock.advance(timedelta(minutes=1))
    post(client, f"{URL}replies/{number}/undo", decision=decision)
    assert Contact.get_by_id(contact.id).status == statuses[1]
    assert label not in look(client, URL + "replies").partition("Decided before")[2]
    wanted = {Status.CONFIRMED: "confirmed", Status.REMOVED: "removed"}
    events = [one.event for one in Evidence.select().order_by(Evidence.seq)]
    assert events == [wanted[status] for status in statuses]
    assert not human_replies.list_waiting_replies(mailing_list)


def test_what_a_person_pressed_themselves_is_not_taken_back(
    database: Database, mailing_list: MailingList, client: FlaskClient
) -> None:
    contact = make_asked(database, mailing_list, make_campaign(database, mailing_list))
    number = reply_of(database, contact)
    post(client, f"{URL}replies/{number}", decision="none")
    say_yes(database, contact, 1, at=NOW + timedelta(hours=1))
    assert "Decided before" not in look(client, URL + "replies")
    for decision in ("none", "yes", "no"):
        post(client, f"{URL}replies/{number}/undo", decision=decision)
    assert Contact.get_by_id(contact.id).status == Status.CONFIRMED
    assert "reply_reopened" not in {one.event for one in Evidence.select()}


@pytest.mark.parametrize("fields", [{}, {"decision": ""}, {"decision": "later"}])
def test_what_decides_nothing_about_a_reply_is_refused(
    database: Database, mailing_list: MailingList, client: FlaskClient, fields: dict[str, str]
) -> None:
    contact = make_asked(database, mailing_list, make_campaign(database, mailing_list))
    number = reply_of(database, contact)
    assert post(client, f"{URL}replies/{number}", **fields).status_code == 400
    assert [one.number for one in human_replies.list_waiting_replies(mailing_list)] == [number]


def test_a_reply_says_what_it_seems_to_be(
    database: Database, mailing_list: MailingList, client: FlaskClient
) -> None:
    campaign = make_campaign(database, mailing_list)
    for proposed in ("yes", "no", "stop", ""):
        reply_of(database, make_asked(database, mailing_list, campaign), proposed)
    said = look(client, URL + "replies")
    for text in ("plainly says Yes", "plainly says No", "mailed no more", "no plain answer"):
        assert text in said


def test_who_wrote_and_the_first_line_are_read_in_the_mailbox_when_asked_for(
    database: Database, mailing_list: MailingList, settings: Settings
) -> None:
    contact = make_asked(
        database, mailing_list, make_campaign(database, mailing_list), "jan@example.net"
    )
    raw = reply_to(Mail.get(), "Hallo,\nHoe komt u aan mijn adres?", sender="zoon@example.net")
    with ImapMailbox(raw) as mailbox:
        account = account_of(mailbox)
        client = admin_client(Pages(database, replace(settings, bounces=account)))
        with database.atomic():
            human_replies.save_reply(
                contact, digest=digest_of(1), proposed="", at=NOW, decided_at=None
            )
        before = look(client, URL + "replies")
        assert "Show who wrote, and the first line" in before
        assert "Hoe komt u" not in before
        said = look(client, URL + "replies?read=yes")
    assert "Hoe komt u aan mijn adres?" in said
    assert "written from another address: zoon@example.net" in said
    # The mailbox is gone by now: the page says so, and is there all the same.
    said = look(client, URL + "replies?read=yes")
    assert "mailbox server localhost" in said
    assert "It is a Yes" in said


def test_a_mailbox_in_which_nothing_can_be_found_is_not_offered(
    database: Database, mailing_list: MailingList, client: FlaskClient
) -> None:
    reply_of(database, make_asked(database, mailing_list, make_campaign(database, mailing_list)))
    assert "Show who wrote" not in look(client, URL + "replies")
    assert "It is a Yes" in look(client, URL + "replies?read=yes")


def test_a_yes_after_the_deadline_is_refused_and_waits_on(
    database: Database, mailing_list: MailingList, pages: Pages
) -> None:
    campaign = make_campaign(database, mailing_list, deadline=NOW + timedelta(hours=1))
    contact = make_asked(database, mailing_list, campaign)
    with database.atomic():
        human_replies.save_reply(
            contact,
            digest="a" * 64,
            proposed="",
            at=NOW + timedelta(hours=2),
            decided_at=None,
        )
    pages.clock.advance(timedelta(hours=3))
    late = admin_client(pages)
    number = Reply.get().id
    post(late, f"{URL}replies/{number}", decision="yes")
    assert "A Yes counts only while a campaign asks for it" in look(late, URL + "replies")


@pytest.mark.parametrize(("count", "further"), [(49, ""), (50, ""), (52, "And 2 more.")])
def test_fifty_replies_are_shown_and_the_others_come_as_these_are_decided_on(
    database: Database, mailing_list: MailingList, client: FlaskClient, count: int, further: str
) -> None:
    contact = make_asked(database, mailing_list, make_campaign(database, mailing_list))
    with database.atomic():
        for number in range(count):
            human_replies.save_reply(
                contact,
                digest=f"{number:064}",
                proposed="",
                at=NOW + timedelta(minutes=number),
                decided_at=None,
            )
    numbers = [one.number for one in human_replies.list_waiting_replies(mailing_list)]
    shown = client.get(URL + "replies").text
    assert [number for number in numbers if f'id="reply-{number}"' in shown] == numbers[:50]
    said = look(client, URL + "replies")
    assert further in said
    assert (" more." in said) == bool(further)
    # What is not shown can be decided on too, as another admin may see other ones.
    post(client, f"{URL}replies/{numbers[-1]}", decision="none")
    assert "Set aside: it is no answer." in look(client, URL + "replies")
    assert human_replies.count_waiting_replies(mailing_list) == count - 1


def test_a_reply_to_another_list_is_not_decided_on(
    database: Database, mailing_list: MailingList, client: FlaskClient
) -> None:
    other = make_list(database, slug="other")
    number = reply_of(database, make_asked(database, other, make_campaign(database, other)))
    post(client, f"{URL}replies/{number}", decision="no")
    assert "Somebody has decided on that reply already." in look(client, URL + "replies")
    assert human_replies.count_waiting_replies(other) == 1
    assert not human_replies.count_waiting_replies(mailing_list)


# --- Who would be removed.


def test_who_has_not_answered_is_listed_page_by_page(
    database: Database, mailing_list: MailingList, client: FlaskClient
) -> None:
    campaign = make_campaign(database, mailing_list)
    people = [make_asked(database, mailing_list, campaign) for _ in range(52)]
    say_yes(database, people[0], campaign.id)
    for odd in ({"bounce": "hard"}, {"state": "failed"}, {"sent_at": DEADLINE}):
        make_mail(database, campaign, make_contact(database, mailing_list), **odd)
    first = client.get(URL + "silent")
    assert str(people[1].address) in first.text
    assert str(people[0].address) not in first.text
    assert f"after={people[50].id}" in first.text
    second = look(client, f"{URL}silent?after={people[50].id}")
    assert str(people[51].address) in second
    assert str(people[50].address) not in second
    assert "Back to the first" in second
    assert look(client, f"{URL}silent?after={'9' * 25}") == look(client, URL + "silent")
    assert "Who would be removed" in look(client)


def test_nobody_would_be_removed_without_a_live_campaign(
    database: Database, mailing_list: MailingList, client: FlaskClient
) -> None:
    assert "No campaign is under way." in look(client, URL + "silent")
    make_campaign(database, mailing_list)
    assert "Nobody." in look(client, URL + "silent")


def test_a_reminder_is_no_ask(
    database: Database, mailing_list: MailingList, client: FlaskClient
) -> None:
    campaign = make_campaign(database, mailing_list)
    contact = make_asked(database, mailing_list, campaign)
    make_mail(database, campaign, contact, kind=MailKind.REMINDER)
    take_off(database, make_asked(database, mailing_list, campaign), campaign.id, Reason.BOUNCE)
    said = look(client)
    assert "2 in this campaign" in said
    assert "3 mails sent" in said
