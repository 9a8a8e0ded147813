"""What a message says by itself: a table of formats, people's words, and hostile bytes."""

from __future__ import annotations

import base64
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from email.header import Header

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repermit.bounces.bounce_results import MessageKind
from repermit.bounces.message_kind import read
from repermit.bounces.message_parts import (
    MAX_SIZE,
    parse,
    read_header,
    read_report_fields,
    read_texts,
    read_unsplit_text,
)
from repermit.bounces.reply_text import html_to_text
from tests.support.returned_mails import NAMES, returned

VERP = "bounce+somebody@example.org"
MESSAGE_ID = "<some-mail@example.org>"

# --- One file a row. Kind, status, and what a reply proposes.

TABLE: Mapping[str, tuple[MessageKind, str, str]] = {
    # No such mailbox or domain.
    "postfix_unknown_user": (MessageKind.HARD, "5.1.1", ""),
    "postfix_no_such_domain": (MessageKind.HARD, "5.4.4", ""),
    "exim_unrouteable": (MessageKind.HARD, "", ""),
    "qmail_no_mailbox": (MessageKind.HARD, "5.1.1", ""),
    "exchange_55_unknown": (MessageKind.HARD, "", ""),
    "exchange_not_found": (MessageKind.HARD, "5.1.1", ""),
    "office365_recipient_not_found": (MessageKind.HARD, "5.1.10", ""),
    "gmail_no_such_account": (MessageKind.HARD, "5.1.1", ""),
    "yahoo_no_account": (MessageKind.HARD, "", ""),
    "ses_no_such_user": (MessageKind.HARD, "5.1.1", ""),
    "webde_unknown": (MessageKind.HARD, "5.1.1", ""),
    "german_in_its_own_words": (MessageKind.HARD, "5.1.1", ""),
    "opensmtpd_error": (MessageKind.HARD, "5.0.0", ""),
    "utf8_address": (MessageKind.HARD, "5.1.1", ""),
    "postfix_exchange_directory_blocking": (MessageKind.HARD, "5.4.1", ""),
    "postfix_null_mx": (MessageKind.HARD, "5.1.0", ""),
    "office365_unknown_elsewhere": (MessageKind.HARD, "5.1.351", ""),
    "gmail_address_not_found": (MessageKind.HARD, "5.1.0", ""),
    "opensmtpd_no_domain": (MessageKind.HARD, "5.0.0", ""),
    "domino_not_listed": (MessageKind.HARD, "", ""),
    "sns_no_such_user": (MessageKind.HARD, "5.1.1", ""),
    "trendmicro_repacked": (MessageKind.HARD, "5.1.1", ""),
    "old_exim_forwarded": (MessageKind.HARD, "", ""),
    "outlook_no_such_mailbox": (MessageKind.HARD, "5.5.0", ""),
    "postfix_unknown_for_days": (MessageKind.HARD, "4.1.1", ""),
    "gateway_no_such_user": (MessageKind.HARD, "", ""),
    # Quota, policy, delay: nobody is removed for those.
    "sendmail_listed": (MessageKind.SOFT, "5.1.1", ""),
    "sendmail_spf": (MessageKind.SOFT, "5.1.1", ""),
    "sendmail_unknown_sender": (MessageKind.SOFT, "5.1.1", ""),
    "exim_helo": (MessageKind.SOFT, "", ""),
    "mailfoundry_over_quota": (MessageKind.SOFT, "5.1.1", ""),
    "postfix_delayed": (MessageKind.SOFT, "4.4.1", ""),
    "postfix_expired": (MessageKind.SOFT, "4.4.1", ""),
    "exim_over_quota": (MessageKind.SOFT, "5.2.2", ""),
    "exim_warning": (MessageKind.SOFT, "", ""),
    "qmail_full": (MessageKind.SOFT, "", ""),
    "office365_access_denied": (MessageKind.SOFT, "5.7.133", ""),
    "gmail_over_quota": (MessageKind.SOFT, "5.2.2", ""),
    "gmail_delay": (MessageKind.SOFT, "4.4.1", ""),
    "gmx_unavailable": (MessageKind.SOFT, "", ""),
    "barracuda_policy": (MessageKind.SOFT, "5.7.1", ""),
    "relay_says_unknown_but_full": (MessageKind.SOFT, "5.2.2", ""),
    "sns_not_sent": (MessageKind.SOFT, "", ""),
    # Complaints.
    "sns_complaint": (MessageKind.COMPLAINT, "", ""),
    "arf_abuse": (MessageKind.COMPLAINT, "", ""),
    "outlook_complaint": (MessageKind.COMPLAINT, "", ""),
    # Answers of programs.
    "outlook_out_of_office": (MessageKind.AUTO_REPLY, "", ""),
    "gmail_vacation": (MessageKind.AUTO_REPLY, "", ""),
    "unix_vacation": (MessageKind.AUTO_REPLY, "", ""),
    "gmx_abwesenheit": (MessageKind.AUTO_REPLY, "", ""),
    "sieve_vacation": (MessageKind.AUTO_REPLY, "", ""),
    "read_receipt": (MessageKind.AUTO_REPLY, "", ""),
    # People, also where they quote or forward a bounce.
    "reply_ja": (MessageKind.REPLY, "", "yes"),
    "reply_yes_please_outlook": (MessageKind.REPLY, "", "yes"),
    "reply_nein": (MessageKind.REPLY, "", "no"),
    "reply_oui_mais": (MessageKind.REPLY, "", ""),
    "reply_question": (MessageKind.REPLY, "", ""),
    "reply_of_a_postmaster": (MessageKind.REPLY, "", ""),
    "reply_quoting_a_bounce": (MessageKind.REPLY, "", ""),
    "reply_forwarding_a_bounce": (MessageKind.REPLY, "", ""),
    # Nothing.
    "postfix_delivered": (MessageKind.NOTHING, "", ""),
    "arf_not_spam": (MessageKind.NOTHING, "", ""),
    "newsletter_of_others": (MessageKind.NOTHING, "", ""),
}


