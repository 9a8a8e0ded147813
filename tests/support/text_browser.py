"""w3m, a browser without styles or script in a terminal, driven by its keys; Debian has it.

It keeps what it shows in a file, which is read in place of the screen.
"""

from __future__ import annotations

import fcntl
import os
import re
import select
import shutil
import struct
import subprocess
import termios
from itertools import count
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Self

PROGRAM = shutil.which("w3m")
"""Where it is, None if it is not installed."""

_PATIENCE = 30  # seconds
# The wider of the two that a VT100 has: w3m looks for words within a line.
_ROWS, _COLUMNS = 24, 132
_CLEAR_LINE, _ENTER = "\x15", "\r"


class TextBrowser:
    """Somebody who reads in w3m; `folder` is for files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = count()
        self._terminal, self._inner = os.openpty()
        size = struct.pack("HHHH", _ROWS, _COLUMNS, 0, 0)
        fcntl.ioctl(self._inner, termios.TIOCSWINSZ, size)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()
        os.close(self._terminal)
        os.close(self._inner)

    def read_mail(self, html: str) -> None:
        """Look at a mail."""
        path = self._folder / "mail.html"
        path.write_text(html, "utf-8")
        self.open(str(path))

    def open(self, url: str) -> None:
        """Go to an address."""
        if self._process:
            self._answer("U", "Goto URL", url)
            return
        assert PROGRAM is not None
        self._process = subprocess.Popen(
            [PROGRAM, "-o", "accept_language=nl", url],
            stdin=self._inner,
            stdout=self._inner,
            stderr=self._inner,
            env={"HOME": str(self._folder), "TERM": "vt100", "LC_ALL": "C.UTF-8"},
            start_new_session=True,
        )

    def follow(self, words: str) -> None:
        """Press the link that begins with these words."""
        self._look_for(words)
        self._type(_ENTER)

    def press(self, words: str) -> None:
        """Press the button that begins with these words."""
        self.follow(words)

    def fill(self, label: str, text: str) -> None:
        """Type into the field behind this label."""
        self._look_for(label)
        # The next [, which stands before the field.
        self._answer("/", "Forward", r"\[")
        self._type("\t")
        self._answer(_ENTER, "TEXT", text)

    def see(self, heading: str, *, told: str = "") -> None:
        """Wait for the page with these words, and look at it."""
        shown = self.read_screen()
        assert heading in shown, shown
        assert told in shown, shown

    def read_screen(self) -> str:
        """Return all words of the page that is shown, with a space between two."""
        path = self._folder / f"screen{next(self._numbers)}.txt"
        self._answer("S", "Save buffer to", str(path))
        until = monotonic() + _PATIENCE
        while not (path.exists() and path.stat().st_size):
            assert monotonic() < until, "w3m shows nothing"
            self._read()
        return " ".join(path.read_text("utf-8").split())

    def _look_for(self, words: str) -> None:
        """Move to the first place of the page where these words stand."""
        self._type("g")
        self._answer("/", "Forward", words)

    def _answer(self, key: str, asked: str, text: str) -> None:
        """Press a key, answer what is asked then, and wait for the page to be shown again.

        Keys that come while w3m loads or changes what it shows are lost: so the key is pressed
        until something is asked, and nothing is typed before the line below the page is back.
        """
        while self._read():
            pass
        until = monotonic() + _PATIENCE
        # A second Enter would be an answer.
        patience = _PATIENCE if key == _ENTER else 0.3
        while not self._type_until(key, asked, patience):
            assert monotonic() < until, asked
        assert self._type_until(f"{_CLEAR_LINE}{text}{_ENTER}", "Viewing", _PATIENCE), text

    def _type_until(self, keys: str, words: str, patience: float) -> bool:
        """Type, and say whether the terminal is sent these words within so many seconds."""
        self._type(keys)
        until, shown = monotonic() + patience, b""
        while words.encode() not in shown:
            if monotonic() > until:
                return False
            shown += self._read()
        return True

    def _type(self, keys: str) -> None:
        os.write(self._terminal, keys.encode())

    def _read(self) -> bytes:
        """Return what the terminal was sent, b"" if nothing comes for a moment."""
        is_ready = select.select([self._terminal], [], [], 0.01)[0]
        return os.read(self._terminal, 65536) if is_ready else b""


def render_text(html: str, folder: Path) -> str:
    """Return what w3m makes of a page on a terminal of the usual width, in lines."""
    assert PROGRAM is not None
    path = folder / "page.html"
    path.write_text(html, "utf-8")
    done = subprocess.run(
        [PROGRAM, "-dump", "-cols", "80", str(path)],
        env={"HOME": str(folder), "LC_ALL": "C.UTF-8"},
        check=True,
        capture_output=True,
        text=True,
    )
    return re.sub("[\u034f\u200c]", "", done.stdout)
