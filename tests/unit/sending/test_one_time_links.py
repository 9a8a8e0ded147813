"""Links for one use on their way: whose address they go to, and until when."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from repermit.campaigns import progress
from repermit.contacts import erasure, status_changes
from repermit.db.connection import Database
from repermit.db.models.contacts import Contact
from repermit.db.models.mails import FreshLink, Mail
from repermit.privacy import not_the_person, rectification
from repermit.rules.consent import Status
from tests.support.builders import NOW, make_contact
from tests.support.inbox import Inbox
from tests.support.one_time_links import TRACE, asked_for, newest, opened_for
from tests.support.sending_campaign import Story, mail_settings, make_story, state_of

HALF_HOUR = timedelta(minutes=30)
MOMENT = timedelta(microseconds=1)


@pytest.fixture
def story(database: Database, database_url: str, inbox: Inbox) -> Story:
    return make_story(database, mail_settings(database_url, inbox.port))


@pytest.fixture
def anna(story: Story) -> Contact:
    return make_contact(
        story.database, story.mailing_list, "anna@example.org", status=Status.CONFIRMED
    )


def link_in(inbox: Inbox, address: str) -> str:
    body = inbox.to(address)[-1].message.get_body(("plain",))
    assert body
    found = re.search(r"https://ask\.example\.org/(\w+)/(\S+)", body.get_content())
    return found[1] if found else ""


def ask_move(story: Story, contact: Contact) -> FreshLink:
    rectification.ask_new_address(
        story.database,
        authority=opened_for(story.database, contact).authority,
        address="new@other.example",
        language="fr",
        now=NOW,
    )
    return newest("address")


def test_a_link_leaves_in_the_first_half_of_its_hour_or_not_at_all(
    story: Story, anna: Contact
) -> None:
    mails = [asked_for(story.database, anna).mail for _ in range(2)]
    story.clock.move_to(NOW + HALF_HOUR)
    story.send()
    assert state_of(mails[0]) == ("sent", "")
    late = asked_for(story.database, anna).mail
    story.clock.move_to(NOW + HALF_HOUR + MOMENT)
    story.send()
    assert state_of(late) == ("dropped", "too_late")


def test_mails_go_to_the_address_that_they_are_about(
    story: Story, anna: Contact, inbox: Inbox
) -> None:
    uid = ask_move(story, anna).uid
    story.send()
    assert link_in(inbox, "new@other.example") == "address"
    # The link to what is held was used before it left.
    assert state_of(newest("see").mail) == ("dropped", "answered")
    rectification.confirm_new_address(
        story.database, uid=uid, settings=story.settings, now=NOW, trace=TRACE
    )
    story.send()
    assert link_in(inbox, "anna@example.org") == ""
    asked_for(story.database, anna)
    story.send()
    assert link_in(inbox, "new@other.example") == "fresh"
    assert [mail.rcpt_tos for mail in inbox.mails] == [
        ("new@other.example",),
        ("anna@example.org",),
        ("new@other.example",),
    ]


def test_of_who_is_erased_nothing_leaves_any_more(
    story: Story, anna: Contact, inbox: Inbox
) -> None:
    link = asked_for(story.database, anna)
    with story.database.atomic():
        erasure.erase_contact(
            anna,
            act=status_changes.Act(at=NOW, actor="admin"),
            fingerprint_key=story.settings.fingerprint_key,
        )
    story.send()
    assert state_of(link.mail) == ("dropped", "suppressed")
    assert inbox.mails == ()


def test_a_link_in_doubt_is_listed_with_the_address_it_goes_to(story: Story, anna: Contact) -> None:
    mail = ask_move(story, anna).mail
    story.change(mail, state="in_doubt", started_at=NOW)
    (doubt,) = progress.list_doubts(story.mailing_list)
    assert (doubt.mail, doubt.address) == (mail.id, "new@other.example")


def test_the_admin_is_told_of_who_is_not_the_person_meant(
    story: Story, anna: Contact, inbox: Inbox
) -> None:
    not_the_person.say_not_the_person(
        story.database, uid=anna.uid, settings=story.settings, now=NOW, trace=TRACE
    )
    story.send()
    (told,) = inbox.to("praktijk@example.org")
    text = told.raw.decode()
    assert f"/admin/lists/news/contacts/{anna.id}" in text.replace("=\r\n", "")
    assert "anna" not in text
    assert Mail.get().state == "sent"
