"""What is refused to whoever tries to get in: counted by the hour, logged, and bounded."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from repermit.accounts import audit_log, sessions
from repermit.accounts import login as accounts_login
from repermit.accounts.audit_log import SecurityEventKind
from repermit.accounts.login import LoginAttempt
from repermit.db.connection import Database
from repermit.db.models.accounts import SecurityEvent
from tests.support.admin_pages import PASSWORD, make_session, make_user
from tests.support.builders import NOW, make_settings

if TYPE_CHECKING:
    import pytest

SETTINGS = make_settings()
NETWORK = "192.0.2.0/24"
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)

Row = tuple[str, str, str, int]


def rows() -> list[Row]:
    found = SecurityEvent.select().order_by(SecurityEvent.id)
    return [(one.what, one.actor, one.network, one.times) for one in found]


def visit(now: datetime = NOW, network: str = NETWORK) -> LoginAttempt:
    return LoginAttempt(now=now, network=network, browser="A browser")


def log_in(
    database: Database, email: str, password: str, *, at: LoginAttempt
) -> accounts_login.AttemptResult:
    return accounts_login.log_in(
        database, email=email, password=password, settings=SETTINGS, attempt=at
    )


def test_wrong_passwords_are_counted_for_the_account_and_the_network(database: Database) -> None:
    user = make_user(database)
    for number in range(3):
        log_in(database, user.email, "wrong", at=visit(NOW + number * MINUTE))
    log_in(database, user.email, "wrong", at=visit(NOW + 3 * MINUTE, "198.51.100.0/24"))
    assert rows() == [
        ("login_failed", f"user:{user.id}", NETWORK, 3),
        ("login_failed", f"user:{user.id}", "198.51.100.0/24", 1),
    ]
    first = SecurityEvent.get()
    assert (first.at, first.last_at) == (NOW, NOW + 2 * MINUTE)
    log_in(database, user.email, "wrong", at=visit(NOW + HOUR))
    assert len(rows()) == 3


def test_of_an_address_that_nobody_has_nothing_is_kept(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    for email in ("nobody@example.org", "somebody@example.org", "no address"):
        log_in(database, email, "a secret guess", at=visit())
    assert rows() == [("login_failed", "", NETWORK, 3)]
    said = repr(list(SecurityEvent.select().tuples())) + caplog.text
    for secret in ("nobody", "somebody", "no address", "a secret guess"):
        assert secret not in said


def test_each_refusal_is_a_line_of_the_log_without_what_was_typed(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    user = make_user(database)
    token, _ = make_session(database, user, is_full=False)
    login = sessions.find_session(token, now=NOW, settings=SETTINGS)
    assert login
    log_in(database, user.email, "a wrong password", at=visit())
    log_in(database, user.email, "a wrong password", at=visit())
    for code in ("987654", "ABCD-EFGH-JKMN"):
        later = visit(NOW + HOUR if code == "987654" else NOW + 2 * HOUR)
        accounts_login.take_second_step(database, login, code, settings=SETTINGS, attempt=later)
    full, _ = make_session(database, user, is_locked=True)
    locked = sessions.find_session(full, now=NOW, settings=SETTINGS)
    assert locked
    accounts_login.unlock(database, locked, "a wrong password", attempt=visit())
    accounts_login.unlock(database, locked, PASSWORD, attempt=visit(NOW + MINUTE))
    accounts_login.confirm_password(
        database, locked, "a wrong password", attempt=visit(NOW + MINUTE)
    )
    who = f"user:{user.id}"
    assert [(what, actor) for what, actor, _, _ in rows()] == [
        ("login_failed", who),
        ("too_many_tries", who),
        ("code_failed", who),
        ("code_failed", who),
        ("unlock_failed", who),
        ("unlocked", who),
        ("password_failed", who),
    ]
    lines = [one for one in caplog.records if one.name == audit_log.__name__]
    assert [one.getMessage() for one in lines][:2] == [
        f"login failed: account {who}, network {NETWORK}",
        f"too many tries: account {who}, network {NETWORK}",
    ]
    assert [one.levelname for one in lines] == ["WARNING"] * 5 + ["INFO", "WARNING"]
    for secret in (user.email, "a wrong password", "987654", "ABCD", PASSWORD, token, full):
        assert secret not in caplog.text
        assert secret not in repr(list(SecurityEvent.select().tuples()))


def test_who_goes_on_without_waiting_is_noted_once_a_minute(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    user = make_user(database)
    for number in range(12):
        at = NOW + number * HOUR / 60  # each makes the next wait longer
        log_in(database, user.email, "wrong", at=visit(at))
    caplog.clear()
    before = rows()
    late = NOW + 12 * MINUTE
    for number in range(100):
        tried = log_in(database, user.email, "x", at=visit(late + number * timedelta(seconds=0.5)))
        assert tried.wait
    added = sum(row[3] for row in rows()) - sum(row[3] for row in before)
    assert added == len(caplog.records) == 1
    assert len(rows()) == len(before)


def test_a_flood_from_many_networks_fills_nothing_and_still_names_the_account(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_log, "MAX_ROWS_PER_DAY", 5)
    for number in range(20):
        with database.atomic():
            audit_log.record_security_event(
                SecurityEventKind.LOGIN_FAILED, network=f"10.0.{number}.0/24", now=NOW
            )
            audit_log.record_security_event(
                SecurityEventKind.LOGIN_FAILED,
                actor="user:7",
                network=f"10.1.{number}.0/24",
                now=NOW + MINUTE,
            )
    assert len(rows()) == 5 + 2
    assert sum(times for _, _, _, times in rows()) == 40
    assert ("login_failed", "user:7", "", 18) in rows()
    # A day later there is room again.
    with database.atomic():
        audit_log.record_security_event(
            SecurityEventKind.LOGIN_FAILED,
            network="10.2.0.0/24",
            now=NOW + timedelta(days=1, minutes=1),
        )
    assert rows()[-1] == ("login_failed", "", "10.2.0.0/24", 1)


def test_what_was_refused_is_read_a_page_at_a_time(database: Database) -> None:
    kinds = (SecurityEventKind.LOGIN_FAILED, SecurityEventKind.CODE_FAILED)
    with database.atomic():
        for number in range(4):
            audit_log.record_security_event(
                kinds[number % 2], actor=f"user:{number}", network=NETWORK, now=NOW
            )
    first = audit_log.list_security_events(page=3)
    assert [one.actor for one in first.records] == ["user:3", "user:2", "user:1"]
    rest = audit_log.list_security_events(page=3, before=first.before)
    assert [one.actor for one in rest.records] == ["user:0"]
    (one,) = audit_log.list_security_events(what="login_failed", actor="user:2").records
    assert one.said == {"times": 1, "until": NOW, "network": NETWORK}
