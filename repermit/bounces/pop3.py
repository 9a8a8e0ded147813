"""Reading a mailbox by POP3 (RFC 1939).

Bounces of our mails are deleted once they are recorded, since POP3 has no marks. A person's message
is never deleted.
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
from repermit.smtp.connection import make_tls_context
from repermit.smtp.oauth import make_xoauth2_response

if TYPE_CHECKING:
    from repermit.bounces.mailbox import RecordMessage, Token
    from repermit.settings.definitions import Bounces

_CONNECTION_ERRORS = (OSError, EOFError, poplib.error_proto)

# RFC 5322 allows 998; mail programs send longer lines, for which the library raises an error.
_MAX_LINE_LENGTH = 1_000_000
_MAX_LINES = 5000
_DIGEST_LENGTH = 16
_TRY_MARK = "!"


class _Pop3(poplib.POP3):
    """A POP3 client that accepts long lines."""

    def _getline(self) -> tuple[bytes, int]:
        line: bytes = self.file.readline(_MAX_LINE_LENGTH)
        if not line:
            # The library's own error for this is the same as for a refusal.
            raise EOFError
        return line.rstrip(b"\r\n"), len(line)


class _Pop3Tls(_Pop3, poplib.POP3_SSL):
    """The same client over TLS."""


def read_pop3(
    bounces: Bounces,
    *,
    known_messages: Collection[str],
    token: Token,
    record_message: RecordMessage,
    save: Callable[[Collection[str]], None],
    should_stop: Callable[[], bool],
) -> None:
    """Record the messages that are not known yet.

    - `known_messages`: digests of UIDLs; with a mark for each poll that broke off at the message.
    - `save`: called at the end with the known messages that are still in the mailbox.
    - Raises TransportError, in our words. Then nothing was deleted, and only such a mark is saved.
    """
    with _open_session(bounces, token, TIMEOUT) as pop:
        seen_messages = _read_messages(pop, known_messages, record_message, save, should_stop)
        # The server deletes messages only at QUIT.
        pop.quit()
        save(seen_messages)


def try_pop3(bounces: Bounces, *, token: Token, seconds: float) -> None:
    """Log in and quit; `seconds` limits each answer. Raises TransportError."""
    with _open_session(bounces, token, seconds) as pop:
        pop.quit()


@contextlib.contextmanager
def _open_session(bounces: Bounces, token: Token, seconds: float) -> Iterator[poplib.POP3]:
    """Log in for the block; always close the socket at its end."""
    pop = _connect(bounces, seconds)
    try:
        _log_in(pop, bounces, token)
        yield pop
    except _CONNECTION_ERRORS as error:
        raise make_fault(bounces, LazyText("ends the conversation"), error) from None
    finally:
        _close_socket(pop)


def _close_socket(pop: poplib.POP3) -> None:
    # Its socket may be gone already, also after a handshake that failed.
    with contextlib.suppress(OSError):
        pop.close()


def _connect(bounces: Bounces, seconds: float) -> poplib.POP3:
    context = make_tls_context(bounces.ca_file, key="bounces.ca_file")
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
            _close_socket(pop)
            raise make_fault(bounces, LazyText("does not begin TLS"), error) from None
    return pop


def _log_in(pop: poplib.POP3, bounces: Bounces, token: Token) -> None:
    try:
        if bounces.auth == "xoauth2":
            log_in_with_token(
                lambda token_text: _authenticate(pop, bounces.username, token_text),
                token,
                _CONNECTION_ERRORS,
            )
        else:
            pop.user(bounces.username)
            pop.pass_(bounces.password)
    except (*_CONNECTION_ERRORS, UnicodeError) as error:
        raise make_fault(bounces, LazyText("does not take the login"), error) from None


def _authenticate(pop: poplib.POP3, username: str, token: str) -> None:
    # On two lines: Microsoft accepts no argument after the command (RFC 5034 §4 allows both).
    answer = base64.b64encode(make_xoauth2_response(username, token).encode()).decode()
    pop._shortcmd("AUTH XOAUTH2")  # type: ignore[attr-defined]  # noqa: SLF001  it has no other
    pop._shortcmd(answer)  # type: ignore[attr-defined]  # noqa: SLF001


def _read_messages(
    pop: poplib.POP3,
    known_messages: Collection[str],
    record_message: RecordMessage,
    save: Callable[[Collection[str]], None],
    should_stop: Callable[[], bool],
) -> set[str]:
    messages = _list_messages(pop)
    seen_messages = {name for name in messages if name in known_messages}
    for name in [name for name in messages if name not in known_messages][:MAX_MESSAGES]:
        if should_stop():
            break
        number, size = messages[name]
        raw = b""
        if name + _TRY_MARK * MAX_TRIES in known_messages:
            log_skipped_message()
        else:
            try:
                raw = _fetch(pop, number, size)
            except _CONNECTION_ERRORS:
                save(_add_failed_try(known_messages, name))
                raise
        if raw and may_delete(record_message(raw)):
            pop.dele(number)
        seen_messages.add(name)
    return seen_messages


def _add_failed_try(known_messages: Collection[str], name: str) -> set[str]:
    """Return the known messages, with one more failed poll for this message."""
    tries = next(
        (tries for tries in range(MAX_TRIES, 0, -1) if name + _TRY_MARK * tries in known_messages),
        0,
    )
    return {
        *(known_name for known_name in known_messages if not known_name.endswith(_TRY_MARK)),
        name + _TRY_MARK * (tries + 1),
    }


def _list_messages(pop: poplib.POP3) -> dict[str, tuple[int, int]]:
    """Return the number and the size in octets of each message, by its digest."""
    sizes = {number: int(size) for number, size in _split_lines(pop.list()[1])}
    names = _split_lines(pop.uidl()[1])
    return {
        hashlib.sha256(name).hexdigest()[:_DIGEST_LENGTH]: (int(number), sizes.get(number, 0))
        for number, name in names
    }


def _split_lines(lines: list[bytes]) -> list[tuple[bytes, bytes]]:
    return [(number, value) for number, _, value in (line.partition(b" ") for line in lines)]


def _fetch(pop: poplib.POP3, number: int, size: int) -> bytes:
    """Return a message, or the start of a large one; b"" if the server refuses."""
    try:
        lines = (pop.top(number, _MAX_LINES) if size > MAX_SIZE else pop.retr(number))[1]
    except poplib.error_proto:
        return b""
    return b"\r\n".join(lines)
