"""What is seen while mails leave."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest

from repermit.cli.progress_bar import (
    ProgressState,
    RateEstimate,
    Tally,
    describe_progress,
    show_progress,
)
from repermit.rules.consent import MailState

AT_ONCE = timedelta(0)


def pace_of(*seen: tuple[float, int], interval: timedelta = AT_ONCE) -> RateEstimate:
    pace = RateEstimate(interval)
    for at, done in seen:
        pace.add_sample(done, at)
    return pace


# --- In words.


def test_a_line_tells_sent_rate_time_left_and_failures() -> None:
    standing = ProgressState(20_000, sent=12_300, failed=3)
    assert describe_progress(standing, pace_of((0, 0), (10, 12_303))) == (
        "12,300 of 20,000 sent, 1,230 a second, 6 s left, 3 failed"
    )


def test_before_anything_moves_nobody_can_tell_how_long_it_takes() -> None:
    assert describe_progress(ProgressState(5), pace_of((0, 0))) == "0 of 5 sent, 0 failed"
    assert describe_progress(ProgressState(5), pace_of((0, 0), (5, 0))) == "0 of 5 sent, 0 failed"


def test_what_is_done_takes_no_more_time() -> None:
    done = ProgressState(5, sent=3, dropped_or_in_doubt=2, word="open")
    assert describe_progress(done, pace_of((0, 0), (1, 5))) == (
        "3 of 5 sent, 0 failed, 2 dropped or in doubt, open"
    )


@pytest.mark.parametrize(
    ("interval", "words"),
    [
        # The first of 101 has left at once; each of the others has to wait.
        (timedelta(seconds=3), "5 min 0 s left"),
        # A server that is slower than the rates allow.
        (timedelta(milliseconds=1), "10 s left"),
    ],
)
def test_the_time_left_respects_the_rates(interval: timedelta, words: str) -> None:
    standing = ProgressState(101, sent=1)
    assert words in describe_progress(standing, pace_of((0, 0), (0.1, 1), interval=interval))


def test_the_rates_alone_tell_before_anything_moves() -> None:
    words = describe_progress(ProgressState(10), pace_of((0, 0), interval=timedelta(hours=1)))
    assert words == "0 of 10 sent, 10 h 0 min left, 0 failed"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (59, "59 s"),
        (60, "1 min 0 s"),
        (200, "3 min 20 s"),
        (3_599, "59 min 59 s"),
        (7_500, "2 h 5 min"),
        (86_400, "1 d 0 h"),
    ],
)
def test_a_time_is_told_in_two_units(seconds: int, words: str) -> None:
    pace = pace_of((0, 0), interval=timedelta(seconds=seconds))
    assert f", {words} left" in describe_progress(ProgressState(1), pace)


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        ((1.0, 1), "1 a second"),
        ((2.0, 1), "30 a minute"),
        ((60.0, 1), "1 a minute"),
    ],
)
def test_a_rate_is_told_in_the_unit_that_fits(seen: tuple[float, int], words: str) -> None:
    assert f", {words}, " in describe_progress(ProgressState(9), pace_of((0, 0), seen))


def test_a_rate_of_less_than_one_a_minute_is_told_by_the_hour() -> None:
    pace = pace_of((0, 0), (120, 1), (240, 2), interval=timedelta(minutes=2))
    assert describe_progress(ProgressState(9, sent=2), pace) == (
        "2 of 9 sent, 30 an hour, 14 min 0 s left, 0 failed"
    )


@pytest.mark.parametrize(("at", "rate"), [(60, 50), (60.5, 100 / 30.5), (90, 100 / 60)])
def test_a_rate_is_that_of_the_last_minute(at: float, rate: float) -> None:
    pace = pace_of((0, 0), (30, 2_900), (at, 3_000))
    assert pace.per_second == pytest.approx(rate)


def test_when_nothing_moves_any_more_the_rate_ends() -> None:
    pace = pace_of((0, 0), (1, 3_000), *((second, 3_000) for second in range(2, 62)))
    assert pace.per_second == 0


# --- Counting what is being sent.


def test_what_becomes_of_mails_is_counted_but_for_those_put_off() -> None:
    tally = Tally(6)
    for state in (
        MailState.SENT,
        MailState.SENT,
        MailState.FAILED,
        MailState.DROPPED,
        MailState.IN_DOUBT,
        MailState.QUEUED,
    ):
        tally.count(state)
    standing = tally.state
    assert standing == ProgressState(6, sent=2, failed=1, dropped_or_in_doubt=2)
    assert (standing.done, standing.remaining) == (5, 1)


def test_what_comes_due_meanwhile_counts_too() -> None:
    tally = Tally(1)
    tally.count(MailState.SENT)
    tally.count(MailState.SENT)
    assert tally.state == ProgressState(2, sent=2)


# --- Shown.


def test_without_a_terminal_a_line_appears_when_there_is_news(
    capsys: pytest.CaptureFixture[str],
) -> None:
    looked = 0

    def look() -> ProgressState:
        nonlocal looked
        looked += 1
        return ProgressState(2, sent=2 if looked > 3 else 0)

    with show_progress(look, interval=AT_ONCE, every=0.02):
        while looked < 8:
            time.sleep(0.01)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == ["0 of 2 sent, 0 failed", "2 of 2 sent, 0 failed"]


def test_what_is_over_sooner_shows_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    with show_progress(lambda: ProgressState(2), interval=AT_ONCE):
        pass
    assert capsys.readouterr() == ("", "")
