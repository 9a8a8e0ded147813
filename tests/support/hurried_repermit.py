"""`repermit` as a script of its own, whose workers look every second for large work to go on with.

The usual ones look every 5 to 300 seconds, for which a test with hundreds of kills would wait.
"""

from __future__ import annotations

import sys

from repermit.cli import main, serve
from repermit.cli.context import CommandContext
from repermit.jobs.periodic_jobs import JOB_INTERVALS

_LARGE = (
    *("start_campaigns", "finish_imports", "finish_suppression_imports"),
    *("finish_undos_and_deletions", "finish_resolutions", "enqueue_reminders", "recover_mails"),
    *("expire", "erase"),
)
_start_worker = serve._start_worker


def _start_hurried_worker(context: CommandContext) -> tuple[str, ...]:
    words = _start_worker(context)
    return (sys.executable, "-P", __file__, *words[words.index("--config") :])


if __name__ == "__main__":
    JOB_INTERVALS.update(dict.fromkeys(_LARGE, 1))
    serve._start_worker = _start_hurried_worker
    main()
