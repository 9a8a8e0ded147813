"""The steps for handing a file over to a newsletter tool, for the admin, and which are done.

Menus change their names, so each step also says what to achieve. A step links the tool's help page
if one was found.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from peewee import SQL

from repermit import package_files
from repermit.contacts import counts as contacts_counts
from repermit.db.connection import Database
from repermit.db.models.campaigns import Campaign, HandedOver, latest_campaign
from repermit.db.models.contacts import Contact
from repermit.db.models.lists import MailingList
from repermit.evidence import chain
from repermit.evidence.entries import Entry
from repermit.exports.export_rows import ExportKind, Tool
from repermit.rules.consent import CampaignState, Status


def list_steps(tool: str, kind: str, *, slug: str = "LIST") -> tuple[str, ...]:
    """Return the steps for a list's file for `tool`; () for a kind that no tool takes."""
    return tuple(
        text.command.replace("{tool}", tool).replace("{slug}", slug)
        for text in _list_step_texts(tool, kind)
    )


def list_page_steps(tool: str, kind: str) -> tuple[str, ...]:
    """Return the steps as an admin page shows them, with buttons in place of commands.

    The texts are English, and are translated by the catalogues.
    """
    return tuple(text.page for text in _list_step_texts(tool, kind))


class _StepText(NamedTuple):
    command: str
    page: str


def _list_step_texts(tool: str, kind: str) -> tuple[_StepText, ...]:
    if kind not in {ExportKind.KEEP, ExportKind.REMOVED}:
        return ()
    shared = package_files.load_newsletter_tool("shared_by_all")
    tool_steps = package_files.load_newsletter_tool(Tool(tool))["steps"][kind]
    last_steps = shared["after_keep"] if kind == ExportKind.KEEP else [shared["not_in_it"]]
    return tuple(
        _StepText(**step) if isinstance(step, dict) else _StepText(step, step)
        for step in (
            *(shared["not_delete"] if step == _NOT_DELETE else step for step in tool_steps),
            *last_steps,
            shared["check"],
        )
    )


_NOT_DELETE = "{not_delete}"


# --- The steps that are done. ---------------------------------------------------------------------


ALL_REMOVED = "removed-all"
"""The step that stands for all steps of the removals, stored without a tool."""


@dataclass(frozen=True, kw_only=True)
class PendingHandover:
    """How many people stay on a list, and how many are still to be removed in the tool."""

    staying: int
    removed: int


def find_pending_handover(mailing_list: MailingList) -> PendingHandover | None:
    """Return the handover that is due after a list's latest campaign; None if none is.

    Once the removals were handed over, only those since are due.
    """
    campaign = latest_campaign(mailing_list)
    if campaign is None or campaign.state not in _ENDED_STATES:
        return None
    counts = contacts_counts.count_by_status(mailing_list)
    done_at = _find_time_handed_over(campaign)
    removed = (
        counts[Status.REMOVED] - contacts_counts.count_erased(mailing_list)
        if done_at is None
        else _select_to_take_off(campaign).where(Contact.status_at > done_at).count()
    )
    if removed <= 0:
        return None
    staying = counts[Status.CONFIRMED] + counts[Status.CUSTOMER]
    return PendingHandover(staying=staying, removed=removed)


_ENDED_STATES = (CampaignState.CLOSED, CampaignState.CANCELLED)


def _find_time_handed_over(campaign: Campaign) -> datetime | None:
    """Return until when removals are handed over, as a whole or by the steps of one tool.

    None if they never were.
    """
    rows = HandedOver.select().where(HandedOver.campaign == campaign)
    ticks: dict[tuple[str, str], datetime] = {(row.tool, row.step): row.at for row in rows}
    ways = [{("", ALL_REMOVED)}, *filter(None, map(_list_removal_steps, Tool))]
    return max(
        (min(ticks[step] for step in steps) for steps in ways if steps <= ticks.keys()),
        default=None,
    )


def _list_removal_steps(tool: Tool) -> set[tuple[str, str]]:
    count = len(list_page_steps(tool, ExportKind.REMOVED))
    return {(tool, f"{ExportKind.REMOVED}-{number}") for number in range(1, count + 1)}


def _find_last_removal(campaign: Campaign) -> datetime | None:
    query = _select_to_take_off(campaign).order_by(Contact.status_at.desc())
    at: datetime | None = query.limit(1).scalar()
    return at


def _select_to_take_off(campaign: Campaign) -> Any:
    # Written out, so that the index for just these is used.
    return Contact.select(Contact.status_at).where(
        Contact.list == campaign.list_id,
        SQL("status = 'removed'"),
        Contact.erased_at.is_null(),
    )


def read_ticks(campaign: Campaign, tool: str) -> Mapping[str, datetime]:
    """Return when each step of a tool was ticked; without the steps still to be done.

    A step of the removals is to be done again once somebody else was removed.
    """
    last = _find_last_removal(campaign)
    rows = HandedOver.select().where(HandedOver.campaign == campaign, HandedOver.tool == tool)
    return {
        row.step: row.at
        for row in rows
        if last is None or row.at >= last or not row.step.startswith(f"{ExportKind.REMOVED}-")
    }


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
    """Tick or untick a step; nothing changes if it is so already."""
    conditions = (HandedOver.campaign == campaign, HandedOver.tool == tool, HandedOver.step == step)
    with database.atomic():
        if (step in read_ticks(campaign, tool)) is is_done:
            return
        HandedOver.delete().where(*conditions).execute()
        if is_done:
            HandedOver.create(campaign=campaign, tool=tool, step=step, by=actor, at=now)
        chain.append(
            Entry(
                event="handed_over" if is_done else "not_handed_over",
                at=now,
                actor=actor,
                list=campaign.list.slug,
                campaign=campaign.id,
                consent={"tool": tool, "step": step},
            )
        )
