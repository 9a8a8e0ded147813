"""Recognising columns by their titles, and the tools that wrote them (`data/newsletter_tools`).

See GDPR art. 7(1) and EDPB 05/2020 §108 on what a proof is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, tzinfo

from repermit import package_files
from repermit.expressions import Expressions


@dataclass(frozen=True, kw_only=True)
class Tool:
    """A tool that lists are exported from.

    - `known_titles`, `min_matches`: a file is this tool's if it has so many of these folded titles.
    - `titles`: fields by folded title, before the general ones; None for a meaningless column.
    - `ip_proves`, `form_proves`: whether an IP address or a form, besides a date of consent, shows
      the person's own act.
    - `zone`: the time zone of times without one; None for the organisation's.
    """

    name: str
    label: str
    known_titles: frozenset[str]
    min_matches: int = 2
    titles: Mapping[str, str | None] = field(default_factory=dict)
    ip_proves: bool = True
    form_proves: bool = True
    zone: tzinfo | None = None

    def find_field(self, folded: str) -> tuple[str | None, int]:
        """Return the field that a folded title means in this tool's exports, and its rank."""
        if folded in self.titles:
            return self.titles[folded], -1
        return find_field(folded)

    def knows(self, folded: str) -> bool:
        """Say whether the meaning of a folded title is known, useful here or not."""
        is_known = find_field(folded)[0] is not None or is_about_else(folded)
        return folded in self.titles or is_known


def _read(name: str) -> Tool:
    document = package_files.load_newsletter_tool(name)
    table = document["import"]
    return Tool(
        name=name,
        label=document["label"],
        known_titles=frozenset(table["told_by"].split()),
        min_matches=table["at_least"],
        titles={title: field or None for title, field in table.get("titles", {}).items()},
        ip_proves=table.get("ip_proves", True),
        form_proves=table.get("form_proves", True),
        zone=UTC if table.get("zone") == "UTC" else None,
    )


GENERIC = Tool(name="generic", label="columns", known_titles=frozenset(), min_matches=1)

# The first match counts.
_KNOWN = tuple(
    map(
        _read,
        (
            *("mailchimp", "google", "outlook", "listmonk", "laposta", "mailerlite", "brevo"),
            *("civicrm", "hubspot", "klaviyo", "phplist", "rapidmail", "shopify"),
        ),
    )
)


def detect_tool(folded: list[str]) -> Tool:
    """Return the tool that writes these folded titles; GENERIC if none is known."""
    titles = frozenset(folded)
    matches = (tool for tool in _KNOWN if len(tool.known_titles & titles) >= tool.min_matches)
    return next(matches, GENERIC)


# --- The fields of titles, mostly in Dutch, English, German and French. ---------------------------


_DATA = package_files.load_data("column_titles.toml")
PART_OF_A_NAME = frozenset(_DATA["part_of_a_name"]["titles"].split())
"""Titles that mean the whole name, or one of its parts if another column has the other part."""

_PHRASES = Expressions("title_phrases.toml", "titles")

# The field and rank of each title; of two titles for one field, the lower rank is better.
_RANKED = {
    title: (field, rank)
    for field, titles in _DATA["titles"].items()
    for rank, title in enumerate(f"{titles} {_DATA['further_titles'].get(field, '')}".split())
}


def find_field(folded: str) -> tuple[str | None, int]:
    """Return the field that a folded title means, or None, and its rank (0 is best)."""
    if is_address_title(folded):
        return "address", 0
    title = folded if folded in _RANKED else _PHRASES.compile("answers").sub("", folded)
    return _RANKED.get(title) or (_find_question_field(title), len(_RANKED))


# In the order in which a title that says several of them is read.
_MARK_FIELDS = {"opt_out": "opted_out_at", "complained": "complained_at", "bounce": "cleaned_at"}


def _says(phrase: str, title: str) -> bool:
    return bool(_PHRASES.compile(phrase).search(title))


def _find_question_field(title: str) -> str | None:
    """Return the field of a title that says so in several words, or asks a question; or None."""
    if is_about_else(title):
        return None
    for phrase, field_name in _MARK_FIELDS.items():
        if _says(phrase, title):
            return field_name
    if not _says("consent", title) or _says("no_question", title):
        return "status" if _says("status", title) else None
    return "opted_out_at" if _says("no_consent", title) else "consent"


def is_about_else(folded: str) -> bool:
    """Say whether a folded title is about something other than mail, as photographs or calls."""
    return _says("about_else", folded)


def is_other_channel(folded: str) -> bool:
    """Say whether a folded title is about text messages, faxes or the like, and not about mail."""
    return _says("other_channel", folded)


def is_address_title(folded: str) -> bool:
    """Say whether a folded title means a column of addresses."""
    return _PHRASES.compile("address").fullmatch(folded) is not None
