"""Handing a mail over: what arrives, what is refused, and what nobody can know."""

from __future__ import annotations

import logging
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from email import message_from_bytes
from pathlib import Path
from typing import TYPE_CHECKING, Any

import flask_mail
import pytest
from aiosmtpd.smtp import AuthResult, LoginPassword

from repermit.emails.mail_types import Mail
from repermit.errors import ConfigError, OutcomeUnknown, TransportError
from repermit.settings.definitions import MailServer
from repermit.smtp import mail_server
from repermit.smtp.connection import CancelToken
from repermit.smtp.mail_server import Mailer, send_one
from repermit.smtp.reply_codes import Reply
from tests.support.certificates import server_context
from tests.support.inbox import HANG_UP, Inbox
from tests.support.scripted_smtp_server import SILENCE, DrippingServer, ScriptedServer, slowly

if TYPE_CHECKING:
    import trustme

FROM = "praktijk@example.org"
TO = "jan@example.org"
RAW = b"Subject: hello\r\n\r\nhello\r\n"
LOST = "the mail server has ended the connection (no reply)"
LOGIN = {"username": "jan", "password": "mellon"}
PERHAPS = "the mail server has not said whether it has accepted a mail (no reply)"


def make_mailer(port: int, **overrides: Any) -> Mailer:
    values = {"server": "localhost", "port": port, "tls": "none"}
    return Mailer(MailServer(**{**values, **overrides}))


def make_mail(**overrides: Any) -> Mail:
    values = {
        "envelope_from": FROM,
        "envelope_to": TO,
        "raw": RAW,
        "message_id": "<1@example.org>",
        "subject": "hello",
        "text": "hello",
        "html": "hello",
        "needs_smtputf8": False,
    }
    return Mail(**{**values, **overrides})


def hand_over(through: Mailer, *, timeout: float = 5, **mail: Any) -> Reply:
    with closing(through.open_connection()) as connection:
        return mail_server.hand_over(connection, make_mail(**mail), timeout=timeout)


# --- What arrives.


def test_a_mail_arrives_as_it_is(inbox: Inbox) -> None:
    assert hand_over(make_mailer(inbox.port)) == Reply(250, "2.0.0")
    (mail,) = inbox.mails
    assert (mail.mail_from, mail.rcpt_tos, mail.raw) == (FROM, (TO,), RAW)
    assert mail.mail_options == (f"SIZE={len(RAW)}",)


def test_many_mails_take_one_line() -> None:
    with ScriptedServer() as server:
        with closing(make_mailer(server.port).open_connection()) as connection:
            for _ in range(3):
                mail_server.hand_over(connection, make_mail(), timeout=5)
        assert (server.connections, len(server.mails)) == (1, 3)


def test_a_server_that_goes_first_is_no_trouble() -> None:
    with ScriptedServer(QUIT=HANG_UP) as server:
        hand_over(make_mailer(server.port))


@pytest.mark.parametrize(
    ("raw", "arrived"),
    [
        (b".\r\n..\r\n.a\r\n", b".\r\n..\r\n.a\r\n"),
        (b"a\n.\nb\r.\rc", b"a\r\n.\r\nb\r\n.\r\nc\r\n"),
        (b"a", b"a\r\n"),
    ],
)
def test_no_line_can_end_a_mail_early(inbox: Inbox, raw: bytes, arrived: bytes) -> None:
    hand_over(make_mailer(inbox.port), raw=raw)
    assert [mail.raw for mail in inbox.mails] == [arrived]


def test_a_mail_that_no_system_takes_at_once_arrives_whole() -> None:
    large = b"a line of a mail\r\n" * 500_000
    with ScriptedServer(EHLO="250 mail.example.org") as server:
        hand_over(make_mailer(server.port), raw=large)
        assert server.accepted == [large]


def test_a_local_part_outside_ascii_goes_where_it_is_offered() -> None:
    raw = "To: jürgen@example.org\r\n\r\nhello\r\n".encode()
    with Inbox(enable_SMTPUTF8=True) as inbox:
        hand_over(
            make_mailer(inbox.port), raw=raw, envelope_to="jürgen@example.org", needs_smtputf8=True
        )
        (mail,) = inbox.mails
    assert (mail.rcpt_tos, mail.raw) == (("jürgen@example.org",), raw)
    assert mail.mail_options[1:] == ("BODY=8BITMIME", "SMTPUTF8")


