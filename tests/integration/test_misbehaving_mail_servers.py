"""Servers that misbehave: a table, one row a fault, and what has become of three mails then.

After each row the next run goes to a server in good health, and asks everybody who is left once.
"""

from __future__ import annotations

import email
import email.policy
import re
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from repermit.db.connection import Database
from repermit.db.models.campaigns import Campaign
from repermit.db.models.contacts import Contact
from repermit.db.models.mails import Mail
from repermit.rules.consent import MailKind, MailState, Reason, Status
from repermit.sending.send_due import SendResult
from repermit.sending.server_faults import count_policy_refusals
from tests.support.builders import NOW
from tests.support.inbox import HANG_UP, Inbox
from tests.support.scripted_smtp_server import SILENCE, DrippingServer, ScriptedServer, slowly
from tests.support.sending_campaign import Story, expect_few_waits, mail_settings, make_story

if TYPE_CHECKING:
    import trustme

TINY = timedelta(microseconds=1)
MINUTE = timedelta(minutes=1)
OK = "250 2.0.0 OK"
GO_ON = "354 go on"
WELCOME = "220 mail.example.org"
OFFERS = "250-mail.example.org\r\n250 SIZE 1000000"
PIPELINING = "250-mail.example.org\r\n250-PIPELINING\r\n250 SIZE 1000000"
AUTH = "250-mail.example.org\r\n250 AUTH PLAIN"
LOGIN = {"username": "praktijk", "password": "mellon"}

# What has become of a mail: the state, the reason, how many attempts it has used up, and how many
# minutes it waits.
SENT = ("sent", "", 1, 0)
LATER = ("queued", "", 1, 1)
HELD = ("queued", "", 0, 0)
PUT_OFF = ("queued", "", 0, 240)
NOBODY = ("failed", "recipient", 1, 0)
NOT_TAKEN = ("failed", "message", 1, 0)
DOUBT = ("in_doubt", "", 1, 0)

ALL_SENT = (SENT, SENT, SENT)
ALL_HELD = (HELD, HELD, HELD)
"""Nobody's fault but the server's."""

REFUSES = r"^the mail server refuses mails \("
ENDED = r"^the mail server has ended the connection \(no reply\)$"
CLOSED = r"^the mail server has ended the connection \(421 .*\)$"
SILENT = r"^the mail server has not answered in time \(no reply\)$"
GARBLED = r"^the mail server gave an answer that cannot be understood \(no reply\)$"
PERHAPS = r"^the mail server has not said whether it has accepted a mail \(no reply\)$"
UNREACHED = r"cannot be reached \({}\)$"
DUMB = r"cannot be talked to \({}\)$"
NO_LOGIN = r"does not take the login \({}\)$"


@dataclass(frozen=True)
class Row:
    """What a server does, and what has become of Anna's, Bram's and Cor's mails at the end.

    `fault` is what the run says of the server, "" for nothing; `mail` are settings.
    """

    does: str
    lines: dict[str, Any]
    mails: tuple[tuple[str, str, int, int], ...]
    fault: str = ""
    mail: dict[str, Any] = field(default_factory=dict)


def second(reply: str, usual: str = OK) -> list[str]:
    """Return replies of which only the second is this one."""
    return [usual, reply, usual]


CONNECTING = [
    Row("4xx at connect", {"greeting": "421 4.3.2 busy"}, ALL_HELD, UNREACHED.format("421 4.3.2")),
    Row("5xx at connect", {"greeting": "554 5.7.1 no"}, ALL_HELD, UNREACHED.format("554 5.7.1")),
    Row("reset at connect", {"greeting": HANG_UP}, ALL_HELD, UNREACHED.format("no reply")),
    Row("hangs at connect", {"greeting": SILENCE}, ALL_HELD, UNREACHED.format("no reply")),
    Row("talks nonsense", {"greeting": "SSH-2.0-x"}, ALL_HELD, UNREACHED.format("no reply")),
    Row("4xx at EHLO", {"EHLO": "451 no", "HELO": "451 4.3.0 no"}, ALL_HELD, DUMB.format("451.*")),
    Row("5xx at EHLO", {"EHLO": "550 no", "HELO": "550 no"}, ALL_HELD, DUMB.format("550")),
    Row("only knows HELO", {"EHLO": "502 what?", "HELO": OK}, ALL_SENT),
    Row("reset at EHLO", {"EHLO": HANG_UP}, ALL_HELD, DUMB.format("no reply")),
    Row("hangs at EHLO", {"EHLO": SILENCE}, ALL_HELD, DUMB.format("no reply")),
    *(
        Row(
            f"{reply} at AUTH",
            {"EHLO": AUTH, "AUTH": reply},
            ALL_HELD,
            NO_LOGIN.format(codes),
            LOGIN,
        )
        for reply, codes in [
            ("454 4.7.0 Temporary authentication failure", "454 4.7.0"),
            ("454 4.7.0 Too many login attempts, please try again later", "454 4.7.0"),
            ("535 5.7.8 Username and Password not accepted", "535 5.7.8"),
            ("535 5.7.139 SmtpClientAuthentication is disabled for the Tenant", "535 5.7.139"),
            ("534 5.7.9 Application-specific password required", "534 5.7.9"),
            ("421 4.7.0 try again later", "421 4.7.0"),
            (HANG_UP, "no reply"),
            (SILENCE, "no reply"),
        ]
    ),
    Row(
        "offers no login",
        {"EHLO": OFFERS},
        ALL_HELD,
        r"offers no login with a password \(no reply\)$",
        LOGIN,
    ),
    Row(
        "has STARTTLS stripped",
        {"EHLO": OFFERS},
        ALL_HELD,
        r"does not offer STARTTLS \(no reply\)$",
        {"tls": "starttls"},
    ),
]

