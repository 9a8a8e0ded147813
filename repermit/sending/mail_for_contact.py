"""Composing the mail of a queued row, for contacts and for the admin."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from repermit.contacts import enqueue_receipt, lookup
from repermit.db.models.campaigns import Campaign, CampaignWording, Wording
from repermit.db.models.contacts import Contact
from repermit.db.models.lists import MailingList
from repermit.emails import (
    admin_notices,
    compose_mail,
    frozen_draft,
    mail_types,
    make_draft,
    message_id,
    mime_encoding,
    receipt_and_link_mails,
    sender_identity,
)
from repermit.emails.dkim_signature import make_signer
from repermit.emails.fill_draft import DraftFiller
from repermit.emails.frozen_draft import Draft
from repermit.emails.mail_types import ConfirmValues, NoticeValues, ReceiptValues
from repermit.emails.mime_encoding import EncodedMail
from repermit.errors import NotFound, Refused, RepermitError
from repermit.evidence import chain_reader, cosigned_checkpoints, signed_checkpoint, stored_tree
from repermit.evidence.checkpoint_mails import WitnessTopic
from repermit.evidence.entries import Checkpoint
from repermit.rules.consent import ANSWERED_NO, Answer, MailKind
from repermit.rules.sign_up_deadline import SIGN_UP_LIFETIME
from repermit.sending.queue import Claim
from repermit.sending.queued_mail import QueuedMail
from repermit.settings.definitions import Settings
from repermit.signed_links import Kind, Links


class MailComposer:
    """Composes mails, and caches the wordings for one run of sending."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._links = Links(settings.public_url, settings.secret_keys)
        self._signer = make_signer(settings.mail)
        # One of each for a campaign and language, or a list and language.
        self._filler = cache(self._make_draft_filler)
        self._list = cache(MailingList.get_by_id)

    def compose(self, claim: Claim, *, now: datetime) -> EncodedMail:
        """Compose and sign a claimed mail; a second attempt at one in doubt gives the same bytes.

        - Signed only if the settings have a DKIM key.
        - Raises NotFound if its wording is missing.
        - Raises AddressError or ValueError if a value cannot be put into a mail.
        """
        encoded_mail = self._compose(claim, now)
        return self._signer.sign(encoded_mail) if self._signer else encoded_mail

    def _compose(self, claim: Claim, now: datetime) -> EncodedMail:
        mail = claim.mail
        if mail.kind == MailKind.CONFIRM:
            compose = self._compose_confirm if mail.link_uid is None else self._compose_requested
            return compose(mail, mail.started_at or now)
        if mail.kind == MailKind.RECEIPT:
            return self._compose_receipt(mail, mail.started_at or now)
        if mail.kind == MailKind.NOTICE:
            return self._compose_notice(mail, mail.started_at or now)
        if claim.wording_id is None:
            raise NotFound("the campaign has no wording")
        return self._filler(claim.wording_id).fill(
            mail_id=mail.id,
            uid=mail.uid or "",
            address=mail.address or "",
            name=mail.name or "",
            source=mail.source or "",
            since=mail.since,
            date=mail.started_at or now,
            message_id=mail.message_id,
        )

    def _make_draft_filler(self, wording_id: int) -> DraftFiller:
        row = (
            CampaignWording.select(CampaignWording, Wording)
            .join(Wording)
            .where(CampaignWording.id == wording_id)
            .get()
        )
        draft = frozen_draft.read_draft(row.wording.content)
        return DraftFiller(
            draft,
            list_label=self._make_list_label(draft),
            links=self._links,
            key=self._key,
            return_path="verp" if self._settings.mail.return_path == "verp" else "fixed",
            return_domain=self._settings.mail.return_domain,
        )

    def _compose_confirm(self, mail: QueuedMail, date: datetime) -> EncodedMail:
        list_facts = lookup.read_list_facts(self._list(mail.list_id))
        draft = make_draft.draft_join_confirmation(
            organisation=self._settings.organisation,
            mailing_list=list_facts,
            zone=self._settings.zone,
            language=list_facts.pick_language(mail.sign_up_language or ""),
            ends_at=(mail.signed_up_at or date) + SIGN_UP_LIFETIME,
        )
        values = ConfirmValues(
            address=mail.sign_up_address or "",
            confirm_url=self._links.url("confirm", mail.sign_up_uid or ""),
            **self._make_headers(mail, draft, date),
        )
        return mime_encoding.encode_mail(compose_mail.compose_mail(draft, values))

    def _compose_receipt(self, mail: QueuedMail, date: datetime) -> EncodedMail:
        draft, checkpoint = self._make_receipt_draft(mail)
        uid = mail.uid or ""
        values = ReceiptValues(
            address=mail.address or "",
            yes_url=self._links.url("yes", uid),
            no_url=self._links.url("no", uid),
            me_url=self._links.url("me", uid),
            receipt_url=self._links.url("receipt", uid),
            checkpoint=checkpoint,
            **self._make_headers(mail, draft, date),
        )
        return mime_encoding.encode_mail(compose_mail.compose_mail(draft, values))

    def _make_receipt_draft(self, mail: QueuedMail) -> tuple[Draft, str]:
        """Return the wording of a receipt, and the signed checkpoint to attach, "" for none."""
        list_facts = lookup.read_list_facts(self._list(mail.list_id))
        answer, answered_at = enqueue_receipt.read_receipt(mail.topic)
        shared: dict[str, Any] = {
            "organisation": self._settings.organisation,
            "mailing_list": list_facts,
            "answered_at": answered_at,
            "zone": self._settings.zone,
            "language": list_facts.pick_language(mail.language or ""),
        }
        contact = Contact.get_by_id(mail.contact_id)
        if answer is Answer.NO:
            said_no = contact.reason in ANSWERED_NO
            return receipt_and_link_mails.draft_no_receipt(said_no=said_no, **shared), ""
        seq = enqueue_receipt.find_receipt_entry(contact.subject, list_facts.slug, answered_at)
        if seq is None:
            raise NotFound("the record has no entry of this Yes")
        # A Yes by phone, letter or reply may have been given before its entry was made.
        if given_at := chain_reader.read_consents([seq]).get(seq, {}).get("arrived_at"):
            shared["answered_at"] = datetime.fromisoformat(given_at)
        # The checkpoint right after the Yes, so that every attempt is the same mail.
        checkpoint = signed_checkpoint.sign(stored_tree.compute_checkpoint_at(seq), self._settings)
        draft = receipt_and_link_mails.draft_yes_receipt(checkpoint=checkpoint.to_json(), **shared)
        return draft, json.dumps(checkpoint.to_json()) if checkpoint.note else ""

    def _compose_requested(self, mail: QueuedMail, date: datetime) -> EncodedMail:
        list_facts = lookup.read_list_facts(self._list(mail.list_id))
        draft = receipt_and_link_mails.draft_requested_mail(
            mail.link_purpose or "",
            organisation=self._settings.organisation,
            mailing_list=list_facts,
            zone=self._settings.zone,
            language=list_facts.pick_language(mail.link_language or ""),
        )
        kind: Kind = "address" if mail.link_purpose == "address" else "fresh"
        values = ConfirmValues(
            address=mail.link_address or "",
            confirm_url=self._links.url(kind, mail.link_uid or ""),
            **self._make_headers(mail, draft, date),
        )
        return mime_encoding.encode_mail(compose_mail.compose_mail(draft, values))

    def _compose_notice(self, mail: QueuedMail, date: datetime) -> EncodedMail:
        draft = self._make_notice_draft(mail)
        address = self._settings.organisation.email
        if witness := WitnessTopic.read(mail.topic):
            address = witness.find_address(self._settings.evidence.witnesses) or ""
            if not address:
                raise NotFound("the settings do not name this witness any more")
        values = NoticeValues(address=address, **self._make_headers(mail, draft, date))
        return mime_encoding.encode_mail(compose_mail.compose_mail(draft, values))

    def _make_notice_draft(self, mail: QueuedMail) -> Draft:
        settings = self._settings
        list_facts = lookup.read_list_facts(self._list(mail.list_id))
        shared: dict[str, Any] = {
            "organisation": settings.organisation,
            "mailing_list": list_facts,
            "zone": settings.zone,
        }
        if summary := mail_types.parse_daily_summary(mail.topic):
            shared["checkpoint"] = self._read_checkpoint(summary.seq)
            return admin_notices.draft_daily_summary(
                summary, public_url=settings.public_url, **shared
            )
        if closing := mail_types.parse_closing_summary(mail.topic):
            checkpoint = Checkpoint(seq=closing.seq, hash=closing.hash, root=closing.root)
            shared["checkpoint"] = signed_checkpoint.sign(checkpoint, settings).to_json()
            return admin_notices.draft_campaign_closed(
                closing, public_url=settings.public_url, **shared
            )
        if witness := WitnessTopic.read(mail.topic):
            # Cosignatures added after the mail was enqueued stay out of it, at every attempt.
            cosigned = cosigned_checkpoints.read_occasion(witness.occasion)
            shared["checkpoint"] = (
                cosigned.to_json() if cosigned else self._read_checkpoint(witness.seq)
            )
            return admin_notices.draft_witness_checkpoint(**shared)
        number = admin_notices.read_not_the_person(mail.topic)
        if number is not None:
            contact_url = f"{settings.public_url}/admin/lists/{list_facts.slug}/contacts/{number}"
            return admin_notices.draft_not_the_person(contact_url=contact_url, **shared)
        deadline = Campaign.get_by_id(mail.campaign_id).deadline
        return admin_notices.draft_campaign_paused(
            topic=mail.topic, deadline=deadline, public_url=settings.public_url, **shared
        )

    def _read_checkpoint(self, seq: int) -> dict[str, Any] | None:
        """Return the checkpoint when a mail was enqueued; None if the mail or chain has none."""
        try:
            # The same at every attempt.
            checkpoint = stored_tree.compute_checkpoint_at(seq) if seq else None
        except Refused:
            return None
        return signed_checkpoint.sign(checkpoint, self._settings).to_json() if checkpoint else None

    def _make_headers(self, mail: QueuedMail, draft: Draft, date: datetime) -> dict[str, Any]:
        """Return the values that mails of every kind have."""
        return {
            "list_label": self._make_list_label(draft),
            "message_id": self._make_message_id(mail, draft),
            "return_path": self._make_return_path(mail, draft),
            "date": date,
        }

    def _make_list_label(self, draft: Draft) -> str:
        # Under the key that never changes, since mail programs file by List-Id.
        return sender_identity.make_list_label(
            draft.mailing_list, key=self._settings.fingerprint_key
        )

    def _make_message_id(self, mail: QueuedMail, draft: Draft) -> str:
        """Return the Message-ID of the first attempt, or else a new one."""
        domain = sender_identity.read_sender_address(draft.mailing_list).rpartition("@")[2]
        return mail.message_id or message_id.make_message_id(
            mail.id, mail.owner, sender_domain=domain, key=self._key
        )

    def _make_return_path(self, mail: QueuedMail, draft: Draft) -> str:
        server = self._settings.mail
        return message_id.make_return_path(
            "verp" if server.return_path == "verp" else "fixed",
            sender=sender_identity.read_sender_address(draft.mailing_list),
            return_domain=server.return_domain,
            mail_id=mail.id,
            owner=mail.owner,
            key=self._key,
        )

    @property
    def _key(self) -> bytes:
        return self._settings.secret_keys[-1]


