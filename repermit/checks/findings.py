"""What a check finds: an area, a verdict, what was seen, what to do about it, and its texts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from repermit import package_files


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
class OnPage:
    """What the admin's pages say instead, as message ids; "" for what is the same there."""

    found: str = ""
    remedy: str = ""


@dataclass(frozen=True, kw_only=True)
class Words:
    """What a code means: `found` and `remedy` are English message ids with `%(name)s` in them."""

    area: Area
    verdict: Verdict
    found: str
    remedy: str = ""
    on_page: OnPage = OnPage()


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at; `code` keeps its meaning, `values` fill in the words."""

    code: str
    words: Words
    values: Mapping[str, str] = field(default_factory=dict)

    @property
    def area(self) -> Area:
        """Return what it is about."""
        return self.words.area

    @property
    def verdict(self) -> Verdict:
        """Return what it means for a campaign."""
        return self.words.verdict

    @property
    def found(self) -> str:
        """Return what was seen, in English."""
        return self.in_words(str)[0]

    @property
    def remedy(self) -> str:
        """Return what to do about it, in English; "" if nothing."""
        return self.in_words(str)[1]

    def in_words(
        self, gettext: Callable[[str], str], say: Callable[[str], str] = str
    ) -> tuple[str, str]:
        """Return what was seen and what to do, in the language of `gettext`.

        `say` puts each value into that language: a reason may be something said itself.
        """
        return self._filled(self.words.found, self.words.remedy, gettext, say)

    def on_page(self, gettext: Callable[[str], str], say: Callable[[str], str]) -> tuple[str, str]:
        """Return the same as the admin's pages say it, where nobody gives commands."""
        words = self.words.on_page
        found, remedy = words.found or self.words.found, words.remedy or self.words.remedy
        return self._filled(found, remedy, gettext, say)

    def _filled(
        self, found: str, remedy: str, gettext: Callable[[str], str], say: Callable[[str], str]
    ) -> tuple[str, str]:
        values = {name: say(value) for name, value in self.values.items()}
        # An empty message id is the head of a catalogue.
        return gettext(found) % values, (remedy and gettext(remedy)) % values

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


# --- What each code of a finding means, read from `data/check_findings.toml`. ---------------------


def _read() -> Iterator[tuple[str, Words]]:
    entry: dict[str, Any]
    for name, entry in package_files.data("check_findings.toml").items():
        areas = entry.get("areas", [])
        codes = {f"{area}_{name}": area for area in areas} if areas else {name: entry["area"]}
        for code, area in codes.items():
            yield (
                code,
                Words(
                    area=Area(area),
                    verdict=Verdict(entry["verdict"]),
                    found=entry["found"],
                    remedy=entry.get("remedy", ""),
                    on_page=OnPage(
                        found=entry.get("page_found", ""), remedy=entry.get("page_remedy", "")
                    ),
                ),
            )


WORDS: Mapping[str, Words] = dict(_read())


def finding(code: str, **values: str) -> Finding:
    """Return the finding that a code stands for."""
    return Finding(code=code, words=WORDS[code], values=values)
