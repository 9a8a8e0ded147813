"""All faults of the chain, where `verify` stops at the first."""

from __future__ import annotations

from collections.abc import Iterator

from repermit.evidence.entries import Checkpoint
from repermit.evidence.verify.chain import _Walk
from repermit.evidence.verify.diagnosis import Fault


def iter_chain_faults(known: Checkpoint | None = None) -> Iterator[Fault]:
    """Yield the faults of the chain, in the order of the entries.

    It ends where the chain itself breaks, as later faults may be consequences of that.
    """
    return _Walk(known).find_faults()
