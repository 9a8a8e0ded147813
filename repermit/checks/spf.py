"""Checks of SPF (RFC 7208): whether a domain authorises our mail server."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from repermit.checks.dns_lookup import DnsResolver, is_this_machine
from repermit.checks.findings import Finding, make_finding
from repermit.settings.definitions import MailServer
from repermit.settings.smtp_presets import find_provider, name_provider

MAX_LOOKUPS = 10  # RFC 7208 §4.6.4
_MAX_MAIL_SERVERS = 10

_VERSION = re.compile(r"v=spf1(?: |$)", re.IGNORECASE)
_TERM = re.compile(
    r"([+\-~?]?)(all|include|a|mx|ptr|ip4|ip6|exists)(?::([^/]*))?((?:/\d+)?(?://\d+)?)"
    r"|(?:(redirect)|[a-z][\w.-]*)=(.*)",
    re.IGNORECASE,
)
# An IPv6 network has slashes and colons itself, so everything after ip4: and ip6: is the network.
_NETWORK = re.compile(r"([+\-~?]?)(ip4|ip6):(.+)", re.IGNORECASE)


def find_spf_records(resolver: DnsResolver, domain: str) -> tuple[str, ...]:
    """Return the SPF records of a domain; a valid domain has at most one."""
    return tuple(text for text in resolver.look_up_texts(domain) if _VERSION.match(text))


class Policy:
    """An SPF record, evaluated with all records that it includes.

    - `lookups`: how many DNS look-ups it takes; counting stops beyond MAX_LOOKUPS.
    - `included`: the domains that it includes with "pass".
    - `broken`: the term for which it is invalid, "" if it is valid.
    - `allows_everyone`: its "all" passes. `allows_by_macro`: a macro or `exists` may pass.
    - Raises DnsNoAnswer.
    """

    def __init__(self, resolver: DnsResolver, domain: str, record: str) -> None:
        self._resolver = resolver
        self.lookups = 0
        self.included: set[str] = set()
        self.broken = ""
        self.allows_everyone = False
        self.allows_by_macro = False
        self._networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = []
        self._read(domain, record, passes=True)

    @property
    def is_too_long(self) -> bool:
        """Return whether it takes too many DNS look-ups."""
        return self.lookups > MAX_LOOKUPS

    @property
    def allows_nobody(self) -> bool:
        """Return whether it authorises no server at all."""
        return not (self._networks or self.allows_everyone or self.allows_by_macro)

    def allows(self, address: str) -> bool:
        """Return whether it authorises an IP address."""
        ip_address = ipaddress.ip_address(address)
        return self.allows_everyone or any(ip_address in network for network in self._networks)

    def _read(self, domain: str, record: str, *, passes: bool) -> None:
        redirect = ""
        for term in record.split()[1:]:
            if self.broken or self.is_too_long:
                return
            if term.lower().lstrip("+-~?") == "all":
                # Later terms and a redirect do not count (§5.1, §6.1).
                self.allows_everyone |= passes and term[0] in "+aA"
                return
            redirect = self._read_term(domain, term, passes=passes) or redirect
        if redirect:
            self._include(redirect, f"redirect={redirect}", passes=passes)

    def _read_term(self, domain: str, term: str, *, passes: bool) -> str:
        """Evaluate one term; return the domain that it redirects to, or ""."""
        if network := _NETWORK.fullmatch(term):
            self._add_network(network[3], term, passes=passes and network[1] in {"", "+"})
            return ""
        match = _TERM.fullmatch(term)
        if match is None:
            self.broken = term
            return ""
        if match[2] is None:
            return match[6] if match[5] else ""
        passes = passes and match[1] in {"", "+"}
        self._look_up(match[2].lower(), match[3] or domain, match[4], term, passes=passes)
        return ""

    def _look_up(self, mechanism: str, name: str, size: str, term: str, *, passes: bool) -> None:
        if "%" in name or mechanism in {"exists", "ptr"}:
            self.lookups += 1
            self.allows_by_macro |= passes
        elif mechanism == "include" and ":" in term:
            self._include(name, term, passes=passes)
        elif mechanism in {"a", "mx"}:
            self.lookups += 1
            for host in self._find_hosts(mechanism, name):
                self._add_host(host, size, passes=passes)
        else:
            self.broken = term

    def _find_hosts(self, mechanism: str, name: str) -> tuple[str, ...]:
        if mechanism == "a":
            return (name,)
        return self._resolver.look_up_mail_servers(name)[:_MAX_MAIL_SERVERS]

    def _add_host(self, host: str, size: str, *, passes: bool) -> None:
        bits_4, _, bits_6 = size.partition("//")
        for address in self._resolver.look_up_addresses(host):
            bits = bits_6 if ":" in address else bits_4.removeprefix("/")
            network = f"{address}/{bits}" if bits else address
            self._add_network(network, f"{host}{size}", passes=passes)

    def _add_network(self, text: str, term: str, *, passes: bool) -> None:
        try:
            network = ipaddress.ip_network(text, strict=False)
        except ValueError:
            self.broken = term
            return
        if passes:
            self._networks.append(network)

    def _include(self, name: str, term: str, *, passes: bool) -> None:
        self.lookups += 1
        if "%" in name:
            self.allows_by_macro |= passes
            return
        if self.is_too_long:
            return
        records = find_spf_records(self._resolver, name)
        # §5.2 and §6.1: an included domain must have exactly one record.
        if len(records) != 1:
            self.broken = term
            return
        if passes:
            self.included.add(name.rstrip(".").lower())
        self._read(name, records[0], passes=passes)


# --- Whether the return path's domain authorises the mail server. ---------------------------------


FAILING = frozenset(
    {"spf_none", "spf_several", "spf_broken", "spf_lookups", "spf_nobody", "spf_lacks_provider"}
)
"""The codes of findings with which no mail passes SPF."""


def check_spf(resolver: DnsResolver, domain: str, mail: MailServer) -> Iterator[Finding]:
    """Yield the finding about the SPF record of a return path's domain."""
    records = find_spf_records(resolver, domain)
    if not records:
        yield make_finding("spf_none", domain=domain, record=_propose_record(mail))
    elif len(records) > 1:
        yield make_finding("spf_several", domain=domain, count=str(len(records)))
    else:
        yield _judge_record(resolver, domain, Policy(resolver, domain, records[0]), mail)


