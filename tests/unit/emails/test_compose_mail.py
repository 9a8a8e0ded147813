"""A mail on its bytes: every header, both bodies, and what a name cannot do to them."""

from __future__ import annotations

import email
import email.policy
import re
from datetime import UTC, datetime
from email.header import decode_header, make_header
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import parseaddr
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repermit.emails.compose_mail import compose_mail, make_greeting, make_reason
from repermit.emails.frozen_draft import Draft
from repermit.emails.mail_types import AskValues, ConfirmValues
from repermit.emails.message_id import make_message_id, make_return_path
from repermit.emails.mime_encoding import choose_encoding
from repermit.emails.sender_identity import (
    choose_sender_name,
    clean_greeted_name,
    make_list_label,
    read_sender_address,
)
from repermit.i18n.catalogues import languages
from repermit.signed_links import Links
from tests.support.mail_builders import (
    LINK,
    make_ask,
    make_ask_values,
    make_confirm,
    make_confirm_values,
    make_facts,
    make_practice,
)

ASK = make_ask()
CONFIRM = make_confirm()


def read(raw: bytes) -> EmailMessage:
    message = email.message_from_bytes(raw, policy=email.policy.SMTPUTF8)
    assert isinstance(message, EmailMessage)
    return message


def headers_of(draft: Draft, values: AskValues | ConfirmValues) -> dict[str, bytes]:
    """Return the raw header lines by name, folds included."""
    head = compose_mail(draft, values).raw.partition(b"\r\n\r\n")[0]
    lines = re.split(rb"\r\n(?![ \t])", head)
    return {line.partition(b": ")[0].decode(): line.partition(b": ")[2] for line in lines}


def test_the_header_lines_of_an_ask_byte_by_byte() -> None:
    no_url = LINK.format("no", "No").encode()
    headers = headers_of(ASK, make_ask_values())
    assert headers == {
        "Date": b"Tue, 01 Dec 2026 08:30:00 +0000",
        "From": b'"De Linde" <post@example.org>',
        "To": b'"Jan Jansen" <jan.jansen@example.com>',
        "Reply-To": b"praktijk@example.org",
        "Subject": b"De Lindepost: blijven ontvangen? Uiterlijk 22 dec",
        "Message-ID": b"<mwaxf3zq2i5wqk6ecz3ap6z4ui@example.org>",
        "List-Id": b'"De Lindepost" <lindepost.example.org>',
        "List-Unsubscribe": b"<" + no_url + b">",
        "List-Unsubscribe-Post": b"List-Unsubscribe=One-Click",
        "Auto-Submitted": b"auto-generated",
        "X-Auto-Response-Suppress": b"OOF, AutoReply",
        "Feedback-ID": ASK.digest[:12].encode() + b":lindepost:ask:12545da3333e",
        "Content-Language": b"nl",
        "MIME-Version": b"1.0",
        "Content-Type": headers["Content-Type"],
    }
    assert re.fullmatch(
        rb'multipart/alternative;\r\n boundary="=_[0-9a-f]{32}"', headers["Content-Type"]
    )


def test_a_confirm_has_no_list_headers() -> None:
    headers = headers_of(CONFIRM, make_confirm_values())
    assert not [name for name in headers if name.startswith("List-")]
    assert headers["To"] == b"jan.jansen@example.com"
    assert headers["Auto-Submitted"] == b"auto-generated"
    assert headers["Feedback-ID"].split(b":")[2] == b"confirm"


def test_the_envelope_is_the_return_path_and_the_address() -> None:
    mail = compose_mail(ASK, make_ask_values())
    assert mail.envelope_from == "bounce+aaaaaaaaaaaby-abcdefghijklmnop@example.org"
    assert mail.envelope_to == "jan.jansen@example.com"
    assert mail.message_id == "<mwaxf3zq2i5wqk6ecz3ap6z4ui@example.org>"


@pytest.mark.parametrize("language", languages())
def test_the_bodies_are_text_then_html_and_read_back_whole(language: str) -> None:
    for draft, values in (
        (make_ask(language=language), make_ask_values()),
        (make_confirm(language=language), make_confirm_values()),
    ):
        mail = compose_mail(draft, values)
        message = read(mail.raw)
        parts = list(message.iter_parts())
        assert [part.get_content_type() for part in parts] == ["text/plain", "text/html"]
        assert [part.get_content_charset() for part in parts] == ["utf-8", "utf-8"]
        # Cyrillic and Greek, which quoted-printable would make three times as long.
        of_text = "base64" if language in {"bg", "el"} else "quoted-printable"
        encodings = [part["Content-Transfer-Encoding"] for part in parts]
        assert encodings == [of_text, "quoted-printable"]
        assert [part.get_payload(decode=True) for part in parts] == [
            body.replace("\n", "\r\n").encode() for body in (mail.text, mail.html)
        ]
        assert not any(part.defects for part in message.walk())
        assert "⟦" not in mail.text + mail.html + mail.subject


