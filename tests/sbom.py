"""The list of what repermit is made of, as CycloneDX 1.6 (ECMA-424): `python -m tests.sbom`.

It is made of constraints.txt, so that it says the same on every machine.
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]
_PINNED = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)
_NAME = re.compile(r"[A-Za-z0-9._-]+")


class Pinned(NamedTuple):
    """A distribution in one version; `name` is as package indexes compare them (PEP 503)."""

    name: str
    version: str

    @property
    def purl(self) -> str:
        """Return the package URL, which is also how the document refers to it."""
        return f"pkg:pypi/{self.name}@{self.version}"


def normalize_name(name: str) -> str:
    """Return a distribution's name as package indexes compare them (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read_constraints(root: Path = ROOT) -> list[Pinned]:
    """Return what constraints.txt pins, in its order."""
    text = (root / "constraints.txt").read_text("utf-8")
    return [Pinned(normalize_name(name), version) for name, version in _PINNED.findall(text)]


def make_sbom(root: Path = ROOT) -> dict[str, Any]:
    """Return the document: repermit itself, its parts, and which of them it asks for."""
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]
    own = Pinned(project["name"], project["version"])
    pinned = read_constraints(root)
    asked_for = set(_list_requirements(project))
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": own.purl,
                "name": own.name,
                "version": own.version,
                "description": project["description"],
                "licenses": [{"license": {"id": project["license"]}}],
                "purl": own.purl,
            }
        },
        "components": [
            {
                "type": "library",
                "bom-ref": one.purl,
                "name": one.name,
                "version": one.version,
                "purl": one.purl,
            }
            for one in pinned
        ],
        "dependencies": [
            {"ref": own.purl, "dependsOn": [one.purl for one in pinned if one.name in asked_for]}
        ],
    }


def _list_requirements(project: dict[str, Any]) -> Iterator[str]:
    for requirement in (*project["dependencies"], *project["optional-dependencies"]["postgres"]):
        found = _NAME.match(requirement)
        assert found, requirement
        yield normalize_name(found[0])


if __name__ == "__main__":
    sys.stdout.write(json.dumps(make_sbom(), indent=1, ensure_ascii=False) + "\n")
