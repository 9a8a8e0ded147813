"""Checks of SPF (RFC 7208): whether a domain lets our mail server send."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from repermit.checks.dns_lookup import DnsResolver, is_this_machine
from repermit.checks.findings import Finding, make_finding
from repermit.settings.definitions import MailServer
from repermit.settings.smtp_presets import find_provider, name_provider

MOST_LOOKUPS = 10  # RFC 7208 §4.6.4
_MOST_MAIL_SERVERS = 10

_VERSION = re.compile(r"v=spf1(?: |$)", re.IGNORECASE)
_TERM = re.compile(
    r"([+\-~?]?)(all|include|a|mx|ptr|ip4|ip6|exists)(?::([^/]*))?((?:/\d+)?(?://\d+)?)"
    r"|(?:(redirect)|[a-z][\w.-]*)=(.*)",
    re.IGNORECASE,
)
# An IPv6 network has slashes, colons and no name: what follows ip4: and ip6: is taken whole.
_NETWORK = re.compile(r"([+\-~?]?)(ip4|ip6):(.+)", re.IGNORECASE)


def spf_records(resolver: DnsResolver, domain: str) -> tuple[str, ...]:
    """Return the SPF records of a domain, of which there may be one."""
    return tuple(text for text in resolver.texts(domain) if _VERSION.match(text))


class Policy:
    """What one record says, with all that it includes; what it passes alone is told apart.

    `lookups` is how many it takes, counted no further than just beyond the most that there may
    be; `included` which records it takes in; `broken` the part for which it cannot be used, or "";
    `allows_everyone` and `allows_by_macro` what their names say. Raises DnsNoAnswer.
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
        """Say whether it takes more look-ups than there may be."""
        return self.lookups > MOST_LOOKUPS

    @property
    def allows_nobody(self) -> bool:
        """Say whether there is no server at all that it lets send."""
        return not (self._networks or self.allows_everyone or self.allows_by_macro)

    def allows(self, address: str) -> bool:
        """Say whether it names an IP address."""
        asked = ipaddress.ip_address(address)
        return self.allows_everyone or any(asked in network for network in self._networks)

    def _read(self, domain: str, record: str, *, passes: bool) -> None:
        redirect = ""
        for term in record.split()[1:]:
            if self.broken or self.is_too_long:
                return
            if term.lower().lstrip("+-~?") == "all":
                # What stands behind it, and a redirect, do not count (§5.1, §6.1).
                self.allows_everyone |= passes and term[0] in "+aA"
                return
            redirect = self._take(domain, term, passes=passes) or redirect
        if redirect:
            self._include(redirect, f"redirect={redirect}", passes=passes)

    def _take(self, domain: str, term: str, *, passes: bool) -> str:
        """Take in one term; return where it redirects to, or ""."""
        if network := _NETWORK.fullmatch(term):
            self._add_network(network[3], term, passes=passes and network[1] in {"", "+"})
            return ""
        found = _TERM.fullmatch(term)
        if found is None:
            self.broken = term
            return ""
        if found[2] is None:
            return found[6] if found[5] else ""
        passes = passes and found[1] in {"", "+"}
        self._look_up(found[2].lower(), found[3] or domain, found[4], term, passes=passes)
        return ""

    def _look_up(self, what: str, name: str, size: str, term: str, *, passes: bool) -> None:
        if "%" in name or what in {"exists", "ptr"}:
            self.lookups += 1
            self.allows_by_macro |= passes
        elif what == "include" and ":" in term:
            self._include(name, term, passes=passes)
        elif what in {"a", "mx"}:
            self.lookups += 1
            for host in self._hosts(what, name):
                self._add_host(host, size, passes=passes)
        else:
            self.broken = term

    def _hosts(self, what: str, name: str) -> tuple[str, ...]:
        if what == "a":
            return (name,)
        return self._resolver.mail_servers(name)[:_MOST_MAIL_SERVERS]

    def _add_host(self, host: str, size: str, *, passes: bool) -> None:
        of_4, _, of_6 = size.partition("//")
        for address in self._resolver.addresses(host):
            bits = of_6 if ":" in address else of_4.removeprefix("/")
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
        records = spf_records(self._resolver, name)
        # §5.2 and §6.1: what is taken in has to have a record, and a single one.
        if len(records) != 1:
            self.broken = term
            return
        if passes:
            self.included.add(name.rstrip(".").lower())
        self._read(name, records[0], passes=passes)


# --- Whether the domain that mails come from lets the servers send that they leave by. ------------


FAILING = frozenset(
    {"spf_none", "spf_several", "spf_broken", "spf_lookups", "spf_nobody", "spf_lacks_provider"}
)
"""The findings by which no mail passes SPF."""


def check_spf(resolver: DnsResolver, domain: str, mail: MailServer) -> Iterator[Finding]:
    """Yield what the SPF record of a return path's domain means for the mail server."""
    records = spf_records(resolver, domain)
    if not records:
        yield make_finding("spf_none", domain=domain, record=_proposed(mail))
    elif len(records) > 1:
        yield make_finding("spf_several", domain=domain, count=str(len(records)))
    else:
        yield _judge_record(resolver, domain, Policy(resolver, domain, records[0]), mail)


def _proposed(mail: MailServer) -> str:
    known = find_provider(mail.preset).spf_includes
    return f"v=spf1 include:{known[0]} ~all" if known else "v=spf1 a mx ~all"


def _judge_record(resolver: DnsResolver, domain: str, policy: Policy, mail: MailServer) -> Finding:
    if policy.is_too_long:
        return make_finding("spf_lookups", domain=domain)
    if policy.broken:
        return make_finding("spf_broken", domain=domain, part=policy.broken)
    if policy.allows_everyone:
        return make_finding("spf_everyone", domain=domain)
    return _judge_servers(resolver, domain, policy, mail)


def _judge_servers(resolver: DnsResolver, domain: str, policy: Policy, mail: MailServer) -> Finding:
    """Return whether a record that can be used lets the mail server send."""
    known = find_provider(mail.preset).spf_includes
    if policy.allows_nobody and not known:
        return make_finding("spf_nobody", domain=domain, record=_proposed(mail))
    if known:
        is_allowed = not policy.included.isdisjoint(known)
    else:
        # Nobody knows what it is on the internet.
        if is_this_machine(mail.server):
            return make_finding("spf_own_server", domain=domain)
        is_allowed = any(policy.allows(one) for one in resolver.addresses(mail.server))
    if is_allowed:
        return make_finding("spf_ok", domain=domain)
    if policy.allows_by_macro:
        return make_finding("spf_macros", domain=domain)
    if known:
        name = name_provider(mail.preset)
        return make_finding("spf_lacks_provider", domain=domain, preset=name, include=known[0])
    return make_finding("spf_lacks_server", domain=domain, server=mail.server)