def test_every_file_has_its_row() -> None:
    assert sorted(TABLE) == NAMES
    assert len(NAMES) >= 20


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"], ids=["pipe", "wire"])
@pytest.mark.parametrize("name", NAMES)
def test_a_format_is_read_as_what_it_is(name: str, line_end: bytes) -> None:
    raw = returned(name, verp=VERP, message_id=MESSAGE_ID).replace(b"\n", line_end)
    found = read(raw)
    assert (found.kind, found.status, found.proposed) == TABLE[name]


@pytest.mark.parametrize("name", [name for name in NAMES if name != "newsletter_of_others"])
def test_a_format_brings_the_mark_of_the_mail(name: str) -> None:
    found = read(returned(name, verp=VERP, message_id=MESSAGE_ID)).references
    marks = {*found.return_paths, *found.message_ids}
    assert marks & {VERP, MESSAGE_ID}


def test_a_persons_reply_is_not_matched_by_where_it_was_sent() -> None:
    found = read(returned("reply_ja", verp=VERP, message_id=MESSAGE_ID))
    assert found.references.return_paths == ()
    assert found.sender == "Jan@example.net"
    assert found.arrived == datetime(2026, 3, 3, 11, 0, tzinfo=UTC)


# --- Reports.

REPORT = """From: MAILER-DAEMON@example.net
Content-Type: multipart/report; report-type=delivery-status; boundary=b

--b
Content-Type: {kind}

{fields}

--b--
"""


def report(*recipients: str, kind: str = "message/delivery-status") -> tuple[MessageKind, str]:
    fields = "\n\n".join(("Reporting-MTA: dns; example.net", *recipients))
    found = read(REPORT.format(fields=fields, kind=kind).encode())
    return found.kind, found.status


HARD = "Action: failed\nStatus: 5.1.1"
FULL = "Action: failed\nStatus: 5.2.2"
REACHED = "Action: delivered\nStatus: 2.0.0"


@pytest.mark.parametrize(
    ("recipients", "expected"),
    [
        ((HARD,), (MessageKind.HARD, "5.1.1")),
        ((HARD, HARD), (MessageKind.HARD, "5.1.1")),
        ((HARD, FULL), (MessageKind.SOFT, "5.2.2")),
        ((HARD, REACHED), (MessageKind.SOFT, "5.1.1")),
        ((FULL, REACHED), (MessageKind.SOFT, "5.2.2")),
        ((REACHED,), (MessageKind.NOTHING, "")),
        (("Action: expanded\nStatus: 2.0.0",), (MessageKind.NOTHING, "")),
        (("Action: delayed\nStatus: 5.1.1",), (MessageKind.SOFT, "5.1.1")),
        (("Action: failed (bounced)\nStatus: 5.1.2 (no domain)",), (MessageKind.HARD, "5.1.2")),
        (("Action: failed\nStatus: 4.4.7",), (MessageKind.SOFT, "4.4.7")),
        (("Action: failed",), (MessageKind.SOFT, "")),
        (("Status: 5.1.6",), (MessageKind.HARD, "5.1.6")),
        (("Status: 2.0.0",), (MessageKind.NOTHING, "")),
        (("Final-Recipient: rfc822; jan@example.net",), (MessageKind.SOFT, "")),
        (("Action: expired\nStatus:",), (MessageKind.SOFT, "")),
        (("Action: failure\nStatus: 553 Exceeded",), (MessageKind.SOFT, "")),
        ((), (MessageKind.SOFT, "")),
        ((HARD,) * 20, (MessageKind.HARD, "5.1.1")),
        ((HARD,) * 21, (MessageKind.SOFT, "")),
    ],
)
def test_of_several_recipients_the_mildest_failure_counts(
    recipients: tuple[str, ...], expected: tuple[MessageKind, str]
) -> None:
    assert report(*recipients) == expected


@pytest.mark.parametrize("status", ["5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10"])
def test_no_such_mailbox_or_domain_is_hard(status: str) -> None:
    assert report(f"Action: failed\nStatus: {status}") == (MessageKind.HARD, status)


@pytest.mark.parametrize(
    ("status", "words", "expected"),
    [
        # What the server itself gave comes first.
        ("5.1.1", "smtp; 550 5.7.1 policy", (MessageKind.SOFT, "5.7.1")),
        ("5.7.1", "smtp; 550 5.1.1 unknown", (MessageKind.HARD, "5.1.1")),
        ("5.0.0", "smtp; 550 5.0.0 no such user", (MessageKind.HARD, "5.0.0")),
        ("5.1.1", "smtp; 550 5.0.0 sorry", (MessageKind.HARD, "5.1.1")),
        ("5.0.0", "smtp; 552 mailbox full", (MessageKind.SOFT, "5.0.0")),
        ("5.0.0", "smtp; 550 user unknown", (MessageKind.HARD, "5.0.0")),
        ("5.0.0", "smtp; 450 user unknown", (MessageKind.SOFT, "5.0.0")),
        # Neither an address of the network nor a program's version is a status.
        ("5.0.0", "smtp; 550 [5.1.1.4] sorry", (MessageKind.SOFT, "5.0.0")),
        ("5.0.0", "smtp; 550 Exim 4.94.2 sorry", (MessageKind.SOFT, "5.0.0")),
        ("5.4.4", "X-Postfix; Host or domain name not found", (MessageKind.HARD, "5.4.4")),
        ("5.4.4", "X-Postfix; no route", (MessageKind.SOFT, "5.4.4")),
    ],
)
def test_the_servers_own_words_decide(
    status: str, words: str, expected: tuple[MessageKind, str]
) -> None:
    block = f"Action: failed\nStatus: {status}\nDiagnostic-Code: {words}"
    assert report(block) == expected


