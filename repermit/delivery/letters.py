"""Making the mail that a row of the queue stands for.

May import models, messages and links.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from repermit import contacts, evidence, messages
from repermit.consent import Answer, MailKind
from repermit.errors import NotFound
from repermit.links import Links
from repermit.messages import ConfirmValues, Filler, NoticeValues, ReceiptValues
from repermit.messages.signing import signer_of
from repermit.models import Campaign, CampaignWording, Contact, MailingList, Wording

if TYPE_CHECKING:
    from datetime import datetime

    from repermit.config import Settings
    from repermit.delivery.claiming import Claim
    from repermit.delivery.owed import Owed
    from repermit.links import Kind
    from repermit.messages import Draft, Letter


class Letters:
    """Makes mails, and keeps the wordings that it has read: one lives for one run of sending."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._links = Links(settings.public_url, settings.secret_keys)
        self._signer = signer_of(settings.mail)
        # One of each for a campaign and language, or a list and language.
        self._filler = cache(self._make_filler)
        self._list = cache(MailingList.get_by_id)

    def make(self, claim: Claim, *, now: datetime) -> Letter:
        """Return the mail that was claimed; a second attempt at one in doubt gives the same bytes.

        It is signed if there is a key to sign with. Raises NotFound if its wording is missing, and
        AddressError or ValueError if what would stand in it cannot.
        """
        letter = self._made(claim, now)
        return self._signer.signed(letter) if self._signer else letter

    def _made(self, claim: Claim, now: datetime) -> Letter:
        owed = claim.owed
        if owed.kind == MailKind.CONFIRM:
            make = self._confirm if owed.link_uid is None else self._requested
            return make(owed, owed.started_at or now)
        if owed.kind == MailKind.RECEIPT:
            return self._receipt(owed, owed.started_at or now)
        if owed.kind == MailKind.NOTICE:
            return self._notice(owed, owed.started_at or now)
        if claim.wording_id is None:
            raise NotFound("the campaign has no wording")
        return self._filler(claim.wording_id).fill(
            mail_id=owed.id,
            uid=owed.uid or "",
            address=owed.address or "",
            name=owed.name or "",
            source=owed.source or "",
            since=owed.since,
            date=owed.started_at or now,
            message_id=owed.message_id,
        )

    def _make_filler(self, wording_id: int) -> Filler:
        row = (
            CampaignWording.select(CampaignWording, Wording)
            .join(Wording)
            .where(CampaignWording.id == wording_id)
            .get()
        )
        draft = messages.read_draft(row.wording.content)
        return Filler(
            draft,
            list_label=self._list_label(draft),
            links=self._links,
            key=self._key,
            return_path="verp" if self._settings.mail.return_path == "verp" else "fixed",
            return_domain=self._settings.mail.return_domain,
        )

    def _confirm(self, owed: Owed, date: datetime) -> Letter:
        about = contacts.list_facts(self._list(owed.list_id))
        draft = messages.draft_confirm(
            organisation=self._settings.organisation,
            mailing_list=about,
            zone=self._settings.zone,
            language=about.pick(owed.sign_up_language or ""),
        )
        values = ConfirmValues(
            address=owed.sign_up_address or "",
            confirm_url=self._links.url("confirm", owed.sign_up_uid or ""),
            list_label=self._list_label(draft),
            message_id=self._message_id(owed, draft),
            return_path=self._return_path(owed, draft),
            date=date,
        )
        return messages.letter_of(messages.compose(draft, values))

    def _receipt(self, owed: Owed, date: datetime) -> Letter:
        draft = self._receipt_draft(owed)
        uid = owed.uid or ""
        values = ReceiptValues(
            address=owed.address or "",
            yes_url=self._links.url("yes", uid),
            no_url=self._links.url("no", uid),
            me_url=self._links.url("me", uid),
            receipt_url=self._links.url("receipt", uid),
            list_label=self._list_label(draft),
            message_id=self._message_id(owed, draft),
            return_path=self._return_path(owed, draft),
            date=date,
        )
        return messages.letter_of(messages.compose(draft, values))

    def _receipt_draft(self, owed: Owed) -> Draft:
        about = contacts.list_facts(self._list(owed.list_id))
        answer, answered_at = contacts.read_receipt(owed.topic)
        shared: dict[str, Any] = {
            "organisation": self._settings.organisation,
            "mailing_list": about,
            "answered_at": answered_at,
            "zone": self._settings.zone,
            "language": about.pick(owed.language or ""),
        }
        if answer is Answer.NO:
            return messages.draft_no_receipt(**shared)
        subject = Contact.get_by_id(owed.contact_id).subject
        seq = contacts.receipt_entry(subject, about.slug, answered_at)
        if seq is None:
            raise NotFound("the record has no entry of this Yes")
        # As it was right after the Yes, so that every attempt is the same mail.
        checkpoint = evidence.checkpoint_at(seq)
        return messages.draft_receipt(
            checkpoint=(checkpoint.seq, checkpoint.hash, checkpoint.root), **shared
        )

    def _requested(self, owed: Owed, date: datetime) -> Letter:
        about = contacts.list_facts(self._list(owed.list_id))
        draft = messages.draft_requested(
            owed.link_purpose or "",
            organisation=self._settings.organisation,
            mailing_list=about,
            zone=self._settings.zone,
            language=about.pick(owed.link_language or ""),
        )
        kind: Kind = "address" if owed.link_purpose == "address" else "fresh"
        values = ConfirmValues(
            address=owed.link_address or "",
            confirm_url=self._links.url(kind, owed.link_uid or ""),
            list_label=self._list_label(draft),
            message_id=self._message_id(owed, draft),
            return_path=self._return_path(owed, draft),
            date=date,
        )
        return messages.letter_of(messages.compose(draft, values))

    def _notice(self, owed: Owed, date: datetime) -> Letter:
        draft = self._notice_draft(owed)
        values = NoticeValues(
            address=self._settings.organisation.email,
            list_label=self._list_label(draft),
            message_id=self._message_id(owed, draft),
            return_path=self._return_path(owed, draft),
            date=date,
        )
        return messages.letter_of(messages.compose(draft, values))

    def _notice_draft(self, owed: Owed) -> Draft:
        settings = self._settings
        about = contacts.list_facts(self._list(owed.list_id))
        known: dict[str, Any] = {
            "organisation": settings.organisation,
            "mailing_list": about,
            "zone": settings.zone,
        }
        if news := messages.read_news(owed.topic):
            return messages.draft_daily(news, public_url=settings.public_url, **known)
        if closing := messages.read_closing(owed.topic):
            return messages.draft_closing(closing, public_url=settings.public_url, **known)
        number = messages.read_not_the_person(owed.topic)
        if number is not None:
            contact_url = f"{settings.public_url}/admin/lists/{about.slug}/contacts/{number}"
            return messages.draft_not_the_person(contact_url=contact_url, **known)
        deadline = Campaign.get_by_id(owed.campaign_id).deadline
        return messages.draft_notice(topic=owed.topic, deadline=deadline, **known)

    def _list_label(self, draft: Draft) -> str:
        # Under the key that never changes, since mail programs file by List-Id.
        return messages.list_label(draft.mailing_list, key=self._settings.fingerprint_key)

    def _message_id(self, owed: Owed, draft: Draft) -> str:
        """Return the Message-ID that the first attempt was given, or else the one to give."""
        domain = messages.sender_address(draft.mailing_list).rpartition("@")[2]
        return owed.message_id or messages.message_id(owed.id, sender_domain=domain, key=self._key)

    def _return_path(self, owed: Owed, draft: Draft) -> str:
        server = self._settings.mail
        return messages.return_path(
            "verp" if server.return_path == "verp" else "fixed",
            sender=messages.sender_address(draft.mailing_list),
            return_domain=server.return_domain,
            mail_id=owed.id,
            key=self._key,
        )

    @property
    def _key(self) -> bytes:
        return self._settings.secret_keys[-1]
