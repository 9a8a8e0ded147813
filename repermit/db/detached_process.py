"""Work that is too long for a page, in a process of its own on this machine.

It is not a worker's job, as a worker polls every few seconds, is busy sending, and may be on a
machine without the file. After a kill the page shows that the work was interrupted; a user can
start it again.
"""

from __future__ import annotations

import fcntl
import json
import pickle
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from repermit.db.connection import Database, open_database
from repermit.db.suppression_journal import make_journal
from repermit.db.write_lock import share_database
from repermit.settings.definitions import Settings
from repermit.temporary_files import make_temporary_files, open_private

_COMMAND = [
    *(sys.executable, "-P", "-c"),
    f"import sys; from {__name__} import run_request; run_request(sys.stdin.buffer)",
]
_RETRY_INTERVAL = 0.05  # seconds
_MAX_ENDING_SECONDS = 10.0  # seconds


@dataclass(frozen=True, kw_only=True)
class DetachedTask:
    """A task with one run at a time; its lock, progress and result are files in `folder`.

    - `result_name`: the name of the result's file.
    """

    folder: Path
    result_name: str
    settings: Settings

    @property
    def is_busy(self) -> bool:
        """Whether it runs and has no result yet; read this before `result`."""
        try:
            with self.open_lock() as lock:
                return not _try_lock(lock) and self.result is None
        except FileNotFoundError:
            # Its folder does not exist yet, or was just deleted.
            return False

    @property
    def progress(self) -> dict[str, Any] | None:
        """The progress that it saved last; None if it never did."""
        return _read_document(self._progress)

    @property
    def result(self) -> dict[str, Any] | None:
        """The result; None while it runs, if it was interrupted, and before it ran."""
        return _read_document(self._result)

    def lock(self) -> IO[bytes] | None:
        """Take the task's lock, until the returned file is closed; None if another one has it.

        Waits for a process that has saved its result and is about to end.
        """
        lock = self.open_lock()
        until = time.monotonic() + _MAX_ENDING_SECONDS
        while not _try_lock(lock):
            if self.result is None or time.monotonic() > until:
                lock.close()
                return None
            time.sleep(_RETRY_INTERVAL)
        return lock

    def open_lock(self) -> IO[bytes]:
        """Open the file of the lock, without locking it; the caller closes it."""
        return open(self.folder / "lock", "ab", opener=open_private)

    def start(
        self,
        function: Callable[..., None],
        *,
        lock: IO[bytes],
        database: Database,
        is_long: bool,
        **arguments: Any,
    ) -> None:
        """Call a function that saves the result: here, or in another process if it `is_long`.

        - `function`: a module-level function of a database, `settings` and `arguments`.
        - `lock`: stays locked until the function has ended; the caller closes it.
        """
        if not is_long:
            function(database, settings=self.settings, **arguments)
            return
        request = pickle.dumps((function, self.settings, arguments))
        # The lock belongs to the open file, which the other process inherits.
        process = subprocess.Popen(  # noqa: S603  our own
            _COMMAND, stdin=subprocess.PIPE, pass_fds=(lock.fileno(),)
        )
        threading.Thread(target=process.communicate, args=(request,), daemon=True).start()

    def save_progress(self, progress: Mapping[str, Any]) -> None:
        """Save the progress atomically."""
        self._save(self._progress, progress)

    def save_result(self, result: Mapping[str, Any]) -> None:
        """Save the result atomically."""
        self._save(self._result, result)

    def forget_result(self) -> None:
        """Delete the last result."""
        self._result.unlink(missing_ok=True)

    @property
    def _progress(self) -> Path:
        return self.folder / "progress.json"

    @property
    def _result(self) -> Path:
        return self.folder / self.result_name

    def _save(self, path: Path, document: Mapping[str, Any]) -> None:
        with make_temporary_files(self.settings).file_for(path) as part:
            part.write_text(json.dumps(document), "utf-8")


def run_request(source: IO[bytes]) -> None:
    """Run the function call that `source` contains; a failure is written to stderr."""
    function, settings, arguments = pickle.load(source)  # noqa: S301  our parent's
    with (
        share_database(settings.sqlite_path),
        open_database(settings.database, journal=make_journal(settings)) as database,
    ):
        try:
            function(database, settings=settings, **arguments)
        except Exception as error:  # noqa: BLE001  without its text, which may quote an address
            lines = traceback.format_tb(error.__traceback__)
            sys.stderr.write(f"{''.join(lines)}{type(error).__name__}\n")


def _try_lock(lock: IO[bytes]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read_document(path: Path) -> dict[str, Any] | None:
    try:
        document: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return None
    return document
