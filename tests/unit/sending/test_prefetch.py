"""Mails made ahead: which, how many, and for how long they are kept."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from repermit.db.connection import Database
from repermit.db.work_steps import StepSize
from repermit.emails.mime_encoding import Letter
from repermit.errors import NotFound
from repermit.sending.mail_for_contact import MailComposer, Prefetch
from repermit.sending.queue import Claim, claim_mails
from repermit.sending.send_rate import SendRates
from repermit.settings.definitions import Settings
from tests.support.builders import NOW
from tests.support.sending_campaign import Story, make_story

A_MOMENT = timedelta(microseconds=1)
A_SECOND = timedelta(seconds=1)


@pytest.fixture
def story(database: Database, settings: Settings) -> Story:
    return make_story(database, settings)


class Writing(MailComposer):
    """Makes mails, and tells for which claims."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.made: list[int] = []

    def compose(self, claim: Claim, *, now: datetime) -> Letter:
        self.made.append(claim.mail.id)
        return super().compose(claim, now=now)


def claims_of(story: Story, count: int) -> list[Claim]:
    """Let a worker claim so many asks, the last of which have been owed the shortest."""
    for number in range(count):
        story.owe(f"p{number}@example.org")
    return claim_all(story)


def claim_all(story: Story) -> list[Claim]:
    return claim_mails(
        story.database,
        worker="worker",
        fingerprint_key=story.settings.fingerprint_key,
        rates=SendRates(),
        now=story.clock.now(),
        size=StepSize(first=1_000),
    ).claims


def test_twice_as_many_mails_are_made_ahead_each_time(story: Story) -> None:
    claims = claims_of(story, 12)
    letters = Writing(story.settings)
    ahead = Prefetch(letters)
    made = []
    for place, one in enumerate(claims):
        prepared = ahead.prepare(one, claims[place + 1 :], now=NOW)
        assert prepared.claim is one
        assert prepared.letter.envelope_to == one.mail.address
        made.append(len(letters.made))
    assert made == [2, 2, 6, 6, 6, 6, 12, 12, 12, 12, 12, 12]
    assert letters.made == [one.mail.id for one in claims]


@pytest.mark.parametrize(("later", "made"), [(A_SECOND - A_MOMENT, 2), (A_SECOND, 3)])
def test_a_mail_that_waits_for_a_second_is_made_anew(
    story: Story, later: timedelta, made: int
) -> None:
    first, second = claims_of(story, 2)
    letters = Writing(story.settings)
    ahead = Prefetch(letters)
    ahead.prepare(first, [second], now=NOW)
    prepared = ahead.prepare(second, [], now=NOW + later)
    assert len(letters.made) == made
    assert prepared.made_at == (NOW if made == 2 else NOW + later)


def test_where_mails_leave_slowly_none_is_made_ahead(story: Story) -> None:
    claims = claims_of(story, 5)
    letters = Writing(story.settings)
    ahead = Prefetch(letters)
    made = []
    for place, one in enumerate(claims):
        ahead.prepare(one, claims[place + 1 :], now=NOW + place * A_SECOND)
        made.append(len(letters.made))
    # After none was made ahead, one is: the server may have become quicker.
    assert made == [2, 3, 5, 6, 7]


def test_a_mail_that_was_claimed_anew_is_made_anew(story: Story) -> None:
    first, second = claims_of(story, 2)
    letters = Writing(story.settings)
    ahead = Prefetch(letters)
    ahead.prepare(first, [second], now=NOW)
    anew = Claim(second.mail, second.wording_id, second.fingerprint, NOW, NOW)
    assert ahead.prepare(anew, [], now=NOW).claim is anew
    assert letters.made == [first.mail.id, second.mail.id, second.mail.id]


def test_what_cannot_be_made_says_so_in_its_own_turn(story: Story) -> None:
    first, second, third = claims_of(story, 3)
    second.wording_id = None
    ahead = Prefetch(MailComposer(story.settings))
    assert ahead.prepare(first, [second], now=NOW).claim is first
    with pytest.raises(NotFound):
        ahead.prepare(second, [third], now=NOW)
    assert ahead.prepare(third, [], now=NOW).claim is third


def test_a_mail_that_was_asked_for_is_made_in_its_own_turn(story: Story) -> None:
    story.owe_confirm("p@example.org")
    story.owe("q@example.org")
    confirm, ask = claim_all(story)
    letters = Writing(story.settings)
    Prefetch(letters).prepare(ask, [confirm], now=NOW)
    assert letters.made == [ask.mail.id]
