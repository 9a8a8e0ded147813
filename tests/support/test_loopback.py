"""The guard that keeps the tests on this machine."""

from __future__ import annotations

import socket
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.inbox import Inbox
from tests.support.loopback import LeftThisMachine, LoopbackOnly

# RFC 5737 and 3849: addresses for documentation, which are nobody's.
ELSEWHERE = "192.0.2.1"
ELSEWHERE_6 = "2001:db8::1"


def connect_by_datagram() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"?", 0, (ELSEWHERE, 53))


def connect_by_code() -> None:
    with socket.socket(socket.AF_INET6) as caller:
        caller.connect_ex((ELSEWHERE_6, 25))


@pytest.mark.parametrize(
    ("reach_out", "tried"),
    [
        (lambda: socket.create_connection((ELSEWHERE, 25)), ELSEWHERE),
        (connect_by_datagram, ELSEWHERE),
        (connect_by_code, ELSEWHERE_6),
        (lambda: socket.getaddrinfo("mail.example.org", 25), "mail.example.org"),
        (lambda: socket.getaddrinfo(b"mail.example.org", 25), "mail.example.org"),
    ],
)
def test_nothing_leaves_this_machine(
    loopback_only: LoopbackOnly, reach_out: Callable[[], None], tried: str
) -> None:
    with pytest.raises(LeftThisMachine):
        reach_out()
    assert loopback_only.tried == [tried]
    loopback_only.tried.clear()


def test_an_attempt_is_noted_even_if_its_error_is_swallowed(loopback_only: LoopbackOnly) -> None:
    with pytest.raises(OSError, match=r"example\.org"):
        urllib.request.urlopen("http://www.example.org/")
    assert loopback_only.tried == ["www.example.org"]
    loopback_only.tried.clear()


def test_this_machine_can_be_reached_by_name_and_number(
    loopback_only: LoopbackOnly, inbox: Inbox
) -> None:
    for host in ("localhost", inbox.host):
        socket.create_connection((host, inbox.port)).close()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(b"!")
        assert theirs.recv(1) == b"!"
    assert loopback_only.tried == []


def test_a_socket_in_a_folder_leads_nowhere_else(
    loopback_only: LoopbackOnly, tmp_path: Path
) -> None:
    with socket.socket(socket.AF_UNIX) as caller, pytest.raises(FileNotFoundError):
        caller.connect(str(tmp_path / "nobody"))
    assert loopback_only.tried == []


def test_afterwards_the_standard_library_is_as_it_was(loopback_only: LoopbackOnly) -> None:
    guarded = (socket.socket.connect, socket.getaddrinfo)
    with LoopbackOnly():
        assert socket.socket.connect is not guarded[0]
    assert (socket.socket.connect, socket.getaddrinfo) == guarded
    assert loopback_only.tried == []
