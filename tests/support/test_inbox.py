"""The SMTP server that the tests send to."""

from __future__ import annotations

import smtplib
from collections.abc import Iterator

import pytest

from tests.support.inbox import HANG_UP, Inbox

RAW = b"Subject: Hello\r\n\r\n.a dot first\r\n"


@pytest.fixture
def client(inbox: Inbox) -> Iterator[smtplib.SMTP]:
    with smtplib.SMTP(inbox.host, inbox.port, local_hostname="localhost") as connection:
        yield connection


def test_it_keeps_what_came_to_the_byte(inbox: Inbox, client: smtplib.SMTP) -> None:
    client.sendmail("us@example.org", ["an@example.org"], RAW)
    (mail,) = inbox.wait_for(1)
    assert (mail.mail_from, mail.rcpt_tos, mail.raw) == ("us@example.org", ("an@example.org",), RAW)
    assert mail.message["Subject"] == "Hello"
    assert inbox.to("an@example.org") == (mail,)
    assert inbox.to("us@example.org") == ()
    inbox.clear()
    assert inbox.mails == ()


def test_it_takes_local_parts_beyond_ascii(inbox: Inbox, client: smtplib.SMTP) -> None:
    client.ehlo()
    client.sendmail("us@example.org", ["anné@example.org"], RAW, mail_options=["SMTPUTF8"])
    (mail,) = inbox.wait_for(1)
    assert mail.rcpt_tos == ("anné@example.org",)
    assert "SMTPUTF8" in mail.mail_options


def test_a_recipient_can_be_refused(inbox: Inbox, client: smtplib.SMTP) -> None:
    inbox.reply_to_rcpt = lambda address: "550 5.1.1 unknown" if address.startswith("x") else None
    refused = client.sendmail("us@example.org", ["an@example.org", "x@example.org"], RAW)
    assert refused == {"x@example.org": (550, b"5.1.1 unknown")}
    assert inbox.wait_for(1)[0].rcpt_tos == ("an@example.org",)


def test_a_mail_can_be_refused_once_it_is_there(inbox: Inbox, client: smtplib.SMTP) -> None:
    inbox.reply_to_data = lambda mail: "552 5.2.2 full" if mail.raw == RAW else None
    with pytest.raises(smtplib.SMTPDataError, match="552"):
        client.sendmail("us@example.org", ["an@example.org"], RAW)
    assert inbox.mails == ()


def test_it_can_hang_up_instead_of_answering(inbox: Inbox, client: smtplib.SMTP) -> None:
    inbox.reply_to_data = lambda _mail: HANG_UP
    with pytest.raises((smtplib.SMTPServerDisconnected, ConnectionError)):
        client.sendmail("us@example.org", ["an@example.org"], RAW)


def test_once_stopped_it_is_gone_for_those_who_are_connected_too(
    inbox: Inbox, client: smtplib.SMTP
) -> None:
    inbox.stop()
    with pytest.raises((smtplib.SMTPServerDisconnected, ConnectionError)):
        client.noop()
    with pytest.raises(ConnectionError):
        smtplib.SMTP(inbox.host, inbox.port, local_hostname="localhost")


def test_waiting_for_what_does_not_come_fails(inbox: Inbox) -> None:
    with pytest.raises(AssertionError, match="0 mails came"):
        inbox.wait_for(1, timeout=0.01)
