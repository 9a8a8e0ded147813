"""The story of the demonstration: what has happened, in the order of time.

It is read from the evidence, the mails and `Demo.noted`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from repermit.db.models.contacts import Contact
from repermit.db.models.evidence import Evidence
from repermit.db.models.mails import Mail
from repermit.demo.environment import Demo, StoryEvent
from repermit.evidence.verify import chain
from repermit.rules.consent import Fate, MailKind, MailState, Reason


def list_story_events(demo: Demo) -> list[StoryEvent]:
    """Return what happened, the oldest first."""
    events = [*_list_recorded_events(demo), *_list_sent_asks(), *demo.noted]
    return sorted(events, key=lambda event: event.at)


def _list_sent_asks() -> Iterator[StoryEvent]:
    sent = Mail.select().where(Mail.kind == MailKind.ASK, Mail.state == MailState.SENT)
    if first := sent.order_by(Mail.sent_at).first():
        yield StoryEvent(
            first.sent_at,
            f"{sent.count()} mails went out, one to each person, with links that only they have.",
        )


def _list_recorded_events(demo: Demo) -> Iterator[StoryEvent]:
    """Yield one event for each run of entries of one group."""
    reasons = {contact.subject: contact.reason for contact in Contact.select()}
    entries: list[tuple[str, Evidence]] = [
        (_classify_entry(entry, reasons), entry)
        for entry in Evidence.select().order_by(Evidence.seq)
    ]
    for name, run in groupby(
        entries, key=lambda pair: "answered" if pair[0] in _ANSWERS else pair[0]
    ):
        group = list(run)
        # Somebody who changed their mind counts once; an entry about nobody counts by itself.
        last = {entry.subject or entry.seq: kind for kind, entry in group}
        yield StoryEvent(group[0][1].at, _write_sentence(name, list(last.values()), demo))


def _classify_entry(entry: Evidence, reasons: dict[str, str]) -> str:
    """Return the kind of an entry; `reasons` are those of the contacts, by subject."""
    if entry.actor == "job" and entry.event == "removed":
        is_gone = reasons.get(entry.subject) == Reason.BOUNCE
        return "bounced" if is_gone else "silent"
    if entry.actor == "demo" and entry.event != "launched":
        return "prepared"
    return str(entry.event)


_ANSWERS = ("confirmed", "removed")
"""Kinds of entries that share a sentence when they follow each other."""


def _write_sentence(group: str, kinds: Sequence[str], demo: Demo) -> str:
    if group == "prepared":
        return _describe_import(demo)
    if group == "answered":
        counts = {"Yes": kinds.count("confirmed"), "No": kinds.count("removed")}
        return f"{' and '.join(f'{n} said {word}' for word, n in counts.items() if n)}."
    if group == "closed":
        holds = chain.verify_chain(demo.database).fault is None
        return f"The campaign closed. The chain of evidence holds: {'yes' if holds else 'no'}."
    one, more = _SENTENCES.get(group, (f"{group.replace('_', ' ').capitalize()}.", ""))
    return one if len(kinds) == 1 or not more else more.format(len(kinds))


_SENTENCES = {
    "launched": (
        (
            "The campaign was launched: everybody is asked once. The check had found that nobody "
            "else can reach these pages, which was accepted, since this is a demonstration."
        ),
        "",
    ),
    "bounced": (
        "One mailbox was found not to exist: taken off at once.",
        "{} mailboxes were found not to exist: taken off at once.",
    ),
    "silent": (
        "One who was asked and had not answered was taken off.",
        "{} who were asked and had not answered were taken off.",
    ),
    "corrected": ("Somebody corrected what is held about them.", ""),
    "erased": ("All that was held about somebody was erased.", ""),
    "not_the_person": ("Somebody said that they are not the person meant.", ""),
}
"""The sentences for one entry and for several, by group."""


def _describe_import(demo: Demo) -> str:
    fates = demo.imported.fates
    asked = fates[Fate.ASK] + fates[Fate.ROLE]
    left = fates[Fate.OPTED_OUT] + fates[Fate.SUPPRESSED]
    return (
        f"The list was described, and a file of {demo.imported.rows} rows read. {asked} people "
        f"are to be asked. Not asked: {fates[Fate.CONFIRMED]} who had opted in, "
        f"{fates[Fate.CUSTOMER]} customers, {left} who had left before, {fates[Fate.DUPLICATE]} "
        f"who stand there twice; {fates[Fate.INVALID]} rows hold no address."
    )
