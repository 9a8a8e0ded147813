"""Links: signed, each kind for itself, one spelling each, for ever."""

from __future__ import annotations

import base64
import hashlib
import hmac
import string
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from itsdangerous import Signer

from repermit.errors import LinkError
from repermit.signed_links import KINDS, Kind, Links, redact

UID = "0123456789abcdef0123456789abcdef"
OLD, NEW = b"the old key of this place", b"the new key of this place"

uids = st.binary(min_size=16, max_size=16).map(bytes.hex)
kinds = st.sampled_from(KINDS)
ALPHABET = string.ascii_letters + string.digits + "-_"


def make_links(*keys: bytes, url: str = "https://ask.example.org") -> Links:
    return Links(url, keys or (NEW,))


def test_the_kinds_are_those_of_the_pages() -> None:
    assert (
        get_args(Kind)
        == KINDS
        == ("yes", "no", "me", "confirm", "receipt", "fresh", "address", "held")
    )


@given(kind=kinds, uid=uids)
def test_what_is_signed_is_read_back(kind: Kind, uid: str) -> None:
    links = make_links()
    assert links.read(kind, links.token(kind, uid)) == uid


@given(kind=kinds, uid=uids)
def test_a_link_is_the_public_url_the_kind_and_the_token(kind: Kind, uid: str) -> None:
    links = make_links(url="https://www.example.org/vraag")
    assert links.url(kind, uid) == f"https://www.example.org/vraag/{kind}/{links.token(kind, uid)}"


def test_a_token_stays_the_same_over_versions() -> None:
    """A No works for ever: whoever changes how tokens are made breaks every mail ever sent."""
    assert make_links(OLD).token("no", UID) == (
        "ASNFZ4mrze8BI0VniavN7w.0dTTsVSOErmm0wOEEbSQI1qhLijRoj2G6iFOL8JrS9k"
    )


@given(kind=kinds, uid=uids, keys=st.lists(st.binary(min_size=1, max_size=80), min_size=1))
def test_a_token_is_what_itsdangerous_makes_of_it(kind: Kind, uid: str, keys: list[bytes]) -> None:
    secret = hmac.digest(keys[-1], f"repermit.links.{kind}".encode(), "sha256")
    signer = Signer(secret, key_derivation="none", digest_method=hashlib.sha256)
    payload = base64.urlsafe_b64encode(bytes.fromhex(uid)).rstrip(b"=")
    assert make_links(*keys).token(kind, uid).encode() == signer.sign(payload)


@given(uid=uids)
def test_the_tokens_of_a_mail_are_made_at_once(uid: str) -> None:
    links = make_links()
    one_by_one = (links.token(kind, uid) for kind in ("yes", "no", "me"))
    assert [token.decode() for token in links.tokens(uid)] == list(one_by_one)
    assert {len(token) for token in links.tokens(uid)} == {66}


def test_the_base_of_an_address_is_what_stands_before_its_token() -> None:
    links = make_links(url="https://präxis.example/frage")
    assert links.base("no") == "https://xn--prxis-hra.example/frage/no/"


@given(uid=uids, made=kinds, asked=kinds)
def test_a_link_of_one_kind_is_not_one_of_another(uid: str, made: Kind, asked: Kind) -> None:
    links = make_links()
    token = links.token(made, uid)
    if made == asked:
        assert links.read(asked, token) == uid
    else:
        with pytest.raises(LinkError):
            links.read(asked, token)


@given(uid=uids, place=st.integers(0, 65), sign=st.sampled_from(ALPHABET + "."))
def test_no_other_spelling_is_read(uid: str, place: int, sign: str) -> None:
    links = make_links()
    token = links.token("yes", uid)
    other = token[:place] + sign + token[place + 1 :]
    if other == token:
        assert links.read("yes", other) == uid
    else:
        with pytest.raises(LinkError):
            links.read("yes", other)


@pytest.mark.parametrize("place", [21, 65], ids=["payload", "signature"])
def test_the_spare_bits_of_a_last_character_are_no_second_spelling(place: int) -> None:
    links = make_links()
    token = links.token("yes", UID)
    for sign in set(ALPHABET) - {token[place]}:
        with pytest.raises(LinkError):
            links.read("yes", token[:place] + sign + token[place + 1 :])


@given(token=st.text())
def test_any_other_text_is_refused(token: str) -> None:
    with pytest.raises(LinkError):
        make_links().read("yes", token)


GLUED = (
    *(
        ".",
        ",",
        ";",
        ":",
        "!",
        "?",
        ")",
        "]",
        "}",
        ">",
        "»",
        "\u203a",
        "”",
        "’",
        '"',
        "'",
        "…",
        "。",
    ),
    *("*", "_", "-", "/", "=", "&", "|", " ", "\N{NO-BREAK SPACE}", "\n", "%20"),
    *(").", '">', "__", "**.", "=20", "&amp;", "</a>", ".A", "_Nee", " Nee"),
)
"""What a mail program takes for a part of a link: the last signs may stand in a token too."""


