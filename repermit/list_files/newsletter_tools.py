"""The tools whose exports are known, as `data/newsletter_tools` describes them.

What a proof is: GDPR art. 7(1); EDPB 05/2020 §108.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, tzinfo

from repermit import package_files
from repermit.list_files.column_titles import field_of, is_about_else


@dataclass(frozen=True, kw_only=True)
class Tool:
    """A tool that lists come from.

    An export is this tool's if it has `at_least` of the folded titles in `told_by`. `titles`
    goes before the general ones; None is a column that means nothing here. `ip_proves` and
    `form_proves` say what, beside a date of consent, shows the person's own act.
    `zone` is that of times without one, None being the organisation's.
    """

    name: str
    label: str
    told_by: frozenset[str]
    at_least: int = 2
    titles: Mapping[str, str | None] = field(default_factory=dict)
    ip_proves: bool = True
    form_proves: bool = True
    zone: tzinfo | None = None

    def field_of(self, folded: str) -> tuple[str | None, int]:
        """Return the field that a folded title stands for in this tool's exports, and its rank."""
        if folded in self.titles:
            return self.titles[folded], -1
        return field_of(folded)

    def knows(self, folded: str) -> bool:
        """Say whether it is known what a folded title stands for, be it nothing of use here."""
        is_known = field_of(folded)[0] is not None or is_about_else(folded)
        return folded in self.titles or is_known


def _read(name: str) -> Tool:
    document = package_files.newsletter_tool(name)
    known = document["import"]
    return Tool(
        name=name,
        label=document["label"],
        told_by=frozenset(known["told_by"].split()),
        at_least=known["at_least"],
        titles={title: field or None for title, field in known.get("titles", {}).items()},
        ip_proves=known.get("ip_proves", True),
        form_proves=known.get("form_proves", True),
        zone=UTC if known.get("zone") == "UTC" else None,
    )


GENERIC = Tool(name="generic", label="columns", told_by=frozenset(), at_least=1)

# The first that fits is taken.
_KNOWN = tuple(
    map(
        _read,
        ("mailchimp", "google", "outlook", "listmonk", "laposta", "mailerlite", "brevo"),
    )
)


def tool_of(folded: list[str]) -> Tool:
    """Return the tool that writes these folded titles, GENERIC if it is none that is known."""
    titles = frozenset(folded)
    return next((tool for tool in _KNOWN if len(tool.told_by & titles) >= tool.at_least), GENERIC)