def test_a_local_part_outside_ascii_is_refused_where_it_is_not_offered() -> None:
    with ScriptedServer() as server:
        with pytest.raises(TransportError) as refused:
            hand_over(
                make_mailer(server.port), envelope_to="jürgen@example.org", needs_smtputf8=True
            )
        assert (refused.value.scope, refused.value.permanent) == ("message", True)
        assert refused.value.status == "5.6.7"


@pytest.mark.parametrize("address", ["a@b.org>\r\nRCPT TO:<c@d.org", "a b@example.org", "<a@b>"])
def test_an_address_cannot_say_more_than_itself(address: str) -> None:
    with ScriptedServer() as server:
        with pytest.raises(TransportError) as refused:
            hand_over(make_mailer(server.port), envelope_to=address)
        assert refused.value.permanent
        assert not any(line.startswith(("MAIL", "RCPT")) for line in server.said)


def test_a_single_mail_is_sent_in_one_go(inbox: Inbox) -> None:
    sending = MailServer(server="localhost", port=inbox.port, tls="none")
    assert send_one(sending, make_mail()).code == 250
    assert [mail.raw for mail in inbox.mails] == [RAW]


def test_a_message_of_flask_mail_is_sent_over_our_connection(
    authority: trustme.CA, ca_file: str
) -> None:
    with make_tls_inbox("starttls", server_context(authority)) as inbox:
        mail = make_mailer(inbox.port, tls="starttls", ca_file=ca_file)
        mail.send(flask_mail.Message("One", sender=FROM, recipients=[TO], body="one"))
        with mail.connect() as connection:
            for subject in ("Two", "Three"):
                message = flask_mail.Message(subject, sender=FROM, recipients=[TO], body="more")
                connection.send(message)
    assert [message_from_bytes(one.raw)["Subject"] for one in inbox.mails] == [
        "One",
        "Two",
        "Three",
    ]


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r"])
def test_no_extra_header_of_flask_mail_can_begin_another_one(inbox: Inbox, end: str) -> None:
    headers = {"X-Own": f"a{end}Bcc: anybody@example.org"}
    message = flask_mail.Message(sender=FROM, recipients=[TO], body="", extra_headers=headers)
    with pytest.raises(flask_mail.BadHeaderError):
        make_mailer(inbox.port).send(message)
    assert not inbox.mails


# --- What is refused, and what nobody can know.


@pytest.mark.parametrize(
    ("where", "line", "scope"),
    [
        ("MAIL", "550 5.1.1 no such user", "server"),
        ("RCPT", "550 5.1.1 no such user", "recipient"),
        ("RCPT", "450 4.2.0 greylisted", "recipient"),
        ("RCPT", "550 5.7.1 no such user", "recipient"),
        ("RCPT", "550 5.7.1 not for you", "policy"),
        ("RCPT", "421 closing", "server"),
        ("DATA", "554 no", "message"),
        ("DATA", "451 later", "message"),
        ("dot", "550 5.1.1 no such user", "recipient"),
        ("dot", "554 5.6.0 no", "message"),
        ("dot", "550 5.4.5 daily limit", "server"),
        ("dot", "421 4.3.2 closing", "server"),
    ],
)
@pytest.mark.parametrize("offers", ["250 mail", "250-mail\r\n250 PIPELINING"])
def test_a_refusal_is_sure(where: str, line: str, scope: str, offers: str) -> None:
    with ScriptedServer(EHLO=offers, **{where: line}) as server:
        with pytest.raises(TransportError) as refused:
            hand_over(make_mailer(server.port))
        assert not isinstance(refused.value, OutcomeUnknown)
        assert refused.value.scope == scope
        assert str(refused.value.code) == line[:3]
        assert "user" not in str(refused.value)
        assert not server.accepted


LOSSES = {
    HANG_UP: LOST,
    SILENCE: "the mail server has not answered in time (no reply)",
    "oops": "the mail server gave an answer that cannot be understood (no reply)",
}


@pytest.mark.parametrize(
    ("where", "reply"),
    [
        *((where, reply) for where in ("MAIL", "RCPT", "DATA") for reply in LOSSES),
        ("body", HANG_UP),
    ],
)
def test_before_the_dot_a_lost_reply_leaves_no_doubt(where: str, reply: str) -> None:
    # What has been sent before the server went is no whole mail, so large as it is.
    large = b"a line of a mail\r\n" * 500_000
    with ScriptedServer(EHLO="250 mail", **{where: reply}) as server:
        with pytest.raises(TransportError) as lost:
            hand_over(make_mailer(server.port), raw=large, timeout=0.5)
        assert not isinstance(lost.value, OutcomeUnknown)
        assert (lost.value.scope, lost.value.permanent) == ("server", False)
        assert str(lost.value) == LOSSES[reply]


