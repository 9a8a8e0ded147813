"""Mails in doubt: a person decides, and only a person."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from peewee import fn

from repermit.db.background_tasks import BackgroundTask
from repermit.db.connection import Database
from repermit.db.models.campaigns import Campaign, CampaignWording
from repermit.db.models.evidence import Evidence, EvidencePart
from repermit.db.models.mails import Mail
from repermit.db.work_steps import StepSize
from repermit.errors import Refused
from repermit.rules.consent import CampaignState, MailKind, MailState, Reason
from repermit.sending.in_doubt import (
    Resolution,
    find_resolution,
    finish_resolutions,
    resolve_in_doubt,
)
from repermit.sending.send_due import SendResult
from tests.support.builders import NOW, make_contact, make_list, make_removed, put_in
from tests.support.chain_faults import iter_chain_faults
from tests.support.inbox import Inbox
from tests.support.query_plans import plans_of
from tests.support.sending_campaign import Story, again, mail_settings, make_story, state_of

DOUBT: dict[str, Any] = {"state": MailState.IN_DOUBT, "worker": "dead", "started_at": NOW}
MESSAGE_ID = "<first@example.org>"


@pytest.fixture
def story(database: Database, database_url: str, inbox: Inbox) -> Story:
    return make_story(database, mail_settings(database_url, inbox.port), state="open")


def decide(story: Story, *, resend: bool, shown: int | None = None, most: int | None = None) -> int:
    return resolve_in_doubt(
        story.database,
        story.mailing_list,
        resend=resend,
        shown=shown,
        now=story.clock.now(),
        actor="admin@example.org",
        max_mails=most,
    )


def in_doubt(story: Story, address: str = "") -> Mail:
    return story.owe(address, message_id=MESSAGE_ID, **DOUBT)


def campaign_state() -> tuple[str, str]:
    campaign = Campaign.get()
    return campaign.state, campaign.paused_from


def test_a_mail_that_is_sent_again_is_the_same_mail(story: Story, inbox: Inbox) -> None:
    mail = in_doubt(story)
    story.clock.advance(NOW.replace(day=3) - NOW)
    assert decide(story, resend=True) == 1
    assert state_of(mail) == ("queued", "")
    assert campaign_state()[0] == CampaignState.SENDING
    assert story.send() == SendResult(sent=1)
    (received,) = inbox.mails
    assert received.message["Message-ID"] == again(mail).message_id == MESSAGE_ID
    assert received.message["Date"].datetime == NOW
    assert campaign_state()[0] == CampaignState.OPEN


def test_a_mail_that_is_left_has_failed(story: Story, inbox: Inbox) -> None:
    mail = in_doubt(story)
    assert decide(story, resend=False) == 1
    assert (state_of(mail), again(mail).worker) == (("failed", "in_doubt"), "")
    assert story.send() == SendResult()
    assert campaign_state()[0] == CampaignState.OPEN
    assert not inbox.mails


@pytest.mark.parametrize("resend", [True, False])
def test_the_decision_is_evidence(story: Story, resend: bool) -> None:
    in_doubt(story)
    in_doubt(story)
    decide(story, resend=resend)
    entry = Evidence.get()
    assert (entry.event, entry.actor, entry.list) == ("resolved", "admin@example.org", "news")
    assert entry.campaign == story.campaign.id
    assert EvidencePart.get().json == f'{{"mails":2,"resend":{str(resend).lower()}}}'
    assert not list(iter_chain_faults())


def test_without_a_doubt_there_is_nothing_to_decide(story: Story) -> None:
    mail = story.owe(state=MailState.STARTED)
    assert decide(story, resend=True) == 0
    assert decide(story, resend=False) == 0
    assert again(mail).state == "started"
    assert not Evidence.select().exists()
    assert campaign_state()[0] == CampaignState.OPEN


def test_other_lists_are_left_alone(story: Story) -> None:
    mail = in_doubt(story)
    other = make_list(story.database, slug="other")
    assert resolve_in_doubt(story.database, other, resend=False, now=NOW, actor="admin") == 0
    assert again(mail).state == "in_doubt"


@pytest.mark.parametrize(
    ("before", "paused_from", "after"),
    [
        ("sending", "", ("sending", "")),
        ("open", "", ("sending", "")),
        ("paused", "sending", ("paused", "sending")),
        ("paused", "open", ("paused", "sending")),
    ],
)
def test_a_campaign_that_was_open_sends_again(
    story: Story, before: str, paused_from: str, after: tuple[str, str]
) -> None:
    in_doubt(story)
    story.change(story.campaign, state=before, paused_from=paused_from)
    decide(story, resend=True)
    assert campaign_state() == after


@pytest.mark.parametrize("state", [CampaignState.CLOSED, CampaignState.CANCELLED])
def test_after_the_campaign_nothing_is_sent_again(story: Story, state: CampaignState) -> None:
    mail = in_doubt(story)
    story.change(story.campaign, state=state)
    with pytest.raises(Refused, match="the campaign is over"):
        decide(story, resend=True)
    assert state_of(mail) == ("in_doubt", "")
    assert decide(story, resend=False) == 1


def test_who_has_answered_meanwhile_is_not_asked_again(story: Story, inbox: Inbox) -> None:
    contact = make_removed(story.database, story.mailing_list, Reason.NO)
    mail = story.owe(contact=contact, **DOUBT)
    decide(story, resend=True)
    assert story.send() == SendResult(dropped=1)
    assert state_of(mail) == ("dropped", "answered")
    assert not inbox.mails


def test_a_confirmation_in_doubt_needs_no_campaign(story: Story, inbox: Inbox) -> None:
    mail = story.owe_confirm("jan@example.org")
    story.change(mail, state=MailState.IN_DOUBT)
    with story.database.atomic():
        CampaignWording.delete().execute()
        Campaign.delete().execute()
    make_contact(story.database, story.mailing_list)
    assert decide(story, resend=True) == 1
    assert Evidence.get().campaign == 0
    assert story.send() == SendResult(sent=1)
    assert inbox.to("jan@example.org")


# --- Many. --------------------------------------------------------------------------------------


class Killed(BaseException):
    """What ends a process in the middle of its work."""


def make_many(story: Story) -> None:
    """Put 150 mails in doubt, of which a first step takes 100."""
    mail = {
        "list": story.mailing_list,
        "campaign": story.campaign,
        "kind": MailKind.CONFIRM,
        "due_at": NOW,
        "message_id": MESSAGE_ID,
        **DOUBT,
    }
    put_in(story.database, Mail, [mail] * 150)


def count(state: MailState) -> int:
    return int(Mail.select().where(Mail.state == state).count())


def parts() -> list[int]:
    """Return on how many mails each entry says that somebody decided."""
    return [json.loads(part.json)["mails"] for part in EvidencePart.select().order_by("seq")]


@pytest.mark.parametrize("resend", [True, False])
def test_many_are_decided_on_in_steps_each_with_its_evidence(story: Story, resend: bool) -> None:
    make_many(story)
    assert decide(story, resend=resend) == 150
    assert count(MailState.QUEUED if resend else MailState.FAILED) == 150
    # Further steps are as large as the first one's time allows.
    assert parts()[0] == 100
    assert sum(parts()) == 150
    assert not list(iter_chain_faults())


def test_what_a_kill_left_in_doubt_is_decided_on_by_deciding_again(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_many(story)

    def kill() -> None:
        raise Killed

    meanwhile(story, monkeypatch, kill)
    with pytest.raises(Killed):
        decide(story, resend=True)
    assert (count(MailState.QUEUED), count(MailState.IN_DOUBT)) == (100, 50)
    assert decide(story, resend=False) == 50
    assert (count(MailState.QUEUED), count(MailState.FAILED)) == (100, 50)
    assert parts()[0] == 100
    assert sum(parts()) == 150
    assert not list(iter_chain_faults())


@pytest.mark.parametrize("resend", [True, False])
def test_a_decision_on_many_is_only_begun_and_goes_on_by_itself(story: Story, resend: bool) -> None:
    make_many(story)
    assert find_resolution(story.mailing_list) is None
    assert decide(story, resend=resend, shown=150, most=100) == 150
    became = MailState.QUEUED if resend else MailState.FAILED
    assert (count(became), count(MailState.IN_DOUBT)) == (100, 50)
    assert find_resolution(story.mailing_list) == Resolution(resend=resend, remaining=50)
    at = story.clock.now()
    story.clock.advance(timedelta(hours=1))
    finish_resolutions(story.database)
    assert (count(became), count(MailState.IN_DOUBT)) == (150, 0)
    assert find_resolution(story.mailing_list) is None
    # As if one had waited for all of it.
    assert parts() == [100, 50]
    assert {(one.at, one.actor) for one in Evidence.select()} == {(at, "admin@example.org")}
    assert not list(iter_chain_faults())


def test_a_decision_that_was_killed_goes_on_with_what_it_was_about(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_many(story)

    def kill() -> None:
        raise Killed

    with monkeypatch.context() as patch:
        meanwhile(story, patch, kill)
        with pytest.raises(Killed):
            decide(story, resend=True)
    # A mail of before that is sent again and lost again, and one that has never been in doubt.
    first = Mail.select(fn.MIN(Mail.id)).scalar()
    with story.database.atomic():
        Mail.update(state=MailState.IN_DOUBT).where(Mail.id == first).execute()
    in_doubt(story)
    finish_resolutions(story.database)
    assert (count(MailState.QUEUED), count(MailState.IN_DOUBT)) == (149, 2)
    assert sum(parts()) == 150
    finish_resolutions(story.database)
    assert count(MailState.IN_DOUBT) == 2


def test_mails_in_doubt_among_which_some_have_left_are_several_tasks(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("repermit.sending.in_doubt._RUNS_PER_TASK", 10)
    make_many(story)
    numbers = [mail.id for mail in Mail.select(Mail.id).order_by(Mail.id)]
    with story.database.atomic():
        Mail.update(state=MailState.SENT).where(Mail.id.in_(numbers[::3])).execute()
    assert decide(story, resend=False, most=20) == 100
    assert (count(MailState.FAILED), BackgroundTask.select().count()) == (20, 4)
    assert find_resolution(story.mailing_list) == Resolution(resend=False, remaining=80)
    finish_resolutions(story.database)
    assert (count(MailState.FAILED), count(MailState.SENT)) == (100, 50)
    assert not BackgroundTask.select().exists()


def test_a_decision_that_goes_on_by_itself_ends_with_the_campaign(story: Story) -> None:
    make_many(story)
    ask = in_doubt(story)
    assert decide(story, resend=True, most=100) == 151
    with story.database.atomic():
        Campaign.update(state=CampaignState.CANCELLED).execute()
    finish_resolutions(story.database)
    assert find_resolution(story.mailing_list) is None
    assert (count(MailState.QUEUED), state_of(ask)) == (100, ("in_doubt", ""))
    assert parts() == [100]


def meanwhile(story: Story, monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Let something happen between the first step of a decision, of 100, and the second."""
    # However long the first one takes on a loaded machine.
    monkeypatch.setattr(StepSize, "adapt", lambda *_, **__: None)
    atomic, steps = story.database.atomic, itertools.count(1)

    def acting() -> Any:
        # It is noted first, in a transaction of its own.
        if next(steps) == 3:
            with atomic():
                act()
        return atomic()

    monkeypatch.setattr(story.database, "atomic", acting)


