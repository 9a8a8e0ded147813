"""A guard that lets no socket of this process reach another machine, for tests."""

from __future__ import annotations

import ipaddress
import socket
from types import TracebackType
from typing import Any, Self


class LeftThisMachine(ConnectionError):
    """A test tried to reach another machine."""


class LoopbackOnly:
    """Refuse and note in `tried` every connection, datagram and name that leaves this machine.

    It stands in the place of the standard library's own functions, from `with` to its end. What
    C libraries open by themselves (libpq) and other processes (chromium) it does not see.
    """

    def __init__(self) -> None:
        self.tried: list[str] = []
        self._originals = {
            name: getattr(socket.socket, name) for name in ("connect", "connect_ex", "sendto")
        }
        self._getaddrinfo = socket.getaddrinfo

    def __enter__(self) -> Self:
        for name, original in self._originals.items():
            setattr(socket.socket, name, self._guarded(original))
        socket.getaddrinfo = self._guarded_getaddrinfo
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        for name, original in self._originals.items():
            setattr(socket.socket, name, original)
        socket.getaddrinfo = self._getaddrinfo

    def _guarded(self, original: Any) -> Any:
        def guarded(this: socket.socket, *arguments: Any) -> Any:
            # The address comes last, behind sendto's data and flags.
            if this.family in {socket.AF_INET, socket.AF_INET6}:
                self._check(arguments[-1][0])
            return original(this, *arguments)

        return guarded

    def _guarded_getaddrinfo(self, host: Any, *arguments: Any, **options: Any) -> Any:
        if host is not None and not _is_number(host):
            self._check(host)
        return self._getaddrinfo(host, *arguments, **options)

    def _check(self, host: str | bytes) -> None:
        name = host if isinstance(host, str) else host.decode()
        if name == "localhost" or (_is_number(name) and ipaddress.ip_address(name).is_loopback):
            return
        self.tried.append(name)
        raise LeftThisMachine(name)


def _is_number(host: str | bytes) -> bool:
    try:
        ipaddress.ip_address(host if isinstance(host, str) else host.decode())
    except ValueError:
        return False
    return True
