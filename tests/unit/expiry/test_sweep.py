"""The sweep: who is taken off, when, and what it leaves alone."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from repermit.answers.record_answer import record_reported_answer
from repermit.campaigns.lifecycle import extend_campaign, pause_campaign
from repermit.clock import ManualClock, parse_when
from repermit.contacts import human_replies, lookup, status_changes
from repermit.contacts.human_replies import set_reply_aside
from repermit.contacts.status_changes import Act
from repermit.db.connection import Database
from repermit.db.models.campaigns import Campaign, CampaignWording
from repermit.db.models.contacts import Contact, Suppression
from repermit.db.models.evidence import Evidence, EvidencePart
from repermit.db.models.lists import MailingList
from repermit.db.models.mails import Mail, Reply, enqueue_notice
from repermit.evidence.chain import store_wording
from repermit.expiry import sweep as sweep_module
from repermit.expiry.downtime import assume_up_until
from repermit.expiry.sweep import ExpiryResult, expire_due, preview_expiry
from repermit.rules.consent import (
    Answer,
    Basis,
    BounceKind,
    CampaignState,
    Dropped,
    MailKind,
    MailState,
    Reason,
    Status,
)
from tests.support.builders import (
    DEADLINE,
    NOW,
    make_asked,
    make_campaign,
    make_contact,
    make_list,
    make_mail,
    make_settings,
)
from tests.support.chain_faults import iter_chain_faults

ROOT = Path(__file__).parents[3]
INSTANT = timedelta(microseconds=1)
AMSTERDAM = ZoneInfo("Europe/Amsterdam")
REMOVED, UNCONFIRMED = Status.REMOVED, Status.UNCONFIRMED


@pytest.fixture
def mailing_list(database: Database) -> MailingList:
    """Return a list whose answer pages have been up until just before the deadline."""
    assume_up_until(database, moment=DEADLINE - timedelta(minutes=1))
    return make_list(database)


def sweep(database: Database, *, now: datetime = DEADLINE, **options: Any) -> ExpiryResult:
    """Sweep at `now`, after a look that must have foreseen the same and changed nothing."""
    settings, clock = make_settings(), ManualClock(now)
    before = states()
    foreseen = preview_expiry(
        database,
        settings=settings,
        clock=clock,
        **{name: options[name] for name in options if name != "actor"},
    )
    assert states() == before
    swept = expire_due(database, settings=settings, clock=clock, **options)
    assert swept == foreseen
    assert list(iter_chain_faults()) == []
    return swept


def states() -> list[tuple[Any, ...]]:
    query = Contact.select(Contact.id, Contact.status, Contact.reason).order_by(Contact.id)
    campaigns = Campaign.select(Campaign.id, Campaign.state, Campaign.downtime)
    return [*query.tuples(), *campaigns.order_by(Campaign.id).tuples()]


def status_of(contact: Contact) -> tuple[str, str]:
    found = Contact.get_by_id(contact.id)
    return found.status, found.reason


def kept(event: str) -> list[dict[str, Any]]:
    """Return what the entries of one kind keep, oldest first."""
    query = (
        EvidencePart.select()
        .join(Evidence, on=(Evidence.seq == EvidencePart.seq))
        .where(Evidence.event == event, EvidencePart.part == "consent")
        .order_by(EvidencePart.seq)
    )
    return [json.loads(part.json) for part in query]


# --- When. --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("beyond", "removed"), [(-INSTANT, 0), (timedelta(), 1), (INSTANT, 1)])
@pytest.mark.parametrize(
    ("when", "in_utc"),
    [
        ("2026-03-30T11:00", datetime(2026, 3, 30, 9, 0, tzinfo=UTC)),
        # The days on which the clocks change: 23 and 25 hours long.
        ("2026-03-29", datetime(2026, 3, 29, 21, 59, 59, 999999, tzinfo=UTC)),
        ("2026-03-29T03:00", datetime(2026, 3, 29, 1, 0, tzinfo=UTC)),
        ("2026-10-25", datetime(2026, 10, 25, 22, 59, 59, 999999, tzinfo=UTC)),
        ("2026-10-25T02:30+02:00", datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
        ("2026-10-25T02:30+01:00", datetime(2026, 10, 25, 1, 30, tzinfo=UTC)),
    ],
)
def test_silence_counts_from_the_local_deadline_on(
    database: Database, *, when: str, in_utc: datetime, beyond: timedelta, removed: int
) -> None:
    deadline = parse_when(when, AMSTERDAM)
    assert deadline == in_utc
    mailing_list = make_list(database)
    asked = make_asked(
        database, mailing_list, make_campaign(database, mailing_list, deadline=deadline)
    )
    assume_up_until(database, moment=deadline)
    assert sweep(database, now=deadline + beyond).removed == removed
    assert status_of(asked) == ((REMOVED, Reason.NO_RESPONSE) if removed else (UNCONFIRMED, ""))


@pytest.mark.parametrize(
    ("beyond", "expected"),
    [
        (-INSTANT, ExpiryResult(removed=1)),
        (timedelta(), ExpiryResult(removed=1)),
        (INSTANT, ExpiryResult(unasked=1)),
    ],
)
def test_invariant_4_an_ask_counts_if_accepted_the_minimum_of_days_before(
    database: Database, mailing_list: MailingList, beyond: timedelta, expected: ExpiryResult
) -> None:
    campaign = make_campaign(database, mailing_list, minimum_days=3)
    sent_at = DEADLINE - timedelta(days=3) + beyond
    make_mail(database, campaign, make_contact(database, mailing_list), sent_at=sent_at)
    assert sweep(database) == expected


@pytest.mark.parametrize("state", [one for one in MailState if one is not MailState.SENT])
def test_invariant_4_who_was_not_surely_asked_stays_unconfirmed(
    database: Database, mailing_list: MailingList, state: MailState
) -> None:
    campaign = make_campaign(database, mailing_list)
    contact = make_contact(database, mailing_list)
    # A moment of sending is no proof of it: only the state is.
    make_mail(database, campaign, contact, state=state)
    assert sweep(database) == ExpiryResult(unasked=1)
    assert status_of(contact) == (UNCONFIRMED, "")


@pytest.mark.parametrize("bounce", BounceKind)
def test_invariant_4_whose_ask_came_back_later_was_not_asked(
    database: Database, mailing_list: MailingList, bounce: BounceKind
) -> None:
    campaign = make_campaign(database, mailing_list)
    contact = make_contact(database, mailing_list)
    make_mail(database, campaign, contact, bounce=bounce)
    assert sweep(database) == ExpiryResult(unasked=1)
    assert status_of(contact) == (UNCONFIRMED, "")


# --- Whom. --------------------------------------------------------------------------------------


def test_whoever_answered_or_was_not_in_the_audience_stays(
    database: Database, mailing_list: MailingList
) -> None:
    campaign = make_campaign(database, mailing_list)
    bystander = make_contact(database, mailing_list)
    for status, basis in (
        (Status.CONFIRMED, Basis.ANSWER),
        (Status.CONFIRMED, Basis.THIN),
        (Status.CUSTOMER, Basis.CUSTOMER),
    ):
        contact = make_contact(database, mailing_list, status=status, basis=basis)
        make_mail(database, campaign, contact)
    confirm_only = make_contact(database, mailing_list)
    make_mail(database, campaign, confirm_only, kind=MailKind.CONFIRM)
    assert sweep(database) == ExpiryResult()
    assert status_of(bystander) == status_of(confirm_only) == (UNCONFIRMED, "")
    assert Campaign.get().state == CampaignState.CLOSED


@pytest.mark.parametrize(
    ("mail", "status"),
    [
        ({}, (REMOVED, "no_response")),
        ({"state": MailState.FAILED, "sent_at": None}, ("confirmed", "")),
    ],
)
def test_a_thin_proof_ends_by_silence_if_its_person_was_asked(
    database: Database,
    mailing_list: MailingList,
    mail: dict[str, Any],
    status: tuple[str, str],
) -> None:
    campaign = make_campaign(database, mailing_list, include_thin=True)
    thin = make_contact(database, mailing_list, status=Status.CONFIRMED, basis=Basis.THIN)
    sure = make_contact(database, mailing_list, status=Status.CONFIRMED, basis=Basis.ANSWER)
    make_mail(database, campaign, thin, **mail)
    make_mail(database, campaign, sure)
    sweep(database)
    assert status_of(thin) == status
    assert status_of(sure) == ("confirmed", "")


def test_a_removal_for_silence_is_kept_with_what_shows_that_there_was_time(
    database: Database, mailing_list: MailingList
) -> None:
    campaign = make_campaign(database, mailing_list)
    with database.atomic():
        digests = [store_wording(language) for language in ("de", "nl")]
        wordings = [
            CampaignWording.create(
                campaign=campaign, kind=MailKind.ASK, language=language, wording=digest
            )
            for language, digest in zip(("de", "nl"), digests, strict=True)
        ]
    for wording in wordings:
        make_mail(database, campaign, make_contact(database, mailing_list), wording=wording)
    assert sweep(database).removed == 2
    facts = {
        "reason": "no_response",
        "asked_at": "2026-03-02T09:00:01.000000+00:00",
        "reminded_at": "",
        "deadline": "2026-03-30T09:00:00.000000+00:00",
        "minimum_days": 14,
    }
    assert kept("removed") == [
        {**facts, "mail_wording": digest, "ask_message_id": mail.message_id}
        for digest, mail in zip(digests, Mail.select().order_by(Mail.id), strict=True)
    ]
    entry = Evidence.get(Evidence.event == "removed")
    assert (entry.at, entry.actor, entry.campaign) == (DEADLINE, "job", campaign.id)
    assert Suppression.select().where(Suppression.reason == Reason.NO_RESPONSE).count() == 2


def test_the_wording_that_is_kept_is_the_one_that_the_ask_was_made_from(
    database: Database, mailing_list: MailingList
) -> None:
    campaign = make_campaign(database, mailing_list)
    with database.atomic():
        wordings = [
            CampaignWording.create(
                campaign=campaign,
                kind=MailKind.ASK,
                language="nl",
                revision=revision,
                wording=store_wording(f"{revision}"),
            )
            for revision in (2, 1)
        ]
    for wording in wordings:
        make_mail(database, campaign, make_contact(database, mailing_list), wording=wording)
    assert sweep(database).removed == 2
    assert [facts["mail_wording"] for facts in kept("removed")] == [
        store_wording("2"),
        store_wording("1"),
    ]


def test_an_ask_of_another_campaign_says_nothing_about_this_one(
    database: Database, mailing_list: MailingList
) -> None:
    earlier = make_campaign(database, mailing_list, state=CampaignState.CANCELLED)
    campaign = make_campaign(database, mailing_list)
    contact = make_contact(database, mailing_list)
    make_mail(database, campaign, contact, state=MailState.FAILED)
    make_mail(database, earlier, contact)
    make_mail(database, campaign, contact, kind=MailKind.CONFIRM)
    assert sweep(database) == ExpiryResult(unasked=1)


def test_who_expires_by_hand_is_named(database: Database, mailing_list: MailingList) -> None:
    make_asked(database, mailing_list, make_campaign(database, mailing_list))
    sweep(database, actor="anna@example.org")
    assert {entry.actor for entry in Evidence.select()} == {"anna@example.org"}


def test_steps_stay_small_though_nobody_expired_in_those_before(
    database: Database, mailing_list: MailingList, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of people who could not be asked a step could take a thousand; the next are all taken off."""
    campaign = make_campaign(database, mailing_list)
    taken: list[int] = []

    def look(_: object, __: int, ids: Sequence[int], ___: object) -> ExpiryResult:
        taken.append(len(ids))
        return ExpiryResult()

    monkeypatch.setattr(sweep_module, "_expire_step", look)
    monkeypatch.setattr(sweep_module, "list_undecided", lambda _: list(range(2_000)))
    expire_due(database, settings=make_settings(), clock=ManualClock(campaign.deadline))
    assert sum(taken) == 2_000
    assert max(taken) == 400


