"""What has happened in the demonstration, in the order of time, and what it tells at its end.

It is read from the record of evidence and from the mails; what leaves nothing there the stage has
noted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import click

from repermit.campaigns import progress
from repermit.db.models.contacts import Contact
from repermit.db.models.evidence import Evidence
from repermit.db.models.lists import MailingList
from repermit.db.models.mails import Mail
from repermit.demo.environment import Chapter, Stage
from repermit.evidence.verify import chain
from repermit.rules.consent import Basis, Fate, MailKind, MailState, Reason, Status


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
        holds = chain.verify_chain(stage.database).fault is None
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


# --- What the demonstration tells at its end: who was asked, what they said, who stays. -----------


_STAYS = {
    Basis.ANSWER: "stays: said yes",
    Basis.THIN: "stays: had opted in before",
    Basis.CUSTOMER: "stays: customer",
}
_OFF = {
    Reason.NO: "taken off: said no",
    Reason.NO_RESPONSE: "taken off: did not answer",
    Reason.BOUNCE: "taken off: no such mailbox",
}


def tell(stage: Stage) -> bool:
    """Print what happened to each and to all; return whether every number adds up."""
    for line in _people(stage.mailing_list):
        click.echo(line)
    click.echo()
    return _tell_counts(stage)


def _people(mailing_list: MailingList) -> Iterator[str]:
    """Yield a line for each contact: whether it was asked, and what became of it."""
    asks = Mail.select(Mail.contact).where(
        Mail.list == mailing_list, Mail.kind == MailKind.ASK, Mail.state == MailState.SENT
    )
    asked = {mail.contact_id for mail in asks}
    everybody = Contact.select().where(Contact.list == mailing_list).order_by(Contact.address)
    for contact in everybody:
        how = "asked" if contact.id in asked else "not asked"
        yield f"{contact.address:<38}  {how:<9}  {_became(contact)}"


def _became(contact: Contact) -> str:
    if contact.status == Status.REMOVED:
        return _OFF[Reason(contact.reason)]
    if contact.status == Status.UNCONFIRMED:
        return "kept apart: could not be asked"
    return _STAYS[Basis(contact.basis)]


def _tell_counts(stage: Stage) -> bool:
    found = progress.read_status(stage.mailing_list, settings=stage.settings, now=stage.clock.now())
    fates = stage.imported.fates
    audience = found.campaign.asked if found.campaign else 0
    asked = found.mails[MailKind.ASK][MailState.SENT]
    bases = _bases(stage.mailing_list)
    answered = {
        "said yes": bases[Basis.ANSWER],
        "said no": found.removed[Reason.NO],
        "did not answer": found.removed[Reason.NO_RESPONSE],
    }
    not_reached = {
        "no such mailbox: taken off": found.removed[Reason.BOUNCE],
        "mailbox closed: kept apart": found.unasked,
    }
    stay = {
        "said yes": bases[Basis.ANSWER],
        "had opted in before, wording not shown": bases[Basis.THIN],
        "customers": bases[Basis.CUSTOMER],
    }
    removed = {reason: n for reason, n in found.removed.items() if n}
    _say(f"The file: {stage.imported.rows} rows, each with one fate", fates)
    _say(f"The campaign: {asked} of {audience} asked, each once", answered)
    _say(f"Could not be asked: {audience - asked}", not_reached)
    _say(f"Taken off: {found.contacts[Status.REMOVED]}, by reason", removed)
    kept = found.contacts[Status.CONFIRMED] + found.contacts[Status.CUSTOMER]
    _say(f"Who stays: {kept}", stay)
    sums = (
        (stage.imported.rows, sum(fates.values())),
        (fates[Fate.ASK] + fates[Fate.ROLE], audience),
        (asked, sum(answered.values())),
        (audience - asked, sum(not_reached.values())),
        (found.contacts[Status.REMOVED], sum(removed.values())),
        (kept, sum(stay.values())),
    )
    holds = chain.verify_chain(stage.database).fault is None
    adds_up = all(whole == parts for whole, parts in sums) and holds
    click.echo(f"The chain of evidence holds and every number adds up: {_yes_no(adds_up)}.")
    return adds_up


def _bases(mailing_list: MailingList) -> Counter[str]:
    """Return how many of the list may be mailed on which ground."""
    found = Contact.select(Contact.basis).where(
        Contact.list == mailing_list, Contact.status.in_((Status.CONFIRMED, Status.CUSTOMER))
    )
    return Counter(contact.basis for contact in found)


def _say(title: str, counts: Mapping[Any, int]) -> None:
    click.echo(title)
    for name, n in counts.items():
        click.echo(f"  {n:>4}  {str(name).replace('_', ' ')}")
    click.echo()


def _yes_no(fact: bool) -> str:  # noqa: FBT001
    return "yes" if fact else "no"
