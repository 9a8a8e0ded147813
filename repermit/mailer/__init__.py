"""The way out: mails are handed over to an SMTP server through Flask-Mail's configuration.

May import messages, config and errors.
"""

from repermit.mailer.connection import Connection
from repermit.mailer.door import Mailer, send_one
from repermit.mailer.replies import Reply

__all__ = ["Connection", "Mailer", "Reply", "send_one"]
