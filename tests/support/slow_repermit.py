"""`repermit` as a script of its own, as on a slow machine: large work goes in the smallest steps.

So it can be killed in its midst however few people there are. Workers look for such work every
second; the usual ones do every 5 to 300, for which a test with hundreds of kills would wait.
"""

from __future__ import annotations

import sys

from repermit.cli import main, serve
from repermit.cli.context import CommandContext
from repermit.db.work_steps import MIN_ROWS_PER_STEP, StepSize
from repermit.jobs.periodic_jobs import JOB_INTERVALS

_LARGE = (
    *("start_campaigns", "finish_imports", "finish_suppression_imports"),
    *("finish_undos_and_deletions", "finish_resolutions", "enqueue_reminders", "recover_mails"),
    *("expire", "erase"),
)
_start_worker = serve._start_worker


def _start_slow_worker(context: CommandContext) -> tuple[str, ...]:
    words = _start_worker(context)
    return (sys.executable, "-P", __file__, *words[words.index("--config") :])


def _make_smallest(size: StepSize, *_: float, **__: float) -> None:
    size.rows = MIN_ROWS_PER_STEP


if __name__ == "__main__":
    JOB_INTERVALS.update(dict.fromkeys(_LARGE, 1))
    StepSize.adapt = _make_smallest  # type: ignore[method-assign,assignment]
    serve._start_worker = _start_slow_worker
    main()
