"""What the deadline does to each contact of a campaign, and what of it is kept.

Nothing here writes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from peewee import fn

from repermit.contacts import last_ask, lookup
from repermit.contacts.last_ask import CampaignMail
from repermit.db.connection import chunks, literal
from repermit.db.models.base import stored
from repermit.db.models.campaigns import Campaign, CampaignWording
from repermit.db.models.contacts import Contact
from repermit.db.models.mails import Mail
from repermit.rules.consent import MailKind, MailState, Status, Verdict, expiry

# --- What the sweep gives back, as a plain value. -------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class ExpiryResult:
    """What a sweep did, or would do.

    `removed` were asked in time and did not answer; `unasked` could not be asked in time and
    stay unconfirmed; `waiting` has a sentence for each campaign that waits for the admin.
    """

    removed: int = 0
    unasked: int = 0
    waiting: tuple[str, ...] = ()

    def to_json(self) -> dict[str, int]:
        """Return what `expire --json` prints."""
        return {"removed": self.removed, "unasked": self.unasked}


# --- What the deadline does to each contact of a campaign, and what of it is kept. ----------------


_UNSENT_STATES = (MailState.QUEUED, MailState.CLAIMED, MailState.STARTED)


def predict_verdicts(campaign: Campaign, chunk: int, now: datetime) -> Iterator[Verdict]:
    """Yield what the deadline does to each contact that is undecided, and lock none."""
    for ids in chunks(list_undecided(campaign), chunk):
        asks = index_asks(campaign, last_ask.campaign_mails(ids))
        for contact in list(Contact.select().where(Contact.id.in_(literal(ids)))):
            yield decide_verdict(contact, asks[contact.id], campaign, now)


def list_undecided(campaign: Campaign) -> list[int]:
    """Return the ids of the asked contacts whose question is still open, in order.

    All at once: page by page, SQLite would sort the whole audience anew for every page.
    """
    rows: Any = (
        Mail.select(Mail.contact)
        .join(Contact)
        .where(
            Mail.campaign == campaign,
            Mail.kind == MailKind.ASK,
            lookup.is_undecided(campaign),
        )
        .order_by(Mail.contact)
        .tuples()
    )
    return [contact_id for (contact_id,) in rows.iterator()]


def index_asks(campaign: Campaign, mails: Iterable[CampaignMail]) -> dict[int, CampaignMail]:
    """Return each contact's ask in this campaign, by the contact's id."""
    return {
        mail.contact_id: mail
        for mail in mails
        if mail.campaign_id == campaign.id and mail.kind == MailKind.ASK
    }


def decide_verdict(
    contact: Contact, ask: CampaignMail, campaign: Campaign, now: datetime
) -> Verdict:
    """Return what the deadline does to one contact at `now`."""
    return expiry(
        Status(contact.status),
        basis=contact.basis,
        include_thin=campaign.include_thin,
        # What came back later has not reached anybody (invariant 4).
        accepted_at=ask.sent_at if ask.state == MailState.SENT and not ask.bounce else None,
        deadline=campaign.deadline,
        now=now,
        minimum_days=campaign.minimum_days,
    )


def collect_proofs(
    campaign: Campaign, silent: list[Contact], asks: Mapping[int, CampaignMail]
) -> dict[int, dict[str, Any]]:
    """Return, by contact id, what shows that each could have answered (GDPR art. 5(2))."""
    used, newest = _read_wordings(campaign)
    usual = newest.get(campaign.list.language, "")
    deadline = stored(campaign.deadline)
    return {
        contact.id: {
            # Nobody expires who was not sent an ask, so the moment is there.
            "asked_at": stored(cast("datetime", asks[contact.id].sent_at)),
            "deadline": deadline,
            "minimum_days": campaign.minimum_days,
            "mail_wording": used.get(asks[contact.id].wording_id)
            or newest.get(contact.language, usual),
        }
        for contact in silent
    }


def _read_wordings(campaign: Campaign) -> tuple[dict[int | None, str], dict[str, str]]:
    """Return the digests of the ask's wordings by their own id, and the newest by language.

    An ask names the one that it was made from.
    """
    rows = (
        CampaignWording.select()
        .where(CampaignWording.campaign == campaign, CampaignWording.kind == MailKind.ASK)
        .order_by(CampaignWording.revision)
    )
    return {row.id: row.wording_id for row in rows}, {row.language: row.wording_id for row in rows}


def has_unsent_asks(campaign: Campaign) -> bool:
    """Say whether an ask has yet to leave or is on its way."""
    query = Mail.select().where(
        Mail.campaign == campaign, Mail.kind == MailKind.ASK, Mail.state.in_(_UNSENT_STATES)
    )
    return bool(query.exists())


def count_outcomes(campaign: Campaign) -> dict[str, int]:
    """Count the asked by what became of them: the status, and for the removed the reason."""
    rows: Any = (
        Contact.select(Contact.status, Contact.reason, fn.COUNT(Contact.id))
        .join(Mail)
        .where(Mail.campaign == campaign, Mail.kind == MailKind.ASK)
        .group_by(Contact.status, Contact.reason)
        .tuples()
    )
    return {reason or status: count for status, reason, count in rows}