AT_MAIL = [
    *(
        Row(f"{reply} at every MAIL", {"MAIL": reply}, ALL_HELD, REFUSES)
        for reply in [
            "451 4.3.0 later",
            "452 4.3.1 full",
            "550 5.7.1 policy",
            "550 5.1.8 bad sender",
            "550 5.1.1 no such user",
            "530 5.7.57 Client not authenticated to send mail",
            "530 5.7.0 Must issue a STARTTLS command first",
            "552 5.3.4 too large",
        ]
    ),
    Row("421 at every MAIL", {"MAIL": "421 4.7.0 try again later"}, ALL_HELD, CLOSED),
    Row("reset at every MAIL", {"MAIL": HANG_UP}, ALL_HELD, ENDED),
    Row("hangs at every MAIL", {"MAIL": SILENCE}, ALL_HELD, SILENT),
    Row("nonsense at every MAIL", {"MAIL": "what?"}, ALL_HELD, GARBLED),
    Row("421 in mid-session", {"MAIL": second("421 4.4.2 idle")}, ALL_SENT),
    Row("452 after some mails", {"MAIL": second("452 4.3.2 enough mails")}, ALL_SENT),
    Row("554 after some mails", {"MAIL": second("554 5.5.0 enough mails")}, ALL_SENT),
    Row("reset in mid-session", {"MAIL": second(HANG_UP)}, ALL_SENT),
    Row("hangs in mid-session", {"MAIL": second(SILENCE)}, ALL_SENT),
    Row("nonsense in mid-session", {"MAIL": second("what?")}, ALL_SENT),
    Row(
        "no more after one mail",
        {"MAIL": [OK, "452 4.3.2 enough mails"]},
        (SENT, HELD, HELD),
        REFUSES,
    ),
]

AT_RCPT = [
    *(
        Row(f"{reply} at RCPT", {"RCPT": second(reply)}, (SENT, LATER, SENT))
        for reply in [
            "450 4.2.0 greylisted, see you in five minutes",
            "451 4.7.1 greylisting in action",
            "450 4.1.1 unverified address",
            "452 4.2.2 mailbox full",
            "451 4.3.0 temporary lookup failure",
        ]
    ),
    *(
        Row(f"{reply} at RCPT", {"RCPT": second(reply)}, (SENT, NOBODY, SENT))
        for reply in [
            "550 5.1.1 no such mailbox",
            "550 5.1.10 RESOLVER.ADR.RecipientNotFound",
            "550 5.4.1 Recipient address rejected: Access denied",
            "550 5.1.2 no such domain",
            "550 No such user here",
            "550-Sorry,\r\n550 user unknown",
        ]
    ),
    *(
        Row(f"{reply} at RCPT", {"RCPT": second(reply)}, (SENT, NOT_TAKEN, SENT))
        for reply in [
            "550 5.2.1 mailbox disabled",
            "552 5.2.2 mailbox full",
            "550 5.4.1 Access denied",
            "550 Requested action not taken",
        ]
    ),
    *(
        Row(f"{reply} at RCPT", {"RCPT": second(reply)}, (SENT, PUT_OFF, SENT))
        for reply in [
            "550 5.7.1 relaying denied",
            "550 5.7.133 RESOLVER.RST.SenderNotAuthenticatedForGroup; Delivery restriction check",
            "554 5.7.1 <bram@example.org>: Recipient address rejected: Access denied",
            "550 This mailbox does not accept bulk mail",
        ]
    ),
    *(
        Row(f"{reply} at every RCPT", {"RCPT": reply}, ALL_HELD, REFUSES)
        for reply in ["550 5.7.1 relaying denied", "554 5.7.1 Service unavailable; host blocked"]
    ),
    Row(
        "policy at RCPT for each but the first",
        {"RCPT": [OK, "550 5.7.1 no"]},
        (SENT, PUT_OFF, PUT_OFF),
    ),
    Row(
        "policy at RCPT for the first",
        {"RCPT": ["550 5.7.1 no", OK]},
        (PUT_OFF, SENT, SENT),
    ),
    *(
        Row(f"{reply} at RCPT", {"RCPT": second(reply)}, (SENT, HELD, HELD), REFUSES)
        for reply in [
            "550 5.4.5 Daily user sending limit exceeded",
            "550 Domain example.org has exceeded the max emails per hour (150/150) allowed",
            "550 User praktijk has exceeded its 24-hour sending limit",
            # The same for now, as cPanel, Postfix and Exchange Online have it.
            "451 Domain example.org has exceeded the max emails per hour (150/150) allowed",
            "450 4.7.1 You have exceeded your hourly sending limit",
            "450 4.5.3 Daily sending quota exceeded",
            "452 4.3.1 Insufficient system storage",
            "451 4.7.500 Server busy",
            "454 4.7.1 Relay access denied",
            # A status for the recipient, and words about us.
            "550 5.1.2 sender domain not found",
            "550 5.1.1 sender limit exceeded: your account may not send more than 500 a day",
        ]
    ),
    *(
        Row(f"{reply} at every RCPT", {"RCPT": reply}, ALL_HELD, REFUSES)
        for reply in ["450 4.7.1 You have exceeded your hourly limit", "554 5.1.1 relaying denied"]
    ),
    Row("421 at RCPT, once", {"RCPT": second("421 4.3.2 closing")}, ALL_SENT),
    Row("reset at RCPT, once", {"RCPT": second(HANG_UP)}, ALL_SENT),
    Row("hangs at RCPT, once", {"RCPT": second(SILENCE)}, ALL_SENT),
    Row("nonsense at RCPT, once", {"RCPT": second("what?")}, ALL_SENT),
    Row("354 at RCPT, once", {"RCPT": second("340 go on")}, ALL_SENT),
    Row("421 at every RCPT", {"RCPT": "421 4.3.2 closing"}, ALL_HELD, CLOSED),
    Row("reset at every RCPT", {"RCPT": HANG_UP}, ALL_HELD, ENDED),
    Row("hangs at every RCPT", {"RCPT": SILENCE}, ALL_HELD, SILENT),
    Row("greylists everybody", {"RCPT": "450 4.2.0 greylisted"}, (LATER, LATER, LATER)),
    Row("knows nobody", {"RCPT": "550 5.1.1 unknown"}, (NOBODY, NOBODY, NOBODY)),
    Row(
        "cannot forget",
        {"RCPT": second("550 5.1.1 unknown"), "RSET": "502 no"},
        (SENT, NOBODY, SENT),
    ),
    Row(
        "goes instead of forgetting",
        {"RCPT": second("550 5.1.1 unknown"), "RSET": HANG_UP},
        (SENT, NOBODY, SENT),
    ),
]

