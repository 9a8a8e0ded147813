"""Checks of mail: the mail server's login, the domain's MX, the mailbox for bounces."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Literal, Protocol

from repermit.checks.dns_lookup import DnsResolver, is_address, is_this_machine
from repermit.checks.findings import Finding, make_finding
from repermit.errors import ConfigError, TransportError
from repermit.settings.definitions import Bounces, MailServer, Settings
from repermit.settings.smtp_presets import PRESETS, name_provider
from repermit.smtp.mail_server import Mailer

_SECONDS = 5

# What the mailer and the package `bounces` say of each step that fails, and its finding.
_FAULTS = {
    "smtp": (
        ("certificate that cannot be trusted", "smtp_certificate"),
        ("does not offer STARTTLS", "smtp_no_starttls"),
        ("the sign-in service", "smtp_sign_in"),
        ("does not take the login", "smtp_login"),
        ("offers no login", "smtp_login"),
    ),
    "bounces": (
        ("certificate that cannot be trusted", "bounces_certificate"),
        ("does not begin TLS", "bounces_no_starttls"),
        ("the sign-in service", "bounces_sign_in"),
        ("does not take the login", "bounces_login"),
        ("has no mailbox of the name", "bounces_no_folder"),
    ),
}

# It may know a customer by the address that mails come from.
_WITHOUT_LOGIN = frozenset({"google-relay"})


def check_mail_login(resolver: DnsResolver, mail: MailServer) -> Iterator[Finding]:
    """Yield what stands against the mail server; it is connected to, and left again."""
    has_login = bool(mail.username and (mail.password or mail.auth == "xoauth2"))
    if not has_login and (mail.username or mail.password):
        yield make_finding("smtp_half_a_login")
    elif not has_login and mail.preset in PRESETS.keys() - _WITHOUT_LOGIN:
        yield make_finding("smtp_no_login", preset=name_provider(mail.preset))
    else:
        yield _connected(resolver, mail, has_login=has_login)
    if mail.tls == "none" and not is_this_machine(mail.server):
        yield make_finding("smtp_plain", server=mail.server)


def _connected(resolver: DnsResolver, mail: MailServer, *, has_login: bool) -> Finding:
    try:
        _connect_and_quit(replace(mail, connect_timeout=min(_SECONDS, mail.connect_timeout)))
    except ConfigError as error:
        return make_finding("smtp_settings", reason=error.said)
    except TransportError as error:
        return _explain_failure(resolver, mail.server, "smtp", error.said)
    return make_finding("smtp_ok" if has_login else "smtp_open", server=mail.server)


def _connect_and_quit(mail: MailServer) -> None:
    host = Mailer(mail).connect().configure_host()
    # What the server says to the farewell may take as long as its reply to a mail.
    assert host.sock is not None  # noqa: S101  it has just spoken
    host.sock.settimeout(_SECONDS)
    with contextlib.suppress(OSError):
        host.quit()
    host.close()


def _explain_failure(
    resolver: DnsResolver, server: str, area: Literal["smtp", "bounces"], reason: str
) -> Finding:
    """Return the finding for the step that failed, or for a server that is not reached."""
    for said, code in _FAULTS[area]:
        if said in reason:
            return make_finding(code, reason=reason)
    # A name without a dot is of this network alone.
    is_public_name = "." in server and not is_address(server)
    if is_public_name and not resolver.addresses(server):
        return make_finding(f"{area}_no_server", server=server)
    return make_finding(f"{area}_unreachable", reason=reason)


# --- Whether mail reaches the sender's domain, and what comes back is read. -----------------------


_MAILBOX_SECONDS = 5.0


class LogIn(Protocol):
    """Logs in to a mailbox and leaves; raises TransportError or ConfigError."""

    def __call__(self, account: Bounces, /, *, seconds: float) -> None:
        """Let each answer take so many seconds at most."""


def check_mx(resolver: DnsResolver, domain: str) -> Iterator[Finding]:
    """Yield whether a domain takes mail."""
    if _accepts_mail(resolver, domain):
        yield make_finding("mx_ok", domain=domain)
    elif resolver.mail_servers(domain) or not resolver.addresses(domain):
        yield make_finding("mx_none", domain=domain)
    else:
        # RFC 5321 §5.1: then the domain's own address counts.
        yield make_finding("mx_address_alone", domain=domain)


def check_return_domain(resolver: DnsResolver, domain: str) -> Iterator[Finding]:
    """Yield a problem if bounces to a domain of their own can arrive nowhere."""
    if not _accepts_mail(resolver, domain):
        yield make_finding("bounces_nowhere", domain=domain)


def check_bounce_reader(settings: Settings, *, has_returned: bool) -> Iterator[Finding]:
    """Yield who reads what comes back, where that is no mailbox of the settings."""
    if settings.bounces.protocol != "none":
        return
    if has_returned:
        yield make_finding("bounces_came")
    else:
        yield make_finding("bounces_none")


def check_mailbox_login(
    resolver: DnsResolver, account: Bounces, log_in: LogIn
) -> Iterator[Finding]:
    """Yield whether the mailbox takes the login; `log_in` is told what it may take, in seconds."""
    try:
        log_in(account, seconds=_MAILBOX_SECONDS)
    except ConfigError as error:
        yield make_finding("bounces_settings", reason=error.said)
    except TransportError as error:
        yield _explain_failure(resolver, account.server, "bounces", error.said)
    else:
        yield make_finding("bounces_mailbox", server=account.server)
    if account.tls == "none" and not is_this_machine(account.server):
        yield make_finding("bounces_plain", server=account.server)


def _accepts_mail(resolver: DnsResolver, domain: str) -> bool:
    # A lone "." says that it takes none (RFC 7505).
    return any(resolver.mail_servers(domain))
