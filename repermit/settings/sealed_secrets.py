"""The seal under which secrets stand in the database, so that a copy of it alone tells none.

The key is made from secret_keys, which stand elsewhere: the newest seals, and every one that is
still there opens.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

# Of every Fernet token until the year 2106: its version, and the first bytes of the time.
_TOKEN_PREFIX = "gAAAA"  # noqa: S105  no secret


class SecretCipher:
    """Seals and opens with keys made from `secret_keys`, of which the newest is last."""

    def __init__(self, secret_keys: Sequence[bytes]) -> None:
        fernets = [Fernet(_derive_key(key)) for key in reversed(secret_keys)]
        self._newest = fernets[0]
        self._all = MultiFernet(fernets)

    def close(self, name: str, text: str) -> str:
        """Return a secret under the seal; it opens under the same name alone."""
        return self._newest.encrypt(json.dumps([name, text]).encode()).decode()

    def open(self, name: str, sealed: str) -> str | None:
        """Return a secret, None if no key that is left opens it, or it is another's."""
        try:
            sealed_name, text = json.loads(self._all.decrypt(sealed.encode()))
        except InvalidToken:
            return None
        return str(text) if sealed_name == name else None

    def open_kept(self, name: str, kept: str) -> str | None:
        """Return a secret that may have been kept before there was a seal for it."""
        return self.open(name, kept) if kept.startswith(_TOKEN_PREFIX) else kept

    def is_newest(self, sealed: str) -> bool:
        """Say whether the newest key opens it, so that the others may be taken away."""
        try:
            self._newest.decrypt(sealed.encode())
        except InvalidToken:
            return False
        return True


def make_totp_name(user_id: int) -> str:
    """Return the name under which the secret of a user's second step is sealed."""
    return f"totp:{user_id}"


def make_webhook_name(webhook_id: int) -> str:
    """Return the name under which the secret of a webhook is sealed."""
    return f"webhook:{webhook_id}"


def _derive_key(key: bytes) -> bytes:
    """Return Fernet's key: made from a link key, but another one, so that neither does for both."""
    derived = hmac.digest(key, b"repermit settings in the database", hashlib.sha256)
    return base64.urlsafe_b64encode(derived)
