"""The latest ask of contacts: its mails, the effect of silence, and the evidence about it.

Nothing here writes.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple

from repermit.clock import format_timestamp
from repermit.contacts import human_replies
from repermit.contacts.lookup import (
    describe_list,
    describe_unseen_list,
    make_undecided_condition,
    read_list_facts,
)
from repermit.db.connection import chunks, make_id_list
from repermit.db.models.base import ID_LIST, PreparedQuery, parse_timestamp
from repermit.db.models.campaigns import Campaign, CampaignWording, Wording
from repermit.db.models.contacts import Contact
from repermit.db.models.mails import Mail
from repermit.emails.frozen_draft import read_draft
from repermit.rules.consent import (
    OWN_YES,
    MailKind,
    MailState,
    Status,
)
from repermit.rules.deadlines_and_reminders import (
    Verdict,
    decide_expiry,
)

_CHUNK = 500


class CampaignMail(NamedTuple):
    """The columns of a campaign's mail that a removal needs."""

    campaign_id: int
    id: int
    contact_id: int
    kind: str
    state: str
    bounce: str
    wording_id: int | None
    message_id: str
    reply_code: int
    reply_status: str
    sent_at: datetime | None


def list_campaign_mails(contact_ids: Sequence[int]) -> list[CampaignMail]:
    """Return the campaign mails of these contacts, those of the latest campaign last."""
    mails: list[CampaignMail] = []
    for chunk in chunks(contact_ids, _CHUNK):
        for *values, sent_at in _MAILS.raw_rows(ids=chunk):
            mails.append(CampaignMail._make((*values, sent_at and parse_timestamp(sent_at))))
    # Sorted here: with ORDER BY, SQLite would choose the slower index of campaigns.
    return sorted(mails)


# By contacts alone: SQLite would scan all mails of a campaign for these few.
_MAILS = PreparedQuery(
    lambda: (
        Mail.select(
            *(Mail.campaign, Mail.id, Mail.contact, Mail.kind, Mail.state, Mail.bounce),
            *(Mail.wording, Mail.message_id, Mail.reply_code, Mail.reply_status, Mail.sent_at),
        )
        .where(Mail.contact.in_(ID_LIST), Mail.campaign.is_null(is_null=False))
        .tuples()
    )
)


def index_asks(campaign: Campaign, mails: Iterable[CampaignMail]) -> dict[int, CampaignMail]:
    """Return each contact's ask in this campaign, by the contact's id."""
    campaign_id, kind = campaign.id, MailKind.ASK
    return {
        mail.contact_id: mail
        for mail in mails
        if mail.campaign_id == campaign_id and mail.kind == kind
    }


def decide_verdicts(
    campaign: Campaign,
    contacts: Sequence[Contact],
    asks: Mapping[int, CampaignMail],
    now: datetime,
) -> dict[int, Verdict]:
    """Return what the deadline does to contacts at `now`, by contact id.

    - `asks`: from `index_asks`; a contact without one is left out.
    """
    asked = [contact for contact in contacts if contact.id in asks]
    replied_at = human_replies.index_waiting_replies([contact.id for contact in asked])
    return {
        contact.id: _decide_verdict(
            contact, asks[contact.id], campaign, now, replied_at.get(contact.id)
        )
        for contact in asked
    }


def _decide_verdict(
    contact: Contact,
    ask: CampaignMail,
    campaign: Campaign,
    now: datetime,
    replied_at: datetime | None,
) -> Verdict:
    return decide_expiry(
        Status(contact.status),
        basis=contact.basis,
        include_thin=campaign.include_thin,
        # An ask that came back later has reached nobody (invariant 4).
        accepted_at=ask.sent_at if ask.state == MailState.SENT and not ask.bounce else None,
        deadline=campaign.deadline,
        now=now,
        minimum_days=campaign.minimum_days,
        replied_at=replied_at,
    )


def list_undecided(campaign: Campaign) -> list[int]:
    """Return the ids of the asked contacts whose question is still open, in order.

    They are read in one query: page by page, SQLite would sort the audience for every page.
    """
    rows = select_undecided(campaign).order_by(Mail.contact)
    return [contact_id for (contact_id,) in rows.iterator()]


def select_undecided(campaign: Campaign) -> Any:
    """Return the query for the ids of the asked contacts whose question is still open."""
    return (
        Mail.select(Mail.contact)
        .join(Contact)
        .where(
            Mail.campaign == campaign,
            Mail.kind == MailKind.ASK,
            make_undecided_condition(campaign),
        )
        .tuples()
    )


def count_verdicts(campaign: Campaign, now: datetime, chunk: int = _CHUNK) -> Counter[Verdict]:
    """Count the verdicts on a campaign's undecided contacts at `now`, without locking them."""
    verdicts: Counter[Verdict] = Counter()
    for ids in chunks(list_undecided(campaign), chunk):
        asks = index_asks(campaign, list_campaign_mails(ids))
        contacts = list(Contact.select().where(Contact.id.in_(make_id_list(ids))))
        verdicts.update(decide_verdicts(campaign, contacts, asks, now).values())
    return verdicts


