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
            "%(key)s is needed: your host tells you this name; often it is mail. and your domain",
            key="mail.server",
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
            "Microsoft 365 refuses an address for each mail: take the sender’s own address",
            cli=' (mail.return_path = "fixed")',
            key="mail.return_path",
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
            raise ConfigError("%(key)s is needed to read the mailbox", key=f"bounces.{key}")
    _check_sign_in("bounces", bounces)


def _check_sign_in(table: str, account: MailServer | Bounces) -> None:
    """Raise ConfigError for XOAUTH2 without a user name, a client ID, or a secret or token."""
    if account.auth != "xoauth2":
        return
    for key in ("username", "oauth_client_id"):
        if not getattr(account, key):
            raise ConfigError(
                "%(key)s is needed for a login without a password (xoauth2)", key=f"{table}.{key}"
            )
    # Only Microsoft lets an application into a mailbox with its own secret.
    is_known = account.oauth_tenant and account.oauth_client_secret
    if not (account.oauth_refresh_token or is_known):
        raise ConfigError(
            "either the directory (tenant) ID and the secret of the application are needed, or "
            "else a refresh token",
            cli=" (%(table)s.oauth_tenant and oauth_client_secret, or oauth_refresh_token)",
            key=f"{table}.oauth_refresh_token",
            table=table,
        )
    _check_oauth_endpoints(table, account)


def _check_oauth_endpoints(table: str, account: MailServer | Bounces) -> None:
    if account.oauth_tenant and not _TENANT.fullmatch(account.oauth_tenant):
        raise ConfigError(
            "%(key)s must look like example.onmicrosoft.com, or like a GUID",
            key=f"{table}.oauth_tenant",
        )
    if account.oauth_authority and not validation.is_safe_url(account.oauth_authority):
        raise ConfigError(
            "%(key)s must be an https address, since secrets are sent there",
            key=f"{table}.oauth_authority",
        )
