"""What the demonstration tells at its end: who was asked, what they said, who stays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import click

from repermit.campaigns import progress
from repermit.db.models.contacts import Contact
from repermit.db.models.lists import MailingList
from repermit.db.models.mails import Mail
from repermit.demo.environment import Stage
from repermit.evidence import verify_chain
from repermit.rules.consent import Basis, Fate, MailKind, MailState, Reason, Status

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
    found = progress.status(stage.mailing_list, settings=stage.settings, now=stage.clock.now())
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
    holds = verify_chain.verify_chain(stage.database).fault is None
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
