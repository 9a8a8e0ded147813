"""The server: waitress before the application, without an access log, and the jobs beside it."""

from __future__ import annotations

import copy
import io
import logging
import re
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import waitress
from waitress import wasyncore
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.task import ErrorTask
from waitress.utilities import RequestEntityTooLarge

from repermit.clock import Clock
from repermit.contacts.click_log import PendingOpenings
from repermit.db.connection import Database
from repermit.garbage_collection import heap_frozen
from repermit.i18n import catalogues
from repermit.imports import uploads
from repermit.jobs import periodic_jobs, worker_process
from repermit.sending.worker_lock import StopRequest
from repermit.settings.definitions import Settings
from repermit.web import error_pages
from repermit.web.admin import evidence_check, suppressions
from repermit.web.admin.install import make_cookie_reader
from repermit.web.application import create_app
from repermit.web.dispatcher import Dispatcher, Task
from repermit.web.security_headers import make_plain_text_headers

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

_MAX_BODY_SIZE = 64 * 1024
# As much as nginx takes. Waitress reads a head in the one thread that serves everybody, and joins
# the lines of one name in the square of their length.
_MAX_HEADER_SIZE = 32 * 1024
# More than can wait to be recorded, so that whoever reads gets a connection beside them; a process
# may have some 1,024 files open.
_MAX_CONNECTIONS = 500
# What is sent behind a request that was refused is read and dropped up to here: the largest file
# that a page takes, and some.
_MAX_DROPPED_BYTES = 128 * 1024 * 1024
# A little more than the pages take, so that it is they who say that it was too much.
_MAX_BODY_SIZE_BY_PATH = {
    r"/admin/lists/[^/]+/file/upload": uploads.LARGEST + 2 * _MAX_BODY_SIZE,
    r"/admin/lists/[^/]+/handover/compare": 100 * 1024 * 1024 + _MAX_BODY_SIZE,
    r"/admin/lists/[^/]+/suppressions/(?:look|import)": suppressions.MAX_FILE_SIZE
    + 2 * _MAX_BODY_SIZE,
    r"/admin/log/verify/proof": evidence_check.MAX_FILE_SIZE + 6 * _MAX_BODY_SIZE,
    r"/admin/settings/check": 2 * 1024 * 1024 + _MAX_BODY_SIZE,
    r"/admin/.*": 256 * 1024 + _MAX_BODY_SIZE,
}


def _redact_path(record: logging.LogRecord) -> bool:
    """Take from a line of waitress which path it was about, and any words of an error.

    A path holds a token, and an error may quote an address (invariant 13).
    """
    message, about = record.getMessage(), ""
    for before, instead in _ABOUT.items():
        start, separator, _ = message.partition(before)
        about = about or (start + instead if separator else "")
    if about or record.exc_info:
        # As "closing channel" has it, the error is being handled and not in the record.
        kind = (record.exc_info or sys.exc_info())[0]
        record.msg = (about or message) + (f" ({kind.__name__})" if kind else "")
        record.args, record.exc_info = (), None
    return True


# What stands before a path, a connection or an error's words, and what is written instead.
_ABOUT = {
    " while serving ": " while serving a page",
    " when servicing ": " when servicing a connection",
    ", closing channel ": ", closing a connection",
}


logging.getLogger("waitress").addFilter(_redact_path)
# It would warn once for each request of a burst that has to wait for a thread.
logging.getLogger("waitress.queue").setLevel(logging.ERROR)


def make_server(
    app: WSGIApplication,
    *,
    settings: Settings,
    host: str | None = None,
    port: int | None = None,
    sockets: dict[int, Any] | None = None,
    clock: Clock | None = None,
    database: Database | None = None,
) -> Any:
    """Return a server that listens already; `run()` serves.

    `host` and `port` stand for those of the settings; port 0 takes a free one, which is then
    `effective_port`. `sockets` is filled with what waitress listens and talks on. By `clock` each
    request is stamped before it waits for a thread. Threads keep their connection to `database`, if
    it is named.
    """
    listening = {} if sockets is None else sockets
    dispatcher = Dispatcher(
        settings.web.threads,
        now=clock.now if clock else None,
        close=database.close if database else None,
    )
    server = waitress.create_server(
        app,
        map=listening,
        host=settings.web.host if host is None else host,
        port=settings.web.port if port is None else port,
        _dispatcher=dispatcher,
        connection_limit=_MAX_CONNECTIONS,
        max_request_body_size=_MAX_BODY_SIZE,
        max_request_header_size=_MAX_HEADER_SIZE,
        # So that the name of the software, and its version, go to nobody.
        ident=None,
        # Which X-Forwarded-For entries are believed is decided by `web.trusted_proxies`.
        clear_untrusted_proxy_headers=False,
    )
    channel = _make_channel_class(settings)
    for channel_map in listening.values():
        channel_map.channel_class = channel
    return server


