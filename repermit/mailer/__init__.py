"""The way out: mails are handed over to an SMTP server through Flask-Mail's configuration.

May import messages, config, clock and errors.

Each is imported when it is first used: the process that reads bounces needs `replies` alone.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from repermit.mailer.certificates import checking_context
    from repermit.mailer.connection import Connection
    from repermit.mailer.cutting import Cutter
    from repermit.mailer.dialogue import (
        Accepted,
        Closing,
        Dialogue,
        Envelope,
        Event,
        Garbled,
        Ready,
        Refused,
        Rejected,
    )
    from repermit.mailer.door import Mailer, send_one
    from repermit.mailer.line import Line
    from repermit.mailer.oauth import TokenSource, token_source, xoauth2
    from repermit.mailer.replies import ENDED, GARBLED, PERHAPS, SILENT, Reply
    from repermit.mailer.single import hand_over

__all__ = [
    "ENDED",
    "GARBLED",
    "PERHAPS",
    "SILENT",
    "Accepted",
    "Closing",
    "Connection",
    "Cutter",
    "Dialogue",
    "Envelope",
    "Event",
    "Garbled",
    "Line",
    "Mailer",
    "Ready",
    "Refused",
    "Rejected",
    "Reply",
    "TokenSource",
    "checking_context",
    "hand_over",
    "send_one",
    "token_source",
    "xoauth2",
]

# PEP 562: by name, the module in which it stands.
_HOMES = {
    "Accepted": "dialogue",
    "Closing": "dialogue",
    "Connection": "connection",
    "Cutter": "cutting",
    "Dialogue": "dialogue",
    "ENDED": "replies",
    "Envelope": "dialogue",
    "Event": "dialogue",
    "GARBLED": "replies",
    "Garbled": "dialogue",
    "Line": "line",
    "Mailer": "door",
    "PERHAPS": "replies",
    "Ready": "dialogue",
    "Refused": "dialogue",
    "Rejected": "dialogue",
    "Reply": "replies",
    "SILENT": "replies",
    "TokenSource": "oauth",
    "checking_context": "certificates",
    "hand_over": "single",
    "send_one": "door",
    "token_source": "oauth",
    "xoauth2": "oauth",
}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