@pytest.mark.parametrize("chunk", [1, 2, 3, 4, 5])
def test_chunks_of_any_size_come_to_the_same(
    database: Database, mailing_list: MailingList, chunk: int
) -> None:
    campaign = make_campaign(database, mailing_list)
    for state in (MailState.SENT, MailState.FAILED) * 2:
        make_mail(database, campaign, make_contact(database, mailing_list), state=state)
    assert sweep(database, chunk=chunk) == ExpiryResult(removed=2, unasked=2)
    assert Campaign.get().state == CampaignState.CLOSED


# --- Which campaigns. ---------------------------------------------------------------------------


@pytest.mark.parametrize("state", CampaignState)
def test_only_what_is_sending_or_open_expires(
    database: Database, mailing_list: MailingList, state: CampaignState
) -> None:
    asked = make_asked(database, mailing_list, make_campaign(database, mailing_list, state=state))
    expires = state in {CampaignState.SENDING, CampaignState.OPEN}
    assert sweep(database) == ExpiryResult(removed=int(expires))
    assert (status_of(asked)[0] == REMOVED) is expires
    assert Campaign.get().state == (CampaignState.CLOSED if expires else state)


def test_one_list_may_be_swept_by_itself(database: Database, mailing_list: MailingList) -> None:
    other = make_list(database, slug="other")
    for one in (mailing_list, other):
        make_asked(database, one, make_campaign(database, one))
    assert sweep(database, mailing_list=other).removed == 1
    assert [row.state for row in Campaign.select().order_by(Campaign.id)] == ["open", "closed"]
    assert sweep(database).to_json() == {"removed": 1, "unasked": 0}


