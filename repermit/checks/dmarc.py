"""Checks of DMARC (RFC 7489): a domain's policy, and whether our mails are aligned with it.

Which domains belong together is told by walking up the tree of the DNS (draft-ietf-dmarc-dmarcbis
§4.10), so that no list of public suffixes has to be kept.
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
_DEEPEST = 8  # dmarcbis §4.10: so many questions at most


@dataclass(frozen=True, kw_only=True)
class DmarcIdentifiers:
    """What of a mail DMARC compares with its sender: return path and signers (None: unknown).

    It counts only what passes (RFC 7489 §3.1): `return_passes` unless SPF is sure to fail, and
    signers but for those `failing_domains`.
    """

    return_domain: str
    signers: tuple[str, ...] | None
    return_passes: bool = True
    failing_domains: frozenset[str] = frozenset()


def check_dmarc(
    resolver: DnsResolver, domain: str, check_one: Callable[[], DmarcIdentifiers]
) -> Iterator[Finding]:
    """Yield what DMARC makes of mails from a sender's domain; `check_one` is called if need be."""
    if len(_records(resolver, domain)) > 1:
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
    resolver: DnsResolver, domain: str, tags: Mapping[str, str], policy: str, seen: DmarcIdentifiers
) -> Finding:
    # Whether each that is of the domain passes.
    passing = [
        one not in seen.failing_domains
        for one in seen.signers or ()
        if _is_aligned(resolver, domain, one, tags.get("adkim"))
    ]
    is_returned = _is_aligned(resolver, domain, seen.return_domain, tags.get("aspf"))
    if any(passing) or (is_returned and seen.return_passes):
        return make_finding("dmarc_ok", domain=domain, policy=policy)
    values = {"domain": domain, "return_domain": seen.return_domain, "policy": policy}
    if seen.signers is None:
        code = "dmarc_hangs_on_dkim_alone" if is_returned else "dmarc_hangs_on_dkim"
        return make_finding(code, **values)
    codes = _FAILS if is_returned or passing else _UNALIGNED
    return make_finding(codes[policy == "none"], **values, signer=", ".join(seen.signers) or "–")


def _is_aligned(resolver: DnsResolver, domain: str, other: str, mode: str | None) -> bool:
    """Say whether `other` counts as the same; `mode` is "s" where nothing but itself does."""
    if domain == other:
        return True
    return mode != "s" and _organisation(resolver, domain) == _organisation(resolver, other)


def _organisation(resolver: DnsResolver, domain: str) -> str:
    """Return the domain of the organisation that a domain is of; itself if nothing tells."""
    walked = _walk_up_tree(resolver, domain)
    if not walked:
        return domain
    holder, tags = walked[-1]
    if tags.get("psd") == "y" and holder != domain:
        # It is a public suffix; the organisation is the one just below it.
        below = domain.removesuffix(f".{holder}").rpartition(".")[2]
        return f"{below}.{holder}"
    return holder


def _walk_up_tree(resolver: DnsResolver, domain: str) -> list[tuple[str, dict[str, str]]]:
    """Return the domains with one record each, from `domain` upwards, and its tags."""
    walked = []
    for name in _list_parent_domains(domain):
        records = _records(resolver, name)
        if len(records) != 1:
            continue
        walked.append((name, records[0]))
        if records[0].get("psd") in {"y", "n"}:
            break
    return walked


def _list_parent_domains(domain: str) -> Iterator[str]:
    labels = domain.split(".")
    yield domain
    for start in range(max(1, len(labels) - _DEEPEST + 1), len(labels)):
        yield ".".join(labels[start:])


def _records(resolver: DnsResolver, domain: str) -> list[dict[str, str]]:
    texts = resolver.texts(f"_dmarc.{domain}")
    return [parse_tags(text) for text in texts if _RECORD.match(text)]
