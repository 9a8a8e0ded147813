"""Mailboxes: what is done with a message, faults in our words, and reading it under limits.

A server's words are not kept: they may quote an address.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Self

from repermit.bounces.bounce_results import NONE, Kind, Taken
from repermit.bounces.interpret_message import read_message
from repermit.bounces.parse import LONGEST
from repermit.errors import TransportError
from repermit.i18n.lazy_text import Said
from repermit.limited_process import LimitedProcess, ProcessDied

if TYPE_CHECKING:
    from repermit.bounces.bounce_results import Reading
    from repermit.settings.definitions import Bounces

TIMEOUT = 60
"""Seconds that a mailbox's server may take for one answer."""

MOST = 500
"""How many messages are looked at in one go; the rest follow with the next."""

TRIES = 3
"""How often a look may end at one and the same message, before that is passed over."""

_log = logging.getLogger(__name__)


def tell_of_passing_over() -> None:
    """Note that a message is left unread; it may be a person's, so nothing of it is said."""
    _log.warning("a message in the mailbox cannot be fetched; it is left there")


Take = Callable[[bytes], Taken]
"""Takes one message; may be called with the same one again."""


Token = Callable[[str], str]
"""Returns the token to log in with; is given one that was refused, or ""."""


def is_done_with(taken: Taken) -> bool:
    """Say whether nobody has to read a message any more: a bounce of one of our mails.

    Whatever a person wrote stays as it is, and so does a complaint.
    """
    return bool(taken.list) and taken.kind in {Kind.HARD, Kind.SOFT}


def is_for_nobody(taken: Taken) -> bool:
    """Say whether a message may count as read: a bounce, or what a program answered to us."""
    return is_done_with(taken) or (bool(taken.list) and taken.kind is Kind.AUTO_REPLY)


def fault(bounces: Bounces, what: Said, error: Exception | None = None) -> TransportError:
    """Return what is wrong with the server."""
    if isinstance(error, ssl.SSLCertVerificationError):
        what = Said(
            "has a certificate that cannot be trusted (%(reason)s)", reason=error.verify_message
        )
    reason = Said(
        "the mailbox server %(server)s, port %(port)s, %(what)s",
        server=bounces.server,
        port=str(bounces.port),
        what=what,
    )
    return TransportError(0, reason=reason)


def with_token(
    log_in: Callable[[str], None], token: Token, refusals: tuple[type[Exception], ...]
) -> None:
    """Log in with a token, and once more with another one if it is refused."""
    first = token("")
    try:
        log_in(first)
    except refusals:
        log_in(token(first))


# --- Reading messages in a process under limits, as they come from a mailbox or a pipe. -----------


# A bounce takes some milliseconds; the package's parser alone takes minutes for some that are made
# for it.
_MEMORY = 1 << 30
_SECONDS = 10
# The first process may have been ended for something else, as where the machine has no memory left.
_TRIES = 2


class MessageReader:
    """Reads one message after the other in one process, which starts with the first of them."""

    def __init__(self) -> None:
        self._process = LimitedProcess(readings, memory=_MEMORY, seconds=_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.close()

    def read(self, raw: bytes) -> Reading:
        """Return what a message says; of one that two processes have died of, nothing.

        That is logged, and nobody tries it again. Raises OSError if none can be started.
        """
        how = ""
        for _ in range(_TRIES):
            try:
                return self._read(raw[:LONGEST])
            except ProcessDied as death:
                how = str(death)
        _log.warning("a message cannot be read (%s); it is left where it is", how)
        return NONE

    def _read(self, raw: bytes) -> Reading:
        reading: Reading
        (reading,) = self._process.ask(raw)
        return reading


def readings(raw: bytes) -> Iterator[Reading]:
    """Yield what one message says."""
    yield read_message(raw)