@pytest.mark.parametrize("encoding", ["base64", "quoted-printable", "7bit"])
def test_a_report_with_addresses_in_utf8_may_be_encoded(encoding: str) -> None:
    fields = "Reporting-MTA: dns; a\n\nFinal-Recipient: utf-8; jörg@example.net\n" + HARD
    text = base64.b64encode(fields.encode()).decode() if encoding == "base64" else fields
    kind = f"message/global-delivery-status\nContent-Transfer-Encoding: {encoding}"
    assert read(REPORT.format(fields=text, kind=kind).encode()).kind is MessageKind.HARD


@pytest.mark.parametrize(
    ("disposition", "kind"),
    [
        ("automatic-action/MDN-sent-automatically; deleted", MessageKind.SOFT),
        ("automatic-action/MDN-sent-automatically;\n deleted/error", MessageKind.SOFT),
        ("manual-action/MDN-sent-manually; deleted", MessageKind.AUTO_REPLY),
        ("manual-action/MDN-sent-automatically; displayed", MessageKind.AUTO_REPLY),
    ],
)
def test_a_receipt_of_a_server_that_deleted_the_mail_is_a_rejection(
    disposition: str, kind: MessageKind
) -> None:
    receipt = f"Final-Recipient: rfc822; jan@example.net\nDisposition: {disposition}"
    raw = REPORT.format(fields=receipt, kind="message/disposition-notification")
    assert read(raw.replace("delivery-status", "disposition-notification").encode()).kind is kind


def test_a_report_whose_encoding_is_broken_is_of_a_failure() -> None:
    kind = "message/global-delivery-status\nContent-Transfer-Encoding: base64"
    assert read(REPORT.format(fields="x", kind=kind).encode()).kind is MessageKind.SOFT


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("abuse", MessageKind.COMPLAINT),
        ("fraud", MessageKind.COMPLAINT),
        ("something-new", MessageKind.COMPLAINT),
        ("virus", MessageKind.NOTHING),
        ("not-spam", MessageKind.NOTHING),
        ("auth-failure", MessageKind.NOTHING),
    ],
)
def test_what_is_not_known_of_a_feedback_report_is_a_complaint(
    kind: str, expected: MessageKind
) -> None:
    fields = f"Feedback-Type: {kind}\nVersion: 1"
    raw = REPORT.format(fields=fields, kind="message/feedback-report").encode()
    assert read(raw).kind is expected


def test_a_feedback_report_without_a_type_is_none() -> None:
    raw = REPORT.format(fields="Version: 1", kind="message/feedback-report").encode()
    assert read(raw).kind is MessageKind.NOTHING


@pytest.mark.parametrize("sender", ["MAILER-DAEMON@example.net", "jan@example.net"])
def test_a_report_inside_a_mixed_mail_counts_if_a_server_sent_it(sender: str) -> None:
    raw = REPORT.format(fields=f"Reporting-MTA: dns; a\n\n{HARD}", kind="message/delivery-status")
    mixed = raw.replace("multipart/report; report-type=delivery-status", "multipart/mixed")
    mixed = mixed.replace("MAILER-DAEMON@example.net", sender)
    expected = MessageKind.HARD if sender.startswith("MAILER") else MessageKind.NOTHING
    assert read(mixed.encode()).kind is expected


def test_a_report_of_a_kind_that_nobody_knows_is_nothing() -> None:
    raw = REPORT.format(fields="x: y", kind="message/something-else").encode()
    assert read(raw.replace(b"MAILER-DAEMON", b"jan")).kind is MessageKind.NOTHING


# --- Mail servers in their own words.


def odd(text: str, *, head: str = "From: MAILER-DAEMON@a.example") -> tuple[MessageKind, str]:
    found = read(f"{head}\n\n{text}".encode())
    return found.kind, found.status


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Your mail was refused: 550 5.1.1 unknown", (MessageKind.HARD, "5.1.1")),
        ("Your mail was refused: 550 5.7.1 no", (MessageKind.SOFT, "5.7.1")),
        ("Your mail: 452 later", (MessageKind.SOFT, "")),
        ("Your mail was taken: 2.0.0 thanks", (MessageKind.NOTHING, "")),
        ("Hello", (MessageKind.NOTHING, "")),
        # A code that stands in the copy says nothing.
        (
            "Hello\n\n--- Below this line is a copy of the message.\n\n550 5.1.1",
            (MessageKind.SOFT, ""),
        ),
    ],
)
def test_a_server_that_names_nobody_is_read_by_its_codes(
    text: str, expected: tuple[MessageKind, str]
) -> None:
    assert odd(text) == expected


QMAIL = "Hi. This is the qmail-send program.\n\n<a@b.example>:\n{}\n\n<c@b.example>:\n{}\n\n--- x"


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("No mailbox here by that name. (#5.1.1)", "(#5.1.1)", (MessageKind.HARD, "5.1.1")),
        ("No mailbox here by that name. (#5.1.1)", "(#5.2.2)", (MessageKind.SOFT, "5.2.2")),
    ],
)
def test_of_several_addresses_the_mildest_counts(
    first: str, second: str, expected: tuple[MessageKind, str]
) -> None:
    text = QMAIL.format(first, second).replace("\n\n<c@", "\n\nalso\n\n<c@")
    assert odd(text) == expected


def test_an_address_that_only_a_header_names_is_soft() -> None:
    head = "From: MAILER-DAEMON@a.example\nX-Failed-Recipients: jan@b.example"
    assert odd("Sorry.", head=head) == (MessageKind.SOFT, "")


def test_a_subject_alone_says_that_it_failed() -> None:
    head = "From: MAILER-DAEMON@a.example\nSubject: Undeliverable: news"
    assert odd("Sorry.", head=head) == (MessageKind.SOFT, "")


