"""DNS look-ups with a time limit, and calls in parallel."""

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

# The time limit of one look-up, with all its tries.
_SECONDS = 4.0
_TRIES = 3

_DNS_PORT = 53


class DnsNoAnswer(Exception):
    """The DNS did not answer for `name`; a missing record is an answer."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class DnsResolver:
    """Looks up DNS records; several threads may use it at once.

    - `nameserver`: an IP address, perhaps with a port; "" for this machine's resolver. Raises
      Refused for an invalid one.
    - Every look-up raises DnsNoAnswer without an answer within `seconds`; a missing record is an
      empty result.
    """

    def __init__(self, nameserver: str = "", *, seconds: float = _SECONDS) -> None:
        self._resolver = _make_resolver(nameserver)
        self._resolver.cache = dns.resolver.LRUCache()
        self._resolver.timeout, self._resolver.lifetime = seconds / _TRIES, seconds

    def look_up_texts(self, name: str) -> tuple[str, ...]:
        """Return the TXT records, each with its strings joined (RFC 7208 §3.3)."""
        return tuple(
            b"".join(record.strings).decode("utf-8", "replace")
            for record in self._resolve(name, "TXT")
        )

    def look_up_addresses(self, name: str) -> tuple[str, ...]:
        """Return the IP addresses, IPv4 first; an IP address is returned itself."""
        if is_address(name):
            return (name,)
        return tuple(
            record.address for kind in ("A", "AAAA") for record in self._resolve(name, kind)
        )

    def look_up_mail_servers(self, name: str) -> tuple[str, ...]:
        """Return the hosts of the MX records, the preferred first; "" is a null MX (RFC 7505)."""
        records = sorted(self._resolve(name, "MX"), key=lambda record: record.preference)
        return tuple(record.exchange.to_text(omit_final_dot=True).strip(".") for record in records)

    def _resolve(self, name: str, kind: str) -> Iterator[Any]:
        try:
            return iter(
                self._resolver.resolve(
                    dns.name.from_text(name), kind, raise_on_no_answer=False, search=False
                )
            )
        except (dns.exception.Timeout, dns.resolver.NoNameservers):
            raise DnsNoAnswer(name) from None
        except dns.exception.DNSException:
            # The name does not exist, or is invalid.
            return iter(())


def is_address(name: str) -> bool:
    """Return whether a host is an IP address and not a name."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def is_this_machine(host: str) -> bool:
    """Return whether a host is this machine."""
    return host == "localhost" or (is_address(host) and ipaddress.ip_address(host).is_loopback)


# Endings that are not in the public DNS (RFC 2606, 6761, 6762, 7686, 8375), and those of offices.
_PRIVATE = (
    *("localhost", "local", "localdomain", "internal", "intranet", "lan", "home", "home.arpa"),
    *("corp", "private", "test", "invalid", "onion"),
)


def is_private(host: str) -> bool:
    """Return whether a host is in a private network, judging by its name or IP address alone."""
    if is_address(host):
        return not ipaddress.ip_address(host).is_global
    name = host.rstrip(".").lower()
    return "." not in name or name.endswith(tuple(f".{ending}" for ending in _PRIVATE))


def _make_resolver(nameserver: str) -> dns.resolver.Resolver:
    if nameserver:
        resolver = dns.resolver.Resolver(configure=False)
        host, resolver.port = _parse_nameserver(nameserver)
        resolver.nameservers = [host]
        return resolver
    try:
        return dns.resolver.Resolver()
    except dns.resolver.NoResolverConfiguration:
        # This resolver answers nothing, so that the checks report it.
        return dns.resolver.Resolver(configure=False)


def _parse_nameserver(nameserver: str) -> tuple[str, int]:
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
    """One call in a daemon thread, since a call that hangs in the system's resolver cannot end."""

    def __init__(self, call: Callable[[], _T]) -> None:
        super().__init__(daemon=True)
        self._call = call
        self.result: _T | None = None
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self.result = self._call()
        except BaseException as error:  # noqa: BLE001  raised again by `run_in_parallel`
            self.error = error


def run_in_parallel(calls: Sequence[Callable[[], _T]], *, seconds: float) -> list[_T | None]:
    """Run all calls in parallel, each in a thread; return their results in order.

    - None: the call did not end within `seconds`.
    - Raises what a call has raised.
    """
    ends_at = time.monotonic() + seconds
    threads = [_CheckThread(call) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, ends_at - time.monotonic()))
    for thread in threads:
        if thread.error is not None:
            raise thread.error
    return [thread.result for thread in threads]
