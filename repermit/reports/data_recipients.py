"""The recipients of a list's data, from settings, evidence and the organisation's notes."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import NamedTuple
from urllib.parse import urlsplit

from repermit.db.connection import proxy, run_sql
from repermit.package_files import load_data, load_newsletter_tool
from repermit.reports.register_notes import OWN, parse_notes
from repermit.settings.definitions import Settings
from repermit.settings.smtp_presets import find_provider

_COUNTRIES = load_data("countries.toml")

EEA = frozenset(_COUNTRIES["eea"].split())
"""The European Economic Area."""

ADEQUATE = frozenset(_COUNTRIES["adequate"].split())
"""The third countries with an adequacy decision."""

ROLES = ("hosting", "mail", "mailbox", "database", "tool", "webhook", "api", "other")
"""The roles that a recipient may have."""

_COUNTS_ONLY = frozenset(("read:status",))
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


class _Found(NamedTuple):
    """A row of the database that tells of a recipient: a list's notes, or a name or URL.

    - `scopes`, `number`: of an API token.
    """

    text: str
    scopes: str
    number: int


def list_recipients(slug: str, settings: Settings) -> tuple[Recipient, ...]:
    """Return the recipients of a list's data; none for a deleted list.

    Those that only the notes name come last.
    """
    found: dict[str, list[_Found]] = defaultdict(list)
    for kind, *values in run_sql(proxy.obj, _SELECT_FOUND.format(proxy.obj.param), slug):
        found[kind].append(_Found(*values))
    if not found["notes"]:
        return ()
    notes = parse_notes(found["notes"][0].text)
    recipients = {
        key: (role, server, name)
        for key, role, server, name in _iter_known_recipients(found, settings)
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


def describe_for_proofs(slug: str, *, settings: Settings) -> dict[str, list[str]]:
    """Return the storage locations and recipients of a list's data, for proofs and receipts.

    Countries are two-letter codes; the organisation itself is no recipient.
    """
    recipients = list_recipients(slug, settings)
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
    found: Mapping[str, Sequence[_Found]], settings: Settings
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
    exported = {json.loads(export.text).get("tool", "") for export in found["export"]}
    handed_over = {tool.text for tool in found["tool"]}
    for tool in sorted((exported | handed_over) - {""}):
        yield tool, "tool", "", _get_tool_label(tool)
    for host in sorted(
        {urlsplit(webhook.text).hostname or "" for webhook in found["webhook"]} - {""}
    ):
        yield host, "webhook", host, _get_domain(host)
    for token in sorted(found["token"], key=attrgetter("number")):
        if set(token.scopes.split()) - _COUNTS_ONLY:
            yield f"token-{token.number}", "api", "", token.text


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


# One statement, since each answer page names the recipients. An export has no subject, so the index
# by subject finds it among a million answers.
_SELECT_FOUND = """\
WITH this AS (SELECT id, slug FROM mailing_list WHERE slug = {})
SELECT 'notes', COALESCE(register_notes.notes, '{{}}'), '', 0
FROM this LEFT JOIN register_notes ON register_notes.list_id = this.id
UNION ALL SELECT 'export', evidence_part.json, '', 0
FROM this JOIN evidence ON evidence.subject = '' AND evidence.list = this.slug
JOIN evidence_part ON evidence_part.seq = evidence.seq
WHERE evidence.event = 'exported' AND evidence_part.part = 'consent'
UNION ALL SELECT 'tool', handed_over.tool, '', 0
FROM this JOIN campaign ON campaign.list_id = this.id
JOIN handed_over ON handed_over.campaign_id = campaign.id
UNION ALL SELECT 'webhook', url, '', 0
FROM webhook WHERE removed_at IS NULL AND (list_id IS NULL OR list_id IN (SELECT id FROM this))
UNION ALL SELECT 'token', name, scopes, id
FROM api_token WHERE revoked_at IS NULL"""
