"""The commands by which a stranger checks a proof, as the proof format names them."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.support.timestamp_authority import Authority
from tests.support.witness import Witness

ROOT = Path(__file__).parents[3]
REFERENCE = ROOT / "docs/reference"
SAMPLE = REFERENCE / "sample-proof.json"
PAGE = (REFERENCE / "proof-format.md").read_text("utf-8")
COMMANDS = re.findall(r"^    ((?:python3|node) tests/support/.*)$", PAGE, re.MULTILINE)
PROGRAMS = [shlex.split(one)[:2] for one in COMMANDS]


def run(command: list[str], *, folder: Path = ROOT) -> tuple[int, dict[str, Any]]:
    """Run a command without what is installed for tests; return how it ended and what it says."""
    program, script, *rest = command
    found = shutil.which(program, path="/usr/bin:/usr/local/bin:" + os.environ["PATH"])
    if found is None:
        pytest.skip(f"there is no {program} here")
    apart = ["-I", "-S"] if program == "python3" else []
    ran = subprocess.run(
        [found, *apart, str(ROOT / script), *rest],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.stderr == ""
    return ran.returncode, json.loads(ran.stdout)


def test_both_verifiers_have_a_command() -> None:
    assert [one[0] for one in PROGRAMS] == ["python3", "node"]
    assert all("docs/reference/sample-proof.json" in one for one in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_sample_holds_under_the_key_that_the_page_names(command: str) -> None:
    code, told = run(shlex.split(command))
    key = json.loads(SAMPLE.read_text("utf-8"))["key"]
    assert (code, told["holds"], told["signers"]) == (0, True, [key])


@pytest.mark.parametrize("program", PROGRAMS)
def test_it_runs_from_any_folder_and_without_a_key(program: list[str], tmp_path: Path) -> None:
    shutil.copy(SAMPLE, tmp_path / "jan.json")
    code, told = run([*program, "jan.json"], folder=tmp_path)
    assert (code, told) == (0, {"holds": True, "signers": [], "stamps": [], "cosigned": []})


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize(
    "change", [("Linde", "Lindo"), ('"seq": 6', '"seq": 6.0'), ("{", ""), ("{", "[" * 100_000)]
)
def test_what_does_not_hold_is_told(
    program: list[str], change: tuple[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "jan.json"
    path.write_text(SAMPLE.read_text("utf-8").replace(*change, 1), "utf-8")
    code, told = run([*program, str(path)])
    assert (code, told["holds"], set(told)) == (1, False, {"holds", "why"})


@pytest.mark.parametrize("program", PROGRAMS)
def test_another_key_authority_or_witness_is_refused(program: list[str], tmp_path: Path) -> None:
    code, told = run([*program, str(SAMPLE), "other.example+00000000+AQ=="])
    assert (code, told["holds"]) == (1, False)
    # Without a timestamp there is nobody to vouch for.
    ca_file = Authority(tmp_path / "authority").ca_file
    code, told = run([*program, str(SAMPLE), "", str(ca_file)])
    assert (code, told["holds"]) == (0, True)
    stranger = Witness("x", bytes(32))
    stranger.own = Ed25519PrivateKey.from_private_bytes(b"s" * 32)
    code, told = run([*program, str(SAMPLE), "", "", stranger.vkey])
    assert (code, told["why"]) == (1, "a witness who has cosigned nothing of it")