# --- Mails composed ahead, for connections that will soon need them. ------------------------------


COMPOSE_ERRORS = (RepermitError, LookupError, ValueError)
"""The errors of a mail that cannot be composed."""

# A mail's Date header is the time at which it was composed.
_MAX_AGE = timedelta(seconds=1)


@dataclass(slots=True)
class PreparedMail:
    """A claimed mail, encoded, and when it was composed."""

    claim: Claim
    encoded_mail: EncodedMail
    made_at: datetime


class Prefetch:
    """Composes mails, and stores mails composed ahead for as long as they are fresh."""

    def __init__(self, composer: MailComposer) -> None:
        self._composer = composer
        self._prefetched: dict[int, PreparedMail] = {}

    def prepare(self, claim: Claim, *, now: datetime) -> PreparedMail:
        """Return a mail, composed ahead or now; raises what `MailComposer.compose` raises."""
        prefetched = self._prefetched.pop(claim.mail.id, None)
        if prefetched and prefetched.claim is claim and _is_fresh(prefetched, now):
            return prefetched
        return PreparedMail(claim, self._composer.compose(claim, now=now), now)

    def compose_ahead(self, claims: Iterable[Claim], *, now: datetime) -> None:
        """Compose the mails of claims that are not stored yet; discard mails that are too old.

        The error of a mail that cannot be composed is raised by `prepare` later.
        """
        self._prefetched = {
            number: prepared
            for number, prepared in self._prefetched.items()
            if _is_fresh(prepared, now)
        }
        for claim in claims:
            prepared = self._prefetched.get(claim.mail.id)
            # Mails that a reader requested are composed from the state at their own turn.
            if claim.mail.is_asking and not (prepared and prepared.claim is claim):
                with suppress(*COMPOSE_ERRORS):
                    self._prefetched[claim.mail.id] = self.prepare(claim, now=now)


def _is_fresh(prepared: PreparedMail, now: datetime) -> bool:
    return now - prepared.made_at < _MAX_AGE
