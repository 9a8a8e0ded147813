"""Looking up the contact that a link names, and the list that a sign-up page names.

May import messages, models and consent. Nothing here writes.
"""

from __future__ import annotations

import hmac
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from peewee import JOIN

from repermit import addresses, consent, contacts, messages, suspicion
from repermit.answers.facts import Standing
from repermit.consent import MailKind, MailState, Status
from repermit.models import (
    Campaign,
    CampaignWording,
    Contact,
    Mail,
    MailingList,
    PreparedQuery,
    Wording,
)

if TYPE_CHECKING:
    from datetime import datetime

    from repermit.config import Settings
    from repermit.consent import Answer, Decision
    from repermit.messages import MailingListFacts
    from repermit.models import Opening


def look_up(uid: str) -> Standing | None:
    """Return where the contact that a link names stands, None if there is no such row."""
    contact: Contact | None = Contact.get_or_none(Contact.uid == uid)
    return None if contact is None else standing_of(contact, contacts.opening_of(contact))


def standing_of(contact: Contact, opening: Opening | None) -> Standing:
    """Return where a contact stands; `opening` is the row of its links."""
    ask, reminded_at = _latest_ask(contact)
    digest = (ask.wording or _newest_wording(ask, contact)) if ask else ""
    about = _facts_in(digest) if digest else contacts.list_facts(contact.list)
    return Standing(
        **_own(contact, opening),
        language=about.pick(contact.language),
        mailing_list=about,
        campaign=ask.campaign if ask else 0,
        deadline=ask.deadline if ask else None,
        asked_at=ask.sent_at if ask and ask.state == MailState.SENT else None,
        reminded_at=reminded_at,
        mail_wording=digest,
    )


def standing_after(standing: Standing, contact: Contact, opening: Opening | None) -> Standing:
    """Return where a contact stands after an act on it alone, in the transaction of that act."""
    return replace(standing, **_own(contact, opening))


def _own(contact: Contact, opening: Opening | None) -> dict[str, Any]:
    return {
        "uid": contact.uid,
        "address": addresses.in_part(contact.address) if contact.address else "",
        "status": Status(contact.status),
        "status_at": contact.status_at,
        "reason": contact.reason,
        "basis": contact.basis,
        "basis_at": contact.basis_at,
        "source": contact.source,
        "since": contact.since,
        "is_gone": contact.erased_at is not None,
        "signs": contacts.signs_of(opening),
        "awaited": suspicion.awaited_mark(contacts.recall(contact, opening)),
        "is_off_by_file": contacts.is_off_by_file(contact),
        "form_version": contact.form_version,
    }


def foresee(standing: Standing, answer: Answer, *, arrived: datetime) -> Decision:
    """Say what an answer that arrives at `arrived` would do; changes nothing."""
    return consent.decide(
        answer,
        standing.status,
        reason=standing.reason,
        basis=standing.basis,
        arrived=arrived,
        deadline=standing.deadline,
        by_file=standing.is_off_by_file,
    )


def join_id(mailing_list: MailingListFacts | MailingList, *, settings: Settings) -> str:
    """Return what names a list in the address of its sign-up page.

    It is the slug, or on a sensitive list 16 hexadecimal digits that tell nothing and do not
    change when the keys of the links do.
    """
    if not mailing_list.sensitive:
        return mailing_list.slug
    code = hmac.digest(settings.fingerprint_key, b"join\0" + mailing_list.slug.encode(), "sha256")
    return code.hex()[:16]


def find_joinable(name: str, *, settings: Settings) -> MailingList | None:
    """Return the list whose `join_id` is `name`, or None."""
    lists = MailingList.select()
    return next((one for one in lists if join_id(one, settings=settings) == name), None)


class _Ask(NamedTuple):
    """A contact's mail of a campaign; `wording` is the digest of what it was made from, if any."""

    campaign: int
    deadline: datetime
    kind: str
    state: str
    sent_at: datetime | None
    wording: str | None


def _latest_ask(contact: Contact) -> tuple[_Ask | None, datetime | None]:
    """Return the ask of the latest campaign, and when a server took its reminder, if one did."""
    mails = [_Ask(*row) for row in _MAILS.rows(contact)]
    asks = [mail for mail in mails if mail.kind == MailKind.ASK]
    ask = max(asks, key=lambda mail: mail.campaign, default=None)
    reminders = (
        mail.sent_at
        for mail in mails
        if ask
        and (mail.kind, mail.campaign, mail.state)
        == (MailKind.REMINDER, ask.campaign, MailState.SENT)
    )
    return ask, next(reminders, None)


_MAILS = PreparedQuery(
    # By the contact alone: SQLite would read all mails of the campaign rather than these few.
    lambda contact: (
        Mail.select(
            *(Mail.campaign, Campaign.deadline, Mail.kind, Mail.state, Mail.sent_at),
            CampaignWording.wording,
        )
        .join(Campaign)
        .join_from(Mail, CampaignWording, JOIN.LEFT_OUTER)
        .where(Mail.contact == contact)
        .tuples()
    ),
    1,
)


def _newest_wording(ask: _Ask, contact: Contact) -> str:
    """Return the digest of what an ask that is not made yet is to be made from.

    That is the newest wording in the first of the languages that there is.
    """
    newest: dict[str, str] = dict(_WORDINGS.rows(ask.campaign))
    return newest.get(contact.language) or newest.get(contact.list.language, "")


_WORDINGS = PreparedQuery(
    lambda campaign: (
        CampaignWording.select(CampaignWording.language, CampaignWording.wording)
        .where(CampaignWording.campaign == campaign, CampaignWording.kind == MailKind.ASK)
        .order_by(CampaignWording.revision)
        .tuples()
    ),
    1,
)


@lru_cache(maxsize=64)
def _facts_in(digest: str) -> MailingListFacts:
    """Return what a wording told of its list; a digest stands for one text, in any database."""
    content = Wording.select(Wording.content).where(Wording.digest == digest).get().content
    return messages.read_draft(content).mailing_list
