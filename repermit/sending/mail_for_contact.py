"""Making the mail that a row of the queue stands for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from itertools import islice
from typing import Any

from repermit.contacts import enqueue_receipt, lookup
from repermit.db.models.campaigns import Campaign, CampaignWording, Wording
from repermit.db.models.contacts import Contact
from repermit.db.models.lists import MailingList
from repermit.emails import (
    admin_notices,
    compose_mail,
    frozen_draft,
    mail_values,
    make_draft,
    message_id,
    mime_encoding,
    personal_mails,
    sender_identity,
)
from repermit.emails.dkim_signature import signer_of
from repermit.emails.fill_draft import Filler
from repermit.emails.frozen_draft import Draft
from repermit.emails.mail_values import ConfirmValues, NoticeValues, ReceiptValues
from repermit.emails.mime_encoding import Letter
from repermit.errors import NotFound, RepermitError
from repermit.evidence import stored_tree
from repermit.rules.consent import Answer, MailKind
from repermit.sending.queue import Claim
from repermit.sending.queued_mail import QueuedMail
from repermit.settings.definitions import Settings
from repermit.signed_links import Kind, Links


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
        draft = frozen_draft.read_draft(row.wording.content)
        return Filler(
            draft,
            list_label=self._list_label(draft),
            links=self._links,
            key=self._key,
            return_path="verp" if self._settings.mail.return_path == "verp" else "fixed",
            return_domain=self._settings.mail.return_domain,
        )

    def _confirm(self, owed: QueuedMail, date: datetime) -> Letter:
        about = lookup.list_facts(self._list(owed.list_id))
        draft = make_draft.draft_confirm(
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
        return mime_encoding.letter_of(compose_mail.compose(draft, values))

    def _receipt(self, owed: QueuedMail, date: datetime) -> Letter:
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
        return mime_encoding.letter_of(compose_mail.compose(draft, values))

    def _receipt_draft(self, owed: QueuedMail) -> Draft:
        about = lookup.list_facts(self._list(owed.list_id))
        answer, answered_at = enqueue_receipt.read_receipt(owed.topic)
        shared: dict[str, Any] = {
            "organisation": self._settings.organisation,
            "mailing_list": about,
            "answered_at": answered_at,
            "zone": self._settings.zone,
            "language": about.pick(owed.language or ""),
        }
        if answer is Answer.NO:
            return personal_mails.draft_no_receipt(**shared)
        subject = Contact.get_by_id(owed.contact_id).subject
        seq = enqueue_receipt.receipt_entry(subject, about.slug, answered_at)
        if seq is None:
            raise NotFound("the record has no entry of this Yes")
        # As it was right after the Yes, so that every attempt is the same mail.
        checkpoint = stored_tree.checkpoint_at(seq)
        return personal_mails.draft_receipt(
            checkpoint=(checkpoint.seq, checkpoint.hash, checkpoint.root), **shared
        )

    def _requested(self, owed: QueuedMail, date: datetime) -> Letter:
        about = lookup.list_facts(self._list(owed.list_id))
        draft = personal_mails.draft_requested(
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
        return mime_encoding.letter_of(compose_mail.compose(draft, values))

    def _notice(self, owed: QueuedMail, date: datetime) -> Letter:
        draft = self._notice_draft(owed)
        values = NoticeValues(
            address=self._settings.organisation.email,
            list_label=self._list_label(draft),
            message_id=self._message_id(owed, draft),
            return_path=self._return_path(owed, draft),
            date=date,
        )
        return mime_encoding.letter_of(compose_mail.compose(draft, values))

    def _notice_draft(self, owed: QueuedMail) -> Draft:
        settings = self._settings
        about = lookup.list_facts(self._list(owed.list_id))
        known: dict[str, Any] = {
            "organisation": settings.organisation,
            "mailing_list": about,
            "zone": settings.zone,
        }
        if news := mail_values.read_news(owed.topic):
            return admin_notices.draft_daily(news, public_url=settings.public_url, **known)
        if closing := mail_values.read_closing(owed.topic):
            return admin_notices.draft_closing(closing, public_url=settings.public_url, **known)
        number = admin_notices.read_not_the_person(owed.topic)
        if number is not None:
            contact_url = f"{settings.public_url}/admin/lists/{about.slug}/contacts/{number}"
            return admin_notices.draft_not_the_person(contact_url=contact_url, **known)
        deadline = Campaign.get_by_id(owed.campaign_id).deadline
        return admin_notices.draft_notice(topic=owed.topic, deadline=deadline, **known)

    def _list_label(self, draft: Draft) -> str:
        # Under the key that never changes, since mail programs file by List-Id.
        return sender_identity.list_label(draft.mailing_list, key=self._settings.fingerprint_key)

    def _message_id(self, owed: QueuedMail, draft: Draft) -> str:
        """Return the Message-ID that the first attempt was given, or else the one to give."""
        domain = sender_identity.sender_address(draft.mailing_list).rpartition("@")[2]
        return owed.message_id or message_id.message_id(
            owed.id, sender_domain=domain, key=self._key
        )

    def _return_path(self, owed: QueuedMail, draft: Draft) -> str:
        server = self._settings.mail
        return message_id.return_path(
            "verp" if server.return_path == "verp" else "fixed",
            sender=sender_identity.sender_address(draft.mailing_list),
            return_domain=server.return_domain,
            mail_id=owed.id,
            key=self._key,
        )

    @property
    def _key(self) -> bytes:
        return self._settings.secret_keys[-1]


# --- Mails made ahead, some at a time, for lines that will soon ask for them. ---------------------


NOT_MADE = (RepermitError, LookupError, ValueError)
"""What making a mail raises if it cannot be made."""

# A mail bears the moment at which it was made.
_FRESH = timedelta(seconds=1)
_MOST = 64


@dataclass(slots=True)
class Prepared:
    """A claimed mail with its letter, and when that was made."""

    claim: Claim
    letter: Letter
    made_at: datetime


class Ahead:
    """Makes mails, and keeps those of the next claims for as long as they are fresh.

    Twice as many each time, as long as they leave in time; where they do not, one by one.
    """

    def __init__(self, letters: Letters) -> None:
        self._letters = letters
        self._made: dict[int, Prepared] = {}
        self._count = 0

    def prepare(self, claim: Claim, following: Iterable[Claim], *, now: datetime) -> Prepared:
        """Return a mail, made before or made now together with those that follow.

        Raises what `Letters.make` raises for the mail itself; what follows and cannot be made
        raises it in its own turn.
        """
        made = self._made.pop(claim.owed.id, None)
        if made is not None and made.claim is claim and now - made.made_at < _FRESH:
            return made
        is_late = made is not None or self._made
        self._count = 0 if is_late else min(2 * self._count + 1, _MOST)
        prepared = self._make(claim, now)
        self._made = dict(self._make_some(islice(following, self._count), now))
        return prepared

    def _make_some(self, claims: Iterable[Claim], now: datetime) -> Iterator[tuple[int, Prepared]]:
        for claim in claims:
            # What was asked for is made from what is there in its own turn.
            if claim.owed.is_asking:
                with suppress(*NOT_MADE):
                    yield claim.owed.id, self._make(claim, now)

    def _make(self, claim: Claim, now: datetime) -> Prepared:
        return Prepared(claim, self._letters.make(claim, now=now), now)
