"""The findings of `check`: their kinds, read from data, and the report that they make."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from repermit import package_files
from repermit.i18n.lazy_text import LazyText


class Verdict(StrEnum):
    """What a finding means for a campaign; only a problem stands in its way."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"
    UNKNOWN = "unknown"


class Area(StrEnum):
    """What a finding is about, in the order in which findings are shown."""

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
    """What a code means; its texts are English message ids with `%(name)s` in them.

    - `found` and `remedy`: what was seen, and what to do about it ("" for nothing).
    - `page_found` and `page_remedy`: the same for the admin's pages, where nobody gives commands.
    """

    area: Area
    verdict: Verdict
    found: str
    remedy: str = ""
    page_found: str
    page_remedy: str


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was checked; `values` fill in the texts of its code."""

    code: str
    values: Mapping[str, str] = field(default_factory=dict)

    @property
    def area(self) -> Area:
        """Return what it is about."""
        return FINDING_TYPES[self.code].area

    @property
    def verdict(self) -> Verdict:
        """Return what it means for a campaign."""
        return FINDING_TYPES[self.code].verdict

    @property
    def found(self) -> str:
        """Return what was seen, in English."""
        return FINDING_TYPES[self.code].found % self.values

    @property
    def remedy(self) -> str:
        """Return what to do about it, in English; "" if nothing."""
        return FINDING_TYPES[self.code].remedy % self.values

    def on_page(self, gettext: Callable[[str], str], say: Callable[[str], str]) -> tuple[str, str]:
        """Return what was seen and what to do, as the admin's pages say it.

        - `say` puts a value into the page's language: a reason may be a sentence itself.
        """
        texts = FINDING_TYPES[self.code]
        values = {name: say(value) for name, value in self.values.items()}
        # An empty message id is the head of a catalogue.
        remedy = texts.page_remedy and gettext(texts.page_remedy)
        return gettext(texts.page_found) % values, remedy % values

    def to_json(self) -> dict[str, Any]:
        """Return the finding as a document's part."""
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
        """Say whether a campaign would work, as far as could be seen."""
        return not self.counts[Verdict.PROBLEM]

    @property
    def counts(self) -> dict[Verdict, int]:
        """Return how many findings there are of each verdict."""
        said = [one.verdict for one in self.findings]
        return {verdict: said.count(verdict) for verdict in Verdict}

    def to_json(self) -> dict[str, Any]:
        """Return the report as one document."""
        return {
            "works": self.works,
            "counts": {str(verdict): n for verdict, n in self.counts.items()},
            "findings": [one.to_json() for one in self.findings],
        }


# --- What each code means, read from `data/check_findings.toml`. ----------------------------------


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
    """Return a number that a page writes with its language's separators."""
    return LazyText("%(count)s", count=count)


def make_finding(code: str, **values: str) -> Finding:
    """Return the finding of this code."""
    return Finding(code=code, values=values)
