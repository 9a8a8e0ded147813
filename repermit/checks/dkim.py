"""Checks of DKIM (RFC 6376): mails are signed, and the keys are in the DNS."""

from __future__ import annotations

import email.utils
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.parser import BytesHeaderParser

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from repermit.checks.dns_lookup import DnsResolver
from repermit.checks.findings import Finding, make_finding
from repermit.checks.verify_dkim_signature import (
    MAX_NAME_LENGTH,
    Outcome,
    ReadSignature,
    parse_tags,
    read_public_key,
    read_signature,
    split_mail,
    verify_signature,
)
from repermit.emails.dkim_signature import Signer
from repermit.limited_process import LimitedProcess, ProcessDied
from repermit.settings.smtp_presets import find_provider

# No verifier accepts a shorter RSA key than the first; signers should have the second at least
# (RFC 8301 §3.2).
_MIN_KEY_BITS = 1024
_RECOMMENDED_KEY_BITS = 2048

# The limits of the process that reads a mail; a real mail takes some milliseconds.
_MEMORY = 1 << 30
_SECONDS = 10

# RFC 6376 §6.1 lets a verifier limit the number of signatures.
_MAX_SIGNATURES = 8

_FAILING_CODES = (
    "dkim_no_key", "dkim_revoked", "dkim_broken", "dkim_short", "dkim_own_missing",
    "dkim_own_other", "dkim_own_unsigned", "dkim_changed", "dkim_fails",
)  # fmt: skip
_OUTCOME_CODES = {
    Outcome.HOLDS: "dkim_holds",
    Outcome.CHANGED: "dkim_changed",
    Outcome.FAILS: "dkim_fails",
    Outcome.EXPIRED: "dkim_expired",
}


@dataclass(frozen=True)
class Signature:
    """A signature: its domain, the selector of its key, and its content if a mail was read."""

    domain: str
    selector: str
    read: ReadSignature | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, kw_only=True)
class ReceivedMail:
    """A mail as it was received: its sender's domain, its signatures, and the time of the check."""

    domain: str
    signatures: tuple[Signature, ...]
    now: datetime


def read_in_subprocess(raw: bytes, *, now: datetime) -> ReceivedMail:
    """Read a mail as `read_received` does, in a process with limits.

    If the process dies, the result is a mail without domain and signatures.
    """
    with LimitedProcess(yield_received_mail, memory=_MEMORY, seconds=_SECONDS) as process:
        try:
            (mail,) = process.ask((raw, now))
        except (ProcessDied, OSError):
            return ReceivedMail(domain="", signatures=(), now=now)
    received: ReceivedMail = mail
    return received


def yield_received_mail(request: tuple[bytes, datetime]) -> Iterator[ReceivedMail]:
    """Yield one parsed mail; runs in the process with limits."""
    raw, now = request
    yield read_received(raw, now=now)


def read_received(raw: bytes, *, now: datetime) -> ReceivedMail:
    """Parse a mail as it was received; without a From header its domain is ""."""
    content = split_mail(raw)
    head = BytesHeaderParser().parsebytes(b"\r\n".join(content.find_fields(b"from")))
    _, address = email.utils.parseaddr(str(head.get("From", "")))
    domain = address.rpartition("@")[2] if "@" in address else ""
    fields = content.find_fields(b"dkim-signature")[:_MAX_SIGNATURES]
    signatures = [signature for field in fields if (signature := read_signature(content, field))]
    return ReceivedMail(
        domain=domain.strip(".").lower() if len(domain) <= MAX_NAME_LENGTH else "",
        signatures=tuple(
            Signature(signature.domain, signature.selector, signature) for signature in signatures
        ),
        now=now,
    )


def check_dkim(
    resolver: DnsResolver,
    domain: str,
    *,
    preset: str,
    selector: str,
    mail: ReceivedMail | None,
    signer: Signer | None = None,
) -> Iterator[Finding]:
    """Yield findings about the signatures of a sender's domain.

    - `mail`: if it comes from that domain, its signatures are verified. Without it only the keys in
      the DNS are checked.
    - `signer`: signs the mails here; None if the mail server does.
    """
    received = mail if mail and mail.domain == domain else None
    if signer:
        ours = Signature(signer.find_domain(domain), selector)
        own_finding = _check_own_key(resolver, ours, signer)
        if received and own_finding.code not in _FAILING_CODES:
            yield from _check_signatures(resolver, received, ours)
        else:
            yield own_finding
        return
    if received and not received.signatures:
        yield make_finding("dkim_unsigned", domain=domain)
    elif received:
        yield from _check_signatures(resolver, received)
    elif selector:
        yield _check_key(resolver, Signature(domain, selector))
    else:
        yield _check_provider_keys(resolver, domain, preset)


