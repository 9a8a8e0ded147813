"""A name server of the test's own, and what asks it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from repermit.checks.dns_lookup import DnsResolver
from tests.support.dns_server import NameServer


@pytest.fixture
def server() -> Iterator[NameServer]:
    with NameServer() as running:
        yield running


@pytest.fixture
def names(server: NameServer) -> DnsResolver:
    return DnsResolver(server.address)
