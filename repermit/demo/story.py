"""The story of the demonstration: its events in the order of time.

They are read from the evidence, the mails and `Demo.noted`; `templates/demo/story.html` has the
sentences.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from repermit.db.models.contacts import Contact
from repermit.db.models.evidence import Evidence
from repermit.db.models.mails import Mail
from repermit.demo.environment import ACTOR, Demo, StoryEvent
from repermit.evidence.verify import chain
from repermit.rules.consent import Fate, MailKind, MailState, Reason


def list_story_events(demo: Demo) -> list[StoryEvent]:
    """Return the events of the story, the oldest first."""
    events = [*_list_recorded_events(demo), *_list_sent_asks(), *demo.noted]
    return sorted(events, key=lambda event: event.at)


def _list_sent_asks() -> Iterator[StoryEvent]:
    sent = Mail.select().where(Mail.kind == MailKind.ASK, Mail.state == MailState.SENT)
    # A refusal may come before the first mail is through.
    if first := sent.order_by(Mail.started_at).first():
        yield StoryEvent(first.started_at, "asked", {"count": sent.count()})


def _list_recorded_events(demo: Demo) -> Iterator[StoryEvent]:
    """Yield one event for each run of entries of one group."""
    reasons = {contact.subject: contact.reason for contact in Contact.select()}
    entries: list[tuple[str, Evidence]] = [
        (_classify_entry(entry, reasons), entry)
        for entry in Evidence.select().order_by(Evidence.seq)
        # Without the entries on the admin whose pages are opened.
        if entry.list or entry.actor != ACTOR
    ]
    for name, run in groupby(
        entries, key=lambda pair: "answered" if pair[0] in _ANSWERS else pair[0]
    ):
        group = list(run)
        # A person who changed their mind counts once; an entry without a subject counts by itself.
        last = {entry.subject or entry.seq: kind for kind, entry in group}
        yield StoryEvent(group[0][1].at, name, _count_group(name, list(last.values()), demo))


def _classify_entry(entry: Evidence, reasons: dict[str, str]) -> str:
    """Return the kind of an entry; `reasons` are the contacts' removal reasons by subject."""
    if entry.actor == "job" and entry.event == "removed":
        is_gone = reasons.get(entry.subject) == Reason.BOUNCE
        return "bounced" if is_gone else "silent"
    if entry.actor == ACTOR and entry.event != "launched":
        return "prepared"
    return str(entry.event)


_ANSWERS = ("confirmed", "removed")
"""The kinds of entries that share a sentence if they follow each other."""


def _count_group(group: str, kinds: Sequence[str], demo: Demo) -> Mapping[str, int]:
    """Return the numbers in a group's sentence, by their names in the template."""
    if group == "prepared":
        return _count_rows(demo)
    if group == "answered":
        return {"yes": kinds.count("confirmed"), "no": kinds.count("removed")}
    if group == "closed":
        return {"holds": chain.verify_chain(demo.database).fault is None}
    return {"count": len(kinds)}


def _count_rows(demo: Demo) -> Mapping[str, int]:
    fates = demo.imported.fates
    return {
        "rows": demo.imported.rows,
        "asked": fates[Fate.ASK] + fates[Fate.ROLE],
        "confirmed": fates[Fate.CONFIRMED],
        "customers": fates[Fate.CUSTOMER],
        "left": fates[Fate.OPTED_OUT] + fates[Fate.SUPPRESSED],
        "duplicates": fates[Fate.DUPLICATE],
        "invalid": fates[Fate.INVALID],
    }