@pytest.mark.parametrize("language", languages())
def test_every_line_is_short_ascii_with_crlf(language: str) -> None:
    raw = compose_mail(make_ask(language=language), make_ask_values(name="Zoë")).raw
    assert raw.isascii()
    assert raw.endswith(b"--\r\n")
    lines = raw.split(b"\r\n")
    assert not any(b"\r" in line or b"\n" in line for line in lines)
    body = lines[lines.index(b"") :]
    assert max(map(len, body)) <= 76
    assert len(raw) < 102_000


def test_the_same_values_make_the_same_bytes() -> None:
    assert compose_mail(ASK, make_ask_values()) == compose_mail(make_ask(), make_ask_values())


def test_links_of_this_installation_stand_in_one_piece() -> None:
    """Of a realistic length, under a public_url that has a long path."""
    links = Links("https://formulieren.gemeente-voorbeeld.example/vraag" * 2, (b"k" * 32,))
    no_url = links.url("no", "ab" * 16)
    raw = compose_mail(ASK, make_ask_values(no_url=no_url)).raw
    assert f"\r\nList-Unsubscribe: <{no_url}>\r\n".encode() in raw


@pytest.mark.parametrize("field", ["no_url", "message_id", "address"])
def test_nothing_starts_a_header_of_its_own(field: str) -> None:
    with pytest.raises(ValueError, match="a control character"):
        compose_mail(ASK, make_ask_values(**{field: "<a@example.org>\r\nBcc: b@example.org"}))


@given(name=st.text(), source=st.text())
def test_no_name_and_no_source_breaks_the_mail(name: str, source: str) -> None:
    mail = compose_mail(ASK, make_ask_values(name=name, source=source))
    message = read(mail.raw)
    assert list(message.keys()) == list(read(compose_mail(ASK, make_ask_values()).raw).keys())
    assert len(list(message.iter_parts())) == 2
    assert not message.defects
    (to,) = message["To"].addresses
    assert to.addr_spec == "jan.jansen@example.com"


names = st.text() | st.sampled_from(["", 'Zoë d’Arc, "Zo"', "J. (Jan) de Vries", "é" * 70])
local_parts = st.text(st.sampled_from("abcXYZ019.!#$%&'*+/=?^_`{|}~-é"), min_size=1, max_size=64)
addresses_of_lists = (
    local_parts.filter(lambda local: local.strip(".") == local and ".." not in local)
    .map("{}@example.org".format)
    .filter(lambda address: "=?" not in address)
)


def built_by_the_standard_library(draft: Draft, values: AskValues) -> EmailMessage:
    mail = compose_mail(draft, values)
    message = EmailMessage(policy=email.policy.SMTPUTF8)
    message["Date"] = values.date
    sender = choose_sender_name(draft.mailing_list, draft.organisation)
    message["From"] = Address(sender, *read_sender_address(draft.mailing_list).split("@"))
    message["To"] = Address(clean_greeted_name(values.name), *values.address.split("@"))
    message["Subject"] = draft.subject
    message["Message-ID"] = values.message_id
    message.set_content(mail.text, cte=choose_encoding(draft.text))
    message.add_alternative(mail.html, subtype="html", cte="quoted-printable")
    return message


