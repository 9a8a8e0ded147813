"""Making the mail that a row of the queue stands for.

May import models, messages and links.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from repermit import contacts, messages
from repermit.consent import MailKind
from repermit.delivery.queue import ask_of, sign_up_of
from repermit.errors import NotFound
from repermit.links import Links
from repermit.messages import AskValues, ConfirmValues
from repermit.models import CampaignWording, Wording

if TYPE_CHECKING:
    from datetime import datetime

    from repermit.config import Settings
    from repermit.messages import Draft
    from repermit.models import Mail, MailingList


class Letters:
    """Makes mails, and keeps the wordings that it has read: one lives for one run of sending."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._links = Links(settings.public_url, settings.secret_keys)
        self._drafts: dict[tuple[str, int, str], Draft] = {}

    def make(self, mail: Mail, *, now: datetime) -> messages.Mail:
        """Return the mail that is owed; a second attempt at one in doubt gives the same bytes.

        Raises NotFound if its wording is missing, and AddressError or ValueError if what would
        stand in it cannot.
        """
        date = mail.started_at or now
        if mail.kind == MailKind.ASK:
            return self._ask(mail, date)
        return self._confirm(mail, date)

    def _ask(self, mail: Mail, date: datetime) -> messages.Mail:
        campaign, contact = ask_of(mail)
        key = (mail.kind, campaign.id, contact.language)
        if key not in self._drafts:
            self._drafts[key] = messages.read_draft(_frozen_wording(mail))
        draft = self._drafts[key]
        values = AskValues(
            address=contact.address or "",
            name=contact.name,
            source=contact.source,
            since=contact.since,
            yes_url=self._links.url("yes", contact.uid),
            no_url=self._links.url("no", contact.uid),
            me_url=self._links.url("me", contact.uid),
            list_label=self._list_label(draft),
            message_id=self._message_id(mail, draft),
            return_path=self._return_path(mail, draft),
            date=date,
        )
        return messages.compose(draft, values)

    def _confirm(self, mail: Mail, date: datetime) -> messages.Mail:
        sign_up = sign_up_of(mail)
        mailing_list: MailingList = mail.list
        language = messages.pick_language(sign_up.language, otherwise=mailing_list.language)
        key = (mail.kind, mail.list_id, language)
        if key not in self._drafts:
            self._drafts[key] = self._draft_confirm(mailing_list, language)
        draft = self._drafts[key]
        values = ConfirmValues(
            address=sign_up.address,
            confirm_url=self._links.url("confirm", sign_up.uid),
            list_label=self._list_label(draft),
            message_id=self._message_id(mail, draft),
            return_path=self._return_path(mail, draft),
            date=date,
        )
        return messages.compose(draft, values)

    def _draft_confirm(self, mailing_list: MailingList, language: str) -> Draft:
        return messages.draft_confirm(
            organisation=self._settings.organisation,
            mailing_list=contacts.list_facts(mailing_list),
            zone=self._settings.zone,
            language=language,
        )

    def _list_label(self, draft: Draft) -> str:
        # Under the key that never changes, since mail programs file by List-Id.
        return messages.list_label(draft.mailing_list, key=self._settings.fingerprint_key)

    def _message_id(self, mail: Mail, draft: Draft) -> str:
        """Return the Message-ID that the first attempt was given, or else the one to give."""
        domain = messages.sender_address(draft.mailing_list).rpartition("@")[2]
        fresh = messages.message_id(str(mail.id), sender_domain=domain, key=self._key)
        return mail.message_id or fresh

    def _return_path(self, mail: Mail, draft: Draft) -> str:
        server = self._settings.mail
        return messages.return_path(
            "verp" if server.return_path == "verp" else "fixed",
            sender=messages.sender_address(draft.mailing_list),
            return_domain=server.return_domain,
            mail_id=mail.id,
            key=self._key,
        )

    @property
    def _key(self) -> bytes:
        return self._settings.secret_keys[-1]


def _frozen_wording(mail: Mail) -> str:
    """Return the campaign's wording in the contact's language, else the list's, else any."""
    campaign, contact = ask_of(mail)
    frozen = (
        CampaignWording.select(CampaignWording, Wording)
        .join(Wording)
        .where(CampaignWording.campaign == campaign, CampaignWording.kind == mail.kind)
        .order_by(CampaignWording.id)
    )
    found = {row.language: row.wording.content for row in frozen}
    for language in (contact.language, mail.list.language, *found):
        if language in found:
            content: str = found[language]
            return content
    message = "the campaign has no wording"
    raise NotFound(message)
