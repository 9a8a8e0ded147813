"""Message-IDs and return paths: what brings a bounce back to its mail, and nobody else's.

May import addresses and errors. Neither reveals who a mail was for.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from typing import Literal

from repermit.errors import LinkError

ReturnPath = Literal["verp", "fixed"]

_VERP = re.compile(r"bounce\+([a-z2-7]{13})-[a-z2-7]{16}@[^@]+")
_CODE_BYTES = 10
_ID_BYTES = 8


def message_id(uid: str, *, sender_domain: str, key: bytes) -> str:
    """Return the Message-ID "<…@sender_domain>" of the mail that `uid` names.

    The same for every attempt at it, so that a second copy is known as such (RFC 5322 §3.6.4).
    `sender_domain` is an A-label.
    """
    code = hmac.digest(key, b"message-id\0" + uid.encode(), hashlib.sha256)
    return f"<{_base32(code[:16])}@{sender_domain}>"


def return_path(
    mode: ReturnPath, *, sender: str, return_domain: str = "", mail_id: int, key: bytes
) -> str:
    """Return the envelope sender of one mail.

    "fixed" is the sender's own address. "verp" is `bounce+<mail id>-<code>` at `return_domain`
    (the sender's if ""): lower-case base32, since some servers fold case, 37 octets of the 64
    that a local part may have, the code an HMAC of 80 bits. `sender` is a bare address and
    `mail_id` fits 64 bits.
    """
    if mode == "fixed":
        return sender
    return f"{_verp_local_part(mail_id, key)}@{return_domain or sender.rpartition('@')[2]}"


def read_return_path(address: str, *, key: bytes) -> int:
    """Return the mail id in a return path that `return_path` made, upper or lower case.

    Raises LinkError for any other address.
    """
    address = address.strip().lower()
    found = _VERP.fullmatch(address)
    if found is None:
        raise LinkError(_NOT_OURS)
    mail_id = int.from_bytes(base64.b32decode(found[1].upper() + "===")[:_ID_BYTES])
    # Made anew and compared: the last letter has spare bits, and decoding ignores them.
    made = _verp_local_part(mail_id, key)
    if not hmac.compare_digest(made.encode(), address.rpartition("@")[0].encode()):
        raise LinkError(_NOT_OURS)
    return mail_id


_NOT_OURS = "this is not the return path of one of our mails"


def _verp_local_part(mail_id: int, key: bytes) -> str:
    number = mail_id.to_bytes(_ID_BYTES)
    code = hmac.digest(key, b"return-path\0" + number, hashlib.sha256)[:_CODE_BYTES]
    return f"bounce+{_base32(number)}-{_base32(code)}"


def _base32(data: bytes) -> str:
    return base64.b32encode(data).decode().rstrip("=").lower()