class BodyLimits:
    """How much may follow the head of a request: small forms, and more from who has logged in."""

    def __init__(self, settings: Settings) -> None:
        self._path = re.escape(urlsplit(settings.public_url).path)
        self._is_of_a_login = make_cookie_reader(settings)

    def get_limit(self, path: str, cookie: str) -> int:
        """Return how many bytes a page takes from a client with this cookie."""
        sizes = (
            size
            for pattern, size in _MAX_BODY_SIZE_BY_PATH.items()
            if re.fullmatch(f"(?:{self._path})?{pattern}", path)
        )
        size = next(sizes, _MAX_BODY_SIZE)
        return size if size > _MAX_BODY_SIZE and self._is_of_a_login(cookie) else _MAX_BODY_SIZE


def _make_channel_class(settings: Settings) -> type[HTTPChannel]:
    """Return the channel class, which reads requests up to the size that is allowed.

    What it refuses by itself has the headers of all pages.
    """
    limits = BodyLimits(settings)
    security_headers = tuple(make_plain_text_headers(settings))

    class Parser(HTTPRequestParser):  # type: ignore[misc]
        adj: Any

        def parse_header(self, header_plus: bytes) -> None:
            try:
                super().parse_header(header_plus)
            except ValueError:
                # It would close the connection without a word.
                message = "Content-Length is invalid"
                raise ParsingError(message) from None
            self.adj = copy.copy(self.adj)
            self.adj.max_request_body_size = limits.get_limit(
                self.path, self.headers.get("COOKIE", "")
            )

    class Channel(_LingeringChannel):
        parser_class = Parser
        task_class = Task

        def error_task_class(
            self, channel: HTTPChannel, request: HTTPRequestParser
        ) -> ErrorTask | _TooLarge:
            self.lingers = True
            return _make_refusal(channel, request, security_headers)

    return Channel


class _LingeringChannel(HTTPChannel):  # type: ignore[misc]
    """Reads on after a request that was refused early, until its sender has closed.

    A socket that is closed with unread bytes is reset, and the answer with it: nginx says 502
    then (RFC 9112 section 9.6).
    """

    connected: bool
    will_close: bool
    lingers = False
    _dropped: int | None = None

    def handle_close(self) -> None:
        if self.lingers and self._dropped is None:
            self._dropped, self.will_close = 0, False
            with suppress(OSError):
                self.socket.shutdown(socket.SHUT_WR)
                return
        super().handle_close()

    def received(self, data: bytes) -> bool:
        if self._dropped is None:
            return bool(super().received(data))
        self._dropped += len(data)
        if self._dropped > _MAX_DROPPED_BYTES:
            self.handle_close()
        return True


class _TooLarge(Task):
    """Lets the application say that a body is too large, in its words; none of it is read."""

    def execute(self) -> None:
        self.set_close_on_finish()
        super().execute()

    def get_environment(self) -> dict[str, Any]:
        environ = super().get_environment()
        nothing = {"CONTENT_LENGTH": "0", "wsgi.input": io.BytesIO(), error_pages.TOO_MUCH: True}
        environ.update(nothing)
        return environ


def _make_refusal(
    channel: HTTPChannel, request: HTTPRequestParser, headers: Sequence[tuple[str, str]]
) -> ErrorTask | _TooLarge:
    """Return the task that answers a request which the server itself refuses or fails at."""
    if isinstance(request.error, RequestEntityTooLarge):
        return _TooLarge(channel, request)
    task = ErrorTask(channel, request)
    task.response_headers.extend(headers)
    return task


# --- The pages on one port. -----------------------------------------------------------------------


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
        self._stopping = StopRequest()
        self._closing = threading.Event()
        openings = PendingOpenings()
        self._work = worker_process.JobRunner(
            settings,
            database,
            clock=clock,
            names=periodic_jobs.WEB_JOBS if worker else None,
            openings=openings,
        )
        self._child = worker_process.SupervisedProcess(worker) if worker else None
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
        self.host, self.port = _list_addresses(self._http)[0]

    def run(self) -> None:
        """Serve until SIGTERM, SIGINT or `stop`; must be called in the main thread."""
        sys.setswitchinterval(_SWITCH_SECONDS)
        with self._stopping.on_signals():
            self.run_here()

    def run_here(self) -> None:
        """Serve until `stop`, in any thread."""
        # Read by the first who needs it, a catalogue would hold up everybody else.
        for language in catalogues.languages():
            catalogues.load_translations(language)
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


def _list_addresses(http: Any) -> list[tuple[str, int]]:
    """Return the (host, port) pairs of a waitress server with one socket or several."""
    one = [(http.effective_host, http.effective_port)] if hasattr(http, "effective_port") else []
    return [(host, int(port)) for host, port in one or http.effective_listen]
