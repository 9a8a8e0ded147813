"""Encryption of the secrets in the database, so that a copy of it alone reveals none.

The keys are derived from `secret_keys`, which are outside the database. The newest key encrypts;
each key decrypts.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

# The start of each Fernet token until the year 2106: its version, and the first bytes of its time.
_TOKEN_PREFIX = "gAAAA"  # noqa: S105  no secret


class SecretCipher:
    """Encrypts and decrypts secrets (Fernet); the last of `secret_keys` is the newest."""

    def __init__(self, secret_keys: Sequence[bytes]) -> None:
        fernets = [Fernet(_derive_key(key)) for key in reversed(secret_keys)]
        self._newest = fernets[0]
        self._all = MultiFernet(fernets)

    def encrypt(self, name: str, text: str) -> str:
        """Encrypt a secret; it decrypts only under the same name."""
        return self._newest.encrypt(json.dumps([name, text]).encode()).decode()

    def decrypt(self, name: str, encrypted: str) -> str | None:
        """Decrypt a secret; return None if no key does, or if it has another name."""
        try:
            name_inside, text = json.loads(self._all.decrypt(encrypted.encode()))
        except InvalidToken:
            return None
        return str(text) if name_inside == name else None

    def decrypt_stored(self, name: str, stored: str) -> str | None:
        """Decrypt a secret that may be stored as plain text, from before it was encrypted."""
        return self.decrypt(name, stored) if stored.startswith(_TOKEN_PREFIX) else stored

    def is_encrypted_with_newest_key(self, encrypted: str) -> bool:
        """Return whether the newest key decrypts a secret, so that the others are not needed."""
        try:
            self._newest.decrypt(encrypted.encode())
        except InvalidToken:
            return False
        return True


def make_totp_name(user_id: int) -> str:
    """Return the name under which the secret of a user's second step is encrypted."""
    return f"totp:{user_id}"


def make_webhook_name(webhook_id: int) -> str:
    """Return the name under which the secret of a webhook is encrypted."""
    return f"webhook:{webhook_id}"


def _derive_key(key: bytes) -> bytes:
    """Derive Fernet's key from a link key, so that neither can be used as the other."""
    derived = hmac.digest(key, b"repermit settings in the database", hashlib.sha256)
    return base64.urlsafe_b64encode(derived)
