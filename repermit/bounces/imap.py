"""Reading a mailbox by IMAP (RFC 3501).

No message is moved or deleted, and people's messages stay unread.
"""

from __future__ import annotations

import contextlib
import imaplib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from repermit.bounces.mailbox import (
    MAX_MESSAGES,
    MAX_TRIES,
    TIMEOUT,
    log_in_with_token,
    log_skipped_message,
    make_fault,
    may_mark_read,
)
from repermit.bounces.message_parts import MAX_SIZE
from repermit.i18n.lazy_text import LazyText
from repermit.smtp.connection import make_tls_context
from repermit.smtp.oauth import make_xoauth2_response

if TYPE_CHECKING:
    from repermit.bounces.mailbox import RecordMessage, Token
    from repermit.settings.definitions import Bounces

_CONNECTION_ERRORS = (OSError, imaplib.IMAP4.error)
_MAX_HEADERS = 2000

_FIRST_PERIOD = timedelta(days=90)
"""How far back a mailbox is read if it is new, or was created again."""


@dataclass(frozen=True)
class ImapPosition:
    """How far a mailbox has been read: its UIDVALIDITY, and the last UID (RFC 3501 §2.3.1.1).

    Marks for read messages do not help, since a person may have read a message first.

    - `stuck_at`: the UID of the message at which the last poll broke off.
    - `tries`: how many polls have broken off there.
    """

    validity: int = 0
    uid: int = 0
    stuck_at: int = 0
    tries: int = 0


def read_imap(
    bounces: Bounces,
    *,
    position: ImapPosition,
    now: datetime,
    token: Token,
    record_message: RecordMessage,
    save: Callable[[ImapPosition], None],
    should_stop: Callable[[], bool],
) -> None:
    """Record the messages that arrived after `position`.

    - Bounces and automatic replies about our mails are marked as read; nothing else is changed.
    - `save`: called with each new position, also before an error is raised.
    - Raises TransportError, in our words.
    """
    with _open_session(bounces, token, TIMEOUT) as imap:
        _read_messages(
            imap, position, now, record_message=record_message, save=save, should_stop=should_stop
        )


def try_imap(bounces: Bounces, *, token: Token, seconds: float) -> None:
    """Log in, open the mailbox and log out; nothing is read or marked.

    - `seconds`: the time limit for each answer of the server.
    - Raises TransportError, in our words.
    """
    with _open_session(bounces, token, seconds):
        pass


def fetch_messages(
    bounces: Bounces,
    *,
    since: date,
    is_wanted: Callable[[bytes], bool],
    token: Token,
    seconds: float,
) -> list[bytes]:
    """Return the wanted messages since a day; nothing is marked as read.

    - `is_wanted`: called with a header that has only the Message-ID.
    - If there are very many messages, only the newest are searched.
    - Raises TransportError, in our words.
    """
    with _open_session(bounces, token, seconds) as imap:
        numbers = _search(imap, _make_since_criterion(since), after=0)[-_MAX_HEADERS:]
        wanted_uids = [uid for uid, head in _fetch_heads(imap, numbers) if is_wanted(head)]
        return [raw for uid in wanted_uids if (raw := _fetch(imap, uid))]


def _fetch_heads(imap: imaplib.IMAP4, uids: list[int]) -> Iterator[tuple[int, bytes]]:
    """Yield each message's UID, and a header that has only its Message-ID."""
    if not uids:
        return
    uid_set = ",".join(map(str, uids))
    _, data = imap.uid("FETCH", uid_set, "(UID BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])")
    for part in data:
        if isinstance(part, tuple) and (uid := re.search(rb"\bUID (\d+)", part[0])):
            yield int(uid[1]), bytes(part[1])


def _make_since_criterion(day: date) -> str:
    return f"SINCE {day:%d}-{_MONTHS[day.month]}-{day:%Y}"


@contextlib.contextmanager
def _open_session(bounces: Bounces, token: Token, seconds: float) -> Iterator[imaplib.IMAP4]:
    """Log in and open the mailbox for the block; always log out at its end."""
    imap = _connect(bounces, seconds)
    try:
        _log_in(imap, bounces, token)
        _select(imap, bounces)
        yield imap
    except _CONNECTION_ERRORS as error:
        raise make_fault(bounces, LazyText("ends the conversation"), error) from None
    finally:
        with contextlib.suppress(*_CONNECTION_ERRORS):
            imap.logout()
        _close_socket(imap)


def _close_socket(imap: imaplib.IMAP4) -> None:
    # Its socket may be gone already, also after a handshake that failed.
    with contextlib.suppress(OSError):
        imap.shutdown()


