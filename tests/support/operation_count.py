"""How work grows, in operations of the interpreter, which no stopwatch of a test could tell."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

_SIZES = (30, 60, 90)
# A quadratic part of a thousandth of the work would be more.
_TOLERANCE = 1.02


def grows_linearly(act: Callable[[int], object]) -> bool:
    """Say whether twice as much work takes twice as many operations.

    - `act` does the work for so many.
    """
    # What is read once only, such as a template. SlipCover takes its probes out of what ran often.
    for size in (1, _SIZES[-1], _SIZES[-1]):
        act(size)
    first, second, third = (count_operations(lambda n=n: act(n)) for n in _SIZES)  # type: ignore[misc]
    return third - second <= _TOLERANCE * (second - first)


def count_operations(act: Callable[[], object]) -> int:
    """Return how many operations of Python's interpreter something takes."""
    count = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count
        if frame.f_globals.get("__name__", "").startswith("slipcover"):
            return None
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        count += event == "opcode"
        return trace

    counting = sys.gettrace()
    sys.settrace(trace)
    try:
        act()
    finally:
        sys.settrace(counting)
    return count
