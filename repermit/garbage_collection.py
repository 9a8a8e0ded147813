"""Keeping long-lived objects out of Python's garbage collection."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def heap_frozen() -> Iterator[None]:
    """Exclude the objects that exist now, such as modules, from garbage collection.

    A full collection examines all objects and stops all threads, which takes a server 0.1 s.
    https://docs.python.org/3/library/gc.html#gc.freeze
    """
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
