"""What is kept of a secret that a machine made at random: enough to know it again.

Imports nothing of repermit. A password is another matter, see `passwords`.
"""

from __future__ import annotations

import hashlib


def digest_of(secret: str) -> str:
    """Return the SHA-256 of a token, link or code as hex."""
    return hashlib.sha256(secret.encode()).hexdigest()
