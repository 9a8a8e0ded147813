"""The second step: codes of an app, each good once and near its time, and recovery codes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

from repermit.accounts import second_steps
from repermit.models import RecoveryCode
from tests.admin_pages import SECRET, code_at, make_user
from tests.building import NOW

if TYPE_CHECKING:
    from repermit.models import Database

STEP = timedelta(seconds=30)


@pytest.mark.parametrize(
    ("seconds", "code"),
    # RFC 6238, appendix B, the last six digits; the secret is "12345678901234567890".
    [(59, "287082"), (1111111109, "081804"), (1234567890, "005924"), (20000000000, "353130")],
)
def test_the_codes_are_those_of_rfc_6238(seconds: int, code: str) -> None:
    moment = datetime.fromtimestamp(seconds, UTC)
    secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
    assert second_steps.matching_step(secret, code, now=moment) == seconds // 30


@pytest.mark.parametrize(
    ("steps", "is_right"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)]
)
def test_a_clock_may_be_one_step_off(steps: int, is_right: bool) -> None:
    code = code_at(NOW + steps * STEP)
    assert (second_steps.matching_step(SECRET, code, now=NOW) is not None) is is_right


@pytest.mark.parametrize("text", ["", "12345", "\uff11\uff12\uff13\uff14\uff15\uff16", "abcdef"])
def test_what_is_no_code_is_none(text: str) -> None:
    assert second_steps.matching_step(SECRET, text, now=NOW) is None


def test_a_code_may_be_typed_in_two_halves() -> None:
    code = code_at(NOW)
    assert second_steps.matching_step(SECRET, f" {code[:3]} {code[3:]} ", now=NOW)


def test_a_code_works_once(database: Database) -> None:
    user = make_user(database)
    with database.atomic():
        assert second_steps.use_code(user.id, code_at(NOW), now=NOW)
    with database.atomic():
        assert not second_steps.use_code(user.id, code_at(NOW), now=NOW)
        assert not second_steps.use_code(user.id, code_at(NOW - STEP), now=NOW), "an earlier one"
        assert second_steps.use_code(user.id, code_at(NOW + STEP), now=NOW)


def test_of_two_who_use_a_code_at_once_one_gets_in(database: Database) -> None:
    user = make_user(database)

    def use(_: int) -> bool:
        with database.connection_context(), database.atomic():
            return second_steps.use_code(user.id, code_at(NOW), now=NOW)

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(use, range(8))) == 1


def test_who_has_no_app_has_no_code(database: Database) -> None:
    user = make_user(database, totp_secret="")
    assert not second_steps.use_code(user.id, code_at(NOW), now=NOW)


def test_there_are_ten_recovery_codes_and_each_works_once(database: Database) -> None:
    user = make_user(database)
    with database.atomic():
        codes = second_steps.renew_recovery_codes(user.id)
    assert len(set(codes)) == 10
    for left, code in zip(range(9, -1, -1), codes, strict=True):
        with database.atomic():
            assert second_steps.use_recovery_code(user.id, code, now=NOW)
            assert not second_steps.use_recovery_code(user.id, code, now=NOW)
        assert second_steps.codes_left(user.id) == left


def test_a_recovery_code_may_be_typed_in_any_way(database: Database) -> None:
    user = make_user(database)
    with database.atomic():
        codes = second_steps.renew_recovery_codes(user.id)
        typed = f" {codes[0].lower().replace('-', ' ')} "
        assert second_steps.use_recovery_code(user.id, typed, now=NOW)


def test_a_recovery_code_is_its_owners_alone_and_kept_as_a_digest(database: Database) -> None:
    user, other = make_user(database), make_user(database)
    with database.atomic():
        codes = second_steps.renew_recovery_codes(user.id)
        assert not second_steps.use_recovery_code(other.id, codes[0], now=NOW)
    kept = {row.digest for row in RecoveryCode.select()}
    assert not kept & set(codes)
    assert all(len(digest) == 64 for digest in kept)


def test_new_recovery_codes_end_the_old(database: Database) -> None:
    user = make_user(database)
    with database.atomic():
        old = second_steps.renew_recovery_codes(user.id)
        new = second_steps.renew_recovery_codes(user.id)
        assert not second_steps.use_recovery_code(user.id, old[0], now=NOW)
        assert second_steps.use_recovery_code(user.id, new[0], now=NOW)


def test_the_app_is_told_whose_secret_it_is() -> None:
    secret = second_steps.new_secret()
    uri = second_steps.setup_uri(secret, email="anna@example.org", organisation="De Linde: noord")
    assert uri.startswith("otpauth://totp/De%20Linde")
    assert parse_qs(urlsplit(uri).query)["secret"] == [secret]
    assert second_steps.setup_uri(secret, email="a@b", organisation="").startswith(
        "otpauth://totp/repermit:"
    )


def test_secrets_differ() -> None:
    assert second_steps.new_secret() != second_steps.new_secret()
    assert len(second_steps.new_secret()) == 32