RETURNED_MAIL = """From: Posta <MAILER-DAEMON@mail.example.it>
{head}Content-Type: multipart/mixed; boundary=b

--b
Content-Type: text/plain; charset=utf-8

{text}

--b
Content-Type: {kind}

Message-ID: <some-mail@example.org>
Subject: 550 5.1.1 User unknown

Ja
--b--
"""


@pytest.mark.parametrize(
    "head",
    ["", "Return-Path: <>\n", "Return-Path: <praktijk@example.org>\nIn-Reply-To: <a@b>\n"],
)
@pytest.mark.parametrize("kind", ["message/rfc822", "text/rfc822-headers"])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Il messaggio non è arrivato.", MessageKind.SOFT),
        ("Su mensaje no ha llegado.", MessageKind.SOFT),
        ("A sua mensagem não chegou.", MessageKind.SOFT),
        ("Votre message n’est pas arrivé.", MessageKind.SOFT),
        ("La casella di jan@example.net è piena.", MessageKind.SOFT),
        ("jan@example.net: destinatario sconosciuto", MessageKind.HARD),
    ],
)
def test_a_mail_that_a_server_returns_in_any_language_has_failed(
    head: str, kind: str, text: str, expected: MessageKind
) -> None:
    raw = RETURNED_MAIL.format(head=head, kind=kind, text=text).encode()
    found = read(raw)
    assert found.kind is expected
    assert "<some-mail@example.org>" in found.references.message_ids
    assert read(raw.replace(b"MAILER-DAEMON", b"jan")).kind not in {
        MessageKind.SOFT,
        MessageKind.HARD,
    }


def test_a_delay_in_a_servers_own_words_is_soft_whatever_code_it_gives() -> None:
    text = (
        "The address to which the message has not yet been delivered is:\n\n  jan@b.example\n"
        "  550 5.1.1\n\nNo action is required on your part."
    )
    assert odd(text) == (MessageKind.SOFT, "")


# --- Who is a server, and who is a person.

ANSWER = "In-Reply-To: <a@b>\n"


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        # A server's name, and nothing in the envelope that is known.
        ("From: mailer-daemon@a.example\nReturn-Path: <>", MessageKind.HARD),
        ("From: mailer-daemon@a.example\nReturn-Path: <mailer-daemon@a.example>", MessageKind.HARD),
        ("From: mailer-daemon@a.example\nReturn-Path: <jan@a.example>", MessageKind.REPLY),
        # A person may write as postmaster.
        # Postfix writes MAILER-DAEMON for "<>" where it hands a mail to a program, others other
        # names of nobody.
        ("From: mailer-daemon@a.example\nReturn-Path: <MAILER-DAEMON>", MessageKind.HARD),
        ("From: mailer-daemon@a.example\nReturn-Path: MAILER-DAEMON", MessageKind.HARD),
        (
            "From: mailer-daemon@a.example\nReturn-Path: <MAILER-DAEMON@mail.a.example>",
            MessageKind.HARD,
        ),
        ("From: mailer-daemon@a.example\nReturn-Path: <postmaster@a.example>", MessageKind.HARD),
        ("From: mailer-daemon@a.example\nReturn-Path: <post_master@a.example>", MessageKind.HARD),
        ("From: mailer-daemon@a.example\nReturn-Path: <null>", MessageKind.HARD),
        ("From: mailer-daemon@a.example\nReturn-Path:", MessageKind.HARD),
        ("From: mailer-daemon\nReturn-Path: <MAILER-DAEMON>", MessageKind.HARD),
        ("From: postmaster@a.example\nReturn-Path: <MAILER-DAEMON>", MessageKind.HARD),
        (
            "From: system@a.example\nReturn-Path: <MAILER-DAEMON>\nSubject: Undelivered",
            MessageKind.HARD,
        ),
        ("From: jan@a.example\nReturn-Path: <MAILER-DAEMON>", MessageKind.AUTO_REPLY),
        ("From: jan@a.example\nReturn-Path: <postmaster@a.example>", MessageKind.REPLY),
        ("From: jan@a.example\nReturn-Path: <bounces@a.example>", MessageKind.REPLY),
        (
            "From: postmaster@a.example\nReturn-Path: <postmaster@a>\nSubject: failure notice",
            MessageKind.HARD,
        ),
        ("From: postmaster@a.example\nReturn-Path: <>", MessageKind.HARD),
        ("From: postmaster@a.example\nReturn-Path: <postmaster@a.example>", MessageKind.REPLY),
        ("From: postmaster@a.example\nSubject: Undeliverable", MessageKind.HARD),
        ("From: postmaster@a.example\nSubject: Re: Undeliverable", MessageKind.REPLY),
        ("Return-Path: <>", MessageKind.HARD),
        # An odd name, with nothing in the envelope and the subject of a bounce.
        ("From: system@a.example\nReturn-Path: <>\nSubject: Returned mail: x", MessageKind.HARD),
        ("From: system@a.example\nReturn-Path: <>\nSubject: Away", MessageKind.AUTO_REPLY),
        ("From: jan@a.example\nSubject: Undeliverable", MessageKind.REPLY),
        ("From: jan@a.example\nReturn-Path: <jan@a.example>", MessageKind.REPLY),
    ],
)
def test_a_persons_words_are_never_taken_for_a_servers(head: str, kind: MessageKind) -> None:
    assert read(f"{head}\n{ANSWER}\n550 5.1.1 user unknown".encode()).kind is kind


GATEWAY = """From: {sender}
To: news@example.org
In-Reply-To: <a@b>
Subject: Re: news

{text}
"""
RETURNED = """Error: not a subscriber
The server said:
550 - no such user here

Details:
  MAIL FROM:<news@example.org>
  RCPT TO:<jan@a.example>
  Size: 4711
"""


