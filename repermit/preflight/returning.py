"""Whether mail reaches the sender's domain, and what comes back is read.

May import config and this room.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from repermit.preflight.words import finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from repermit.config import Settings
    from repermit.preflight.facts import Finding
    from repermit.preflight.names import Names


def look_at_mx(names: Names, domain: str) -> Iterator[Finding]:
    """Yield whether a domain takes mail."""
    if _takes_mail(names, domain):
        yield finding("mx_ok", domain=domain)
    elif names.mail_servers(domain) or not names.addresses(domain):
        yield finding("mx_none", domain=domain)
    else:
        # RFC 5321 §5.1: then the domain's own address counts.
        yield finding("mx_address_alone", domain=domain)


def look_at_return_domain(names: Names, domain: str) -> Iterator[Finding]:
    """Yield a problem if bounces to a domain of their own can arrive nowhere."""
    if not _takes_mail(names, domain):
        yield finding("bounces_nowhere", domain=domain)


def look_at_bounces(settings: Settings, *, has_returned: bool) -> Iterator[Finding]:
    """Yield who reads what comes back."""
    if settings.bounces.protocol != "none":
        yield finding("bounces_mailbox", server=settings.bounces.server)
    elif has_returned:
        yield finding("bounces_came")
    else:
        yield finding("bounces_none")


def _takes_mail(names: Names, domain: str) -> bool:
    # A lone "." says that it takes none (RFC 7505).
    return any(names.mail_servers(domain))
