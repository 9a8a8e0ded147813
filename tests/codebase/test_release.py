"""What a release has: one version everywhere, pinned parts with their hashes, a list of them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, requires

import repermit
from repermit import package_files
from tests.codebase.test_dependencies import FIRST_SOUND, PROJECT, numbers
from tests.sbom import ROOT, make_sbom, normalize_name, read_constraints

CONSTRAINTS = (ROOT / "constraints.txt").read_text("utf-8")


def test_the_version_is_one_and_the_changelog_begins_with_it() -> None:
    version = PROJECT["project"]["version"]
    assert repermit.__version__ == version
    assert package_files.load_data("openapi.json")["info"]["version"] == version
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    releases = re.findall(r"^## (\S+)", changelog, re.MULTILINE)
    assert next(name for name in releases if name != "Unreleased") == version
    assert "Unreleased" not in releases[1:]
    assert numbers(version) >= (1, 0, 0)


def test_every_part_is_pinned_with_hashes_and_without_addresses() -> None:
    blocks = re.split(r"\n(?=[a-z0-9])", CONSTRAINTS.strip().partition("\n# (put")[2])
    pinned = [block for block in blocks if "==" in block]
    assert len(pinned) == len(read_constraints()) > 30
    assert all("--hash=sha256:" in block for block in pinned)
    assert "://" not in CONSTRAINTS
    assert "index" not in "".join(pinned)


def test_whatever_repermit_asks_for_is_pinned_also_at_second_hand() -> None:
    """Of what is installed here; whoever adds a dependency has to pin it."""
    known = {one.name for one in read_constraints()}
    wanted = [*PROJECT["project"]["dependencies"]]
    wanted += PROJECT["project"]["optional-dependencies"]["postgres"]
    seen: set[str] = set()
    while wanted:
        requirement = wanted.pop()
        bounds, _, marker = requirement.partition(";")
        name = normalize_name(re.split(r"[^A-Za-z0-9._-]", bounds.strip(), maxsplit=1)[0])
        if name in seen or marker:
            continue
        seen.add(name)
        assert name in known, name
        try:
            wanted += requires(name) or []
        except PackageNotFoundError:
            # The extra for PostgreSQL need not be here.
            continue
    assert len(seen) > len(PROJECT["project"]["dependencies"])


def test_no_pinned_version_has_a_vulnerability_that_is_known() -> None:
    versions = {one.name: one.version for one in read_constraints()}
    for name, (first, why) in FIRST_SOUND.items():
        assert numbers(versions[name]) >= numbers(first), why


def test_the_list_of_parts_is_made_by_a_command_and_names_each_once() -> None:
    command = (sys.executable, "-m", "tests.sbom")
    made = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    document = json.loads(made.stdout)
    assert document == make_sbom()
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    own = document["metadata"]["component"]
    assert own["purl"] == f"pkg:pypi/repermit@{repermit.__version__}"
    refs = [one["bom-ref"] for one in document["components"]]
    assert len(set(refs)) == len(refs) == len(read_constraints())
    (root,) = document["dependencies"]
    assert root["ref"] == own["bom-ref"]
    assert set(root["dependsOn"]) <= set(refs)
    assert any(ref.startswith("pkg:pypi/flask@") for ref in root["dependsOn"])
