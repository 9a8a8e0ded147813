"""The headers that keep a browser from doing anything but showing a page, on every response."""

from __future__ import annotations

import logging
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from waitress import wasyncore

from repermit.db.models.contacts import Contact
from repermit.package_files import find_asset
from repermit.signed_links import Kind
from repermit.web import server as web_server
from tests.support.admin_pages import admin_client, viewer_client
from tests.support.builders import make_settings
from tests.unit.web.admin.test_routes import ROUTES, World, world

if TYPE_CHECKING:
    from werkzeug.test import TestResponse

__all__ = ["world"]

EXPECTED = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex, nofollow",
}
# A mail that is looked at stands in a frame of ours.
FRAMED = {"SAMEORIGIN": "frame-ancestors 'self'", "DENY": "frame-ancestors 'none'"}


def wrong_with(headers: Any) -> list[str]:
    """Return the names of the headers that are not as every response has them."""
    wrong = [name for name, value in EXPECTED.items() if headers.get(name) != value]
    policy = headers.get("Content-Security-Policy", "")
    is_strict = "default-src 'none'" in policy and "base-uri" in policy
    if not is_strict or FRAMED.get(headers.get("X-Frame-Options"), "?") not in policy:
        wrong.append("Content-Security-Policy")
    features = re.findall(r"([a-z-]+)=\(\)", headers.get("Permissions-Policy", ""))
    if not {"camera", "geolocation", "microphone", "payment", "usb"} <= set(features):
        wrong.append("Permissions-Policy")
    if "Cache-Control" not in headers:
        wrong.append("Cache-Control")
    return wrong


def test_every_page_answer_file_redirect_and_mistake_has_them(world: World) -> None:
    wrong, statuses = [], set()
    clients = (world.pages.app.test_client(), viewer_client(world.pages), admin_client(world.pages))
    for client in clients:
        for route in ROUTES:
            answer = world.ask(client, route, proves=False)
            statuses.add(answer.status_code)
            if found := wrong_with(answer.headers):
                wrong.append((route.method, route.rule, answer.status_code, found))
    assert wrong == []
    assert {200, 303, 400, 401, 403, 404} <= statuses


def test_every_page_behind_a_link_has_them(world: World) -> None:
    contact = Contact.get_by_id(world.values["contact_id"])
    kinds: tuple[Kind, ...] = ("yes", "no", "me")
    for kind in kinds:
        for answer in (world.pages.get(kind, contact.uid), world.pages.post(kind, contact.uid)):
            # A form of /me/ that says nothing was not understood.
            assert answer.status_code in {200, 400}
            assert wrong_with(answer.headers) == []
            assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/elsewhere", 404),
        ("GET", "/admin/elsewhere", 404),
        ("GET", "/api/v1/elsewhere", 404),
        ("GET", "/robots.txt", 200),
        ("GET", "/admin/static/admin.css", 200),
        ("GET", "/admin/static/none.css", 404),
        ("DELETE", "/join/news", 405),
        ("OPTIONS", "/join/news", 200),
        ("HEAD", "/healthz", 200),
        ("POST", "/join/news", 413),
    ],
)
def test_what_is_no_page_has_them_too(world: World, method: str, path: str, status: int) -> None:
    form = {"name": "x" * 20_000} if status == 413 else None
    answer: TestResponse = world.pages.client.open(path, method=method, data=form)
    assert answer.status_code == status
    assert wrong_with(answer.headers) == []


