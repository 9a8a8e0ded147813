"""The independent verifier in JavaScript, as one process that is asked a line at a time."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).with_name("independent_verifier.mjs")


class JavaScriptVerifier:
    """Asks a process of Node.js whether files hold."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def check(
        self,
        octets: bytes,
        *,
        keys: Sequence[str] = (),
        ca_file: str = "",
        witnesses: Sequence[str] = (),
    ) -> Any:
        """Return {"holds", "signers", "stamps", "cosigned"}, or `why` it does not hold."""
        file = base64.b64encode(octets).decode()
        known = {"keys": list(keys), "ca": ca_file, "witnesses": list(witnesses)}
        asked = {"file": file, **known}
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


@contextmanager
def running_verifier() -> Iterator[JavaScriptVerifier]:
    """Run the verifier; skip the test where there is no engine for it."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no Node.js here (Debian: apt-get install nodejs)")
    with subprocess.Popen(
        [node, str(SCRIPT)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield JavaScriptVerifier(process)
        finally:
            assert process.stdin
            process.stdin.close()
