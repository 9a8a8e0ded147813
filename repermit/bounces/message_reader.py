"""Reading messages in a process under limits, as they come from a mailbox or a pipe."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Self

from repermit.bounces.bounce_results import NONE
from repermit.bounces.parse import LONGEST
from repermit.bounces.read_message import read_message
from repermit.limited_process import LimitedProcess, ProcessDied

if TYPE_CHECKING:
    from repermit.bounces.bounce_results import Reading

# A bounce takes some milliseconds; the package's parser alone takes minutes for some that are made
# for it.
_MEMORY = 1 << 30
_SECONDS = 10
# The first process may have been ended for something else, as where the machine has no memory left.
_TRIES = 2

_log = logging.getLogger(__name__)


class MessageReader:
    """Reads one message after the other in one process, which starts with the first of them."""

    def __init__(self) -> None:
        self._process = LimitedProcess(readings, memory=_MEMORY, seconds=_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.close()

    def read(self, raw: bytes) -> Reading:
        """Return what a message says; of one that two processes have died of, nothing.

        That is logged, and nobody tries it again. Raises OSError if none can be started.
        """
        how = ""
        for _ in range(_TRIES):
            try:
                return self._read(raw[:LONGEST])
            except ProcessDied as death:
                how = str(death)
        _log.warning("a message cannot be read (%s); it is left where it is", how)
        return NONE

    def _read(self, raw: bytes) -> Reading:
        reading: Reading
        (reading,) = self._process.ask(raw)
        return reading


def readings(raw: bytes) -> Iterator[Reading]:
    """Yield what one message says."""
    yield read_message(raw)
