"""Handing over: the lists that other tools need, and the comparison with what they hold.

May import contacts, evidence, models, listfile, links, consent and what lies below.
"""

from __future__ import annotations

from repermit.exports.comparison import Finding, Reconciled, as_document, counts, lines, next_steps
from repermit.exports.exporting import Exported, export
from repermit.exports.kinds import Format, Tool, What
from repermit.exports.reconciling import reconcile
from repermit.exports.steps import steps

__all__ = [
    "Exported",
    "Finding",
    "Format",
    "Reconciled",
    "Tool",
    "What",
    "as_document",
    "counts",
    "export",
    "lines",
    "next_steps",
    "reconcile",
    "steps",
]
