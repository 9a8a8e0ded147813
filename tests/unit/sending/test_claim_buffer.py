"""What is claimed when rates hold back: no domain waits in vain, no campaign behind another."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from repermit.campaigns import lifecycle
from repermit.clock import ManualClock
from repermit.db.connection import Database
from repermit.db.models.campaigns import Campaign
from repermit.db.models.contacts import Contact, SignUp
from repermit.db.models.lists import MailingList
from repermit.db.models.mails import Mail
from repermit.rules.consent import CampaignState
from repermit.sending import expired_or_unwanted_mail, send_step
from repermit.sending.claim_buffer import ClaimBuffer
from repermit.sending.queued_mail import QueuedMail
from repermit.sending.send_rate import SendRates
from repermit.settings.definitions import MailServer, Settings
from tests.support.builders import NOW, make_campaign, make_list
from tests.support.sending_campaign import Story, make_story

A_MOMENT = timedelta(milliseconds=1)


@pytest.fixture
def story(database: Database, settings: Settings) -> Story:
    return make_story(database, settings)


@dataclass
class Left:
    """What has left: to whom, of which campaign, and when."""

    address: str
    campaign: int | None
    at: datetime


@dataclass
class Worker:
    """A worker whose mails leave at once; the clock goes on by itself where nothing does."""

    story: Story
    rates: dict[str, Any]
    name: str = "worker"
    first_rows: int = 4
    left: list[Left] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.supply = ClaimBuffer(
            self.story.database,
            worker=self.name,
            fingerprint_key=self.story.settings.fingerprint_key,
            rates=SendRates.from_settings(MailServer(**self.rates)),
            clock=self.clock,
            mailing_list=None,
            first_rows=self.first_rows,
            on_drop=lambda _number, _why: None,
        )

    @property
    def clock(self) -> ManualClock:
        return self.story.clock

    def work(self, most: int = 10_000) -> list[Left]:
        """Let mails leave, so many at most, until no more are to be waited for; return them."""
        before = len(self.left)
        while len(self.left) < before + most:
            claim = self.supply.take_claim(self.clock.now())
            if claim is not None:
                Mail.update(state="sent", lease_until=None).where(
                    Mail.id == claim.mail.id
                ).execute()
                owed = claim.mail
                address = owed.address or owed.sign_up_address or ""
                self.left.append(Left(address, owed.campaign_id, self.clock.now()))
                self.clock.advance(A_MOMENT)
            elif self.supply.wait_until is None:
                break
            else:
                self.clock.move_to(max(self.supply.wait_until, self.clock.now() + A_MOMENT))
        return self.left[before:]


def domain_of(one: Left) -> str:
    return one.address.rpartition("@")[2]


def owe_many(story: Story, domain: str, count: int, campaign: Campaign | None = None) -> None:
    for number in range(count):
        text = f"p{number}.{campaign.id if campaign else 0}@{domain}"
        story.owe(text, campaign=campaign or story.campaign)


def another_campaign(story: Story, slug: str, **overrides: Any) -> tuple[MailingList, Campaign]:
    news = make_list(story.database, slug=slug)
    return news, make_campaign(
        story.database, news, **{"state": CampaignState.SENDING, **overrides}
    )


# --- The size of a claim. -----------------------------------------------------------------------


def claims_of(story: Story, monkeypatch: pytest.MonkeyPatch, seconds: float) -> list[int]:
    """Let 200 mails leave, each claim of which takes so long at least; return how many each had."""
    sizes: list[int] = []
    terms_of = expired_or_unwanted_mail.read_terms

    def slow(database: Database, owed: Sequence[QueuedMail]) -> Any:
        sizes.append(len(owed))
        time.sleep(seconds)
        return terms_of(database, owed)

    owe_many(story, "example.org", 200)
    worker = Worker(story, {}, first_rows=64)
    with monkeypatch.context() as patch:
        patch.setattr(expired_or_unwanted_mail, "read_terms", slow)
        assert len(worker.work()) == 200
    return sizes


@pytest.mark.exhaustive
def test_the_next_claim_is_so_small_that_it_holds_the_lock_for_a_short_time(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = claims_of(story, monkeypatch, 0.25)
    assert sizes[0] == 64
    assert max(sizes[1:]) == 50


def test_what_is_given_back_is_given_back_in_steps_of_that_size(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    owe_many(story, "example.org", 64)
    worker = Worker(story, {}, first_rows=64)
    assert worker.supply.has_more()
    worker.supply.put_back(worker.supply.take_claim(story.clock.now()))  # type: ignore[arg-type]
    steps: list[int] = []
    give_back = send_step.return_claims

    def counted(database: Database, numbers: Sequence[int], **given: Any) -> Any:
        steps.append(len(numbers))
        return give_back(database, numbers, **given)

    monkeypatch.setattr(send_step, "return_claims", counted)
    monkeypatch.setattr(worker.supply._size, "rows", 20)
    worker.supply.return_all()
    assert steps == [20, 20, 20, 4]
    assert Mail.select().where(Mail.state == "queued").count() == 64


# --- A rate of domains. -------------------------------------------------------------------------


@pytest.mark.exhaustive
def test_domains_do_not_throttle_each_other_beside_a_rate_of_all(story: Story) -> None:
    for number in range(20):
        for place in range(5):
            story.owe(f"p{number}@example{place}.org")
    rates: dict[str, Any] = {"rate_per_minute": 600, "domain_rate_per_minute": 120}
    left = Worker(story, rates).work()
    assert len(left) == 100
    assert left[-1].at - left[0].at < timedelta(seconds=0.1) * 99 * 1.15


@pytest.mark.exhaustive
@pytest.mark.parametrize("per_minute", [6, 600])
def test_no_moment_of_a_crowded_domain_is_wasted(story: Story, per_minute: int) -> None:
    owe_many(story, "crowded.org", 60)
    owe_many(story, "other.org", 3)
    left = Worker(story, {"domain_rate_per_minute": per_minute}).work()
    assert len(left) == 63
    came = [one.at for one in left if domain_of(one) == "crowded.org"]
    interval = timedelta(minutes=1) / per_minute
    assert all(later - at >= interval for at, later in pairwise(came))
    assert came[-1] - came[0] < interval * 59 * 1.05
    assert max(one.at for one in left if domain_of(one) == "other.org") < NOW + 4 * interval


def test_two_workers_leave_no_moment_of_a_domain_unused_and_use_none_twice(story: Story) -> None:
    owe_many(story, "crowded.org", 40)
    rates: dict[str, Any] = {"domain_rate_per_minute": 60}
    workers = [Worker(story, rates, name) for name in ("one", "two")]
    for turn in range(40):
        assert workers[turn % 2].work(1)
    came = sorted(one.at for worker in workers for one in worker.left)
    assert all(later - at >= timedelta(seconds=1) for at, later in pairwise(came))
    assert came[-1] - came[0] < timedelta(seconds=39 * 1.1)


@pytest.mark.exhaustive
def test_a_domain_is_free_again_when_those_before_are_cancelled(story: Story) -> None:
    owe_many(story, "crowded.org", 50)
    worker = Worker(story, {"domain_rate_per_minute": 1})
    worker.work(2)
    lifecycle.cancel_campaign(
        story.database, story.mailing_list, now=story.clock.now(), actor="cli:anna"
    )
    _, campaign = another_campaign(story, "second")
    owe_many(story, "crowded.org", 3, campaign)
    began = story.clock.now()
    left = worker.work()
    assert len(left) == 3
    assert left[-1].at - began < timedelta(minutes=4)


def test_who_stood_behind_those_that_are_cancelled_waits_a_little_at_most(story: Story) -> None:
    _, campaign = another_campaign(story, "second")
    owe_many(story, "crowded.org", 210)
    owe_many(story, "crowded.org", 10, campaign)
    worker = Worker(story, {"domain_rate_per_minute": 60})
    worker.work(3)
    lifecycle.cancel_campaign(
        story.database, story.mailing_list, now=story.clock.now(), actor="cli:anna"
    )
    began = story.clock.now()
    worker.work()
    assert worker.left[-1].at - began < timedelta(minutes=3)
    assert not Mail.select().where(Mail.state == "queued").exists()


def test_nobody_is_too_late_at_the_end_although_there_was_room(story: Story) -> None:
    owe_many(story, "crowded.org", 30)
    latest = NOW + timedelta(seconds=34)
    story.change(story.campaign, deadline=latest + timedelta(days=14))
    assert len(Worker(story, {"domain_rate_per_minute": 60}).work()) == 30


def test_who_asks_for_a_mail_has_the_next_moment_of_their_domain(story: Story) -> None:
    owe_many(story, "crowded.org", 50)
    worker = Worker(story, {"domain_rate_per_minute": 6})
    worker.work(2)
    story.owe_confirm("new@crowded.org")
    began = story.clock.now()
    assert "new@crowded.org" in [one.address for one in worker.work(2)]
    assert story.clock.now() - began < timedelta(seconds=21)
    assert SignUp.select().count() == 1


def test_a_run_does_not_end_while_only_a_domain_has_to_be_spared(story: Story) -> None:
    owe_many(story, "crowded.org", 3)
    rates: dict[str, Any] = {"rate_per_minute": 600, "domain_rate_per_minute": 6}
    assert len(Worker(story, rates).work()) == 3
    # The one after it finds what another has put off.
    owe_many(story, "second.org", 3)
    assert len(Worker(story, rates).work(1)) == 1
    assert len(Worker(story, rates, "another").work()) == 2


@pytest.mark.parametrize("rates", [{"rate_per_minute": 60}, {"domain_rate_per_minute": 60}])
def test_a_clock_that_was_ahead_for_a_moment_holds_nothing_up(
    story: Story, rates: dict[str, Any]
) -> None:
    owe_many(story, "example.org", 4)
    ahead = ManualClock(NOW + timedelta(days=3))
    worker = Worker(Story(**{**vars(story), "clock": ahead}), rates, "ahead")
    assert len(worker.work(1)) == 1
    worker.supply.return_all()
    assert len(Worker(story, rates).work()) == 3
    assert story.clock.now() < NOW + timedelta(minutes=1)


def test_a_rate_of_domains_does_not_wait_for_what_is_due_much_later(story: Story) -> None:
    owe_many(story, "crowded.org", 1)
    story.owe("later@crowded.org", due_at=NOW + timedelta(minutes=10))
    assert len(Worker(story, {"domain_rate_per_minute": 60}).work()) == 1
    assert story.clock.now() < NOW + timedelta(minutes=1)


@pytest.mark.exhaustive
def test_a_queue_of_spared_domains_is_looked_through_in_pieces(story: Story) -> None:
    """What is heard from the lines, and the wish to stop, must not wait for all of it."""
    with story.database.atomic():
        owe_many(story, "crowded.org", 1_500)
        owe_many(story, "other.org", 1)
    worker = Worker(story, {"domain_rate_per_minute": 1})
    assert worker.supply.take_claim(NOW)
    assert worker.supply.take_claim(NOW) is None
    assert worker.supply.wait_until == NOW
    (other,) = worker.work(1)
    assert domain_of(other) == "other.org"
    assert other.at < NOW + timedelta(seconds=1)


# --- Several campaigns. -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "rates", [{"rate_per_minute": 60}, {"rate_per_minute": 60, "domain_rate_per_minute": 60}]
)
def test_campaigns_take_turns_under_a_rate(story: Story, rates: dict[str, Any]) -> None:
    others = [another_campaign(story, slug)[1] for slug in ("second", "third")]
    idle = another_campaign(story, "idle", state=CampaignState.OPEN)[1]
    running = [story.campaign, *others]
    for number, campaign in enumerate(running):
        for place in range(6):
            story.owe(f"p{place}@{number}{place}.org", campaign=campaign)
    order = [one.campaign for one in Worker(story, rates).work()]
    assert idle.id not in order
    assert order == [campaign.id for campaign in running] * 6


def test_who_comes_later_takes_turns_with_who_is_under_way(story: Story) -> None:
    owe_many(story, "one.org", 20)
    worker = Worker(story, {"rate_per_minute": 60})
    worker.work(5)
    _, second = another_campaign(story, "second")
    owe_many(story, "two.org", 5, second)
    counted: dict[int | None, int] = defaultdict(int)
    for one in worker.work(10):
        counted[one.campaign] += 1
    assert set(counted.values()) == {5}
    assert Contact.select().count() == 25
