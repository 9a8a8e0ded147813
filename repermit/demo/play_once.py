"""Play the demonstration through by itself, once, and print the result."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping

import click

from repermit.db.models.contacts import Contact
from repermit.db.models.lists import MailingList
from repermit.db.models.mails import Mail
from repermit.demo.environment import Demo, start_demo
from repermit.demo.run import served
from repermit.demo.simulated_people import play
from repermit.evidence.verify import chain
from repermit.expiry import sweep
from repermit.i18n import catalogues
from repermit.i18n.lazy_text import N_
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
from repermit.web.admin.row_fate_text import FATE_TITLES


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
    Basis.ANSWER: N_("stays: said yes"),
    Basis.THIN: N_("stays: had opted in before"),
    Basis.CUSTOMER: N_("stays: customer"),
}
_REMOVED_TEXTS = {
    Reason.NO: N_("taken off: said no"),
    Reason.NO_RESPONSE: N_("taken off: did not answer"),
    Reason.BOUNCE: N_("taken off: no such mailbox"),
}
_REASON_TEXTS = {
    Reason.NO: N_("said No"),
    Reason.NO_RESPONSE: N_("did not answer"),
    Reason.BOUNCE: N_("no such mailbox"),
}


def print_result(demo: Demo) -> bool:
    """Print each person's outcome and all counts; return whether every number adds up.

    The words are in the language of the list.
    """
    gettext = catalogues.load_translations(demo.mailing_list.language).gettext
    for line in _list_outcomes(demo.mailing_list, gettext):
        click.echo(line)
    click.echo()
    return _print_sums(demo, gettext)


def _list_outcomes(mailing_list: MailingList, gettext: Callable[[str], str]) -> Iterator[str]:
    """Yield a line for each contact: whether it was asked, and its outcome."""
    asks = Mail.select(Mail.contact).where(
        Mail.list == mailing_list, Mail.kind == MailKind.ASK, Mail.state == MailState.SENT
    )
    asked = {mail.contact_id for mail in asks}
    everybody = Contact.select().where(Contact.list == mailing_list).order_by(Contact.address)
    yes, no = gettext("asked"), gettext("not asked")
    width = max(len(yes), len(no))
    for contact in everybody:
        how = yes if contact.id in asked else no
        yield f"{contact.address:<38}  {how:<{width}}  {gettext(_describe_outcome(contact))}"


def _describe_outcome(contact: Contact) -> str:
    if contact.status == Status.REMOVED:
        return _REMOVED_TEXTS[Reason(contact.reason)]
    if contact.status == Status.UNCONFIRMED:
        return N_("kept apart: could not be asked")
    return _KEPT_TEXTS[Basis(contact.basis)]


def _print_sums(demo: Demo, gettext: Callable[[str], str]) -> bool:
    status = demo.read_status()
    fates = demo.imported.fates
    audience = status.campaign.asked if status.campaign else 0
    asked = status.mails[MailKind.ASK][MailState.SENT]
    bases = _count_bases(demo.mailing_list)
    answered = {
        gettext("said Yes"): bases[Basis.ANSWER],
        gettext("said No"): status.removed[Reason.NO],
        gettext("did not answer"): status.removed[Reason.NO_RESPONSE],
    }
    not_reached = {
        gettext("no such mailbox: taken off"): status.removed[Reason.BOUNCE],
        gettext("mailbox closed: kept apart"): status.unasked,
    }
    stay = {
        gettext("said Yes"): bases[Basis.ANSWER],
        gettext("had opted in before, wording not shown"): bases[Basis.THIN],
        gettext("customers"): bases[Basis.CUSTOMER],
    }
    removed = {gettext(_REASON_TEXTS[reason]): n for reason, n in status.removed.items() if n}
    kept = status.contacts[Status.CONFIRMED] + status.contacts[Status.CUSTOMER]
    file = gettext("The file: %(count)s rows, each with one fate")
    campaign = gettext("The campaign: %(asked)s of %(count)s asked, each once")
    not_asked = gettext("Could not be asked: %(count)s")
    taken_off = gettext("Taken off: %(count)s, by reason")
    stays = gettext("Who stays: %(count)s")
    _print_counts(
        file % {"count": demo.imported.rows},
        {gettext(FATE_TITLES[fate]): count for fate, count in fates.items()},
    )
    _print_counts(campaign % {"asked": asked, "count": audience}, answered)
    _print_counts(not_asked % {"count": audience - asked}, not_reached)
    _print_counts(taken_off % {"count": status.contacts[Status.REMOVED]}, removed)
    _print_counts(stays % {"count": kept}, stay)
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
    click.echo(
        gettext("The chain of evidence holds and every number adds up: yes.")
        if adds_up
        else gettext("The chain of evidence holds and every number adds up: no.")
    )
    return adds_up


def _count_bases(mailing_list: MailingList) -> Counter[str]:
    """Count the list's contacts that may be mailed, by basis."""
    contacts = Contact.select(Contact.basis).where(
        Contact.list == mailing_list, Contact.status.in_((Status.CONFIRMED, Status.CUSTOMER))
    )
    return Counter(contact.basis for contact in contacts)


def _print_counts(title: str, counts: Mapping[str, int]) -> None:
    click.echo(title)
    for name, count in counts.items():
        click.echo(f"  {count:>4}  {name}")
    click.echo()
