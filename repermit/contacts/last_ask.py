"""What the list told people when it asked them last: what the evidence of a removal says of it.

Nothing here writes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress as without
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

from repermit.contacts.lookup import list_facts, list_told, list_unseen
from repermit.db.connection import chunks, literal
from repermit.db.models.base import stored
from repermit.db.models.campaigns import Campaign, CampaignWording, Wording
from repermit.db.models.contacts import Contact
from repermit.db.models.mails import Mail
from repermit.emails.frozen_draft import read_draft
from repermit.rules.consent import Basis, MailKind, MailState

_CHUNK = 500
_THEIR_OWN = (Basis.ANSWER, Basis.SIGN_UP)


class CampaignMail(NamedTuple):
    """What a removal needs to know of a mail of a campaign to a contact."""

    campaign_id: int
    id: int
    contact_id: int
    kind: str
    state: str
    bounce: str
    sent_at: datetime | None
    wording_id: int | None
    message_id: str = ""
    reply_code: int = 0
    reply_status: str = ""


_COLUMNS = (
    *(Mail.campaign, Mail.id, Mail.contact, Mail.kind),
    *(Mail.state, Mail.bounce, Mail.sent_at, Mail.wording),
    *(Mail.message_id, Mail.reply_code, Mail.reply_status),
)


def campaign_mails(contact_ids: Sequence[int]) -> list[CampaignMail]:
    """Return the mails that campaigns have for these contacts, those of the last campaign last."""
    found: list[CampaignMail] = []
    for some in chunks(contact_ids, _CHUNK):
        # By the people alone: SQLite would go through all mails of a campaign for these few.
        query: Any = Mail.select(*_COLUMNS).where(
            Mail.contact.in_(literal(some)), Mail.campaign.is_null(is_null=False)
        )
        found += map(CampaignMail._make, query.tuples())
    # Sorted here: to spare itself that, SQLite would take the index of campaigns after all.
    return sorted(found)


@dataclass
class Asked:
    """What a contact was mailed: by which campaign last, the ask and the reminder of it."""

    campaign: int
    mails: dict[str, CampaignMail] = field(default_factory=dict)

    @property
    def ask(self) -> CampaignMail | None:
        """Return the ask, None if the campaign has none for the contact."""
        return self.mails.get(MailKind.ASK)

    def sent_at(self, kind: str) -> str:
        """Return when a server took the mail of a kind, "" if none did."""
        mail = self.mails.get(kind)
        is_sent = mail is not None and mail.state == MailState.SENT
        return stored(mail.sent_at) if mail and is_sent and mail.sent_at else ""

    @property
    def delivery(self) -> Mapping[str, str]:
        """Return how the ask was delivered; nothing if no server took it."""
        ask = self.ask if self.sent_at(MailKind.ASK) else None
        return describe_delivery(ask.message_id, ask.reply_code, ask.reply_status) if ask else {}


def describe_delivery(message_id: str, code: int, status: str) -> dict[str, str]:
    """Return what the evidence keeps of an ask that a server took, by which its log can be asked.

    The server's words quote addresses, so that of its reply the codes alone are kept.
    """
    reply = " ".join(filter(None, (str(code or ""), status)))
    told = {"ask_message_id": message_id, "ask_reply": reply}
    return {name: value for name, value in told.items() if value}


def asked_last(mails: Iterable[CampaignMail]) -> dict[int, Asked]:
    """Return what the campaign that mailed each contact last has sent them, by the contact's id.

    - `mails`: as campaign_mails has them.
    """
    found: dict[int, Asked] = {}
    for mail in mails:
        one = found.get(mail.contact_id)
        if one is None or one.campaign != mail.campaign_id:
            one = found[mail.contact_id] = Asked(mail.campaign_id)
        one.mails[mail.kind] = mail
    return found


def told_last(
    contacts: Sequence[Contact], asked: Mapping[int, Asked]
) -> dict[int, Mapping[str, Any]]:
    """Return, by contact id, what each was asked and in which words, as the proof of an answer has.

    Of whom no mail was made who did not come by themselves either, it says what the list is about,
    as what they have not seen.
    """
    wordings = _words_of(asked.values())
    unseen: Mapping[str, Any] = {}
    told: dict[int, Mapping[str, Any]] = {}
    for contact in contacts:
        one = asked.get(contact.id)
        words = wordings.get(one.ask.wording_id) if one and one.ask else None
        if one and words:
            sent = {
                "asked_at": one.sent_at(MailKind.ASK),
                "reminded_at": one.sent_at(MailKind.REMINDER),
            }
            told[contact.id] = {**words, **sent, **one.delivery}
        elif contact.basis not in _THEIR_OWN and not (one and one.sent_at(MailKind.ASK)):
            unseen = unseen or list_unseen(list_facts(contact.list))
            told[contact.id] = unseen
    return told


def _words_of(asked: Iterable[Asked]) -> dict[int | None, Mapping[str, Any]]:
    """Return what these asks said of the list and until when, by the number of their wording."""
    numbers = {one.ask.wording_id for one in asked if one.ask and one.ask.wording_id is not None}
    if not numbers:
        return {}
    rows: Any = (
        CampaignWording.select(
            CampaignWording.id, Wording.digest, Wording.content, Campaign.deadline
        )
        .join(Wording)
        .join_from(CampaignWording, Campaign)
        .where(CampaignWording.id.in_(literal(numbers)))
    )
    return {
        number: {**_words(digest, content), "deadline": stored(deadline)}
        for number, digest, content, deadline in rows.tuples()
    }


# A wording never changes, and a hundred thousand asks have a few.
@lru_cache(maxsize=100)
def _words(digest: str, content: str) -> Mapping[str, Any]:
    """Return what a wording says; nobody stays on since it is of a format not known here."""
    told: dict[str, Any] = {"mail_wording": digest}
    with without(ValueError, TypeError, KeyError, AttributeError):
        draft = read_draft(content)
        about = draft.mailing_list.in_language(draft.language)
        told |= {"language": draft.language, **list_told(about)}
    return told
