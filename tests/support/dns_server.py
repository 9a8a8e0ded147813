"""A DNS server on loopback that knows what a test tells it, for domains that are set up wrong."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import dns.flags
import dns.message
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

SILENCE = "silence"
"""As a record: say nothing at all when asked for this name."""

FAILURE = "failure"
"""As a record: say that something failed (SERVFAIL), as when the domain's own servers are away."""

_TTL = 60


class NameServer:
    """From `with` to its end on 127.0.0.1 and an ephemeral port; `address` has both.

    `records` may be changed at any time: "example.org MX" to a list of records as a zone file has
    them. A name of which nothing stands there does not exist. What was asked is `asked`.
    """

    def __init__(self, **records: Sequence[str]) -> None:
        self.records: dict[str, Sequence[str]] = dict(records)
        self.asked: list[str] = []
        self._server = _Server(("127.0.0.1", 0), _Asking)
        self._server.names = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._server.server_address[1]}"

    def text(self, name: str, *texts: str) -> None:
        """Let a name have these TXT records, long ones in several pieces."""
        self.records[f"{name} TXT"] = [
            " ".join(f'"{text[at : at + 200]}"' for at in range(0, len(text) or 1, 200))
            for text in texts
        ]

    def answer(self, question: dns.message.Message) -> dns.message.Message | None:
        """Return what is answered; None is silence."""
        (asked,) = question.question
        name = asked.name.to_text(omit_final_dot=True)
        kind = dns.rdatatype.to_text(asked.rdtype)
        self.asked.append(f"{name} {kind}")
        # To the DNS small letters and capitals are one.
        known = {key.lower(): found for key, found in self.records.items()}
        found = known.get(f"{name} {kind}".lower(), ())
        answer = dns.message.make_response(question)
        answer.flags |= dns.flags.RA
        if SILENCE in found:
            return None
        if FAILURE in found:
            answer.set_rcode(dns.rcode.SERVFAIL)
        elif found:
            answer.answer.append(
                dns.rrset.from_text_list(asked.name, _TTL, dns.rdataclass.IN, asked.rdtype, found)
            )
        elif not any(key.startswith(f"{name} ".lower()) for key in known):
            answer.set_rcode(dns.rcode.NXDOMAIN)
        return answer

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(socketserver.ThreadingUDPServer):
    daemon_threads = True
    names: NameServer


class _Asking(socketserver.BaseRequestHandler):
    server: _Server

    def handle(self) -> None:
        raw, line = self.request
        answer = self.server.names.answer(dns.message.from_wire(raw))
        if answer is not None:
            # Over UDP there is as much room as a test ever needs.
            line.sendto(answer.to_wire(max_size=65535), self.client_address)
