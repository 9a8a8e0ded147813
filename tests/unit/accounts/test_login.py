"""Getting in, and changing what one gets in with, as use cases."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import argon2
import pytest

from repermit.accounts import login as accounts_login
from repermit.accounts import sessions, two_factor, users
from repermit.accounts.login import AttemptResult, LoginAttempt
from repermit.accounts.sessions import ActiveSession
from repermit.db.connection import Database
from repermit.db.models.accounts import Session, User
from repermit.db.models.evidence import Evidence, EvidencePart
from repermit.errors import AddressError, NotFound, Refused
from repermit.settings.sealed_secrets import SecretCipher, make_totp_name
from repermit.webhooks import endpoints
from tests.support.admin_pages import PASSWORD, SECRET, code_at, make_admin, make_session, make_user
from tests.support.builders import NOW, make_settings

SETTINGS = make_settings()
FRESH = "five rather slow herons"
SECOND = timedelta(seconds=1)


def visit(now: datetime = NOW) -> LoginAttempt:
    return LoginAttempt(now=now, network="192.0.2.0/24", browser="A browser")


def log_in(
    database: Database, email: str, password: str = PASSWORD, *, now: datetime = NOW
) -> AttemptResult:
    return accounts_login.log_in(
        database, email=email, password=password, settings=SETTINGS, attempt=visit(now)
    )


def find(token: str, now: datetime = NOW) -> ActiveSession:
    login = sessions.find_session(token, now=now, settings=SETTINGS)
    assert login
    return login


def login_of(database: Database, user: User, *, is_full: bool = True) -> ActiveSession:
    token, _ = make_session(database, user, is_full=is_full)
    return find(token)


def events() -> list[str]:
    return [one.event for one in Evidence.select().order_by(Evidence.seq)]


def test_address_and_password_begin_half_a_session(database: Database) -> None:
    user = make_user(database)
    tried = log_in(database, f" {user.email.upper()} ")
    assert tried.is_accepted
    login = find(tried.token)
    assert (login.user.id, login.is_full, login.is_locked) == (user.id, False, False)
    (session,) = Session.select()
    assert (session.network, session.browser) == ("192.0.2.0/24", "A browser")
    assert events() == []


@pytest.mark.parametrize("email", ["nobody@example.org", "no address", ""])
def test_who_is_unknown_does_not_get_in(database: Database, email: str) -> None:
    tried = log_in(database, email)
    assert (tried.is_accepted, tried.wait) == (False, timedelta())
    assert log_in(database, email).wait == SECOND


def test_a_wrong_password_waits_and_a_right_one_begins_anew(database: Database) -> None:
    user = make_user(database)
    assert not log_in(database, user.email, "wrong").is_accepted
    assert log_in(database, user.email).wait == SECOND
    assert log_in(database, user.email, now=NOW + SECOND).is_accepted
    assert log_in(database, user.email, now=NOW + SECOND).is_accepted


def test_a_hash_of_old_parameters_is_renewed_at_login(database: Database) -> None:
    old = argon2.PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1).hash(PASSWORD)
    user = make_user(database, password=old)
    assert log_in(database, user.email).is_accepted
    kept = User.get_by_id(user.id).password
    assert kept.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert log_in(database, user.email).is_accepted


def take(
    database: Database, login: ActiveSession, code: str, *, now: datetime = NOW
) -> AttemptResult:
    return accounts_login.take_second_step(
        database, login, code, settings=SETTINGS, attempt=visit(now)
    )


def test_the_second_step_makes_a_session_full_and_is_noted(database: Database) -> None:
    user = make_user(database)
    tried = take(database, login_of(database, user, is_full=False), code_at(NOW))
    assert find(tried.token).is_full
    entry = Evidence.get()
    assert (entry.event, entry.actor, entry.subject) == (
        "logged_in",
        f"user:{user.id}",
        f"user:{user.id}",
    )
    parts = {part.part: json.loads(part.json) for part in EvidencePart.select()}
    assert parts == {
        "consent": {"second_step": "app"},
        "trace": {"network": "192.0.2.0/24", "browser": "A browser"},
    }


def test_a_recovery_code_stands_for_the_second_step(database: Database) -> None:
    user = make_user(database)
    codes = accounts_login.renew_recovery_codes(
        database, login_of(database, user).user, attempt=visit()
    )
    login = login_of(database, user, is_full=False)
    assert take(database, login, codes[3]).is_accepted
    assert two_factor.count_codes_left(user.id) == 9
    assert events() == ["recovery_codes_renewed", "logged_in"]
    assert '{"second_step":"recovery_code"}' in {part.json for part in EvidencePart.select()}


def test_giving_the_password_again_does_not_shorten_the_wait_for_codes(database: Database) -> None:
    user = make_user(database)
    login = login_of(database, user, is_full=False)
    assert not take(database, login, "000000").is_accepted
    again = find(log_in(database, user.email).token)
    assert take(database, again, code_at(NOW)).wait == SECOND
    assert take(database, again, code_at(NOW), now=NOW + SECOND).is_accepted
    assert not Session.get_by_id(login.id).is_full


def test_a_code_alone_does_not_open_a_locked_session(database: Database) -> None:
    token, _ = make_session(database, make_user(database), is_locked=True)
    assert take(database, find(token), code_at(NOW)) == AttemptResult()
    assert find(token).is_locked
    assert events() == []


def set_up(
    database: Database, login: ActiveSession, code: str, secret: str = SECRET
) -> AttemptResult:
    return accounts_login.set_up_second_step(
        database, login, secret=secret, code=code, settings=SETTINGS, attempt=visit()
    )


def test_an_app_is_taken_into_use_once_it_shows_the_right_code(database: Database) -> None:
    user = make_user(database, totp_secret="")
    login = login_of(database, user, is_full=False)
    assert not set_up(database, login, "000000").is_accepted
    tried = set_up(database, login, code_at(NOW))
    assert find(tried.token).is_full
    assert len(tried.codes) == 10
    assert tried.codes[0] not in repr(tried)
    assert find(tried.token).user.has_second_step
    assert events() == ["second_step_set_up"]


def test_the_code_that_set_the_app_up_does_not_work_again(database: Database) -> None:
    user = make_user(database, totp_secret="")
    set_up(database, login_of(database, user, is_full=False), code_at(NOW))
    assert not take(database, login_of(database, user, is_full=False), code_at(NOW)).is_accepted


def test_who_has_the_password_alone_cannot_put_another_app_in_place(database: Database) -> None:
    other = "KRSXG5CTMVRXEZLUKRSXG5CTMVRXEZLU"
    user = make_user(database)
    login = login_of(database, user, is_full=False)
    assert not set_up(database, login, code_at(NOW, other), other).is_accepted
    assert User.get_by_id(user.id).totp_secret == SECRET


def test_of_two_half_sessions_one_sets_an_app_up(database: Database) -> None:
    other = "KRSXG5CTMVRXEZLUKRSXG5CTMVRXEZLU"
    user = make_user(database, totp_secret="")
    first, second = (login_of(database, user, is_full=False) for _ in range(2))
    assert set_up(database, first, code_at(NOW)).is_accepted
    assert set_up(database, second, code_at(NOW, other), other) == AttemptResult()
    kept = User.get_by_id(user.id).totp_secret
    # A copy of the database tells no secret: it is sealed, and for this user alone.
    assert SECRET not in kept
    assert SecretCipher(SETTINGS.secret_keys).decrypt(make_totp_name(user.id), kept) == SECRET
    assert two_factor.count_codes_left(user.id) == 10
    assert events() == ["second_step_set_up"]


def test_another_app_ends_all_other_sessions(database: Database) -> None:
    other = "KRSXG5CTMVRXEZLUKRSXG5CTMVRXEZLU"
    user = make_user(database)
    login_of(database, user)
    tried = set_up(database, login_of(database, user), code_at(NOW, other), other)
    assert [one.id for one in sessions.list_open_sessions(user.id, now=NOW)] == [
        find(tried.token).id
    ]


def unlock(database: Database, login: ActiveSession, password: str) -> AttemptResult:
    return accounts_login.unlock(database, login, password, attempt=visit())


def test_the_password_opens_a_locked_screen(database: Database) -> None:
    token, row = make_session(database, make_user(database), is_locked=True)
    tried = unlock(database, find(token), PASSWORD)
    assert tried.is_accepted
    assert not find(tried.token).is_locked
    assert row.id == find(tried.token).id
    # Whoever copied the cookie before the screen was locked is not in again.
    assert tried.token != token
    assert sessions.find_session(token, now=NOW, settings=SETTINGS) is None


def test_a_wrong_password_leaves_it_locked_and_waits(database: Database) -> None:
    token, _ = make_session(database, make_user(database), is_locked=True)
    assert not unlock(database, find(token), "wrong").is_accepted
    assert unlock(database, find(token), PASSWORD).wait == SECOND
    assert find(token).is_locked


def test_a_stranger_who_guesses_keeps_no_screen_locked(database: Database) -> None:
    user = make_user(database)
    token, _ = make_session(database, user, is_locked=True)
    for number in range(12):
        log_in(database, user.email, "wrong", now=NOW + number * timedelta(minutes=15))
    assert unlock(database, find(token), PASSWORD).is_accepted


def test_a_changed_password_ends_all_other_sessions(database: Database) -> None:
    user = make_user(database)
    login_of(database, user)
    login = login_of(database, user)
    link = invited(database, user)
    tried = accounts_login.change_password(database, login, FRESH, attempt=visit())
    assert find(tried.token).id == login.id
    assert find(tried.token).is_full
    assert users.find_invitation(link, now=NOW) is None
    assert [one.id for one in sessions.list_open_sessions(user.id, now=NOW)] == [login.id]
    assert not log_in(database, user.email).is_accepted
    assert log_in(database, user.email, FRESH, now=NOW + SECOND).is_accepted
    assert User.get_by_id(user.id).password_at == NOW
    assert events() == ["user_invited", "password_changed"]


def invited(database: Database, user: User) -> str:
    made = users.invite_user(database, user.id, now=NOW, actor="cli:keeper")
    return made.token


def test_a_link_is_used_once(database: Database) -> None:
    user = make_user(database, password="")
    token = invited(database, user)
    tried = accounts_login.accept_invitation(database, token, FRESH, attempt=visit())
    assert tried.is_accepted
    assert not find(tried.token).is_full
    with pytest.raises(NotFound):
        accounts_login.accept_invitation(database, token, PASSWORD, attempt=visit())
    assert log_in(database, user.email, FRESH).is_accepted
    assert events() == ["user_invited", "password_chosen"]


def test_of_two_who_use_a_link_at_once_one_gets_in(database: Database) -> None:
    token = invited(database, make_user(database, password=""))

    def accept(password: str) -> bool:
        with database.connection_context():
            try:
                accounts_login.accept_invitation(database, token, password, attempt=visit())
            except NotFound:
                return False
            return True

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(accept, (FRESH, PASSWORD))) == [False, True]


def test_a_password_chosen_by_a_link_ends_all_sessions(database: Database) -> None:
    user = make_user(database)
    old = login_of(database, user)
    tried = accounts_login.accept_invitation(
        database, invited(database, user), FRESH, attempt=visit()
    )
    still = [one.id for one in sessions.list_open_sessions(user.id, now=NOW)]
    assert still == [find(tried.token).id]
    assert old.id not in still


def test_one_link_of_the_first_admin_that_is_used_ends_the_others(database: Database) -> None:
    links = [users.invite_first_admin(database, now=NOW, actor="cli:keeper") for _ in range(3)]
    tokens = [one.token for one in links if one]
    accounts_login.accept_invitation(
        database, tokens[1], FRESH, email="a@example.org", attempt=visit()
    )
    assert [users.find_invitation(one, now=NOW) for one in tokens] == [None] * 3


def test_of_two_links_of_the_first_admin_used_at_once_one_gets_in(database: Database) -> None:
    links = [users.invite_first_admin(database, now=NOW, actor="cli:keeper") for _ in range(2)]

    def accept(token: str) -> bool:
        with database.connection_context():
            try:
                accounts_login.accept_invitation(
                    database, token, FRESH, email="a@example.org", attempt=visit()
                )
            except NotFound:
                return False
            return True

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(accept, [one.token for one in links if one])) == [False, True]


def test_the_first_admin_is_nobody_who_is_there_already(database: Database) -> None:
    viewer = make_user(database)
    first = users.invite_first_admin(database, now=NOW, actor="cli:keeper")
    assert first
    with pytest.raises(Refused):
        accounts_login.accept_invitation(
            database, first.token, FRESH, email=viewer.email, attempt=visit()
        )
    assert users.find_invitation(first.token, now=NOW)


def test_the_first_admin_says_who_they_are(database: Database) -> None:
    first = users.invite_first_admin(database, now=NOW, actor="cli:keeper")
    assert first
    with pytest.raises(AddressError):
        accounts_login.accept_invitation(
            database, first.token, FRESH, email="anna", attempt=visit()
        )
    tried = accounts_login.accept_invitation(
        database, first.token, FRESH, email="Anna@example.org", attempt=visit()
    )
    assert find(tried.token).user.email == "anna@example.org"
    assert "anna@example.org" in " ".join(part.json for part in EvidencePart.select())
    make_admin(database)
    users.remove_user(
        database,
        find(tried.token).user.id,
        end_webhooks=endpoints.remove_by_creator,
        now=NOW,
        actor="cli:keeper",
    )
    assert "anna" not in " ".join(part.json for part in EvidencePart.select())