def test_a_closed_campaign_says_what_became_of_its_audience(
    database: Database, mailing_list: MailingList
) -> None:
    campaign = make_campaign(database, mailing_list)
    for _ in range(2):
        make_asked(database, mailing_list, campaign)
    confirmed = make_contact(database, mailing_list, status=Status.CONFIRMED)
    make_mail(database, campaign, confirmed)
    make_mail(database, campaign, make_contact(database, mailing_list), state=MailState.FAILED)
    said_no = make_contact(database, mailing_list, status=Status.REMOVED, reason=Reason.NO)
    make_mail(database, campaign, said_no)
    # Neither another campaign's audience nor another kind of mail belongs to it.
    earlier = make_campaign(database, mailing_list, state=CampaignState.CANCELLED)
    make_asked(database, mailing_list, earlier)
    make_mail(
        database,
        campaign,
        make_contact(database, mailing_list),
        kind=MailKind.CONFIRM,
        state=MailState.STARTED,
    )
    sweep(database)
    closed = Campaign.get_by_id(campaign.id)
    assert (closed.state, closed.closed_at, closed.opened_at) == ("closed", DEADLINE, None)
    assert kept("closed") == [
        {
            "deadline": "2026-03-30T09:00:00.000000+00:00",
            "counts": {"no_response": 2, "no": 1, "confirmed": 1, "unconfirmed": 1},
        }
    ]
    entry = Evidence.get(Evidence.event == "closed")
    assert (entry.at, entry.list, entry.campaign) == (DEADLINE, "news", campaign.id)
    assert sweep(database) == ExpiryResult()


