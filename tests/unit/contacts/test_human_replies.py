"""What people wrote back by mail, until the admin has decided."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from repermit.answers.record_answer import record_reported_answer
from repermit.contacts import erasure, human_replies, lookup
from repermit.contacts.human_replies import WaitingReply
from repermit.contacts.status_changes import Act
from repermit.db.connection import Database
from repermit.db.models.campaigns import Campaign
from repermit.db.models.contacts import Contact
from repermit.db.models.evidence import Evidence
from repermit.db.models.lists import MailingList
from repermit.db.models.mails import Mail, Reply
from repermit.errors import NotFound, Refused
from repermit.rules.consent import Answer, CampaignState, MailState
from tests.support.builders import (
    DEADLINE,
    NOW,
    make_asked,
    make_campaign,
    make_list,
    make_mail,
    make_settings,
)

SOON = NOW + timedelta(days=1)
MICROSECOND = timedelta(microseconds=1)


@pytest.fixture
def news(database: Database) -> MailingList:
    return make_list(database)


@pytest.fixture
def asked(database: Database, news: MailingList) -> Contact:
    return make_asked(database, news, make_campaign(database, news), "jan@example.org")


def keep(
    database: Database,
    contact: Contact,
    proposed: str = "",
    *,
    digest: str = "1",
    at: datetime = SOON,
    decided_at: datetime | None = None,
) -> bool:
    with database.atomic():
        return human_replies.save_reply(
            contact, digest=digest, proposed=proposed, at=at, decided_at=decided_at
        )


def test_a_reply_waits_until_it_is_decided_on(
    database: Database, news: MailingList, asked: Contact
) -> None:
    assert keep(database, asked, "yes")
    waiting = WaitingReply(
        address="jan@example.org",
        proposed="yes",
        at=SOON,
        number=Reply.get().id,
        contact=asked.id,
        digest="1",
    )
    assert human_replies.list_waiting_replies(news) == (waiting,)
    with database.atomic():
        human_replies.settle_replies(asked, at=DEADLINE)
    assert human_replies.list_waiting_replies(news) == ()
    assert Reply.get().decided_at == DEADLINE


def test_the_same_message_is_kept_once(database: Database, asked: Contact) -> None:
    assert [keep(database, asked), keep(database, asked, "yes")] == [True, False]
    assert [one.proposed for one in Reply.select()] == [""]


def test_a_reply_that_says_what_is_known_does_not_wait(
    database: Database, news: MailingList, asked: Contact
) -> None:
    keep(database, asked, decided_at=SOON)
    assert human_replies.list_waiting_replies(news) == ()


def test_replies_wait_in_the_order_of_their_coming_and_for_their_own_list(
    database: Database, news: MailingList, asked: Contact
) -> None:
    other = make_list(database, slug="other")
    stranger = make_asked(database, other, make_campaign(database, other), "x@example.org")
    keep(database, asked, digest="later", at=SOON + MICROSECOND)
    keep(database, asked, "no", digest="first")
    keep(database, stranger, digest="of another list")
    assert [one.at for one in human_replies.list_waiting_replies(news)] == [
        SOON,
        SOON + MICROSECOND,
    ]


def test_replies_to_an_earlier_campaign_wait_on(
    database: Database, news: MailingList, asked: Contact
) -> None:
    keep(database, asked, "no")
    with database.atomic():
        Campaign.update(state=CampaignState.CANCELLED).execute()
    make_campaign(database, news, launched_at=DEADLINE)
    assert len(human_replies.list_waiting_replies(news)) == 1
    assert human_replies.count_waiting_replies(news) == 1
    (waiting,) = human_replies.list_waiting_replies(news)
    options: dict[str, Any] = {"settings": make_settings(), "actor": "user:1"}
    record_reported_answer(
        database,
        news,
        waiting.address,
        Answer.NO,
        note="a reply",
        now=DEADLINE,
        reply_at=waiting.at,
        **options,
    )
    assert [one.decision for one in human_replies.list_decided_replies(news, limit=5)] == ["no"]


def test_a_yes_to_an_earlier_campaign_is_none_to_the_next(
    database: Database, news: MailingList, asked: Contact
) -> None:
    keep(database, asked, "yes")
    with database.atomic():
        Campaign.update(state=CampaignState.CANCELLED).execute()
        Mail.update(state=MailState.FAILED).execute()
    later = DEADLINE + timedelta(days=1)
    second = make_campaign(
        database, news, launched_at=later, starts_at=later, deadline=later + timedelta(days=60)
    )
    make_mail(database, second, asked, sent_at=later)
    options: dict[str, Any] = {"settings": make_settings(), "actor": "user:1", "note": "a reply"}
    now = later + timedelta(days=2)
    address = "jan@example.org"
    with pytest.raises(Refused, match="asked only after"):
        record_reported_answer(
            database, news, address, Answer.YES, now=now, reply_at=SOON, **options
        )
    # By phone, it is a Yes of now.
    record_reported_answer(database, news, address, Answer.YES, now=now, **options)
    assert Contact.get().status_at == now


def test_a_list_without_a_campaign_has_none(news: MailingList) -> None:
    assert human_replies.list_waiting_replies(news) == ()


@pytest.mark.parametrize(
    ("proposed", "answer", "found"),
    [
        ("yes", Answer.YES, True),
        ("", Answer.YES, True),
        ("", Answer.NO, True),
        ("no", Answer.YES, False),
        ("stop", Answer.NO, True),
        ("stop", Answer.YES, False),
    ],
)
def test_an_answer_came_when_the_mail_came_that_may_be_it(
    database: Database, asked: Contact, proposed: str, answer: Answer, found: bool
) -> None:
    keep(database, asked, proposed, digest="later", at=DEADLINE)
    keep(database, asked, proposed)
    assert human_replies.find_reply_time(asked, answer) == (SOON if found else None)
    with database.atomic():
        human_replies.settle_replies(asked, at=DEADLINE)
    assert human_replies.find_reply_time(asked, answer) is None


def test_erasure_forgets_that_a_person_wrote(database: Database, asked: Contact) -> None:
    keep(database, asked)
    with database.atomic():
        erasure.erase_contact(
            lookup.lock_contact(asked.id),
            act=Act(at=SOON, actor="admin"),
            fingerprint_key=make_settings().fingerprint_key,
        )
    assert not Reply.select().exists()


def test_a_reply_that_is_no_answer_is_set_aside_once(
    database: Database, news: MailingList, asked: Contact
) -> None:
    keep(database, asked)
    number = Reply.get().id
    for now in (SOON, DEADLINE):
        human_replies.set_reply_aside(database, news, number, now=now, actor="user:1")
    assert Reply.get().decided_at == SOON
    (entry,) = Evidence.select()
    assert (entry.event, entry.subject) == ("reply_set_aside", asked.subject)
    with pytest.raises(NotFound):
        human_replies.set_reply_aside(database, news, number + 1, now=SOON, actor="user:1")