@pytest.mark.parametrize("sender", ["post_master@a.example", "Gate <postmaster@a.example>"])
@pytest.mark.parametrize("path", ["", "Return-Path: <postmaster@a.example>\n"])
def test_a_postmaster_who_returns_an_envelope_to_its_sender_is_a_server(
    sender: str, path: str
) -> None:
    found = read(f"{path}{GATEWAY.format(sender=sender, text=RETURNED)}".encode())
    assert (found.kind, found.failed) == (MessageKind.HARD, ("jan@a.example",))
    refused = RETURNED.replace("no such user here", "blocked by policy")
    assert read(GATEWAY.format(sender=sender, text=refused).encode()).kind is MessageKind.SOFT


@pytest.mark.parametrize(
    "text",
    [
        # A sentence of somebody's own, wherever it stands.
        f"Hello,\n\n{RETURNED}",
        f"{RETURNED}\nCould you look into this?",
        "> " + RETURNED.replace("\n", "\n> "),
        f"On Monday we saw this:\n{RETURNED}",
        f"I have read your mail: thank you, but see below.\n{RETURNED}",
        "Ja",
        "550 5.1.1 user unknown",
        # An envelope that is another mail's, or no envelope, or no reply of a server.
        RETURNED.replace("news@example.org", "others@example.org"),
        RETURNED.replace("MAIL FROM:", "Sender:"),
        RETURNED.replace("RCPT TO:", "Recipient:"),
        RETURNED.replace("550 - no such user here", "no such user here:"),
        # More than is read, below which anything may stand.
        RETURNED + "Size: 4711\n" * 3000,
    ],
)
def test_a_postmaster_who_writes_is_a_person(text: str) -> None:
    raw = GATEWAY.format(sender="postmaster@a.example", text=text)
    assert read(raw.encode()).kind is MessageKind.REPLY


def test_a_gateway_is_read_whose_parts_cannot_be_told_from_each_other() -> None:
    head = "Content-Type: multipart/mixed; boundary=b\n"
    inner = f"Content-Type: multipart/alternative;\nboundary=c\n\n--c\n\n{RETURNED}\n--c--"
    mail = GATEWAY.format(sender="postmaster@a.example", text=f"--b\n{inner}\n\n--b--")
    found = read(f"{head}{mail}".encode())
    assert (found.kind, found.failed) == (MessageKind.HARD, ("jan@a.example",))


def test_what_a_gateway_repeats_of_the_mail_is_no_reason() -> None:
    mail = GATEWAY.format(sender="postmaster@a.example", text=f"Subject: {{}}\n{RETURNED}")
    assert read(mail.format("Your mailbox is full").encode()).kind is MessageKind.HARD
    refused = mail.replace("no such user here", "no thanks")
    assert read(refused.format("User unknown").encode()).kind is MessageKind.SOFT


@pytest.mark.parametrize(
    "sender", ["jan@a.example", "info@a.example", "Postmaster <jan@a.example>"]
)
@pytest.mark.parametrize("path", ["", "Return-Path: <jan@a.example>\n"])
def test_whoever_is_no_postmaster_may_quote_an_envelope(sender: str, path: str) -> None:
    found = read(f"{path}{GATEWAY.format(sender=sender, text=RETURNED)}".encode())
    assert found.kind is MessageKind.REPLY


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("Auto-Submitted: auto-replied", MessageKind.AUTO_REPLY),
        ("Auto-Submitted: no", MessageKind.REPLY),
        ("X-Autoreply: yes", MessageKind.AUTO_REPLY),
        ("X-Autorespond: x", MessageKind.AUTO_REPLY),
        ("Precedence: auto_reply", MessageKind.AUTO_REPLY),
        ("Precedence: bulk", MessageKind.AUTO_REPLY),
        ("Precedence: normal", MessageKind.REPLY),
        ("Return-Path: <>", MessageKind.AUTO_REPLY),
        ("Return-Path: <MAILER-DAEMON>", MessageKind.AUTO_REPLY),
        ("Return-Path: <mailer-daemon@example.net>", MessageKind.AUTO_REPLY),
        ("Subject: Automatic response (out of office)", MessageKind.AUTO_REPLY),
        ("Subject: Automatic reply: news", MessageKind.AUTO_REPLY),
        ("Subject: Automatisch antwoord: news", MessageKind.AUTO_REPLY),
        ("Subject: =?utf-8?Q?R=C3=A9ponse_automatique?=", MessageKind.AUTO_REPLY),
        ("Subject: Re: Out of office", MessageKind.REPLY),
        *(
            (f"Subject: {Header(subject).encode()}", MessageKind.AUTO_REPLY)
            for subject in [
                "Risposta automatica: news",
                "Respuesta automática: news",
                "Resposta automática",
                "Autosvar: news",
                "Automatisk svar: news",
                "Automatiskt svar: news",
                "Automaattinen vastaus: news",
                "Automatyczna odpowiedź: news",
                "Automatická odpověď: news",
                "Automatikus válasz: news",
                "Răspuns automat: news",
                "Otomatik Yanıt: news",
                "Автоматический ответ: news",
                "Автоматична відповідь: news",
                "Αυτόματη απάντηση: news",
                "自动答复: news",
                "自動回覆: news",
                "自動応答: news",
                "AUTO: Jan Jansen is out of the office (returning 3 August)",
                "Auto-reply",
            ]
        ),
        ("Subject: Automatisering op school", MessageKind.REPLY),
        ("Subject: Automatic doors", MessageKind.REPLY),
        ("Subject: Auto: news", MessageKind.REPLY),
    ],
)
def test_a_mail_programs_answer_is_told_from_a_persons(line: str, kind: MessageKind) -> None:
    assert read(f"From: jan@example.net\n{line}\n{ANSWER}\nja".encode()).kind is kind


AWAY = "Ik ben er niet. Vanaf maandag lees ik mijn post weer."


