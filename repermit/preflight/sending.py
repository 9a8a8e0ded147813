"""Whether the domain that mails come from lets the servers send that they leave by.

May import config and this room.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from repermit.preflight.names import is_this_machine
from repermit.preflight.spf import Policy, spf_records
from repermit.preflight.words import finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from repermit.config import MailServer
    from repermit.preflight.facts import Finding
    from repermit.preflight.names import Names

# What providers tell their customers to include; the first is the one to add.
# https://learn.microsoft.com/en-us/defender-office-365/email-authentication-spf-configure
# https://support.google.com/a/answer/10684623
# https://helpdesk.gandi.net/hc/en-us/articles/14001808469404-What-is-an-SPF-record
# https://www.infomaniak.com/en/support/faq/2199/manage-spf-records
# https://github.com/ovh/docs: "v=spf1 include:mx.ovh.com ~all"
# The others as they stand in the records of customers that are public. Of domainfactory and
# Hetzner none is known for certain, and with cpanel, plesk and directadmin each host has its own.
_GOOGLE = ("_spf.google.com",)
INCLUDES: Mapping[str, tuple[str, ...]] = {
    "office365": ("spf.protection.outlook.com",),
    "gmail": _GOOGLE,
    "google-workspace": _GOOGLE,
    "google-relay": _GOOGLE,
    "transip": ("_spf.transip.email",),
    "hostnet": ("_spf.hostnet.nl",),
    "strato": ("_spf.strato.com", "_spf.strato.de"),
    "one.com": ("_custspf.one.com",),
    "ovh": ("mx.ovh.com",),
    "gandi": ("_mailcust.gandi.net",),
    "ionos": ("_spf-eu.ionos.com", "_spf-us.ionos.com", "_spf.perfora.net"),
    "infomaniak": ("spf.infomaniak.ch",),
    "hostinger": ("_spf.mail.hostinger.com",),
}

FAILING = frozenset(
    {"spf_none", "spf_several", "spf_broken", "spf_lookups", "spf_nobody", "spf_lacks_provider"}
)
"""The findings by which no mail passes SPF."""


def look_at_spf(names: Names, domain: str, mail: MailServer) -> Iterator[Finding]:
    """Yield what the SPF record of a return path's domain means for the mail server."""
    records = spf_records(names, domain)
    if not records:
        yield finding("spf_none", domain=domain, record=_proposed(mail))
    elif len(records) > 1:
        yield finding("spf_several", domain=domain, count=str(len(records)))
    else:
        yield _judged(names, domain, Policy(names, domain, records[0]), mail)


def _proposed(mail: MailServer) -> str:
    known = INCLUDES.get(mail.preset)
    return f"v=spf1 include:{known[0]} ~all" if known else "v=spf1 a mx ~all"


def _judged(names: Names, domain: str, policy: Policy, mail: MailServer) -> Finding:
    if policy.is_too_long:
        return finding("spf_lookups", domain=domain)
    if policy.broken:
        return finding("spf_broken", domain=domain, part=policy.broken)
    if policy.allows_everyone:
        return finding("spf_everyone", domain=domain)
    return _allowing(names, domain, policy, mail)


def _allowing(names: Names, domain: str, policy: Policy, mail: MailServer) -> Finding:
    """Return whether a record that can be used lets the mail server send."""
    known = INCLUDES.get(mail.preset, ())
    if policy.allows_nobody and not known:
        return finding("spf_nobody", domain=domain, record=_proposed(mail))
    if known:
        is_allowed = not policy.included.isdisjoint(known)
    else:
        # Nobody knows what it is on the internet.
        if is_this_machine(mail.server):
            return finding("spf_own_server", domain=domain)
        is_allowed = any(policy.allows(one) for one in names.addresses(mail.server))
    if is_allowed:
        return finding("spf_ok", domain=domain)
    if policy.allows_by_macro:
        return finding("spf_macros", domain=domain)
    if known:
        return finding("spf_lacks_provider", domain=domain, preset=mail.preset, include=known[0])
    return finding("spf_lacks_server", domain=domain, server=mail.server)
