"""Signing mails with the organisation's own key (DKIM, RFC 6376).

For installations whose mail server does not sign. Written without a library, since the exact bytes
are known here, so that a signature costs little more than the RSA operation.
"""

from __future__ import annotations

import base64
import hashlib
import re
from functools import lru_cache

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from repermit.emails.mime_encoding import EncodedMail, unstuff_dots
from repermit.settings.definitions import MailServer
from repermit.settings.dkim_key import parse_signing_key

# Headers that, added or repeated, would change what the reader sees or which link is used. Each is
# signed once more than it occurs (oversigning, RFC 6376 §5.4.2, §8.15).
_OVERSIGNED = (
    b"from", b"to", b"cc", b"subject", b"date", b"message-id", b"reply-to", b"list-unsubscribe",
    b"list-unsubscribe-post", b"mime-version", b"content-type", b"content-transfer-encoding",
)  # fmt: skip

_HEADER = re.compile(rb"[^\r\n]+(?:\r\n[ \t][^\r\n]*)*")
_BLANKS = re.compile(rb"  +")
_WIDTH = 72


class Signer:
    """Signs mails with DKIM; raises ConfigError for a key that cannot be used.

    - `domain`: the signing domain; "" for the domain of each mail's sender.
    - A signature has no timestamp, so that every attempt at a mail has the same bytes.
    """

    def __init__(self, key: str, *, selector: str, domain: str = "") -> None:
        self._key = parse_signing_key(key)
        self.selector = selector
        self._domain = domain

    def find_domain(self, sender_domain: str) -> str:
        """Return the signing domain for mails of a sender's domain."""
        return self._domain or sender_domain

    @property
    def dns_record(self) -> str:
        """The TXT record to publish for the public key (RFC 6376 §3.6.1)."""
        public = self._key.public_key().public_bytes(
            Encoding.DER, PublicFormat.SubjectPublicKeyInfo
        )
        return f"v=DKIM1; k=rsa; p={base64.b64encode(public).decode()}"

    def sign(self, encoded_mail: EncodedMail) -> EncodedMail:
        """Return the mail with a signature over all its headers and its whole body.

        Gmail requires that both List headers are signed (RFC 8058 §4), and counts complaints by a
        signed Feedback-ID. Another From, Subject or similar header cannot be added.
        """
        head, _, body = unstuff_dots(encoded_mail.wire).partition(b"\r\n\r\n")
        headers = dict(map(_relax_header, _HEADER.findall(head)))
        digest = base64.b64encode(hashlib.sha256(_relax_body(body)).digest()).decode()
        domain = self.find_domain(_read_domain(headers[b"from"]))
        signature_start = _make_signature_start(
            domain, self.selector, (*headers, *_OVERSIGNED), digest
        )
        signed = b"".join(b"%b:%b\r\n" % header for header in headers.items())
        signature = self._key.sign(
            signed + b"%b:%b" % _relax_header(signature_start.encode()), PKCS1v15(), SHA256()
        )
        header = f"{signature_start}{_fold(base64.b64encode(signature).decode())}\r\n".encode()
        return encoded_mail._replace(
            wire=header + encoded_mail.wire, size=encoded_mail.size + len(header)
        )


def make_signer(server: MailServer) -> Signer | None:
    """Return the signer for a mail account; None if the settings have no key."""
    if not server.dkim_key:
        return None
    return Signer(server.dkim_key, selector=server.dkim_selector, domain=server.dkim_domain)


def _relax_header(header: bytes) -> tuple[bytes, bytes]:
    """Return a header's name and value in the relaxed form (RFC 6376 §3.4.2)."""
    name, _, value = header.partition(b":")
    return name.lower(), b" ".join(value.split())


def _relax_body(body: bytes) -> bytes:
    """Return a body in the relaxed form (RFC 6376 §3.4.4); it must end in a line end."""
    # Tabs are replaced first, since a pattern for both takes fifteen times as long.
    lines = _BLANKS.sub(b" ", body.replace(b"\t", b" ")).replace(b" \r\n", b"\r\n")
    return lines.rstrip(b"\r\n") + b"\r\n"


def _read_domain(sender: bytes) -> str:
    """Return the domain of a From header that this program wrote: the address comes last."""
    return sender.decode().rpartition("@")[2].rstrip(">")


@lru_cache(maxsize=64)
def _join_names(headers: tuple[bytes, ...]) -> str:
    """Return the names of headers, separated by colons and folded."""
    names = [name.decode() for name in headers]
    # Four of the longest names are shorter than the limit of a line (RFC 5322 §2.1.1).
    lines = [names[at : at + 4] for at in range(0, len(names), 4)]
    return ":\r\n ".join(":".join(line) for line in lines)


def _make_signature_start(
    domain: str, selector: str, headers: tuple[bytes, ...], digest: str
) -> str:
    return (
        f"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d={domain};\r\n"
        f" s={selector};\r\n"
        f" h={_join_names(headers)};\r\n"
        f" bh={digest};\r\n"
        " b="
    )


def _fold(value: str) -> str:
    return "\r\n ".join(value[at : at + _WIDTH] for at in range(0, len(value), _WIDTH))
