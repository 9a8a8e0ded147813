"""What has happened in the demonstration so far, as a story in the order of time.

It is read from the record of evidence and from the mails; what leaves nothing there the stage has
noted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from repermit.db.models.contacts import Contact
from repermit.db.models.evidence import Evidence
from repermit.db.models.mails import Mail
from repermit.demo.environment import Chapter, Stage
from repermit.evidence import verify_chain
from repermit.rules.consent import Fate, MailKind, MailState, Reason


def tell_story(stage: Stage) -> list[Chapter]:
    """Return what happened, the oldest first."""
    chapters = [*_of_the_record(stage), *_of_the_asks(), *stage.noted]
    return sorted(chapters, key=lambda chapter: chapter.at)


def _of_the_asks() -> Iterator[Chapter]:
    sent = Mail.select().where(Mail.kind == MailKind.ASK, Mail.state == MailState.SENT)
    if first := sent.order_by(Mail.sent_at).first():
        yield Chapter(
            first.sent_at,
            f"{sent.count()} mails went out, one to each person, with links that only they have.",
        )


def _of_the_record(stage: Stage) -> Iterator[Chapter]:
    """Yield a chapter for what follows each other and is of one kind."""
    reasons = {one.subject: one.reason for one in Contact.select()}
    told = [(_kind(entry, reasons), entry) for entry in Evidence.select().order_by(Evidence.seq)]
    for head, run in groupby(told, key=_head):
        group = list(run)
        # Of whoever changed their mind, the last word; what is about nobody stands by itself.
        last = {entry.subject or entry.seq: kind for kind, entry in group}
        yield Chapter(group[0][1].at, _sentence(head, list(last.values()), stage))


def _head(told: tuple[str, Evidence]) -> str:
    """Return under which head an entry is told with those beside it."""
    return _HEADS.get(told[0], told[0])


def _kind(entry: Evidence, reasons: dict[str, str]) -> str:
    """Return what an entry tells."""
    if entry.actor == "job" and entry.event == "removed":
        is_gone = reasons.get(entry.subject) == Reason.BOUNCE
        return "bounced" if is_gone else "silent"
    if entry.actor == "demo" and entry.event != "launched":
        return "prepared"
    return entry.event


_HEADS = {"confirmed": "answered", "removed": "answered"}
"""Kinds that are told in one sentence when they follow each other."""


def _sentence(head: str, kinds: Sequence[str], stage: Stage) -> str:
    if head == "prepared":
        return _prepared(stage)
    if head == "answered":
        return _answered(kinds.count("confirmed"), kinds.count("removed"))
    if head == "closed":
        holds = verify_chain.verify_chain(stage.database).fault is None
        return f"The campaign closed. The chain of evidence holds: {'yes' if holds else 'no'}."
    one, more = _SENTENCES.get(head, (f"{head.replace('_', ' ').capitalize()}.", ""))
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
"""For one, and for more than one."""


def _prepared(stage: Stage) -> str:
    fates = stage.imported.fates
    asked = fates[Fate.ASK] + fates[Fate.ROLE]
    left = fates[Fate.OPTED_OUT] + fates[Fate.SUPPRESSED]
    return (
        f"The list was described, and a file of {stage.imported.rows} rows read. {asked} people "
        f"are to be asked. Not asked: {fates[Fate.CONFIRMED]} who had opted in, "
        f"{fates[Fate.CUSTOMER]} customers, {left} who had left before, {fates[Fate.DUPLICATE]} "
        f"who stand there twice; {fates[Fate.INVALID]} rows hold no address."
    )


def _answered(yes: int, no: int) -> str:
    said = [f"{n} said {word}" for n, word in ((yes, "Yes"), (no, "No")) if n]
    return f"{' and '.join(said)}."
