"""What IMAP and POP3 share: limits, what may be done with a message, and faults of the server.

A server's words are not kept: they may quote an address.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING

from repermit.bounces.bounce_results import BounceResult, MessageKind
from repermit.errors import TransportError
from repermit.i18n.lazy_text import LazyText

if TYPE_CHECKING:
    from repermit.settings.definitions import Bounces

TIMEOUT = 60
"""Seconds that a mailbox's server may take for one answer."""

MAX_MESSAGES = 500
"""How many messages are read in one poll; the rest follow with the next."""

MAX_TRIES = 3
"""How many polls may end at one message before it is skipped."""

_log = logging.getLogger(__name__)


def log_skipped_message() -> None:
    """Log that a message was skipped; it may be a person's, so nothing of it is logged."""
    _log.warning("a message in the mailbox cannot be fetched; it is left there")


RecordMessage = Callable[[bytes], BounceResult]
"""Records one message; may be called with the same one again."""

Token = Callable[[str], str]
"""Returns the token to log in with; its argument is one that was refused, or ""."""


def may_delete(taken: BounceResult) -> bool:
    """Say whether a message may be deleted: a bounce of one of our mails, and no complaint."""
    return bool(taken.list) and taken.kind in {MessageKind.HARD, MessageKind.SOFT}


def may_mark_read(taken: BounceResult) -> bool:
    """Say whether a message may be marked as read: a bounce, or a program's answer to us."""
    return may_delete(taken) or (bool(taken.list) and taken.kind is MessageKind.AUTO_REPLY)


def make_fault(bounces: Bounces, what: LazyText, error: Exception | None = None) -> TransportError:
    """Return the error for a fault of the server, in our words."""
    if isinstance(error, ssl.SSLCertVerificationError):
        what = LazyText(
            "has a certificate that cannot be trusted (%(reason)s)", reason=error.verify_message
        )
    reason = LazyText(
        "the mailbox server %(server)s, port %(port)s, %(what)s",
        server=bounces.server,
        port=str(bounces.port),
        what=what,
    )
    return TransportError(0, reason=reason)


def log_in_with_token(
    log_in: Callable[[str], None], token: Token, refusals: tuple[type[Exception], ...]
) -> None:
    """Log in with a token, and once more with another one if it is refused."""
    first = token("")
    try:
        log_in(first)
    except refusals:
        log_in(token(first))