AT_DATA = [
    Row("4xx at DATA", {"DATA": second("451 4.3.0 later", GO_ON)}, (SENT, LATER, SENT)),
    Row("5xx at DATA", {"DATA": second("554 5.6.0 no", GO_ON)}, (SENT, NOT_TAKEN, SENT)),
    Row("policy at DATA", {"DATA": second("554 5.7.1 no", GO_ON)}, (SENT, PUT_OFF, SENT)),
    Row("policy at every DATA", {"DATA": "554 5.7.1 no"}, ALL_HELD, REFUSES),
    Row("421 at DATA, once", {"DATA": second("421 4.3.2 closing", GO_ON)}, ALL_SENT),
    Row("reset at DATA, once", {"DATA": second(HANG_UP, GO_ON)}, ALL_SENT),
    Row("hangs at DATA, once", {"DATA": second(SILENCE, GO_ON)}, ALL_SENT),
    Row("250 at DATA, once", {"DATA": second(OK, GO_ON)}, ALL_SENT),
    Row("421 at every DATA", {"DATA": "421 4.3.2 closing"}, ALL_HELD, CLOSED),
    Row("reset at every DATA", {"DATA": HANG_UP}, ALL_HELD, ENDED),
    Row("hangs at every DATA", {"DATA": SILENCE}, ALL_HELD, SILENT),
]