@pytest.mark.parametrize(
    ("subject", "body", "kind"),
    [
        *(
            (subject, AWAY, MessageKind.AUTO_REPLY)
            for subject in [
                "Afwezig",
                "Afwezig: news",
                "AFWEZIG Re: news",
                "Afwezig tot 3 augustus",
                "Afwezig t/m vrijdag",
                "Afwezig wegens vakantie",
                "Afwezigheid: news",
                "Afwezigheidsbericht",
                "Niet aanwezig: news",
                "Abwesend bis Montag",
                "Abwesenheit: news",
                "Abwesenheitsnotiz",
                "Absence du bureau",
                "Absence : news",
                "Message d'absence",
                "Out of office",
                "Out of office until Monday",
                "Fuori ufficio",
                "Fuera de la oficina",
            ]
        ),
        # What only begins with such a word is a person's own subject.
        ("Afwezigheid doorgeven", AWAY, MessageKind.REPLY),
        ("Afwezigheid bij de les", AWAY, MessageKind.REPLY),
        ("Niet aanwezig bij de vergadering", AWAY, MessageKind.REPLY),
        ("Abwesenheit melden", AWAY, MessageKind.REPLY),
        ("Absence de réponse", AWAY, MessageKind.REPLY),
        ("Out of office hours", AWAY, MessageKind.REPLY),
        # No program answers with a plain word.
        ("Afwezigheid doorgeven", "Nee", MessageKind.REPLY),
        ("Afwezig", "Nee", MessageKind.REPLY),
        ("Out of office", "No, thanks", MessageKind.REPLY),
    ],
)
def test_a_subject_about_being_away_is_a_programs_only_as_programs_write_it(
    subject: str, body: str, kind: MessageKind
) -> None:
    raw = f"From: jan@example.net\nSubject: {Header(subject).encode()}\n{ANSWER}\n{body}"
    assert read(raw.encode()).kind is kind


def test_who_answers_nothing_is_nobody_to_listen_to() -> None:
    assert read(b"From: jan@example.net\nSubject: Ja\n\nja").kind is MessageKind.NOTHING


@pytest.mark.parametrize("senders", ["", "From: jan@example.net, piet@example.net\n"])
def test_a_reply_of_nobody_or_of_several_is_from_nobody(senders: str) -> None:
    found = read(f"{senders}Return-Path: <jan@example.net>\n{ANSWER}\nja".encode())
    assert (found.kind, found.sender) == (MessageKind.REPLY, "")


# --- What people say.


def proposed(text: str, *, kind: str = "text/plain; charset=utf-8") -> str:
    head = f"From: jan@example.net\n{ANSWER}Content-Type: {kind}\n\n"
    found = read(head.encode() + text.encode())
    assert found.kind is MessageKind.REPLY
    return found.proposed


@pytest.mark.parametrize(
    "text",
    [
        "ja",
        "Ja!",
        "JA GRAAG",
        "Ja, graag.",
        "Ja hoor, dank je wel",
        "Graag",
        "yes",
        "Yes, please!",
        "yes please, thank you",
        "Ja bitte",
        "Ja, gerne",
        "Oui",
        "oui, merci",
        "Oui, s'il vous plaît",
        "\n\n  Ja  \n\n",
        "Beste Anna,\n\nJa graag",
        "Ja graag\n\nMet vriendelijke groet,\nJan Jansen\nU krijgt hier niet alles van",
        "Ja\nJan",
        "Ja\njan",
        "Ja\nGr. Jan van der Velde",
        "Ja\nMevr. A.B. Jansen-de Vries",
        "Ja\nJan en Marie",
        "Ja\nDorpsstraat 12a\n1234 AB Ons Dorp\nTel. +31 (0)6-12345678\njan@example.net",
        "Ja\nwww.example.net",
        "Ja\nHuisarts | De Linde BV",
        "Ja graag\nAlvast bedankt!",
        "Ja\nFijne dag\nJan",
        "Yes\nThanks in advance\nJan",
        "Oui\nBonne journée\nJean",
        "Ja\n-- \nJan, maar niet echt",
        "Ja\n\nSent from my iPhone",
        "Ja\n\nOp 2 maart 2026 schreef praktijk:\n> Nee",
        "Yes\n\nOn Mon, 2 Mar 2026 at 10:00, Praktijk <a@example.org> wrote:\n> No",
        "Ja\n> Nee",
        "Ja\n________________________________\nVan: Praktijk\nNee",
        "Oui\n\nLe lun. 2 mars 2026 à 10:00, Praktijk a écrit :\n> Non",
        "Ja\n\nVan: Praktijk De Linde <praktijk@example.org>\nNee",
    ],
)
def test_a_plain_yes_is_proposed(text: str) -> None:
    assert proposed(text) == "yes"


@pytest.mark.parametrize(
    "text",
    [
        "nee",
        "Nee, dank u.",
        "Nee bedankt",
        "Neen",
        "No",
        "No, thanks",
        "no thank you",
        "Nein danke",
        "Non merci",
        "STOP",
        "stop!",
        "afmelden",
        "Graag afmelden",
        "Afmelden aub",
        "uitschrijven",
        "unsubscribe",
        "Please unsubscribe",
        "Bitte abmelden",
        "Désinscription svp",
        "me désabonner",
        "Nein, danke\n\nMfG\nJörg",
    ],
)
def test_a_plain_no_is_proposed(text: str) -> None:
    assert proposed(text) == "no"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Hallo",
        "Ja, maar alleen per post",
        "Ja\nMaar niet te vaak",
        "Nee\nik bedoel ja",
        "Ja\nuitschrijven graag",
        "Ja\nafmelden graag",
        "Ja\nAfmelden",
        "JA\nUITSCHRIJVEN GRAAG",
        "Ja\nUitschrijven",
        "Ja\nhaal mij eraf",
        "Ja\nHaal Mij Eraf",
        "Ja\nverwijder mij",
        "Ja\nVerwijderen",
        "Yes\nunsubscribe me",
        "Yes\nUnsubscribe",
        "Yes\nremove me please",
        "Yes\nNever again",
        "Yes\nNEVER AGAIN",
        "Ja\nbitte löschen",
        "Ja\nLöschen",
        "Oui\nSupprimer",
        "Ja\nals ik niets hoor",
        "Ja\neens per jaar",
        "Ja\nWEEKBLAD",
        "Hallo, haal mij eraf\nJa",
        "Ja\nJan\nen Marie wil het ook",
        "Ja\nU mag mij bellen op het nummer dat u al hebt",
        "Wie bent u?",
        "Ja ja ja het is goed met je",
        "Nee hoor waarom",
        "stoppen met roken",
        "Ok",
        "> Nieuws?\nJa",
        "Op 2 maart schreef praktijk:\n> Ja",
    ],
)
def test_anything_else_is_for_the_admin_to_read(text: str) -> None:
    assert proposed(text) == ""


