"""The server: waitress in front of the application, without an access log, and the jobs."""

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
# The same limit as nginx. Waitress parses headers in the one thread that serves all connections,
# and joins repeated headers in quadratic time.
_MAX_HEADER_SIZE = 32 * 1024
# More than the POSTs that may wait, so that readers still get a connection; a process may have some
# 1,024 open files.
_MAX_CONNECTIONS = 500
# The body of a refused request is read and dropped up to this size, above the largest file that a
# page accepts.
_MAX_DROPPED_BYTES = 128 * 1024 * 1024
# Slightly more than the pages accept, so that the page itself reports a body that is too large.
_MAX_BODY_SIZE_BY_PATH = {
    r"/admin/lists/[^/]+/file/upload": uploads.MAX_SIZE + 2 * _MAX_BODY_SIZE,
    r"/admin/lists/[^/]+/handover/compare": 100 * 1024 * 1024 + _MAX_BODY_SIZE,
    r"/admin/lists/[^/]+/suppressions/(?:look|import)": suppressions.MAX_FILE_SIZE
    + 2 * _MAX_BODY_SIZE,
    r"/admin/log/verify/proof": evidence_check.MAX_FILE_SIZE + 6 * _MAX_BODY_SIZE,
    r"/admin/settings/check": 2 * 1024 * 1024 + _MAX_BODY_SIZE,
    r"/admin/.*": 256 * 1024 + _MAX_BODY_SIZE,
}


def _redact_path(record: logging.LogRecord) -> bool:
    """Remove the path and the text of an error from a log record of waitress.

    A path contains a token, and an error may quote an address (invariant 13).
    """
    message, redacted = record.getMessage(), ""
    for phrase, replacement in _REPLACEMENTS.items():
        start, separator, _ = message.partition(phrase)
        redacted = redacted or (start + replacement if separator else "")
    if redacted or record.exc_info:
        # For "closing channel" the error is being handled, but is not in the record.
        kind = (record.exc_info or sys.exc_info())[0]
        record.msg = (redacted or message) + (f" ({kind.__name__})" if kind else "")
        record.args, record.exc_info = (), None
    return True


# The phrases before a path, a connection or an error's text, and what is logged instead.
_REPLACEMENTS = {
    " while serving ": " while serving a page",
    " when servicing ": " when servicing a connection",
    ", closing channel ": ", closing a connection",
}


logging.getLogger("waitress").addFilter(_redact_path)
# It would warn for each request of a burst that has to wait for a thread.
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

    - `host`, `port`: override the settings; port 0 takes a free port, then `effective_port`.
    - `sockets`: gets the sockets of waitress.
    - `clock`: stamps each request before it waits for a thread.
    - `database`: if given, threads keep their connection to it.
    """
    socket_map = {} if sockets is None else sockets
    dispatcher = Dispatcher(
        settings.web.threads,
        now=clock.now if clock else None,
        close=database.close if database else None,
    )
    server = waitress.create_server(
        app,
        map=socket_map,
        host=settings.web.host if host is None else host,
        port=settings.web.port if port is None else port,
        _dispatcher=dispatcher,
        connection_limit=_MAX_CONNECTIONS,
        max_request_body_size=_MAX_BODY_SIZE,
        max_request_header_size=_MAX_HEADER_SIZE,
        # No Server header, so that nobody learns the software and its version.
        ident=None,
        # The setting `web.trusted_proxies` decides which X-Forwarded-For entries are trusted.
        clear_untrusted_proxy_headers=False,
    )
    channel = _make_channel_class(settings)
    for channel_map in socket_map.values():
        channel_map.channel_class = channel
    return server


class BodyLimits:
    """The limits of request bodies: small forms, and more for a logged-in client."""

    def __init__(self, settings: Settings) -> None:
        self._path = re.escape(urlsplit(settings.public_url).path)
        self._is_of_a_login = make_cookie_reader(settings)

    def get_limit(self, path: str, cookie: str) -> int:
        """Return how many bytes a page accepts from a client with this Cookie header."""
        sizes = (
            size
            for pattern, size in _MAX_BODY_SIZE_BY_PATH.items()
            if re.fullmatch(f"(?:{self._path})?{pattern}", path)
        )
        size = next(sizes, _MAX_BODY_SIZE)
        return size if size > _MAX_BODY_SIZE and self._is_of_a_login(cookie) else _MAX_BODY_SIZE


def _make_channel_class(settings: Settings) -> type[HTTPChannel]:
    """Return the channel class, which reads requests up to the allowed size.

    A refusal of the server itself has the headers of all pages.
    """
    limits = BodyLimits(settings)
    security_headers = tuple(make_plain_text_headers(settings))

    class Parser(HTTPRequestParser):  # type: ignore[misc]
        adj: Any
        completed: bool

        def received(self, data: bytes) -> int:
            consumed = int(super().received(data))
            if self.completed:
                # Waitress would answer with "100 Continue" only, and wait for a body.
                self.expect_continue = False
            return consumed

        def parse_header(self, header_plus: bytes) -> None:
            try:
                super().parse_header(header_plus)
            except ValueError:
                # Waitress would close the connection without a response.
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
    """Keeps reading after an early refusal, until the client closes the connection.

    Closing a socket with unread bytes resets it, and loses the response: nginx then answers 502
    (RFC 9112 §9.6).
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
    """Lets the application answer that a body is too large, without reading it."""

    def execute(self) -> None:
        self.set_close_on_finish()
        super().execute()

    def get_environment(self) -> dict[str, Any]:
        environ = super().get_environment()
        empty_body = {"CONTENT_LENGTH": "0", "wsgi.input": io.BytesIO(), error_pages.TOO_MUCH: True}
        environ.update(empty_body)
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


_POLL_SECONDS = 0.2
# At each SQL statement a page hands the interpreter to another thread, which keeps it for up to
# this time. Python's default of 0.005 s would dominate the time of an answer.
_SWITCH_SECONDS = 0.001


class Server:
    """The pages on one port, and the jobs.

    It listens as soon as it is created, so that `port` is known also for port 0.

    - `around`: wraps the WSGI application, to add pages to the public ones.
    - `worker`: the command line of a process for jobs and sending, which is supervised, so that the
      pages need not wait for them. Without it they run here, in threads.
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
        # A name such as localhost may resolve to two addresses, each with its own socket.
        self.host, self.port = _list_addresses(self._http)[0]

    def run(self) -> None:
        """Serve until SIGTERM, SIGINT or `stop`; must be called in the main thread."""
        sys.setswitchinterval(_SWITCH_SECONDS)
        with self._stopping.on_signals():
            self.run_here()

    def run_here(self) -> None:
        """Serve until `stop`, in any thread."""
        # Loaded at the first request, a catalogue would delay all other requests.
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
        # Before the end, mails on the wire are finished and marked, and running requests answered.
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
        # Waitress's own `run` ends only by an exception in the main thread.
        while not self._closing.is_set():
            wasyncore.loop(timeout=_POLL_SECONDS, use_poll=True, map=self._sockets, count=1)
        wasyncore.close_all(self._sockets)


def _list_addresses(http: Any) -> list[tuple[str, int]]:
    """Return the (host, port) pairs of a waitress server with one socket or several."""
    single = [(http.effective_host, http.effective_port)] if hasattr(http, "effective_port") else []
    return [(host, int(port)) for host, port in single or http.effective_listen]