# Once the dot can have left, only a reply tells what became of the mail.
AT_THE_END = [
    *(
        Row(f"{reply} at the dot", {"dot": second(reply)}, (SENT, LATER, SENT))
        for reply in [
            "451 4.3.0 later",
            "450 4.7.1 greylisted after all",
            "452 4.2.2 mailbox full",
        ]
    ),
    *(
        Row(f"{reply} at the dot", {"dot": second(reply)}, (SENT, NOBODY, SENT))
        for reply in ["550 5.1.1 no such mailbox", "554 delivery error: no such user"]
    ),
    *(
        Row(f"{reply} at the dot", {"dot": second(reply)}, (SENT, NOT_TAKEN, SENT))
        for reply in ["554 5.6.0 no", "552 5.2.2 mailbox full", "552 5.3.4 too large", "550 no"]
    ),
    *(
        Row(f"{reply} at the dot", {"dot": second(reply)}, (SENT, HELD, HELD), REFUSES)
        for reply in [
            # Exchange Online.
            "554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException",
            "554 5.2.0 STOREDRV.Submission.Exception:SendAsDeniedException",
            "550 5.2.252 Sender throttled due to continuous send as denied errors",
            "550 5.1.90 Your message can't be sent because you've reached your daily limit",
            "530 5.7.57 Client was not authenticated to send anonymous mail",
            "432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded",
            # Gmail.
            "550 5.4.5 Daily user sending limit exceeded",
            "421 4.7.0 Try again later, closing connection",
            # Shared hosts.
            "550 Domain example.org has exceeded the max emails per hour (150/150 (100%)) allowed",
            "550 Daily limit has been exceeded for praktijk@example.org",
            "550 5.4.6 mail rate exceeded limit",
            "452 4.3.1 full",
        ]
    ),
    *(
        Row(f"{reply} at every dot", {"dot": reply}, ALL_HELD, REFUSES)
        for reply in [
            # Exchange Online.
            "550 5.7.708 Service unavailable. Access denied, traffic not accepted from this IP",
            "550 5.7.501 Access denied, spam abuse detected",
            # Gmail.
            "550-5.7.1 Our system has detected an unusual rate of unsolicited mail\r\n550 5.7.1 x",
            # Shared hosts.
            "550 Message rejected as spam",
        ]
    ),
    Row("spam at one dot", {"dot": second("550 Message rejected as spam")}, (SENT, PUT_OFF, SENT)),
    Row("reset at the dot", {"dot": second(HANG_UP)}, (SENT, DOUBT, HELD), PERHAPS),
    Row("hangs at the dot", {"dot": second(SILENCE)}, (SENT, DOUBT, HELD), PERHAPS),
    Row("nonsense at the dot", {"dot": second("what?")}, (SENT, DOUBT, HELD), PERHAPS),
    Row("354 at the dot", {"dot": second("354 more?")}, (SENT, DOUBT, HELD), PERHAPS),
    Row("reset in the body", {"middle": second(HANG_UP)}, (SENT, DOUBT, HELD), PERHAPS),
    Row("hangs in the body", {"middle": second(SILENCE)}, (SENT, DOUBT, HELD), PERHAPS),
    Row("reads no body", {"body": second(SILENCE)}, (SENT, DOUBT, HELD), PERHAPS),
]

PECULIAR = [
    Row("knows no extension", {"EHLO": "250 mail.example.org"}, ALL_SENT),
    Row("8BITMIME is there", {"EHLO": "250-mail.example.org\r\n250 8BITMIME"}, ALL_SENT),
    Row("a size for everybody", {"EHLO": "250-mail.example.org\r\n250 SIZE 100000"}, ALL_SENT),
    Row("a size without limit", {"EHLO": "250-mail.example.org\r\n250 SIZE"}, ALL_SENT),
    Row(
        "too small a size",
        {"EHLO": "250-mail.example.org\r\n250 SIZE 1000"},
        ALL_HELD,
        "^the mail server takes mails of 1,000 octets at most",
    ),
]

TABLE = [*CONNECTING, *AT_MAIL, *AT_RCPT, *AT_DATA, *AT_THE_END, *PECULIAR]

# What a server offers matters to what is said to it, the database to what is written down of it:
# each of both with every row, but not each with each.
WAYS = {
    "plain-sqlite": ("sqlite", OFFERS),
    "pipelined-sqlite": ("sqlite", PIPELINING),
    "pipelined-postgresql": ("postgresql", PIPELINING),
}


def in_ways(*names: str) -> pytest.MarkDecorator:
    """Run a test with these databases and servers."""
    values = [WAYS[name] for name in names]
    return pytest.mark.parametrize(
        ("database_url", "offers"), values, ids=names, indirect=["database_url"]
    )


ALL_WAYS = in_ways(*WAYS)
TWO_WAYS = in_ways("plain-sqlite", "pipelined-postgresql")


@pytest.fixture
def make(database: Database, database_url: str) -> Callable[..., Story]:
    """Return a way to owe mails to people in this order, through a server."""

    def make_it(
        server: ScriptedServer | DrippingServer | Inbox, names: Sequence[str], **mail: Any
    ) -> Story:
        times = {"connect_timeout": 1, "reply_timeout": 1}
        story = make_story(database, mail_settings(database_url, server.port, **{**times, **mail}))
        for number, name in enumerate(names):
            story.owe(f"{name}@example.org", due_at=NOW + TINY * number)
        story.clock.advance(timedelta(seconds=1))
        return story

    return make_it


def results(story: Story) -> list[tuple[str, str, int, int]]:
    """Return what has become of the mails, and that nobody but "recipient" was removed."""
    found = []
    for mail in Mail.select().order_by(Mail.id):
        assert mail.contact is not None
        is_removed = mail.contact.status == Status.REMOVED
        assert is_removed == (mail.reason == "recipient"), mail.id
        assert not is_removed or mail.contact.reason == Reason.BOUNCE
        waits = max(timedelta(0), mail.due_at - story.clock.now())
        found.append((mail.state, mail.reason, mail.attempts, round(waits / MINUTE)))
        assert mail.worker == "" or mail.state != MailState.QUEUED
        assert mail.lease_until is None
    return found


def recipients(mails: Sequence[bytes]) -> list[str]:
    """Return the names of those whom mails went to."""
    parsed = [email.message_from_bytes(raw, policy=email.policy.default) for raw in mails]
    return [str(mail["To"]).partition("@")[0] for mail in parsed]


