"""Who wrote a reply, and its first line, read again in the mailbox for whoever decides."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import pytest

from repermit.bounces import poll
from repermit.bounces.poll import ReplyExcerpt
from repermit.db.connection import Database
from repermit.db.models.mails import Mail
from repermit.errors import TransportError
from repermit.settings.definitions import Bounces
from tests.support.builders import NOW, make_asked, make_campaign, make_list
from tests.support.mailboxes import HANG_UP, ImapMailbox
from tests.support.returned_mails import reply_to, returned


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


@pytest.fixture
def ask(database: Database) -> Mail:
    news = make_list(database)
    make_asked(database, news, make_campaign(database, news), "jan@example.net")
    mail: Mail = Mail.get()
    return mail


def account_of(mailbox: ImapMailbox) -> Bounces:
    return Bounces(
        protocol="imap",
        server="localhost",
        port=mailbox.port,
        tls="none",
        username="me",
        password="secret",
    )


def digest_of(number: int) -> str:
    return hashlib.sha256(f"<{number}@example.net>".encode()).hexdigest()


def read(mailbox: ImapMailbox, *digests: str) -> Mapping[str, ReplyExcerpt]:
    wanted = dict.fromkeys(digests, NOW)
    return poll.read_excerpts(account_of(mailbox), wanted, now=NOW, seconds=5)


def test_the_first_line_and_its_writer_are_read_and_nothing_is_marked(ask: Mail) -> None:
    text = "Beste mensen,\n\nIk verhuis naar Gent.\nStuur het daarheen.\n\n> vraag"
    raws = (
        returned("newsletter_of_others"),
        reply_to(ask, text, number=1),
        reply_to(ask, "Ja", sender="piet@example.net", number=2),
    )
    with ImapMailbox(*raws) as mailbox:
        found = read(mailbox, digest_of(1), digest_of(7))
        assert mailbox.seen == []
    assert found == {
        digest_of(1): ReplyExcerpt(sender="jan@example.net", line="Ik verhuis naar Gent.")
    }


@pytest.mark.parametrize("charset", ["utf-7?Q?+2AA-", "unicode_escape?Q?=5Cud800"])
def test_a_reply_is_read_if_its_message_id_has_half_of_a_character(ask: Mail, charset: str) -> None:
    raw = reply_to(ask, "Ja", number=1).replace(b"<1@example.net>", f"=?{charset}?=".encode())
    digest = hashlib.sha256("\ufffd".encode()).hexdigest()
    with ImapMailbox(raw, reply_to(ask, "Ja", number=2)) as mailbox:
        assert read(mailbox, digest, digest_of(2)).keys() == {digest, digest_of(2)}


def test_a_long_line_is_cut_off_and_a_reply_without_text_has_none(ask: Mail) -> None:
    raws = (reply_to(ask, "x" * 5000, number=1), reply_to(ask, "> only a quotation", number=2))
    with ImapMailbox(*raws) as mailbox:
        found = read(mailbox, digest_of(1), digest_of(2))
    assert found[digest_of(1)].line == "x" * 300
    assert found[digest_of(2)].line == ""


def test_an_empty_mailbox_and_no_replies_are_nothing(ask: Mail) -> None:
    assert ask.id
    with ImapMailbox() as mailbox:
        assert read(mailbox, digest_of(1)) == {}
        mailbox.said.clear()
        assert read(mailbox) == {}
        assert mailbox.said == []


def test_a_server_that_hangs_up_is_told_of_in_words_of_ours(ask: Mail) -> None:
    with (
        ImapMailbox(reply_to(ask, "Ja"), lines={"LOGIN": HANG_UP}) as mailbox,
        pytest.raises(TransportError, match="the mailbox server localhost"),
    ):
        read(mailbox, digest_of(1))