def test_asks_that_never_left_are_dropped_as_too_late(
    database: Database, mailing_list: MailingList
) -> None:
    campaign = make_campaign(database, mailing_list, state=CampaignState.SENDING)
    elsewhere = make_campaign(database, make_list(database, slug="other"))
    for state in (MailState.QUEUED, MailState.CLAIMED):
        make_mail(database, campaign, make_contact(database, mailing_list), state=state)
    waiting = make_mail(
        database,
        elsewhere,
        make_contact(database, elsewhere.list),
        state=MailState.QUEUED,
    )
    assert sweep(database, mailing_list=mailing_list) == ExpiryResult(unasked=2)
    dropped = Mail.select().where(Mail.campaign == campaign)
    assert {(mail.state, mail.reason) for mail in dropped} == {
        (MailState.DROPPED, Dropped.TOO_LATE)
    }
    assert Mail.get_by_id(waiting.id).state == MailState.QUEUED
    closed = Campaign.get_by_id(campaign.id)
    assert (closed.state, closed.opened_at) == (CampaignState.CLOSED, DEADLINE)


def test_a_mail_to_the_admin_is_still_sent_when_its_campaign_has_ended(
    database: Database, mailing_list: MailingList
) -> None:
    campaign = make_campaign(database, mailing_list, state=CampaignState.SENDING)
    with database.atomic():
        enqueue_notice("daily", list_id=campaign.list_id, due_at=NOW, campaign=campaign)
    assert sweep(database, mailing_list=mailing_list) == ExpiryResult()
    assert Campaign.get_by_id(campaign.id).state == CampaignState.CLOSED
    assert Mail.get(Mail.kind == MailKind.NOTICE).state == MailState.QUEUED