def names_in(*states: MailState) -> list[str]:
    """Return the names of those whose mail is in one of these states."""
    found = Contact.select().join(Mail).where(Mail.state.in_(states)).order_by(Mail.id)
    return [(contact.address or "").partition("@")[0] for contact in found]


def send_the_rest(story: Story, server: ScriptedServer, **mail: Any) -> None:
    """Send what is left to a server in good health; everybody has got one mail at most then."""
    left = names_in(MailState.QUEUED)
    settled = names_in(MailState.FAILED, MailState.DROPPED, MailState.IN_DOUBT)
    with ScriptedServer() as healthy:
        other = {"port": healthy.port, "tls": "none", "username": "", **mail}
        story.settings = replace(story.settings, mail=replace(story.settings.mail, **other))
        story.clock.advance(timedelta(hours=5))
        result = story.send()
        assert (result.sent, result.waiting, result.server_fault) == (len(left), 0, "")
        assert sorted(recipients(healthy.accepted)) == sorted(left)
    got = recipients(server.accepted) + left
    assert len(got) == len(set(got))
    assert sorted(got) == sorted(names_in(MailState.SENT))
    assert not set(got) & set(settled)


@pytest.mark.everyday(
    "hangs in the body-p",
    "550 5.1.2 no such domain",
    "Domain example.org has exc",
    "554 5.1.1 relaying",
    "452 4.2.2 mailbox full",
    "cannot forget",
)
@ALL_WAYS
@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.does)
def test_a_server_that_misbehaves(make: Callable[..., Story], row: Row, offers: str) -> None:
    with ScriptedServer(**{"EHLO": offers, **row.lines}) as server:
        story = make(server, ["anna", "bram", "cor"], **row.mail)
        with expect_few_waits():
            result = story.send()
        assert results(story) == list(row.mails)
        assert bool(result.server_fault) == bool(row.fault)
        if row.fault:
            assert re.search(row.fault, result.server_fault), result.server_fault
        assert result.sent == row.mails.count(SENT)
        assert result.in_doubt == row.mails.count(DOUBT)
        send_the_rest(story, server)


# --- More than one connection.

MANY = [f"person{number}" for number in range(12)]


@pytest.mark.everyday("5xx at connect", "454 4.7.0", "too small a size")
@TWO_WAYS
@pytest.mark.parametrize(
    "row", [row for row in TABLE if len(set(row.mails)) == 1], ids=lambda row: row.does
)
def test_what_is_so_for_all_mails_is_so_on_three_connections(
    make: Callable[..., Story], row: Row, offers: str
) -> None:
    with ScriptedServer(**{"EHLO": offers, **row.lines}) as server:
        story = make(server, ["anna", "bram", "cor"], connections=3, **row.mail)
        result = story.send()
        assert results(story) == list(row.mails)
        assert bool(result.server_fault) == bool(row.fault)
        send_the_rest(story, server)


@pytest.mark.exhaustive
@TWO_WAYS
@pytest.mark.parametrize("allowed", [1, 2])
@pytest.mark.parametrize(
    "refusal",
    [
        {"greeting": "421 4.7.0 too many connections"},
        {"greeting": HANG_UP},
        {"EHLO": "421 4.7.0 too many connections", "HELO": "421 too many connections"},
        {"MAIL": "421 4.7.0 too many connections"},
        {"RCPT": HANG_UP},
        {"DATA": SILENCE},
    ],
    ids=str,
)
def test_a_server_that_allows_fewer_connections_gets_fewer(
    make: Callable[..., Story], refusal: dict[str, str], allowed: int, offers: str
) -> None:
    # Slow enough that all connections are wanted.
    fine = {"dot": slowly(0.02, OK)}
    with ScriptedServer(*[fine] * allowed, refusal, EHLO=offers) as server:
        story = make(server, MANY, connections=4)
        assert story.send() == SendResult(sent=12)
        assert sorted(recipients(server.accepted)) == sorted(MANY)


@TWO_WAYS
@pytest.mark.parametrize("connections", [1, 3])
@pytest.mark.parametrize("ending", ["452 4.3.2 enough mails", "421 4.3.2 enough mails", HANG_UP])
def test_a_server_that_takes_few_mails_on_a_connection_gets_them_on_many(
    make: Callable[..., Story], ending: str, connections: int, offers: str
) -> None:
    with ScriptedServer({"MAIL": [OK, OK, ending]}, EHLO=offers) as server:
        story = make(server, MANY, connections=connections)
        assert story.send() == SendResult(sent=12)
        assert sorted(recipients(server.accepted)) == sorted(MANY)
        assert server.connections >= 6


