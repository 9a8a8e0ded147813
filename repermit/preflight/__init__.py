"""Whether a campaign would work: settings, database, mail server, pages, and the sender's domain.

May import models, mailer, schema, messages, links, addresses and config.
"""

from repermit.preflight.checking import check, check_mail_server, refused_settings
from repermit.preflight.facts import Area, Finding, Report, Verdict
from repermit.preflight.words import WORDS

__all__ = [
    "WORDS",
    "Area",
    "Finding",
    "Report",
    "Verdict",
    "check",
    "check_mail_server",
    "refused_settings",
]
