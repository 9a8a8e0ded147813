"""`repermit` as a script of its own, as on a slow machine whose database others use all the time.

So large work goes in small steps with rests between them, and can be killed in its midst however
few people there are. Workers look every second for such work; the usual ones look every 5 to 300
seconds, for which a test with hundreds of kills would wait.
"""

from __future__ import annotations

import sys

from repermit.cli import main, serve
from repermit.cli.context import CommandContext
from repermit.db import work_steps
from repermit.jobs.periodic_jobs import JOB_INTERVALS

_LARGE = (
    *("start_campaigns", "finish_imports", "finish_suppression_imports"),
    *("finish_undos_and_deletions", "finish_resolutions", "enqueue_reminders", "recover_mails"),
    *("expire", "erase"),
)
_start_worker = serve._start_worker


def _start_busy_worker(context: CommandContext) -> tuple[str, ...]:
    words = _start_worker(context)
    return (sys.executable, "-P", __file__, *words[words.index("--config") :])


if __name__ == "__main__":
    JOB_INTERVALS.update(dict.fromkeys(_LARGE, 1))
    work_steps._MAX_GROWTH = 1.0
    work_steps.StepSize._is_shared = lambda *_: True  # type: ignore[method-assign]
    serve._start_worker = _start_busy_worker
    main()