@TWO_WAYS
@pytest.mark.parametrize("reply", [HANG_UP, SILENCE, "what?"])
def test_a_doubt_on_one_connection_ends_the_others_politely(
    make: Callable[..., Story], reply: str, offers: str
) -> None:
    slow = {"dot": slowly(0.05, OK)}
    with ScriptedServer(slow, {"dot": reply}, slow, EHLO=offers) as server:
        story = make(server, MANY, connections=3)
        result = story.send()
        assert re.search(PERHAPS, result.server_fault)
        states = [state for state, *_ in results(story)]
        assert states.count("in_doubt") == result.in_doubt == 1
        # What the server had taken whole on the others is known to be sent.
        assert states.count("sent") == len(server.accepted)
        send_the_rest(story, server)


def test_every_connection_puts_one_mail_in_doubt_at_most(make: Callable[..., Story]) -> None:
    with ScriptedServer(EHLO=PIPELINING, dot=HANG_UP) as server:
        story = make(server, MANY, connections=3)
        story.send()
        states = [state for state, *_ in results(story)]
        assert 1 <= states.count("in_doubt") <= 3
        assert states.count("in_doubt") == len(server.mails)
        send_the_rest(story, server)


def test_a_limit_that_is_reached_stops_all_connections(make: Callable[..., Story]) -> None:
    replies = [OK] * 5 + ["550 5.4.5 Daily user sending limit exceeded"]
    with ScriptedServer(EHLO=PIPELINING, dot=replies) as server:
        story = make(server, MANY, connections=3)
        result = story.send()
        assert re.search(REFUSES, result.server_fault)
        assert result.sent == 5
        assert sorted(results(story)) == sorted([SENT] * 5 + [HELD] * 7)
        send_the_rest(story, server)


# --- Packets.


@pytest.mark.parametrize(
    "how",
    [
        {"EHLO": PIPELINING, "held": ("MAIL", "RCPT")},
        {"EHLO": PIPELINING, "packets": 10},
        {"EHLO": PIPELINING, "packets": 10, "held": ("MAIL", "RCPT")},
        {"packets": 10},
        {"EHLO": PIPELINING.replace("250 ", "250-") + "\r\n250-X\r\n250 HELP", "packets": 10},
        {"MAIL": "250-2.1.0 fine\r\n250-by\r\n250 me", "dot": "250-2.0.0 OK\r\n250 queued"},
    ],
    ids=str,
)
def test_it_does_not_matter_how_replies_come(make: Callable[..., Story], how: Any) -> None:
    replies = [OK, "550-5.1.1 no\r\n550 such mailbox", "450 4.2.0 greylisted", OK]
    with ScriptedServer(**how, RCPT=replies) as server:
        story = make(server, ["anna", "bram", "cor", "dirk"])
        story.send()
        assert results(story) == [SENT, NOBODY, LATER, SENT]
        assert recipients(server.accepted) == ["anna", "dirk"]


def test_a_server_that_wants_a_body_for_nobody_gets_an_empty_one(
    make: Callable[..., Story],
) -> None:
    replies = [OK, "550 5.1.1 unknown", OK]
    with ScriptedServer(
        EHLO=PIPELINING, RCPT=replies, dot=[OK, "554 nobody", OK], naive=True
    ) as server:
        story = make(server, ["anna", "bram", "cor"])
        assert story.send() == SendResult(sent=2, failed=1)
        assert results(story) == [SENT, NOBODY, SENT]
        assert server.mails[1] == b""
        assert (recipients(server.accepted), server.connections) == (["anna", "cor"], 1)


@pytest.mark.parametrize("connections", [1, 3])
def test_mails_are_seven_bit_for_servers_that_know_no_more(
    make: Callable[..., Story], connections: int
) -> None:
    with ScriptedServer(EHLO="250 mail.example.org") as server:
        story = make(server, ["anna", "bram", "cor"], connections=connections)
        assert story.send() == SendResult(sent=3)
        assert all(raw.isascii() for raw in server.accepted)
        assert not any("SIZE" in line or "BODY" in line for line in server.said)


# --- Time.


@pytest.mark.parametrize("connections", [1, 3])
def test_who_stops_while_a_server_is_dialled_does_not_wait_for_it(
    make: Callable[..., Story], connections: int
) -> None:
    with DrippingServer(b"220-x\r\n") as server:
        story = make(server, MANY, connections=connections, connect_timeout=60)
        begun = time.monotonic()
        result = story.send(should_stop=server.is_dialled.is_set)
        assert time.monotonic() - begun < 20
        assert result == SendResult(waiting=12)
        assert server.gone.wait(60)


@pytest.mark.exhaustive
def test_a_slow_server_is_waited_for(make: Callable[..., Story]) -> None:
    # Each reply comes in time, though all together take longer than one may.
    lines = {name: slowly(0.4, OK) for name in ("MAIL", "RCPT", "dot")}
    with ScriptedServer(**lines, DATA=slowly(0.4, GO_ON)) as server:
        story = make(server, ["anna"])
        assert story.send() == SendResult(sent=1)


@pytest.mark.exhaustive
def test_what_came_while_nobody_looked_is_no_doubt(make: Callable[..., Story]) -> None:
    """As after a laptop's sleep, or a SIGSTOP."""
    with ScriptedServer(EHLO=PIPELINING) as server:
        story = make(server, MANY, connections=3)
        naps = iter([1.3, 1.3])
        result = story.send(on_step=lambda _step: time.sleep(next(naps, 0)))
        assert result == SendResult(sent=12)