@pytest.mark.exhaustive
@given(
    name=names,
    address=addresses_of_lists,
    source=st.text(),
    language=st.sampled_from(languages()),
    sender=st.sampled_from(["Zoë, “Linde” <zoe@präxis.example.org>", "post@example.org"]),
)
def test_a_mail_reads_as_the_one_that_the_standard_library_builds(
    name: str, address: str, source: str, language: str, sender: str
) -> None:
    """Octets differ: Python folds a long List-Unsubscribe into =?…?=, and breaks other lines."""
    draft = ask_in(language, sender)
    values = make_ask_values(name=name, address=address, source=source)
    # By way of text, since Python's parser of octets does not read UTF-8 in a header.
    raw = compose_mail(draft, values).raw.decode()
    ours = read_text(raw)
    theirs = built_by_the_standard_library(draft, values)
    assert ours["Date"].datetime == theirs["Date"].datetime
    for header in ("Subject", "Message-ID"):
        assert str(ours[header]) == str(theirs[header])
    for header in ("From", "To"):
        (their_mailbox,) = theirs[header].addresses
        assert mailbox(raw, header) == (their_mailbox.display_name, their_mailbox.addr_spec)
        (our_mailbox,) = ours[header].addresses
        assert our_mailbox.addr_spec == their_mailbox.addr_spec
    assert ours.get_content_type() == theirs.get_content_type() == "multipart/alternative"
    for our_part, their_part in zip(ours.iter_parts(), theirs.iter_parts(), strict=True):
        for header in ("Content-Type", "Content-Transfer-Encoding"):
            assert str(our_part[header]) == str(their_part[header])
        text = our_part.get_content().replace("\r\n", "\n")
        assert text.rstrip("\n") == their_part.get_content().replace("\r\n", "\n").rstrip("\n")


def test_why_a_list_unsubscribe_is_not_left_to_the_standard_library() -> None:
    """If this fails, Python has mended its folding, and a reason for writing by hand is gone."""
    no_url = LINK.format("no", "No")
    message = EmailMessage(policy=email.policy.SMTP)
    message["List-Unsubscribe"] = f"<{no_url}>"
    assert no_url.encode() not in message.as_bytes()
    assert no_url.encode() in compose_mail(ASK, make_ask_values(no_url=no_url)).raw


@cache
def ask_in(language: str, sender: str) -> Draft:
    return make_ask(language=language, mailing_list=make_facts(sender=sender))


def read_text(raw: str) -> EmailMessage:
    message = email.message_from_string(raw, policy=email.policy.SMTPUTF8)
    assert isinstance(message, EmailMessage)
    return message


def mailbox(raw: str, header: str) -> tuple[str, str]:
    """Return the name and the address of a mail's header.

    Not by email.policy: it sets a space between two encoded words of a phrase.
    """
    name, address = parseaddr(str(email.message_from_string(raw)[header]))
    return str(make_header(decode_header(name))), address


def test_a_name_with_crlf_becomes_a_name_on_one_line() -> None:
    values = make_ask_values(name="Jan\r\nBcc: boef@example.org")
    assert headers_of(ASK, values)["To"] == b"jan.jansen@example.com"
    values = make_ask_values(name="Jan\r\nBcc: boef")
    assert headers_of(ASK, values)["To"] == b'"Jan Bcc: boef" <jan.jansen@example.com>'
    assert "Geachte Jan Bcc: boef,\n" in compose_mail(ASK, values).text


def test_names_outside_ascii_are_encoded_and_read_back() -> None:
    draft = make_ask(
        mailing_list=make_facts(name="Lindepöst – nieuws", sender="Zoë’s Praktijk <p@example.org>")
    )
    headers = headers_of(draft, make_ask_values(name="Renée Über"))

    def read_back(name: str) -> str:
        return str(make_header(decode_header(headers[name].decode())))

    assert all(value.isascii() for value in headers.values())
    assert read_back("From") == "Zoë’s Praktijk <p@example.org>"
    assert read_back("To") == "Renée Über <jan.jansen@example.com>"
    assert read_back("Subject") == "Lindepöst – nieuws: blijven ontvangen? Uiterlijk 22 dec"
    assert read_back("List-Id") == "Lindepöst – nieuws <lindepost.example.org>"


def test_a_senders_domain_is_written_as_an_a_label() -> None:
    draft = make_ask(mailing_list=make_facts(sender="post@präxis.example.org"))
    headers = headers_of(draft, make_ask_values())
    assert headers["From"] == b'"Praktijk De Linde" <post@xn--prxis-hra.example.org>'
    assert headers["List-Id"].endswith(b"<lindepost.xn--prxis-hra.example.org>")


def test_only_a_local_part_outside_ascii_needs_smtputf8() -> None:
    assert not compose_mail(ASK, make_ask_values(name="Zoë")).needs_smtputf8
    mail = compose_mail(ASK, make_ask_values(address="zoë@example.org"))
    assert mail.needs_smtputf8
    assert '\r\nTo: "Jan Jansen" <zoë@example.org>\r\n'.encode() in mail.raw
    assert mail.raw.replace("zoë@".encode(), b"").isascii()


def test_a_senders_local_part_outside_ascii_needs_smtputf8() -> None:
    draft = make_ask(mailing_list=make_facts(sender="zoë@example.org"))
    assert compose_mail(draft, make_ask_values()).needs_smtputf8


