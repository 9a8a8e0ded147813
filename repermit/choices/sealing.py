"""The seal under which secrets stand in the database, so that a copy of it alone tells none.

May import models and config. The key is made from secret_keys, which stand elsewhere: the newest
seals, and every one that is still there opens.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import TYPE_CHECKING

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from repermit.config import secret_names
from repermit.models import Chosen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from repermit.models import Database


class Seal:
    """Seals and opens with keys made from `secret_keys`, of which the newest is last."""

    def __init__(self, secret_keys: Sequence[bytes]) -> None:
        fernets = [Fernet(_own_key(key)) for key in reversed(secret_keys)]
        self._newest = fernets[0]
        self._all = MultiFernet(fernets)

    def close(self, name: str, text: str) -> str:
        """Return a secret under the seal; it opens under the same name alone."""
        return self._newest.encrypt(json.dumps([name, text]).encode()).decode()

    def open(self, name: str, sealed: str) -> str | None:
        """Return a secret, None if no key that is left opens it, or it is another's."""
        try:
            its_name, text = json.loads(self._all.decrypt(sealed.encode()))
        except InvalidToken:
            return None
        return str(text) if its_name == name else None

    def is_newest(self, sealed: str) -> bool:
        """Say whether the newest key opens it, so that the others may be taken away."""
        try:
            self._newest.decrypt(sealed.encode())
        except InvalidToken:
            return False
        return True


def reseal(database: Database, secret_keys: Sequence[bytes]) -> int:
    """Seal anew, under the newest key, what older ones have sealed; return how many those were."""
    seal = Seal(secret_keys)
    resealed = 0
    with database.atomic():
        for row in list(Chosen.select().where(Chosen.key.in_(secret_names()))):
            text = None if seal.is_newest(row.value) else seal.open(row.key, row.value)
            if text is not None:
                row.value = seal.close(row.key, text)
                resealed += row.save()
    return resealed


def _own_key(key: bytes) -> bytes:
    """Return Fernet's key: made from a link key, but another one, so that neither does for both."""
    made = hmac.digest(key, b"repermit settings in the database", hashlib.sha256)
    return base64.urlsafe_b64encode(made)