def test_a_campaign_with_a_mail_on_its_way_is_closed_when_that_is_settled(
    database: Database, mailing_list: MailingList
) -> None:
    campaign = make_campaign(database, mailing_list, state=CampaignState.SENDING)
    make_asked(database, mailing_list, campaign)
    started = make_mail(
        database, campaign, make_contact(database, mailing_list), state=MailState.STARTED
    )
    assert sweep(database) == ExpiryResult(removed=1, unasked=1)
    assert Campaign.get().state == CampaignState.SENDING
    with database.atomic():
        Mail.update(state=MailState.IN_DOUBT).where(Mail.id == started.id).execute()
    assert sweep(database) == ExpiryResult(unasked=1)
    assert Campaign.get().state == CampaignState.CLOSED


def test_invariant_4_who_wrote_back_in_time_is_removed_for_nothing_before_the_decision(
    database: Database, mailing_list: MailingList
) -> None:
    campaign = make_campaign(database, mailing_list)
    silent, wrote, late = [make_asked(database, mailing_list, campaign) for _ in range(3)]
    save_reply(database, wrote, at=DEADLINE - INSTANT)
    save_reply(database, late, at=DEADLINE)
    swept = sweep(database, now=DEADLINE + timedelta(hours=1))
    assert (swept.removed, swept.undecided) == (2, 1)
    (reason,) = swept.waiting
    assert reason == (
        "news: people who wrote back in time, and wait for your decision on their replies: 1. They "
        "are not taken off before, for 14 days after the deadline at most (`repermit status news`)"
    )
    assert status_of(silent) == status_of(late) == (REMOVED, Reason.NO_RESPONSE)
    assert status_of(wrote) == (UNCONFIRMED, "")
    # The campaign stays open, so that nobody removed in it is erased before all can be handed over.
    assert Campaign.get().state == CampaignState.OPEN


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (Answer.YES, (Status.CONFIRMED, "")),
        (Answer.NO, (REMOVED, Reason.NO)),
        (None, (REMOVED, Reason.NO_RESPONSE)),
    ],
)
def test_once_a_reply_is_decided_on_its_campaign_closes(
    database: Database,
    mailing_list: MailingList,
    answer: Answer | None,
    outcome: tuple[str, str],
) -> None:
    wrote = make_asked(database, mailing_list, make_campaign(database, mailing_list))
    reply = save_reply(database, wrote, at=DEADLINE - INSTANT)
    now = DEADLINE + timedelta(days=1)
    assert sweep(database, now=now).undecided == 1
    if answer is None:
        set_reply_aside(database, mailing_list, reply.id, now=now, actor="user:1")
    else:
        record_reported_answer(
            database,
            mailing_list,
            str(wrote.address),
            answer,
            note="a reply",
            now=now,
            settings=make_settings(),
            actor="user:1",
            reply_at=reply.at,
        )
    swept = sweep(database, now=now)
    assert (swept.removed, swept.undecided, swept.waiting) == (int(answer is None), 0, ())
    assert status_of(wrote) == outcome
    assert Campaign.get().state == CampaignState.CLOSED


def test_a_decision_that_never_comes_is_waited_for_two_weeks(
    database: Database, mailing_list: MailingList
) -> None:
    wrote = make_asked(database, mailing_list, make_campaign(database, mailing_list))
    reply = save_reply(database, wrote, at=DEADLINE - INSTANT)
    assert sweep(database, now=DEADLINE + timedelta(days=14) - INSTANT).undecided == 1
    assert sweep(database, now=DEADLINE + timedelta(days=14)).removed == 1
    assert Campaign.get().state == CampaignState.CLOSED
    # A Yes still counts: it came in time.
    record_reported_answer(
        database,
        mailing_list,
        str(wrote.address),
        Answer.YES,
        note="a reply",
        now=DEADLINE + timedelta(days=15),
        settings=make_settings(),
        actor="user:1",
        reply_at=reply.at,
    )
    assert status_of(wrote) == (Status.CONFIRMED, "")


def save_reply(database: Database, contact: Contact, *, at: datetime) -> Reply:
    with database.atomic():
        assert human_replies.save_reply(
            contact, digest=str(contact.id), proposed="yes", at=at, decided_at=None
        )
    return Reply.get(Reply.contact == contact)


# --- Pages that were down. ----------------------------------------------------------------------


