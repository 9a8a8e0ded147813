"""Which passwords may be chosen, and how they are kept."""

from __future__ import annotations

import subprocess
import sys

import argon2
import pytest

from repermit.accounts import passwords
from repermit.accounts.passwords import Weakness
from repermit.unicode_limits import normalize
from tests.support import analysis_cache

EMAIL = "anna.jansen@delinde.example"
ORGANISATION = "Praktijk De Linde"


def weaknesses(password: str) -> tuple[Weakness, ...]:
    return passwords.find_weaknesses(password, email=EMAIL, organisation=ORGANISATION)


@pytest.mark.parametrize(
    ("password", "found"),
    [
        ("kwzvbtrqmxf", (Weakness.SHORT,)),
        ("kwzvbtrqmxfp", ()),
        ("kwzvbtrqmxfpl", ()),
        # Four signs of two code points each are eight, but of one each after NFC four.
        (normalize("NFD", "éèêëéèêëéèê"), (Weakness.SHORT,)),
        ("four quiet otters wait", ()),
    ],
)
def test_a_password_has_twelve_signs_or_more(password: str, found: tuple[Weakness, ...]) -> None:
    assert weaknesses(password) == found


def long_password(size: int) -> str:
    return ("abcdefghijkl mnopqrstuv " * 50)[: size - 1] + "X"


@pytest.mark.parametrize(("size", "is_too_long"), [(1023, False), (1024, False), (1025, True)])
def test_a_password_has_1024_bytes_at_most(size: int, is_too_long: bool) -> None:
    assert (weaknesses(long_password(size)) == (Weakness.LONG,)) is is_too_long
    assert (weaknesses("é" + long_password(size - 2)) == (Weakness.LONG,)) is is_too_long


@pytest.mark.parametrize(
    "password",
    [
        "password1234",
        "PASSWORD1234!!",
        "p4ssw0rd1234",
        "12password34567",
        "passwordpassword",
        "qwertyqwerty",
        "aaaaaaaaaaaaaa",
        "abcabcabcabcabc",
        "123456789012",
        "020612345678",
        "............",
        "Unbelievable2026!",
        "straightforward",
    ],
)
def test_a_common_password_may_not_be_chosen(password: str) -> None:
    assert weaknesses(password) == (Weakness.COMMON,)


@pytest.mark.parametrize(
    "password", ["48!a92$77#3kq", "wolken-boven-zee", "tea and three biscuits"]
)
def test_an_uncommon_password_may_be_chosen(password: str) -> None:
    assert weaknesses(password) == ()


@pytest.mark.parametrize("password", ["wolken jansen zee", "WOLKENjAnSeNzee", "wolken delinde zee"])
def test_a_password_holds_no_part_of_the_address(password: str) -> None:
    assert Weakness.ADDRESS in weaknesses(password)


def test_a_short_part_of_the_address_may_stand_in_a_password() -> None:
    found = passwords.find_weaknesses("wolken jan zeeën", email="jan@ab.example", organisation="")
    assert found == ()


@pytest.mark.parametrize(
    "password", ["wolken boven LINDE", "praktijk wolken zee", "de praktijkdelinde is hier"]
)
def test_a_password_holds_no_word_of_the_organisation(password: str) -> None:
    assert Weakness.ORGANISATION in weaknesses(password)


@pytest.mark.parametrize(
    ("password", "email", "organisation", "weakness"),
    [
        ("jan@kpn.nl 1234", "jan@kpn.nl", "", Weakness.ADDRESS),
        ("Welkom bij GGD 7", "x@example.org", "GGD", Weakness.ORGANISATION),
        ("mijn KPN BV zes", "x@example.org", "KPN BV", Weakness.ORGANISATION),
    ],
)
def test_a_password_holds_no_whole_address_or_name_however_short_its_parts_are(
    password: str, email: str, organisation: str, weakness: Weakness
) -> None:
    found = passwords.find_weaknesses(password, email=email, organisation=organisation)
    assert found == (weakness,)


def test_all_that_speaks_against_a_password_is_said() -> None:
    assert weaknesses("linde") == (Weakness.SHORT, Weakness.COMMON, Weakness.ORGANISATION)


def test_a_password_is_kept_as_argon2id_and_found_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """In earnest; other tests hash and compare in no time."""
    monkeypatch.setattr(analysis_cache.hasher, "hash_secret", analysis_cache.hashed_anew)
    monkeypatch.setattr(analysis_cache.hasher, "verify_secret", analysis_cache.compared_anew)
    kept = passwords.hash_password("four quiet otters wait")
    assert kept.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert passwords.verify_password("four quiet otters wait", kept)
    assert not passwords.verify_password("four quiet otters wail", kept)


def test_a_password_typed_in_other_code_points_is_the_same() -> None:
    kept = passwords.hash_password(normalize("NFD", "éénmaal per wolk"))
    assert passwords.verify_password(normalize("NFC", "éénmaal per wolk"), kept)


@pytest.mark.parametrize("password", ["", "nobody has this password"])
def test_no_password_opens_an_account_that_has_none(password: str) -> None:
    assert not passwords.verify_password(password, "")


def test_comparing_with_nobodys_takes_as_long_the_first_time() -> None:
    """A fresh process is asked, in which nothing can have been made ready before."""
    script = """
import sys
from repermit.accounts import passwords
called = []
sys.setprofile(lambda frame, event, _: event == "call" and called.append(frame.f_code.co_name))
assert not passwords.verify_password("x", "")
sys.setprofile(None)
assert called.count("verify") == 1, called
assert "hash" not in called, called
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def test_what_is_no_hash_opens_nothing() -> None:
    assert not passwords.verify_password("four quiet otters wait", "no hash")


def test_a_hash_of_other_parameters_is_to_be_renewed() -> None:
    old = argon2.PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1).hash("x")
    assert passwords.HASHER.check_needs_rehash(old)
    assert not passwords.HASHER.check_needs_rehash(passwords.hash_password("x"))


@pytest.mark.parametrize(
    "password",
    ["a" + "\u0300\u0316" * 100_000, "x" * 300_000, "가" * 100_000],
    ids=["marks", "letters", "syllables"],
)
def test_what_is_far_too_long_is_refused_before_anything_is_done_with_it(password: str) -> None:
    assert weaknesses(password) == (Weakness.LONG,)
    assert not passwords.verify_password(
        password, passwords.hash_password("four quiet otters wait")
    )
    assert not passwords.verify_password(password, "")


def test_a_password_of_1024_bytes_may_be_typed_in_three_times_as_many() -> None:
    password = "".join(map(chr, range(0xAC01, 0xAC01 + 341)))
    typed = normalize("NFD", password)
    assert len(typed.encode()) > 3000
    assert Weakness.LONG not in weaknesses(typed)
    assert passwords.verify_password(typed, passwords.hash_password(password))
