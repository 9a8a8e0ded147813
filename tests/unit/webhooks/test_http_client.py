"""The way out to a webhook: a real receiver on loopback, slow, wrong, or gone."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from repermit.webhooks.http_client import HttpClient, Reply
from tests.support.certificates import server_context
from tests.support.loopback import LoopbackOnly
from tests.support.webhook_receiver import Answer, Receiver

if TYPE_CHECKING:
    import trustme


@pytest.fixture
def line() -> Iterator[HttpClient]:
    with HttpClient(to_private=True) as opened:
        yield opened


def post(line: HttpClient, url: str) -> Reply:
    return line.post(url, body=b'{"a": 1}', headers={"Content-Type": "application/json"})


@pytest.mark.parametrize("status", [200, 202, 204, 299])
def test_a_message_that_is_taken_arrives_as_it_is(line: HttpClient, status: int) -> None:
    with Receiver(Answer(status=status)) as receiver:
        reply = post(line, receiver.url())
    assert reply == Reply(code=status)
    assert reply.is_accepted
    (told,) = receiver.told
    assert (told.path, told.body) == ("/hooks?key=s3cret", b'{"a": 1}')
    assert told.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert told.headers["user-agent"] == "repermit"
    assert told.headers["content-type"] == "application/json"


def test_a_name_is_connected_to_at_the_address_that_was_checked(line: HttpClient) -> None:
    with Receiver() as receiver:
        assert post(line, receiver.url("localhost")).is_accepted
    assert receiver.told[0].headers["host"] == f"localhost:{receiver.port}"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_nothing_goes_to_a_private_address(host: str) -> None:
    with Receiver() as receiver, HttpClient(to_private=False) as line:
        reply = post(line, receiver.url(host))
    assert reply.code == 0
    assert "private network" in reply.problem
    assert receiver.told == []


def test_a_proxy_of_the_environment_is_not_asked(
    line: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Receiver() as receiver, Receiver() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url(path=""))
        assert post(line, receiver.url()).is_accepted
    assert len(receiver.told) == 1
    assert proxy.told == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(line: HttpClient, status: int) -> None:
    with Receiver() as other:
        answer = Answer(status=status, headers={"Location": other.url()})
        with Receiver(answer) as receiver:
            reply = post(line, receiver.url())
    assert reply == Reply(code=status, problem="a redirect, which is not followed")
    assert not reply.is_accepted
    assert other.told == []


@pytest.mark.parametrize("status", [400, 404, 410, 429, 500, 503])
def test_a_refusal_is_told_by_its_status_alone(line: HttpClient, status: int) -> None:
    with Receiver(Answer(status=status, body=b"anna@example.org is not known")) as receiver:
        reply = post(line, receiver.url())
    assert reply == Reply(code=status, problem=f"it answered {status}")
    assert not reply.is_accepted
    assert reply.is_gone == (status == 410)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120),
        ("0", 0),
        ("-1", 0),
        ("soon", 0),
        ("Wed, 21 Oct 2026 07:28:00 GMT", 0),
        ("999999", 999_999),
        ("1000000", 0),
    ],
)
def test_what_a_receiver_asks_for_is_read(line: HttpClient, header: str, seconds: int) -> None:
    with Receiver(Answer(status=503, headers={"Retry-After": header})) as receiver:
        assert post(line, receiver.url()).retry_after == seconds


def test_cookies_are_not_kept(line: HttpClient) -> None:
    with Receiver(Answer(headers={"Set-Cookie": "who=me; Path=/"})) as receiver:
        for _ in range(2):
            post(line, receiver.url())
    assert "cookie" not in receiver.told[1].headers


def test_a_connection_serves_for_several_messages(line: HttpClient) -> None:
    with Receiver(Answer(status=200, body=b"thanks"), Answer(status=500, body=b"no")) as receiver:
        for _ in range(3):
            post(line, receiver.url())
    assert len({told.peer for told in receiver.told}) == 1


def test_an_endless_answer_is_not_read_to_its_end(line: HttpClient) -> None:
    lengthy = Answer(status=200, headers={"Content-Length": "999999999"}, body=b"x" * 200_000)
    with Receiver(lengthy) as receiver:
        began = time.monotonic()
        assert post(line, receiver.url()).is_accepted
        assert time.monotonic() - began < 5
        assert post(line, receiver.url()).is_accepted
    assert len({told.peer for told in receiver.told}) == 2


def test_an_answer_that_breaks_off_has_been_given(line: HttpClient) -> None:
    cut = Answer(status=200, headers={"Content-Length": "10", "Connection": "close"}, body=b"x")
    with Receiver(cut) as receiver:
        assert post(line, receiver.url()) == Reply(code=200)


def test_a_slow_receiver_is_not_waited_for() -> None:
    go_on = threading.Event()
    with (
        Receiver(Answer(before=go_on.wait)) as receiver,
        HttpClient(to_private=True, seconds=0.3) as line,
    ):
        began = time.monotonic()
        reply = post(line, receiver.url())
        took = time.monotonic() - began
        go_on.set()
    assert reply == Reply(code=0, problem="no answer in time")
    assert 0.2 < took < 5


def dripping(listening: socket.socket, said: bytes, stop: threading.Event) -> None:
    """Answer with one octet after the other, each sooner than any limit for silence."""
    connection, _ = listening.accept()
    with connection:
        connection.sendall(said)
        while not stop.wait(0.05):
            with suppress(OSError):
                connection.sendall(b"x")


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (b"HTTP/1.1", Reply(code=0, problem="no answer in time")),
        (b"HTTP/1.1 200 OK\r\nX-Slow: ", Reply(code=0, problem="no answer in time")),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n", Reply(code=200)),
    ],
    ids=["before its status", "in its headers", "in its body"],
)
def test_a_receiver_that_never_ends_is_not_waited_for(said: bytes, expected: Reply) -> None:
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=dripping, args=(listening, said, stop))
        thread.start()
        began = time.monotonic()
        with HttpClient(to_private=True, seconds=0.5) as line:
            reply = post(line, f"http://127.0.0.1:{listening.getsockname()[1]}/")
        took = time.monotonic() - began
        stop.set()
        thread.join()
    assert reply == expected
    assert took < 5


def test_an_answer_that_comes_when_time_is_over_counts_no_more(line: HttpClient) -> None:
    def be_late() -> None:
        line._has_timed_out = True

    with Receiver(Answer(status=200, before=be_late)) as receiver:
        assert post(line, receiver.url()) == Reply(code=0, problem="no answer in time")


def test_who_is_connected_too_late_is_told_nothing(line: HttpClient) -> None:
    with Receiver() as receiver:
        line._abort()
        with pytest.raises(TimeoutError):
            line.open_socket("127.0.0.1", receiver.port, encrypted=False)


@pytest.mark.parametrize("addresses", [["127.0.0.2", "127.0.0.1"], ["127.0.0.1", "127.0.0.2"]])
def test_another_address_of_the_name_is_tried_if_one_does_not_answer(
    line: HttpClient, addresses: list[str]
) -> None:
    with Receiver() as receiver, line._connect_to_first(addresses, receiver.port) as opened:
        assert opened.getpeername() == ("127.0.0.1", receiver.port)


def test_where_nobody_listens_cannot_be_reached(line: HttpClient) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    for host in ("127.0.0.1", "localhost"):
        reply = post(line, f"http://{host}:{port}/s3cret")
        assert reply == Reply(code=0, problem="it cannot be reached")


def test_a_name_that_leads_nowhere_cannot_be_reached(
    line: HttpClient, loopback_only: LoopbackOnly
) -> None:
    assert post(line, "https://tool.example.org/") == Reply(code=0, problem="it cannot be reached")
    assert loopback_only.tried == ["tool.example.org"]
    loopback_only.tried.clear()


class Resolver:
    """Looks names up in the place of the system's: each time the next of some answers."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> None:
        self.asked: list[str] = []
        self._answers = list(answers)
        self._system = socket.getaddrinfo
        monkeypatch.setattr(socket, "getaddrinfo", self)

    def __call__(self, host: str, port: int, *more: Any, **options: Any) -> Any:
        if host != "tool.example.org":
            # An address that is connected to passes here too.
            return self._system(host, port, *more, **options)
        self.asked.append(host)
        found = [self._system(one, port, *more, **options) for one in self._answers.pop(0)]
        return [one for some in found for one in some]


