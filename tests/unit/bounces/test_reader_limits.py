"""Mails that are read in a process under limits, and those that it dies of."""

from __future__ import annotations

import logging

import pytest

from repermit.bounces.bounce_results import NOTHING, MessageKind
from repermit.bounces.message_kind import MessageReader, read, yield_parsed_message
from tests.support import hostile_files as hostile
from tests.support.returned_mails import returned


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a process have a second for a message, however busy the machine is."""
    monkeypatch.setattr("repermit.bounces.message_kind.SECONDS", 1)
    monkeypatch.setattr("repermit.limited_process._WALL_CLOCK_FACTOR", 600)


@pytest.mark.parametrize(
    "name", ["postfix_unknown_user", "arf_abuse", "reply_ja", "sieve_vacation"]
)
def test_a_message_says_the_same_in_the_other_process(name: str) -> None:
    with MessageReader() as reader:
        assert reader.read(returned(name)) == read(returned(name))
    assert list(yield_parsed_message(returned(name))) == [read(returned(name))]


@pytest.mark.parametrize("name", hostile.MAILS)
def test_a_hostile_mail_is_read_to_its_end(name: str) -> None:
    assert read(hostile.MAILS[name]).kind in {MessageKind.REPLY, MessageKind.NOTHING}


@pytest.mark.exhaustive
@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("name", hostile.SLOW_MAILS)
def test_a_mail_that_a_process_dies_of_says_nothing_and_the_next_is_read(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    with MessageReader() as reader, caplog.at_level(logging.WARNING):
        assert reader.read(hostile.SLOW_MAILS[name]) == NOTHING
        assert reader.read(returned("reply_ja")).kind is MessageKind.REPLY
    assert caplog.messages == ["a message cannot be read (SIGXCPU); it is left where it is"]


@pytest.mark.exhaustive
def test_a_mail_that_breaks_the_parser_says_nothing_and_is_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with MessageReader() as reader, caplog.at_level(logging.WARNING):
        assert reader.read(hostile.MAILS["parts in parts without end"]) == NOTHING
    assert "(RecursionError)" in caplog.text


def test_a_process_that_was_ended_by_something_else_is_no_fault_of_the_mail() -> None:
    with MessageReader() as reader:
        assert reader.read(returned("reply_ja")).kind is MessageKind.REPLY
        process = reader._process._process
        assert process is not None
        process.kill()
        assert reader.read(returned("postfix_unknown_user")).kind is MessageKind.HARD


def test_a_mail_of_any_size_is_read_as_far_as_is_looked_at() -> None:
    raw = returned("reply_ja") + b"x" * 50_000_000
    with MessageReader() as reader:
        assert reader.read(raw).kind is MessageKind.REPLY


def test_no_process_starts_where_no_mail_came() -> None:
    with MessageReader() as reader:
        assert reader._process._process is None
