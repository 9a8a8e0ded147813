"""How much the server in front of the application takes in, whoever sends it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from select import select
from typing import TYPE_CHECKING

import pytest

from repermit.db.connection import Database
from repermit.imports.uploads import MAX_SIZE
from repermit.web import server
from repermit.web.admin.page_permissions import get_permissions
from tests.support.admin_pages import admin_client, csrf_token
from tests.support.builders import make_settings
from tests.support.public_pages import Pages, served

if TYPE_CHECKING:
    from flask.testing import FlaskClient

UPLOAD = "/admin/lists/news/file/upload"


@pytest.fixture
def site(database: Database, database_url: str) -> Iterator[Pages]:
    def make(url: str) -> Pages:
        return Pages(database, make_settings(public_url=url, database=database_url))

    with served(make) as pages:
        yield pages


def login_cookie(site: Pages) -> str:
    """Return the Cookie header of a browser in which an admin has logged in."""
    return _header(admin_client(site))


def guest_cookie(site: Pages) -> str:
    """Return one that is signed too, as every guest gets it with the form for the login."""
    client = site.app.test_client()
    csrf_token(client)
    return _header(client)


def _header(client: FlaskClient) -> str:
    found = client.get_cookie("repermit", path="/admin/")
    assert found
    return f"other=1; repermit={found.value}"


def answer_to(site: Pages, path: str, size: int, *, cookie: str = "") -> int:
    """Return the status by which a body of so many bytes is answered."""
    return words_to(site, path, size, cookie=cookie)[0]


def words_to(site: Pages, path: str, size: int, *, cookie: str = "") -> tuple[int, str]:
    """Announce a body of so many bytes, of which only a few are sent if it is large."""
    host = site.settings.public_url.removeprefix("http://")
    connection = HTTPConnection(host, timeout=30)
    connection.putrequest("POST", path)
    connection.putheader("Content-Type", "application/octet-stream")
    connection.putheader("Content-Length", str(size))
    if cookie:
        connection.putheader("Cookie", cookie)
    connection.endheaders()
    with closing(connection):
        if size <= 3_000_000:
            connection.send(bytes(size))
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def test_a_form_may_have_some_thousand_bytes_and_no_more(site: Pages) -> None:
    assert answer_to(site, "/join/none", 10_000) == 404
    assert answer_to(site, "/join/none", 70_000) == 413
    assert answer_to(site, "/join/none", 70_000, cookie=login_cookie(site)) == 413
    assert answer_to(site, "/admin/login", 70_000) == 413


def test_a_head_may_have_nearly_32_kilobytes(site: Pages) -> None:
    host, _, port = site.settings.public_url.rpartition("//")[2].partition(":")
    with closing(socket.create_connection((host, int(port)), timeout=60)) as line:
        head = b"GET /robots.txt HTTP/1.1\r\nConnection: close\r\n" + b"X: a\r\n" * 5_000
        line.sendall(head + b"\r\n")
        assert line.recv(100).split()[1] == b"200"


# The forms lack their proof, which the page itself says.
PROOFLESS = 400


@pytest.mark.parametrize(
    ("path", "size"),
    [
        (UPLOAD, 3_000_000),
        ("/admin/lists/news/handover/compare", 3_000_000),
        ("/admin/lists/news/suppressions/look", 3_000_000),
        ("/admin/lists/news/suppressions/import", 3_000_000),
        ("/admin/settings/check", 2_000_000),
        ("/admin/people/", 250_000),
    ],
)
def test_who_has_logged_in_may_send_what_a_page_takes(site: Pages, path: str, size: int) -> None:
    assert answer_to(site, path, size, cookie=login_cookie(site)) == PROOFLESS


@pytest.mark.parametrize(
    ("path", "size"),
    [
        (UPLOAD, MAX_SIZE + 200_000),
        ("/admin/lists/news/handover/compare", 100 * 1024 * 1024 + 70_000),
        ("/admin/lists/news/suppressions/import", 5_200_000),
        ("/admin/lists/news/suppressions", 330_000),
        ("/admin/settings/check", 2_500_000),
        ("/admin/people/", 330_000),
        ("/admin/people/file/upload", 330_000),
        ("/join/file/upload", 70_000),
    ],
)
def test_nobody_may_send_more(site: Pages, path: str, size: int) -> None:
    assert answer_to(site, path, size, cookie=login_cookie(site)) == 413


def test_who_sends_too_much_is_told_so_in_our_words(site: Pages) -> None:
    status, said = words_to(site, UPLOAD, MAX_SIZE + 200_000, cookie=login_cookie(site))
    assert status == 413
    assert "<h1>That was too much</h1>" in said
    assert "A file with a list may have 100 MB" in said
    assert 'href="/admin/">To the lists</a>' in said
    for path, told in (("/join/none", "Dat was te veel"), ("/api/v1/lists", '"status": 413')):
        status, said = words_to(site, path, 70_000)
        assert status == 413
        assert told in said
        assert "max_body" not in said


def test_a_refusal_reaches_whoever_still_sends(site: Pages) -> None:
    """A web server in front would say 502 where the connection is reset meanwhile."""
    for path, length, status in (("/join/none", b"70000000", b"413"), ("/", b"many", b"400")):
        with connected(site) as plain:
            head = b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %s\r\n\r\n"
            plain.sendall(head % (path.encode(), length))
            assert select([plain], [], [], 30)[0]  # The refusal is there.
            for _ in range(70):
                plain.sendall(bytes(1_000_000))
            plain.shutdown(socket.SHUT_WR)
            answer = plain.makefile("rb").read()
        assert answer.startswith(b"HTTP/1.1 %s " % status)


def test_who_goes_on_sending_after_a_refusal_is_cut_off(
    site: Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_MAX_DROPPED_BYTES", 1_000_000)
    with connected(site) as plain:
        plain.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n")
        with pytest.raises(ConnectionError):
            plain.sendall(bytes(200_000_000))


def connected(site: Pages) -> socket.socket:
    host, _, port = site.settings.public_url.split("/")[2].partition(":")
    return socket.create_connection((host, int(port)), timeout=30)


def test_what_is_no_request_is_refused_by_the_server_itself(site: Pages) -> None:
    with connected(site) as plain:
        plain.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n")
        assert plain.recv(100).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /robots.txt", b"200"),
        (b"GET /robots.txt\r\nContent-Length: 0", b"200"),
        (b"POST /\r\nContent-Length: many", b"400"),
        (b"POST /join/none\r\nContent-Length: 70000", b"413"),
    ],
)
def test_who_waits_to_be_told_to_go_on_is_answered_if_no_body_is_read(
    site: Pages, head: bytes, status: bytes
) -> None:
    line, *lines = head.split(b"\r\n")
    expects = (line + b" HTTP/1.1", *lines, b"Host: x", b"Expect: 100-continue")
    with connected(site) as plain:
        plain.sendall(b"\r\n".join((*expects, b"", b"")))
        assert plain.recv(100).startswith(b"HTTP/1.1 %s " % status)


def test_who_waits_to_be_told_to_go_on_with_a_body_is_told(site: Pages) -> None:
    with connected(site) as plain:
        head = b"POST /join/none HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n"
        plain.sendall(head + b"Expect: 100-continue\r\n\r\n")
        assert plain.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        plain.sendall(b"a=b")
        assert plain.recv(100).startswith(b"HTTP/1.1 404 ")


def test_who_has_not_logged_in_may_send_no_file(site: Pages) -> None:
    tampered = login_cookie(site)[:-2] + "xx"
    for cookie in ("", "repermit=x", tampered, guest_cookie(site)):
        assert answer_to(site, UPLOAD, 70_000, cookie=cookie) == 413
        assert answer_to(site, UPLOAD, 10_000, cookie=cookie) == 303


def test_a_file_comes_in_with_and_without_the_path_of_the_public_url(site: Pages) -> None:
    limits, cookie = (
        server.BodyLimits(make_settings(public_url="https://example.org/a.b")),
        login_cookie(site).replace("repermit=", "__Host-repermit-a-b="),
    )
    assert limits.get_limit("/a.b" + UPLOAD, cookie) == limits.get_limit(UPLOAD, cookie) > MAX_SIZE
    assert limits.get_limit("/axb" + UPLOAD, cookie) < 70_000


def test_the_server_lets_through_what_every_page_takes(site: Pages) -> None:
    limits, cookie = server.BodyLimits(site.settings), login_cookie(site)
    pages = site.app.url_map.bind("")
    for rule in site.app.url_map.iter_rules():
        if rule.rule.startswith("/admin") and "POST" in (rule.methods or ()):
            values = {one: "mail" if one == "group" else "1" for one in rule.arguments}
            path = pages.build(rule.endpoint, values, "POST")
            takes = get_permissions(site.app.view_functions[rule.endpoint]).takes_bytes
            assert limits.get_limit(path, cookie) >= takes, path
            assert limits.get_limit("/ask" + path, cookie) < 70_000
