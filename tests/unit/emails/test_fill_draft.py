"""Mails filled in: octet for octet what composing each by itself makes, only sooner."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from functools import cache
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from repermit.emails.compose_mail import compose_mail
from repermit.emails.fill_draft import DraftFiller
from repermit.emails.frozen_draft import Draft
from repermit.emails.mail_types import AskValues, OwnWording
from repermit.emails.message_id import make_message_id, make_return_path
from repermit.emails.mime_encoding import EncodedMail, encode_mail
from repermit.emails.sender_identity import read_sender_address
from repermit.errors import AddressError
from repermit.i18n.catalogues import languages
from repermit.signed_links import Links
from tests.support.mail_builders import SENT, make_ask, make_facts, make_practice, make_reminder

KEY = b"a key of this installation"
UID = "0123456789abcdef0123456789abcdef"
LABEL = "lindepost"

OWN_TEXT = """{{ greeting }} {{ reason }}

..{{ organisation }} = {{ address }}
.
Ja: {{ yes_url }} Nee: {{ no_url }}
{{ greeting }}{{ greeting }} {{ me_url }} {{ deadline }} {{ privacy_url }} {{ stop }}
{{ silence }} {{ objection }}
({{ yes_url }}) {{ yes_url }}
 {{ reason }}"""

URLS = [
    "https://ask.example.org",
    "https://www.example.org/een/lang/pad/voor/de/vragen",
    "https://präxis.example:8443/frä%C3%A9 ge",
    "https://ask.example.org/a&b='c'=d?e",
    *(f"https://ask.example.org/{'x' * length}" for length in range(76)),
]


def draft_of_own(text: str) -> Draft:
    return make_ask(own=OwnWording(subject="Blijft u? {{ deadline }}", text=text))


@cache
def drafts() -> list[Draft]:
    """Return wordings of all kinds, none of which has much in common with another."""
    sensitive = make_facts(sensitive=True, slug="hiv-steun", name="Leven met hiv")
    foreign = make_facts(name="Lindepöst – =?x", sender="Zoë, Praktijk <zoë@präxis.example.org>")
    return [
        *(make_ask(language=language) for language in languages()),
        make_ask(mailing_list=sensitive),
        make_ask(mailing_list=foreign, organisation=make_practice(name="Müller & Zn. " * 5)),
        draft_of_own(OWN_TEXT),
        make_reminder(),
    ]


# What names, sources and wordings are made of, if they are made to go wrong.
SIGNS = [
    "Jan", " ", "  ", ".", "..", ". ", "=", "=20", "'", '"', "\\", "&", "<b>", "-", "é", "😀",
    "\u017f", "x" * 30, "y" * 74, "=?utf-8?q?x?=", "www.", "\r\n", "\n", "\t", "\x00", "\x7f",
    "\x85", "\u2028", "\u202e", "\ud800", "⟦no_url⟧", "⟦", "%", "{}", ",",
]  # fmt: skip
MARKS = [f"⟦{field}⟧" for field in ("greeting", "reason", "address", "yes_url", "no_url", "me_url")]
wild = st.text(max_size=80) | st.lists(st.sampled_from(SIGNS), max_size=8).map("".join)
names = st.sampled_from(["", "Jan Jansen", "J.A. de Vries-Ng", "Zoë d'Arc", "x" * 70]) | wild
local_parts = st.text(
    st.sampled_from("abzAZ019.!#$%&'*+/=?^_`{|}~-") | st.characters(categories=["L"]), min_size=1
)
domains = st.sampled_from(["example.org", "xn--prxis-hra.example", "xn--a", "b" * 60 + ".nl", ""])
any_address = st.builds("{}@{}".format, local_parts, domains) | st.sampled_from(["", "jan", "@"])
moments = st.datetimes(
    datetime(1971, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)  # noqa: DTZ001  given a zone
)  # fmt: skip
rows = st.fixed_dictionaries(
    {
        "mail_id": st.integers(0, 2**64 - 1),
        "uid": st.binary(min_size=16, max_size=16).map(bytes.hex),
        "address": any_address,
        "name": names,
        "source": st.just("de balie.") | wild,
        "since": st.none() | moments,
        "date": moments,
        "message_id": st.sampled_from(["", "", "<1@example.org>", "<zoë@example.org>"]),
    }
)
modes = st.sampled_from(
    [
        {"return_path": "fixed", "return_domain": ""},
        {"return_path": "verp", "return_domain": ""},
        {"return_path": "verp", "return_domain": "bounces.example.org"},
        {"return_path": "fixed", "return_domain": "bounces.example.org"},
    ]
)


def make_row(**overrides: Any) -> dict[str, Any]:
    row = {
        "mail_id": 7,
        "uid": UID,
        "address": "jan.jansen@example.com",
        "name": "Jan Jansen",
        "source": "de balie",
        "since": datetime(2019, 5, 3, 10, 0, tzinfo=UTC),
        "date": SENT,
        "message_id": "",
    }
    return row | overrides


def make_filler(draft: Draft, url: str = URLS[0], **mode: Any) -> DraftFiller:
    return DraftFiller(draft, list_label=LABEL, links=Links(url, (KEY,)), key=KEY, **mode)


def composed(draft: Draft, row: dict[str, Any], url: str = URLS[0], **mode: Any) -> EncodedMail:
    """Return the mail as it is made one by one."""
    links = Links(url, (KEY,))
    sender = read_sender_address(draft.mailing_list)
    domain = sender.rpartition("@")[2]
    values = AskValues(
        address=row["address"],
        name=row["name"],
        source=row["source"],
        since=row["since"],
        yes_url=links.url("yes", row["uid"]),
        no_url=links.url("no", row["uid"]),
        me_url=links.url("me", row["uid"]),
        list_label=LABEL,
        message_id=row["message_id"]
        or make_message_id(row["mail_id"], row["uid"], sender_domain=domain, key=KEY),
        return_path=make_return_path(
            mode.get("return_path", "fixed"),
            sender=sender,
            return_domain=mode.get("return_domain", ""),
            mail_id=row["mail_id"],
            owner=row["uid"],
            key=KEY,
        ),
        date=row["date"],
    )
    return encode_mail(compose_mail(draft, values))


@given(
    number=st.integers(0, len(languages()) + 3),
    url=st.sampled_from(URLS),
    mode=modes,
    rows=st.lists(rows, min_size=1, max_size=4),
)
def test_a_mail_filled_in_is_the_mail_composed(
    number: int, url: str, mode: dict[str, Any], rows: list[dict[str, Any]]
) -> None:
    """The same filler makes several, and one of them twice, since it remembers."""
    draft = drafts()[number]
    filler = make_filler(draft, url, **mode)
    for row in (*rows, rows[0]):
        assert filler.fill(**row) == composed(draft, row, url, **mode)


@pytest.mark.exhaustive
@given(
    text=st.lists(st.sampled_from([*SIGNS, *MARKS] * 2 + ["\n"] * 20), max_size=20).map("".join),
    html=st.lists(st.sampled_from([*SIGNS, *MARKS] * 2 + ["\n"] * 20), max_size=20).map("".join),
    url=st.sampled_from(URLS),
    row=rows,
)
@example(text="", html="", url=URLS[0], row=make_row())
@example(text="⟦no_url⟧..\n⟦greeting⟧", html=".⟦yes_url⟧.", url=URLS[0], row=make_row())
@example(text="⟦greeting⟧⟦greeting⟧\n", html="⟦address⟧\n..", url=URLS[0], row=make_row())
def test_wherever_the_marks_stand_the_mails_are_the_same(
    text: str, html: str, url: str, row: dict[str, Any]
) -> None:
    text, html = (part.replace("\ud800", "") for part in (text, html))
    draft = replace(make_ask(), text=text, html=html)
    assert make_filler(draft, url).fill(**row) == composed(draft, row, url)


@pytest.mark.parametrize("url", URLS)
def test_a_link_broken_at_any_letter_is_the_same(url: str) -> None:
    for draft in (drafts()[0], draft_of_own(OWN_TEXT)):
        assert make_filler(draft, url).fill(**make_row()) == composed(draft, make_row(), url)


@given(address=st.text(), message=st.text(), name=st.text())
@example(address="jan\r\n@example.org", message="", name="")
@example(address="jan@example.org", message="<1@a>\r\nBcc: b@a", name="Jan")
@example(address="\ud800@example.org", message="", name="")
def test_what_cannot_be_composed_cannot_be_filled_in(address: str, message: str, name: str) -> None:
    row = make_row(address=address, message_id=message, name=name)
    try:
        expected = composed(drafts()[0], row)
    except ValueError:
        with pytest.raises(ValueError, match=r"a control character|surrogates not allowed"):
            make_filler(drafts()[0]).fill(**row)
    else:
        assert make_filler(drafts()[0]).fill(**row) == expected


def test_a_mark_that_no_ask_has_is_refused() -> None:
    draft = replace(make_ask(), text="⟦confirm_url⟧\n")
    with pytest.raises(KeyError):
        composed(draft, make_row())
    filler = make_filler(draft)
    with pytest.raises(KeyError):
        filler.fill(**make_row())


def test_a_link_for_what_is_no_uid_is_refused() -> None:
    with pytest.raises(ValueError, match="a uid is 32"):
        make_filler(make_ask()).fill(**make_row(uid="7"))


def test_a_public_url_that_could_start_a_header_is_refused() -> None:
    with pytest.raises(ValueError, match="a control character in List-Unsubscribe"):
        make_filler(make_ask(), "https://ask.example.org/\r\nBcc: b")


def test_a_sender_that_cannot_be_used_is_refused() -> None:
    draft = replace(make_ask(), mailing_list=make_facts(sender="nobody"))
    with pytest.raises(AddressError):
        make_filler(draft)


def test_a_date_is_written_in_the_zone_that_it_is_given_in() -> None:
    """Equal moments are not the same Date, so none may be taken for the other."""
    filler = make_filler(make_ask())
    for zone in (UTC, timezone(timedelta(hours=2)), UTC):
        row = make_row(date=SENT.astimezone(zone))
        assert filler.fill(**row) == composed(make_ask(), row)


def test_seconds_are_told_apart() -> None:
    filler = make_filler(make_ask())
    for step in (0, 999_999, 1_000_000, 1_000_001):
        row = make_row(date=SENT + timedelta(microseconds=step))
        assert filler.fill(**row) == composed(make_ask(), row)


def test_the_size_counts_no_doubled_dot() -> None:
    draft = replace(
        make_ask(), text=".\n.⟦greeting⟧\n..⟦yes_url⟧\nJa of nee?\n", html=".a\n⟦reason⟧"
    )
    row = make_row(source=".", name="x")
    letter = make_filler(draft).fill(**row)
    doubled = sum(line.startswith(b"..") for line in letter.wire.split(b"\r\n"))
    # A dot that stands alone is encoded by quoted-printable.
    assert doubled == 3
    assert letter.size == len(letter.wire) - doubled


def test_a_mail_in_doubt_keeps_its_message_id() -> None:
    letter = make_filler(make_ask()).fill(**make_row(message_id="<1@example.org>"))
    assert letter.message_id == "<1@example.org>"
    assert b"\r\nMessage-ID: <1@example.org>\r\n" in letter.wire


def test_the_end_of_the_mail_is_left_to_the_sender() -> None:
    wire = make_filler(make_ask()).fill(**make_row()).wire
    assert wire.endswith(b"--\r\n")
    assert b"\r\n.\r\n" not in wire
