"""The DKIM key that mails are signed with: how strong it must be, and the name of its record."""

from __future__ import annotations

import re

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from repermit.errors import ConfigError
from repermit.settings.definitions import MailServer

# RFC 8301 §3.2: whoever signs should have no shorter one.
_MIN_RSA_BITS = 2048

# As it stands in the DNS and in a signature: labels with dots between (RFC 6376 §3.1).
_DKIM_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?(?:\.(?!-)[A-Za-z0-9_-]+)*")


def check_signing(mail: MailServer) -> None:
    """Refuse a key to sign with that cannot be used, or whose record nobody would find."""
    if not mail.dkim_selector:
        raise ConfigError(
            "mail.dkim_key needs %(key)s, the name of its record in the DNS",
            key="mail.dkim_selector",
            code="needed",
        )
    for name in ("dkim_selector", "dkim_domain"):
        value = getattr(mail, name)
        if value and not _DKIM_NAME.fullmatch(value):
            raise ConfigError(
                "%(key)s is written as in the DNS, such as mail2026 or example.org",
                key=f"mail.{name}",
            )
    parse_signing_key(mail.dkim_key)


def parse_signing_key(pem: str) -> RSAPrivateKey:
    """Return the private key in a PEM file; raises ConfigError for what is none to sign with.

    RSA alone: of the large mailbox providers few check the other kind (RFC 8463), and who signs
    with that one alone is unsigned to all others.
    """
    try:
        key = load_pem_private_key(pem.encode(), password=None)
    # TypeError: it is encrypted, and nobody is there to be asked for its password.
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, RSAPrivateKey) or key.key_size < _MIN_RSA_BITS:
        raise ConfigError(
            "mail.dkim_key is no RSA key of 2048 bits or more as PEM without a password; "
            "`openssl genrsa -out dkim.pem 2048` makes one",
            key="mail.dkim_key",
        )
    return key
