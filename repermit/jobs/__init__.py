"""What runs when, in which process, and who looks after that process.

May import the use cases and what lies below. `serve` runs the pages and what belongs to them; a
worker beside it runs all other sweeps, sending among them, so that the pages never wait for it.
"""

from repermit.jobs.child import Child, hold
from repermit.jobs.sweeps import OF_THE_PAGES, OF_WORKERS, SECONDS, Jobs, make_scheduler, run
from repermit.jobs.working import Work, work

__all__ = [
    "OF_THE_PAGES",
    "OF_WORKERS",
    "SECONDS",
    "Child",
    "Jobs",
    "Work",
    "hold",
    "make_scheduler",
    "run",
    "work",
]