def test_expiry_waits_if_the_pages_were_down_too_long(
    database: Database, mailing_list: MailingList
) -> None:
    campaign = make_campaign(database, mailing_list, downtime=24 * 3600 + 1)
    asked = make_asked(database, mailing_list, campaign)
    late = make_mail(
        database, campaign, make_contact(database, mailing_list), state=MailState.QUEUED
    )
    (reason,) = sweep(database).waiting
    assert reason == (
        "news: the answer pages were down for 1 day and 0 hours in all since the asking began, so "
        "some may have been unable to answer. Nobody is taken off. Give them more time "
        "(`repermit extend`), or decide that silence counts all the same "
        "(`repermit expire --despite-downtime`)"
    )
    assert status_of(asked) == (UNCONFIRMED, "")
    assert Mail.get_by_id(late.id).state == MailState.QUEUED
    assert not Evidence.select().exists()


def test_nothing_waits_for_the_admin_before_the_deadline(
    database: Database, mailing_list: MailingList
) -> None:
    make_campaign(database, mailing_list, downtime=90_000)
    assert sweep(database, now=DEADLINE - INSTANT) == ExpiryResult()


def test_a_day_in_all_is_not_too_long(database: Database, mailing_list: MailingList) -> None:
    make_asked(database, mailing_list, make_campaign(database, mailing_list, downtime=24 * 3600))
    assert sweep(database, despite_downtime=True) == ExpiryResult(removed=1)
    assert kept("expired_despite_downtime") == []


def test_the_admin_may_decide_that_silence_counts_and_the_evidence_says_so(
    database: Database, mailing_list: MailingList
) -> None:
    campaign = make_campaign(database, mailing_list, downtime=49 * 3600)
    make_asked(database, mailing_list, campaign)
    (reason,) = sweep(database).waiting
    assert "2 days and 1 hour in all" in reason
    assert sweep(database, despite_downtime=True, actor="anna@example.org").removed == 1
    assert kept("expired_despite_downtime") == [{"downtime": 49 * 3600}]
    entry = Evidence.get(Evidence.event == "expired_despite_downtime")
    assert (entry.actor, entry.campaign) == ("anna@example.org", campaign.id)


def test_what_was_decided_goes_on_by_itself_after_whoever_began_was_killed(
    database: Database, mailing_list: MailingList
) -> None:
    campaign = make_campaign(database, mailing_list, downtime=49 * 3600)
    for _ in range(3):
        make_asked(database, mailing_list, campaign)
    begun = expire_due(
        database,
        settings=make_settings(),
        clock=ManualClock(DEADLINE),
        despite_downtime=True,
        chunk=1,
        # As soon as somebody is taken off.
        should_stop=lambda: Contact.select().where(Contact.status == "removed").exists(),
    )
    assert begun.removed == 1
    # The job of a worker, which was told nothing.
    assert sweep(database).removed == 3 - begun.removed
    assert kept("expired_despite_downtime") == [{"downtime": 49 * 3600}]


def test_a_decision_for_one_campaign_leaves_the_downtime_of_others(
    database: Database, mailing_list: MailingList
) -> None:
    other = make_list(database, slug="other")
    waiting = make_campaign(database, other, starts_at=NOW)
    make_asked(database, other, waiting)
    make_asked(database, mailing_list, make_campaign(database, mailing_list, starts_at=NOW))
    assume_up_until(database, moment=DEADLINE - timedelta(days=2))
    assert len(sweep(database).waiting) == 2
    assert sweep(database, mailing_list=mailing_list, despite_downtime=True).removed == 1
    (reason,) = sweep(database).waiting
    assert reason.startswith("other: the answer pages were down for 2 days")


def test_one_campaign_that_waits_does_not_hold_up_another(
    database: Database, mailing_list: MailingList
) -> None:
    make_asked(database, mailing_list, make_campaign(database, mailing_list, downtime=90_000))
    other = make_list(database, slug="other")
    make_asked(database, other, make_campaign(database, other))
    swept = sweep(database)
    assert (swept.removed, len(swept.waiting)) == (1, 1)


# --- At the same time. --------------------------------------------------------------------------


class SteppingClock(ManualClock):
    """A clock that does something when it is read for the nth time."""

    def __init__(self, start: datetime, *, nth: int, act: Any) -> None:
        super().__init__(start)
        self._left = nth
        self._act = act

    def now(self) -> datetime:
        self._left -= 1
        if self._left == 0:
            self._act()
        return super().now()


