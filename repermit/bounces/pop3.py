"""Reading a mailbox by POP3 (RFC 1939).

Bounces of our mails are deleted once they are taken, since nothing can be marked there; what a
person wrote never is.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import poplib
from collections.abc import Callable, Collection, Iterator
from typing import TYPE_CHECKING

from repermit.bounces.mailbox import (
    MAX_MESSAGES,
    MAX_TRIES,
    TIMEOUT,
    log_in_with_token,
    log_skipped_message,
    make_fault,
    may_delete,
)
from repermit.bounces.message_parts import MAX_SIZE
from repermit.i18n.lazy_text import LazyText
from repermit.smtp.connection import checking_context
from repermit.smtp.oauth import xoauth2

if TYPE_CHECKING:
    from repermit.bounces.mailbox import RecordMessage, Token
    from repermit.settings.definitions import Bounces

_CONNECTION_ERRORS = (OSError, EOFError, poplib.error_proto)

# RFC 5322 allows 998; what mail programs send is longer, and the library then gives up.
_LONGEST_LINE = 1_000_000
_MOST_LINES = 5000
_DIGEST = 16
_MARK = "!"


class _Pop3(poplib.POP3):
    """A conversation that takes long lines."""

    def _getline(self) -> tuple[bytes, int]:
        line: bytes = self.file.readline(_LONGEST_LINE)
        if not line:
            # The library's own error for it cannot be told from a refusal.
            raise EOFError
        return line.rstrip(b"\r\n"), len(line)


class _Pop3Tls(_Pop3, poplib.POP3_SSL):
    """The same from TLS."""


def read_pop3(
    bounces: Bounces,
    *,
    known: Collection[str],
    token: Token,
    record_message: RecordMessage,
    save: Callable[[Collection[str]], None],
    should_stop: Callable[[], bool],
) -> None:
    """Take what is not known yet; `save` is given what is known of what lies there now.

    A message is known by a digest of its UIDL, and by that with a mark for each look that has ended
    at it. Raises TransportError in words of ours, and then nothing was deleted, and nothing more is
    known but such a mark.
    """
    with _open_session(bounces, token, TIMEOUT) as pop:
        seen = _read(pop, known, record_message, save, should_stop)
        # Only now is deleted what was to be deleted.
        pop.quit()
        save(seen)


def try_pop3(bounces: Bounces, *, token: Token, seconds: float) -> None:
    """Log in and leave; each answer may take so many seconds. Raises TransportError."""
    with _open_session(bounces, token, seconds) as pop:
        pop.quit()


@contextlib.contextmanager
def _open_session(bounces: Bounces, token: Token, seconds: float) -> Iterator[poplib.POP3]:
    """Log in, and let go at the end, whatever happens."""
    pop = _connect(bounces, seconds)
    try:
        _log_in(pop, bounces, token)
        yield pop
    except _CONNECTION_ERRORS as error:
        raise make_fault(bounces, LazyText("ends the conversation"), error) from None
    finally:
        _drop(pop)


def _drop(pop: poplib.POP3) -> None:
    # Its socket may be gone already, also after a handshake that failed.
    with contextlib.suppress(OSError):
        pop.close()


def _connect(bounces: Bounces, seconds: float) -> poplib.POP3:
    context = checking_context(bounces.ca_file, key="bounces.ca_file")
    try:
        if bounces.tls == "tls":
            return _Pop3Tls(bounces.server, bounces.port, timeout=seconds, context=context)
        pop = _Pop3(bounces.server, bounces.port, timeout=seconds)
    except _CONNECTION_ERRORS as error:
        raise make_fault(bounces, LazyText("cannot be reached"), error) from None
    if bounces.tls == "starttls":
        try:
            pop.stls(context=context)
        except _CONNECTION_ERRORS as error:
            _drop(pop)
            raise make_fault(bounces, LazyText("does not begin TLS"), error) from None
    return pop


def _log_in(pop: poplib.POP3, bounces: Bounces, token: Token) -> None:
    try:
        if bounces.auth == "xoauth2":
            log_in_with_token(
                lambda one: _authenticate(pop, bounces.username, one), token, _CONNECTION_ERRORS
            )
        else:
            pop.user(bounces.username)
            pop.pass_(bounces.password)
    except (*_CONNECTION_ERRORS, UnicodeError) as error:
        raise make_fault(bounces, LazyText("does not take the login"), error) from None


def _authenticate(pop: poplib.POP3, username: str, token: str) -> None:
    # On two lines: Microsoft takes nothing behind the command (RFC 5034 §4 allows both).
    answer = base64.b64encode(xoauth2(username, token).encode()).decode()
    pop._shortcmd("AUTH XOAUTH2")  # type: ignore[attr-defined]  # noqa: SLF001  it has no other
    pop._shortcmd(answer)  # type: ignore[attr-defined]  # noqa: SLF001


def _read(
    pop: poplib.POP3,
    known: Collection[str],
    record_message: RecordMessage,
    save: Callable[[Collection[str]], None],
    should_stop: Callable[[], bool],
) -> set[str]:
    there = _list_messages(pop)
    seen = {name for name in there if name in known}
    for name in [name for name in there if name not in known][:MAX_MESSAGES]:
        if should_stop():
            break
        number, size = there[name]
        raw = b""
        if name + _MARK * MAX_TRIES in known:
            log_skipped_message()
        else:
            try:
                raw = _fetch(pop, number, size)
            except _CONNECTION_ERRORS:
                save(_add_failed_try(known, name))
                raise
        if raw and may_delete(record_message(raw)):
            pop.dele(number)
        seen.add(name)
    return seen


def _add_failed_try(known: Collection[str], name: str) -> set[str]:
    """Return what is known, and that one look more has ended at this message."""
    tries = next((tries for tries in range(MAX_TRIES, 0, -1) if name + _MARK * tries in known), 0)
    return {*(one for one in known if not one.endswith(_MARK)), name + _MARK * (tries + 1)}


def _list_messages(pop: poplib.POP3) -> dict[str, tuple[int, int]]:
    """Return what lies there: number and size in octets of each message, by its digest."""
    sizes = {number: int(size) for number, size in _split_lines(pop.list()[1])}
    names = _split_lines(pop.uidl()[1])
    return {
        hashlib.sha256(name).hexdigest()[:_DIGEST]: (int(number), sizes.get(number, 0))
        for number, name in names
    }


def _split_lines(lines: list[bytes]) -> list[tuple[bytes, bytes]]:
    return [(number, rest) for number, _, rest in (line.partition(b" ") for line in lines)]


def _fetch(pop: poplib.POP3, number: int, size: int) -> bytes:
    """Return a message, of a large one the beginning; b"" if the server will not give it."""
    try:
        lines = (pop.top(number, _MOST_LINES) if size > MAX_SIZE else pop.retr(number))[1]
    except poplib.error_proto:
        return b""
    return b"\r\n".join(lines)
