"""The gates: what the tools that read the code must find in order."""

from __future__ import annotations

import subprocess
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = Path(sysconfig.get_path("scripts"))


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(["ruff", "check"], id="rules"),
        pytest.param(["ruff", "format", "--check", "--diff"], id="format"),
        pytest.param(["mypy"], id="types", marks=pytest.mark.exhaustive),
        pytest.param(["lint-imports"], id="floors"),
    ],
)
def test_the_gate_is_passed(command: list[str]) -> None:
    done = subprocess.run(
        [SCRIPTS / command[0], *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
