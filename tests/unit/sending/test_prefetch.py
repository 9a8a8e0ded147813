"""Mails made ahead: which, and for how long they are kept."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from repermit.db.connection import Database
from repermit.db.work_steps import StepSize
from repermit.emails.mime_encoding import EncodedMail
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

    def compose(self, claim: Claim, *, now: datetime) -> EncodedMail:
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
        size=StepSize(first_rows=1_000),
    ).claims


def test_a_mail_that_was_made_ahead_is_not_made_again(story: Story) -> None:
    first, second, third = claims_of(story, 3)
    letters = Writing(story.settings)
    ahead = Prefetch(letters)
    ahead.compose_ahead([first, second], now=NOW)
    ahead.compose_ahead([second, third], now=NOW)
    prepared = [ahead.prepare(claim, now=NOW) for claim in (second, third)]
    assert [(one.claim, one.encoded_mail.envelope_to) for one in prepared] == [
        (claim, claim.mail.address) for claim in (second, third)
    ]
    assert letters.made == [claim.mail.id for claim in (first, second, third)]


def test_a_mail_that_does_not_come_next_is_kept_as_long_as_it_is_fresh(story: Story) -> None:
    first, second = claims_of(story, 2)
    letters = Writing(story.settings)
    ahead = Prefetch(letters)
    ahead.compose_ahead([first], now=NOW)
    ahead.compose_ahead([second], now=NOW)
    ahead.compose_ahead([], now=NOW)
    ahead.prepare(first, now=NOW)
    assert letters.made == [first.mail.id, second.mail.id]
    ahead.compose_ahead([], now=NOW + A_SECOND)
    ahead.prepare(second, now=NOW)
    assert letters.made == [first.mail.id, second.mail.id, second.mail.id]


@pytest.mark.parametrize(("later", "made"), [(A_SECOND - A_MOMENT, 1), (A_SECOND, 2)])
def test_a_mail_that_waits_for_a_second_is_made_anew(
    story: Story, later: timedelta, made: int
) -> None:
    (claim,) = claims_of(story, 1)
    letters = Writing(story.settings)
    ahead = Prefetch(letters)
    ahead.compose_ahead([claim], now=NOW)
    prepared = ahead.prepare(claim, now=NOW + later)
    assert len(letters.made) == made
    assert prepared.made_at == (NOW if made == 1 else NOW + later)


def test_a_mail_that_was_made_ahead_a_second_ago_is_made_anew(story: Story) -> None:
    (claim,) = claims_of(story, 1)
    ahead = Prefetch(MailComposer(story.settings))
    ahead.compose_ahead([claim], now=NOW)
    ahead.compose_ahead([claim], now=NOW + A_SECOND)
    assert ahead.prepare(claim, now=NOW + A_SECOND).made_at == NOW + A_SECOND


def test_a_mail_that_was_claimed_anew_is_made_anew(story: Story) -> None:
    (claim,) = claims_of(story, 1)
    letters = Writing(story.settings)
    ahead = Prefetch(letters)
    ahead.compose_ahead([claim], now=NOW)
    anew = Claim(claim.mail, claim.wording_id, claim.fingerprint, NOW, NOW)
    assert ahead.prepare(anew, now=NOW).claim is anew
    assert letters.made == [claim.mail.id, claim.mail.id]


def test_what_cannot_be_made_says_so_in_its_own_turn(story: Story) -> None:
    first, second = claims_of(story, 2)
    first.wording_id = None
    ahead = Prefetch(MailComposer(story.settings))
    ahead.compose_ahead([first, second], now=NOW)
    with pytest.raises(NotFound):
        ahead.prepare(first, now=NOW)
    assert ahead.prepare(second, now=NOW).claim is second


def test_a_mail_that_was_asked_for_is_made_in_its_own_turn(story: Story) -> None:
    story.owe_confirm("p@example.org")
    story.owe("q@example.org")
    confirm, ask = claim_all(story)
    letters = Writing(story.settings)
    Prefetch(letters).compose_ahead([confirm, ask], now=NOW)
    assert letters.made == [ask.mail.id]
