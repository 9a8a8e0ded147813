"""Checks of DMARC (RFC 7489): a domain's policy, and whether our mails are aligned with it.

The organisational domain is found by walking up the DNS tree (draft-ietf-dmarc-dmarcbis §4.10), so
that no list of public suffixes is needed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from repermit.checks.dns_lookup import DnsResolver
from repermit.checks.findings import Finding, make_finding
from repermit.checks.verify_dkim_signature import parse_tags

_RECORD = re.compile(r"v\s*=\s*DMARC1\s*(?:;|$)")
_POLICIES = ("none", "quarantine", "reject")
_UNALIGNED = ("dmarc_unaligned", "dmarc_unaligned_yet")
_FAILS = ("dmarc_fails", "dmarc_fails_yet")
_MAX_LOOKUPS = 8  # dmarcbis §4.10


@dataclass(frozen=True, kw_only=True)
class DmarcIdentifiers:
    """The domains of a mail that DMARC compares with its sender's.

    - `signers`: the domains that sign it; None if unknown.
    - Only domains that pass count (RFC 7489 §3.1): `return_passes` is False if SPF certainly fails,
      and `failing_domains` are signers without a passing signature.
    """

    return_domain: str
    signers: tuple[str, ...] | None
    return_passes: bool = True
    failing_domains: frozenset[str] = frozenset()


def check_dmarc(
    resolver: DnsResolver, domain: str, check_one: Callable[[], DmarcIdentifiers]
) -> Iterator[Finding]:
    """Yield the finding about DMARC for mails from a sender's domain.

    - `check_one`: returns the domains to compare; called only if there is a policy.
    """
    if len(_read_records(resolver, domain)) > 1:
        yield make_finding("dmarc_several", domain=domain)
        return
    walked = _walk_up_tree(resolver, domain)
    if not walked:
        yield make_finding("dmarc_none", domain=domain)
        return
    holder, tags = walked[0]
    policy = tags.get("p", "").lower()
    if holder != domain:
        policy = tags.get("sp", policy).lower()
    if policy not in _POLICIES:
        yield make_finding("dmarc_broken", domain=domain, policy=policy)
        return
    yield _judge_record(resolver, domain, tags, policy, check_one())


def _judge_record(
    resolver: DnsResolver,
    domain: str,
    tags: Mapping[str, str],
    policy: str,
    identifiers: DmarcIdentifiers,
) -> Finding:
    # For each aligned signer, whether it passes.
    passing = [
        signing_domain not in identifiers.failing_domains
        for signing_domain in identifiers.signers or ()
        if _is_aligned(resolver, domain, signing_domain, tags.get("adkim"))
    ]
    is_returned = _is_aligned(resolver, domain, identifiers.return_domain, tags.get("aspf"))
    if any(passing) or (is_returned and identifiers.return_passes):
        return make_finding("dmarc_ok", domain=domain, policy=policy)
    values = {"domain": domain, "return_domain": identifiers.return_domain, "policy": policy}
    if identifiers.signers is None:
        code = "dmarc_hangs_on_dkim_alone" if is_returned else "dmarc_hangs_on_dkim"
        return make_finding(code, **values)
    codes = _FAILS if is_returned or passing else _UNALIGNED
    return make_finding(
        codes[policy == "none"], **values, signer=", ".join(identifiers.signers) or "–"
    )


def _is_aligned(resolver: DnsResolver, domain: str, other_domain: str, mode: str | None) -> bool:
    """Return whether two domains are aligned; `mode` is "s" for strict alignment."""
    if domain == other_domain:
        return True
    return mode != "s" and _find_organisation_domain(resolver, domain) == _find_organisation_domain(
        resolver, other_domain
    )


def _find_organisation_domain(resolver: DnsResolver, domain: str) -> str:
    """Return the organisational domain of a domain; the domain itself without any record."""
    walked = _walk_up_tree(resolver, domain)
    if not walked:
        return domain
    holder, tags = walked[-1]
    if tags.get("psd") == "y" and holder != domain:
        # A public suffix; the organisational domain is one level below it.
        below = domain.removesuffix(f".{holder}").rpartition(".")[2]
        return f"{below}.{holder}"
    return holder


def _walk_up_tree(resolver: DnsResolver, domain: str) -> list[tuple[str, dict[str, str]]]:
    """Return each domain with a single record, from `domain` upwards, with the record's tags."""
    walked = []
    for name in _list_parent_domains(domain):
        records = _read_records(resolver, name)
        if len(records) != 1:
            continue
        walked.append((name, records[0]))
        if records[0].get("psd") in {"y", "n"}:
            break
    return walked


def _list_parent_domains(domain: str) -> Iterator[str]:
    labels = domain.split(".")
    yield domain
    for start in range(max(1, len(labels) - _MAX_LOOKUPS + 1), len(labels)):
        yield ".".join(labels[start:])


def _read_records(resolver: DnsResolver, domain: str) -> list[dict[str, str]]:
    texts = resolver.look_up_texts(f"_dmarc.{domain}")
    return [parse_tags(text) for text in texts if _RECORD.match(text)]
