"""Who looked at what, and what is kept of logging in, for as long as it is needed."""

from __future__ import annotations

from datetime import timedelta

import pytest

from repermit.accounts import audit_log, login_throttle, users
from repermit.db.connection import Database
from repermit.db.models.accounts import (
    Access,
    Invitation,
    RecoveryCode,
    SecurityEvent,
    Session,
    Throttle,
)
from repermit.settings.definitions import Retention
from tests.support.admin_pages import make_session, make_user
from tests.support.builders import NOW, make_list, make_settings
from tests.support.query_plans import plans_of

DAY = timedelta(days=1)
MOMENT = timedelta(microseconds=1)


def test_a_look_is_noted_with_who_and_at_whom(database: Database) -> None:
    news = make_list(database)
    with database.atomic():
        audit_log.record_access(
            now=NOW, actor="user:1", act="looked", mailing_list=news, subject="ab" * 16
        )
        audit_log.record_access(now=NOW, actor="user:2", act="searched")
    found = [(one.at, one.actor, one.act, one.list, one.subject) for one in Access.select()]
    assert found == [
        (NOW, "user:1", "looked", "news", "ab" * 16),
        (NOW, "user:2", "searched", "", ""),
    ]


@pytest.mark.parametrize(
    ("age", "is_kept"), [(10 * DAY - MOMENT, True), (10 * DAY, True), (10 * DAY + MOMENT, False)]
)
def test_a_look_is_kept_access_days(database: Database, age: timedelta, is_kept: bool) -> None:
    with database.atomic():
        audit_log.record_access(now=NOW, actor="user:1", act="looked")
    settings = make_settings(retention=Retention(access_days=10))
    forgotten = audit_log.delete_expired(database, settings=settings, now=NOW + age)
    assert forgotten == (0 if is_kept else 1)
    assert Access.select().exists() is is_kept


@pytest.mark.parametrize(("age", "is_kept"), [(10 * DAY, True), (10 * DAY + MOMENT, False)])
def test_what_was_refused_is_kept_access_days(
    database: Database, age: timedelta, is_kept: bool
) -> None:
    with database.atomic():
        audit_log.record_security_event(audit_log.SecurityEventKind.LOGIN_FAILED, now=NOW)
    settings = make_settings(retention=Retention(access_days=10))
    audit_log.delete_expired(database, settings=settings, now=NOW + age)
    assert SecurityEvent.select().exists() is is_kept


def test_codes_of_which_a_digest_was_kept_are_hashed(database: Database) -> None:
    RecoveryCode.create(user=make_user(database), digest="ab" * 32)
    audit_log.delete_expired(database, settings=make_settings(), now=NOW)
    assert RecoveryCode.get().digest == ""


def test_what_is_over_is_forgotten_and_what_lasts_is_kept(database: Database) -> None:
    user = make_user(database)
    _, lasting = make_session(database, user)
    make_session(database, user, ended_at=NOW)
    make_session(database, user, created_at=NOW - 7 * DAY)
    invited = users.invite_user(database, user.id, now=NOW, actor="cli:keeper")
    Invitation.create(user=user, digest="used", expires_at=NOW + DAY, used_at=NOW)
    Invitation.create(user=user, digest="late", expires_at=NOW)
    login_throttle.record_attempt(database, ("account:1", "network:1"), now=NOW)
    login_throttle.record_attempt(database, ("account:2", "network:1"), now=NOW - 2 * DAY)
    audit_log.delete_expired(database, settings=make_settings(), now=NOW)
    assert [one.id for one in Session.select()] == [lasting.id]
    assert users.find_invitation(invited.token, now=NOW)
    assert Invitation.select().count() == 1
    assert {one.scope for one in Throttle.select()} <= {"account:1", "network:1"}


def test_failures_that_are_over_are_found_by_their_age(database: Database) -> None:
    login_throttle.record_attempt(database, ("account:2",), now=NOW - 2 * DAY)

    def delete_expired() -> None:
        audit_log.delete_expired(database, settings=make_settings(), now=NOW)

    plans = plans_of(database, delete_expired, having='"throttle"')
    assert len(plans) > 1
    assert [plan for plan in plans if "throttle_last_at" not in plan] == []
