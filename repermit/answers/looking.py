"""Looking up the contact that a link names, and the list that a sign-up page names.

May import messages, models and consent. Nothing here writes.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from repermit import addresses, consent, contacts, messages, suspicion
from repermit.answers.facts import Standing
from repermit.consent import MailKind, MailState, Status
from repermit.models import Campaign, CampaignWording, Contact, Mail, MailingList, Wording

if TYPE_CHECKING:
    from datetime import datetime

    from repermit.config import Settings
    from repermit.consent import Answer, Decision
    from repermit.messages import MailingListFacts


def look_up(uid: str) -> Standing | None:
    """Return where the contact that a link names stands, None if there is no such row."""
    contact: Contact | None = Contact.get_or_none(Contact.uid == uid)
    return None if contact is None else standing_of(contact)


def standing_of(contact: Contact) -> Standing:
    """Return where a contact stands."""
    mailing_list: MailingList = contact.list
    ask = _latest_ask(contact)
    campaign: Campaign | None = ask.campaign if ask else None
    wording = _wording(ask, contact.language, mailing_list.language)
    told = messages.read_draft(wording.content).mailing_list if wording else None
    about = told or contacts.list_facts(mailing_list)
    return Standing(
        uid=contact.uid,
        address=addresses.in_part(contact.address) if contact.address else "",
        language=about.pick(contact.language),
        status=Status(contact.status),
        status_at=contact.status_at,
        reason=contact.reason,
        basis=contact.basis,
        basis_at=contact.basis_at,
        source=contact.source,
        since=contact.since,
        is_gone=contact.erased_at is not None,
        mailing_list=about,
        campaign=campaign.id if campaign else 0,
        deadline=campaign.deadline if campaign else None,
        asked_at=ask.sent_at if ask and ask.state == MailState.SENT else None,
        reminded_at=_reminded_at(ask),
        mail_wording=wording.digest if wording else "",
        signs=contacts.signs_of(contact),
        is_off_by_file=contacts.is_off_by_file(contact),
        form_version=contact.form_version,
    )


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


def is_awaited(standing: Standing, mark: str) -> bool:
    """Say whether the Yes of the round that a page names by its mark is still waited for."""
    contact: Contact = Contact.get(Contact.uid == standing.uid)
    return suspicion.settles(contacts.recall(contact), mark)


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


def _latest_ask(contact: Contact) -> Mail | None:
    found: Mail | None = (
        Mail.select(Mail, Campaign)
        .join(Campaign)
        .where(Mail.contact == contact, Mail.kind == MailKind.ASK)
        .order_by(Campaign.id.desc())
        .first()
    )
    return found


def _reminded_at(ask: Mail | None) -> datetime | None:
    """Return when a server took the reminder of an ask, None if none did."""
    if ask is None:
        return None
    # By the contact alone: SQLite would read all mails of the campaign rather than these few.
    for mail in list(Mail.select().where(Mail.contact == ask.contact_id)):
        if mail.kind == MailKind.REMINDER and mail.campaign_id == ask.campaign_id:
            return mail.sent_at if mail.state == MailState.SENT else None
    return None


def _wording(ask: Mail | None, *languages: str) -> Wording | None:
    """Return the wording that an ask was made from, or is to be made from.

    Before it is made, that is the newest one in the first of these languages that there is.
    """
    if ask is None:
        return None
    rows = (
        CampaignWording.select(CampaignWording, Wording)
        .join(Wording)
        .where(CampaignWording.campaign == ask.campaign_id, CampaignWording.kind == MailKind.ASK)
        .order_by(CampaignWording.revision)
    )
    by_id = {row.id: row.wording for row in rows}
    if ask.wording_id in by_id:
        return by_id[ask.wording_id]
    by_language = {row.language: row.wording for row in rows}
    return next((by_language[one] for one in languages if one in by_language), None)
