"""Handing mails over: what arrives, what is refused, and what nobody can know."""

from __future__ import annotations

import logging
import smtplib
import socket
import ssl
from typing import TYPE_CHECKING, Any

import flask_mail
import pytest
import trustme
from aiosmtpd.smtp import AuthResult, LoginPassword

from repermit.config import MailServer
from repermit.errors import ConfigError, OutcomeUnknown, TransportError
from repermit.mailer import Connection, Mailer, Reply, send_one
from repermit.messages import Mail
from tests.inbox import HANG_UP, Inbox
from tests.scripted import SILENCE, ScriptedServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FROM = "praktijk@example.org"
TO = "jan@example.org"
RAW = b"Subject: hello\r\n\r\nhello\r\n"
LOST = "the mail server has ended the connection (no reply)"


def make_mailer(port: int, **overrides: Any) -> Mailer:
    values = {"server": "localhost", "port": port, "tls": "none", "reply_timeout": 5}
    return Mailer(MailServer(**{**values, **overrides}))


def hand_over(connection: Connection, raw: bytes = RAW, *, to: str = TO) -> Reply:
    connection.prepare(FROM, to, size=len(raw))
    return connection.commit_body(raw)


# --- What arrives.


def test_a_mail_arrives_as_it_is(inbox: Inbox) -> None:
    with make_mailer(inbox.port).open() as connection:
        assert hand_over(connection) == Reply(250, "2.0.0")
    (mail,) = inbox.mails
    assert (mail.mail_from, mail.rcpt_tos, mail.raw) == (FROM, (TO,), RAW)
    assert mail.mail_options == (f"SIZE={len(RAW)}",)


def test_many_mails_take_one_connection() -> None:
    with ScriptedServer() as server, make_mailer(server.port).open() as connection:
        for _ in range(3):
            hand_over(connection)
        assert (server.connections, len(server.mails)) == (1, 3)


def test_leave_is_taken_politely() -> None:
    with ScriptedServer() as server, make_mailer(server.port).open() as connection:
        hand_over(connection)
        connection.close()
        assert server.said[-1] == "quit"


def test_a_server_that_goes_first_is_no_trouble() -> None:
    with ScriptedServer(QUIT=HANG_UP) as server, make_mailer(server.port).open() as connection:
        hand_over(connection)


def test_nothing_is_connected_before_it_is_needed() -> None:
    with make_mailer(1).open() as connection:
        assert connection.host is None


@pytest.mark.parametrize(
    ("raw", "arrived"),
    [
        (b".\r\n..\r\n.a\r\n", b".\r\n..\r\n.a\r\n"),
        (b"a\n.\nb\r.\rc", b"a\r\n.\r\nb\r\n.\r\nc\r\n"),
        (b"a", b"a\r\n"),
    ],
)
def test_no_line_can_end_a_mail_early(inbox: Inbox, raw: bytes, arrived: bytes) -> None:
    with make_mailer(inbox.port).open() as connection:
        hand_over(connection, raw)
    assert [mail.raw for mail in inbox.mails] == [arrived]


def test_a_local_part_outside_ascii_goes_where_it_is_offered(inbox: Inbox) -> None:
    utf8 = Inbox(enable_SMTPUTF8=True)
    raw = "To: jürgen@example.org\r\n\r\nhello\r\n".encode()
    with utf8, make_mailer(utf8.port).open() as connection:
        connection.prepare(FROM, "jürgen@example.org", smtputf8=True)
        connection.commit_body(raw)
        hand_over(connection)
    first, second = utf8.mails
    assert (first.rcpt_tos, first.raw) == (("jürgen@example.org",), raw)
    assert first.mail_options == ("BODY=8BITMIME", "SMTPUTF8")
    assert second.mail_options == (f"SIZE={len(RAW)}",)
    assert not inbox.mails


def test_a_local_part_outside_ascii_is_refused_where_it_is_not_offered() -> None:
    with ScriptedServer() as server, make_mailer(server.port).open() as connection:
        with pytest.raises(TransportError) as refused:
            connection.prepare(FROM, "jürgen@example.org", smtputf8=True)
        assert (refused.value.scope, refused.value.permanent) == ("message", True)
        assert refused.value.status == "5.6.7"
        hand_over(connection)
        assert (server.connections, len(server.mails)) == (1, 1)


@pytest.mark.parametrize("address", ["a@b.org>\r\nRCPT TO:<c@d.org", "a b@example.org", "<a@b>"])
def test_an_address_cannot_say_more_than_itself(address: str) -> None:
    with ScriptedServer() as server, make_mailer(server.port).open() as connection:
        with pytest.raises(TransportError) as refused:
            hand_over(connection, to=address)
        assert refused.value.permanent
        assert not server.said


def test_a_single_mail_is_sent_in_one_go(inbox: Inbox) -> None:
    mail = Mail(
        envelope_from=FROM,
        envelope_to=TO,
        raw=RAW,
        message_id="<1@example.org>",
        subject="hello",
        text="hello",
        html="hello",
        needs_smtputf8=False,
    )
    sending = MailServer(server="localhost", port=inbox.port, tls="none")
    assert send_one(sending, mail).code == 250
    assert [mail.raw for mail in inbox.mails] == [RAW]


