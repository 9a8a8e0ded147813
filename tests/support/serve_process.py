"""`repermit serve` and others as processes of their own, for tests that stop or kill them."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from tests.support.command_tree import REPERMIT
from tests.support.desk import Desk


class Running:
    """Runs a command at the desk, to the end of `with`; `says` is the first line it printed.

    Its stderr may be a terminal, or the file `log`.
    """

    program: Sequence[str] = (str(REPERMIT),)
    reads_first_line = True

    def __init__(
        self, desk: Desk, *command: str, on_terminal: bool = False, log: IO[str] | None = None
    ) -> None:
        self.seen = ""
        self._controller, terminal = pty.openpty() if on_terminal else (-1, subprocess.PIPE)
        self.process = subprocess.Popen(
            [*self.program, "--config", str(desk.config), *command],
            stdout=subprocess.PIPE,
            stderr=log or terminal,
            text=True,
            env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
        )
        assert self.process.stdout
        self.says = self.process.stdout.readline() if self.reads_first_line else ""
        if on_terminal:
            os.close(terminal)

    def wait_for_on_terminal(self, words: str) -> None:
        """Read the terminal until it shows these words; what it showed is `seen`."""
        while words not in self.seen:
            more = self._read_on()
            assert more, self.seen
            self.seen += more

    def read_terminal(self) -> None:
        """Read the terminal to its end."""
        while more := self._read_on():
            self.seen += more

    def _read_on(self) -> str:
        # The end of a terminal is an error on Linux.
        with suppress(OSError):
            return os.read(self._controller, 4096).decode(errors="replace")
        return ""

    def end(self, *signs: signal.Signals) -> tuple[int, str]:
        """Send signals; return the exit code and all that went to stderr."""
        for sign in signs:
            self.process.send_signal(sign)
        _, log = self.process.communicate(timeout=60)
        return self.process.returncode, log

    def kill(self) -> None:
        """End it as a power cut would (SIGKILL), and wait until its worker has ended too.

        That one has the same stderr, which is closed once both are gone.
        """
        self.end(signal.SIGKILL)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.kill()
        if self._controller >= 0:
            os.close(self._controller)


class Serving(Running):
    """Serves the desk on an ephemeral port; ready once it is made; `url` is where its pages are."""

    def __init__(self, desk: Desk, *options: str, log: IO[str] | None = None) -> None:
        super().__init__(desk, "serve", "--port", "0", *options, log=log)
        found = re.search(r"http://127\.0\.0\.1:\d+/", self.says)
        assert found, self.process.communicate()
        self.url = found[0]

    @property
    def worker(self) -> int:
        """Return the process id of the worker beside it, 0 while there is none."""
        tasks = Path(f"/proc/{self.process.pid}/task")
        found = [one for task in tasks.iterdir() for one in (task / "children").read_text().split()]
        return int(found[0]) if found else 0
