"""Header lines as they leave: folded between words, encoded where they must be."""

from __future__ import annotations

import email
import email.policy
from email.header import Header, decode_header, make_header
from email.utils import parseaddr

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from repermit.emails.mime_encoding import fold_header, split_mailbox, split_phrase, split_text

printed = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=40)
lines_of_text = st.lists(printed, min_size=1, max_size=20).map(" ".join)


def read(raw: str, name: str) -> str:
    return str(email.message_from_string(raw, policy=email.policy.default)[name])


def test_a_long_link_stays_on_the_line_of_its_header() -> None:
    link = f"<https://ask.example.org/{'x' * 500}>"
    assert fold_header("List-Unsubscribe", link) == f"List-Unsubscribe: {link}\r\n"


@pytest.mark.parametrize(
    ("second", "expected"),
    [(64, "Subject: a {}\r\n"), (65, "Subject: a {}\r\n"), (66, "Subject: a\r\n {}\r\n")],
)
def test_a_line_is_folded_when_it_would_be_longer_than_76(second: int, expected: str) -> None:
    assert fold_header("Subject", "a", "b" * second) == expected.format("b" * second)


@pytest.mark.parametrize("sign", ["\r", "\n", "\x00", "\x1f", "\x7f"])
def test_no_word_can_start_a_header_of_its_own(sign: str) -> None:
    with pytest.raises(ValueError, match="a control character in To"):
        fold_header("To", f"a{sign}Bcc: b@example.org")


@given(text=lines_of_text)
def test_a_text_is_read_back_from_short_ascii_lines(text: str) -> None:
    raw = fold_header("Subject", *split_text(text))
    assert raw.isascii()
    assert all(len(line) <= 76 for line in raw.split("\r\n"))
    assert read(raw, "Subject") == text


@given(name=lines_of_text)
def test_a_display_name_is_read_back_beside_its_address(name: str) -> None:
    raw = fold_header("To", *split_mailbox(name, "jan@example.org"))
    # Not by email.policy.default: it sets a space between two encoded words of a phrase.
    found, address = parseaddr(str(email.message_from_string(raw)["To"]))
    assert str(make_header(decode_header(found))) == name
    assert address == "jan@example.org"


@given(text=st.text(min_size=1) | lines_of_text | st.text("é ", min_size=1))
@example(text="x" * 46)
@example(text="x" * 47)
@example(text="é" * 18 + "x")
@example(text="é" * 19)
@example(text="é\x85é")
def test_an_encoded_text_is_what_the_standard_library_makes_of_it(text: str) -> None:
    # One that has control characters is not written at all.
    text = "é" + text.replace("\x00", "").replace("\r", "").replace("\n", "")
    header = Header(text, "utf-8", maxlinelen=74, header_name="Reply-To")
    assert split_text(text) == tuple(header.encode().split())


def test_plain_text_is_left_plain() -> None:
    assert split_text("De Lindepost: mogen wij?") == ("De", "Lindepost:", "mogen", "wij?")
    assert split_phrase('De "Linde"') == ('"De \\"Linde\\""',)


@pytest.mark.parametrize("text", ["=?utf-8?q?x?=", "é", "x" * 61])
def test_what_would_be_misread_is_encoded(text: str) -> None:
    assert split_text(text)[0].startswith("=?utf-8?")
    assert split_phrase(text)[0].startswith("=?utf-8?")


@pytest.mark.parametrize(("length", "plain"), [(59, True), (60, True), (61, False)])
def test_words_up_to_sixty_are_left_plain(length: int, plain: bool) -> None:
    assert (split_text("x" * length) == ("x" * length,)) is plain
    assert (split_phrase("x" * (length - 2)) == (f'"{"x" * (length - 2)}"',)) is plain


def test_an_address_without_a_name_stands_alone() -> None:
    assert split_mailbox("", "jan@example.org") == ("jan@example.org",)