def _connect(bounces: Bounces, seconds: float) -> imaplib.IMAP4:
    context = make_tls_context(bounces.ca_file, key="bounces.ca_file")
    try:
        if bounces.tls == "tls":
            return imaplib.IMAP4_SSL(
                bounces.server, bounces.port, ssl_context=context, timeout=seconds
            )
        imap = imaplib.IMAP4(bounces.server, bounces.port, timeout=seconds)
    except _CONNECTION_ERRORS as error:
        raise make_fault(bounces, LazyText("cannot be reached"), error) from None
    if bounces.tls == "starttls":
        try:
            # Raises if STARTTLS is not offered, as after a downgrade attack.
            imap.starttls(ssl_context=context)
        except _CONNECTION_ERRORS as error:
            _close_socket(imap)
            raise make_fault(bounces, LazyText("does not begin TLS"), error) from None
    return imap


def _log_in(imap: imaplib.IMAP4, bounces: Bounces, token: Token) -> None:
    try:
        if bounces.auth == "xoauth2":
            log_in_with_token(
                lambda token_text: _authenticate(imap, bounces.username, token_text),
                token,
                _CONNECTION_ERRORS,
            )
        else:
            imap.login(bounces.username, bounces.password)
    except (*_CONNECTION_ERRORS, UnicodeError) as error:
        raise make_fault(bounces, LazyText("does not take the login"), error) from None


def _authenticate(imap: imaplib.IMAP4, username: str, token: str) -> None:
    # A server that refuses the token sends a challenge, which gets an empty answer.
    answers = iter([make_xoauth2_response(username, token).encode()])
    imap.authenticate("XOAUTH2", lambda _challenge: next(answers, b""))


def _read_messages(
    imap: imaplib.IMAP4,
    position: ImapPosition,
    now: datetime,
    *,
    record_message: RecordMessage,
    save: Callable[[ImapPosition], None],
    should_stop: Callable[[], bool],
) -> None:
    validity = _parse_number(imap.response("UIDVALIDITY")[1])
    if validity != position.validity:
        position = ImapPosition(validity)
    save(position)
    uid = position.uid
    criterion = f"UID {uid + 1}:*" if uid else _make_since_criterion((now - _FIRST_PERIOD).date())
    for number in _search(imap, criterion, after=uid)[:MAX_MESSAGES]:
        if should_stop():
            break
        raw = _fetch_or_skip(imap, number, position, save)
        is_done = raw and may_mark_read(record_message(raw))
        position = ImapPosition(validity, number)
        save(position)
        if is_done:
            imap.uid("STORE", str(number), "+FLAGS.SILENT", r"(\Seen)")


def _fetch_or_skip(
    imap: imaplib.IMAP4, number: int, position: ImapPosition, save: Callable[[ImapPosition], None]
) -> bytes:
    """Return a message; b"" if too many polls have broken off at it."""
    tries = position.tries if position.stuck_at == number else 0
    if tries >= MAX_TRIES:
        log_skipped_message()
        return b""
    try:
        return _fetch(imap, number)
    except _CONNECTION_ERRORS:
        save(replace(position, stuck_at=number, tries=tries + 1))
        raise


# English on every machine, unlike strftime.
_MONTHS = ("", *"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split())


def _select(imap: imaplib.IMAP4, bounces: Bounces) -> None:
    quoted = bounces.mailbox.replace("\\", "\\\\").replace('"', '\\"')
    try:
        kind, _ = imap.select(f'"{quoted}"')
    except UnicodeError:
        kind = "BAD"
    if kind != "OK":
        raise make_fault(bounces, LazyText("has no mailbox of the name in bounces.mailbox"))


def _parse_number(data: list[Any]) -> int:
    return int(data[-1]) if data and data[-1] else 0


def _search(imap: imaplib.IMAP4, criterion: str, *, after: int) -> list[int]:
    """Return the UIDs above `after` that match, in order.

    "n:*" always matches the last message, even if its UID is below n.
    """
    _, data = imap.uid("SEARCH", criterion)
    uids = {int(uid) for line in data if line for uid in line.split()}
    return sorted(uid for uid in uids if uid > after)


def _fetch(imap: imaplib.IMAP4, uid: int) -> bytes:
    """Return the first MAX_SIZE octets of a message, without marking it as read; b"" if gone."""
    _, data = imap.uid("FETCH", str(uid), f"(BODY.PEEK[]<0.{MAX_SIZE}>)")
    for part in data:
        if isinstance(part, tuple) and re.search(rb"BODY\[\]", part[0]):
            return bytes(part[1])
    return b""
