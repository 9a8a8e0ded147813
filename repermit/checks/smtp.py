"""Checks of the mail server's login, the domain's MX records, and the mailbox for bounces."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from dataclasses import replace
from typing import Literal, Protocol

from repermit.checks.dns_lookup import DnsResolver, is_address, is_this_machine, run_in_parallel
from repermit.checks.findings import Finding, make_finding
from repermit.errors import ConfigError, TransportError
from repermit.settings.definitions import Bounces, MailServer, Settings
from repermit.settings.smtp_presets import PRESETS, name_provider
from repermit.smtp.mail_server import Mailer

_TIMEOUT = 5
_LOOK_UP_TIMEOUT = 2

# The words of the mailer's and the mailbox's errors for each failed step, and the finding's code.
_FAULT_CODES = {
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

# This provider may identify a customer by the sender's IP address.
_WITHOUT_LOGIN = frozenset({"google-relay"})


def check_mail_login(resolver: DnsResolver, mail: MailServer) -> Iterator[Finding]:
    """Yield findings about the mail server, after connecting to it and logging in."""
    has_login = bool(mail.username and (mail.password or mail.auth == "xoauth2"))
    if not has_login and (mail.username or mail.password):
        yield make_finding("smtp_half_a_login")
    elif not has_login and mail.preset in PRESETS.keys() - _WITHOUT_LOGIN:
        yield make_finding("smtp_no_login", preset=name_provider(mail.preset))
    else:
        yield _check_connection(resolver, mail, has_login=has_login)
    if mail.tls == "none" and not is_this_machine(mail.server):
        yield make_finding("smtp_plain", server=mail.server)


def _check_connection(resolver: DnsResolver, mail: MailServer, *, has_login: bool) -> Finding:
    try:
        _connect_and_quit(replace(mail, connect_timeout=min(_TIMEOUT, mail.connect_timeout)))
    except ConfigError as error:
        return make_finding("smtp_settings", reason=error.said)
    except TransportError as error:
        return _explain_failure(resolver, mail.server, "smtp", error.said)
    code = "smtp_ok_plain" if mail.tls == "none" else "smtp_ok"
    return make_finding(code if has_login else "smtp_open", server=mail.server)


def _connect_and_quit(mail: MailServer) -> None:
    host = Mailer(mail).connect().configure_host()
    # Otherwise the reply to QUIT may take as long as the reply to a mail.
    assert host.sock is not None  # noqa: S101  it has just spoken
    host.sock.settimeout(_TIMEOUT)
    with contextlib.suppress(OSError):
        host.quit()
    host.close()


def _explain_failure(
    resolver: DnsResolver, server: str, area: Literal["smtp", "bounces"], reason: str
) -> Finding:
    """Return the finding for the failed step, or for a server that cannot be reached."""
    for phrase, code in _FAULT_CODES[area]:
        if phrase in reason:
            return make_finding(code, reason=reason)
    # A name without a dot belongs to the local network; /etc/hosts may have others.
    is_public_name = "." in server and not is_address(server)
    if is_public_name and not _has_address_here(server) and not resolver.look_up_addresses(server):
        return make_finding(f"{area}_no_server", server=server)
    return make_finding(f"{area}_unreachable", reason=reason)


def _has_address_here(server: str) -> bool:
    """Return whether this machine knows a server's address, which it says within seconds."""

    def look_up() -> bool:
        with contextlib.suppress(OSError, UnicodeError):
            return bool(socket.getaddrinfo(server, None))
        return False

    (is_known,) = run_in_parallel([look_up], seconds=_LOOK_UP_TIMEOUT)
    return bool(is_known)


# --- The sender's domain, and the mailbox for bounces. --------------------------------------------


_MAILBOX_TIMEOUT = 5.0


class LogIn(Protocol):
    """Tries to log in to a mailbox; raises TransportError or ConfigError."""

    def __call__(self, account: Bounces, /, *, seconds: float) -> None:
        """Log in; `seconds` limits each answer of the server."""


def check_mx(resolver: DnsResolver, domain: str) -> Iterator[Finding]:
    """Yield the finding whether a domain accepts mail."""
    if _accepts_mail(resolver, domain):
        yield make_finding("mx_ok", domain=domain)
    elif resolver.look_up_mail_servers(domain) or not resolver.look_up_addresses(domain):
        yield make_finding("mx_none", domain=domain)
    else:
        # RFC 5321 §5.1: then the domain's own address counts.
        yield make_finding("mx_address_alone", domain=domain)


def check_return_domain(resolver: DnsResolver, domain: str) -> Iterator[Finding]:
    """Yield a problem if the domain for bounces accepts no mail."""
    if not _accepts_mail(resolver, domain):
        yield make_finding("bounces_nowhere", domain=domain)


def check_bounce_reader(settings: Settings, *, has_returned: bool) -> Iterator[Finding]:
    """Yield a finding about bounces if the settings have no mailbox for them."""
    if settings.bounces.protocol != "none":
        return
    if has_returned:
        yield make_finding("bounces_came")
    else:
        yield make_finding("bounces_none")


def check_reply_mailbox(settings: Settings) -> Iterator[Finding]:
    """Yield a finding if replies go to another address than that of the mailbox that is read.

    A user name that is no address says nothing about it.
    """
    mailbox, replies_to = settings.bounces.username, settings.organisation.email
    if settings.bounces.protocol == "none" or "@" not in mailbox or not replies_to:
        return
    if mailbox.casefold() != replies_to.casefold():
        yield make_finding("bounces_replies_elsewhere", mailbox=mailbox, address=replies_to)


def check_mailbox_login(
    resolver: DnsResolver, account: Bounces, log_in: LogIn
) -> Iterator[Finding]:
    """Yield findings about the login to the mailbox for bounces."""
    try:
        log_in(account, seconds=_MAILBOX_TIMEOUT)
    except ConfigError as error:
        yield make_finding("bounces_settings", reason=error.said)
    except TransportError as error:
        yield _explain_failure(resolver, account.server, "bounces", error.said)
    else:
        yield make_finding("bounces_mailbox", server=account.server)
    if account.tls == "none" and not is_this_machine(account.server):
        yield make_finding("bounces_plain", server=account.server)


def _accepts_mail(resolver: DnsResolver, domain: str) -> bool:
    # A null MX ("" here) accepts no mail (RFC 7505).
    return any(resolver.look_up_mail_servers(domain))
