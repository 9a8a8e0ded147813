"""What both kinds of mailbox share: what is done with a message, and faults in words of ours.

A server's words are not kept: they may quote an address.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING

from repermit.bounces.bounce_results import Kind, Taken
from repermit.errors import TransportError
from repermit.i18n.lazy_text import Said

if TYPE_CHECKING:
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
