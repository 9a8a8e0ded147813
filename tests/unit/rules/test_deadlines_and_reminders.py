"""The rules of time: each boundary by itself, and what must hold whatever comes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repermit.rules import consent, deadlines_and_reminders
from repermit.rules.consent import Basis, Status
from repermit.rules.deadlines_and_reminders import Verdict

DEADLINE = datetime(2026, 3, 30, 21, 59, 59, tzinfo=UTC)
INSTANT = timedelta(microseconds=1)
AROUND = [DEADLINE - INSTANT, DEADLINE, DEADLINE + INSTANT]

moments = st.datetimes(
    min_value=datetime(2026, 1, 1),  # noqa: DTZ001  hypothesis adds the zone
    max_value=datetime(2026, 12, 31),  # noqa: DTZ001
    timezones=st.just(UTC),
)
statuses = st.sampled_from(Status)


def expiry(
    *,
    status: Status = Status.UNCONFIRMED,
    basis: str = "",
    include_thin: bool = False,
    accepted_at: datetime | None = DEADLINE - timedelta(days=20),
    now: datetime = DEADLINE,
    minimum_days: int = 14,
    replied_at: datetime | None = None,
) -> Verdict:
    return deadlines_and_reminders.decide_expiry(
        status,
        basis=basis,
        include_thin=include_thin,
        accepted_at=accepted_at,
        deadline=DEADLINE,
        now=now,
        minimum_days=minimum_days,
        replied_at=replied_at,
    )


@pytest.mark.parametrize(
    ("now", "expected"),
    list(zip(AROUND, [Verdict.WAIT, Verdict.EXPIRE, Verdict.EXPIRE], strict=True)),
)
def test_silence_counts_from_the_deadline_on(now: datetime, expected: Verdict) -> None:
    assert expiry(now=now) is expected


@pytest.mark.parametrize(
    ("beyond", "expected"),
    [(-INSTANT, Verdict.EXPIRE), (timedelta(), Verdict.EXPIRE), (INSTANT, Verdict.UNASKED)],
)
def test_an_ask_must_have_been_accepted_minimum_days_before(
    beyond: timedelta, expected: Verdict
) -> None:
    accepted_at = DEADLINE - timedelta(days=14) + beyond
    assert expiry(accepted_at=accepted_at) is expected


@pytest.mark.parametrize(
    ("replied_at", "now", "expected"),
    [
        (DEADLINE - INSTANT, DEADLINE, Verdict.WAIT),
        (DEADLINE - timedelta(days=60), DEADLINE, Verdict.WAIT),
        # It came too late: until the deadline this contact was silent.
        (DEADLINE, DEADLINE, Verdict.EXPIRE),
        (DEADLINE - INSTANT, DEADLINE + timedelta(days=14) - INSTANT, Verdict.WAIT),
        # Whoever does not decide in two weeks holds up the erasure of all others.
        (DEADLINE - INSTANT, DEADLINE + timedelta(days=14), Verdict.EXPIRE),
    ],
)
def test_who_wrote_back_in_time_is_not_silent_until_that_is_decided_on(
    replied_at: datetime, now: datetime, expected: Verdict
) -> None:
    assert expiry(replied_at=replied_at, now=now) is expected
    # A reply changes nothing about who has answered or could not be asked.
    assert expiry(replied_at=replied_at, now=now, accepted_at=None) is Verdict.UNASKED
    answered = expiry(replied_at=replied_at, now=now, status=Status.CONFIRMED)
    assert answered is Verdict.ANSWERED


def test_no_minimum_is_allowed_for_trials() -> None:
    assert expiry(accepted_at=DEADLINE, minimum_days=0) is Verdict.EXPIRE
    assert expiry(accepted_at=DEADLINE + INSTANT, minimum_days=0) is Verdict.UNASKED


def test_who_was_never_asked_is_not_removed_for_silence() -> None:
    assert expiry(accepted_at=None) is Verdict.UNASKED


@given(statuses, st.none() | moments, moments, moments, st.integers(0, 60))
def test_silence_never_removes_who_answered_or_had_no_time(
    status: Status,
    accepted_at: datetime | None,
    deadline: datetime,
    now: datetime,
    minimum_days: int,
) -> None:
    found = deadlines_and_reminders.decide_expiry(
        status, accepted_at=accepted_at, deadline=deadline, now=now, minimum_days=minimum_days
    )
    assert (found is Verdict.ANSWERED) == (status is not Status.UNCONFIRMED)
    had_time = accepted_at is not None and accepted_at + timedelta(days=minimum_days) <= deadline
    assert (found is Verdict.EXPIRE) <= (had_time and deadline <= now)


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("basis", ["", *Basis])
@pytest.mark.parametrize("include_thin", [True, False])
def test_a_question_is_open_to_the_unconfirmed_and_where_asked_to_the_thin(
    status: Status, basis: str, include_thin: bool
) -> None:
    is_thin = status is Status.CONFIRMED and basis == Basis.THIN
    expected = status is Status.UNCONFIRMED or (is_thin and include_thin)
    assert consent.is_undecided(status, basis, include_thin=include_thin) is expected
    found = expiry(status=status, basis=basis, include_thin=include_thin)
    assert (found is Verdict.EXPIRE) is expected
    found = expiry(status=status, basis=basis, include_thin=include_thin, accepted_at=None)
    assert (found is Verdict.UNASKED) is (status is Status.UNCONFIRMED)


def test_the_last_moment_for_an_ask_is_minimum_days_before_the_deadline() -> None:
    assert deadlines_and_reminders.latest_ask(DEADLINE, 14) == datetime(
        2026, 3, 16, 21, 59, 59, tzinfo=UTC
    )


@pytest.mark.parametrize(
    ("minimum_days", "days"),
    [(0, 28), (13, 28), (14, 28), (15, 29), (350, 364), (351, 365), (352, 365), (900, 365)],
)
def test_a_deadline_is_suggested_that_leaves_time_to_ask_and_that_a_launch_takes(
    minimum_days: int, days: int
) -> None:
    assert deadlines_and_reminders.suggest_period(minimum_days) == timedelta(days=days)


@pytest.mark.parametrize(
    ("planned", "left"),
    [
        (None, timedelta(days=1)),
        (timedelta(days=3), timedelta(days=1)),
        (timedelta(days=2), timedelta(days=1)),
        (timedelta(hours=8), timedelta(hours=4)),
    ],
)
def test_after_a_reminder_there_is_a_day_or_half_of_what_was_planned(
    planned: timedelta | None, left: timedelta
) -> None:
    reminder_at = DEADLINE - planned if planned else None
    assert deadlines_and_reminders.latest_reminder(DEADLINE, reminder_at) == DEADLINE - left
