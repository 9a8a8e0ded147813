"""Handing over: the lists that other tools need, and the comparison with what they hold.

May import contacts, evidence, models, listfile, links, consent and what lies below.
"""

from __future__ import annotations

from repermit.exports.by_hand import by_hand
from repermit.exports.comparison import Finding, Reconciled, as_document, counts, lines, next_steps
from repermit.exports.exporting import Exported, export, note_refused, require_fitting
from repermit.exports.forms import formats_for
from repermit.exports.kinds import Format, Tool, What
from repermit.exports.reconciling import reconcile
from repermit.exports.steps import steps, steps_on_page
from repermit.exports.ticking import set_tick, ticks

__all__ = [
    "Exported",
    "Finding",
    "Format",
    "Reconciled",
    "Tool",
    "What",
    "as_document",
    "by_hand",
    "counts",
    "export",
    "formats_for",
    "lines",
    "next_steps",
    "note_refused",
    "reconcile",
    "require_fitting",
    "set_tick",
    "steps",
    "steps_on_page",
    "ticks",
]
