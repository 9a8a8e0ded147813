"""Who a mail comes from, and how its reader is greeted."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from repermit.emails.sender_identity import (
    _PLAIN_NAME,
    _check_name,
    choose_reply_address,
    choose_sender_name,
    clean_greeted_name,
    make_list_label,
    read_sender_address,
)
from repermit.errors import AddressError
from tests.support.mail_builders import make_facts, make_practice

KEY = b"what fingerprints are made with"


@pytest.mark.parametrize(
    ("sender", "name", "address"),
    [
        ("post@example.org", "Praktijk De Linde", "post@example.org"),
        ("De Linde <post@example.org>", "De Linde", "post@example.org"),
        ('"Linde, De" <post@example.org>', "Linde, De", "post@example.org"),
        ("<post@example.org>", "Praktijk De Linde", "post@example.org"),
        ("Zoë <zoe@präxis.example.org>", "Zoë", "zoe@xn--prxis-hra.example.org"),
    ],
)
def test_a_sender_is_a_name_and_an_address(sender: str, name: str, address: str) -> None:
    facts = make_facts(sender=sender)
    assert choose_sender_name(facts, make_practice()) == name
    assert read_sender_address(facts) == address


def test_a_sensitive_list_shows_no_senders_name() -> None:
    assert choose_sender_name(make_facts(sensitive=True), make_practice()) == ""


@pytest.mark.parametrize("sender", ["", "De Linde", "De Linde <post>", "a <b@c.nl> d"])
def test_a_sender_without_an_address_is_refused(sender: str) -> None:
    with pytest.raises(AddressError):
        read_sender_address(make_facts(sender=sender))


def test_replies_go_to_the_organisation_or_else_to_the_sender() -> None:
    assert choose_reply_address(make_facts(), make_practice()) == "praktijk@example.org"
    assert choose_reply_address(make_facts(), make_practice(email="")) == "post@example.org"


def test_a_list_is_labelled_by_its_slug_in_the_letters_of_a_domain() -> None:
    assert make_list_label(make_facts(slug="Linde_Post 2"), key=KEY) == "linde-post-2"


def test_a_sensitive_list_is_labelled_by_what_tells_nothing() -> None:
    facts = make_facts(slug="hiv-support", sensitive=True)
    label = make_list_label(facts, key=KEY)
    assert "hiv" not in label
    assert label == make_list_label(facts, key=KEY)
    assert label != make_list_label(make_facts(slug="another", sensitive=True), key=KEY)
    assert label != make_list_label(facts, key=b"another"), "to guess the slug is not enough"
    assert len(label) == 16


@given(name=st.text() | st.text("Ww.-' é_S\u017f:/@2\u2003\t", max_size=80))
@example(name="N" * 71)
@example(name="Jan www.Jansen")
@example(name="Jan Jansen ")
@example(name="Jan\n")
def test_the_quick_way_to_a_greeted_name_gives_the_same(name: str) -> None:
    if _PLAIN_NAME(name):
        assert _check_name(name) == name
    assert clean_greeted_name(name) == _check_name(name)


@pytest.mark.parametrize(
    "name",
    [
        *("Jan Jansen", "Zoë d’Arc-O'Hara", "J. de Vries (Utrecht)", "N" * 70),
        *("Jennifer Null", "Åsa Ärlig", "JOÃO", "王小明", "محمد", "Ng"),
    ],
)
def test_a_name_is_greeted(name: str) -> None:
    assert clean_greeted_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "  ",
        "jan@example.org",
        "N" * 71,
        "Win at www.example.com",
        "http://x",
        "a/b",
        "<b>",
        "{x}",
        *("NULL", "none", "NaN", "undefined", "#REF!", "#N/A"),
        *("????", "??? ???", "M\ufffdller", "12345", "- -", "_"),
        *(
            name.encode().decode("cp1252")
            for name in ("Jérôme", "Jesús", "Müller", "Żak", "Włos", "Groß", "Doğan", "Śliwa")
        ),
        "MÜLLER".encode().decode("latin-1"),
        *("Jansen, Jan", "O'Neill, Mary"),
    ],
)
def test_what_is_no_name_is_greeted_namelessly(name: str) -> None:
    assert clean_greeted_name(name) == ""
