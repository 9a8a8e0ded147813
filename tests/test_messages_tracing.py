"""Message-IDs and return paths: the same for every attempt, and no one else's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repermit.errors import LinkError
from repermit.messages import message_id, read_return_path, return_path

KEY = b"a key of this installation"
SENDER = "post@example.org"
mail_ids = st.integers(0, 2**64 - 1)


def verp(mail_id: int, *, key: bytes = KEY, return_domain: str = "") -> str:
    return return_path("verp", sender=SENDER, return_domain=return_domain, mail_id=mail_id, key=key)


def test_a_message_id_is_on_the_senders_domain_and_stays_the_same() -> None:
    first = message_id("ab" * 16, sender_domain="example.org", key=KEY)
    assert first == message_id("ab" * 16, sender_domain="example.org", key=KEY)
    assert first == "<qifllgivwhpsutiswfnieajzga@example.org>"


def test_a_message_id_differs_by_mail_and_by_key_and_does_not_show_the_uid() -> None:
    made = {
        message_id(uid, sender_domain="example.org", key=key)
        for uid in ("ab" * 16, "cd" * 16)
        for key in (KEY, b"another key")
    }
    assert len(made) == 4
    assert not any("abab" in one for one in made)


def test_a_fixed_return_path_is_the_senders_address() -> None:
    assert (
        return_path("fixed", sender=SENDER, return_domain="bounce.example.org", mail_id=1, key=KEY)
        == SENDER
    )


@given(mail_id=mail_ids)
def test_a_return_path_is_read_back_in_any_case_and_fits_a_local_part(mail_id: int) -> None:
    address = verp(mail_id)
    local, _, domain = address.partition("@")
    assert local.startswith("bounce+")
    assert local == local.lower()
    assert len(local) == 37
    assert domain == "example.org"
    assert read_return_path(address, key=KEY) == mail_id
    assert read_return_path(f" {address.upper()}\n", key=KEY) == mail_id


def test_a_return_domain_of_its_own_is_used() -> None:
    address = verp(7, return_domain="bounce.example.org")
    assert address.endswith("@bounce.example.org")
    assert read_return_path(address, key=KEY) == 7


@given(
    mail_id=mail_ids,
    place=st.integers(7, 36),
    sign=st.sampled_from("abcdefghijklmnopqrstuvwxyz234567-"),
)
def test_no_other_spelling_is_read(mail_id: int, place: int, sign: str) -> None:
    address = verp(mail_id)
    other = address[:place] + sign + address[place + 1 :]
    if other == address:
        assert read_return_path(other, key=KEY) == mail_id
    else:
        with pytest.raises(LinkError):
            read_return_path(other, key=KEY)


def test_the_spare_bit_of_the_id_is_no_second_spelling() -> None:
    address = verp(0)
    assert address[19] == "a"
    with pytest.raises(LinkError, match="not the return path of one of our mails"):
        read_return_path(address[:19] + "b" + address[20:], key=KEY)


@given(address=st.text() | st.emails())
def test_other_addresses_are_refused(address: str) -> None:
    with pytest.raises(LinkError):
        read_return_path(address, key=KEY)


def test_a_return_path_under_another_key_is_refused() -> None:
    with pytest.raises(LinkError):
        read_return_path(verp(1, key=b"another key"), key=KEY)
