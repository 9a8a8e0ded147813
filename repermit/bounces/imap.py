"""Reading a mailbox by IMAP (RFC 3501).

Messages stay where they are, and those of people unread.
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
from repermit.smtp.connection import checking_context
from repermit.smtp.oauth import xoauth2

if TYPE_CHECKING:
    from repermit.bounces.mailbox import RecordMessage, Token
    from repermit.settings.definitions import Bounces

_CONNECTION_ERRORS = (OSError, imaplib.IMAP4.error)
_MOST_HEADS = 2000

_FIRST_LOOK = timedelta(days=90)
"""How far back a mailbox is read that is new, or was made anew."""


@dataclass(frozen=True)
class ImapPosition:
    """How far a mailbox has been read: its UIDVALIDITY, and the last UID (RFC 3501 §2.3.1.1).

    Whether a message is marked as read says nothing: a person may have looked at it first. Of the
    message at which the last look was cut off: its UID, and how many looks have ended there.
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
    """Take what has come since `position`; `save` is given each new one, also before a fault.

    Bounces and answers of programs that are about our mails are marked as read; everything else is
    left untouched. Raises TransportError in words of ours.
    """
    with _open_session(bounces, token, TIMEOUT) as imap:
        _read(
            imap, position, now, record_message=record_message, save=save, should_stop=should_stop
        )


def try_imap(bounces: Bounces, *, token: Token, seconds: float) -> None:
    """Log in, open the mailbox, and leave; each answer may take so many seconds.

    Nothing is read or marked. Raises TransportError in words of ours.
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
    """Return the messages since a day whose Message-ID is wanted; nothing is marked as read.

    `is_wanted` is given a head of that field alone. Looks at the newest messages only if there are
    very many. Raises TransportError in words of ours.
    """
    with _open_session(bounces, token, seconds) as imap:
        numbers = _search(imap, _since(since), after=0)[-_MOST_HEADS:]
        wanted = [uid for uid, head in _fetch_heads(imap, numbers) if is_wanted(head)]
        return [raw for uid in wanted if (raw := _fetch(imap, uid))]


def _fetch_heads(imap: imaplib.IMAP4, uids: list[int]) -> Iterator[tuple[int, bytes]]:
    """Yield each message's UID and its Message-ID, as a head of that field alone."""
    if not uids:
        return
    asked = ",".join(map(str, uids))
    _, data = imap.uid("FETCH", asked, "(UID BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])")
    for part in data:
        if isinstance(part, tuple) and (uid := re.search(rb"\bUID (\d+)", part[0])):
            yield int(uid[1]), bytes(part[1])


def _since(day: date) -> str:
    return f"SINCE {day:%d}-{_MONTHS[day.month]}-{day:%Y}"


@contextlib.contextmanager
def _open_session(bounces: Bounces, token: Token, seconds: float) -> Iterator[imaplib.IMAP4]:
    """Log in and open the mailbox; leave at the end, whatever happens."""
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
        _drop(imap)


def _drop(imap: imaplib.IMAP4) -> None:
    # Its socket may be gone already, also after a handshake that failed.
    with contextlib.suppress(OSError):
        imap.shutdown()


def _connect(bounces: Bounces, seconds: float) -> imaplib.IMAP4:
    context = checking_context(bounces.ca_file, key="bounces.ca_file")
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
            # Raises if STARTTLS is not offered, as when somebody in between has taken it out.
            imap.starttls(ssl_context=context)
        except _CONNECTION_ERRORS as error:
            _drop(imap)
            raise make_fault(bounces, LazyText("does not begin TLS"), error) from None
    return imap


def _log_in(imap: imaplib.IMAP4, bounces: Bounces, token: Token) -> None:
    try:
        if bounces.auth == "xoauth2":
            log_in_with_token(
                lambda one: _authenticate(imap, bounces.username, one), token, _CONNECTION_ERRORS
            )
        else:
            imap.login(bounces.username, bounces.password)
    except (*_CONNECTION_ERRORS, UnicodeError) as error:
        raise make_fault(bounces, LazyText("does not take the login"), error) from None


def _authenticate(imap: imaplib.IMAP4, username: str, token: str) -> None:
    # A server that refuses asks once more, and is given nothing.
    answers = iter([xoauth2(username, token).encode()])
    imap.authenticate("XOAUTH2", lambda _challenge: next(answers, b""))


def _read(
    imap: imaplib.IMAP4,
    position: ImapPosition,
    now: datetime,
    *,
    record_message: RecordMessage,
    save: Callable[[ImapPosition], None],
    should_stop: Callable[[], bool],
) -> None:
    validity = _number(imap.response("UIDVALIDITY")[1])
    if validity != position.validity:
        position = ImapPosition(validity)
    save(position)
    uid = position.uid
    wanted = f"UID {uid + 1}:*" if uid else _since((now - _FIRST_LOOK).date())
    for number in _search(imap, wanted, after=uid)[:MAX_MESSAGES]:
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
    """Return a message; b"" for one that has cut off too many looks already."""
    tries = position.tries if position.stuck_at == number else 0
    if tries >= MAX_TRIES:
        log_skipped_message()
        return b""
    try:
        return _fetch(imap, number)
    except _CONNECTION_ERRORS:
        save(replace(position, stuck_at=number, tries=tries + 1))
        raise


# Not in the language of the machine, as strftime would have it.
_MONTHS = ("", *"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split())


def _select(imap: imaplib.IMAP4, bounces: Bounces) -> None:
    quoted = bounces.mailbox.replace("\\", "\\\\").replace('"', '\\"')
    try:
        kind, _ = imap.select(f'"{quoted}"')
    except UnicodeError:
        kind = "BAD"
    if kind != "OK":
        raise make_fault(bounces, LazyText("has no mailbox of the name in bounces.mailbox"))


def _number(data: list[Any]) -> int:
    return int(data[-1]) if data and data[-1] else 0


def _search(imap: imaplib.IMAP4, wanted: str, *, after: int) -> list[int]:
    """Return the UIDs that are wanted, in order; "n:*" gives the last one even if it is old."""
    _, data = imap.uid("SEARCH", wanted)
    found = {int(one) for line in data if line for one in line.split()}
    return sorted(one for one in found if one > after)


def _fetch(imap: imaplib.IMAP4, uid: int) -> bytes:
    """Return a message's beginning without marking it as read; b"" if it is gone meanwhile."""
    _, data = imap.uid("FETCH", str(uid), f"(BODY.PEEK[]<0.{MAX_SIZE}>)")
    for part in data:
        if isinstance(part, tuple) and re.search(rb"BODY\[\]", part[0]):
            return bytes(part[1])
    return b""