@pytest.mark.parametrize("nth", [2, 3, 4, 5, 6])
@pytest.mark.parametrize("act", ["pause", "extend"])
def test_a_sweep_stops_where_the_admin_intervenes(
    database: Database, mailing_list: MailingList, *, nth: int, act: str
) -> None:
    campaign = make_campaign(database, mailing_list)
    for _ in range(3):
        make_asked(database, mailing_list, campaign)

    def intervene() -> None:
        # Inside the sweep's own transaction, as if it had come just before.
        options: dict[str, Any] = {"now": NOW, "actor": "anna@example.org"}
        if act == "pause":
            pause_campaign(database, mailing_list, **options)
        else:
            later = DEADLINE + timedelta(days=1)
            extend_campaign(
                database, mailing_list, deadline=later, settings=make_settings(), **options
            )

    clock = SteppingClock(DEADLINE, nth=nth, act=intervene)
    swept = expire_due(database, settings=make_settings(), clock=clock, chunk=1)
    # It is read when the sweep looks for campaigns, when it begins, and before each step, the first
    # of which drops what never left.
    assert swept == ExpiryResult(removed={2: 0, 3: 0, 4: 0, 5: 1, 6: 2}[nth])
    assert Campaign.get().state == (CampaignState.PAUSED if act == "pause" else CampaignState.OPEN)


def confirm(database: Database, contact_id: int) -> bool:
    """Answer Yes as somebody in time would; return whether the question was still open."""
    with database.connection_context(), database.atomic():
        contact = lookup.lock_contact(contact_id)
        was_open = contact.status == UNCONFIRMED
        status_changes.confirm_contact(
            contact,
            basis=Basis.ANSWER,
            act=Act(at=DEADLINE - INSTANT, actor="person"),
            fingerprint_key=make_settings().fingerprint_key,
        )
        return was_open


def in_thread(database: Database, sweep_with: ManualClock, chunk: int) -> threading.Thread:
    def run() -> None:
        with database.connection_context():
            expire_due(database, settings=make_settings(), clock=sweep_with, chunk=chunk)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def entries_by_subject() -> Counter[str]:
    return Counter(entry.subject for entry in Evidence.select() if entry.subject)


def test_an_answer_gets_in_during_the_sweep(database: Database, mailing_list: MailingList) -> None:
    campaign = make_campaign(database, mailing_list)
    asked = [make_asked(database, mailing_list, campaign) for _ in range(200)]
    sweeping, answering = threading.Event(), threading.Event()

    def wait_for_the_answer() -> None:
        sweeping.set()
        answering.wait(30)

    def answer() -> bool:
        answering.set()
        return confirm(database, asked[-1].id)

    thread = in_thread(database, SteppingClock(DEADLINE, nth=4, act=wait_for_the_answer), chunk=1)
    assert sweeping.wait(30)
    with ThreadPoolExecutor() as others:
        assert others.submit(answer).result(60)
    thread.join(60)
    assert status_of(asked[-1]) == (Status.CONFIRMED, "")
    assert Contact.select().where(Contact.status == REMOVED).count() == 199
    assert set(entries_by_subject().values()) == {1}
    assert list(iter_chain_faults()) == []
    assert Campaign.get().state == CampaignState.CLOSED


