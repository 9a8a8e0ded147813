"""The sentences of a proof: who said what, when, and to which wording; in English and Dutch.

The texts are in templates/proofs/.
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
from repermit.evidence.proof_file import DEADLINE_NAMES, make_recorded_entries
from repermit.i18n import dates
from repermit.rules.bot_detection import PROGRAM_SIGNALS

if TYPE_CHECKING:
    from jinja2 import Environment

# --- The person's status by a proof, in a sentence. -----------------------------------------------


_STATUS_EVENTS = ("added", "customer", "confirmed", "removed", "suppressed")
_UNDOING_EVENTS = ("import_undone", "sign_up_undone", "erased")


def describe_status(document: Mapping[str, Any], *, language: str, zone: ZoneInfo) -> str:
    """Return a sentence on the person's status when a proof was made, by its entries.

    The last entry counts, not the latest time: an answer that arrived in time but was recorded
    late, holds from then on.
    """
    last_entry = _find_last_entry(document["statement"]["entries"])
    template = make_environment(language).get_template("sentence_on_how_it_stands.jinja")
    if last_entry is None:
        return template.render(event="")
    moment = format_time(read_time(last_entry), language=language, zone=zone)
    return template.render(event=last_entry["entry"]["event"], moment=moment)


def _find_last_entry(entries: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Return the last entry that set the person's status and was not undone later.

    An entry may be undone with its import, or as the Yes of a sign-up that came from a program.
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
    """The text of one entry: its number and time, a sentence, and further lines about it."""

    seq: int
    at: str
    text: str
    more: tuple[str, ...]


def describe_entries(
    document: Mapping[str, Any], *, language: str, zone: ZoneInfo
) -> tuple[EntryText, ...]:
    """Return the texts of a valid proof's entries in the order of time, in one of `LANGUAGES`."""
    entries = list_entries(document["statement"])
    times = _list_times(entries)
    taken_back = consent_receipt.find_revoked_yes(make_recorded_entries(entries))
    latest_times = list(accumulate(times, max))

    def describe(index: int) -> EntryText:
        text, *more = _render_entry(
            entries[index],
            language,
            zone,
            is_taken_back=taken_back[index],
            # An entry before it is of a later event.
            is_late=latest_times[index] > times[index],
        )
        return EntryText(
            seq=entries[index]["entry"]["seq"],
            at=format_time(read_time(entries[index]), language=language, zone=zone, is_past=True),
            text=text,
            more=tuple(more),
        )

    return tuple(map(describe, sorted(range(len(entries)), key=times.__getitem__)))


def list_entries(statement: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return a person's entries, and those of their campaigns, in the order of the record."""
    entries = [*statement["entries"], *statement.get("campaign_entries", ())]
    return sorted(entries, key=lambda item: int(item["entry"]["seq"]))


def read_campaign(entry: Mapping[str, Any]) -> dict[str, str]:
    """Return the texts in a campaign's entry; other values are unchecked and are left out."""
    consent = read_part(entry, "consent")
    return {name: text for name, text in consent.items() if isinstance(text, str)}


def _render_entry(
    entry: Mapping[str, Any], language: str, zone: ZoneInfo, *, is_taken_back: bool, is_late: bool
) -> list[str]:
    """Return a sentence on what happened, and further lines about it."""
    lines: list[str] = []
    event = entry["entry"]["event"]
    is_campaign = event in DEADLINE_NAMES
    # The proof may come from somebody else and have anything there.
    stated = read_part(entry, "trace").get("signs")
    signs = {sign for sign in stated if isinstance(sign, str)} if type(stated) is list else set()
    make_environment(language).get_template("sentence_on_entry.jinja").render(
        lines=lines,
        event=event,
        at=entry["entry"]["at"],
        actor=entry["entry"]["actor"],
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
    """Return the template environment of proofs in a language."""
    environment = template_engine.make_environment("proofs", language)
    environment.add_extension("jinja2.ext.do")
    return environment


def _list_times(entries: Sequence[Mapping[str, Any]]) -> list[datetime]:
    """Return the time by which each entry is sorted; without one, that of the entry before it."""
    times: list[datetime] = []
    for entry in entries:
        previous = times[-1] if times else datetime.min.replace(tzinfo=UTC)
        try:
            at = datetime.fromisoformat(read_time(entry))
        except (TypeError, ValueError):
            at = previous
        times.append(at if at.tzinfo else previous)
    return times


def format_time(text: str, *, language: str, zone: ZoneInfo, is_past: bool = False) -> str:
    """Return an RFC 3339 time in words, with its seconds and zone in parentheses.

    - `is_past`: it is an event's, and midnight belongs to the day that it begins.

    Another text is returned unchanged, as somebody else's proof may have anything there.
    """
    try:
        at = datetime.fromisoformat(text).astimezone(zone)
    except (ValueError, OverflowError):
        return text
    write = dates.format_past_datetime if is_past else dates.format_local_datetime
    words = write(at, language=language, zone=zone)
    return f"{words} ({at.strftime('%H:%M:%S %Z')})"


def read_part(entry: Mapping[str, Any], part: str) -> Mapping[str, Any]:
    """Return the content of an entry's part; empty if it was erased."""
    content: Mapping[str, Any] = entry["parts"].get(part, {}).get("content", {})
    return content


def read_time(entry: Mapping[str, Any]) -> str:
    """Return the time of the event that an entry records, such as an answer's arrival."""
    consent_part = read_part(entry, "consent")
    at: str = consent_part.get("arrived_at") or consent_part.get("left_at") or entry["entry"]["at"]
    return at
