"""The least versions of what repermit is built on: none with a vulnerability that is known."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))

# The first version without what is named. Where a library brings another along, that one too.
FIRST_SOUND = {
    "aiosmtpd": ("1.4.6", "CVE-2024-34083"),
    "certifi": ("2024.7.4", "CVE-2024-39689"),
    "click": ("8.3.3", "CVE-2026-7246"),
    "cryptography": ("48.0.1", "GHSA-537c-gmf6-5ccf, CVE-2026-39892, CVE-2026-26007"),
    "dnspython": ("2.6.1", "CVE-2023-29483"),
    "flask": ("3.1.3", "CVE-2026-27205"),
    "idna": ("3.15", "CVE-2026-45409"),
    "jinja2": ("3.1.6", "CVE-2025-27516"),
    "pygments": ("2.20", "CVE-2026-4539"),
    "pyjwt": ("2.15", "CVE-2026-101918, CVE-2026-48526, CVE-2026-32597"),
    "requests": ("2.33", "CVE-2026-25645, CVE-2024-47081"),
    "urllib3": ("2.7", "CVE-2026-44431, CVE-2026-44432, CVE-2026-21441"),
    "waitress": ("3.0.1", "CVE-2024-49768, CVE-2024-49769"),
    "werkzeug": ("3.1.6", "CVE-2026-27199, CVE-2026-21860, CVE-2025-66221"),
}


def numbers(text: str) -> tuple[int, ...]:
    """Return the numbers of a version, for comparing."""
    found = re.match(r"\d+(?:\.\d+)*", text)
    assert found, text
    return tuple(int(part) for part in found[0].split("."))


def least_versions() -> dict[str, str]:
    """Return the least version of each requirement by its name."""
    found: dict[str, str] = {}
    for requirement in PROJECT["project"]["dependencies"]:
        name, sign, bounds = requirement.partition(">=")
        assert sign, requirement
        found[name] = bounds.partition(",")[0]
    return found


@pytest.mark.parametrize("name", FIRST_SOUND)
def test_no_version_with_a_known_vulnerability_is_allowed(name: str) -> None:
    first, _why = FIRST_SOUND[name]
    assert numbers(least_versions()[name]) >= numbers(first)


def test_what_is_installed_is_allowed() -> None:
    for name, least in least_versions().items():
        assert numbers(version(name)) >= numbers(least), name
