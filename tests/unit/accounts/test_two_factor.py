"""The second step: codes of an app, each good once and near its time, and recovery codes."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from repermit.accounts import two_factor
from repermit.db.connection import Database
from repermit.db.models.accounts import RecoveryCode, User
from repermit.settings.sealed_secrets import SecretCipher, make_totp_name
from tests.support.admin_pages import SECRET, code_at, make_user
from tests.support.builders import NOW

STEP = timedelta(seconds=30)
KEYS = (b"a-secret-key-for-tests-only",)


@pytest.mark.parametrize(
    ("seconds", "code"),
    # RFC 6238, appendix B, the last six digits; the secret is "12345678901234567890".
    [(59, "287082"), (1111111109, "081804"), (1234567890, "005924"), (20000000000, "353130")],
)
def test_the_codes_are_those_of_rfc_6238(seconds: int, code: str) -> None:
    moment = datetime.fromtimestamp(seconds, UTC)
    secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
    assert two_factor.find_matching_step(secret, code, now=moment) == seconds // 30


@pytest.mark.parametrize(
    ("steps", "is_right"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)]
)
def test_a_clock_may_be_one_step_off(steps: int, is_right: bool) -> None:
    code = code_at(NOW + steps * STEP)
    assert (two_factor.find_matching_step(SECRET, code, now=NOW) is not None) is is_right


@pytest.mark.parametrize("text", ["", "12345", "\uff11\uff12\uff13\uff14\uff15\uff16", "abcdef"])
def test_what_is_no_code_is_none(text: str) -> None:
    assert two_factor.find_matching_step(SECRET, text, now=NOW) is None


def test_a_code_may_be_typed_in_two_halves() -> None:
    code = code_at(NOW)
    assert two_factor.find_matching_step(SECRET, f" {code[:3]} {code[3:]} ", now=NOW)


def use_code(user_id: int, code: str, *, keys: tuple[bytes, ...] = KEYS) -> bool:
    return two_factor.use_code(user_id, code, cipher=SecretCipher(keys), now=NOW)


def renew(database: Database, user: User) -> tuple[str, ...]:
    made = two_factor.make_recovery_codes()
    with database.atomic():
        return two_factor.save_recovery_codes(user.id, made)


def use_recovery_code(database: Database, user: User, code: str) -> bool:
    found = two_factor.find_recovery_code(user.id, code)
    with database.atomic():
        return found is not None and two_factor.use_recovery_code(found, now=NOW)


def test_a_code_works_once(database: Database) -> None:
    user = make_user(database)
    with database.atomic():
        assert use_code(user.id, code_at(NOW))
    with database.atomic():
        assert not use_code(user.id, code_at(NOW))
        assert not use_code(user.id, code_at(NOW - STEP)), "an earlier one"
        assert use_code(user.id, code_at(NOW + STEP))


def test_of_two_who_use_a_code_at_once_one_gets_in(database: Database) -> None:
    user = make_user(database)

    def use(_: int) -> bool:
        with database.connection_context(), database.atomic():
            return use_code(user.id, code_at(NOW))

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(use, range(8))) == 1


def test_who_has_no_app_has_no_code(database: Database) -> None:
    user = make_user(database, totp_secret="")
    assert not use_code(user.id, code_at(NOW))


def test_a_sealed_secret_opens_under_its_key_and_for_its_user_alone(database: Database) -> None:
    user, other = make_user(database), make_user(database)
    sealed = SecretCipher(KEYS).encrypt(make_totp_name(user.id), SECRET)
    with database.atomic():
        User.update(totp_secret=sealed).execute()
        assert not use_code(user.id, code_at(NOW), keys=(b"another key of many bits",))
        assert not use_code(other.id, code_at(NOW))
        assert use_code(user.id, code_at(NOW), keys=(*KEYS, b"a newer key of many bits"))


def test_there_are_ten_recovery_codes_and_each_works_once(database: Database) -> None:
    user = make_user(database)
    codes = renew(database, user)
    assert len(set(codes)) == 10
    for left, code in zip(range(9, -1, -1), codes, strict=True):
        assert use_recovery_code(database, user, code)
        assert not use_recovery_code(database, user, code)
        assert two_factor.count_codes_left(user.id) == left


def test_of_many_who_use_a_recovery_code_at_once_one_gets_in(database: Database) -> None:
    user = make_user(database)
    code = renew(database, user)[0]
    found = two_factor.find_recovery_code(user.id, code)
    assert found

    def use(_: int) -> bool:
        with database.connection_context(), database.atomic():
            return two_factor.use_recovery_code(found, now=NOW)

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(use, range(4))) == 1


def test_a_recovery_code_may_be_typed_in_any_way(database: Database) -> None:
    user = make_user(database)
    typed = f" {renew(database, user)[0].lower().replace('-', ' ')} "
    assert not two_factor.is_app_code(typed)
    assert use_recovery_code(database, user, typed)


@pytest.mark.parametrize("code", ["123456", " 123 456 ", "12345", ""])
def test_what_is_as_short_as_an_app_s_code_is_taken_for_one(code: str) -> None:
    assert two_factor.is_app_code(code)


def test_a_recovery_code_is_its_owners_alone_and_kept_under_a_slow_hash(
    database: Database,
) -> None:
    user, other = make_user(database), make_user(database)
    codes = renew(database, user)
    assert not use_recovery_code(database, other, codes[0])
    rows = list(RecoveryCode.select())
    assert {row.hash.rpartition("$")[0][:30] for row in rows} == {"$argon2id$v=19$m=19456,t=2,p=1"}
    assert len({row.selector for row in rows}) == 10
    # What stands there is too little to know a code by, and no quick hash of it.
    assert {len(row.selector) for row in rows} == {3}
    assert {row.digest for row in rows} == {""}


@pytest.mark.parametrize("code", ["right", "ABCD-EFGH-JKMN"])
def test_one_slow_hash_is_computed_for_a_code_right_or_wrong(
    database: Database, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = make_user(database)
    codes = renew(database, user)
    computed: list[str] = []
    is_right = two_factor._is_code_right

    def count(digest: str, kept: str) -> bool:
        computed.append(kept)
        return is_right(digest, kept)

    monkeypatch.setattr(two_factor, "_is_code_right", count)
    found = two_factor.find_recovery_code(user.id, codes[0] if code == "right" else code)
    assert (found is not None) is (code == "right")
    assert [kept.partition("$v=")[0] for kept in computed] == ["$argon2id"]


def test_codes_of_which_the_digest_was_kept_go_on_working_and_are_hashed(
    database: Database,
) -> None:
    user = make_user(database)
    old = ["ABCD-EFGH-JKMN", "BCDE-FGHJ-KMNP", "CDEF-GHJK-MNPQ"]
    with database.atomic():
        for code in old:
            digest = hashlib.sha256(code.replace("-", "").encode()).hexdigest()
            RecoveryCode.create(user=user, digest=digest)
    assert use_recovery_code(database, user, old[0])
    two_factor.hash_old_codes(database)
    assert {row.digest for row in RecoveryCode.select()} == {""}
    assert [bool(row.hash) for row in RecoveryCode.select().order_by(RecoveryCode.id)] == [
        False,
        True,
        True,
    ]
    assert not use_recovery_code(database, user, old[0])
    assert use_recovery_code(database, user, old[1])
    assert not use_recovery_code(database, user, old[1])
    assert two_factor.count_codes_left(user.id) == 1


def test_new_recovery_codes_end_the_old(database: Database) -> None:
    user = make_user(database)
    old, new = renew(database, user), renew(database, user)
    assert not use_recovery_code(database, user, old[0])
    assert use_recovery_code(database, user, new[0])


def test_the_app_is_told_whose_secret_it_is() -> None:
    secret = two_factor.make_secret()
    uri = two_factor.make_setup_uri(
        secret, email="anna@example.org", organisation="De Linde: noord"
    )
    assert uri.startswith("otpauth://totp/De%20Linde")
    assert parse_qs(urlsplit(uri).query)["secret"] == [secret]
    assert two_factor.make_setup_uri(secret, email="a@b", organisation="").startswith(
        "otpauth://totp/repermit:"
    )


def test_secrets_differ() -> None:
    assert two_factor.make_secret() != two_factor.make_secret()
    assert len(two_factor.make_secret()) == 32
