"""Telling what a message is: bounce, complaint, automatic answer, a person's reply, or nothing."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Iterator
from datetime import datetime
from email.message import Message
from typing import Self

from repermit.bounces.bounce_results import NOTHING, MessageKind, ParsedMessage
from repermit.bounces.classify import has_refusal_code, is_returned_envelope
from repermit.bounces.delivery_reports import read_report
from repermit.bounces.match import find_bounce_references, find_reply_references
from repermit.bounces.nonstandard_bounces import UNDELIVERED, read_nonstandard_bounce
from repermit.bounces.parse import (
    MAX_SIZE,
    children,
    header,
    headers,
    own_parts,
    parse,
    parse_date,
    read_addresses,
    text_without_parts,
    texts,
)
from repermit.bounces.reply_text import asks_to_stop, proposed_answer, read_only_line
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
    is_machine = _is_from_a_server(message)
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
            traces=find_bounce_references(message),
        )
    if _is_automatic(message):
        return ParsedMessage(kind=MessageKind.AUTO_REPLY, traces=find_bounce_references(message))
    return _read_reply(message, raw)


def _unpack_report(message: Message) -> Message | None:
    """Return the report that a filter on its way has put into a bounce of its own (Trend Micro).

    Where the outer one says by itself why it failed, it is about the inner one.
    """
    inner = [
        child
        for part in own_parts(message)
        if part.get_content_type() == "message/rfc822"
        for child in children(part)
    ]
    if len(inner) != 1 or any(has_refusal_code(text) for text in texts(message)):
        return None
    is_report = inner[0].get_content_type() == "multipart/report" and _is_from_a_server(inner[0])
    return inner[0] if is_report else None


def _read_reply(message: Message, raw: bytes) -> ParsedMessage:
    traces = find_reply_references(message)
    if not traces.message_ids:
        return NOTHING
    senders = read_addresses(message, "From")
    return ParsedMessage(
        kind=MessageKind.REPLY,
        traces=traces,
        proposed=proposed_answer(message),
        line=read_only_line(message),
        asks_to_stop=asks_to_stop(message),
        sender=senders[0] if len(senders) == 1 else "",
        arrived=_arrived(message),
        digest=make_digest(message, raw),
    )


def _is_from_a_server(message: Message) -> bool:
    """Say whether a mail server sent this by itself.

    It has a server's name, and no sender in its envelope if that is known (RFC 5321 §4.5.5). A
    person may write as postmaster, and vacation programs leave the envelope empty too (RFC 3834
    §3.3): there the subject must say so as well, or the text as no person writes it.
    """
    paths = headers(message, "Return-Path")[:1]
    names = [_local_part(address) for address in read_addresses(message, "From")]
    is_returned = bool(UNDELIVERED.match(header(message, "Subject")))
    is_null = any(map(_is_null_sender, paths))
    is_postmaster = any(_POSTMASTERS.fullmatch(_local_part(path)) for path in paths)
    if any(map(_SERVERS.fullmatch, names)):
        is_servers = any(_SERVERS.fullmatch(_local_part(path)) for path in paths)
        # A mailbox that forwards its mails may put its own address into their envelope.
        return is_null or is_servers or is_postmaster or not paths or is_returned
    if not names or any(map(_POSTMASTERS.fullmatch, names)):
        is_plausible = is_postmaster or not paths
        return is_null or (is_plausible and (is_returned or _returns_an_envelope(message)))
    return is_null and is_returned


def _returns_an_envelope(message: Message) -> bool:
    text = "\n".join(texts(message)) or text_without_parts(message)
    return is_returned_envelope(text, to=read_addresses(message, "To"))


def _is_null_sender(path: str) -> bool:
    """Say whether a return path is nobody's (RFC 5321 §4.5.5).

    Postfix writes MAILER-DAEMON for "<>" where it hands a mail to a program, and so do others.
    """
    return bool(_NOBODYS.fullmatch(_local_part(path)))


def _local_part(address: str) -> str:
    plain = address.strip("<> ").lower()
    return plain.rpartition("@")[0] if "@" in plain else plain


_DAEMONS = r"mailer[-_.]?daemon|mail[-_.]?daemon|mdaemon|double-bounce|microsoftexchange[0-9a-f]*"
_NOBODYS = re.compile(rf"null|{_DAEMONS}|")
_SERVERS = re.compile(rf"{_DAEMONS}|mail[-_.]?delivery[-_.]?\w*|bounces?")
_POSTMASTERS = re.compile(r"post[-_.]?master")


def _is_automatic(message: Message) -> bool:
    """Say whether a mail program answered by itself (RFC 3834 §5, and what came before it)."""
    submitted = header(message, "Auto-Submitted").lower()
    if submitted and not submitted.startswith("no"):
        return True
    if any(name in message for name in _AUTOMATIC_HEADERS):
        return True
    if header(message, "Precedence").lower() in _AUTOMATIC_PRECEDENCE:
        return True
    if any(map(_is_null_sender, headers(message, "Return-Path")[:1])):
        return True
    subject = header(message, "Subject")
    if _AUTOMATIC_SUBJECT.match(subject):
        return True
    # Who writes no more than Yes or No is no program, whatever stands above it.
    return bool(_AWAY_SUBJECT.match(subject)) and not proposed_answer(message)


_AUTOMATIC_HEADERS = (
    "X-Autoreply",
    "X-Auto-Reply",
    "X-Autorespond",
    "X-Autoresponder",
    "X-Autoreply-From",
    "X-Mail-Autoreply",
    "X-Autogenerated",
    "X-FC-MachineGenerated",
)
_AUTOMATIC_PRECEDENCE = {"auto_reply", "auto-reply", "bulk", "junk", "list"}

# What Outlook, Exchange, Notes and others begin with where they add no header: "Automatic reply"
# in each of their languages.
_AUTOMATIC_SUBJECT = re.compile(
    r"auto(matic|mated)?[- ]?(reply|response|answer)\b|vacation (reply|message|response)|"
    r"auto: .{1,100}\b(out of|away|absent|afwezig|abwesend)\b|"
    r"automatisch(e|er|es)? (antwoord|beantwoording|antwort)|"
    r"(réponse automatique|risposta automatica|respuesta automática|resposta automática|"
    r"resposta automàtica|autosvar|automatiskt? svar|sjálfvirkt svar|automaattinen vastaus|"
    r"automaatvastus|automātiska atbilde|automatinis atsakymas|automatyczna odpowiedź|"
    r"automatická odpove[ďd]|automatická odpověď|samodejni odgovor|automatski odgovor|"
    r"automatikus válasz|răspuns automat|otomatik yanıt|автоматический ответ|"
    r"автоматична відповідь|автоматичен отговор|αυτόματη απάντηση|תשובה אוטומטית|رد تلقائي)|"
    r"自动答复|自动回复|自動回覆|自動応答|자동 회신",
    re.IGNORECASE,
)

# "Afwezig: …" and "Abwesend bis Montag", but neither "Afwezigheid doorgeven" nor "Out of office
# hours".
_AWAY_SUBJECT = re.compile(
    r"(afwezig(heid(s(bericht|melding|assistent|mededeling))?)?|niet aanwezig|"
    r"out[- ]of[- ](the[- ])?office|abwesend|"
    r"abwesenheit(s(notiz|nachricht|meldung|assistent|benachrichtigung|agent))?|"
    r"absent(e)? du bureau|absence( du bureau)?|(message |notification |avis )?d['’]absence|"
    r"fuori (ufficio|sede)|fuera de (la )?oficina|fora do escritório)"
    r"(?=\s*($|[:;,!(–—-]|\d|(re|aw|antw|tot|t/m|van|vanaf|wegens|i\.?v\.?m\.?|bis|vom|ab|wegen|"
    r"until|till|from|jusqu|du|pour|hasta|fino|dal)\b))",
    re.IGNORECASE,
)


def _arrived(message: Message) -> datetime | None:
    """Return when the last server on the way took a message: it writes its line at the top."""
    received = headers(message, "Received")
    _, _, date = received[0].rpartition(";") if received else ("", "", "")
    return parse_date(date)


def make_digest(message: Message, raw: bytes) -> str:
    """Return what names a message, whichever servers have added their lines to it."""
    name = header(message, "Message-ID")
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
