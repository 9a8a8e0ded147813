"""Whether the mailbox of the settings can be read, tried without reading it.

May import mailer, config and errors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from repermit.bounces.imap import try_imap
from repermit.bounces.pop3 import try_pop3
from repermit.mailer import token_source

if TYPE_CHECKING:
    from datetime import datetime

    from repermit.config import Bounces


def log_in(account: Bounces, *, now: datetime, seconds: float) -> None:
    """Log in to a mailbox and leave it as it is; each answer may take so many seconds.

    Raises TransportError in words of ours, and ConfigError.
    """

    def token(refused: str) -> str:
        return token_source(account).token(now, refused=refused)

    attempt = try_imap if account.protocol == "imap" else try_pop3
    attempt(account, token=token, seconds=seconds)
