"""Reading a message: bounce, complaint, a mail program's answer, a person's reply, or nothing.

Whatever is in the message, reading it ends, and with a Reading.
"""

from __future__ import annotations

import hashlib
import logging
import re
from datetime import datetime
from email.message import Message

from repermit.bounces.bounce_results import NONE, Kind, Reading
from repermit.bounces.classify import has_code, returns_an_envelope
from repermit.bounces.delivery_reports import find_report
from repermit.bounces.match import traces_of_answer, traces_of_bounce
from repermit.bounces.nonstandard_bounces import UNDELIVERED, read_odd
from repermit.bounces.parse import (
    LONGEST,
    addresses_in,
    children,
    header,
    headers,
    own_parts,
    parse,
    parse_date,
    text_without_parts,
    texts,
)
from repermit.bounces.reply_text import only_line, proposed_answer

_log = logging.getLogger(__name__)


def read(raw: bytes) -> Reading:
    """Return what a message says; pure, and for any bytes.

    In this order: a report for programs; what a mail server wrote in its own words; the answer of
    a mail program; and the rest, if it answers something, is written by a person.
    """
    try:
        return read_message(raw[:LONGEST])
    except Exception as error:  # noqa: BLE001  the package raises whatever a message makes it
        _log.warning("a message cannot be read: %s", type(error).__name__)
        return NONE


def read_message(raw: bytes) -> Reading:
    """Return what a message says; for a process that may die of it, see `message_reader`."""
    message = parse(raw)
    is_machine = _is_from_a_server(message)
    report = find_report(message, is_machine=is_machine)
    inner = _repacked(message) if report is None and is_machine else None
    if inner is not None:
        message, report = inner, find_report(inner, is_machine=True)
    if report is None and is_machine:
        report = read_odd(message, raw)
    if report is not None:
        return Reading(
            kind=report.kind,
            status=report.status,
            failed=report.failed,
            traces=traces_of_bounce(message),
        )
    if _is_automatic(message):
        return Reading(kind=Kind.AUTO_REPLY, traces=traces_of_bounce(message))
    return _reply(message, raw)


def _repacked(message: Message) -> Message | None:
    """Return the report that a filter on its way has put into a bounce of its own (Trend Micro).

    Where the outer one says by itself why it failed, it is about the inner one.
    """
    inner = [
        child
        for part in own_parts(message)
        if part.get_content_type() == "message/rfc822"
        for child in children(part)
    ]
    if len(inner) != 1 or any(has_code(text) for text in texts(message)):
        return None
    is_report = inner[0].get_content_type() == "multipart/report" and _is_from_a_server(inner[0])
    return inner[0] if is_report else None


def _reply(message: Message, raw: bytes) -> Reading:
    traces = traces_of_answer(message)
    if not traces.message_ids:
        return NONE
    senders = addresses_in(message, "From")
    return Reading(
        kind=Kind.REPLY,
        traces=traces,
        proposed=proposed_answer(message),
        line=only_line(message),
        sender=senders[0] if len(senders) == 1 else "",
        arrived=_arrived(message),
        digest=_digest(message, raw),
    )


def _is_from_a_server(message: Message) -> bool:
    """Say whether a mail server sent this by itself.

    It has a server's name, and no sender in its envelope if that is known (RFC 5321 §4.5.5). A
    person may write as postmaster, and vacation programs leave the envelope empty too (RFC 3834
    §3.3): there the subject must say so as well, or the text as no person writes it.
    """
    paths = headers(message, "Return-Path")[:1]
    names = [_local_part(address) for address in addresses_in(message, "From")]
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
    return returns_an_envelope(text, to=addresses_in(message, "To"))


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


def _digest(message: Message, raw: bytes) -> str:
    """Return what names a message, whichever servers have added their lines to it."""
    name = header(message, "Message-ID")
    return hashlib.sha256(name.encode() if name else raw).hexdigest()
