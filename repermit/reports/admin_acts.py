"""What admins did about a list, read from the evidence: whoever acted, when, and what it says.

Nothing here is about a person on the list.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from repermit.db.connection import chunks
from repermit.db.models.evidence import Evidence, EvidencePart

_CHUNK = 500


@dataclass(frozen=True, kw_only=True)
class AdminAct:
    """An act; `said` is what its entry keeps of it, and `list` "" where it was about none."""

    seq: int
    at: datetime
    event: str
    actor: str
    list: str
    campaign: int
    said: Mapping[str, Any]


def read_acts(
    slug: str, events: Sequence[str], *, since: datetime | None = None
) -> tuple[AdminAct, ...]:
    """Return the acts of these kinds about a list ("": about no list), oldest first."""
    recent = () if since is None else (Evidence.at >= since,)
    # Acts are about nobody, so that the index of subjects finds them among a million answers.
    rows = list(
        Evidence.select()
        .where(Evidence.subject == "", Evidence.list == slug, Evidence.event.in_(events), *recent)
        .order_by(Evidence.seq)
    )
    return _read(rows)


def _read(rows: Sequence[Evidence]) -> tuple[AdminAct, ...]:
    said: dict[int, dict[str, Any]] = {}
    for some in chunks([row.seq for row in rows], _CHUNK):
        parts = EvidencePart.select().where(
            EvidencePart.seq.in_(some), EvidencePart.part == "consent"
        )
        said.update({part.seq: json.loads(part.json) for part in parts})
    return tuple(
        AdminAct(
            seq=row.seq,
            at=row.at,
            event=row.event,
            actor=row.actor,
            list=row.list,
            campaign=row.campaign,
            said=said.get(row.seq, {}),
        )
        for row in rows
    )