def _propose_record(mail: MailServer) -> str:
    includes = find_provider(mail.preset).spf_includes
    return f"v=spf1 include:{includes[0]} ~all" if includes else "v=spf1 a mx ~all"


def _judge_record(resolver: DnsResolver, domain: str, policy: Policy, mail: MailServer) -> Finding:
    if policy.is_too_long:
        return make_finding("spf_lookups", domain=domain)
    if policy.broken:
        return make_finding("spf_broken", domain=domain, part=policy.broken)
    if policy.allows_everyone:
        return make_finding("spf_everyone", domain=domain)
    return _judge_servers(resolver, domain, policy, mail)


def _judge_servers(resolver: DnsResolver, domain: str, policy: Policy, mail: MailServer) -> Finding:
    """Return the finding whether a valid record authorises the mail server."""
    includes = find_provider(mail.preset).spf_includes
    if policy.allows_nobody and not includes:
        return make_finding("spf_nobody", domain=domain, record=_propose_record(mail))
    if includes:
        is_allowed = not policy.included.isdisjoint(includes)
    else:
        # Its public address is unknown.
        if is_this_machine(mail.server):
            return make_finding("spf_own_server", domain=domain)
        is_allowed = any(
            policy.allows(address) for address in resolver.look_up_addresses(mail.server)
        )
    if is_allowed:
        return make_finding("spf_ok", domain=domain)
    if policy.allows_by_macro:
        return make_finding("spf_macros", domain=domain)
    if includes:
        name = name_provider(mail.preset)
        return make_finding("spf_lacks_provider", domain=domain, preset=name, include=includes[0])
    return make_finding("spf_lacks_server", domain=domain, server=mail.server)