def test_a_server_that_goes_before_the_body_has_surely_not_got_it(
    make: Callable[..., Story],
) -> None:
    with ScriptedServer(EHLO=PIPELINING, body=second(HANG_UP)) as server:
        story = make(server, ["anna", "bram", "cor"])
        # The first mail is marked as sent in the step that starts the second one.
        result = story.send(on_step=lambda _step: server.has_hung_up.wait(10))
        assert result == SendResult(sent=3)
        assert results(story) == [SENT] * 3
        assert sorted(recipients(server.accepted)) == ["anna", "bram", "cor"]


def test_greylisting_is_waited_for_with_growing_patience(make: Callable[..., Story]) -> None:
    grey = ["450 4.2.0 greylisted"] * 9
    with ScriptedServer(EHLO=PIPELINING, RCPT=[*grey, OK]) as server:
        story = make(server, ["anna", "bram", "cor"], connections=3)
        for attempt, minutes in ((1, 1), (2, 4), (3, 16)):
            assert story.send() == SendResult(waiting=3)
            assert results(story) == [("queued", "", attempt, minutes)] * 3
            story.clock.advance(MINUTE * minutes)
        assert story.send() == SendResult(sent=3)
        assert sorted(recipients(server.accepted)) == ["anna", "bram", "cor"]


@pytest.mark.exhaustive
@pytest.mark.parametrize("reply", ["450 4.2.0 greylisted", "550 5.4.5 Daily limit exceeded"])
@pytest.mark.parametrize("where", ["RCPT", "dot"])
def test_trying_ends_with_the_last_moment_that_leaves_time_to_answer(
    make: Callable[..., Story], where: str, reply: str
) -> None:
    with ScriptedServer(**{where: reply}) as server:
        story = make(server, ["anna", "bram", "cor"])
        for _ in range(100):
            story.send()
            story.clock.advance(timedelta(hours=8))
        states = {(state, reason) for state, reason, *_ in results(story)}
        assert states == {("dropped", "too_late")}
        assert {contact.status for contact in Contact.select()} == {Status.UNCONFIRMED}


def test_a_mail_that_kills_every_connection_holds_up_nobody_else(
    make: Callable[..., Story],
) -> None:
    """A filter that resets the connection at one address, whatever comes before and after."""
    with Inbox() as inbox:
        inbox.reply_to_rcpt = lambda address: HANG_UP if "person5" in address else None
        story = make(inbox, MANY, connections=3)
        story.send()
        bad = Mail.select().join(Contact).where(Contact.address == "person5@example.org").get()
        assert (bad.state, bad.attempts) == (MailState.QUEUED, 0)
        story.clock.advance(MINUTE)
        story.send()
        assert names_in(MailState.QUEUED) == ["person5"]
        assert len(inbox.mails) == 11


# --- A server that knows nobody.

KNOWS_NOBODY = r"^the mail server says of 10 people in a row that .*\(550 5.1.1\)$"


@TWO_WAYS
@pytest.mark.parametrize("connections", [1, 3])
@pytest.mark.parametrize("where", ["RCPT", "dot"])
def test_of_a_server_that_knows_nobody_the_campaign_pauses_before_everybody_is_removed(
    make: Callable[..., Story], where: str, connections: int, offers: str
) -> None:
    with ScriptedServer(**{"EHLO": offers, where: "550 5.1.1 no such user"}) as server:
        story = make(server, MANY, connections=connections)
        result = story.send()
        assert re.search(KNOWS_NOBODY, result.server_fault), result.server_fault
        with story.database.atomic():
            notice = Mail.get(Mail.kind == MailKind.NOTICE)
            notice.delete_instance()
        assert notice.topic == "paused_bounces"
        assert sorted(results(story)) == sorted([NOBODY] * 9 + [HELD] * 3)
        campaign = Campaign.get()
        assert (campaign.state, campaign.pause_reason) == ("paused", "bounces")
        # Nobody else is offered until the admin lets it go on.
        story.clock.advance(MINUTE)
        assert story.send() == SendResult(waiting=3)
        story.change(campaign, state="sending", pause_reason="")
        send_the_rest(story, server)


def test_many_who_do_not_exist_say_nothing_of_a_server_that_takes_mails(
    make: Callable[..., Story],
) -> None:
    with ScriptedServer(RCPT=[OK, "550 5.1.1 no such user"]) as server:
        story = make(server, MANY)
        assert story.send() == SendResult(sent=1, failed=11)
        assert Campaign.get().state == "open"


# --- Policies: a recipient's own, or the server's.

NO = "550 5.7.1 not by our policy"


def refuse_for_policy(*names: str) -> Callable[[str], str | None]:
    """Return a server's replies at RCPT, which takes everybody but these."""
    return lambda address: NO if address.partition("@")[0] in names else None