def test_flask_mails_own_way_of_sending_is_closed() -> None:
    with make_mailer(1).open() as connection, pytest.raises(NotImplementedError):
        connection.send(flask_mail.Message(sender=FROM, recipients=[TO]))


# --- A connection that has ended, or has to.


@pytest.mark.parametrize(
    "ending", [HANG_UP, "421 4.4.2 idle", "452 4.3.2 enough mails", "554 5.5.0 enough"]
)
def test_a_connection_that_has_ended_meanwhile_is_made_anew(ending: str) -> None:
    script = ["250 OK", ending, "250 OK"]
    with (
        ScriptedServer(MAIL=script) as server,
        make_mailer(server.port).open() as connection,
    ):
        hand_over(connection)
        hand_over(connection)
        assert (server.connections, len(server.mails)) == (2, 2)


def test_a_server_that_refuses_again_is_believed() -> None:
    script = ["250 OK", "421 busy", "421 busy"]
    with (
        ScriptedServer(MAIL=script) as server,
        make_mailer(server.port).open() as connection,
    ):
        hand_over(connection)
        with pytest.raises(TransportError, match="refuses mails") as refused:
            hand_over(connection)
        assert (refused.value.code, refused.value.scope) == (421, "server")
        assert server.connections == 2


@pytest.mark.parametrize("where", ["MAIL", "RCPT", "DATA"])
def test_a_server_that_hangs_up_has_accepted_nothing(where: str) -> None:
    with (
        ScriptedServer(**{where: [HANG_UP, _USUAL[where]]}) as server,
        make_mailer(server.port).open() as connection,
    ):
        with pytest.raises(TransportError) as refused:
            hand_over(connection)
        assert not isinstance(refused.value, OutcomeUnknown)
        assert (refused.value.scope, refused.value.permanent) == ("server", False)
        assert str(refused.value) == LOST
        hand_over(connection)
        assert len(server.mails) == 1


_USUAL = {"MAIL": "250 OK", "RCPT": "250 OK", "DATA": "354 go on"}


@pytest.mark.parametrize(
    ("where", "line", "scope", "connections"),
    [
        ("MAIL", "550 5.1.1 no such user", "server", 1),
        ("RCPT", "550 5.1.1 no such user", "recipient", 1),
        ("RCPT", "450 4.2.0 greylisted", "recipient", 1),
        ("DATA", "554 no", "message", 1),
        ("DATA", "451 later", "message", 1),
        ("DATA", "250 not what was asked", "server", 2),
        ("RCPT", "oops", "server", 2),
        ("RCPT", "421 closing", "server", 2),
    ],
)
def test_after_a_refusal_the_connection_can_be_used_again(
    where: str, line: str, scope: str, connections: int
) -> None:
    with (
        ScriptedServer(**{where: [line, _USUAL[where]]}) as server,
        make_mailer(server.port).open() as connection,
    ):
        with pytest.raises(TransportError) as refused:
            connection.prepare(FROM, TO)
        assert refused.value.scope == scope
        assert "user" not in str(refused.value)
        hand_over(connection)
        assert len(server.mails) == 1
        assert server.connections == connections
        assert server.said.count("rset") == 2 - connections


@pytest.mark.parametrize("answer", [HANG_UP, "502 no"])
def test_a_server_that_cannot_forget_gets_a_new_connection(answer: str) -> None:
    script = ["550 5.1.1 no such user", "250 OK"]
    with (
        ScriptedServer(RCPT=script, RSET=answer) as server,
        make_mailer(server.port).open() as connection,
    ):
        with pytest.raises(TransportError):
            hand_over(connection)
        hand_over(connection)
        assert (server.connections, len(server.mails)) == (2, 1)


# --- The body and its dot.


def test_without_its_dot_a_mail_was_never_sent() -> None:
    with ScriptedServer() as server, make_mailer(server.port).open() as connection:
        connection.prepare(FROM, TO)
        connection.hang_up()
        connection.hang_up()
        hand_over(connection)
        assert (server.connections, server.mails) == (2, [RAW])


def test_in_the_middle_of_a_mail_no_leave_is_taken() -> None:
    with ScriptedServer() as server:
        with make_mailer(server.port).open() as connection:
            connection.prepare(FROM, TO)
        assert server.said[-1] == "DATA"
        assert not server.mails


def test_a_server_that_goes_during_the_body_has_surely_not_accepted_it() -> None:
    with ScriptedServer(body=HANG_UP) as server, make_mailer(server.port).open() as connection:
        connection.prepare(FROM, TO)
        assert server.has_hung_up.wait(10)
        with pytest.raises(TransportError) as refused:
            connection.commit_body(RAW)
        assert not isinstance(refused.value, OutcomeUnknown)
        assert str(refused.value) == LOST


