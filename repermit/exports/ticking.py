"""Which steps of handing a campaign over are done.

May import evidence, models and what lies below.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from repermit import evidence
from repermit.evidence import Entry
from repermit.models import HandedOver

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from repermit.models import Campaign, Database


def ticks(campaign: Campaign, tool: str) -> Mapping[str, datetime]:
    """Return when each step of a tool was ticked; what is not there has still to be done."""
    rows = HandedOver.select().where(HandedOver.campaign == campaign, HandedOver.tool == tool)
    return {row.step: row.at for row in rows}


def set_tick(
    database: Database,
    campaign: Campaign,
    *,
    tool: str,
    step: str,
    is_done: bool,
    now: datetime,
    actor: str,
) -> None:
    """Tick a step, or take its tick away; what is so already stays so."""
    own = (HandedOver.campaign == campaign, HandedOver.tool == tool, HandedOver.step == step)
    with database.atomic():
        before = HandedOver.select().where(*own).exists()
        if before is is_done:
            return
        if is_done:
            HandedOver.insert(
                campaign=campaign, tool=tool, step=step, by=actor, at=now
            ).on_conflict_ignore().execute()
        else:
            HandedOver.delete().where(*own).execute()
        evidence.append(
            Entry(
                event="handed_over" if is_done else "not_handed_over",
                at=now,
                actor=actor,
                list=campaign.list.slug,
                campaign=campaign.id,
                consent={"tool": tool, "step": step},
            )
        )
