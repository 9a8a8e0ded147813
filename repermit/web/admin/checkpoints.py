"""A checkpoint that somebody pasted into a form.

May import evidence.
"""

from __future__ import annotations

import json

from repermit.evidence import Checkpoint


def checkpoint_in(text: str) -> Checkpoint | None:
    """Return the checkpoint in what was pasted, None for nothing; raises ValueError for others."""
    try:
        # Whoever types what stands in a receipt by mail types capitals.
        return Checkpoint.from_json(json.loads(text.lower())) if text.strip() else None
    except RecursionError:
        raise ValueError from None
