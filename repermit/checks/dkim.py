"""Whether mails are signed, and the signatures' keys can be had (DKIM, RFC 6376)."""

from __future__ import annotations

import email.utils
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.parser import BytesHeaderParser

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from repermit.checks.dns_lookup import Names
from repermit.checks.findings import Finding, finding
from repermit.checks.verify_dkim_signature import (
    LONGEST_NAME,
    Outcome,
    ReadSignature,
    read_public_key,
    read_signature,
    split_mail,
    tags_of,
    verify_signature,
)
from repermit.emails.dkim_signature import Signer
from repermit.limited_process import LimitedProcess, ProcessDied
from repermit.settings.smtp_presets import find_provider

# Nobody takes a signature by a shorter RSA key, and who signs should have a longer one than the
# second (RFC 8301 §3.2).
_SHORTEST_KEY = 1024
_USUAL_KEY = 2048

# Of the process that reads a mail, which takes some milliseconds for one that somebody sent.
_MEMORY = 1 << 30
_SECONDS = 10

# So many signatures of one mail are looked at (RFC 6376 §6.1 lets a verifier set a limit).
_MOST_SIGNATURES = 8

_FAILING = (
    "dkim_no_key", "dkim_revoked", "dkim_broken", "dkim_short", "dkim_own_missing",
    "dkim_own_other", "dkim_own_unsigned", "dkim_changed", "dkim_fails",
)  # fmt: skip
_OF_OUTCOMES = {
    Outcome.HOLDS: "dkim_holds",
    Outcome.CHANGED: "dkim_changed",
    Outcome.FAILS: "dkim_fails",
    Outcome.EXPIRED: "dkim_expired",
}


@dataclass(frozen=True)
class Signature:
    """Who signed a mail, under which selector the key is, and the rest that the mail says of it."""

    domain: str
    selector: str
    read: ReadSignature | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, kw_only=True)
class ReceivedMail:
    """A mail that was received: whose it is, who signed it, and when it is looked at."""

    domain: str
    signatures: tuple[Signature, ...]
    now: datetime


def read_apart(raw: bytes, *, now: datetime) -> ReceivedMail:
    """Read a mail as `read_received` does, in a process under limits.

    What such a process dies of holds no mail that anybody sent.
    """
    with LimitedProcess(readings, memory=_MEMORY, seconds=_SECONDS) as process:
        try:
            (mail,) = process.ask((raw, now))
        except (ProcessDied, OSError):
            return ReceivedMail(domain="", signatures=(), now=now)
    found: ReceivedMail = mail
    return found


def readings(request: tuple[bytes, datetime]) -> Iterator[ReceivedMail]:
    """Yield what one mail says, for a process under limits."""
    raw, now = request
    yield read_received(raw, now=now)


def read_received(raw: bytes, *, now: datetime) -> ReceivedMail:
    """Read a mail as it was received; without a From line its domain is ""."""
    content = split_mail(raw)
    head = BytesHeaderParser().parsebytes(b"\r\n".join(content.named(b"from")))
    _, address = email.utils.parseaddr(str(head.get("From", "")))
    domain = address.rpartition("@")[2] if "@" in address else ""
    fields = content.named(b"dkim-signature")[:_MOST_SIGNATURES]
    read = [found for one in fields if (found := read_signature(content, one))]
    return ReceivedMail(
        domain=domain.strip(".").lower() if len(domain) <= LONGEST_NAME else "",
        signatures=tuple(Signature(one.domain, one.selector, one) for one in read),
        now=now,
    )


def look_at_dkim(
    names: Names,
    domain: str,
    *,
    preset: str,
    selector: str,
    mail: ReceivedMail | None,
    signer: Signer | None = None,
) -> Iterator[Finding]:
    """Yield what is known of the signatures of a sender's domain; `signer` is what signs here.

    With a mail of that domain its signatures are verified; without one, keys alone are looked at.
    """
    seen = mail if mail and mail.domain == domain else None
    if signer:
        ours = Signature(signer.find_domain(domain), selector)
        about_ours = _about_our_own(names, ours, signer)
        if seen and about_ours.code not in _FAILING:
            yield from _about_the_mail(names, seen, ours)
        else:
            yield about_ours
        return
    if seen and not seen.signatures:
        yield finding("dkim_unsigned", domain=domain)
    elif seen:
        yield from _about_the_mail(names, seen)
    elif selector:
        yield _about_the_key(names, Signature(domain, selector))
    else:
        yield _about_the_usual(names, domain, preset)


