"""Message-IDs and return paths: the same for every attempt, and no one else's."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repermit.emails.message_id import (
    MailReference,
    is_reference_to,
    make_message_id,
    make_return_path,
    make_unnumbered_message_id,
)
from repermit.emails.message_id import read_message_id as parse_message_id
from repermit.emails.message_id import read_return_path as parse_return_path
from repermit.errors import LinkError

if TYPE_CHECKING:
    Make = Callable[..., str]
    Read = Callable[..., int]

KEY = b"a key of this installation"
OWNER, OTHER = "3f" * 16, "7a" * 16
OLD, OLDEST = b"the key before it", b"the first key"
SENDER = "post@example.org"
LETTERS = "abcdefghijklmnopqrstuvwxyz234567"
# The neighbours of every 512 share letters; the edges of the numbers are tried on purpose.
mail_ids = st.integers(0, 2**63 - 1) | st.integers(0, 2048) | st.integers(2**63 - 600, 2**63 - 1)


def verp(mail_id: int, *, owner: str = OWNER, key: bytes = KEY, return_domain: str = "") -> str:
    return make_return_path(
        "verp", sender=SENDER, return_domain=return_domain, mail_id=mail_id, owner=owner, key=key
    )


def identity(mail_id: int, *, owner: str = OWNER, key: bytes = KEY) -> str:
    return make_message_id(mail_id, owner, sender_domain="example.org", key=key)


def read_return_path(address: str, keys: Sequence[bytes], *held: str) -> int:
    return _read(parse_return_path(address), keys, *held)


def read_message_id(text: str, keys: Sequence[bytes], *held: str) -> int:
    return _read(parse_message_id(text), keys, *held)


def _read(
    reference: MailReference, keys: Sequence[bytes], owner: str = OWNER, message_id: str = ""
) -> int:
    """Return the number of the mail that a reference is to, held with this owner."""
    if not is_reference_to(reference, owner=owner, message_id=message_id, keys=keys):
        raise LinkError("names none of our mails")
    return reference.mail_id


BOTH = pytest.mark.parametrize(
    ("make", "read"),
    [(verp, read_return_path), (identity, read_message_id)],
    ids=["return path", "Message-ID"],
)


def mark_of(text: str) -> str:
    """Return what stands between "bounce+" or "<" and "@"."""
    found = re.search("[+<](.+)@", text)
    assert found
    return found[1]


def test_both_stay_the_same_over_versions() -> None:
    """Mails of years ago bounce: whoever changes this loses their bounces."""
    assert verp(123_456, owner="") == "bounce+aaaaaaaaahrea-zxssagilpmti7rbw@example.org"
    assert identity(123_456, owner="") == "<aaaaaaaaahrea-4mbzvuconwoabhdt@example.org>"
    assert verp(123_456) == "bounce+aaaaaaaaahrea-vf4mn32vcdcwmv36@example.org"
    assert identity(123_456) == "<aaaaaaaaahrea-aimzy3cw5geuev3v@example.org>"


@BOTH
def test_a_later_mail_of_the_same_number_is_another_mail(make: Make, read: Read) -> None:
    """SQLite gives the number of a deleted row to the next, as a restore does."""
    assert make(7, owner=OTHER) != make(7)
    for owner in (OTHER, ""):
        with pytest.raises(LinkError):
            read(make(7), [KEY], owner)
        with pytest.raises(LinkError):
            read(make(7, owner=owner), [KEY])


@BOTH
def test_a_mail_of_an_earlier_version_is_known_by_the_message_id_that_it_had(
    make: Make, read: Read
) -> None:
    was_sent_as = identity(7, owner="", key=OLD)
    made = make(7, owner="", key=OLD)
    assert read(made, [OLD, KEY], OWNER, was_sent_as) == 7
    for other in (identity(8, owner="", key=OLD), identity(7, key=OLD), ""):
        with pytest.raises(LinkError):
            read(made, [OLD, KEY], OWNER, other)


def test_a_number_that_no_database_has_is_none_of_ours() -> None:
    for number in (2**63, 2**64 - 1):
        with pytest.raises(LinkError):
            parse_message_id(identity(number))
        with pytest.raises(LinkError):
            parse_return_path(verp(number))


@given(mail_id=mail_ids)
def test_the_number_is_written_in_base32(mail_id: int) -> None:
    for made in (verp(mail_id), identity(mail_id)):
        number, _, code = mark_of(made).partition("-")
        assert base64.b32decode(number.upper() + "===") == mail_id.to_bytes(8)
        assert re.fullmatch("[a-z2-7]{16}", code)


@BOTH
@given(mail_id=mail_ids)
def test_it_is_read_back_in_any_case(make: Make, read: Read, mail_id: int) -> None:
    made = make(mail_id)
    assert made == make(mail_id) == made.lower()
    assert read(made, [KEY]) == mail_id
    assert read(f" {made.upper()}\n", [KEY]) == mail_id


@given(mail_id=mail_ids)
def test_a_return_path_fits_a_local_part(mail_id: int) -> None:
    local, _, domain = verp(mail_id).partition("@")
    assert local.startswith("bounce+")
    assert len(local) == 37
    assert domain == "example.org"


@given(mail_id=mail_ids)
def test_who_knows_one_code_of_a_mail_does_not_know_the_other(mail_id: int) -> None:
    assert mark_of(verp(mail_id)) != mark_of(identity(mail_id))
    with pytest.raises(LinkError):
        read_message_id(f"<{mark_of(verp(mail_id))}@example.org>", [KEY])
    with pytest.raises(LinkError):
        read_return_path(f"bounce+{mark_of(identity(mail_id))}@example.org", [KEY])


def test_every_letter_of_a_code_is_used() -> None:
    """A code of 16 letters is worth 80 bits only if each may be any of 32."""
    codes = [mark_of(make(number))[14:] for number in range(400) for make in (verp, identity)]
    for place in range(16):
        assert {code[place] for code in codes} == set(LETTERS)


def test_a_fixed_return_path_is_the_senders_address() -> None:
    assert (
        make_return_path(
            "fixed", sender=SENDER, return_domain="bounce.example.org", mail_id=1, owner="", key=KEY
        )
        == SENDER
    )


def test_a_return_domain_of_its_own_is_used() -> None:
    address = verp(7, return_domain="bounce.example.org")
    assert address.endswith("@bounce.example.org")
    assert read_return_path(address, [KEY]) == 7


def test_a_message_id_is_read_without_its_brackets() -> None:
    assert read_message_id(identity(7).strip("<>"), [KEY]) == 7


@BOTH
@given(mail_id=mail_ids, place=st.integers(0, 29), sign=st.sampled_from(LETTERS + "-"))
def test_no_other_spelling_is_read(
    make: Make, read: Read, mail_id: int, place: int, sign: str
) -> None:
    made = make(mail_id)
    mark = mark_of(made)
    other = made.replace(mark, mark[:place] + sign + mark[place + 1 :])
    if other == made:
        assert read(other, [KEY]) == mail_id
    else:
        with pytest.raises(LinkError):
            read(other, [KEY])


@BOTH
def test_the_spare_bit_of_the_number_is_no_second_spelling(make: Make, read: Read) -> None:
    made = make(0)
    with pytest.raises(LinkError, match="names none of our mails"):
        read(made.replace("a-", "b-"), [KEY])


@BOTH
def test_letters_that_fold_into_ours_are_none_of_ours(make: Make, read: Read) -> None:
    """The Kelvin sign in lower case is a k."""
    made = next(text for text in map(make, range(100)) if "k" in mark_of(text))
    with pytest.raises(LinkError):
        read(made.replace("k", "\N{KELVIN SIGN}"), [KEY])


@given(text=st.text() | st.emails())
def test_anything_else_is_refused(text: str) -> None:
    for read in (read_return_path, read_message_id):
        with pytest.raises(LinkError):
            read(text, [KEY])


@BOTH
def test_all_keys_are_tried_and_no_others(make: Make, read: Read) -> None:
    made = make(1, key=OLD)
    assert read(made, [OLDEST, OLD, KEY]) == read(made, (OLD,)) == 1
    for others in ([KEY], [OLDEST, KEY], []):
        with pytest.raises(LinkError):
            read(made, others)


def test_a_mail_without_a_number_has_a_message_id_of_its_own() -> None:
    made = {
        make_unnumbered_message_id(name, sender_domain="example.org", key=key)
        for name in ("preview 1", "preview 2")
        for key in (KEY, OLD)
    }
    assert len(made) == 4
    for one in made:
        assert re.fullmatch(r"<[a-z2-7]{26}@example\.org>", one)
        with pytest.raises(LinkError):
            read_message_id(one, [KEY, OLD])
