"""What takes no longer than it may, whatever a server does: it is cut off from outside.

A timeout of a socket begins anew with each octet that comes, and looking up a name has none at all.
"""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
from collections.abc import Callable
from typing import Protocol, TypeVar


class Closable(Protocol):
    """Something that is closed if nobody wants it any more."""

    def close(self) -> None:
        """End it."""


_Found = TypeVar("_Found", bound=Closable)


class Cutter:
    """Cuts a conversation off from another thread, also in the middle of a reply."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._handles: list[socket.socket] = []
        self._is_over = False

    def watch(self, sock: socket.socket) -> None:
        """Have a socket cut off too; raises TimeoutError, and closes it, if that has happened.

        By a second handle: TLS takes over the first one.
        """
        with self._lock:
            if not self._is_over:
                self._handles.append(sock.dup())
                return
        sock.close()
        raise TimeoutError

    def end(self, *, cut: bool) -> bool:
        """End what is watched, cutting it off or leaving it as it is; False if it had ended."""
        with self._lock:
            was_over, self._is_over = self._is_over, True
            handles, self._handles = self._handles, []
        for handle in handles:
            if cut:
                with contextlib.suppress(OSError):
                    handle.shutdown(socket.SHUT_RDWR)
            handle.close()
        return not was_over


def in_time(work: Callable[[Cutter], _Found], seconds: float, cutter: Cutter) -> _Found:
    """Return what `work` returns, or raise what it raises; TimeoutError after so many seconds.

    It works in a thread of its own, which ends soon after it was cut off; what it brings then is
    closed. Who waits may be interrupted, and so may `cutter` be used by anybody.
    """
    done: queue.SimpleQueue[_Found | BaseException] = queue.SimpleQueue()

    def run() -> None:
        try:
            found = work(cutter)
        except BaseException as error:  # noqa: BLE001  raised again where somebody waits
            cutter.end(cut=False)
            done.put(error)
            return
        if cutter.end(cut=False):
            done.put(found)
        else:
            found.close()
            done.put(TimeoutError())

    thread = threading.Thread(target=run, name="dialling", daemon=True)
    try:
        thread.start()
        found = _await(done, seconds, cutter)
    except BaseException:
        cutter.end(cut=True)
        raise
    if isinstance(found, BaseException):
        raise found
    return found


def _await(
    done: queue.SimpleQueue[_Found | BaseException], seconds: float, cutter: Cutter
) -> _Found | BaseException:
    try:
        return done.get(timeout=seconds)
    except queue.Empty:
        # In the same moment it may have come to its end.
        return TimeoutError() if cutter.end(cut=True) else done.get()
