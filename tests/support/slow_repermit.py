"""`repermit` as a script of its own, as on a slow machine: large work goes in the smallest steps.

So it can be killed in its midst however few people there are. Workers look for such work every
second; the usual ones do every 5 to 300, for which a test with hundreds of kills would wait.
"""

from __future__ import annotations

import importlib
import secrets
import sys
import time
from contextlib import suppress
from functools import partial, wraps
from pathlib import Path
from typing import Any

from repermit.cli import main, serve
from repermit.cli.context import CommandContext
from repermit.db.work_steps import MIN_ROWS_PER_STEP, StepSize
from repermit.jobs.periodic_jobs import JOB_INTERVALS

_LARGE = (
    *("start_campaigns", "finish_imports", "finish_suppression_imports"),
    *("finish_undos_and_deletions", "finish_resolutions", "enqueue_reminders", "recover_mails"),
    *("expire", "erase", "update_tallies"),
)
FEW_ENTRIES = 20
"""Entries that are verified at a time."""

_TOLD = {
    "verify": ("repermit.evidence.verify.chain", "PartBatch"),
    "forget": ("repermit.contacts.erasure", "erase_contact"),
    "check": ("repermit.db.row_counts", "_add_to_count"),
    "worker": ("repermit.db.secure_delete", "_scrub_range"),
}
"""What each command tells of itself, since no table shows it: the calls of a function."""

_SLOWLY = 0.02  # seconds more for each of these calls

_start_worker = serve._start_worker


def _start_slow_worker(context: CommandContext) -> tuple[str, ...]:
    words = _start_worker(context)
    return (sys.executable, "-P", __file__, *words[words.index("--config") :])


def _make_smallest(size: StepSize, *_: float, **__: float) -> None:
    size.rows = MIN_ROWS_PER_STEP


def _tell_calls(module: Any, name: str, file: Path) -> None:
    """Let each call of a function add an octet to a file and wait, before or after it."""
    function = getattr(module, name)

    def tell() -> None:
        with suppress(OSError), file.open("ab") as calls:  # the disk may be full
            calls.write(b".")
        time.sleep(_SLOWLY)

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        is_first = secrets.randbelow(2)
        if is_first:
            tell()
        result = function(*args, **kwargs)
        if not is_first:
            tell()
        return result

    setattr(module, name, call)


def _tell_progress(words: list[str]) -> None:
    """Let a command tell how far it is, in a file of its name beside the configuration."""
    folder = Path(words[words.index("--config") + 1]).parent
    for command in _TOLD.keys() & set(words):
        place, name = _TOLD[command]
        module: Any = importlib.import_module(place)
        _tell_calls(module, name, folder / f"{command}.calls")
        if command == "verify":
            module.iter_row_batches = partial(module.iter_row_batches, step=FEW_ENTRIES)


if __name__ == "__main__":
    _tell_progress(sys.argv)
    JOB_INTERVALS.update(dict.fromkeys(_LARGE, 1))
    StepSize.adapt = _make_smallest  # type: ignore[method-assign,assignment]
    serve._start_worker = _start_slow_worker
    main()