@pytest.mark.parametrize("language", languages())
def test_the_headers_of_a_sensitive_list_tell_nothing_of_it(language: str) -> None:
    facts = make_facts(
        slug="hiv-steun",
        name="Leven met hiv",
        purpose="Steun voor mensen met hiv",
        sender="Hiv-steunpunt <post@example.org>",
        sensitive=True,
    )
    draft = make_ask(
        organisation=make_practice(name="Stichting Hiv-steunpunt"),
        mailing_list=facts,
        language=language,
    )
    label = make_list_label(facts, key=b"a key")
    headers = headers_of(draft, make_ask_values(list_label=label))
    assert headers["From"] == b"post@example.org"
    assert re.fullmatch(rb"<[0-9a-f]{16}\.example\.org>", headers["List-Id"])
    read_back = " ".join(
        str(make_header(decode_header(line.decode()))) for line in headers.values()
    )
    for secret in ("hiv", "steun", "leven"):
        assert secret not in read_back.lower()


def test_a_message_reveals_the_address_in_part_only() -> None:
    mail = compose_mail(ASK, make_ask_values())
    assert "jan.jansen" not in mail.text + mail.html
    assert "Deze mail is gestuurd naar j…n@example.com." in mail.text
    feedback = headers_of(ASK, make_ask_values())["Feedback-ID"]
    assert (
        feedback
        == headers_of(ASK, make_ask_values(address="piet@example.com", name="Piet"))["Feedback-ID"]
    )


def test_markup_in_a_name_or_a_source_is_text() -> None:
    mail = compose_mail(ASK, make_ask_values(name="Jan & Piet", source='<img src="x"> ⟦no_url⟧'))
    assert "Geachte Jan &amp; Piet," in mail.html
    assert "Geachte Jan & Piet," in mail.text
    assert "&lt;img src=&#34;x&#34;&gt; [no_url]" in mail.html


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Jan", "Geachte Jan,"),
        ("", "Geachte lezer,"),
        ("a@b", "Geachte lezer,"),
        ("Johanna van den Berg-Hendriksen", "Geachte Johanna van den Berg-Hendriksen,"),
        ("JOHANNA VAN DEN BERG", "Geachte JOHANNA VAN DEN BERG,"),
        ("JOHANNA VAN DEN BERG-HENDRIKSEN", "Geachte lezer,"),
        ("Jan en Jo de Vos", "Geachte lezer,"),
    ],
)
def test_a_reader_is_greeted_by_a_name_that_is_not_too_long(name: str, expected: str) -> None:
    assert make_greeting(ASK, name) == expected


@pytest.mark.parametrize(
    ("source", "since", "expected"),
    [
        (
            "de balie.",
            datetime(2019, 5, 3, tzinfo=UTC),
            "Uw adres staat sinds vrijdag 3 mei 2019 op deze lijst. Hoe wij eraan komen: de balie.",
        ),
        (
            "de balie",
            None,
            (
                "Uw adres staat op deze lijst; sinds wanneer weten wij niet. "
                "Hoe wij eraan komen: de balie."
            ),
        ),
        (
            "",
            datetime(2019, 5, 3, tzinfo=UTC),
            (
                "Uw adres staat sinds vrijdag 3 mei 2019 op deze lijst. "
                "Wij weten niet hoe het erop is gekomen. Daarom vragen wij het u."
            ),
        ),
        (
            " \n",
            None,
            (
                "Uw adres staat op deze lijst. Wij weten niet sinds wanneer en ook niet hoe het "
                "erop is gekomen. Daarom vragen wij het u."
            ),
        ),
    ],
)
def test_a_mail_says_why_the_reader_is_on_the_list_and_since_when(
    source: str, since: datetime | None, expected: str
) -> None:
    values = make_ask_values(source=source, since=since)
    assert make_reason(ASK, source=source, since=since) == expected
    assert expected in compose_mail(ASK, values).text


def test_ids_and_return_paths_of_this_installation_fit_into_a_mail() -> None:
    owner = "3f" * 16
    path = make_return_path(
        "verp", sender="post@example.org", mail_id=2**64 - 1, owner=owner, key=b"k"
    )
    identity = make_message_id(2**64 - 1, owner, sender_domain="example.org", key=b"k")
    mail = compose_mail(ASK, make_ask_values(return_path=path, message_id=identity))
    assert mail.envelope_from == path
    assert f"\r\nMessage-ID: {identity}\r\n".encode() in mail.raw
    assert path.encode() not in mail.raw
