"""Processes under limits, of which each reads for one test after the other.

The product starts one for each look at a mailbox or a file, and starting takes longest.
"""

from __future__ import annotations

import subprocess
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

import pytest

from repermit.limited_process import LimitedProcess


class KeptProcesses:
    """Those that wait for a request of another test, by what they were started for, and where."""

    def __init__(self) -> None:
        self._start, self._close = LimitedProcess.start, LimitedProcess.close
        self._idle: dict[tuple[str, ...], list[subprocess.Popen[bytes]]] = defaultdict(list)

    @contextmanager
    def used(self) -> Iterator[None]:
        """Let a LimitedProcess begin with one of these, and leave its own behind when it ends."""
        with pytest.MonkeyPatch.context() as patch:
            # As functions, so that each is a method of the LimitedProcess too.
            patch.setattr(LimitedProcess, "start", lambda limited: self._take(limited))  # noqa: PLW0108
            patch.setattr(LimitedProcess, "close", lambda limited: self._keep(limited))  # noqa: PLW0108
            yield

    def close(self) -> None:
        """End all of them."""
        for process in (one for several in self._idle.values() for one in several):
            cast("IO[bytes]", process.stdin).close()
            with process:
                pass

    def _take(self, limited: LimitedProcess) -> subprocess.Popen[bytes]:
        idle = self._idle[_key(limited)]
        if not idle:
            return self._start(limited)
        limited._process, limited._is_ready = idle.pop(), True
        return limited._process

    def _keep(self, limited: LimitedProcess) -> None:
        process = limited._process
        if process and limited._is_ready and not limited._is_busy and process.poll() is None:
            self._idle[_key(limited)].append(process)
            limited._process = None
        self._close(limited)


def _key(limited: LimitedProcess) -> tuple[str, ...]:
    # A request may name a file by its path from the working folder.
    return (*limited._command, str(Path.cwd()))