@pytest.mark.parametrize("reply", [HANG_UP, SILENCE, "oops", "25", "354 more?", "250-2.0.0 cut"])
def test_after_the_dot_a_lost_reply_leaves_a_doubt(reply: str) -> None:
    with ScriptedServer(dot=reply) as server:
        with pytest.raises(OutcomeUnknown) as lost:
            hand_over(make_mailer(server.port), timeout=0.5)
        assert (lost.value.code, lost.value.scope) == (0, "server")
        assert str(lost.value) == PERHAPS


def test_each_reply_may_take_its_time() -> None:
    slow = {name: slowly(0.3, "250 OK") for name in ("MAIL", "RCPT", "dot")}
    with ScriptedServer(**slow) as server:
        assert hand_over(make_mailer(server.port), timeout=0.6).code == 250


# --- TLS.


def make_tls_inbox(tls: str, context: ssl.SSLContext) -> Inbox:
    if tls == "tls":
        return Inbox(ssl_context=context)
    return Inbox(tls_context=context, require_starttls=True)


@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_a_mail_goes_through_tls(tls: str, authority: trustme.CA, ca_file: str) -> None:
    with make_tls_inbox(tls, server_context(authority)) as inbox:
        hand_over(make_mailer(inbox.port, tls=tls, ca_file=ca_file))
        assert [mail.raw for mail in inbox.mails] == [RAW]


@pytest.mark.parametrize("tls", ["starttls", "tls"])
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("localhost", "certificate that cannot be trusted"),
        ("mail.example.org", "not valid for 'localhost'"),
    ],
)
def test_a_certificate_that_is_not_the_servers_is_refused(
    tls: str, name: str, words: str, authority: trustme.CA, ca_file: str
) -> None:
    # Only the one with the wrong name comes from an authority that is known.
    known = "" if name == "localhost" else ca_file
    with (
        make_tls_inbox(tls, server_context(authority, name)) as inbox,
    ):
        with pytest.raises(TransportError, match=words) as refused:
            hand_over(make_mailer(inbox.port, tls=tls, ca_file=known))
        assert (refused.value.scope, refused.value.permanent) == ("server", False)
        assert not inbox.mails


def test_a_server_whose_starttls_was_taken_out_gets_nothing() -> None:
    with (
        ScriptedServer() as server,
    ):
        with pytest.raises(TransportError, match="does not offer STARTTLS") as refused:
            hand_over(make_mailer(server.port, tls="starttls", username="u", password="p"))
        assert refused.value.scope == "server"
        assert not any(line.startswith(("AUTH", "MAIL")) for line in server.said)


@pytest.mark.parametrize("reply", ["454 4.7.0 not now", HANG_UP])
def test_a_server_that_fails_at_starttls_gets_nothing(reply: str) -> None:
    with (
        ScriptedServer(EHLO="250-mail\r\n250 STARTTLS", STARTTLS=reply) as server,
    ):
        with pytest.raises(TransportError, match="cannot be talked to"):
            hand_over(make_mailer(server.port, tls="starttls"))
        assert server.said[-1] == "STARTTLS"


