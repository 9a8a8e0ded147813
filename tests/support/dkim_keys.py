"""A key to sign mails with, and a check of signatures that knows nothing of ours (dkimpy)."""

from __future__ import annotations

from functools import cache

import dkim
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from repermit.checks.dns_lookup import DnsResolver
from tests.support.dns_server import NameServer


def make_key(bits: int = 2048) -> str:
    """Return a private key as `openssl genrsa` writes it, the same one each time."""
    return _made(bits)


@cache
def _made(bits: int) -> str:
    key = rsa.generate_private_key(65_537, bits)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    return pem.decode()


def is_signed(raw: bytes, server: NameServer) -> bool:
    """Say whether a mail bears a signature that holds, by the keys that the DNS server has."""
    names = DnsResolver(server.address)

    def look_up(name: bytes, timeout: int = 5) -> bytes | None:  # noqa: ARG001  dkimpy gives it
        texts = names.look_up_texts(name.decode().rstrip("."))
        return texts[0].encode() if texts else None

    found: bool = dkim.verify(raw, dnsfunc=look_up)
    return found
