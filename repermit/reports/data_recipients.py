"""The recipients of a list's data, from settings, evidence and the organisation's notes."""

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
from repermit.package_files import load_data, load_newsletter_tool
from repermit.reports.register_notes import OWN, read_notes
from repermit.settings.definitions import Settings
from repermit.settings.smtp_presets import find_provider

_COUNTRIES = load_data("countries.toml")

EEA = frozenset(_COUNTRIES["eea"].split())
"""The European Economic Area."""

ADEQUATE = frozenset(_COUNTRIES["adequate"].split())
"""The third countries with an adequacy decision."""

ROLES = ("hosting", "mail", "mailbox", "database", "tool", "webhook", "api", "other")
"""The roles that a recipient may have."""

_PERSONAL = frozenset(("read:contacts", "read:answers"))
_LOCAL = frozenset(("localhost", "127.0.0.1", "::1", ""))


@dataclass(frozen=True, kw_only=True)
class Recipient:
    """A recipient of data; a field that is "" is not known.

    - `role`: one of ROLES.
    - `server`: the host to which data goes, from the settings or a webhook's URL.
    - `agreement`: the ISO date of the processor agreement (art. 28(3)), or "own".
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
        """Return whether the recipient is the organisation itself."""
        return self.agreement == OWN

    @property
    def public_name(self) -> str:
        """Return the name that others read, "" for the organisation itself."""
        return "" if self.is_own else self.name or self.server

    @property
    def safeguard_abroad(self) -> str:
        """Return the safeguard for a third country, "" for a recipient elsewhere."""
        return self.safeguard if self.is_abroad else ""

    @property
    def is_abroad(self) -> bool:
        """Return whether the recipient is known to be in a third country."""
        return bool(self.country) and self.country not in EEA

    @property
    def needs_safeguard(self) -> bool:
        """Return whether data may go there only with a safeguard or a certification (art. 46)."""
        return self.is_abroad and self.country not in ADEQUATE


def list_recipients(mailing_list: MailingList, settings: Settings) -> tuple[Recipient, ...]:
    """Return the recipients of a list's data; those that only the notes name come last."""
    notes = read_notes(mailing_list)
    recipients = {
        key: (role, server, name)
        for key, role, server, name in _iter_known_recipients(mailing_list, settings)
    }
    for key in notes.processors:
        recipients.setdefault(key, ("other", "", ""))
    return tuple(
        Recipient(
            key=key,
            role=role,
            server=server,
            name=notes.get(key, "name") or name,
            country=notes.get(key, "country"),
            agreement=notes.get(key, "agreement"),
            safeguard=notes.get(key, "safeguard"),
        )
        for key, (role, server, name) in recipients.items()
    )


_STORES = frozenset(("hosting", "database"))


def describe_for_proofs(mailing_list: MailingList, *, settings: Settings) -> dict[str, list[str]]:
    """Return the storage locations and recipients of a list's data, for proofs and receipts.

    Countries are two-letter codes; the organisation itself is no recipient.
    """
    recipients = list_recipients(mailing_list, settings)
    countries = {
        recipient.country
        for recipient in recipients
        if recipient.role in _STORES and recipient.country
    }
    return {
        "storage_locations": sorted(countries),
        "recipients": [
            _describe_recipient(recipient) for recipient in recipients if recipient.public_name
        ],
    }


def _describe_recipient(recipient: Recipient) -> str:
    """Describe a recipient: name, role, country, and the safeguard for a third country."""
    details = (
        f"{recipient.public_name} ({recipient.role})",
        recipient.country,
        recipient.safeguard_abroad,
    )
    return ", ".join(filter(None, details))


def _iter_known_recipients(
    mailing_list: MailingList, settings: Settings
) -> Iterator[tuple[str, str, str, str]]:
    yield "hosting", "hosting", urlsplit(settings.public_url).hostname or "", ""
    mail, bounces = settings.mail, settings.bounces
    if mail.server not in _LOCAL:
        provider = find_provider(mail.preset).provider
        yield "mail", "mail", mail.server, provider or _get_domain(mail.server)
    is_elsewhere = _get_domain(bounces.server) != _get_domain(mail.server)
    if bounces.protocol != "none" and bounces.server not in _LOCAL and is_elsewhere:
        yield "mailbox", "mailbox", bounces.server, _get_domain(bounces.server)
    database = urlsplit(settings.database).hostname or ""
    if database not in _LOCAL:
        yield "database", "database", database, _get_domain(database)
    for tool in sorted(_list_tools(mailing_list)):
        yield tool, "tool", "", _get_tool_label(tool)
    for host in sorted(_list_webhook_hosts(mailing_list)):
        yield host, "webhook", host, _get_domain(host)
    for number, name, scopes in _TOKENS.rows():
        if _PERSONAL & set(scopes.split()):
            yield f"token-{number}", "api", "", name


def _get_tool_label(tool: str) -> str:
    """Return the label of a newsletter tool, or its own name if it is unknown here."""
    try:
        return str(load_newsletter_tool(tool)["label"])
    except (OSError, KeyError):
        return tool


def _get_domain(host: str) -> str:
    """Return the last two labels of a host name, which are enough to tell two providers apart.

    An IP address is returned as it is.
    """
    is_address = ":" in host or host.rpartition(".")[2].isdigit()
    return host if is_address else ".".join(host.lower().split(".")[-2:])


def _list_tools(mailing_list: MailingList) -> set[str]:
    """Return the tools for which a file was exported or a handover step was ticked."""
    exported = {json.loads(text).get("tool", "") for (text,) in _EXPORTS.rows(mailing_list.slug)}
    handed_over = {tool for (tool,) in _HANDED_OVER.rows(mailing_list.id)}
    return (exported | handed_over) - {""}


def _list_webhook_hosts(mailing_list: MailingList) -> set[str]:
    return {urlsplit(url).hostname or "" for (url,) in _WEBHOOKS.rows(mailing_list.id)} - {""}


# Prepared queries, since each answer page names the recipients.
_TOKENS = PreparedQuery(
    lambda: (
        ApiToken.select(ApiToken.id, ApiToken.name, ApiToken.scopes)
        .where(ApiToken.revoked_at.is_null())
        .order_by(ApiToken.id)
        .tuples()
    )
)
_EXPORTS = PreparedQuery(
    # An export has no subject, so the index by subject finds it among a million answers.
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
