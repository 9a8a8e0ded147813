"""The way out: mails are handed over to an SMTP server through Flask-Mail's configuration.

May import messages, config, clock and errors.
"""

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
