"""Message-IDs and return paths: what brings a bounce back to its mail, and nobody else's.

Neither reveals who a mail was for.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Literal, NamedTuple

from repermit.errors import LinkError
from repermit.keyed_hash import KeyedHash

ReturnPath = Literal["verp", "fixed"]

_MARK = "([a-z2-7]{13}-[a-z2-7]{16})"
_VERP = re.compile(rf"bounce\+{_MARK}@[^@]+")
_MESSAGE_ID = re.compile(rf"<?{_MARK}@[^@<>\s]+>?")
_ID_BYTES = 8
_ID_LETTERS = 13
# A letter stands for five bits, so that 16 are 80 bits.
_CODE_LETTERS = 16


class MailMarks(NamedTuple):
    """What stands for one mail: 13 letters with its number, a hyphen, 16 letters of a code.

    Lower-case base32 letters throughout, since some servers fold case. The number can be read by
    anybody, the code made under a secret key only.
    """

    of_return_path: str
    of_message_id: str

    def return_path(self, domain: str) -> str:
        """Return the envelope sender that leads back to the mail ("VERP"), at an A-label."""
        return f"bounce+{self.of_return_path}@{domain}"

    def message_id(self, domain: str) -> str:
        """Return the Message-ID, in its brackets."""
        return f"<{self.of_message_id}@{domain}>"


class MailMarker:
    """Make the marks of mails under one key, prepared once for many of them."""

    def __init__(self, key: bytes) -> None:
        self._mac = KeyedHash(key, beginning=b"mail\0")

    def make_marks(self, mail_id: int) -> MailMarks:
        """Return the marks of a mail, whose number fits 64 bits."""
        digest = self._mac.digest(mail_id.to_bytes(_ID_BYTES))
        # A base64 letter carries six bits of the digest, of which the translation leaves five.
        letters = binascii.b2a_base64(digest[:24], newline=False).translate(_FIVE_BITS)
        codes = letters.decode()
        # The last two letters carry nine bits; what stands before is shared by 512 neighbours.
        number = _compute_prefix(mail_id >> 9) + _ENDINGS[mail_id & 511]
        return MailMarks(f"{number}-{codes[:_CODE_LETTERS]}", f"{number}-{codes[_CODE_LETTERS:]}")


def make_message_id(mail_id: int, *, sender_domain: str, key: bytes) -> str:
    """Return the Message-ID "<…@sender_domain>" of a mail, by which its bounces are known.

    The same for every attempt at it, so that a second copy is known as such (RFC 5322 §3.6.4).
    `sender_domain` is an A-label.
    """
    return MailMarker(key).make_marks(mail_id).message_id(sender_domain)


def make_unnumbered_message_id(name: str, *, sender_domain: str, key: bytes) -> str:
    """Return the Message-ID of a mail that has no number, such as a preview; `name` names it."""
    code = hmac.digest(key, b"message-id\0" + name.encode(), hashlib.sha256)
    return f"<{_encode_base32(code[:16])}@{sender_domain}>"


def make_return_path(
    mode: ReturnPath, *, sender: str, return_domain: str = "", mail_id: int, key: bytes
) -> str:
    """Return the envelope sender of one mail.

    "fixed" is the sender's own address. "verp" is `bounce+<marks>` at `return_domain` (the
    sender's if ""), 37 octets of the 64 that a local part may have. `sender` is a bare address
    and `mail_id` fits 64 bits.
    """
    if mode == "fixed":
        return sender
    return (
        MailMarker(key).make_marks(mail_id).return_path(return_domain or sender.rpartition("@")[2])
    )


def read_return_path(address: str, keys: Sequence[bytes]) -> int:
    """Return the number of the mail whose return path this is, upper or lower case.

    `keys` are all secret keys of this installation, the newest last, since mails of years ago
    bounce too. Raises LinkError for any other address.
    """
    return _read_mark(_VERP, address, keys, lambda marks: marks.of_return_path)


def read_message_id(text: str, keys: Sequence[bytes]) -> int:
    """Return the number of the mail whose Message-ID this is, with or without its brackets.

    As `read_return_path`; raises LinkError for any other text.
    """
    return _read_mark(_MESSAGE_ID, text, keys, lambda marks: marks.of_message_id)


def _read_mark(
    shape: re.Pattern[str], text: str, keys: Sequence[bytes], pick: Callable[[MailMarks], str]
) -> int:
    text = text.strip()
    # Outside ASCII there are letters that become ours in lower case.
    match = shape.fullmatch(text.lower()) if text.isascii() else None
    if match is None:
        raise LinkError(_NOT_OURS)
    given = match[1]
    letters = given[:_ID_LETTERS].upper()
    mail_id = int.from_bytes(base64.b32decode(letters + "===")[:_ID_BYTES])
    # Made anew and compared: the last letter has spare bits, and decoding ignores them.
    made = (pick(MailMarker(key).make_marks(mail_id)) for key in reversed(keys))
    if not any(hmac.compare_digest(given, mark) for mark in made):
        raise LinkError(_NOT_OURS)
    return mail_id


_NOT_OURS = "this names none of our mails"

_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_BASE32 = b"abcdefghijklmnopqrstuvwxyz234567"
_FIVE_BITS = bytes.maketrans(_BASE64, _BASE32 * 2)


@lru_cache(maxsize=4096)
def _compute_prefix(upper: int) -> str:
    return _encode_base32((upper << 9).to_bytes(_ID_BYTES))[:-2]


def _encode_base32(octets: bytes) -> str:
    return base64.b32encode(octets).decode().rstrip("=").lower()


_ENDINGS = tuple(_encode_base32(lower.to_bytes(_ID_BYTES))[-2:] for lower in range(512))
