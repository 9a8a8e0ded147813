"""What the list told people when it asked them last: what the evidence of a removal says of it.

May import messages, models and this room's looking. Nothing here writes.
"""

from __future__ import annotations

from contextlib import suppress as without
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from repermit.consent import Basis, MailKind, MailState
from repermit.contacts.looking import list_facts, list_told, list_unseen
from repermit.messages import read_draft
from repermit.models import Campaign, CampaignWording, Contact, Mail, Wording, chunks, stored

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_CHUNK = 500
_THEIR_OWN = (Basis.ANSWER, Basis.SIGN_UP)


@dataclass
class Asked:
    """What a contact was mailed: by which campaign last, the ask and the reminder of it."""

    campaign: int
    mails: dict[str, Mail] = field(default_factory=dict)

    @property
    def ask(self) -> Mail | None:
        """Return the ask, None if the campaign has none for the contact."""
        return self.mails.get(MailKind.ASK)

    def sent_at(self, kind: str) -> str:
        """Return when a server took the mail of a kind, "" if none did."""
        mail = self.mails.get(kind)
        is_sent = mail is not None and mail.state == MailState.SENT
        return stored(mail.sent_at) if mail and is_sent and mail.sent_at else ""


def asked_last(contacts: Iterable[Contact]) -> dict[int, Asked]:
    """Return what the campaign that mailed each contact last has sent them, by the contact's id."""
    found: dict[int, Asked] = {}
    for some in chunks([contact.id for contact in contacts], _CHUNK):
        # By the people alone: SQLite would go through all mails of a campaign for these few.
        query = Mail.select().where(Mail.contact.in_(some), Mail.campaign.is_null(is_null=False))
        # Sorted here: to spare itself that, SQLite would take the index of campaigns after all.
        for mail in sorted(query, key=lambda mail: (mail.campaign_id or 0, mail.id)):
            contact, campaign = mail.contact_id or 0, mail.campaign_id or 0
            one = found.get(contact)
            if one is None or one.campaign != campaign:
                one = found[contact] = Asked(campaign)
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
    deadlines = _deadlines_of(asked.values())
    unseen = list_unseen(list_facts(contacts[0].list)) if contacts else {}
    told: dict[int, Mapping[str, Any]] = {}
    for contact in contacts:
        one = asked.get(contact.id)
        words = wordings.get(one.ask.wording_id) if one and one.ask else None
        if one and words:
            sent = {
                "asked_at": one.sent_at(MailKind.ASK),
                "reminded_at": one.sent_at(MailKind.REMINDER),
            }
            told[contact.id] = {**words, **sent, "deadline": deadlines[one.campaign]}
        elif contact.basis not in _THEIR_OWN and not (one and one.sent_at(MailKind.ASK)):
            told[contact.id] = unseen
    return told


def _words_of(asked: Iterable[Asked]) -> dict[int | None, Mapping[str, Any]]:
    """Return what each of the wordings of these asks says of the list, by its number."""
    numbers = {one.ask.wording_id for one in asked if one.ask and one.ask.wording_id is not None}
    rows = (
        CampaignWording.select(CampaignWording, Wording)
        .join(Wording)
        .where(CampaignWording.id.in_(list(numbers)))
    )
    return {row.id: _words(row.wording) for row in rows} if numbers else {}


def _words(wording: Wording) -> Mapping[str, Any]:
    """Return what a wording says; nobody stays on since it is of a format not known here."""
    told: dict[str, Any] = {"mail_wording": wording.digest}
    with without(ValueError, TypeError, KeyError, AttributeError):
        draft = read_draft(wording.content)
        about = draft.mailing_list.told_in(draft.language)
        told |= {"language": draft.language, **list_told(about)}
    return told


def _deadlines_of(asked: Iterable[Asked]) -> dict[int, str]:
    numbers = list({one.campaign for one in asked})
    rows: Any = Campaign.select(Campaign.id, Campaign.deadline).where(Campaign.id.in_(numbers))
    return {number: stored(deadline) for number, deadline in rows.tuples()} if numbers else {}
