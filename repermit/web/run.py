"""The pages on one port, and beside them the jobs, in this process or another; it stops cleanly."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from waitress import wasyncore

from repermit.answers.pending_openings import Pending
from repermit.clock import Clock
from repermit.db.connection import Database
from repermit.garbage_collection import heap_frozen
from repermit.i18n import catalogues
from repermit.jobs import periodic_jobs, worker_process
from repermit.sending.worker_lock import Stopping
from repermit.settings.definitions import Settings
from repermit.web.application import create_app
from repermit.web.server import make_server

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

_LOOK_SECONDS = 0.2
# Each statement that a page runs gives the interpreter to another thread, which keeps it for up to
# so long; Python's own 0.005 add up to more than all else in an answer.
_SWITCH_SECONDS = 0.001


class Server:
    """The pages on one port, and the jobs beside them.

    It listens from the moment it is made, so that a port 0 is known as `port`. `database` is the
    one in use. `around` may put pages of its own beside the public ones. `worker` is the command
    of a process that takes the jobs and the sending, so that the pages need not wait for them; it
    is looked after. Without it they run here, in threads.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        database: Database,
        clock: Clock,
        host: str | None = None,
        port: int | None = None,
        around: Callable[[WSGIApplication], WSGIApplication] = lambda public: public,
        worker: Sequence[str] = (),
    ) -> None:
        self._stopping = Stopping()
        self._closing = threading.Event()
        openings = Pending()
        self._work = worker_process.Work(
            settings,
            database,
            clock=clock,
            names=periodic_jobs.OF_THE_PAGES if worker else None,
            openings=openings,
        )
        self._child = worker_process.Child(worker) if worker else None
        self._sockets: dict[int, Any] = {}
        public = create_app(settings, clock=clock, database=database, openings=openings)
        try:
            self._http = make_server(
                around(public),
                settings=settings,
                host=host,
                port=port,
                sockets=self._sockets,
                clock=clock,
                database=database,
            )
        except BaseException:
            wasyncore.close_all(self._sockets)
            raise
        # A name such as localhost may stand for two addresses, each with a socket of its own.
        self.host, self.port = _places(self._http)[0]

    def run(self) -> None:
        """Serve until SIGTERM, SIGINT or `stop`; must be called in the main thread."""
        sys.setswitchinterval(_SWITCH_SECONDS)
        with self._stopping.on_signals():
            self.run_here()

    def run_here(self) -> None:
        """Serve until `stop`, in any thread."""
        # Read by the first who needs it, a catalogue would hold up everybody else.
        for language in catalogues.languages():
            catalogues.translations(language)
        with heap_frozen():
            self._serve()

    def _serve(self) -> None:
        pages = threading.Thread(target=self._serve_pages, name="pages", daemon=True)
        pages.start()
        self._work.start()
        if self._child:
            self._child.start()
        self._stopping.wait()
        # A mail on the wire is finished and marked, an answer under way is given, before the end.
        if self._child:
            self._child.stop()
        self._work.stop()
        self._http.task_dispatcher.shutdown()
        self._closing.set()
        pages.join()

    def stop(self) -> None:
        """End `run` soon; may be called from any thread, more than once."""
        self._stopping.ask()

    def _serve_pages(self) -> None:
        # Waitress's own `run` ends by an exception alone, which belongs to the main thread.
        while not self._closing.is_set():
            wasyncore.loop(timeout=_LOOK_SECONDS, use_poll=True, map=self._sockets, count=1)
        wasyncore.close_all(self._sockets)


def _places(http: Any) -> list[tuple[str, int]]:
    """Return the (host, port) pairs of a waitress server with one socket or several."""
    one = [(http.effective_host, http.effective_port)] if hasattr(http, "effective_port") else []
    return [(host, int(port)) for host, port in one or http.effective_listen]