def _check_signatures(
    resolver: DnsResolver, mail: ReceivedMail, ours: Signature | None = None
) -> Iterator[Finding]:
    """Yield a finding for each signature of a mail, and one if `ours` is missing."""
    if ours and ours not in mail.signatures:
        yield make_finding("dkim_own_unsigned", domain=ours.domain, selector=ours.selector)
    for signature in mail.signatures:
        key_finding = _check_key(resolver, signature)
        if key_finding.code in _FAILING_CODES:
            yield key_finding
            continue
        (record,) = _read_records(resolver, signature)
        outcome = verify_signature(signature.read, record, now=mail.now)
        if outcome is Outcome.HOLDS and key_finding.code != "dkim_ok":
            yield key_finding
        else:
            values = {"domain": signature.domain, "selector": signature.selector}
            yield make_finding(_OUTCOME_CODES[outcome], **values)


def list_signing_domains(
    resolver: DnsResolver,
    domain: str,
    *,
    preset: str,
    selector: str,
    mail: ReceivedMail | None,
    signer: Signer | None = None,
) -> tuple[str, ...] | None:
    """Return the domains that sign a sender's mails; None if they are unknown."""
    if mail and mail.domain == domain:
        return tuple(signature.domain for signature in mail.signatures)
    if signer:
        return (signer.find_domain(domain),)
    if selector or _check_provider_keys(resolver, domain, preset).code == "dkim_ok":
        return (domain,)
    return None


def find_failing_domains(findings: Iterable[Finding]) -> frozenset[str]:
    """Return the domains without any signature that passes, by the findings of `check_dkim`."""
    domains: dict[bool, set[str]] = {True: set(), False: set()}
    for finding in findings:
        domains[finding.code in _FAILING_CODES].add(finding.values["domain"])
    return frozenset(domains[True] - domains[False])


def _check_provider_keys(resolver: DnsResolver, domain: str, preset: str) -> Finding:
    """Return the finding for the first usable key under the provider's selectors."""
    for selector in find_provider(preset).dkim_selectors:
        finding = _check_key(resolver, Signature(domain, selector))
        if finding.code == "dkim_ok":
            return finding
    return make_finding("dkim_unknown", domain=domain)


def _check_own_key(resolver: DnsResolver, signature: Signature, signer: Signer) -> Finding:
    """Return the finding for our own key: whether its record exists and has that key."""
    finding = _check_key(resolver, signature)
    values = {
        "domain": signature.domain,
        "selector": signature.selector,
        "record": signer.dns_record,
    }
    if finding.code == "dkim_no_key":
        return make_finding("dkim_own_missing", **values)
    texts = resolver.look_up_texts(_name_key_record(signature))
    if parse_tags(signer.dns_record)["p"] not in {parse_tags(text).get("p") for text in texts}:
        return make_finding("dkim_own_other", **values)
    return make_finding("dkim_own_ok", **values) if finding.code == "dkim_ok" else finding


def _name_key_record(signature: Signature) -> str:
    return f"{signature.selector}._domainkey.{signature.domain}"


def _check_key(resolver: DnsResolver, signature: Signature) -> Finding:
    keys = _read_records(resolver, signature)
    code = "dkim_no_key"
    if len(keys) == 1:
        code = _judge_key(keys[0])
    elif resolver.look_up_texts(_name_key_record(signature)):
        code = "dkim_broken"
    return make_finding(code, domain=signature.domain, selector=signature.selector)


def _read_records(resolver: DnsResolver, signature: Signature) -> list[dict[str, str]]:
    """Return the tags of each record that has a key."""
    return [
        tags
        for tags in map(parse_tags, resolver.look_up_texts(_name_key_record(signature)))
        if "p" in tags
    ]


def _judge_key(record: Mapping[str, str]) -> str:
    if not record["p"]:
        return "dkim_revoked"
    key = read_public_key(record)
    if key is None:
        return "dkim_broken"
    if isinstance(key, RSAPublicKey) and key.key_size < _MIN_KEY_BITS:
        return "dkim_short"
    if "y" in record.get("t", "").split(":"):
        return "dkim_testing"
    is_weak = isinstance(key, RSAPublicKey) and key.key_size < _RECOMMENDED_KEY_BITS
    return "dkim_weak" if is_weak else "dkim_ok"
