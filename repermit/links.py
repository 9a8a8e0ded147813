"""Signed links: what stands in the mails, and what the pages read back.

May import errors. A link carries no address and never expires.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import Literal, get_args
from urllib.parse import quote, urlsplit, urlunsplit

import idna
from itsdangerous import Signer
from itsdangerous.encoding import base64_decode, base64_encode

from repermit.errors import LinkError

Kind = Literal["yes", "no", "me", "confirm"]
KINDS: tuple[Kind, ...] = get_args(Kind)

_UID = re.compile(r"[0-9a-f]{32}")
# 16 bytes and 32 bytes in base64url without padding.
_TOKEN = re.compile(r"([A-Za-z0-9_-]{22})\.[A-Za-z0-9_-]{43}")


class Links:
    """Make and read the links of one installation.

    `secret_keys` has the newest last: it signs, and all of them verify, so that a link in a
    mail of years ago still answers after the key has been changed.
    """

    def __init__(self, public_url: str, secret_keys: tuple[bytes, ...]) -> None:
        self._public_url = _ascii_url(public_url)
        self._signers = {
            kind: tuple(_signer(key, kind) for key in reversed(secret_keys)) for kind in KINDS
        }

    def url(self, kind: Kind, uid: str) -> str:
        """Return the whole address of one contact's page of this kind, in ASCII."""
        return f"{self._public_url}/{kind}/{self.token(kind, uid)}"

    def token(self, kind: Kind, uid: str) -> str:
        """Return the signed token for `uid` (32 lower-case hexadecimal digits)."""
        if not _UID.fullmatch(uid):
            message = "a uid is 32 lower-case hexadecimal digits"
            raise ValueError(message)
        return self._signers[kind][0].sign(base64_encode(bytes.fromhex(uid))).decode()

    def read(self, kind: Kind, token: str) -> str:
        """Return the uid in a token of this kind.

        Raises LinkError for anything that `token` would not have returned, to the letter.
        """
        shape = _TOKEN.fullmatch(token)
        if shape is None:
            raise LinkError(_NOT_OURS)
        # Signed anew and compared as text, not decoded and verified: the last character of a
        # base64 text has spare bits, so that decoding would accept other spellings as well.
        given, payload = token.encode(), shape[1].encode()
        if not any(
            hmac.compare_digest(given, signer.sign(payload)) for signer in self._signers[kind]
        ):
            raise LinkError(_NOT_OURS)
        return base64_decode(payload).hex()


_NOT_OURS = "this link is not one of ours, or a part of it is missing"


def _signer(secret_key: bytes, kind: Kind) -> Signer:
    """Return a signer whose key is derived here, once, and is another one for every kind."""
    deriving = Signer(
        secret_key,
        salt=f"repermit.links.{kind}",
        key_derivation="hmac",
        digest_method=hashlib.sha256,
    )
    return Signer(deriving.derive_key(), key_derivation="none", digest_method=hashlib.sha256)


def _ascii_url(url: str) -> str:
    """Return `url` as it may stand in a header line: the host as an A-label, the path escaped."""
    if url.isascii():
        return url
    parts = urlsplit(url)
    host = idna.encode(str(parts.hostname), uts46=True).decode()
    port = f":{parts.port}" if parts.port else ""
    path = quote(parts.path, safe="/%:@!$&'()*+,;=~-._")
    return urlunsplit((parts.scheme, host + port, path, "", ""))
