"""Completing and checking a mail account: a preset's values, the default port, the login."""

from __future__ import annotations

import re
from typing import Any

from repermit.errors import ConfigError
from repermit.settings import validation
from repermit.settings.definitions import Bounces, MailServer
from repermit.settings.dkim_key import check_signing
from repermit.settings.smtp_presets import PRESETS

# RFC 8314 §3.
_PORTS = {
    ("imap", True): 993,
    ("imap", False): 143,
    ("pop3", True): 995,
    ("pop3", False): 110,
}

_TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*")


def apply_preset(mail: dict[str, Any]) -> None:
    """Add the values of the preset that `mail` does not have.

    An unknown preset is refused later, with the rest of its table.
    """
    name = mail.get("preset")
    preset = PRESETS.get(name) if isinstance(name, str) else None
    if preset is None:
        return
    if not preset.server and not mail.get("server"):
        raise ConfigError(
            'mail.preset = "%(preset)s" needs mail.server, which your host tells you; often it is '
            "mail. and your domain",
            key="mail.server",
            code="host_server",
            preset=str(name),
        )
    mail.update({**preset.values(), **mail})


def set_default_port(bounces: dict[str, Any]) -> None:
    """Add the default port of the protocol if there is none."""
    if port := find_default_port(bounces.get("protocol"), bounces.get("tls", "tls")):
        bounces.setdefault("port", port)


def find_default_port(protocol: object, tls: object) -> int | None:
    """Return the default port for a mailbox's protocol; None for an unknown protocol."""
    return _PORTS.get((str(protocol), tls == "tls"))


def check_mail(mail: MailServer) -> None:
    """Raise ConfigError if the login cannot work, or if the server would refuse every mail."""
    if mail.return_path == "verp" and mail.refuses_other_senders:
        raise ConfigError(
            'mail.return_path = "verp" gives each mail an envelope sender of its own, and Exchange '
            'Online refuses it (5.7.60): take "fixed"',
            key="mail.return_path",
            code="verp_refused",
        )
    _check_sign_in("mail", mail)
    if mail.dkim_key:
        check_signing(mail)


def check_bounces(bounces: Bounces) -> None:
    """Raise ConfigError for a mailbox that cannot be read."""
    if bounces.protocol == "none":
        return
    for key in ("server", "username"):
        if not getattr(bounces, key):
            raise ConfigError(
                'bounces.protocol = "%(protocol)s" needs %(key)s',
                key=f"bounces.{key}",
                code="needed",
                protocol=bounces.protocol,
            )
    _check_sign_in("bounces", bounces)


def _check_sign_in(table: str, account: MailServer | Bounces) -> None:
    """Raise ConfigError for XOAUTH2 without a user name, a client ID, or a secret or token."""
    if account.auth != "xoauth2":
        return
    for key in ("username", "oauth_client_id"):
        if not getattr(account, key):
            raise ConfigError(
                '%(table)s.auth = "xoauth2" needs %(key)s',
                key=f"{table}.{key}",
                code="needed",
                table=table,
            )
    # Only Microsoft lets an application into a mailbox with its own secret.
    is_known = account.oauth_tenant and account.oauth_client_secret
    if not (account.oauth_refresh_token or is_known):
        raise ConfigError(
            '%(table)s.auth = "xoauth2" needs %(table)s.oauth_tenant and oauth_client_secret, or '
            "else oauth_refresh_token",
            key=f"{table}.oauth_refresh_token",
            code="token_needed",
            table=table,
        )
    _check_oauth_endpoints(table, account)


def _check_oauth_endpoints(table: str, account: MailServer | Bounces) -> None:
    if account.oauth_tenant and not _TENANT.fullmatch(account.oauth_tenant):
        raise ConfigError(
            "%(key)s must look like example.onmicrosoft.com or like a GUID",
            key=f"{table}.oauth_tenant",
            code="tenant",
        )
    if account.oauth_authority and not validation.is_safe_url(account.oauth_authority):
        raise ConfigError(
            "%(key)s must be an https address, for secrets are sent there",
            key=f"{table}.oauth_authority",
            code="authority",
        )
