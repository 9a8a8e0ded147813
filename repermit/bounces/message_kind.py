"""Classifying a message: bounce, complaint, automatic reply, a person's reply, or nothing."""

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
    """Parse a message from any bytes; pure.

    A message is, in this order: a standard report, a mail server's own text, an automatic reply,
    or, if it refers to another message, a person's reply.
    """
    try:
        return interpret_message(raw[:MAX_SIZE])
    except Exception as error:  # noqa: BLE001  the package raises any error for some messages
        _log.warning("a message cannot be read: %s", type(error).__name__)
        return NOTHING


def interpret_message(raw: bytes) -> ParsedMessage:
    """Parse a message; may raise any error, or take very long: see MessageReader."""
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
    """Return the report that a mail filter has put into its own bounce (Trend Micro), if any.

    If the outer bounce has a refusal itself, it is about the inner one, and None is returned.
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
        arrived=_read_arrival(message),
        digest=make_digest(message, raw),
    )


def _read_arrival(message: Message) -> datetime | None:
    """Return when the last server received a message, from the topmost Received header."""
    received = read_headers(message, "Received")
    _, _, date = received[0].rpartition(";") if received else ("", "", "")
    return parse_date(date)


def make_digest(message: Message, raw: bytes) -> str:
    """Return a digest that identifies a message, even if servers have added headers to it."""
    name = read_header(message, "Message-ID")
    return hashlib.sha256(name.encode() if name else raw).hexdigest()


# --- Reading messages in a process with limits. ---------------------------------------------------


# A bounce takes some milliseconds, but the package's parser takes minutes for malicious messages.
MEMORY = 1 << 30
SECONDS = 10
# The first process may have died of another cause, such as a machine without free memory.
_TRIES = 2


class MessageReader:
    """Reads messages in a process with limits, which starts with the first message."""

    def __init__(self) -> None:
        self._process = LimitedProcess(yield_parsed_message, memory=MEMORY, seconds=SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.close()

    def read(self, raw: bytes) -> ParsedMessage:
        """Parse a message; return NOTHING, and log it, if two processes have died of it.

        Raises OSError if no process can be started.
        """
        cause = ""
        for _ in range(_TRIES):
            try:
                return self._read(raw[:MAX_SIZE])
            except ProcessDied as death:
                cause = str(death)
        _log.warning("a message cannot be read (%s); it is left where it is", cause)
        return NOTHING

    def _read(self, raw: bytes) -> ParsedMessage:
        parsed: ParsedMessage
        (parsed,) = self._process.ask(raw)
        return parsed


def yield_parsed_message(raw: bytes) -> Iterator[ParsedMessage]:
    """Yield one parsed message; runs in the process with limits."""
    yield interpret_message(raw)
