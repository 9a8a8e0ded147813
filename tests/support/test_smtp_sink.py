"""The quick server of the tests itself."""

from __future__ import annotations

import socket

from tests.support.smtp_sink import Sink


def test_who_has_not_gone_by_the_end_is_cut_off() -> None:
    with Sink() as sink:
        late = socket.create_connection((sink.host, sink.port))
        assert late.recv(100).startswith(b"220 ")
    with late:
        assert late.recv(100) == b""
