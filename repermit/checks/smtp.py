"""Whether the mail server takes the login, over TLS that is checked; nothing is sent."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace

from repermit.checks.dns_lookup import Names, is_address, is_this_machine
from repermit.checks.finding_texts import finding
from repermit.checks.findings import Finding
from repermit.errors import ConfigError, TransportError
from repermit.settings.definitions import MailServer
from repermit.settings.smtp_presets import PRESETS
from repermit.smtp.mail_server import Mailer

_SECONDS = 5

# What the mailer says of each step that fails, and what that step was about.
_FAULTS = (
    ("certificate that cannot be trusted", "smtp_certificate"),
    ("does not offer STARTTLS", "smtp_no_starttls"),
    ("the sign-in service", "smtp_sign_in"),
    ("does not take the login", "smtp_login"),
    ("offers no login", "smtp_login"),
)

# It may know a customer by the address that mails come from.
_WITHOUT_LOGIN = frozenset({"google-relay"})


def look_at_smtp(names: Names, mail: MailServer) -> Iterator[Finding]:
    """Yield what stands against the mail server; it is connected to, and left again."""
    has_login = bool(mail.username and (mail.password or mail.auth == "xoauth2"))
    if not has_login and (mail.username or mail.password):
        yield finding("smtp_half_a_login")
    elif not has_login and mail.preset in PRESETS.keys() - _WITHOUT_LOGIN:
        yield finding("smtp_no_login", preset=mail.preset)
    else:
        yield _connected(names, mail, has_login=has_login)
    if mail.tls == "none" and not is_this_machine(mail.server):
        yield finding("smtp_plain", server=mail.server)


def _connected(names: Names, mail: MailServer, *, has_login: bool) -> Finding:
    try:
        _come_and_go(replace(mail, connect_timeout=min(_SECONDS, mail.connect_timeout)))
    except ConfigError as error:
        return finding("smtp_settings", reason=error.said)
    except TransportError as error:
        return _fault(names, mail, error.said)
    return finding("smtp_ok" if has_login else "smtp_open", server=mail.server)


def _come_and_go(mail: MailServer) -> None:
    host = Mailer(mail).connect().configure_host()
    # What the server says to the farewell may take as long as its reply to a mail.
    assert host.sock is not None  # noqa: S101  it has just spoken
    host.sock.settimeout(_SECONDS)
    with contextlib.suppress(OSError):
        host.quit()
    host.close()


def _fault(names: Names, mail: MailServer, reason: str) -> Finding:
    for said, code in _FAULTS:
        if said in reason:
            return finding(code, reason=reason)
    # A name without a dot is of this network alone.
    is_public_name = "." in mail.server and not is_address(mail.server)
    if is_public_name and not names.addresses(mail.server):
        return finding("smtp_no_server", server=mail.server)
    return finding("smtp_unreachable", reason=reason)
