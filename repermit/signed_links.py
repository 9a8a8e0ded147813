"""Signed links: what stands in the mails, and what the pages read back.

A link carries no address and never expires.
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
"""The uid that is never given to anybody, for a trial of whether links work; a contact's own is
128 random bits. What comes back by it is noted nowhere."""

PROXIES = "Repermit-Proxies"
"""The header by which the answer to such a trial says how many addresses web servers on the way had
added to X-Forwarded-For, and how many of them are believed: two numbers, with a blank between."""

# Behind such a path stands what lets whoever reads it act for somebody.
_PATH = re.compile(rf"/({'|'.join(KINDS)}|welcome)/[^\s/?\"'<>]+")
_UID = re.compile(r"[0-9a-f]{32}").fullmatch
# 16 bytes and 32 bytes in base64url without padding.
_TOKEN = re.compile(r"([A-Za-z0-9_-]{22})\.[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, kw_only=True)
class Form:
    """The form of a page that was pressed: `version` is None if it sent no number of ours."""

    version: int | None


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
        # What the newest signers do, prepared: a mail has three links and there may be a million
        # mails. A property test holds them to what the signers give.
        self._macs = {
            kind: KeyedHash(signers[0].derive_key()) for kind, signers in self._signers.items()
        }
        self._macs_of_a_mail = (self._macs["yes"], self._macs["no"], self._macs["me"])
        self._form_signers = tuple(_signer(key, "form") for key in reversed(secret_keys))

    def url(self, kind: Kind, uid: str) -> str:
        """Return the whole address of one contact's page of this kind, in ASCII."""
        return self.base(kind) + self.token(kind, uid)

    def base(self, kind: Kind) -> str:
        """Return what stands before the token in the address of a page of this kind, in ASCII."""
        return f"{self._public_url}/{kind}/"

    def token(self, kind: Kind, uid: str) -> str:
        """Return the signed token for `uid` (32 lower-case hexadecimal digits)."""
        payload = _payload(uid)
        return (payload + b"." + base64_encode(self._macs[kind].digest(payload))).decode()

    def tokens(self, uid: str) -> tuple[bytes, bytes, bytes]:
        """Return the tokens for Yes, No and what is held about a contact, 66 octets each."""
        payload = _payload(uid)
        yes, no, me = self._macs_of_a_mail
        # Encoded at once: with an octet between them, 32 octets are 44 letters, the last to spare.
        letters = _base64url(
            b"%b\0%b\0%b" % (yes.digest(payload), no.digest(payload), me.digest(payload))
        )
        before = payload + b"."
        return before + letters[:43], before + letters[44:87], before + letters[88:131]

    def read(self, kind: Kind, token: str) -> str:
        """Return the uid in a token of this kind.

        Raises LinkError for anything that `token` would not have returned, to the letter. What a
        mail program has taken for a part of the link behind it is not looked at.
        """
        shape = _TOKEN.match(token)
        if shape is None or _LETTER.match(token, shape.end()):
            raise LinkError(_NOT_OURS)
        # Signed anew and compared as text, not decoded and verified: the last character of a
        # base64 text has spare bits, so that decoding would accept other spellings as well.
        given, payload = shape[0].encode(), shape[1].encode()
        if not any(
            hmac.compare_digest(given, signer.sign(payload)) for signer in self._signers[kind]
        ):
            raise LinkError(_NOT_OURS)
        return base64_decode(payload).hex()

    def form_number(self, uid: str, version: int) -> str:
        """Return the number of the forms on one person's pages, as long as `version` holds."""
        return _form_number(self._form_signers[0], uid, version)

    def read_form(self, uid: str, number: str) -> Form:
        """Return the form on a page of this person that sent this number."""
        shape = _FORM_NUMBER.fullmatch(number)
        version = int(shape[1]) if shape else None
        is_ours = version is not None and any(
            hmac.compare_digest(number, _form_number(signer, uid, version))
            for signer in self._form_signers
        )
        return Form(version=version if is_ours else None)


def redact(text: str) -> str:
    """Return a text, such as a line for a log, without the tokens of links."""
    return _TOKEN.sub("…", _PATH.sub(r"/\1/…", text))


def _form_number(signer: Signer, uid: str, version: int) -> str:
    signature = signer.get_signature(f"{uid}.{version}")
    return f"{version}x{base64_decode(signature).hex()[:_FORM_DIGITS]}"


# 80 bits of the signature: each guess is a request, and the page weighs what it repeats.
_FORM_DIGITS = 20
# No number is longer than what an INTEGER column holds.
_FORM_NUMBER = re.compile(rf"([0-9]{{1,9}})x[0-9a-f]{{{_FORM_DIGITS}}}")


def _payload(uid: str) -> bytes:
    if not _UID(uid):
        message = "a uid is 32 lower-case hexadecimal digits"
        raise ValueError(message)
    return _base64url(bytes.fromhex(uid))[:22]


def _base64url(octets: bytes) -> bytes:
    return binascii.b2a_base64(octets, newline=False).translate(_URL_SAFE)


_URL_SAFE = bytes.maketrans(b"+/", b"-_")

# A mail program glues a sign to a link (the end of a sentence, a bracket, an asterisk), and where a
# token ends is known by its length. With a letter behind it, it is another text.
_LETTER = re.compile(r"[^\W_]")

_NOT_OURS = "this link is not one of ours, or a part of it is missing"


def _signer(secret_key: bytes, kind: Kind | Literal["form"]) -> Signer:
    """Return a signer whose key is derived here, once, and is another one for every kind."""
    deriving = Signer(
        secret_key,
        # Part of every link that was ever mailed.
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
