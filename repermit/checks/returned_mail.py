"""Whether mail reaches the sender's domain, and what comes back is read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from repermit.checks.dns_lookup import Names, is_address, is_this_machine
from repermit.checks.finding_texts import finding
from repermit.checks.findings import Finding
from repermit.errors import ConfigError, TransportError
from repermit.settings.definitions import Bounces, Settings

_SECONDS = 5.0

# What the package `bounces` says of each step that fails, and what that step was about.
_FAULTS = (
    ("certificate that cannot be trusted", "bounces_certificate"),
    ("does not begin TLS", "bounces_no_starttls"),
    ("the sign-in service", "bounces_sign_in"),
    ("does not take the login", "bounces_login"),
    ("has no mailbox of the name", "bounces_no_folder"),
)


class LogIn(Protocol):
    """Logs in to a mailbox and leaves; raises TransportError or ConfigError."""

    def __call__(self, account: Bounces, /, *, seconds: float) -> None:
        """Let each answer take so many seconds at most."""


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
    """Yield who reads what comes back, where that is no mailbox of the settings."""
    if settings.bounces.protocol != "none":
        return
    if has_returned:
        yield finding("bounces_came")
    else:
        yield finding("bounces_none")


def look_at_mailbox(names: Names, account: Bounces, log_in: LogIn) -> Iterator[Finding]:
    """Yield whether the mailbox takes the login; `log_in` is told what it may take, in seconds."""
    try:
        log_in(account, seconds=_SECONDS)
    except ConfigError as error:
        yield finding("bounces_settings", reason=error.said)
    except TransportError as error:
        yield _fault(names, account, error.said)
    else:
        yield finding("bounces_mailbox", server=account.server)
    if account.tls == "none" and not is_this_machine(account.server):
        yield finding("bounces_plain", server=account.server)


def _fault(names: Names, account: Bounces, reason: str) -> Finding:
    for said, code in _FAULTS:
        if said in reason:
            return finding(code, reason=reason)
    # A name without a dot is of this network alone.
    is_public_name = "." in account.server and not is_address(account.server)
    if is_public_name and not names.addresses(account.server):
        return finding("bounces_no_server", server=account.server)
    return finding("bounces_unreachable", reason=reason)


def _takes_mail(names: Names, domain: str) -> bool:
    # A lone "." says that it takes none (RFC 7505).
    return any(names.mail_servers(domain))
