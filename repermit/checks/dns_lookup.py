"""DNS look-ups with a time limit, and running several checks in parallel."""

from __future__ import annotations

import ipaddress
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit

import dns.exception
import dns.name
import dns.resolver

from repermit.errors import Refused

# For one question in all, and how many tries that leaves room for.
_SECONDS = 4.0
_TRIES = 3

_DNS_PORT = 53


class DnsNoAnswer(Exception):
    """The DNS gave no answer for `name`, neither a record nor that there is none."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class DnsResolver:
    """The DNS as this machine sees it, or as `nameserver` (an IP address, with a port) does.

    For several threads at once. What there is none of is empty; every question raises DnsNoAnswer
    if nobody answers it within `seconds`. Raises Refused for a `nameserver` that is none.
    """

    def __init__(self, nameserver: str = "", *, seconds: float = _SECONDS) -> None:
        self._resolver = _resolver(nameserver)
        self._resolver.cache = dns.resolver.LRUCache()
        self._resolver.timeout, self._resolver.lifetime = seconds / _TRIES, seconds

    def texts(self, name: str) -> tuple[str, ...]:
        """Return the TXT records, the pieces of each put together (RFC 7208 §3.3)."""
        return tuple(
            b"".join(record.strings).decode("utf-8", "replace") for record in self._ask(name, "TXT")
        )

    def addresses(self, name: str) -> tuple[str, ...]:
        """Return the IP addresses, those of version 4 first; an IP address is its own."""
        if is_address(name):
            return (name,)
        return tuple(record.address for kind in ("A", "AAAA") for record in self._ask(name, kind))

    def mail_servers(self, name: str) -> tuple[str, ...]:
        """Return the MX, the preferred first; "" is one that takes no mail (RFC 7505)."""
        found = sorted(self._ask(name, "MX"), key=lambda record: record.preference)
        return tuple(record.exchange.to_text(omit_final_dot=True).strip(".") for record in found)

    def _ask(self, name: str, kind: str) -> Iterator[Any]:
        try:
            return iter(
                self._resolver.resolve(
                    dns.name.from_text(name), kind, raise_on_no_answer=False, search=False
                )
            )
        except (dns.exception.Timeout, dns.resolver.NoNameservers):
            raise DnsNoAnswer(name) from None
        except dns.exception.DNSException:
            # There is no such name, or it cannot be one.
            return iter(())


def is_address(name: str) -> bool:
    """Say whether this is an IP address rather than a name."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def is_this_machine(host: str) -> bool:
    """Say whether a server is on this very machine."""
    return host == "localhost" or (is_address(host) and ipaddress.ip_address(host).is_loopback)


# Names that no public DNS has (RFC 2606, 6761, 6762, 7686, 8375), and those that offices use.
_PRIVATE = (
    *("localhost", "local", "localdomain", "internal", "intranet", "lan", "home", "home.arpa"),
    *("corp", "private", "test", "invalid", "onion"),
)


def is_private(host: str) -> bool:
    """Say whether a host by its name or number alone is of a private network."""
    if is_address(host):
        return not ipaddress.ip_address(host).is_global
    name = host.rstrip(".").lower()
    return "." not in name or name.endswith(tuple(f".{one}" for one in _PRIVATE))


def _resolver(nameserver: str) -> dns.resolver.Resolver:
    if nameserver:
        asked = dns.resolver.Resolver(configure=False)
        host, asked.port = _parsed(nameserver)
        asked.nameservers = [host]
        return asked
    try:
        return dns.resolver.Resolver()
    except dns.resolver.NoResolverConfiguration:
        # It answers nothing, which is what is to be said of it.
        return dns.resolver.Resolver(configure=False)


def _parsed(nameserver: str) -> tuple[str, int]:
    if is_address(nameserver):
        return nameserver, _DNS_PORT
    try:
        parts = urlsplit(f"//{nameserver}")
        host, port = parts.hostname or "", parts.port or _DNS_PORT
    except ValueError:
        host, port = "", 0
    if not is_address(host):
        raise Refused(
            "%(server)s is no DNS server; one looks like 9.9.9.9 or 127.0.0.1:5353",
            server=repr(nameserver),
        )
    return host, port


# --- Calls in parallel, for a limited time. -------------------------------------------------------


_T = TypeVar("_T")


class _CheckThread(threading.Thread, Generic[_T]):
    """One call; a daemon, since what hangs in the system's resolver cannot be ended."""

    def __init__(self, call: Callable[[], _T]) -> None:
        super().__init__(daemon=True)
        self._call = call
        self.result: _T | None = None
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self.result = self._call()
        except BaseException as error:  # noqa: BLE001  raised again by who waits
            self.error = error


def run_in_parallel(calls: Sequence[Callable[[], _T]], *, seconds: float) -> list[_T | None]:
    """Run all calls in parallel, each in a thread; return their results in order.

    None stands for what did not end within `seconds`. What a call raises is raised.
    """
    end = time.monotonic() + seconds
    threads = [_CheckThread(call) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    for thread in threads:
        if thread.error is not None:
            raise thread.error
    return [thread.result for thread in threads]