def test_no_authority_is_read_for_a_server_without_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are more than a hundred, and that many are read each time that mails are sent."""
    monkeypatch.setattr(ssl, "create_default_context", None)
    assert make_mailer(1).tls_context is None


def test_an_authority_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    with pytest.raises(ConfigError, match="ca_file") as refused:
        make_mailer(1, ca_file=str(tmp_path / "ca.pem"))
    assert refused.value.key == "mail.ca_file"


# --- Login and connection.


class Authenticator:
    """Knows one login."""

    def __call__(
        self, _server: object, _session: object, _envelope: object, _method: str, data: object
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        is_right = (data.login, data.password) == (b"jan", b"mellon")
        # Not handled: the server is to say 535 itself.
        return AuthResult(success=is_right, handled=False)


@pytest.fixture
def closed_inbox(authority: trustme.CA) -> Iterator[Inbox]:
    """Run an inbox that wants a login, over TLS."""
    options = {"auth_required": True, "authenticator": Authenticator()}
    with Inbox(tls_context=server_context(authority), require_starttls=True, **options) as inbox:
        yield inbox


def make_closed_mailer(inbox: Inbox, password: str, ca_file: str) -> Mailer:
    login = {"username": "jan", "password": password}
    return make_mailer(inbox.port, tls="starttls", ca_file=ca_file, **login)


def test_a_login_is_given(closed_inbox: Inbox, ca_file: str) -> None:
    hand_over(make_closed_mailer(closed_inbox, "mellon", ca_file))
    assert [mail.raw for mail in closed_inbox.mails] == [RAW]


def test_a_login_that_is_wrong_is_the_servers_fault_and_is_not_told(
    closed_inbox: Inbox,
    ca_file: str,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    with (
        pytest.raises(TransportError, match="does not take the login") as refused,
    ):
        hand_over(make_closed_mailer(closed_inbox, "friend", ca_file))
    assert (refused.value.code, refused.value.scope) == (535, "server")
    mine = [line.getMessage() for line in caplog.records if line.name.startswith("repermit")]
    assert "friend" not in "".join([*capfd.readouterr(), str(refused.value), *mine])


@pytest.mark.parametrize("offers", ["250 mail", "250-mail\r\n250 AUTH XOAUTH2"])
def test_a_login_that_nobody_asked_for_is_a_fault(offers: str) -> None:
    with (
        ScriptedServer(EHLO=offers) as server,
        pytest.raises(TransportError, match=r"offers no login with a password \(no reply\)"),
    ):
        hand_over(make_mailer(server.port, username="jan", password="mellon"))


def test_a_password_that_cannot_be_sent_is_told_before() -> None:
    with pytest.raises(ConfigError, match=r"mail\.password has letters outside ASCII"):
        make_mailer(1, password="wachtwoord€")


def test_a_server_that_does_not_listen_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with pytest.raises(TransportError) as refused:
        hand_over(make_mailer(port))
    where = f"the mail server localhost, port {port}, cannot be reached"
    assert str(refused.value) == f"{where} (no reply)"


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ({"greeting": "554 5.3.2 not you"}, "cannot be reached \\(554 5.3.2\\)"),
        ({"greeting": SILENCE}, "cannot be reached \\(no reply\\)"),
        ({"greeting": HANG_UP}, "cannot be reached \\(no reply\\)"),
        ({"greeting": "220 " + "x" * 9000}, "cannot be reached \\(500\\)"),
        ({"EHLO": HANG_UP}, "cannot be talked to \\(no reply\\)"),
        ({"EHLO": "550 no", "HELO": "550 no"}, "cannot be talked to \\(550\\)"),
    ],
)
def test_a_server_that_does_not_talk_is_a_fault(lines: dict[str, Any], words: str) -> None:
    with (
        ScriptedServer(**lines) as server,
        pytest.raises(TransportError, match=words),
    ):
        hand_over(make_mailer(server.port, connect_timeout=1))


@pytest.mark.parametrize(
    ("drop", "begin", "words", "mail"),
    [
        (b"220-x\r\n", (), "cannot be reached", {}),
        (b"2", (), "cannot be reached", {}),
        (b"\x16", (), "cannot be reached", {"tls": "tls"}),
        (b"250-x\r\n", ("220 hello",), "cannot be talked to", {}),
        (b"334-x\r\n", ("220 hello", "250-x\r\n250 AUTH PLAIN"), "does not take the login", LOGIN),
    ],
)
def test_a_server_that_never_comes_to_an_end_is_left_in_time(
    drop: bytes, begin: tuple[str, ...], words: str, mail: dict[str, Any]
) -> None:
    with DrippingServer(drop, *begin) as server:
        begun = time.monotonic()
        with pytest.raises(TransportError, match=rf"{words} \(no reply\)"):
            hand_over(make_mailer(server.port, connect_timeout=1, **mail))
        assert time.monotonic() - begun < 2
        # Nothing is left behind that goes on listening.
        assert server.gone.wait(60)


def test_who_waits_for_a_dial_may_end_it() -> None:
    cancel_token = CancelToken()
    with DrippingServer(b"220-x\r\n") as server:
        timer = threading.Timer(0.2, lambda: cancel_token.finish(abort=True))
        timer.start()
        begun = time.monotonic()
        with pytest.raises(TransportError, match="cannot be reached"):
            make_mailer(server.port).open_connection(cancel_token)
        assert time.monotonic() - begun < 2
        timer.join()


def test_a_dial_that_was_ended_before_it_began_reaches_nobody() -> None:
    cancel_token = CancelToken()
    assert cancel_token.finish(abort=True)
    with ScriptedServer() as server:
        with pytest.raises(TransportError, match="cannot be reached"):
            make_mailer(server.port).open_connection(cancel_token)
        assert server.said == []


@pytest.mark.parametrize("name", ["", "mail..example.org", "x" * 64 + ".example.org"])
def test_a_name_that_no_server_can_have_is_told_before(name: str) -> None:
    with pytest.raises(ConfigError, match=r"mail\.server is no name"):
        make_mailer(1, server=name)
