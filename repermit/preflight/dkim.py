"""Whether mails are signed, and the signatures' keys can be had (DKIM, RFC 6376).

May import addresses, messages, config, errors and this room.
"""

from __future__ import annotations

import base64
import binascii
import email
import email.utils
from dataclasses import dataclass
from typing import TYPE_CHECKING

from repermit.preflight.words import finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from repermit.messages.signing import Signer
    from repermit.preflight.facts import Finding
    from repermit.preflight.names import Names

# An RSA key of 1024 bits takes 162 octets as the record has it, one of 768 bits 126 (RFC 8301
# §3.2 accepts none below 1024); without the frame of X.509, which some leave out, 140 and 106.
_SHORTEST_KEY = 140

# Under which names providers put their customers' keys, where they do not choose them each time.
# https://learn.microsoft.com/en-us/defender-office-365/email-authentication-dkim-configure
# https://support.google.com/a/answer/174124
# The others as they stand in the records of customers that are public.
_SELECTORS: Mapping[str, tuple[str, ...]] = {
    "office365": ("selector1", "selector2"),
    "google-workspace": ("google",),
    "google-relay": ("google",),
    "transip": ("transip-A", "transip-B", "transip-C"),
    "gandi": ("gm1", "gm2"),
    "ionos": ("s1-ionos", "s2-ionos"),
    "hostinger": ("hostingermail-a", "hostingermail-b", "hostingermail-c"),
}

_FAILING = (
    "dkim_no_key", "dkim_revoked", "dkim_broken", "dkim_short", "dkim_own_missing",
    "dkim_own_other",
)  # fmt: skip


@dataclass(frozen=True)
class Signature:
    """Who signed a mail, and under which selector the key is."""

    domain: str
    selector: str


@dataclass(frozen=True, kw_only=True)
class ReceivedMail:
    """What of a mail that was received matters: whose it is, and who signed it."""

    domain: str
    signatures: tuple[Signature, ...]


def read_received(raw: bytes) -> ReceivedMail:
    """Read a mail as it was received; without a From line its domain is ""."""
    message = email.message_from_bytes(raw)
    _, address = email.utils.parseaddr(str(message.get("From", "")))
    _, at, domain = address.rpartition("@")
    signed = [tags_of(str(one)) for one in message.get_all("DKIM-Signature", [])]
    return ReceivedMail(
        domain=domain.strip(".").lower() if at else "",
        signatures=tuple(
            Signature(tags["d"].lower(), tags["s"])
            for tags in signed
            if tags.get("d") and tags.get("s")
        ),
    )


def tags_of(text: str) -> dict[str, str]:
    """Return a list of tags such as "v=DKIM1; p=…" (RFC 6376 §3.2), without any blanks."""
    pairs = ("".join(part.split()).partition("=") for part in text.split(";"))
    return {name.lower(): value for name, _, value in pairs if name}


def look_at_dkim(
    names: Names,
    domain: str,
    *,
    preset: str,
    selector: str,
    mail: ReceivedMail | None,
    signer: Signer | None = None,
) -> Iterator[Finding]:
    """Yield what is known of the signatures of a sender's domain; `signer` is what signs here."""
    if signer:
        yield _about_our_own(names, Signature(signer.domain_of(domain), selector), signer)
        return
    seen = mail if mail and mail.domain == domain else None
    if seen and not seen.signatures:
        yield finding("dkim_unsigned", domain=domain)
        return
    wanted = seen.signatures if seen else _named(domain, selector)
    for signature in wanted:
        yield _about_the_key(names, signature)
    if not wanted:
        yield _about_the_usual(names, domain, preset)


def signers_of(
    names: Names,
    domain: str,
    *,
    preset: str,
    selector: str,
    mail: ReceivedMail | None,
    signer: Signer | None = None,
) -> tuple[str, ...] | None:
    """Return the domains that sign a sender's mails; None if that cannot be known."""
    if signer:
        return (signer.domain_of(domain),)
    if mail and mail.domain == domain:
        return tuple(one.domain for one in mail.signatures)
    if selector or _about_the_usual(names, domain, preset).code == "dkim_ok":
        return (domain,)
    return None


def in_vain(findings: Iterable[Finding]) -> frozenset[str]:
    """Return the domains of which no signature passes, by what was found of their keys."""
    domains: dict[bool, set[str]] = {True: set(), False: set()}
    for one in findings:
        domains[one.code in _FAILING].add(one.values["domain"])
    return frozenset(domains[True] - domains[False])


def _named(domain: str, selector: str) -> tuple[Signature, ...]:
    return (Signature(domain, selector),) if selector else ()


def _about_the_usual(names: Names, domain: str, preset: str) -> Finding:
    """Return the first key that can be used under the names that the provider gives its keys."""
    for selector in _SELECTORS.get(preset, ()):
        found = _about_the_key(names, Signature(domain, selector))
        if found.code == "dkim_ok":
            return found
    return finding("dkim_unknown", domain=domain)


def _about_our_own(names: Names, signature: Signature, signer: Signer) -> Finding:
    """Return whether the record of the key that signs here is there, and is that key's."""
    found = _about_the_key(names, signature)
    values = {"domain": signature.domain, "selector": signature.selector, "record": signer.record}
    if found.code == "dkim_no_key":
        return finding("dkim_own_missing", **values)
    texts = names.texts(_where(signature))
    if tags_of(signer.record)["p"] not in {tags_of(text).get("p") for text in texts}:
        return finding("dkim_own_other", **values)
    return finding("dkim_own_ok", **values) if found.code == "dkim_ok" else found


def _where(signature: Signature) -> str:
    return f"{signature.selector}._domainkey.{signature.domain}"


def _about_the_key(names: Names, signature: Signature) -> Finding:
    texts = names.texts(_where(signature))
    keys = [tags for tags in map(tags_of, texts) if "p" in tags]
    code = "dkim_no_key"
    if texts:
        code = _judge(keys[0]) if len(keys) == 1 else "dkim_broken"
    return finding(code, domain=signature.domain, selector=signature.selector)


def _judge(key: Mapping[str, str]) -> str:
    if not key["p"]:
        return "dkim_revoked"
    try:
        octets = base64.b64decode(key["p"], validate=True)
    except (binascii.Error, ValueError):
        return "dkim_broken"
    if key.get("k", "rsa") == "rsa" and len(octets) < _SHORTEST_KEY:
        return "dkim_short"
    return "dkim_testing" if "y" in key.get("t", "").split(":") else "dkim_ok"
