"""The common parts of IMAP and POP3: limits, the handling of a message, and the server's errors.

A server's text is not stored, since it may quote an address.
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
"""The time limit for each answer of the server, in seconds."""

MAX_MESSAGES = 500
"""The maximum number of messages in one poll; the rest follow with the next."""

MAX_TRIES = 3
"""How many polls may break off at one message before it is skipped."""

_log = logging.getLogger(__name__)


def log_skipped_message() -> None:
    """Log that a message was skipped; it may be a person's, so nothing of it is logged."""
    _log.warning("a message in the mailbox cannot be fetched; it is left there")


RecordMessage = Callable[[bytes], BounceResult]
"""Records one message; may be called again with the same message."""

Token = Callable[[str], str]
"""Returns the token for the login; its argument is a token that was refused, or ""."""


def may_delete(result: BounceResult) -> bool:
    """Return whether a message may be deleted: a bounce of one of our mails, and no complaint."""
    return bool(result.list) and result.kind in {MessageKind.HARD, MessageKind.SOFT}


def may_mark_read(result: BounceResult) -> bool:
    """Return whether a message may be marked as read: a bounce, or an automatic reply to us."""
    return may_delete(result) or (bool(result.list) and result.kind is MessageKind.AUTO_REPLY)


def make_fault(
    bounces: Bounces, problem: LazyText, error: Exception | None = None
) -> TransportError:
    """Return the error for a fault of the server, in our words."""
    if isinstance(error, ssl.SSLCertVerificationError):
        problem = LazyText(
            "has a certificate that cannot be trusted (%(reason)s)", reason=error.verify_message
        )
    reason = LazyText(
        "the mailbox server %(server)s, port %(port)s, %(what)s",
        server=bounces.server,
        port=str(bounces.port),
        what=problem,
    )
    return TransportError(0, reason=reason)


def log_in_with_token(
    log_in: Callable[[str], None], token: Token, refusals: tuple[type[Exception], ...]
) -> None:
    """Log in with a token, and once more with another one if it is refused."""
    first_token = token("")
    try:
        log_in(first_token)
    except refusals:
        log_in(token(first_token))
