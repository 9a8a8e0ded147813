"""Whether a campaign would work: settings, database, mail server, pages, and the sender's domain.

May import models, mailer, schema, messages, links, addresses and config.
"""

from repermit.preflight.checking import (
    SECONDS,
    check,
    check_mail_server,
    check_mailbox,
    refused_settings,
)
from repermit.preflight.facts import Area, Finding, Report, Verdict
from repermit.preflight.launch_check import find_problems
from repermit.preflight.pages import look_at_reach
from repermit.preflight.together import together
from repermit.preflight.words import WORDS

__all__ = [
    "SECONDS",
    "WORDS",
    "Area",
    "Finding",
    "Report",
    "Verdict",
    "check",
    "check_mail_server",
    "check_mailbox",
    "find_problems",
    "look_at_reach",
    "refused_settings",
    "together",
]
