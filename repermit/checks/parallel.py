"""Looking at several things at once, for a limited time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

_T = TypeVar("_T")


class _Look(threading.Thread, Generic[_T]):
    """One look; a daemon, since what hangs in the system's resolver cannot be ended."""

    def __init__(self, call: Callable[[], _T]) -> None:
        super().__init__(daemon=True)
        self._call = call
        self.result: _T | None = None
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self.result = self._call()
        except BaseException as error:  # noqa: BLE001  raised again by who waits
            self.error = error


def together(calls: Sequence[Callable[[], _T]], *, seconds: float) -> list[_T | None]:
    """Do all calls at once, each in a thread; return their results in order.

    None stands for what was not done within `seconds`. What a call raises is raised.
    """
    end = time.monotonic() + seconds
    looks = [_Look(call) for call in calls]
    for look in looks:
        look.start()
    for look in looks:
        look.join(max(0.0, end - time.monotonic()))
    for look in looks:
        if look.error is not None:
            raise look.error
    return [look.result for look in looks]
