"""Checks of DKIM (RFC 6376): mails are signed, and their keys are in the DNS."""

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
    LONGEST_NAME,
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

# Nobody takes a signature by a shorter RSA key, and who signs should have a longer one than the
# second (RFC 8301 §3.2).
_SHORTEST_KEY = 1024
_USUAL_KEY = 2048

# Of the process that reads a mail, which takes some milliseconds for one that somebody sent.
_MEMORY = 1 << 30
_SECONDS = 10

# So many signatures of one mail are looked at (RFC 6376 §6.1 lets a verifier set a limit).
_MOST_SIGNATURES = 8

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
    """A signature: who signed, under which selector the key is, and what else the mail says."""

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
    """Read a mail as `read_received` does, in a process under limits.

    What such a process dies of holds no mail that anybody sent.
    """
    with LimitedProcess(yield_received_mail, memory=_MEMORY, seconds=_SECONDS) as process:
        try:
            (mail,) = process.ask((raw, now))
        except (ProcessDied, OSError):
            return ReceivedMail(domain="", signatures=(), now=now)
    found: ReceivedMail = mail
    return found


def yield_received_mail(request: tuple[bytes, datetime]) -> Iterator[ReceivedMail]:
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


def check_dkim(
    resolver: DnsResolver,
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
        about_ours = _check_own_key(resolver, ours, signer)
        if seen and about_ours.code not in _FAILING_CODES:
            yield from _check_signatures(resolver, seen, ours)
        else:
            yield about_ours
        return
    if seen and not seen.signatures:
        yield make_finding("dkim_unsigned", domain=domain)
    elif seen:
        yield from _check_signatures(resolver, seen)
    elif selector:
        yield _check_key(resolver, Signature(domain, selector))
    else:
        yield _check_usual_keys(resolver, domain, preset)


def _check_signatures(
    resolver: DnsResolver, mail: ReceivedMail, ours: Signature | None = None
) -> Iterator[Finding]:
    """Yield what each signature of a mail is worth; `ours` has to be among them."""
    if ours and ours not in mail.signatures:
        yield make_finding("dkim_own_unsigned", domain=ours.domain, selector=ours.selector)
    for signature in mail.signatures:
        about_key = _check_key(resolver, signature)
        if about_key.code in _FAILING_CODES:
            yield about_key
            continue
        (record,) = _records(resolver, signature)
        outcome = verify_signature(signature.read, record, now=mail.now)
        if outcome is Outcome.HOLDS and about_key.code != "dkim_ok":
            yield about_key
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
    """Return the domains that sign a sender's mails; None if that cannot be known."""
    if mail and mail.domain == domain:
        return tuple(one.domain for one in mail.signatures)
    if signer:
        return (signer.find_domain(domain),)
    if selector or _check_usual_keys(resolver, domain, preset).code == "dkim_ok":
        return (domain,)
    return None


def find_failing_domains(findings: Iterable[Finding]) -> frozenset[str]:
    """Return the domains of which no signature passes, by what was found of their keys."""
    domains: dict[bool, set[str]] = {True: set(), False: set()}
    for one in findings:
        domains[one.code in _FAILING_CODES].add(one.values["domain"])
    return frozenset(domains[True] - domains[False])


def _check_usual_keys(resolver: DnsResolver, domain: str, preset: str) -> Finding:
    """Return the first key that can be used under the names that the provider gives its keys."""
    for selector in find_provider(preset).dkim_selectors:
        found = _check_key(resolver, Signature(domain, selector))
        if found.code == "dkim_ok":
            return found
    return make_finding("dkim_unknown", domain=domain)


def _check_own_key(resolver: DnsResolver, signature: Signature, signer: Signer) -> Finding:
    """Return whether the record of the key that signs here is there, and is that key's."""
    found = _check_key(resolver, signature)
    values = {
        "domain": signature.domain,
        "selector": signature.selector,
        "record": signer.dns_record,
    }
    if found.code == "dkim_no_key":
        return make_finding("dkim_own_missing", **values)
    texts = resolver.texts(_name_key_record(signature))
    if parse_tags(signer.dns_record)["p"] not in {parse_tags(text).get("p") for text in texts}:
        return make_finding("dkim_own_other", **values)
    return make_finding("dkim_own_ok", **values) if found.code == "dkim_ok" else found


def _name_key_record(signature: Signature) -> str:
    return f"{signature.selector}._domainkey.{signature.domain}"


def _check_key(resolver: DnsResolver, signature: Signature) -> Finding:
    keys = _records(resolver, signature)
    code = "dkim_no_key"
    if len(keys) == 1:
        code = _judge(keys[0])
    elif resolver.texts(_name_key_record(signature)):
        code = "dkim_broken"
    return make_finding(code, domain=signature.domain, selector=signature.selector)


def _records(resolver: DnsResolver, signature: Signature) -> list[dict[str, str]]:
    """Return the tags of each record that holds a key."""
    return [
        tags for tags in map(parse_tags, resolver.texts(_name_key_record(signature))) if "p" in tags
    ]


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