@pytest.mark.parametrize(
    ("source", "answer"),
    [
        ("<p>Ja&nbsp;graag</p>", "yes"),
        ("<div>Nee</div><blockquote>Ja</blockquote>", "no"),
        ("<b>J</b>a", ""),
        ("Ja<hr>Nee", "yes"),
        ('Ja<div class="gmail_quote">Nee', "yes"),
        ("<!-- Nee > --><title>Nee</title>Ja", "yes"),
        ("<style>p > b { color: red }</style>Ja<br>Jan", "yes"),
        ("<style>Nee", ""),
        ("Ja<br", "yes"),
        ("", ""),
    ],
)
def test_a_page_of_html_is_read_up_to_its_quotation(source: str, answer: str) -> None:
    assert proposed(source, kind="text/html") == answer


def test_a_page_of_html_keeps_its_lines() -> None:
    assert html_to_text("<p>a <i>b</i></p>c").split() == ["a", "b", "c"]


def test_a_text_beside_a_page_comes_first_and_an_attached_one_not_at_all() -> None:
    parts = (
        "--b\nContent-Type: text/plain\nContent-Disposition: attachment\n\nnee\n"
        "--b\nContent-Type: text/plain\n\nja\n--b\nContent-Type: text/html\n\n<p>nee\n--b--\n"
    )
    assert proposed(parts, kind="multipart/mixed; boundary=b") == "yes"


# --- When a reply came, and which one it is.


@pytest.mark.parametrize(
    ("line", "arrived"),
    [
        ("Received: by a; Tue, 3 Mar 2026 12:00:00 +0100", datetime(2026, 3, 3, 11, tzinfo=UTC)),
        ("Received: by a; Tue, 3 Mar 2026 12:00:00 -0000", None),
        ("Received: by a; whenever", None),
        ("Received: by a; 99999 Mar 99999999999 12:00:00 +0100", None),
        ("X-Other: 1", None),
    ],
)
def test_the_topmost_server_tells_when_a_reply_arrived(line: str, arrived: datetime | None) -> None:
    raw = f"{line}\nReceived: by b; Mon, 2 Mar 2026 12:00:00 +0100\n" if arrived else f"{line}\n"
    assert read(f"{raw}From: jan@example.net\n{ANSWER}\nja".encode()).arrived == arrived


def test_a_reply_is_known_by_its_message_id_or_else_by_its_bytes() -> None:
    named = f"Message-ID: <1@example.net>\nFrom: jan@example.net\n{ANSWER}\nja"
    other_way = read(f"Received: by a\n{named}".encode())
    assert read(named.encode()).digest == other_way.digest
    assert read(named.replace("<1@", "<2@").encode()).digest != other_way.digest
    unnamed = f"From: jan@example.net\n{ANSWER}\n"
    assert read(f"{unnamed}ja".encode()).digest != read(f"{unnamed}nee".encode()).digest


@pytest.mark.parametrize("charset", ["utf-8", "latin-1"])
@pytest.mark.parametrize(
    ("subject", "kind"),
    [
        ("Réponse automatique : news", MessageKind.AUTO_REPLY),
        ("Réponse =?utf-8?Q?automatique_=C3=A0?= news", MessageKind.AUTO_REPLY),
        ("Réponse", MessageKind.REPLY),
    ],
)
def test_a_header_in_raw_bytes_is_read_as_people_see_it(
    subject: str, kind: MessageKind, charset: str
) -> None:
    head = f"From: José Müller <jörg@exämple.net>\nSubject: {subject}\n{ANSWER}"
    raw = f"{head}\nja".encode(charset)
    found = read(raw)
    assert found.kind is kind
    assert found.sender == ("jörg@exämple.net" if kind is MessageKind.REPLY else "")
    message = parse(raw)
    assert read_header(message, "From") == "José Müller <jörg@exämple.net>"
    assert read_header(message, "Subject").startswith("Réponse")
    assert "=?" not in read_header(message, "Subject")


def test_a_signature_in_small_letters_is_the_writers_by_a_name_in_raw_bytes() -> None:
    raw = f"From: José Müller <jan@example.net>\n{ANSWER}\nja\njosé müller".encode()
    assert read(raw).proposed == "yes"


def test_a_bounce_with_a_subject_in_raw_bytes_is_one() -> None:
    head = "From: system@mail.example.net\nReturn-Path: <>\nSubject: Mensagem não entregue"
    assert read(f"{head}\n\nDesculpe.".encode()).kind is MessageKind.SOFT


@pytest.mark.parametrize("charset", ["utf-7?Q?+2AA-", "raw_unicode_escape?Q?\\ud800"])
def test_a_header_with_half_of_a_character_is_text(charset: str) -> None:
    lines = f"Message-ID: =?{charset}?=\nSubject: =?{charset}?=\nFrom: jan@example.net\n{ANSWER}"
    assert read(f"{lines}\nja".encode()).proposed == "yes"
    assert read_header(parse(lines.encode()), "Subject") == "\ufffd"


