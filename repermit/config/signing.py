"""The key that mails are signed with here (DKIM): whether it can be used.

May import errors. It is imported where there is a key alone: most have none, and what reads one
takes its time to load.
"""

from __future__ import annotations

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from repermit.errors import ConfigError

# RFC 8301 §3.2: whoever signs should have no shorter one.
_SHORTEST = 2048


def signing_key(pem: str) -> RSAPrivateKey:
    """Return the private key in a PEM file; raises ConfigError for what is none to sign with.

    RSA alone: of the large mailbox providers few check the other kind (RFC 8463), and who signs
    with that one alone is unsigned to all others.
    """
    try:
        key = load_pem_private_key(pem.encode(), password=None)
    # TypeError: it is encrypted, and nobody is there to be asked for its password.
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, RSAPrivateKey) or key.key_size < _SHORTEST:
        raise ConfigError(
            "mail.dkim_key is no RSA key of 2048 bits or more as PEM without a password; "
            "`openssl genrsa -out dkim.pem 2048` makes one",
            key="mail.dkim_key",
        )
    return key
