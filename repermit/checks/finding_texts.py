"""What each code of a finding means, read from `data/check_findings.toml`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from repermit import package_files
from repermit.checks.findings import Area, Finding, OnPage, Verdict, Words


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
