"""Validation of the DKIM key that signs mails: its strength, and the name of its record."""

from __future__ import annotations

import re

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from repermit.errors import ConfigError
from repermit.settings.definitions import MailServer

# RFC 8301 §3.2: the recommended minimum for signing.
_MIN_RSA_BITS = 2048

# As in the DNS and in a signature: labels separated by dots (RFC 6376 §3.1).
_DKIM_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?(?:\.(?!-)[A-Za-z0-9_-]+)*")


def check_signing(mail: MailServer) -> None:
    """Raise ConfigError for an unusable signing key, or an invalid name of its record."""
    if not mail.dkim_selector:
        raise ConfigError(
            "%(key)s is needed: the name of the record of the key in the DNS",
            key="mail.dkim_selector",
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
    """Parse a private key in PEM; raises ConfigError for a key that cannot sign.

    Only RSA: few of the large mailbox providers check the other kind (RFC 8463), so for all others
    the mail would be unsigned.
    """
    try:
        key = load_pem_private_key(pem.encode(), password=None)
    # TypeError: the key is encrypted, and nobody can type its password here.
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, RSAPrivateKey) or key.key_size < _MIN_RSA_BITS:
        raise ConfigError(
            "mail.dkim_key is no RSA key of 2048 bits or more as PEM without a password; "
            "`openssl genrsa -out dkim.pem 2048` makes one",
            key="mail.dkim_key",
        )
    return key