@pytest.mark.parametrize(
    "addresses",
    [["93.184.215.14", "127.0.0.1"], ["127.0.0.1", "93.184.215.14"], ["93.184.215.14", "::1"]],
)
def test_a_name_with_one_private_address_among_others_is_not_connected_to(
    monkeypatch: pytest.MonkeyPatch, loopback_only: LoopbackOnly, addresses: list[str]
) -> None:
    Resolver(monkeypatch, addresses)
    with Receiver() as receiver, HttpClient(to_private=False) as line:
        reply = post(line, f"https://tool.example.org:{receiver.port}/")
    assert reply.code == 0
    assert "private network" in reply.problem
    assert receiver.told == []
    # Not even the public one was tried.
    assert loopback_only.tried == []


def test_a_name_is_looked_up_once_so_that_what_was_checked_is_connected_to(
    monkeypatch: pytest.MonkeyPatch, loopback_only: LoopbackOnly
) -> None:
    # As whoever keeps the name would have it, in order to get at this machine (DNS rebinding).
    resolver = Resolver(monkeypatch, ["93.184.215.14"], ["127.0.0.1"])
    with Receiver() as receiver, HttpClient(to_private=False) as line:
        reply = post(line, f"https://tool.example.org:{receiver.port}/")
    assert reply == Reply(code=0, problem="it cannot be reached")
    assert resolver.asked == ["tool.example.org"]
    assert loopback_only.tried == ["93.184.215.14"]
    assert receiver.told == []
    loopback_only.tried.clear()


def test_no_path_stands_in_the_log(line: HttpClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with Receiver(Answer(status=500)) as receiver:
        post(line, receiver.url())
    assert "s3cret" not in caplog.text


# --- TLS.


def test_a_certificate_is_checked_for_the_name_not_the_address(
    authority: trustme.CA, tmp_path: Path
) -> None:
    trusted = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(trusted)
    with (
        Receiver(tls=server_context(authority, "localhost")) as receiver,
        HttpClient(to_private=True, verify=str(trusted)) as line,
    ):
        assert post(line, receiver.url("localhost")).is_accepted
        reply = post(line, receiver.url("127.0.0.1"))
    assert reply == Reply(code=0, problem="no safe connection: its certificate cannot be trusted")
    assert len(receiver.told) == 1


def test_a_certificate_that_nobody_vouches_for_is_not_trusted(
    line: HttpClient, authority: trustme.CA
) -> None:
    with Receiver(tls=server_context(authority, "localhost")) as receiver:
        reply = post(line, receiver.url("localhost"))
    assert "certificate" in reply.problem
    assert receiver.told == []
