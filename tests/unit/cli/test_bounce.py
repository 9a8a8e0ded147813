"""`repermit bounce`, and the replies that `status` shows."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from repermit.db.models.campaigns import Campaign
from repermit.db.models.contacts import Contact
from repermit.db.models.mails import Mail, Reply
from repermit.rules.consent import CampaignState, Reason, Status
from tests.support import hostile_files as hostile
from tests.support.builders import NOW, make_asked, make_campaign
from tests.support.command_tree import REPERMIT
from tests.support.desk import Desk, Ran
from tests.support.returned_mails import reply_to, returned, returned_for

TRY_AGAIN = 75


@pytest.fixture
def asked(desk: Desk) -> Desk:
    """Return a desk with an open campaign that has asked jan@example.net."""
    desk.add_news()
    with desk.news() as (database, news):
        make_asked(database, news, make_campaign(database, news), "jan@example.net")
    return desk


def ask_of(desk: Desk) -> Mail:
    with desk.database():
        found: Mail = Mail.get()
        return found


def saved(desk: Desk, raw: bytes) -> str:
    path: Path = desk.folder / "returned.eml"
    path.write_bytes(raw)
    return str(path)


def bounce(desk: Desk, name: str) -> str:
    return desk.do("bounce", saved(desk, returned_for(name, ask_of(desk))))


# --- What it says.


@pytest.mark.parametrize(
    ("name", "says"),
    [
        (
            "postfix_unknown_user",
            "news: A bounce: there is no such mailbox (5.1.1). The contact was taken off.\n",
        ),
        ("gmail_over_quota", "news: A bounce or a delay (5.2.2). It was noted.\n"),
        (
            "arf_abuse",
            (
                "news: A complaint. The contact was taken off.\n"
                "The campaign has paused; see `repermit status news`.\n"
            ),
        ),
        (
            "reply_ja",
            "news: A reply by a person. It waits for your decision; see `repermit status news`.\n",
        ),
        ("sieve_vacation", "news: An automatic answer. Nothing was to be done.\n"),
        ("postfix_delivered", "news: Neither a bounce nor a reply. Nothing was to be done.\n"),
        ("newsletter_of_others", "Neither a bounce nor a reply, about no mail of ours.\n"),
    ],
)
def test_a_message_is_taken_and_told_without_an_address(asked: Desk, name: str, says: str) -> None:
    assert bounce(asked, name) == says


def test_a_bounce_of_a_forwarded_copy_is_told_as_such(asked: Desk) -> None:
    raw = returned_for("postfix_unknown_user", ask_of(asked))
    other = raw.replace(b"jan@example.net", b"piet@example.com")
    assert asked.do("bounce", saved(asked, other)) == (
        "news: A bounce of a copy that went on to another address (5.1.1). It was noted.\n"
    )
    with asked.database():
        assert Contact.get().status == Status.UNCONFIRMED


def test_a_message_that_is_given_again_tells_nothing_new(asked: Desk) -> None:
    bounce(asked, "postfix_unknown_user")
    assert "It says nothing new." in bounce(asked, "postfix_unknown_user")
    with asked.database():
        assert Contact.get().reason == Reason.BOUNCE


def test_what_is_none_of_ours_is_left_alone_and_is_no_fault(asked: Desk) -> None:
    said = asked.do("bounce", saved(asked, returned("postfix_unknown_user")))
    assert said == "A bounce: there is no such mailbox (5.1.1), about no mail of ours.\n"
    with asked.database():
        assert Contact.get().status == Status.UNCONFIRMED


# --- As a pipe.


def pipe(desk: Desk, raw: bytes) -> subprocess.CompletedProcess[bytes]:
    command = [str(REPERMIT), "--config", str(desk.config), "bounce"]
    return subprocess.run(command, input=raw, capture_output=True, check=False)


def test_a_mail_server_pipes_a_message_in(asked: Desk) -> None:
    done = pipe(asked, returned_for("qmail_no_mailbox", ask_of(asked)))
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"The contact was taken off" in done.stdout


def test_a_message_is_read_to_its_end_even_where_it_is_cut_off(asked: Desk) -> None:
    raw = returned_for("qmail_no_mailbox", ask_of(asked)) + b"x" * 3_000_000
    assert pipe(asked, raw).returncode == 0


def again(ran: Ran) -> str:
    assert (ran.code, ran.out) == (TRY_AGAIN, "")
    return ran.err


def test_a_message_is_kept_by_the_server_while_the_settings_cannot_be_read(asked: Desk) -> None:
    path = saved(asked, returned("reply_ja"))
    asked.config.write_text("public_url = ", "utf-8")
    assert "is not valid TOML" in again(asked.run("bounce", path))
    asked.config.unlink()
    assert "there is no" in again(asked.run("bounce", path))


@pytest.mark.parametrize(
    "database", ["postgresql://127.0.0.1:1/lists", "sqlite:///nowhere/lists.db", "sqlite:///."]
)
def test_a_message_is_kept_by_the_server_while_the_database_cannot_be_used(
    asked: Desk, database: str
) -> None:
    path = saved(asked, returned_for("reply_ja", ask_of(asked)))
    text = asked.config.read_text("utf-8")
    asked.config.write_text(text.replace(asked.settings.database, database), "utf-8")
    assert again(asked.run("bounce", path))


def test_a_message_is_kept_by_the_server_while_a_lock_cannot_be_had(asked: Desk) -> None:
    path = saved(asked, returned_for("reply_ja", ask_of(asked)))
    held = asked.folder / f"{asked.settings.sqlite_path}.turn-a"
    held.unlink()
    held.mkdir()
    assert "Is a directory" in again(asked.run("bounce", path))


def test_a_file_that_is_not_there_is_refused(asked: Desk) -> None:
    assert "No such file" in asked.refused("bounce", str(asked.folder / "none.eml"))


# --- Replies in the status.


def reply(desk: Desk, text: str, *, sender: str = "jan@example.net", number: int = 1) -> None:
    raw = reply_to(ask_of(desk), text, sender=sender, number=number)
    desk.do("bounce", saved(desk, raw))


def test_without_a_reply_the_status_says_nothing_of_them(asked: Desk) -> None:
    assert "Replies" not in asked.do("status", "news")


def test_the_status_proposes_what_to_type_for_a_plain_answer(asked: Desk) -> None:
    reply(asked, "Ja graag")
    shown = asked.do("status", "news")
    assert "Replies by mail that wait for you: 1." in shown
    typed = shown.splitlines()[-1].strip()
    assert typed == (
        "repermit answer news jan@example.net yes --note 'reply by mail of Monday 2 March 2026'"
    )
    assert "replies" not in asked.run("status", "news", "--json").document
    asked.do("answer", "news", "jan@example.net", "yes", "--note", "reply by mail of 2 March")
    assert "Replies" not in asked.do("status", "news")
    with asked.database():
        assert Contact.get().status == Status.CONFIRMED
        assert Reply.get().decided_at == NOW


def test_a_reply_that_is_no_plain_answer_proposes_none(asked: Desk) -> None:
    reply(asked, "Hoe komt u aan mijn adres?")
    last = asked.do("status", "news").splitlines()[-1]
    assert last.startswith("  repermit answer news jan@example.net … --note 'reply by mail of ")
    assert last.endswith("# no plain Yes or No, or from another address")


def test_an_address_is_shown_as_a_shell_takes_it(desk: Desk) -> None:
    desk.add_news()
    with desk.news() as (database, news):
        make_asked(database, news, make_campaign(database, news), "o'neil$x@example.net")
    reply(desk, "nee", sender="o'neil$x@example.net")
    assert """'o'"'"'neil$x@example.net' no --note""" in desk.do("status", "news")


@pytest.mark.exhaustive
def test_many_replies_are_shown_in_part(asked: Desk) -> None:
    for number in range(21):
        reply(asked, "Hoezo?", number=number)
    shown = asked.do("status", "news")
    assert "wait for you: 21." in shown
    assert shown.count("repermit answer") == 20
    assert shown.endswith("  … and 1 more\n")


def test_replies_to_an_earlier_campaign_wait_on(asked: Desk) -> None:
    reply(asked, "Hoezo?")
    with asked.news() as (database, news):
        with database.atomic():
            Campaign.update(state=CampaignState.CLOSED).execute()
        asked.clock.move_to(NOW.replace(month=6))
        make_campaign(database, news, launched_at=asked.clock.now())
    assert "Replies by mail that wait for you: 1." in asked.do("status", "news")


def test_a_list_without_a_campaign_has_no_replies(desk: Desk) -> None:
    desk.add_news()
    assert "Replies" not in desk.do("status", "news")


def test_a_message_is_kept_by_the_server_while_no_process_can_read_it(
    asked: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(asked, returned_for("postfix_unknown_user", ask_of(asked)))
    with monkeypatch.context() as patch:
        patch.setattr("sys.executable", "/bin/false")
        assert "the process that reads it cannot start" in again(asked.run("bounce", path))
    assert "The contact was taken off" in asked.do("bounce", path)


@pytest.mark.exhaustive
def test_a_message_that_its_reader_dies_of_is_left_alone_and_told(
    asked: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("repermit.bounces.message_kind.SECONDS", 1)
    monkeypatch.setattr("repermit.limited_process._WALL_CLOCK_FACTOR", 600)
    ran = asked.run("bounce", saved(asked, hostile.ENDLESS))
    assert (ran.code, ran.out) == (0, "Neither a bounce nor a reply, about no mail of ours.\n")
    assert caplog.messages == ["a message cannot be read (SIGXCPU); it is left where it is"]
