"""`repermit serve` as a process of its own, for tests that stop or kill it.

Imports nothing of repermit but through the command line.
"""

from __future__ import annotations

import re
import signal
import subprocess
from typing import TYPE_CHECKING

from tests.command_tree import REPERMIT

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from tests.desk import Desk


class Serving:
    """Serves the desk on an ephemeral port; ready once it is made, gone at the end of `with`.

    `says` is the first line that it printed, `url` where its pages are.
    """

    def __init__(self, desk: Desk, *options: str) -> None:
        command = [str(REPERMIT), "--config", str(desk.config), "serve", "--port", "0", *options]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self.process.stdout
        self.says = self.process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+/", self.says)
        assert found, self.process.communicate()
        self.url = found[0]

    def end(self, *signs: signal.Signals) -> tuple[int, str]:
        """Send signals; return the exit code and all that went to stderr."""
        for sign in signs:
            self.process.send_signal(sign)
        _, log = self.process.communicate(timeout=20)
        return self.process.returncode, log

    def kill(self) -> None:
        """End it as a power cut would (SIGKILL), and wait until it has ended."""
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