class EvidenceFields(NamedTuple):
    """Evidence fields of a contact: those shared with others, and individual ones."""

    shared: Mapping[str, Any] = MappingProxyType({})
    individual: Mapping[str, str] = MappingProxyType({})


@dataclass
class LastAsk:
    """The campaign that mailed a contact last, with its mails by kind."""

    campaign: int
    mails: dict[str, CampaignMail] = field(default_factory=dict)

    @property
    def ask(self) -> CampaignMail | None:
        """Return the ask, None if the campaign has none for the contact."""
        return self.mails.get(MailKind.ASK)

    def sent_at(self, kind: str) -> str:
        """Return when a server accepted the mail of a kind, "" if none did."""
        mail = self.mails.get(kind)
        if mail is None or mail.sent_at is None or mail.state != MailState.SENT:
            return ""
        return format_timestamp(mail.sent_at)

    @property
    def delivery(self) -> Mapping[str, str]:
        """Return the delivery fields of the ask, empty if no server accepted it."""
        ask = self.ask if self.sent_at(MailKind.ASK) else None
        return describe_delivery(ask.message_id, ask.reply_code, ask.reply_status) if ask else {}


def describe_delivery(message_id: str, code: int, status: str) -> dict[str, str]:
    """Return the evidence fields of an accepted ask, by which the server's log can be searched.

    Only the codes of the reply are stored, since its text may quote addresses.
    """
    values = {"ask_message_id": message_id} if message_id else {}
    if reply := f"{code or ''} {status}".strip():
        values["ask_reply"] = reply
    return values


def find_last_asks(mails: Iterable[CampaignMail]) -> dict[int, LastAsk]:
    """Return, by contact id, the campaign that mailed the contact last, with its mails.

    - `mails`: from `list_campaign_mails`, in its order.
    """
    last_asks: dict[int, LastAsk] = {}
    for mail in mails:
        last_ask = last_asks.get(mail.contact_id)
        if last_ask is None or last_ask.campaign != mail.campaign_id:
            last_ask = last_asks[mail.contact_id] = LastAsk(mail.campaign_id)
        last_ask.mails[mail.kind] = mail
    return last_asks


def describe_last_asks(
    contacts: Sequence[Contact], last_asks: Mapping[int, LastAsk]
) -> dict[int, EvidenceFields]:
    """Return, by contact id, evidence fields of what each contact was asked and in which words.

    A contact that was sent no ask and gave no Yes of its own gets the list's description, marked as
    unseen.
    """
    wordings = _read_wordings(last_asks.values())
    unseen_list = EvidenceFields()
    descriptions: dict[int, EvidenceFields] = {}
    for contact in contacts:
        last_ask = last_asks.get(contact.id)
        ask = last_ask.ask if last_ask else None
        wording = wordings.get(ask.wording_id) if ask else None
        if last_ask and ask and wording:
            send_times = {
                "asked_at": last_ask.sent_at(MailKind.ASK),
                "reminded_at": last_ask.sent_at(MailKind.REMINDER),
            }
            descriptions[contact.id] = EvidenceFields(wording, {**send_times, **last_ask.delivery})
        elif contact.basis not in OWN_YES and not (last_ask and last_ask.sent_at(MailKind.ASK)):
            if not unseen_list.shared:
                unseen_list = EvidenceFields(describe_unseen_list(read_list_facts(contact.list)))
            descriptions[contact.id] = unseen_list
    return descriptions


def _read_wordings(last_asks: Iterable[LastAsk]) -> dict[int | None, Mapping[str, Any]]:
    """Return the evidence fields of these asks' wordings, with the deadline, by wording id."""
    wording_ids = {
        last_ask.ask.wording_id
        for last_ask in last_asks
        if last_ask.ask and last_ask.ask.wording_id is not None
    }
    if not wording_ids:
        return {}
    return {
        wording_id: {**_read_wording(digest, content), "deadline": format_timestamp(deadline)}
        for wording_id, digest, content, deadline in _WORDINGS.rows(ids=wording_ids)
    }


_WORDINGS = PreparedQuery(
    lambda: (
        CampaignWording.select(
            CampaignWording.id, Wording.digest, Wording.content, Campaign.deadline
        )
        .join(Wording)
        .join_from(CampaignWording, Campaign)
        .where(CampaignWording.id.in_(ID_LIST))
        .tuples()
    )
)


# A wording never changes, and a hundred thousand asks have a few.
@lru_cache(maxsize=100)
def _read_wording(digest: str, content: str) -> Mapping[str, Any]:
    """Return the evidence fields of a wording, or its digest alone if its format is unknown.

    An unknown format must not stop a removal.
    """
    description: dict[str, Any] = {"mail_wording": digest}
    with contextlib.suppress(ValueError, TypeError, KeyError, AttributeError):
        draft = read_draft(content)
        list_facts = draft.mailing_list.in_language(draft.language)
        description |= {"language": draft.language, **describe_list(list_facts)}
    return description
