"""Message-IDs and return paths, by which a bounce is matched with its mail.

They are signed, and do not reveal a mail's recipient.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal, NamedTuple

from repermit.errors import LinkError
from repermit.keyed_hash import KeyedHash

ReturnPath = Literal["verp", "fixed"]

_MARK = "([a-z2-7]{13}-[a-z2-7]{16})"
_VERP = re.compile(rf"bounce\+{_MARK}@[^@]+")
_MESSAGE_ID = re.compile(rf"<?{_MARK}@[^@<>\s]+>?")
_ID_BYTES = 8
_ID_LENGTH = 13
_MAX_ID = 2**63 - 1  # as databases have it
# A base32 character has five bits, so that 16 of them have 80.
_CODE_LENGTH = 16


class MailMarks(NamedTuple):
    """The marks of one mail: 13 characters with its number, a hyphen, 16 characters of a code.

    They are lower-case base32, since some servers fold case. Anybody can read the number; making
    the code takes a secret key.
    """

    return_path_mark: str
    message_id_mark: str

    def return_path(self, domain: str) -> str:
        """Return the envelope sender that identifies the mail (VERP); `domain` is an A-label."""
        return f"bounce+{self.return_path_mark}@{domain}"

    def message_id(self, domain: str) -> str:
        """Return the Message-ID, in angle brackets."""
        return f"<{self.message_id_mark}@{domain}>"


class MailMarker:
    """Makes the marks of mails with one key, which is prepared once."""

    def __init__(self, key: bytes) -> None:
        self._mac = KeyedHash(key, beginning=b"mail\0")

    def make_marks(self, mail_id: int, owner: str) -> MailMarks:
        """Return the marks of a mail.

        - `mail_id`: fits 64 bits; SQLite gives the id of a deleted row to a later one.
        - `owner`: the uid of its contact or sign-up, so that no later mail has the same marks; ""
          for a mail to the organisation.
        """
        digest = self._mac.digest(mail_id.to_bytes(_ID_BYTES) + owner.encode())
        # A base64 character has six bits of the digest; the translation keeps five of them.
        code_octets = binascii.b2a_base64(digest[:24], newline=False).translate(_FIVE_BITS)
        code = code_octets.decode()
        # The last two characters have nine bits; 512 neighbours share the ones before.
        number = _compute_prefix(mail_id >> 9) + _ENDINGS[mail_id & 511]
        return MailMarks(f"{number}-{code[:_CODE_LENGTH]}", f"{number}-{code[_CODE_LENGTH:]}")


def make_message_id(mail_id: int, owner: str, *, sender_domain: str, key: bytes) -> str:
    """Return the Message-ID "<…@sender_domain>" of a mail, by which its bounces are matched.

    - It is the same for every attempt, so that a second copy is recognised (RFC 5322 §3.6.4).
    - `mail_id`, `owner`: as in `MailMarker.make_marks`.
    - `sender_domain`: an A-label.
    """
    return MailMarker(key).make_marks(mail_id, owner).message_id(sender_domain)


def make_unnumbered_message_id(name: str, *, sender_domain: str, key: bytes) -> str:
    """Return the Message-ID of a mail without a number, such as a preview.

    - `name`: identifies the mail.
    """
    code = hmac.digest(key, b"message-id\0" + name.encode(), hashlib.sha256)
    return f"<{_encode_base32(code[:16])}@{sender_domain}>"


def make_return_path(
    mode: ReturnPath,
    *,
    sender: str,
    return_domain: str = "",
    mail_id: int,
    owner: str,
    key: bytes,
) -> str:
    """Return the envelope sender of one mail.

    - `mode`: "fixed" gives the sender's own address. "verp" gives `bounce+<marks>` at
      `return_domain`, whose local part has 37 octets of the allowed 64.
    - `sender`: a bare address.
    - `return_domain`: "" for the sender's.
    - `mail_id`, `owner`: as in `MailMarker.make_marks`.
    """
    if mode == "fixed":
        return sender
    marks = MailMarker(key).make_marks(mail_id, owner)
    return marks.return_path(return_domain or sender.rpartition("@")[2])


class MailReference(NamedTuple):
    """The mark of a mail as a message names it; anybody can write one, see `is_reference_to`."""

    mail_id: int
    mark: str
    is_return_path: bool


def read_return_path(address: str) -> MailReference:
    """Return the reference in a return path, in upper or lower case; raises LinkError without."""
    return _read_mark(_VERP, address, is_return_path=True)


def read_message_id(text: str) -> MailReference:
    """Return the reference in a Message-ID, with or without brackets; raises LinkError without."""
    return _read_mark(_MESSAGE_ID, text, is_return_path=False)


def is_reference_to(
    reference: MailReference, *, owner: str, message_id: str, keys: Sequence[bytes]
) -> bool:
    """Say whether a reference was made for the mail that has its id.

    - `owner`: that mail's, as in `MailMarker.make_marks`.
    - `message_id`: that mail's, "" before its first attempt.
    - `keys`: all secret keys of this installation, the newest last, since old mails bounce too.
    """
    for key in reversed(keys):
        marker = MailMarker(key)
        # Versions before December 2026 made marks without the owner.
        old_marks = marker.make_marks(reference.mail_id, "")
        is_old = message_id.startswith(f"<{old_marks.message_id_mark}@")
        for marks in (
            marker.make_marks(reference.mail_id, owner),
            *([old_marks] if is_old else []),
        ):
            mark = marks.return_path_mark if reference.is_return_path else marks.message_id_mark
            # Whole marks: the last character has spare bits, which decoding ignores.
            if hmac.compare_digest(reference.mark, mark):
                return True
    return False


def _read_mark(shape: re.Pattern[str], text: str, *, is_return_path: bool) -> MailReference:
    text = text.strip()
    # Some letters outside ASCII become ASCII in lower case.
    match = shape.fullmatch(text.lower()) if text.isascii() else None
    if match is None:
        raise LinkError(_NOT_OURS)
    mark = match[1]
    encoded_number = mark[:_ID_LENGTH].upper()
    mail_id = int.from_bytes(base64.b32decode(encoded_number + "===")[:_ID_BYTES])
    if mail_id > _MAX_ID:
        raise LinkError(_NOT_OURS)
    return MailReference(mail_id, mark, is_return_path)


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
