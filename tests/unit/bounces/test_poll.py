"""The mailbox of the settings: what is taken from it, what is left, and servers that misbehave."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from repermit.bounces import poll as bounces_poll
from repermit.bounces.bounce_results import MessageKind
from repermit.clock import ManualClock
from repermit.db.connection import Database
from repermit.db.models.base import Meta
from repermit.db.models.contacts import Contact
from repermit.db.models.evidence import Evidence
from repermit.db.models.mails import Mail, Reply, SeenMessage
from repermit.db.work_steps import FIRST_STEP_ROWS
from repermit.errors import ConfigError, TransportError
from repermit.rules.consent import Reason
from repermit.settings.definitions import Bounces, Settings
from tests.support import hostile_files as hostile
from tests.support.builders import NOW, make_asked, make_campaign, make_list, make_settings
from tests.support.certificates import server_context
from tests.support.mailboxes import HANG_UP, ImapMailbox, Mailbox, Pop3Mailbox
from tests.support.query_plans import statements_in_transactions
from tests.support.returned_mails import reply_to, returned, returned_for
from tests.support.token_server import TokenEndpoint

if TYPE_CHECKING:
    import trustme

SERVERS: dict[str, type[Mailbox]] = {"imap": ImapMailbox, "pop3": Pop3Mailbox}
OTHERS = returned("newsletter_of_others")


@pytest.fixture(params=list(SERVERS))
def protocol(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def asks(database: Database) -> list[Mail]:
    """Return asks to three people that a server took."""
    news = make_list(database)
    campaign = make_campaign(database, news)
    for name in ("jan", "piet", "klaas"):
        make_asked(database, news, campaign, f"{name}@example.net")
    return list(Mail.select().order_by(Mail.id))


def settings_for(protocol: str, port: int, **overrides: Any) -> Settings:
    account = {
        "protocol": protocol,
        "server": "localhost",
        "port": port,
        "tls": "none",
        "username": "me",
        "password": "secret",
    }
    return make_settings(bounces=Bounces(**{**account, **overrides}))


def poll(
    database: Database,
    mailbox: Mailbox,
    *,
    should_stop: Callable[[], bool] = lambda: False,
    **overrides: Any,
) -> Mapping[MessageKind, int]:
    settings = settings_for(mailbox.protocol, mailbox.port, **overrides)
    return bounces_poll.poll(
        database, settings=settings, clock=ManualClock(NOW), should_stop=should_stop
    )


def poll_and_fail(database: Database, mailbox: Mailbox, **overrides: Any) -> str:
    with pytest.raises(TransportError) as raised:
        poll(database, mailbox, **overrides)
    assert "example" not in str(raised.value)
    return str(raised.value)


# --- What is taken.


def test_what_came_back_is_taken_from_the_mailbox(
    database: Database, asks: list[Mail], protocol: str
) -> None:
    raws = (
        returned_for("postfix_unknown_user", asks[0]),
        returned_for("gmail_over_quota", asks[1]),
        reply_to(asks[2], "Ja graag", sender="klaas@example.net"),
        OTHERS,
    )
    with SERVERS[protocol](*raws) as mailbox:
        assert poll(database, mailbox) == {
            MessageKind.HARD: 1,
            MessageKind.SOFT: 1,
            MessageKind.REPLY: 1,
        }
    assert [one.reason for one in Contact.select().order_by(Contact.id)] == ["bounce", "", ""]
    assert [one.bounce for one in Mail.select().order_by(Mail.id)] == ["hard", "soft", ""]
    assert Reply.get().proposed == "yes"


def test_what_people_and_others_wrote_is_left_untouched(
    database: Database, asks: list[Mail], protocol: str
) -> None:
    ours = ("postfix_unknown_user", "gmail_over_quota", "outlook_out_of_office")
    left = ("reply_ja", "reply_question", "arf_abuse")
    raws = [returned_for(name, asks[0]) for name in (*ours, *left)]
    strangers = [returned("postfix_unknown_user"), OTHERS]
    with SERVERS[protocol](*raws, *strangers) as mailbox:
        poll(database, mailbox)
        if protocol == "imap":
            assert mailbox.seen == [1, 2, 3]
            assert mailbox.numbers == [1, 2, 3, 4, 5, 6, 7, 8]
        else:
            # An out of office is small and may be read; bounces would fill the mailbox.
            assert mailbox.numbers == [3, 4, 5, 6, 7, 8]


def test_the_next_look_begins_where_the_last_one_ended(
    database: Database, asks: list[Mail], protocol: str
) -> None:
    with SERVERS[protocol](OTHERS, reply_to(asks[0], "nee", sender="jan@example.net")) as mailbox:
        assert poll(database, mailbox) == {MessageKind.REPLY: 1}
        assert poll(database, mailbox) == {}
        mailbox.add(returned_for("postfix_unknown_user", asks[1]))
        mailbox.said.clear()
        assert poll(database, mailbox) == {MessageKind.HARD: 1}
        looked_at = [word for word in mailbox.said if word.startswith(("FETCH", "RETR"))]
        assert len(looked_at) == 1
        assert poll(database, mailbox) == {}


def test_an_empty_mailbox_is_no_fault(database: Database, protocol: str) -> None:
    with SERVERS[protocol]() as mailbox:
        assert poll(database, mailbox) == {}
        assert poll(database, mailbox) == {}


def test_without_a_mailbox_nothing_is_looked_at(database: Database) -> None:
    settings = make_settings()
    assert bounces_poll.poll(database, settings=settings, clock=ManualClock(NOW)) == {}
    assert not Meta.select().where(Meta.key.startswith("mailbox")).exists()


@pytest.mark.exhaustive
def test_some_hundred_messages_are_looked_at_in_one_go(
    database: Database, asks: list[Mail], protocol: str
) -> None:
    answer = reply_to(asks[0], "nee", sender="jan@example.net")
    with SERVERS[protocol](*[OTHERS] * 500, answer) as mailbox:
        assert poll(database, mailbox) == {}
        assert poll(database, mailbox) == {MessageKind.REPLY: 1}


def test_a_look_ends_between_two_messages_when_the_process_stops(
    database: Database, asks: list[Mail], protocol: str
) -> None:
    stops = iter([False, True])
    answers = [reply_to(asks[0], "nee", sender="jan@example.net", number=n) for n in range(3)]
    with SERVERS[protocol](*answers) as mailbox:
        assert poll(database, mailbox, should_stop=lambda: next(stops)) == {MessageKind.REPLY: 1}
        assert poll(database, mailbox) == {MessageKind.REPLY: 2}


def test_two_that_look_at_once_take_everything_once(
    database: Database, asks: list[Mail], protocol: str
) -> None:
    raws = [returned_for("postfix_unknown_user", ask) for ask in asks]
    together = threading.Barrier(2)
    with SERVERS[protocol](*raws) as mailbox:

        def look() -> None:
            with database.connection_context():
                together.wait(10)
                poll(database, mailbox)

        with ThreadPoolExecutor(2) as pool:
            for done in [pool.submit(look) for _ in range(2)]:
                done.result()
    assert {one.reason for one in Contact.select()} == {Reason.BOUNCE}
    assert Evidence.select().where(Evidence.event == "removed").count() == 3


def test_of_a_large_message_the_beginning_is_read(
    database: Database, asks: list[Mail], protocol: str
) -> None:
    answer = reply_to(asks[0], "nee\n> " + "x" * 70 + "\n> " * 600_000, sender="jan@example.net")
    long_line = reply_to(asks[0], "nee\n> " + "x" * 9000, sender="jan@example.net", number=2)
    with SERVERS[protocol](answer, long_line) as mailbox:
        assert poll(database, mailbox) == {MessageKind.REPLY: 2}
        assert ("TOP" in mailbox.said) is (protocol == "pop3")
    assert [one.proposed for one in Reply.select()] == ["no", "no"]


# --- IMAP alone.


def test_a_mailbox_that_was_made_anew_is_read_from_its_beginning(
    database: Database, asks: list[Mail]
) -> None:
    with ImapMailbox(OTHERS, OTHERS, OTHERS) as mailbox:
        poll(database, mailbox)
        mailbox.messages.clear()
        mailbox.validity += 1
        mailbox.add(returned_for("postfix_unknown_user", asks[0]))
        assert poll(database, mailbox) == {MessageKind.HARD: 1}
        assert "SEARCH SINCE 02-Dec-2025" in mailbox.said


def test_a_message_that_is_gone_meanwhile_is_passed_over(
    database: Database, asks: list[Mail]
) -> None:
    gone = returned_for("postfix_unknown_user", asks[0])
    with ImapMailbox(gone, gone, returned_for("postfix_unknown_user", asks[1])) as mailbox:
        mailbox.messages[1].raw = b""
        assert poll(database, mailbox) == {MessageKind.HARD: 2}
        assert mailbox.seen == [1, 3]


@pytest.mark.parametrize("name", ["Bounces", 'a "b" \\c', "Zurück"])
def test_a_mailbox_that_is_not_there_is_a_fault(database: Database, name: str) -> None:
    with ImapMailbox() as server:
        settings = settings_for("imap", server.port, mailbox=name)
        with pytest.raises(TransportError) as raised:
            bounces_poll.poll(database, settings=settings, clock=ManualClock(NOW))
    said = str(raised.value)
    assert "has no mailbox of the name in bounces.mailbox" in said


# --- POP3 alone.


def test_a_message_that_the_server_will_not_give_is_passed_over(
    database: Database, asks: list[Mail]
) -> None:
    raw = returned_for("postfix_unknown_user", asks[0])
    with Pop3Mailbox(raw, lines={"RETR": "-ERR broken"}) as mailbox:
        assert poll(database, mailbox) == {}
        assert mailbox.numbers == [1]


def test_without_a_good_end_nothing_is_deleted_and_all_is_looked_at_again(
    database: Database, asks: list[Mail]
) -> None:
    raw = returned_for("postfix_unknown_user", asks[0])
    with Pop3Mailbox(raw, lines={"QUIT": HANG_UP}) as mailbox:
        assert "ends the conversation" in poll_and_fail(database, mailbox)
        assert mailbox.numbers == [1]
        mailbox.lines.clear()
        assert poll(database, mailbox) == {MessageKind.HARD: 1}
        assert mailbox.numbers == []


def test_what_is_known_of_a_mailbox_is_written_where_it_has_changed_alone(
    database: Database,
) -> None:
    """A mailbox may hold 300,000 messages, of which few come and go."""
    with Pop3Mailbox(*[OTHERS] * 3) as mailbox:
        poll(database, mailbox)
        assert statements_in_transactions(database, lambda: poll(database, mailbox)) == []
        mailbox.add(OTHERS)
        counts = count_known_at_commits(database, mailbox)
    assert counts == [4]


def test_what_is_known_of_a_mailbox_that_was_emptied_goes_in_steps(database: Database) -> None:
    with Pop3Mailbox(OTHERS) as mailbox:
        poll(database, mailbox)
        name = SeenMessage.get().mailbox
        with database.atomic():
            SeenMessage.insert_names(name, map(str, range(3 * FIRST_STEP_ROWS)))
            SeenMessage.insert_names("another", ["0"])
        counts = count_known_at_commits(database, mailbox)
        assert poll(database, mailbox) == {}
    assert counts[0] >= 2 * FIRST_STEP_ROWS
    assert counts[-1] == 2


def count_known_at_commits(database: Database, mailbox: Mailbox) -> list[int]:
    """Poll, and return how many messages are known at each commit."""
    counts: list[int] = []
    database.before_commit = lambda: counts.append(SeenMessage.select().count())
    try:
        poll(database, mailbox)
    finally:
        database.before_commit = None
    return counts


# --- Servers that misbehave.


def test_a_look_that_was_cut_off_goes_on_where_it_ended(
    database: Database, asks: list[Mail]
) -> None:
    raws = [returned_for("postfix_unknown_user", ask) for ask in asks]
    with ImapMailbox(*raws) as mailbox:
        mailbox.deadly = {3}
        assert "ends the conversation" in poll_and_fail(database, mailbox)
        assert mailbox.seen == [1, 2]
        mailbox.deadly = set()
        mailbox.said.clear()
        assert poll(database, mailbox) == {MessageKind.HARD: 1}
        assert [word for word in mailbox.said if word.startswith("SEARCH")] == ["SEARCH UID 3:*"]


@pytest.mark.exhaustive
def test_a_message_that_ends_every_look_is_passed_over_in_the_end(
    database: Database, asks: list[Mail], protocol: str, caplog: pytest.LogCaptureFixture
) -> None:
    raws = [returned_for("postfix_unknown_user", ask) for ask in asks]
    with SERVERS[protocol](*raws) as mailbox:
        mailbox.deadly = {2}
        for _ in range(3):
            assert "ends the conversation" in poll_and_fail(database, mailbox)
        assert not caplog.records
        found = poll(database, mailbox)
        assert found[MessageKind.HARD] == {"imap": 1, "pop3": 2}[protocol]
        (record,) = caplog.records
        assert record.getMessage() == "a message in the mailbox cannot be fetched; it is left there"
        # And from then on nobody asks for it again.
        assert poll(database, mailbox) == {}
    assert [one.reason for one in Contact.select().order_by(Contact.id)] == ["bounce", "", "bounce"]
    if protocol == "pop3":
        assert mailbox.numbers == [2]


def test_a_message_that_came_in_the_end_is_not_held_against_the_next_one(
    database: Database, asks: list[Mail], protocol: str
) -> None:
    raws = [returned_for("postfix_unknown_user", ask) for ask in asks]
    with SERVERS[protocol](*raws) as mailbox:
        for deadly in (2, 2, 3, 3):
            mailbox.deadly = {deadly}
            poll_and_fail(database, mailbox)
        mailbox.deadly = set()
        assert poll(database, mailbox)[MessageKind.HARD] >= 1
    assert {one.reason for one in Contact.select()} == {Reason.BOUNCE}


def test_a_server_that_is_down_holds_nothing_against_a_message(
    database: Database, asks: list[Mail], protocol: str
) -> None:
    with SERVERS[protocol](returned_for("postfix_unknown_user", asks[0])) as mailbox:
        for word in ("SELECT", "LIST"):
            mailbox.lines[word] = HANG_UP
        for _ in range(4):
            poll_and_fail(database, mailbox)
        mailbox.lines.clear()
        assert poll(database, mailbox) == {MessageKind.HARD: 1}


@pytest.mark.parametrize(
    ("words", "lines"),
    [
        (
            "does not take the login",
            {"LOGIN": "NO jan@example.net", "PASS": "-ERR jan@example.net"},
        ),
        ("does not take the login", {"LOGIN": HANG_UP, "USER": HANG_UP}),
        ("ends the conversation", {"UID": HANG_UP, "RETR": HANG_UP}),
        ("ends the conversation", {"UID": "BAD jan@example.net", "UIDL": "-ERR jan@example.net"}),
    ],
)
def test_a_fault_of_the_server_is_told_in_words_of_ours(
    database: Database, protocol: str, words: str, lines: dict[str, str]
) -> None:
    with SERVERS[protocol](OTHERS, lines=lines) as mailbox:
        assert words in poll_and_fail(database, mailbox)


def test_a_server_that_is_not_there_is_a_fault(database: Database, protocol: str) -> None:
    with SERVERS[protocol]() as mailbox:
        pass
    for tls in ("none", "tls"):
        assert "cannot be reached" in poll_and_fail(database, mailbox, tls=tls)


def test_a_password_that_the_protocol_cannot_carry_is_a_fault(
    database: Database, protocol: str
) -> None:
    with SERVERS[protocol]() as mailbox:
        assert "does not take the login" in poll_and_fail(database, mailbox, password="gehëim")


# --- TLS.


@pytest.mark.parametrize("tls", ["tls", "starttls"])
def test_a_mailbox_is_read_through_tls(
    database: Database, protocol: str, tls: str, authority: trustme.CA, ca_file: str
) -> None:
    with SERVERS[protocol](OTHERS, tls=tls, context=server_context(authority)) as mailbox:
        assert poll(database, mailbox, tls=tls, ca_file=ca_file) == {}
        assert {"UID", "RETR"} & set(mailbox.said)


@pytest.mark.parametrize("tls", ["tls", "starttls"])
def test_a_certificate_that_cannot_be_trusted_is_refused(
    database: Database, protocol: str, tls: str, authority: trustme.CA
) -> None:
    with SERVERS[protocol](tls=tls, context=server_context(authority)) as mailbox:
        said = poll_and_fail(database, mailbox, tls=tls)
        assert "has a certificate that cannot be trusted" in said
        assert {"LOGIN", "USER"} & set(mailbox.said) == set()


def test_a_connection_whose_tls_was_taken_out_is_refused(database: Database, protocol: str) -> None:
    lines = {"STARTTLS": "BAD", "CAPA": "-ERR"}
    with SERVERS[protocol](lines=lines) as mailbox:
        assert "does not begin TLS" in poll_and_fail(database, mailbox, tls="starttls")
        assert {"LOGIN", "USER"} & set(mailbox.said) == set()


def test_an_authority_that_cannot_be_read_is_named(
    database: Database, protocol: str, tmp_path: Path
) -> None:
    with SERVERS[protocol]() as mailbox, pytest.raises(ConfigError) as raised:
        poll(database, mailbox, ca_file=str(tmp_path / "none"))
    assert raised.value.key == "bounces.ca_file"


# --- Tokens.


def oauth(endpoint: TokenEndpoint) -> dict[str, Any]:
    return {
        "auth": "xoauth2",
        "oauth_client_id": "id",
        "oauth_refresh_token": "r",
        "oauth_authority": endpoint.url,
    }


@pytest.mark.parametrize("good", ["token-1", "token-2"])
def test_a_mailbox_is_read_with_a_token_and_a_refused_one_is_renewed(
    database: Database, asks: list[Mail], protocol: str, good: str
) -> None:
    raw = returned_for("postfix_unknown_user", asks[0])
    with TokenEndpoint() as endpoint, SERVERS[protocol](raw, tokens=(good,)) as mailbox:
        assert poll(database, mailbox, **oauth(endpoint)) == {MessageKind.HARD: 1}


def test_a_server_that_takes_no_token_is_a_fault(database: Database, protocol: str) -> None:
    with TokenEndpoint() as endpoint, SERVERS[protocol]() as mailbox:
        said = poll_and_fail(database, mailbox, **oauth(endpoint))
        assert "does not take the login" in said
        assert "token" not in said
        assert len(endpoint.asked) == 2


# --- Invariant 13.


def test_no_address_and_no_secret_is_logged(
    database: Database, asks: list[Mail], protocol: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with SERVERS[protocol](returned_for("postfix_unknown_user", asks[0])) as mailbox:
        poll(database, mailbox)
    assert "@" not in caplog.text
    assert "secret" not in caplog.text
    assert "me" not in {row.key for row in Meta.select()}


@pytest.mark.exhaustive
def test_a_message_that_its_reader_dies_of_is_left_there_and_the_others_are_taken(
    database: Database,
    asks: list[Mail],
    protocol: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    # A second of the processor, however busy the machine is.
    monkeypatch.setattr("repermit.bounces.message_kind.SECONDS", 1)
    monkeypatch.setattr("repermit.limited_process._WALL_CLOCK_FACTOR", 600)
    bounces_of = [returned_for("postfix_unknown_user", ask) for ask in asks[:2]]
    with SERVERS[protocol](bounces_of[0], hostile.ENDLESS, bounces_of[1]) as mailbox:
        with caplog.at_level(logging.WARNING):
            assert poll(database, mailbox) == {MessageKind.HARD: 2}
        assert 2 in mailbox.numbers
        assert 2 not in mailbox.seen
        mailbox.said.clear()
        assert poll(database, mailbox) == {}
        assert not [word for word in mailbox.said if word.startswith(("FETCH", "RETR"))]
    assert caplog.messages == ["a message cannot be read (SIGXCPU); it is left where it is"]