def test_an_answer_while_what_became_of_the_asked_is_counted_is_in_the_counts(
    database: Database, mailing_list: MailingList, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign = make_campaign(database, mailing_list)
    contact = make_asked(database, mailing_list, campaign)
    count = sweep_module._count_outcomes

    def count_and_answer(campaign: Campaign) -> dict[str, int]:
        counts = count(campaign)
        if "no_response" in counts:
            with database.atomic():
                status_changes.remove_contacts(
                    [lookup.lock_contact(contact.id)],
                    reason=Reason.NO,
                    act=Act(at=DEADLINE, actor="person"),
                    fingerprint_key=make_settings().fingerprint_key,
                )
        return counts

    monkeypatch.setattr(sweep_module, "_count_outcomes", count_and_answer)
    sweep(database)
    assert Campaign.get().state != CampaignState.CLOSED
    sweep(database)
    assert kept("closed")[0]["counts"] == {"no": 1}


def test_an_answer_that_is_committed_while_the_closing_waits_is_in_its_counts(
    database: Database, mailing_list: MailingList
) -> None:
    """On PostgreSQL it is not seen before it is committed, and the closing comes behind it."""
    campaign = make_campaign(database, mailing_list)
    contact = make_asked(database, mailing_list, campaign)
    sweep(database)
    with database.atomic():
        # Nobody but this one is left to decide on, and it was decided before.
        Campaign.update(state=CampaignState.OPEN, closed_at=None).execute()
    about: dict[str, Any] = {"fingerprint_key": make_settings().fingerprint_key}
    with database.atomic():
        status_changes.confirm_contact(
            lookup.lock_contact(contact.id),
            basis=Basis.ANSWER,
            act=Act(at=DEADLINE - INSTANT, actor="person"),
            **about,
        )
        thread = in_thread(database, ManualClock(DEADLINE), chunk=10)
        thread.join(0.5)
        assert thread.is_alive()
    thread.join(60)
    sweep(database)
    assert kept("closed")[-1]["counts"] == {"confirmed": 1}


def test_an_answer_that_is_being_recorded_when_its_turn_comes_counts(
    database: Database, mailing_list: MailingList
) -> None:
    campaign = make_campaign(database, mailing_list)
    asked = [make_asked(database, mailing_list, campaign) for _ in range(3)]
    sweeping = threading.Event()
    with database.atomic():
        contact = lookup.lock_contact(asked[1].id)
        thread = in_thread(database, SteppingClock(DEADLINE, nth=1, act=sweeping.set), chunk=10)
        assert sweeping.wait(30)
        # The sweep comes to this contact's lock, or to the write lock, and waits there.
        thread.join(0.3)
        assert thread.is_alive()
        status_changes.confirm_contact(
            contact,
            basis=Basis.ANSWER,
            act=Act(at=DEADLINE - INSTANT, actor="person"),
            fingerprint_key=make_settings().fingerprint_key,
        )
    thread.join(60)
    assert [status_of(one)[0] for one in asked] == [REMOVED, Status.CONFIRMED, REMOVED]
    assert list(iter_chain_faults()) == []


SWEEPER = """
import sys
from repermit.clock import ManualClock
from repermit.expiry.sweep import expire_due
from repermit.db.connection import open_database
from tests.support.builders import DEADLINE, make_settings

url = sys.argv[1]
with open_database(url) as database:
    print("ready", flush=True)
    sys.stdin.readline()
    swept = expire_due(
        database, settings=make_settings(database=url), clock=ManualClock(DEADLINE), chunk=3
    )
    print(swept.removed)
"""


def test_two_processes_at_once_remove_each_exactly_once(
    database: Database, database_url: str, mailing_list: MailingList
) -> None:
    campaign = make_campaign(database, mailing_list)
    for _ in range(40):
        make_asked(database, mailing_list, campaign)
    sweepers = [
        subprocess.Popen(
            [sys.executable, "-c", SWEEPER, database_url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        for _ in range(2)
    ]
    for one in sweepers:
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n"
    for one in sweepers:
        assert one.stdin is not None
        one.stdin.write("go\n")
        one.stdin.flush()
    removed = [int(one.communicate(timeout=60)[0]) for one in sweepers]
    assert [one.returncode for one in sweepers] == [0, 0]
    assert sum(removed) == 40
    assert list(entries_by_subject().values()) == [1] * 40
    assert Suppression.select().count() == 40
    assert Evidence.select().where(Evidence.event == "closed").count() == 1
    assert list(iter_chain_faults()) == []


def test_a_sweep_that_is_told_to_stop_is_gone_on_with_by_the_next(
    database: Database, mailing_list: MailingList
) -> None:
    campaign = make_campaign(database, mailing_list)
    for _ in range(3):
        make_asked(database, mailing_list, campaign)
    unsent = make_contact(database, mailing_list)
    make_mail(database, campaign, unsent, state=MailState.QUEUED, sent_at=None)
    removed: list[int] = []
    # Wherever it is told so, between two campaigns, steps or chunks.
    while Campaign.get().state != CampaignState.CLOSED:
        left = iter(range(len(removed)))
        swept = expire_due(
            database,
            settings=make_settings(),
            clock=ManualClock(DEADLINE),
            chunk=1,
            should_stop=lambda left=left: next(left, None) is None,  # type: ignore[misc]
        )
        removed.append(swept.removed)
    assert (removed[0], sum(removed)) == (0, 3)
    assert len(removed) > max(removed) > 0
    assert len(kept("closed")) == 1
    assert list(iter_chain_faults()) == []
