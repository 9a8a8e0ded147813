"""The recipients of a list's data, by settings and evidence, with the organisation's notes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from repermit.db.models.accounts import ApiToken
from repermit.db.models.base import PreparedQuery
from repermit.db.models.campaigns import Campaign, HandedOver
from repermit.db.models.evidence import Evidence, EvidencePart
from repermit.db.models.lists import MailingList
from repermit.db.models.webhooks import Webhook
from repermit.package_files import load_newsletter_tool
from repermit.reports.register_notes import OWN, read_notes
from repermit.settings.definitions import Settings
from repermit.settings.smtp_presets import find_provider

EEA = frozenset(
    (
        "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IS IT LI LT LU LV MT NL NO PL PT RO SE SI SK"
    ).split()
)
"""The European Economic Area: no third country (GDPR art. 44, EEA agreement)."""

ADEQUATE = frozenset("AD AR BR CA CH FO GB GG IL IM JE JP KR NZ UY".split())
"""Countries with a decision after art. 45 that covers, as a rule, whoever stands under their law.

The United States are not among them: there it covers who is certified alone. In Canada it covers
commercial activities (Decision 2002/2/EC), as those of a mail service are.
"""

ROLES = ("hosting", "mail", "mailbox", "database", "tool", "webhook", "api", "other")
"""What a recipient may do with the data."""

_PERSONAL = frozenset(("read:contacts", "read:answers"))
_LOCAL = frozenset(("localhost", "127.0.0.1", "::1", ""))


@dataclass(frozen=True, kw_only=True)
class Recipient:
    """Somebody who gets data; `role` is one of ROLES.

    `server` is where data goes as the settings know it, "" for none. What is "" in the others has
    not been said. `agreement` is an ISO date (art. 28(3)), or "own".
    """

    key: str
    role: str
    server: str
    name: str
    country: str
    agreement: str
    safeguard: str

    @property
    def is_own(self) -> bool:
        """Say whether the organisation does it itself."""
        return self.agreement == OWN

    @property
    def public_name(self) -> str:
        """Return what others read it is called, "" for the organisation itself."""
        return "" if self.is_own else self.name or self.server

    @property
    def safeguard_abroad(self) -> str:
        """Return what protects the data in a third country, "" for one elsewhere."""
        return self.safeguard if self.is_abroad else ""

    @property
    def is_abroad(self) -> bool:
        """Say whether it is known to be in a third country."""
        return bool(self.country) and self.country not in EEA

    @property
    def needs_safeguard(self) -> bool:
        """Say whether data may go there only with a safeguard or a certification (art. 46)."""
        return self.is_abroad and self.country not in ADEQUATE


def list_recipients(mailing_list: MailingList, settings: Settings) -> tuple[Recipient, ...]:
    """Return everybody who gets data of a list, those that are known by themselves first."""
    notes = read_notes(mailing_list)
    found = {
        key: (role, server, name) for key, role, server, name in _known(mailing_list, settings)
    }
    for key in notes.processors:
        found.setdefault(key, ("other", "", ""))
    return tuple(
        Recipient(
            key=key,
            role=role,
            server=server,
            name=notes.of(key, "name") or name,
            country=notes.of(key, "country"),
            agreement=notes.of(key, "agreement"),
            safeguard=notes.of(key, "safeguard"),
        )
        for key, (role, server, name) in found.items()
    )


_STORES = frozenset(("hosting", "database"))


def describe_for_proofs(mailing_list: MailingList, *, settings: Settings) -> dict[str, list[str]]:
    """Return where a list's data is stored and who gets it, as proofs and receipts say it.

    Countries by their two letters; the organisation itself is no recipient.
    """
    recipients = list_recipients(mailing_list, settings)
    places = {one.country for one in recipients if one.role in _STORES and one.country}
    return {
        "storage_locations": sorted(places),
        "recipients": [_describe(one) for one in recipients if one.public_name],
    }


def _describe(one: Recipient) -> str:
    """Return who somebody is, for what and where, and what protects the data there if need be."""
    told = (f"{one.public_name} ({one.role})", one.country, one.safeguard_abroad)
    return ", ".join(filter(None, told))


def _known(mailing_list: MailingList, settings: Settings) -> Iterator[tuple[str, str, str, str]]:
    yield "hosting", "hosting", urlsplit(settings.public_url).hostname or "", ""
    mail, bounces = settings.mail, settings.bounces
    if mail.server not in _LOCAL:
        provider = find_provider(mail.preset).provider
        yield "mail", "mail", mail.server, provider or _domain(mail.server)
    is_elsewhere = _domain(bounces.server) != _domain(mail.server)
    if bounces.protocol != "none" and bounces.server not in _LOCAL and is_elsewhere:
        yield "mailbox", "mailbox", bounces.server, _domain(bounces.server)
    database = urlsplit(settings.database).hostname or ""
    if database not in _LOCAL:
        yield "database", "database", database, _domain(database)
    for tool in sorted(_tools(mailing_list)):
        yield tool, "tool", "", _tool_label(tool)
    for host in sorted(_hosts(mailing_list)):
        yield host, "webhook", host, _domain(host)
    for number, name, scopes in _TOKENS.rows():
        if _PERSONAL & set(scopes.split()):
            yield f"token-{number}", "api", "", name


def _tool_label(tool: str) -> str:
    """Return what a newsletter tool is called; one that is unknown here by its own name."""
    try:
        return str(load_newsletter_tool(tool)["label"])
    except (OSError, KeyError):
        return tool


def _domain(host: str) -> str:
    """Return the last two labels of a host's name: enough to tell two providers apart.

    An IP address is returned as it is.
    """
    is_address = ":" in host or host.rpartition(".")[2].isdigit()
    return host if is_address else ".".join(host.lower().split(".")[-2:])


def _tools(mailing_list: MailingList) -> set[str]:
    """Return the tools that a file was made for, or in which a step was carried out."""
    exported = {json.loads(told).get("tool", "") for (told,) in _EXPORTS.rows(mailing_list.slug)}
    handed_over = {tool for (tool,) in _HANDED_OVER.rows(mailing_list.id)}
    return (exported | handed_over) - {""}


def _hosts(mailing_list: MailingList) -> set[str]:
    return {urlsplit(url).hostname or "" for (url,) in _WEBHOOKS.rows(mailing_list.id)} - {""}


# Each page that asks names the recipients.
_TOKENS = PreparedQuery(
    lambda: (
        ApiToken.select(ApiToken.id, ApiToken.name, ApiToken.scopes)
        .where(ApiToken.revoked_at.is_null())
        .order_by(ApiToken.id)
        .tuples()
    )
)
_EXPORTS = PreparedQuery(
    # An export is about nobody, so that the index of subjects finds it among a million answers.
    lambda slug: (
        EvidencePart.select(EvidencePart.json)
        .join(Evidence, on=(Evidence.seq == EvidencePart.seq))
        .where(
            Evidence.subject == "",
            Evidence.list == slug,
            Evidence.event == "exported",
            EvidencePart.part == "consent",
        )
        .tuples()
    ),
    1,
)
_HANDED_OVER = PreparedQuery(
    lambda list_id: (
        HandedOver.select(HandedOver.tool).join(Campaign).where(Campaign.list == list_id).tuples()
    ),
    1,
)
_WEBHOOKS = PreparedQuery(
    lambda list_id: (
        Webhook.select(Webhook.url)
        .where((Webhook.list == list_id) | Webhook.list.is_null(), Webhook.removed_at.is_null())
        .tuples()
    ),
    1,
)