@pytest.mark.parametrize("kind", ["text/plain", "multipart/mixed"])
def test_a_text_with_half_of_a_character_is_text(kind: str) -> None:
    message = parse(f"Content-Type: {kind}; charset=utf-7\n\n+2AA- é".encode())
    texts = [*read_texts(message), read_unsplit_text(message)]
    assert "\ufffd" in "".join(texts).encode().decode()


def test_a_report_whose_transfer_encoding_is_broken_is_text() -> None:
    report = "Content-Type: message/global-delivery-status\nContent-Transfer-Encoding: base64\n\n"
    (block,) = read_report_fields(parse(f"{report}Final-Recipient: é@a.example.net\n".encode()))
    assert block["final-recipient"].encode().decode() == "é@a.example.net"


# --- Whatever the bytes are.

DAEMON = b"From: MAILER-DAEMON@a.example\nReturn-Path: <>\nSubject: failure notice\n"
PERSON = b"From: jan@example.net\nIn-Reply-To: <a@b>\n"
FAILED = b"\nA message that you sent could not be delivered\n"


def nested(depth: int) -> bytes:
    return b"".join(
        b'Content-Type: multipart/mixed; boundary="b%d"\n\n--b%d\n' % (n, n) for n in range(depth)
    )


@pytest.mark.everyday("[0]", "[1]", "[2]")
@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\n",
        bytes(range(256)) * 100,
        DAEMON + nested(3000),
        DAEMON + b"Content-Type: message/rfc822\n\n" * 3000,
        DAEMON + b'Content-Type: multipart/report; boundary="b"\n\n' + b"--b\n\nx\n" * 5000,
        DAEMON + b"Content-Type: multipart/report" + b"; a*0*=x" * 2000 + b"\n\n",
        DAEMON + FAILED + b"a" * 2_000_000,
        DAEMON + FAILED + b"<" * 1_000_000,
        DAEMON + FAILED + (b"<" * 1999 + b"\n") * 500,
        DAEMON + b"\n" * 200_000,
        PERSON + b"Subject: " + b"=?a?q?" * 100_000 + b"\n\nja",
        PERSON.replace(b"jan", b'"(' * 100_000) + b"\nja",
        b"From: jan@example.net\nReferences: " + b"<a@b>" * 100_000 + b"\n\nja",
        PERSON + b"Subject: =?no-such?b?a?= =?utf-8?b?a?=\n\nja",
        PERSON + b"Content-Type: text/html\n\n" + b"<div " * 100_000,
        PERSON + b"Content-Type: text/html\n\n" + b"<!--" * 100_000,
        PERSON + b'Content-Type: text/plain; charset="nul\0l"\n\nja',
        PERSON + b"Content-Type: text/plain; charset=no-such\n\n\xff ja",
        PERSON + b"Content-Type: text/plain; charset=idna\n\n\xff ja",
        PERSON + b"Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\n=====",
        PERSON + b"Content-Type: multipart/mixed\n\nno parts",
    ],
    ids=range(22),
)
def test_hostile_bytes_are_read_to_an_end(raw: bytes) -> None:
    assert read(raw).kind in {MessageKind.SOFT, MessageKind.NOTHING, MessageKind.REPLY}


@given(st.binary(max_size=2000))
def test_any_bytes_are_read_to_an_end(raw: bytes) -> None:
    assert read(raw).kind in set(MessageKind)


@given(st.text(max_size=300), st.sampled_from(NAMES))
def test_text_in_any_place_is_read_to_an_end(text: str, name: str) -> None:
    raw = returned(name, verp=VERP, message_id=MESSAGE_ID)
    cut = raw[: len(text) * 7]
    assert read(cut + text.encode("utf-8", "surrogatepass") + raw[len(cut) :]).kind in set(
        MessageKind
    )


def test_what_cannot_be_read_is_noted_by_its_kind_alone(caplog: pytest.LogCaptureFixture) -> None:
    assert read(DAEMON + nested(3000) + b"jan@example.net").kind is MessageKind.NOTHING
    (record,) = caplog.records
    assert record.getMessage() == "a message cannot be read: RecursionError"


def test_what_lies_beyond_the_limit_is_not_read() -> None:
    said = b"550 5.1.1 unknown"
    head = b"From: MAILER-DAEMON@a.example\n\n"
    line = b"x" * 899 + b"\n"
    assert read(head + line * (MAX_SIZE // 900 - 1) + said).kind is MessageKind.SOFT
    assert read(head + line * (MAX_SIZE // 900 + 1) + said).kind is MessageKind.NOTHING


def test_the_library_for_odd_formats_writes_no_log() -> None:
    assert not logging.getLogger("flufl.bounce").isEnabledFor(logging.CRITICAL)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "[]",
        "{}",
        '{"notificationType": "Delivery", "mail": {"source": "bounce@example.org"}}',
        '{"notificationType": "Bounce", "bounce": {"bouncedRecipients": 1}, "mail": 1}',
        '{"notificationType": "Bounce", "bounce": [], "mail": {"headers": [1, {"name": 1}]}}',
        '{"notificationType": "Bounce", "bounce": {"bouncedRecipients": [1, {"status": 1}]}}',
        '{"Message": "no notification"}',
        "[" * 100_000,
    ],
)
def test_another_notification_of_amazon_says_nothing(body: str) -> None:
    raw = f"From: no-reply@sns.amazonaws.com\nSubject: AWS Notification Message\n\n{body}"
    assert read(raw.encode()).kind is MessageKind.NOTHING


def test_only_amazon_writes_its_notifications() -> None:
    raw = returned("sns_no_such_user").replace(b"no-reply@sns.", b"no-reply@sns.example.")
    assert read(raw).kind is MessageKind.NOTHING


def test_a_bounce_about_a_bounce_is_read_for_itself() -> None:
    raw = returned("trendmicro_repacked")
    why = raw.replace(b"delivery errors -----\n\n--outer", b"errors -----\n550 full\n\n--outer", 1)
    assert why != raw
    assert read(why).kind is MessageKind.SOFT
