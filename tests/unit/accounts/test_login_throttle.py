"""Guessing made slow, by account and by network, also for many at once."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from repermit.accounts import audit_log, login_throttle
from repermit.db.connection import Database, lock_rows
from repermit.db.models.accounts import Throttle
from tests.support.builders import NOW, make_settings

SECOND = timedelta(seconds=1)
KEY = b"a-key-for-tests"


def scopes(email: str = "anna@example.org", network: str = "192.0.2.0/24") -> tuple[str, ...]:
    return login_throttle.make_login_scopes(email, login_throttle.Origin(network), key=KEY)


@pytest.mark.parametrize(
    ("failures", "seconds"),
    [(0, 0), (1, 1), (2, 2), (3, 4), (4, 8), (10, 512), (11, 900), (12, 900), (10_000, 900)],
)
def test_waits_double_up_to_a_quarter_of_an_hour(failures: int, seconds: int) -> None:
    assert login_throttle.compute_wait(failures) == timedelta(seconds=seconds)


@pytest.mark.parametrize(("failures", "seconds"), [(9, 0), (10, 0), (11, 1), (12, 2)])
def test_a_network_has_ten_failures_for_nothing(failures: int, seconds: int) -> None:
    assert login_throttle.compute_wait(failures, free=10) == timedelta(seconds=seconds)


def test_who_fails_waits_longer_each_time(database: Database) -> None:
    now = NOW
    for seconds in (1, 2, 4, 8):
        assert not login_throttle.record_attempt(database, scopes(), now=now)
        wait = timedelta(seconds=seconds)
        assert login_throttle.record_attempt(database, scopes(), now=now) == wait
        just_before = now + wait - timedelta(microseconds=1)
        assert login_throttle.record_attempt(database, scopes(), now=just_before) == timedelta(
            microseconds=1
        )
        now += wait


def test_a_try_that_comes_too_soon_makes_no_wait_longer(database: Database) -> None:
    login_throttle.record_attempt(database, scopes(), now=NOW)
    for _ in range(5):
        assert login_throttle.record_attempt(database, scopes(), now=NOW) == SECOND
    assert not login_throttle.record_attempt(database, scopes(), now=NOW + SECOND)


def test_accounts_wait_apart(database: Database) -> None:
    login_throttle.record_attempt(database, scopes(), now=NOW)
    assert not login_throttle.record_attempt(database, scopes("bram@example.org"), now=NOW)


def test_an_account_waits_from_whichever_network_it_is_tried(database: Database) -> None:
    login_throttle.record_attempt(database, scopes(), now=NOW)
    assert (
        login_throttle.record_attempt(database, scopes(network="198.51.100.0/24"), now=NOW)
        == SECOND
    )


def test_a_stranger_keeps_nobody_waiting_for_long_who_comes_from_elsewhere(
    database: Database,
) -> None:
    now = NOW
    for _ in range(12):
        now += login_throttle.MAX_WAIT
        assert not login_throttle.record_attempt(database, scopes(), now=now)
    assert login_throttle.record_attempt(database, scopes(), now=now) == login_throttle.MAX_WAIT
    elsewhere = scopes(network="198.51.100.0/24")
    assert login_throttle.record_attempt(database, elsewhere, now=now) == timedelta(seconds=8)
    assert not login_throttle.record_attempt(database, elsewhere, now=now + timedelta(seconds=8))


def test_a_try_that_must_wait_writes_nothing(database: Database) -> None:
    for number in range(11):
        login_throttle.record_attempt(database, scopes(f"user{number}@example.org"), now=NOW)
    before = list(Throttle.select().tuples())
    assert login_throttle.record_attempt(database, scopes("another@example.org"), now=NOW) == SECOND
    assert list(Throttle.select().tuples()) == before


def test_a_session_waits_for_itself_alone(database: Database) -> None:
    session = login_throttle.make_session_scopes(7)
    login_throttle.record_attempt(database, scopes(), now=NOW)
    assert not login_throttle.record_attempt(database, session, now=NOW)
    assert login_throttle.record_attempt(database, session, now=NOW) == SECOND
    login_throttle.forgive_attempt(database, session, now=NOW)
    assert not login_throttle.record_attempt(database, session, now=NOW)


def test_a_network_that_tries_many_accounts_waits(database: Database) -> None:
    for number in range(11):
        assert not login_throttle.record_attempt(
            database, scopes(f"user{number}@example.org"), now=NOW
        )
    assert login_throttle.record_attempt(database, scopes("another@example.org"), now=NOW) == SECOND
    assert not login_throttle.record_attempt(
        database, scopes("another@example.org", "203.0.113.0/24"), now=NOW
    )


def test_a_success_lets_the_account_begin_anew(database: Database) -> None:
    for seconds in (0, 1, 3):
        assert not login_throttle.record_attempt(
            database, scopes(), now=NOW + timedelta(seconds=seconds)
        )
    login_throttle.forgive_attempt(database, scopes(), now=NOW)
    assert not login_throttle.record_attempt(database, scopes(), now=NOW)
    assert login_throttle.record_attempt(database, scopes(), now=NOW) == SECOND


def test_a_success_takes_but_its_own_try_from_the_network(database: Database) -> None:
    for number in range(5):
        login_throttle.record_attempt(database, scopes(f"user{number}@example.org"), now=NOW)
    login_throttle.forgive_attempt(database, scopes("user4@example.org"), now=NOW)
    assert Throttle.get(Throttle.scope == "network:192.0.2.0/24").failures == 4


@pytest.mark.parametrize(("hours", "is_forgotten"), [(23, False), (25, True)])
def test_failures_are_forgotten_after_a_day(
    database: Database, hours: int, is_forgotten: bool
) -> None:
    for seconds in (0, 1, 3):
        login_throttle.record_attempt(database, scopes(), now=NOW + timedelta(seconds=seconds))
    later = NOW + timedelta(hours=hours)
    assert not login_throttle.record_attempt(database, scopes(), now=later)
    expected = SECOND if is_forgotten else 8 * SECOND
    assert login_throttle.record_attempt(database, scopes(), now=later) == expected


def test_of_many_tries_at_once_one_is_made(database: Database) -> None:
    def book(_: int) -> bool:
        with database.connection_context():
            return not login_throttle.record_attempt(database, scopes(), now=NOW)

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(book, range(16))) == 1


def test_an_attempt_is_made_although_another_one_is_accepted_meanwhile(database: Database) -> None:
    login_throttle.record_attempt(database, scopes(), now=NOW)
    later = NOW + timedelta(minutes=1)

    def record() -> timedelta:
        with database.connection_context():
            return login_throttle.record_attempt(database, scopes(), now=later)

    with ThreadPoolExecutor(1) as other:
        with database.atomic():
            list(lock_rows(Throttle.select()))
            wait = other.submit(record)
            time.sleep(0.5)
            login_throttle.forgive_attempt(database, scopes(), now=later)
        assert wait.result() == timedelta()


def test_no_address_stands_in_the_table(database: Database) -> None:
    login_throttle.record_attempt(database, scopes(), now=NOW)
    assert not [row for row in Throttle.select() if "anna" in row.scope]


def test_what_is_old_is_deleted(database: Database) -> None:
    login_throttle.record_attempt(database, scopes(), now=NOW)
    settings = make_settings()
    for age, left in ((timedelta(hours=24), 3), (timedelta(hours=24, seconds=1), 0)):
        audit_log.delete_expired(database, settings=settings, now=NOW + age)
        assert Throttle.select().count() == left
