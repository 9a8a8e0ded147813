"""The findings of `check`, their types (from a data file), and the report."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from repermit import package_files
from repermit.i18n.lazy_text import LazyText


class Verdict(StrEnum):
    """The consequence of a finding for a campaign; only a problem prevents it."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"
    UNKNOWN = "unknown"


class Area(StrEnum):
    """The subject of a finding, in the order in which findings are shown."""

    CONFIG = "config"
    KEYS = "keys"
    DATABASE = "database"
    LISTS = "lists"
    SMTP = "smtp"
    PACE = "pace"
    PAGES = "pages"
    SPF = "spf"
    DKIM = "dkim"
    DMARC = "dmarc"
    MX = "mx"
    BOUNCES = "bounces"


@dataclass(frozen=True, kw_only=True)
class FindingType:
    """The type of a finding, by its code; its texts are English message ids with `%(name)s`.

    - `found`, `remedy`: what was found, and what to do about it ("" for nothing).
    - `page_found`, `page_remedy`: the same for the admin's pages, without commands.
    """

    area: Area
    verdict: Verdict
    found: str
    remedy: str = ""
    page_found: str
    page_remedy: str


@dataclass(frozen=True, kw_only=True)
class Finding:
    """The result of one check; `values` fill in the texts of its type."""

    code: str
    values: Mapping[str, str] = field(default_factory=dict)

    @property
    def area(self) -> Area:
        """Return the area of its type."""
        return FINDING_TYPES[self.code].area

    @property
    def verdict(self) -> Verdict:
        """Return the verdict of its type."""
        return FINDING_TYPES[self.code].verdict

    @property
    def found(self) -> str:
        """Return what was found, in English."""
        return FINDING_TYPES[self.code].found % self.values

    @property
    def remedy(self) -> str:
        """Return what to do about it, in English; "" if nothing."""
        return FINDING_TYPES[self.code].remedy % self.values

    def on_page(
        self, gettext: Callable[[str], str], translate: Callable[[str], str]
    ) -> tuple[str, str]:
        """Return what was found and what to do, in the words of the admin's pages.

        - `translate`: translates a value, since a reason may be a sentence itself.
        """
        texts = FINDING_TYPES[self.code]
        values = {name: translate(value) for name, value in self.values.items()}
        # An empty message id would give the header of the catalogue.
        remedy = texts.page_remedy and gettext(texts.page_remedy)
        return gettext(texts.page_found) % values, remedy % values

    def to_json(self) -> dict[str, Any]:
        """Return the finding as a JSON object."""
        return {
            "area": str(self.area),
            "code": self.code,
            "verdict": str(self.verdict),
            "found": self.found,
            "remedy": self.remedy,
            "values": dict(self.values),
        }


@dataclass(frozen=True, kw_only=True)
class Report:
    """All findings, by area."""

    findings: tuple[Finding, ...]

    @property
    def works(self) -> bool:
        """Return whether there is no problem, so that a campaign should work."""
        return not self.counts[Verdict.PROBLEM]

    @property
    def counts(self) -> dict[Verdict, int]:
        """Return how many findings there are of each verdict."""
        verdicts = [finding.verdict for finding in self.findings]
        return {verdict: verdicts.count(verdict) for verdict in Verdict}

    def to_json(self) -> dict[str, Any]:
        """Return the report as a JSON document."""
        return {
            "works": self.works,
            "counts": {str(verdict): count for verdict, count in self.counts.items()},
            "findings": [finding.to_json() for finding in self.findings],
        }


# --- The types of findings, from `data/check_findings.toml`. --------------------------------------


def _read_types() -> Iterator[tuple[str, FindingType]]:
    entry: dict[str, Any]
    for name, entry in package_files.load_data("check_findings.toml").items():
        areas = entry.get("areas", [])
        codes = {f"{area}_{name}": area for area in areas} if areas else {name: entry["area"]}
        remedy = entry.get("remedy", "")
        for code, area in codes.items():
            yield (
                code,
                FindingType(
                    area=Area(area),
                    verdict=Verdict(entry["verdict"]),
                    found=entry["found"],
                    remedy=remedy,
                    page_found=entry.get("page_found", entry["found"]),
                    page_remedy=entry.get("page_remedy", remedy),
                ),
            )


FINDING_TYPES: Mapping[str, FindingType] = dict(_read_types())


def format_count(count: int) -> LazyText:
    """Return a number that a page formats in its language."""
    return LazyText("%(count)s", count=count)


def make_finding(code: str, **values: str) -> Finding:
    """Return the finding of this code."""
    return Finding(code=code, values=values)
