"""A mail taken raw from the SMTP server: every header that the design names, on its bytes."""

from __future__ import annotations

import base64
import email
import email.policy
import re
from collections.abc import Iterator
from dataclasses import replace
from email.header import decode_header, make_header
from email.utils import parseaddr

import pytest

from repermit.bounces.bounce_results import MailReferences
from repermit.bounces.match import find_mail
from repermit.db.connection import Database
from repermit.db.models.contacts import Contact
from repermit.db.models.mails import Mail
from repermit.emails.dkim_signature import make_signer
from repermit.signed_links import Links
from repermit.smtp import mail_server
from tests.support.builders import make_contact, make_organisation
from tests.support.dkim_keys import is_signed, make_key
from tests.support.dns_server import NameServer
from tests.support.inbox import Inbox, Received
from tests.support.sending_campaign import Story, mail_settings, make_story, make_wording, state_of
from tests.unit.emails.test_snapshots import make_mail

SENDER_NAME = "Praktijk Müller & Zonen – “De Linde”, huisartsen sinds 1987"
SENDER = f"{SENDER_NAME} <praktijk@xn--mller-kva.example.org>"
READER = 'Zoë Ångström, "Zo" =?utf-8?q?x?= <b>\r\nBcc: all@example.org'
PUBLIC_URL = "https://ask.example.org/" + "een-heel-lang-pad-voor-de-vragen/" * 3 + "vraag"
"""Long enough that a library would fold a header that holds a link."""


@pytest.fixture
def open_inbox() -> Iterator[Inbox]:
    with Inbox(enable_SMTPUTF8=True) as inbox:
        yield inbox


@pytest.fixture
def story(database: Database, database_url: str, open_inbox: Inbox) -> Story:
    server = {"return_path": "verp", "return_domain": "bounces.example.org"}
    settings = replace(
        mail_settings(database_url, open_inbox.port, **server),
        public_url=PUBLIC_URL,
        organisation=make_organisation(name="Praktijk Müller & Zonen", email="vragen@example.org"),
    )
    story = make_story(database, settings)
    story.mailing_list.sender = SENDER
    story.mailing_list.name = "Nieuws & wetenswaardigheden uit Curaçao"
    with database.atomic():
        story.mailing_list.save()
    make_wording(story, "fr")
    return story


def ask(story: Story, inbox: Inbox, address: str = "zoe@example.org") -> tuple[Received, Mail]:
    """Send the ask of a contact whose name is as bad as names in files are."""
    contact = make_contact(story.database, story.mailing_list, address, name=READER, language="fr")
    mail = story.owe(contact=contact)
    assert story.send().sent == 1
    (received,) = inbox.to(address)
    return received, mail


def header_lines(raw: bytes) -> dict[str, list[bytes]]:
    """Return each header's value as it came, with its folds, by its name in lower case."""
    head = raw.partition(b"\r\n\r\n")[0] + b"\r\n"
    found: dict[str, list[bytes]] = {}
    for line in re.findall(rb"(?:[^\r\n]+\r\n(?:[ \t][^\r\n]*\r\n)*)", head):
        name, _, value = line.partition(b":")
        found.setdefault(name.decode().lower(), []).append(value.strip())
    return found


def links_of(story: Story, contact: Contact) -> dict[str, str]:
    links = Links(story.settings.public_url, story.settings.secret_keys)
    return {kind: links.url(kind, contact.uid) for kind in ("yes", "no", "me")}


def contact_of(mail: Mail) -> Contact:
    assert mail.contact is not None
    return mail.contact


def decoded(value: bytes) -> str:
    return str(make_header(decode_header(value.decode())))


def test_the_bytes_are_plain_and_every_header_stands_once(story: Story, open_inbox: Inbox) -> None:
    received, _ = ask(story, open_inbox)
    raw = received.raw
    assert raw.isascii()
    assert not re.search(rb"\r(?!\n)|(?<!\r)\n|\0", raw)
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    assert len(raw) < 102_000
    assert all(len(values) == 1 for values in header_lines(raw).values())
    assert set(header_lines(raw)) == {
        "date",
        "from",
        "to",
        "reply-to",
        "subject",
        "message-id",
        "list-id",
        "list-unsubscribe",
        "list-unsubscribe-post",
        "auto-submitted",
        "x-auto-response-suppress",
        "feedback-id",
        "content-language",
        "mime-version",
        "content-type",
    }


def test_one_press_takes_a_person_off(story: Story, open_inbox: Inbox) -> None:
    received, mail = ask(story, open_inbox)
    headers = header_lines(received.raw)
    no = links_of(story, contact_of(mail))["no"]
    # RFC 8058 §3.1. Python would fold it into =?utf-8?…?=, and Gmail then ignores it.
    assert len(no) > 150
    assert headers["list-unsubscribe"] == [f"<{no}>".encode()]
    assert headers["list-unsubscribe-post"] == [b"List-Unsubscribe=One-Click"]


def test_no_header_with_a_link_is_encoded_or_folded(story: Story, open_inbox: Inbox) -> None:
    received, _ = ask(story, open_inbox)
    for name, (value,) in header_lines(received.raw).items():
        if b"://" in value:
            assert b"=?" not in value, name
            assert b"\r\n" not in value, name