@pytest.mark.parametrize("glued", GLUED)
def test_a_sign_that_a_mail_program_took_for_a_part_of_the_link_does_no_harm(glued: str) -> None:
    links = make_links()
    assert links.read("no", links.token("no", UID) + glued) == UID
    with pytest.raises(LinkError):
        links.read("no", glued + links.token("no", UID))


@pytest.mark.parametrize("invisible", ["\u00ad", "\u200b", "\u200e", "\u2060", "\ufeff"])
@pytest.mark.parametrize("place", [0, 10, 22, 40, 66])
def test_an_invisible_sign_in_a_link_that_was_copied_does_no_harm(
    invisible: str, place: int
) -> None:
    links = make_links()
    token = links.token("no", UID)
    copied = token[:place] + invisible + token[place:]
    assert links.read("no", copied) == UID
    assert token[-20:] not in redact(f"GET https://ask.example.org/no/{copied} HTTP/1.1")
    with pytest.raises(LinkError):
        links.read("no", copied + "A")


@given(uid=st.text("0123456789abcdef", min_size=32, max_size=32), glued=st.sampled_from(GLUED))
def test_a_glued_sign_is_told_from_a_signature_that_ends_in_it(uid: str, glued: str) -> None:
    links = make_links()
    assert links.read("yes", links.token("yes", uid) + glued) == uid


@pytest.mark.parametrize("junk", ["A", "0", "é", "Nee", "z."])
def test_a_letter_behind_a_link_makes_it_another(junk: str) -> None:
    links = make_links()
    with pytest.raises(LinkError):
        links.read("no", links.token("no", UID) + junk)
    with pytest.raises(LinkError):
        links.read("no", junk + links.token("no", UID))


@pytest.mark.parametrize("length", [0, 1, 22, 23, 65])
def test_a_link_cut_off_is_refused(length: int) -> None:
    links = make_links()
    with pytest.raises(LinkError):
        links.read("no", links.token("no", UID)[:length])


def test_a_link_signed_with_another_key_is_refused() -> None:
    with pytest.raises(LinkError):
        make_links(NEW).read("no", make_links(OLD).token("no", UID))


def test_the_newest_key_signs_and_the_older_ones_still_verify() -> None:
    both = make_links(OLD, NEW)
    assert both.token("no", UID) == make_links(NEW).token("no", UID)
    assert both.read("no", make_links(OLD).token("no", UID)) == UID


@pytest.mark.parametrize("uid", ["", UID[:-1], UID + "0", UID.upper(), UID[:-2] + " 0", UID + "\n"])
def test_only_a_uid_is_signed(uid: str) -> None:
    links = make_links()
    for make in (lambda: links.token("yes", uid), lambda: links.tokens(uid)):
        with pytest.raises(ValueError, match=r"^a uid is 32 lower-case hexadecimal digits$"):
            make()


@pytest.mark.parametrize("token", ["abc", "A" * 22 + "." + "A" * 43], ids=["cut off", "forged"])
def test_the_refusal_is_the_same_and_does_not_quote_the_link(token: str) -> None:
    with pytest.raises(LinkError) as refusal:
        make_links().read("yes", token)
    assert str(refusal.value) == "this link is not one of ours, or a part of it is missing"


def test_a_public_url_outside_ascii_is_written_in_ascii() -> None:
    links = make_links(url="https://präxis.example:8443/frä%C3%A9 ge")
    assert links.url("yes", UID).startswith(
        "https://xn--prxis-hra.example:8443/fr%C3%A4%C3%A9%20ge/yes/"
    )


def test_a_host_is_folded_as_browsers_fold_it() -> None:
    for host in ("präxis.example", "PRÄXIS.example", "prä\uff58is.example"):
        url = make_links(url=f"https://{host}").url("me", UID)
        assert url.startswith("https://xn--prxis-hra.example/me/")


def test_a_forms_number_is_read_back_under_any_key_that_is_kept_and_is_of_one_person() -> None:
    old, both = Links("", (b"o" * 32,)), Links("", (b"o" * 32, b"n" * 32))
    uid, other = "0" * 31 + "1", "0" * 31 + "2"
    for version in (0, 1, 999_999_999):
        for links in (old, both):
            number = links.form_number(uid, version)
            assert both.read_form(uid, number).version == version
            assert both.read_form(other, number).version is None
            assert both.read_form(uid, f"0{number}").version is None
    assert old.form_number(uid, 0) != both.form_number(uid, 0)
    assert old.read_form(uid, both.form_number(uid, 0)).version is None
