"""Play the demonstration through by itself, once, and print the result."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import click

from repermit.db.models.contacts import Contact
from repermit.db.models.lists import MailingList
from repermit.db.models.mails import Mail
from repermit.demo.environment import Demo, start_demo
from repermit.demo.run import served
from repermit.demo.simulated_people import play
from repermit.evidence.verify import chain
from repermit.expiry import sweep
from repermit.rules.consent import (
    Basis,
    CampaignState,
    Fate,
    MailKind,
    MailState,
    Reason,
    Status,
)
from repermit.sending import send_due


def run_once(language: str) -> int:
    """Play a whole campaign through and print its result.

    Return 0 if all numbers add up, 1 if not.
    """
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s %(message)s")
    with start_demo(language) as demo, served(demo):
        send_all_asks(demo)
        asked = demo.inbox.mails
        play(asked, late=False)
        demo.move_to_deadline()
        expire_all(demo)
        play(asked, late=True)
        return 0 if print_result(demo) else 1


def send_all_asks(demo: Demo) -> None:
    """Send until all asks are sent; the job may be sending at the same time."""
    while _read_campaign_state(demo) is CampaignState.SENDING:
        send_due.send_due(demo.database, settings=demo.settings, clock=demo.clock)
        _pause.wait(_PAUSE_SECONDS)


def expire_all(demo: Demo) -> None:
    """Expire until the campaign is closed; the job may be expiring at the same time."""
    while _read_campaign_state(demo) is not CampaignState.CLOSED:
        sweep.expire_due(demo.database, settings=demo.settings, clock=demo.clock)
        _pause.wait(_PAUSE_SECONDS)


def _read_campaign_state(demo: Demo) -> CampaignState | None:
    campaign = demo.read_status().campaign
    return campaign.state if campaign else None


_pause = threading.Event()
_PAUSE_SECONDS = 0.05


# --- The result that --once prints: the people asked, their answers, and who stays. ---------------


_KEPT_TEXTS = {
    Basis.ANSWER: "stays: said yes",
    Basis.THIN: "stays: had opted in before",
    Basis.CUSTOMER: "stays: customer",
}
_REMOVED_TEXTS = {
    Reason.NO: "taken off: said no",
    Reason.NO_RESPONSE: "taken off: did not answer",
    Reason.BOUNCE: "taken off: no such mailbox",
}


def print_result(demo: Demo) -> bool:
    """Print each person's outcome and all counts; return whether every number adds up."""
    for line in _list_outcomes(demo.mailing_list):
        click.echo(line)
    click.echo()
    return _print_sums(demo)


def _list_outcomes(mailing_list: MailingList) -> Iterator[str]:
    """Yield a line for each contact: whether it was asked, and its outcome."""
    asks = Mail.select(Mail.contact).where(
        Mail.list == mailing_list, Mail.kind == MailKind.ASK, Mail.state == MailState.SENT
    )
    asked = {mail.contact_id for mail in asks}
    everybody = Contact.select().where(Contact.list == mailing_list).order_by(Contact.address)
    for contact in everybody:
        how = "asked" if contact.id in asked else "not asked"
        yield f"{contact.address:<38}  {how:<9}  {_describe_outcome(contact)}"


def _describe_outcome(contact: Contact) -> str:
    if contact.status == Status.REMOVED:
        return _REMOVED_TEXTS[Reason(contact.reason)]
    if contact.status == Status.UNCONFIRMED:
        return "kept apart: could not be asked"
    return _KEPT_TEXTS[Basis(contact.basis)]


def _print_sums(demo: Demo) -> bool:
    status = demo.read_status()
    fates = demo.imported.fates
    audience = status.campaign.asked if status.campaign else 0
    asked = status.mails[MailKind.ASK][MailState.SENT]
    bases = _count_bases(demo.mailing_list)
    answered = {
        "said yes": bases[Basis.ANSWER],
        "said no": status.removed[Reason.NO],
        "did not answer": status.removed[Reason.NO_RESPONSE],
    }
    not_reached = {
        "no such mailbox: taken off": status.removed[Reason.BOUNCE],
        "mailbox closed: kept apart": status.unasked,
    }
    stay = {
        "said yes": bases[Basis.ANSWER],
        "had opted in before, wording not shown": bases[Basis.THIN],
        "customers": bases[Basis.CUSTOMER],
    }
    removed = {reason: n for reason, n in status.removed.items() if n}
    _print_counts(f"The file: {demo.imported.rows} rows, each with one fate", fates)
    _print_counts(f"The campaign: {asked} of {audience} asked, each once", answered)
    _print_counts(f"Could not be asked: {audience - asked}", not_reached)
    _print_counts(f"Taken off: {status.contacts[Status.REMOVED]}, by reason", removed)
    kept = status.contacts[Status.CONFIRMED] + status.contacts[Status.CUSTOMER]
    _print_counts(f"Who stays: {kept}", stay)
    sums = (
        (demo.imported.rows, sum(fates.values())),
        (fates[Fate.ASK] + fates[Fate.ROLE], audience),
        (asked, sum(answered.values())),
        (audience - asked, sum(not_reached.values())),
        (status.contacts[Status.REMOVED], sum(removed.values())),
        (kept, sum(stay.values())),
    )
    holds = chain.verify_chain(demo.database).fault is None
    adds_up = all(whole == parts for whole, parts in sums) and holds
    verdict = "yes" if adds_up else "no"
    click.echo(f"The chain of evidence holds and every number adds up: {verdict}.")
    return adds_up


def _count_bases(mailing_list: MailingList) -> Counter[str]:
    """Count the list's contacts that may be mailed, by basis."""
    contacts = Contact.select(Contact.basis).where(
        Contact.list == mailing_list, Contact.status.in_((Status.CONFIRMED, Status.CUSTOMER))
    )
    return Counter(contact.basis for contact in contacts)


def _print_counts(title: str, counts: Mapping[Any, int]) -> None:
    click.echo(title)
    for name, count in counts.items():
        click.echo(f"  {count:>4}  {str(name).replace('_', ' ')}")
    click.echo()