def test_who_asks_and_who_is_asked_can_be_read(story: Story, open_inbox: Inbox) -> None:
    received, _ = ask(story, open_inbox)
    headers = header_lines(received.raw)
    name, address = parseaddr(headers["from"][0].decode())
    assert address == "praktijk@xn--mller-kva.example.org"
    assert decoded(name.encode()) == SENDER_NAME
    assert headers["to"][0].endswith(b"zoe@example.org")
    assert parseaddr(headers["reply-to"][0].decode())[1] == "vragen@example.org"
    assert decoded(headers["subject"][0])
    # The name of a reader cannot bring a header of its own.
    assert "bcc" not in headers
    assert received.rcpt_tos == ("zoe@example.org",)


def test_the_mail_can_be_told_from_others_and_traced_to_nobody(
    story: Story, open_inbox: Inbox
) -> None:
    received, mail = ask(story, open_inbox)
    headers = header_lines(received.raw)
    assert re.fullmatch(
        rb"<[a-z2-7]{13}-[a-z2-7]{16}@xn--mller-kva\.example\.org>", headers["message-id"][0]
    )
    assert re.search(rb"<news\.xn--mller-kva\.example\.org>$", headers["list-id"][0])
    assert re.fullmatch(rb"[0-9a-f]+:news:ask:[0-9a-f]+", headers["feedback-id"][0])
    assert headers["auto-submitted"] == [b"auto-generated"]
    assert headers["x-auto-response-suppress"] == [b"OOF, AutoReply"]
    assert headers["date"] == [b"Mon, 02 Mar 2026 09:00:00 +0000"]
    uid = contact_of(mail).uid.encode()
    assert uid not in received.raw


def test_a_bounce_finds_its_way_back(story: Story, open_inbox: Inbox) -> None:
    received, mail = ask(story, open_inbox)
    local_part, _, domain = received.mail_from.partition("@")
    assert re.fullmatch(r"bounce\+[a-z2-7]+-[a-z2-7]{16}", local_part)
    assert len(local_part) <= 64
    assert domain == "bounces.example.org"
    by_path = MailReferences(return_paths=(received.mail_from,))
    by_message_id = MailReferences(message_ids=(received.message["Message-ID"],))
    for references in (by_path, by_message_id):
        assert find_mail(references, story.settings.secret_keys) == mail


def test_text_comes_before_html_and_both_say_the_same_links(
    story: Story, open_inbox: Inbox
) -> None:
    received, mail = ask(story, open_inbox)
    parsed = email.message_from_bytes(received.raw, policy=email.policy.default)
    assert parsed.get_content_type() == "multipart/alternative"
    text, html = parsed.iter_parts()
    assert (text.get_content_type(), html.get_content_type()) == ("text/plain", "text/html")
    for part in (text, html):
        assert part.get_content_charset() == "utf-8"
        content = part.get_content()
        for url in links_of(story, contact_of(mail)).values():
            assert url in content
    assert '<html lang="fr"' in html.get_content()


def test_smtputf8_is_used_only_where_the_local_part_needs_it(
    story: Story, open_inbox: Inbox
) -> None:
    plain, _ = ask(story, open_inbox)
    assert "SMTPUTF8" not in plain.mail_options
    story.change(story.campaign, state="sending")
    utf8, _ = ask(story, open_inbox, "zoë@example.org")
    assert "SMTPUTF8" in utf8.mail_options
    assert "zoë@example.org".encode() in header_lines(utf8.raw)["to"][0]


def test_an_address_that_needs_smtputf8_fails_where_it_is_not_offered(
    database: Database, database_url: str
) -> None:
    with Inbox(enable_SMTPUTF8=False) as inbox:
        story = make_story(database, mail_settings(database_url, inbox.port))
        mail = story.owe("zoë@example.org")
        assert story.send().failed == 1
        assert state_of(mail) == ("failed", "message")
        assert not inbox.mails


def test_no_token_can_be_guessed_from_a_header(story: Story, open_inbox: Inbox) -> None:
    received, mail = ask(story, open_inbox)
    token = links_of(story, contact_of(mail))["yes"].rpartition("/")[2].encode()
    headers = received.raw.partition(b"\r\n\r\n")[0]
    assert token not in headers
    payload = base64.urlsafe_b64encode(bytes.fromhex(contact_of(mail).uid)).rstrip(b"=")
    # Only the link that takes a person off names its contact in a header.
    assert headers.count(payload) == 1


def test_a_mail_is_signed_where_there_is_a_key(story: Story, open_inbox: Inbox) -> None:
    account = replace(story.settings.mail, dkim_selector="mail2026", dkim_key=make_key())
    story.settings = replace(story.settings, mail=account)
    signer = make_signer(account)
    assert signer is not None
    received, _ = ask(story, open_inbox)
    with NameServer() as server:
        assert not is_signed(received.raw, server)
        server.text("mail2026._domainkey.xn--mller-kva.example.org", signer.dns_record)
        assert is_signed(received.raw, server)
        # A mail that nothing is recorded of, such as a preview, is signed as all are.
        mail_server.send_one(account, make_mail("ask-nl"))
        server.text("mail2026._domainkey.example.org", signer.dns_record)
        assert is_signed(open_inbox.to("jan.jansen@example.com")[0].raw, server)
