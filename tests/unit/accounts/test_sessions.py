"""Sessions: how long they last, when they lock, how they end."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from repermit.accounts import sessions
from repermit.accounts.sessions import ActiveSession
from repermit.db.connection import Database
from repermit.db.models.accounts import Session
from repermit.settings.definitions import Web
from tests.support.admin_pages import make_session, make_user
from tests.support.builders import NOW, make_settings

MOMENT = timedelta(microseconds=1)
SETTINGS = make_settings()


def find(token: str, now: datetime = NOW) -> ActiveSession | None:
    return sessions.find_session(token, now=now, settings=SETTINGS)


@pytest.mark.parametrize(
    ("idle", "is_locked"),
    [
        (timedelta(minutes=15) - MOMENT, False),
        (timedelta(minutes=15), True),
        (timedelta(minutes=15) + MOMENT, True),
    ],
)
def test_a_session_locks_after_15_idle_minutes(
    database: Database, idle: timedelta, is_locked: bool
) -> None:
    token, _ = make_session(database, make_user(database))
    login = find(token, NOW + idle)
    assert login
    assert login.is_locked is is_locked
    assert login.locks_at == NOW + timedelta(minutes=15)


def test_the_idle_minutes_are_a_setting(database: Database) -> None:
    token, _ = make_session(database, make_user(database))
    settings = make_settings(web=Web(idle_minutes=60))
    login = sessions.find_session(token, now=NOW + timedelta(minutes=59), settings=settings)
    assert login
    assert not login.is_locked


@pytest.mark.parametrize(
    ("age", "lasts"),
    [
        (timedelta(days=7) - MOMENT, True),
        (timedelta(days=7), False),
        (timedelta(days=7) + MOMENT, False),
    ],
)
def test_a_session_ends_after_a_week_however_busy(
    database: Database, age: timedelta, lasts: bool
) -> None:
    token, _ = make_session(database, make_user(database), seen_at=NOW + age)
    assert (find(token, NOW + age) is not None) is lasts


@pytest.mark.parametrize(
    ("age", "lasts"),
    [
        (timedelta(minutes=15) - MOMENT, True),
        (timedelta(minutes=15), False),
        (timedelta(minutes=15) + MOMENT, False),
    ],
)
def test_the_second_step_has_a_quarter_of_an_hour(
    database: Database, age: timedelta, lasts: bool
) -> None:
    token, _ = make_session(database, make_user(database), is_full=False)
    found = find(token, NOW + age)
    assert (found is not None) is lasts
    assert found is None or not found.is_full


def test_a_token_is_random_and_kept_as_a_digest(database: Database) -> None:
    user = make_user(database)
    with database.atomic():
        tokens = {
            sessions.begin_session(user.id, now=NOW, network="", browser="") for _ in range(3)
        }
    assert len(tokens) == 3
    assert all(len(token) >= 43 for token in tokens)  # 256 bits in base64
    assert not tokens & {row.digest for row in Session.select()}


def test_an_unknown_token_is_nobodys(database: Database) -> None:
    make_session(database, make_user(database))
    assert find("") is None
    assert find("unknown") is None


def test_the_second_step_changes_the_token(database: Database) -> None:
    token, row = make_session(database, make_user(database), is_full=False)
    with database.atomic():
        fresh = sessions.complete_session(row.id, now=NOW)
    assert find(token) is None
    login = find(fresh)
    assert login
    assert login.is_full


@pytest.mark.parametrize(("seconds", "is_noted"), [(59, False), (60, True), (61, True)])
def test_being_seen_is_noted_once_a_minute(
    database: Database, seconds: int, is_noted: bool
) -> None:
    token, _ = make_session(database, make_user(database))
    now = NOW + timedelta(seconds=seconds)
    login = find(token, now)
    assert login
    assert sessions.should_record_last_seen(login, now=now) is is_noted


def test_being_seen_moves_the_lock(database: Database) -> None:
    token, _ = make_session(database, make_user(database))
    login = find(token)
    assert login
    later = NOW + timedelta(minutes=14)
    with database.atomic():
        sessions.record_last_seen(login, now=later)
    found = find(token, NOW + timedelta(minutes=20))
    assert found
    assert not found.is_locked


def test_a_lock_holds_until_it_is_released(database: Database) -> None:
    token, row = make_session(database, make_user(database))
    sessions.lock_session(database, row.id)
    login = find(token)
    assert login
    assert login.is_locked
    with database.atomic():
        fresh = sessions.unlock_session(row.id, now=NOW)
    assert find(token) is None
    login = find(fresh)
    assert login
    assert not login.is_locked


def test_sessions_are_listed_the_last_used_first(database: Database) -> None:
    user = make_user(database)
    _, old = make_session(database, user)
    _, new = make_session(database, user, seen_at=NOW + timedelta(minutes=1), browser="B")
    make_session(database, user, ended_at=NOW)
    make_session(database, make_user(database))
    found = sessions.list_open_sessions(user.id, now=NOW)
    assert [one.id for one in found] == [new.id, old.id]
    assert (found[0].browser, found[0].network, found[0].is_full) == ("B", "192.0.2.0/24", True)
    assert (found[1].created_at, found[1].seen_at) == (NOW, NOW)


def test_a_session_can_be_ended_by_its_user_alone(database: Database) -> None:
    user, other = make_user(database), make_user(database)
    token, row = make_session(database, user)
    sessions.end_session(database, row.id, user_id=other.id, now=NOW)
    assert find(token)
    sessions.end_session(database, row.id, user_id=user.id, now=NOW)
    assert find(token) is None
