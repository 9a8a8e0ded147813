"""Making and reading the signed links in mails.

A link contains no address and never expires.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass
from typing import Literal, get_args
from urllib.parse import quote, urlsplit, urlunsplit

import idna
from itsdangerous import Signer
from itsdangerous.encoding import base64_decode, base64_encode

from repermit.errors import LinkError
from repermit.keyed_hash import KeyedHash

Kind = Literal["yes", "no", "me", "confirm", "receipt", "fresh", "address", "held"]
KINDS: tuple[Kind, ...] = get_args(Kind)

NOBODY = "0" * 32
"""A uid that no contact has, for testing whether links work; nothing is recorded for it.

A contact's uid has 128 random bits.
"""

PROXIES = "Repermit-Proxies"
"""The response header of such a test: two numbers, separated by a space.

The number of addresses that web servers on the way added to X-Forwarded-For, and the number of
these that are trusted.
"""

# Such a path is followed by a token with which anybody can act for a contact.
_PATH = re.compile(rf"/({'|'.join(KINDS)}|welcome)/[^\s/?\"'<>]+")
_UID = re.compile(r"[0-9a-f]{32}").fullmatch
# 16 bytes and 32 bytes in base64url without padding.
_TOKEN = re.compile(r"([A-Za-z0-9_-]{22})\.[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, kw_only=True)
class Form:
    """The submitted form of a page; `version` is None if it sent no valid number."""

    version: int | None


class Links:
    """Makes and reads the links of one installation.

    - `secret_keys`: the newest one is last and signs. All of them verify, so that links in old
      mails still work after a change of the key.
    """

    def __init__(self, public_url: str, secret_keys: tuple[bytes, ...]) -> None:
        self._public_url = _ascii_url(public_url)
        self._signers = {
            kind: tuple(_derive_signer(key, kind) for key in reversed(secret_keys))
            for kind in KINDS
        }
        # A faster form of the newest signers, as a million mails have three links each. A property
        # test checks that both give the same.
        self._macs = {
            kind: KeyedHash(signers[0].derive_key()) for kind, signers in self._signers.items()
        }
        self._macs_of_a_mail = (self._macs["yes"], self._macs["no"], self._macs["me"])
        self._form_signers = tuple(_derive_signer(key, "form") for key in reversed(secret_keys))

    def url(self, kind: Kind, uid: str) -> str:
        """Return the URL of one contact's page of this kind, in ASCII."""
        return self.base(kind) + self.token(kind, uid)

    def base(self, kind: Kind) -> str:
        """Return the URL of a page of this kind up to the token, in ASCII."""
        return f"{self._public_url}/{kind}/"

    def token(self, kind: Kind, uid: str) -> str:
        """Return the signed token for `uid` (32 lower-case hexadecimal digits)."""
        payload = _encode_uid(uid)
        return (payload + b"." + base64_encode(self._macs[kind].digest(payload))).decode()

    def tokens(self, uid: str) -> tuple[bytes, bytes, bytes]:
        """Return the tokens of a contact's links for Yes, No and stored data, 66 octets each."""
        payload = _encode_uid(uid)
        yes, no, me = self._macs_of_a_mail
        # Encoded at once: 32 octets and a separator are 44 characters, the last of which is unused.
        encoded = _base64url(
            b"%b\0%b\0%b" % (yes.digest(payload), no.digest(payload), me.digest(payload))
        )
        before = payload + b"."
        return before + encoded[:43], before + encoded[44:87], before + encoded[88:131]

    def read(self, kind: Kind, token: str) -> str:
        """Return the uid in a token of this kind.

        Raises LinkError for any text that `token` does not return exactly. Characters that a mail
        program has appended to the link are ignored, and invisible ones anywhere.
        """
        visible = _INVISIBLE.sub("", token)
        shape = _TOKEN.match(visible)
        if shape is None or _LETTER.match(visible, shape.end()):
            raise LinkError(_NOT_OURS)
        # Signed again and compared as text, not decoded and verified: the last base64 character has
        # unused bits, so decoding would accept several spellings.
        given, payload = shape[0].encode(), shape[1].encode()
        if not any(
            hmac.compare_digest(given, signer.sign(payload)) for signer in self._signers[kind]
        ):
            raise LinkError(_NOT_OURS)
        return base64_decode(payload).hex()

    def form_number(self, uid: str, version: int) -> str:
        """Return the signed number that the forms on a person's pages send for a version."""
        return _make_form_number(self._form_signers[0], uid, version)

    def read_form(self, uid: str, number: str) -> Form:
        """Return the submitted form of a person's page, from the number that it sent."""
        shape = _FORM_NUMBER.fullmatch(number)
        version = int(shape[1]) if shape else None
        is_ours = version is not None and any(
            hmac.compare_digest(number, _make_form_number(signer, uid, version))
            for signer in self._form_signers
        )
        return Form(version=version if is_ours else None)


def redact(text: str) -> str:
    """Return a text, such as a log line, without the tokens of links."""
    return _TOKEN.sub("…", _PATH.sub(r"/\1/…", text))


def _make_form_number(signer: Signer, uid: str, version: int) -> str:
    signature = signer.get_signature(f"{uid}.{version}")
    return f"{version}x{base64_decode(signature).hex()[:_FORM_DIGITS]}"


# 80 bits of the signature are enough, as each guess takes a request.
_FORM_DIGITS = 20
# As many digits as fit into an INTEGER column.
_FORM_NUMBER = re.compile(rf"([0-9]{{1,9}})x[0-9a-f]{{{_FORM_DIGITS}}}")


def _encode_uid(uid: str) -> bytes:
    if not _UID(uid):
        message = "a uid is 32 lower-case hexadecimal digits"
        raise ValueError(message)
    return _base64url(bytes.fromhex(uid))[:22]


def _base64url(octets: bytes) -> bytes:
    return binascii.b2a_base64(octets, newline=False).translate(_URL_SAFE)


_URL_SAFE = bytes.maketrans(b"+/", b"-_")

# Mail programs append characters to a link (a full stop, a bracket, an asterisk), so the length of
# the token says where it ends. If a letter follows, it is another text.
_LETTER = re.compile(r"[^\W_]")

# Where a line may or may not break, and marks of direction, which stay in what is copied.
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]+")

_NOT_OURS = "this link is not one of ours, or a part of it is missing"


def _derive_signer(secret_key: bytes, kind: Kind | Literal["form"]) -> Signer:
    """Return a signer with a key of its own for each kind, which is derived only once."""
    deriving = Signer(
        secret_key,
        # Must never change, as it is a part of all links that were mailed.
        salt=f"repermit.links.{kind}",
        key_derivation="hmac",
        digest_method=hashlib.sha256,
    )
    return Signer(deriving.derive_key(), key_derivation="none", digest_method=hashlib.sha256)


def _ascii_url(url: str) -> str:
    """Return a URL for a header line: the host as an A-label, the path percent-encoded."""
    if url.isascii():
        return url
    parts = urlsplit(url)
    host = idna.encode(str(parts.hostname), uts46=True).decode()
    port = f":{parts.port}" if parts.port else ""
    path = quote(parts.path, safe="/%:@!$&'()*+,;=~-._")
    return urlunsplit((parts.scheme, host + port, path, "", ""))