def _about_the_mail(
    names: Names, mail: ReceivedMail, ours: Signature | None = None
) -> Iterator[Finding]:
    """Yield what each signature of a mail is worth; `ours` has to be among them."""
    if ours and ours not in mail.signatures:
        yield finding("dkim_own_unsigned", domain=ours.domain, selector=ours.selector)
    for signature in mail.signatures:
        about_key = _about_the_key(names, signature)
        if about_key.code in _FAILING:
            yield about_key
            continue
        (record,) = _records(names, signature)
        outcome = verify_signature(signature.read, record, now=mail.now)
        if outcome is Outcome.HOLDS and about_key.code != "dkim_ok":
            yield about_key
        else:
            values = {"domain": signature.domain, "selector": signature.selector}
            yield finding(_OF_OUTCOMES[outcome], **values)


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
    if mail and mail.domain == domain:
        return tuple(one.domain for one in mail.signatures)
    if signer:
        return (signer.find_domain(domain),)
    if selector or _about_the_usual(names, domain, preset).code == "dkim_ok":
        return (domain,)
    return None


def in_vain(findings: Iterable[Finding]) -> frozenset[str]:
    """Return the domains of which no signature passes, by what was found of their keys."""
    domains: dict[bool, set[str]] = {True: set(), False: set()}
    for one in findings:
        domains[one.code in _FAILING].add(one.values["domain"])
    return frozenset(domains[True] - domains[False])


def _about_the_usual(names: Names, domain: str, preset: str) -> Finding:
    """Return the first key that can be used under the names that the provider gives its keys."""
    for selector in find_provider(preset).dkim_selectors:
        found = _about_the_key(names, Signature(domain, selector))
        if found.code == "dkim_ok":
            return found
    return finding("dkim_unknown", domain=domain)


def _about_our_own(names: Names, signature: Signature, signer: Signer) -> Finding:
    """Return whether the record of the key that signs here is there, and is that key's."""
    found = _about_the_key(names, signature)
    values = {
        "domain": signature.domain,
        "selector": signature.selector,
        "record": signer.make_dns_record,
    }
    if found.code == "dkim_no_key":
        return finding("dkim_own_missing", **values)
    texts = names.texts(_where(signature))
    if tags_of(signer.make_dns_record)["p"] not in {tags_of(text).get("p") for text in texts}:
        return finding("dkim_own_other", **values)
    return finding("dkim_own_ok", **values) if found.code == "dkim_ok" else found


def _where(signature: Signature) -> str:
    return f"{signature.selector}._domainkey.{signature.domain}"


def _about_the_key(names: Names, signature: Signature) -> Finding:
    keys = _records(names, signature)
    code = "dkim_no_key"
    if len(keys) == 1:
        code = _judge(keys[0])
    elif names.texts(_where(signature)):
        code = "dkim_broken"
    return finding(code, domain=signature.domain, selector=signature.selector)


def _records(names: Names, signature: Signature) -> list[dict[str, str]]:
    """Return the tags of each record that holds a key."""
    return [tags for tags in map(tags_of, names.texts(_where(signature))) if "p" in tags]


def _judge(record: Mapping[str, str]) -> str:
    if not record["p"]:
        return "dkim_revoked"
    key = read_public_key(record)
    if key is None:
        return "dkim_broken"
    if isinstance(key, RSAPublicKey) and key.key_size < _SHORTEST_KEY:
        return "dkim_short"
    if "y" in record.get("t", "").split(":"):
        return "dkim_testing"
    is_weak = isinstance(key, RSAPublicKey) and key.key_size < _USUAL_KEY
    return "dkim_weak" if is_weak else "dkim_ok"
