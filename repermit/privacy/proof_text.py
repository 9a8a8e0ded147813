"""A proof in plain words: who said what, when, and to which wording; in English and Dutch.

The words are those of templates/proofs/.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, partial
from itertools import accumulate
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from repermit.emails import template_engine
from repermit.evidence import consent_receipt
from repermit.evidence.proof_file import DEADLINE_NAMES, told_by
from repermit.i18n import dates
from repermit.rules.bot_detection import PROGRAM_SIGNALS

if TYPE_CHECKING:
    from jinja2 import Environment

# --- The person's status by a proof, in a sentence. -----------------------------------------------


_STATUS_EVENTS = ("added", "customer", "confirmed", "removed", "suppressed")
_UNDOING_EVENTS = ("import_undone", "sign_up_undone", "erased")


def describe_status(document: Mapping[str, Any], *, language: str, zone: ZoneInfo) -> str:
    """Return what held of the person when a proof was made, by its entries.

    By the last of them rather than by the latest moment: what is put on record late, such as a Yes
    that had come in time, holds from then on.
    """
    last_entry = _find_last_entry(document["statement"]["entries"])
    template = make_environment(language).get_template("sentence_on_how_it_stands.jinja")
    if last_entry is None:
        return template.render(event="")
    moment = format_time(read_time(last_entry), language=language, zone=zone)
    return template.render(event=last_entry["entry"]["event"], moment=moment)


def _find_last_entry(entries: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Return the last entry that put the person somewhere and was not taken back since.

    With its file, or as the Yes of a sign-up that was no person's.
    """
    undone_times: set[str | None] = set()
    for entry in entries[::-1]:
        event = entry["entry"]["event"]
        if event in _UNDOING_EVENTS:
            consent_part = read_part(entry, "consent")
            undone_times.add(consent_part.get("imported_at") or consent_part.get("confirmed_at"))
        elif event in _STATUS_EVENTS and entry["entry"]["at"] not in undone_times:
            return entry
    return None


# --- The entries of a proof, in sentences. --------------------------------------------------------


LANGUAGES = ("en", "nl")


@dataclass(frozen=True, kw_only=True)
class EntryText:
    """One entry in words: its number and time, a sentence, and further lines about it."""

    seq: int
    at: str
    text: str
    more: tuple[str, ...]


def describe_entries(
    document: Mapping[str, Any], *, language: str, zone: ZoneInfo
) -> tuple[EntryText, ...]:
    """Return what a proof that holds shows, in the order of time, in one of `LANGUAGES`."""
    entries = list_entries(document["statement"])
    times = _list_times(entries)
    taken_back = consent_receipt.find_revoked_yes(told_by(entries))
    latest_times = list(accumulate(times, max))

    def describe(index: int) -> EntryText:
        text, *more = _render_entry(
            entries[index],
            language,
            zone,
            is_taken_back=taken_back[index],
            # Something that happened later was put on record before.
            is_late=latest_times[index] > times[index],
        )
        return EntryText(
            seq=entries[index]["entry"]["seq"],
            at=format_time(read_time(entries[index]), language=language, zone=zone),
            text=text,
            more=tuple(more),
        )

    return tuple(map(describe, sorted(range(len(entries)), key=times.__getitem__)))


def list_entries(statement: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return a person's entries, and those of their campaigns, in the order of the record."""
    entries = [*statement["entries"], *statement.get("campaign_entries", ())]
    return sorted(entries, key=lambda one: int(one["entry"]["seq"]))


def read_campaign(entry: Mapping[str, Any]) -> dict[str, str]:
    """Return the texts that an entry of a campaign tells; of the others any may be of any type."""
    told = read_part(entry, "consent")
    return {name: text for name, text in told.items() if isinstance(text, str)}


def _render_entry(
    entry: Mapping[str, Any], language: str, zone: ZoneInfo, *, is_taken_back: bool, is_late: bool
) -> list[str]:
    """Return a sentence on what happened, and further lines about it."""
    lines: list[str] = []
    event = entry["entry"]["event"]
    is_campaign = event in DEADLINE_NAMES
    told_signs = read_part(entry, "trace").get("signs")
    # In somebody else's proof anything may stand there.
    signs = (
        {one for one in told_signs if isinstance(one, str)} if type(told_signs) is list else set()
    )
    make_environment(language).get_template("sentence_on_entry.jinja").render(
        lines=lines,
        event=event,
        at=entry["entry"]["at"],
        consent=read_campaign(entry) if is_campaign else read_part(entry, "consent"),
        person=read_part(entry, "person"),
        trace=read_part(entry, "trace"),
        format_time=partial(format_time, language=language, zone=zone),
        is_about_ask=event in consent_receipt.ABOUT_AN_ASK,
        is_late=is_late,
        is_taken_back=is_taken_back,
        taken_back=consent_receipt.TAKEN_BACK,
        signs=signs,
        is_programlike=bool(PROGRAM_SIGNALS & signs),
    )
    return lines


@cache
def make_environment(language: str) -> Environment:
    """Make the engine for the templates of proofs, whose texts it puts into a language."""
    environment = template_engine.make_environment("proofs", language)
    environment.add_extension("jinja2.ext.do")
    return environment


def _list_times(entries: Sequence[Mapping[str, Any]]) -> list[datetime]:
    """Return by which moment each entry has its place; without one, it stays behind the last."""
    times: list[datetime] = []
    for entry in entries:
        previous = times[-1] if times else datetime.min.replace(tzinfo=UTC)
        try:
            at = datetime.fromisoformat(read_time(entry))
        except (TypeError, ValueError):
            at = previous
        times.append(at if at.tzinfo else previous)
    return times


def format_time(text: str, *, language: str, zone: ZoneInfo) -> str:
    """Return a moment of RFC 3339 in words, with the seconds and the zone that they hide.

    Somebody else's proof may have anything there, which is told as it is.
    """
    try:
        at = datetime.fromisoformat(text).astimezone(zone)
    except (ValueError, OverflowError):
        return text
    words = dates.format_local_datetime(at, language=language, zone=zone)
    return f"{words} ({at.strftime('%H:%M:%S %Z')})"


def read_part(entry: Mapping[str, Any], part: str) -> Mapping[str, Any]:
    """Return what a part of an entry says, nothing if it is held no longer."""
    content: Mapping[str, Any] = entry["parts"].get(part, {}).get("content", {})
    return content


def read_time(entry: Mapping[str, Any]) -> str:
    """Return when it happened that an entry is about: an answer as it came, say."""
    consent_part = read_part(entry, "consent")
    at: str = consent_part.get("arrived_at") or consent_part.get("left_at") or entry["entry"]["at"]
    return at