def test_what_comes_into_doubt_meanwhile_is_for_a_person_to_decide(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_many(story)
    sent_again = Mail.update(state=MailState.IN_DOUBT).where(Mail.id <= 10)
    meanwhile(story, monkeypatch, sent_again.execute)
    assert decide(story, resend=True) == 150
    assert (count(MailState.QUEUED), count(MailState.IN_DOUBT)) == (140, 10)
    # Those that may have been sent twice by now, not others in their place.
    assert Mail.select().where(Mail.state == MailState.IN_DOUBT, Mail.id <= 10).count() == 10


@pytest.mark.parametrize("resend", [True, False])
def test_what_was_not_in_doubt_when_it_was_decided_is_not_decided_on_in_the_place_of_what_was(
    story: Story, monkeypatch: pytest.MonkeyPatch, resend: bool
) -> None:
    make_many(story)
    # A worker has started these, and dies between two steps.
    first = Mail.select(fn.MIN(Mail.id)).scalar()
    others = (Mail.id >= first + 110, Mail.id < first + 130)
    with story.database.atomic():
        Mail.update(state=MailState.STARTED).where(*others).execute()
    lost = Mail.update(state=MailState.IN_DOUBT).where(*others)
    meanwhile(story, monkeypatch, lost.execute)
    assert decide(story, resend=resend, shown=130) == 130
    assert Mail.select().where(*others, Mail.state == MailState.IN_DOUBT).count() == 20
    assert count(MailState.QUEUED if resend else MailState.FAILED) == 130
    assert sum(parts()) == 130


def test_nothing_more_is_sent_again_once_the_campaign_is_over(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_many(story)
    ask = in_doubt(story)
    cancelled = Campaign.update(state=CampaignState.CANCELLED)
    meanwhile(story, monkeypatch, cancelled.execute)
    with pytest.raises(Refused, match="the campaign is over"):
        decide(story, resend=True)
    assert (count(MailState.QUEUED), state_of(ask)) == (100, ("in_doubt", ""))
    assert parts() == [100]


def test_what_is_not_as_it_was_shown_is_not_decided_on(story: Story) -> None:
    make_many(story)
    for shown in (0, 149, 151):
        with pytest.raises(Refused, match="other mails are in doubt"):
            decide(story, resend=False, shown=shown)
    assert count(MailState.IN_DOUBT) == 150
    assert decide(story, resend=False, shown=150) == 150


@pytest.mark.counted_on_both
def test_a_step_finds_the_next_in_doubt_by_their_index(story: Story) -> None:
    in_doubt(story)
    (plan,) = plans_of(story.database, lambda: decide(story, resend=True), having='"id" > ')
    assert "mail_in_doubt" in plan
    assert "SORT" not in plan.upper()
    assert "TEMP B-TREE" not in plan
