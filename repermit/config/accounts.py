"""What a mail account still needs: a preset's values, a usual port, a way to log in.

May import errors and the rooms of this package.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from repermit.config import checking
from repermit.config.presets import PRESETS
from repermit.errors import ConfigError

if TYPE_CHECKING:
    from repermit.config.settings import Bounces, MailServer

# RFC 8314 §3.
_PORTS = {
    ("imap", True): 993,
    ("imap", False): 143,
    ("pop3", True): 995,
    ("pop3", False): 110,
}

_TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*")


def fill_in(mail: dict[str, Any]) -> None:
    """Put in what the preset says and nobody has said otherwise.

    A preset that there is not is refused with the rest of its table.
    """
    name = mail.get("preset")
    preset = PRESETS.get(name) if isinstance(name, str) else None
    if preset is None:
        return
    if not preset.server and not mail.get("server"):
        message = (
            f'mail.preset = "{name}" needs mail.server, which your host tells you; '
            "often it is mail. and your domain"
        )
        raise ConfigError(message, key="mail.server")
    mail.update({**preset.values(), **mail})


def choose_port(bounces: dict[str, Any]) -> None:
    """Put in the usual port of the protocol, where none is given."""
    usual = _PORTS.get((str(bounces.get("protocol")), bounces.get("tls", "tls") == "tls"))
    if usual:
        bounces.setdefault("port", usual)


def check_mail(mail: MailServer) -> None:
    """Refuse a mail server that cannot be logged in to, or that would refuse every mail."""
    if mail.return_path == "verp" and mail.refuses_other_senders:
        message = (
            'mail.return_path = "verp" gives each mail an envelope sender of its own, and Exchange '
            'Online refuses it (5.7.60): take "fixed"'
        )
        raise ConfigError(message, key="mail.return_path")
    _check_sign_in("mail", mail)


def check_bounces(bounces: Bounces) -> None:
    """Refuse a mailbox that cannot be read."""
    if bounces.protocol == "none":
        return
    for key in ("server", "username"):
        if not getattr(bounces, key):
            message = f'bounces.protocol = "{bounces.protocol}" needs bounces.{key}'
            raise ConfigError(message, key=f"bounces.{key}")
    _check_sign_in("bounces", bounces)


def _check_sign_in(table: str, account: MailServer | Bounces) -> None:
    """Refuse XOAUTH2 without what it needs: who we are, and a secret or a token to show for it."""
    if account.auth != "xoauth2":
        return
    needs = f'{table}.auth = "xoauth2" needs {table}.'
    for key in ("username", "oauth_client_id"):
        if not getattr(account, key):
            raise ConfigError(f"{needs}{key}", key=f"{table}.{key}")
    # Nobody but Microsoft lets an application into a mailbox on its own word.
    is_known = account.oauth_tenant and account.oauth_client_secret
    if not (account.oauth_refresh_token or is_known):
        message = f"{needs}oauth_tenant and oauth_client_secret, or else oauth_refresh_token"
        raise ConfigError(message, key=f"{table}.oauth_refresh_token")
    _check_where(table, account)


def _check_where(table: str, account: MailServer | Bounces) -> None:
    if account.oauth_tenant and not _TENANT.fullmatch(account.oauth_tenant):
        message = f"{table}.oauth_tenant must look like example.onmicrosoft.com or like a GUID"
        raise ConfigError(message, key=f"{table}.oauth_tenant")
    if account.oauth_authority and not checking.is_safe_address(account.oauth_authority):
        message = f"{table}.oauth_authority must be an https address, for secrets are sent there"
        raise ConfigError(message, key=f"{table}.oauth_authority")
