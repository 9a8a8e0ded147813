"""Telling what a message is: bounce, complaint, automatic answer, a person's reply, or nothing."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from datetime import datetime
from email.message import Message
from typing import Self

from repermit.bounces.automatic_messages import is_automatic, is_from_mail_server
from repermit.bounces.bounce_results import NOTHING, MessageKind, ParsedMessage
from repermit.bounces.delivery_reports import read_report
from repermit.bounces.hard_or_soft_bounce import has_refusal_code
from repermit.bounces.match import find_bounce_references, find_reply_references
from repermit.bounces.message_parts import (
    MAX_SIZE,
    iter_own_parts,
    list_subparts,
    parse,
    parse_date,
    read_addresses,
    read_header,
    read_headers,
    read_texts,
)
from repermit.bounces.nonstandard_bounces import read_nonstandard_bounce
from repermit.bounces.reply_text import asks_to_stop, detect_plain_answer, read_only_line
from repermit.limited_process import LimitedProcess, ProcessDied

_log = logging.getLogger(__name__)


def read(raw: bytes) -> ParsedMessage:
    """Return what a message says; pure, and for any bytes.

    In this order: a report for programs; what a mail server wrote in its own words; the answer of
    a mail program; and the rest, if it answers something, is written by a person.
    """
    try:
        return interpret_message(raw[:MAX_SIZE])
    except Exception as error:  # noqa: BLE001  the package raises whatever a message makes it
        _log.warning("a message cannot be read: %s", type(error).__name__)
        return NOTHING


def interpret_message(raw: bytes) -> ParsedMessage:
    """Return what a message says; may raise anything, or take for ever: see MessageReader."""
    message = parse(raw)
    is_machine = is_from_mail_server(message)
    report = read_report(message, is_machine=is_machine)
    inner = _unpack_report(message) if report is None and is_machine else None
    if inner is not None:
        message, report = inner, read_report(inner, is_machine=True)
    if report is None and is_machine:
        report = read_nonstandard_bounce(message, raw)
    if report is not None:
        return ParsedMessage(
            kind=report.kind,
            status=report.status,
            failed=report.failed,
            references=find_bounce_references(message),
        )
    if is_automatic(message):
        return ParsedMessage(
            kind=MessageKind.AUTO_REPLY, references=find_bounce_references(message)
        )
    return _read_reply(message, raw)


def _unpack_report(message: Message) -> Message | None:
    """Return the report that a filter on its way has put into a bounce of its own (Trend Micro).

    Where the outer one says by itself why it failed, it is about the inner one.
    """
    inner = [
        child
        for part in iter_own_parts(message)
        if part.get_content_type() == "message/rfc822"
        for child in list_subparts(part)
    ]
    if len(inner) != 1 or any(has_refusal_code(text) for text in read_texts(message)):
        return None
    is_report = inner[0].get_content_type() == "multipart/report" and is_from_mail_server(inner[0])
    return inner[0] if is_report else None


def _read_reply(message: Message, raw: bytes) -> ParsedMessage:
    references = find_reply_references(message)
    if not references.message_ids:
        return NOTHING
    senders = read_addresses(message, "From")
    return ParsedMessage(
        kind=MessageKind.REPLY,
        references=references,
        proposed=detect_plain_answer(message),
        line=read_only_line(message),
        asks_to_stop=asks_to_stop(message),
        sender=senders[0] if len(senders) == 1 else "",
        arrived=_arrived(message),
        digest=make_digest(message, raw),
    )


def _arrived(message: Message) -> datetime | None:
    """Return when the last server on the way took a message: it writes its line at the top."""
    received = read_headers(message, "Received")
    _, _, date = received[0].rpartition(";") if received else ("", "", "")
    return parse_date(date)


def make_digest(message: Message, raw: bytes) -> str:
    """Return what names a message, whichever servers have added their lines to it."""
    name = read_header(message, "Message-ID")
    return hashlib.sha256(name.encode() if name else raw).hexdigest()


# --- Reading messages in a process under limits, as they come from a mailbox or a pipe. -----------


# A bounce takes some milliseconds; the package's parser alone takes minutes for some that are made
# for it.
MEMORY = 1 << 30
SECONDS = 10
# The first process may have been ended for something else, as where the machine has no memory left.
_TRIES = 2


class MessageReader:
    """Reads messages in a process under limits, which starts with the first of them."""

    def __init__(self) -> None:
        self._process = LimitedProcess(yield_parsed_message, memory=MEMORY, seconds=SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.close()

    def read(self, raw: bytes) -> ParsedMessage:
        """Return what a message says; of one that two processes have died of, nothing.

        That is logged. Raises OSError if no process can be started.
        """
        how = ""
        for _ in range(_TRIES):
            try:
                return self._read(raw[:MAX_SIZE])
            except ProcessDied as death:
                how = str(death)
        _log.warning("a message cannot be read (%s); it is left where it is", how)
        return NOTHING

    def _read(self, raw: bytes) -> ParsedMessage:
        reading: ParsedMessage
        (reading,) = self._process.ask(raw)
        return reading


def yield_parsed_message(raw: bytes) -> Iterator[ParsedMessage]:
    """Yield what one message says; for a process under limits."""
    yield interpret_message(raw)