def test_a_failure_has_them_too(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise ValueError

    monkeypatch.setitem(world.pages.app.view_functions, "front_page.show_robots", fail)
    world.pages.app.config["PROPAGATE_EXCEPTIONS"] = False
    answer = world.pages.client.get("/robots.txt")
    assert answer.status_code == 500
    assert wrong_with(answer.headers) == []


# --- The server in front.


@pytest.fixture
def serve() -> Iterator[Callable[..., int]]:
    """Yield what serves an application behind https, and returns its port."""
    stopping = []

    def start(app: Any) -> int:
        sockets: dict[int, Any] = {}
        server = web_server.make_server(
            app, settings=make_settings(), host="127.0.0.1", port=0, sockets=sockets
        )
        is_over = threading.Event()

        def run() -> None:
            while not is_over.is_set():
                wasyncore.loop(timeout=0.05, use_poll=True, map=sockets, count=1)
            wasyncore.close_all(sockets)

        thread = threading.Thread(target=run)
        thread.start()
        stopping.append((server, is_over, thread))
        return int(server.effective_port)

    yield start
    for server, is_over, thread in stopping:
        server.task_dispatcher.shutdown()
        is_over.set()
        thread.join()


def answer_to(port: int, request: bytes) -> tuple[int, dict[str, str]]:
    """Send octets, and return the status and the headers of what comes back."""
    with closing(socket.create_connection(("127.0.0.1", port), timeout=60)) as line:
        line.sendall(request)
        head = line.makefile("rb").read().partition(b"\r\n\r\n")[0].decode("latin-1")
    first, *lines = head.split("\r\n")
    return int(first.split()[1]), dict(one.split(": ", 1) for one in lines)


REFUSED = {
    "no request": (b"nonsense\r\n\r\n", 400),
    "blanks in a header's name": (b"GET / HTTP/1.1\r\nHo st : x\r\n\r\n", 400),
    "two lengths": (
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        400,
    ),
    # More digits than Python reads as a number.
    "endless length": (
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
        400,
    ),
    # Exactly as much as it takes: what was left unread would reset the connection.
    "head too large": (b"GET / HTTP/1.1\r\nX: ".ljust(32 * 1024, b"x"), 431),
    "path too long": (b"GET /".ljust(32 * 1024, b"x"), 431),
    "unknown coding": (
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        501,
    ),
    "broken chunk": (
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
        400,
    ),
}


@pytest.mark.parametrize(("request_", "status"), REFUSED.values(), ids=REFUSED)
def test_what_the_server_refuses_by_itself_has_them(
    serve: Callable[..., int], request_: bytes, status: int
) -> None:
    found, headers = answer_to(serve(lambda *_: []), request_)
    assert found == status
    assert wrong_with(headers) == []
    assert "Server" not in headers


def test_a_failure_outside_the_application_has_them_and_tells_no_path(
    serve: Callable[..., int], caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> list[bytes]:
        message = "jan@example.org"
        raise ValueError(message)

    found, headers = answer_to(serve(fail), b"GET /yes/secret-token HTTP/1.1\r\nHost: x\r\n\r\n")
    assert found == 500
    assert wrong_with(headers) == []
    assert "Exception while serving a page (ValueError)" in caplog.text
    assert "secret-token" not in caplog.text
    assert "jan@example.org" not in caplog.text


def test_whoever_hangs_up_leaves_no_path_in_the_log(
    serve: Callable[..., int], caplog: pytest.LogCaptureFixture
) -> None:
    hung_up = threading.Event()

    def answer(_: object, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        yield b"begun"
        hung_up.wait(60)
        while not any("disconnected" in line for line in caplog.messages):
            yield b"x" * 65536

    caplog.set_level(logging.INFO)
    port = serve(answer)
    with closing(socket.create_connection(("127.0.0.1", port), timeout=60)) as line:
        line.sendall(b"GET /yes/secret-token HTTP/1.1\r\nHost: x\r\n\r\n")
        assert line.recv(12)
    hung_up.set()
    until = threading.Event()
    for _ in range(600):
        if "Client disconnected while serving a page" in caplog.text:
            break
        until.wait(0.1)
    assert "Client disconnected while serving a page" in caplog.text
    assert "secret-token" not in caplog.text


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("parser.HTTPRequestParser.received", "closing a connection (ValueError)"),
        ("channel.HTTPChannel.service", "Exception when servicing a connection (ValueError)"),
    ],
)
def test_a_failure_of_the_server_itself_tells_no_path(
    serve: Callable[..., int],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    what: str,
    said: str,
) -> None:
    def fail(*_: object) -> None:
        message = "/yes/secret-token"
        raise ValueError(message)

    port = serve(lambda *_: [])
    monkeypatch.setattr(f"waitress.{what}", fail)
    with closing(socket.create_connection(("127.0.0.1", port), timeout=60)) as line:
        line.sendall(b"GET /yes/secret-token HTTP/1.1\r\nHost: x\r\n\r\n")
        until = threading.Event()
        for _ in range(600):
            if said in caplog.text:
                break
            until.wait(0.1)
    assert said in caplog.text
    assert "secret-token" not in caplog.text


# --- Files that carry their own.


@pytest.mark.parametrize(
    "template",
    ["proofs/printable_proof.html", "reports/page.html", "archives/old_links_page_frame.html"],
)
def test_a_page_that_leaves_as_a_file_says_itself_that_nothing_loads(template: str) -> None:
    text = (find_asset("templates") / template).read_text("utf-8")
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    assert policy.startswith("default-src 'none'; style-src 'sha256-{{ digest }}'; ")
    assert "base-uri 'none'; form-action 'none'" in policy
    # It stands before whatever it is to hold for.
    assert text.index("http-equiv") < text.index("<title>") < text.index("<style>")
    assert " style=" not in text