@pytest.mark.parametrize("reply", [HANG_UP, SILENCE, "oops", "25", "354 more?", "250-2.0.0 cut"])
def test_after_the_dot_a_lost_reply_leaves_a_doubt(reply: str) -> None:
    with (
        ScriptedServer(dot=[reply, "250 OK"]) as server,
        make_mailer(server.port, reply_timeout=1).open() as connection,
    ):
        with pytest.raises(OutcomeUnknown) as lost:
            hand_over(connection)
        assert (lost.value.code, lost.value.scope) == (0, "server")
        hand_over(connection)
        assert (server.connections, len(server.mails)) == (2, 2)


@pytest.mark.parametrize(
    ("reply", "scope", "connections"),
    [
        ("550 5.1.1 no such user", "recipient", 1),
        ("554 5.6.0 no", "message", 1),
        ("451 4.3.0 later", "message", 1),
        ("550 5.4.5 daily limit", "server", 1),
        ("421 4.3.2 closing", "server", 2),
    ],
)
def test_after_the_dot_a_refusal_is_sure(reply: str, scope: str, connections: int) -> None:
    with (
        ScriptedServer(dot=[reply, "250 OK"]) as server,
        make_mailer(server.port).open() as connection,
    ):
        with pytest.raises(TransportError) as refused:
            hand_over(connection)
        assert not isinstance(refused.value, OutcomeUnknown)
        assert refused.value.scope == scope
        hand_over(connection)
        assert server.connections == connections


# --- TLS.


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> str:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


def server_context(authority: trustme.CA, name: str = "localhost") -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


def make_tls_inbox(tls: str, context: ssl.SSLContext) -> Inbox:
    if tls == "tls":
        return Inbox(ssl_context=context)
    return Inbox(tls_context=context, require_starttls=True)


@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_a_mail_goes_through_tls(tls: str, authority: trustme.CA, ca_file: str) -> None:
    with make_tls_inbox(tls, server_context(authority)) as inbox:
        with make_mailer(inbox.port, tls=tls, ca_file=ca_file).open() as connection:
            hand_over(connection)
            assert isinstance(connection.host, smtplib.SMTP)
            assert isinstance(connection.host.sock, ssl.SSLSocket)
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
        make_mailer(inbox.port, tls=tls, ca_file=known).open() as connection,
    ):
        with pytest.raises(TransportError, match=words) as refused:
            hand_over(connection)
        assert (refused.value.scope, refused.value.permanent) == ("server", False)
        assert not inbox.mails


def test_a_server_whose_starttls_was_taken_out_gets_nothing() -> None:
    with (
        ScriptedServer() as server,
        make_mailer(server.port, tls="starttls", username="u", password="p").open() as connection,
    ):
        with pytest.raises(TransportError, match="does not offer STARTTLS") as refused:
            hand_over(connection)
        assert refused.value.scope == "server"
        assert not any(line.startswith(("AUTH", "MAIL")) for line in server.said)


@pytest.mark.parametrize("reply", ["454 4.7.0 not now", HANG_UP])
def test_a_server_that_fails_at_starttls_gets_nothing(reply: str) -> None:
    with (
        ScriptedServer(EHLO="250-mail\r\n250 STARTTLS", STARTTLS=reply) as server,
        make_mailer(server.port, tls="starttls").open() as connection,
    ):
        with pytest.raises(TransportError, match="cannot be talked to"):
            hand_over(connection)
        assert server.said[-1] == "STARTTLS"


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
    with make_closed_mailer(closed_inbox, "mellon", ca_file).open() as connection:
        hand_over(connection)
    assert [mail.raw for mail in closed_inbox.mails] == [RAW]


def test_a_login_that_is_wrong_is_the_servers_fault_and_is_not_told(
    closed_inbox: Inbox,
    ca_file: str,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    with (
        make_closed_mailer(closed_inbox, "friend", ca_file).open() as connection,
        pytest.raises(TransportError, match="does not take the login") as refused,
    ):
        hand_over(connection)
    assert (refused.value.code, refused.value.scope) == (535, "server")
    mine = [line.getMessage() for line in caplog.records if line.name.startswith("repermit")]
    assert "friend" not in "".join([*capfd.readouterr(), str(refused.value), *mine])


def test_a_login_that_nobody_asked_for_is_a_fault() -> None:
    with (
        ScriptedServer() as server,
        make_mailer(server.port, username="jan", password="mellon").open() as connection,
        pytest.raises(TransportError, match="does not take the login"),
    ):
        hand_over(connection)


def test_a_password_that_cannot_be_sent_is_told_before() -> None:
    with pytest.raises(ConfigError, match=r"mail\.password has letters outside ASCII"):
        make_mailer(1, password="wachtwoord€")


def test_a_server_that_does_not_listen_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with make_mailer(port).open() as connection, pytest.raises(TransportError) as refused:
        hand_over(connection)
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
        make_mailer(server.port, connect_timeout=1).open() as connection,
        pytest.raises(TransportError, match=words),
    ):
        hand_over(connection)


@pytest.mark.parametrize("name", ["", "mail..example.org", "x" * 64 + ".example.org"])
def test_a_name_that_no_server_can_have_is_told_before(name: str) -> None:
    with pytest.raises(ConfigError, match=r"mail\.server is no name"):
        make_mailer(1, server=name)