@pytest.mark.parametrize("connections", [1, 3])
def test_who_is_refused_for_a_policy_holds_up_nobody_and_is_not_asked_again_at_once(
    make: Callable[..., Story], connections: int
) -> None:
    with Inbox() as inbox:
        inbox.reply_to_rcpt = refuse_for_policy("person0", "person4", "person8")
        story = make(inbox, MANY, connections=connections)
        assert story.send() == SendResult(sent=9, waiting=3)
        assert names_in(MailState.QUEUED) == ["person0", "person4", "person8"]
        assert set(results(story)) == {SENT, PUT_OFF}
        assert count_policy_refusals(story.mailing_list) == {"550 5.7.1": 3}
        assert story.send() == SendResult(waiting=3)


def test_who_was_refused_for_a_policy_of_their_own_says_nothing_of_the_server_later(
    make: Callable[..., Story],
) -> None:
    with Inbox() as inbox:
        inbox.reply_to_rcpt = refuse_for_policy(*MANY[::2])
        story = make(inbox, MANY)
        assert story.send().sent == 6
        # Only these are left, and nobody is accepted any more.
        story.clock.advance(timedelta(hours=4))
        assert story.send() == SendResult(waiting=6)
        assert results(story) == [PUT_OFF, SENT] * 6
        inbox.reply_to_rcpt = refuse_for_policy()
        story.clock.advance(timedelta(hours=4))
        assert story.send() == SendResult(sent=6)
        assert count_policy_refusals(story.mailing_list) == {}


@pytest.mark.parametrize(
    ("row", "sent", "fault"),
    [([OK, NO, NO, OK, NO, NO, OK], 8, ""), ([OK, NO, OK, NO, NO, NO, OK], 2, REFUSES)],
)
def test_several_in_a_row_that_are_refused_for_a_policy_are_the_servers(
    make: Callable[..., Story], row: list[str], sent: int, fault: str
) -> None:
    with ScriptedServer(RCPT=row) as server:
        story = make(server, MANY)
        result = story.send()
        assert result.sent == sent
        assert re.search(fault, result.server_fault)
        assert bool(result.server_fault) == bool(fault)
        # Of those in the row nobody has to wait for it.
        assert results(story).count(PUT_OFF) == (1 if fault else 4)
        send_the_rest(story, server)


def test_a_policy_that_nobody_is_accepted_beside_is_the_servers(
    make: Callable[..., Story],
) -> None:
    with ScriptedServer(RCPT=NO) as server:
        story = make(server, ["anna"])
        assert re.search(REFUSES, story.send().server_fault)
        assert results(story) == [HELD]
        assert count_policy_refusals(story.mailing_list) == {}
        send_the_rest(story, server)


@pytest.mark.exhaustive
def test_who_stays_refused_for_a_policy_is_unasked_in_the_end_and_not_removed(
    make: Callable[..., Story],
) -> None:
    with Inbox() as inbox:
        inbox.reply_to_rcpt = refuse_for_policy("bram")
        story = make(inbox, ["anna", "bram"])
        for _ in range(100):
            story.send()
            story.clock.advance(timedelta(hours=8))
        assert [found[:3] for found in results(story)] == [SENT[:3], ("dropped", "too_late", 0)]
        assert {contact.status for contact in Contact.select()} == {Status.UNCONFIRMED}


# --- Between the claim and the start.


def test_after_a_pause_the_others_are_not_even_offered(make: Callable[..., Story]) -> None:
    def pause() -> str:
        story.change(story.campaign, state="paused")
        return OK

    names = [f"person{number}" for number in range(40)]
    with ScriptedServer(EHLO=PIPELINING, RCPT=[*[OK] * 9, pause, OK]) as server:
        story = make(server, names)
        result = story.send()
        assert (result.sent, result.waiting) == (9, 31)
        # Not a connection for each mail that had been claimed.
        assert server.connections <= 2
        assert set(results(story)) == {SENT, HELD}


# --- TLS.


def inbox_with(authority: trustme.CA, name: str) -> Inbox:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return Inbox(tls_context=context, require_starttls=True)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("localhost", "has a certificate that cannot be trusted"),
        ("mail.example.org", "not valid for 'localhost'"),
    ],
)
def test_a_server_with_a_wrong_certificate_gets_nothing(
    make: Callable[..., Story],
    authority: trustme.CA,
    tmp_path: Path,
    name: str,
    words: str,
) -> None:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    # Only the one with the wrong name comes from an authority that is known.
    known = "" if name == "localhost" else str(path)
    with inbox_with(authority, name) as inbox:
        story = make(inbox, ["anna", "bram", "cor"], tls="starttls", ca_file=known, connections=3)
        result = story.send()
        assert words in result.server_fault
        assert results(story) == [HELD] * 3
        assert not inbox.mails
    with inbox_with(authority, "localhost") as inbox:
        right: dict[str, Any] = {"port": inbox.port, "ca_file": str(path)}
        story.settings = replace(story.settings, mail=replace(story.settings.mail, **right))
        assert story.send() == SendResult(sent=3)
        assert sorted(mail.rcpt_tos[0][:4] for mail in inbox.mails) == ["anna", "bram", "cor@"]
