"""What Python's garbage collector need not look at."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def heap_frozen() -> Iterator[None]:
    """Keep the collector from what exists now: a program's modules, which stay until its end.

    A full collection looks at all objects and stops every thread meanwhile, of a server for 0.1 s.
    https://docs.python.org/3/library/gc.html#gc.freeze
    """
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
