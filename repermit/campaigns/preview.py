"""Previews of a list's mails as people get them, and the drafts of its asks."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from repermit import email_address
from repermit.campaigns import campaign_draft
from repermit.contacts import lookup
from repermit.db.connection import Database
from repermit.db.models.campaigns import (
    Campaign,
    CampaignWording,
    find_live_campaign,
    list_newest_wordings,
)
from repermit.db.models.contacts import Contact
from repermit.db.models.lists import MailingList
from repermit.emails import (
    compose_mail,
    frozen_draft,
    mail_types,
    make_draft,
    message_id,
    receipt_and_link_mails,
    replace_deadline,
    sender_identity,
    wording_validation,
)
from repermit.emails.mail_types import AskValues, ConfirmValues, ReceiptValues
from repermit.errors import Refused
from repermit.evidence import chain, signed_checkpoint
from repermit.evidence.entries import Entry
from repermit.i18n.lazy_text import LazyJoin
from repermit.package_files import LANGUAGES
from repermit.rules.consent import MailKind, Status
from repermit.rules.legal_grounds import NO_GROUNDS, Grounds
from repermit.rules.sign_up_deadline import SIGN_UP_LIFETIME
from repermit.settings.definitions import Settings
from repermit.signed_links import NOBODY, Links


def preview_mail(
    mailing_list: MailingList,
    *,
    settings: Settings,
    now: datetime,
    kind: MailKind = MailKind.ASK,
    language: str | None = None,
    deadline: datetime | None = None,
    to: str | None = None,
    reader: Contact | None = None,
    is_typed: bool = False,
    reader_name: str = "",
) -> mail_types.Mail:
    """Return a preview of a mail: ask, reminder, confirmation of a sign-up, or receipt of a Yes.

    - `language`: by default the list's.
    - `deadline`: by default that of the running campaign or of the saved conditions.
    - `to`: the recipient's address; then the mail names nobody.
    - `reader`: the contact whose data an ask shows; its links still answer for nobody. Without one,
      an ask shows only the source and date of the first contact to be asked, as a typical example.
    - `is_typed`: use the wording of `mailing_list` in memory. Otherwise an ask or reminder has the
      wording frozen for the running campaign, if there is one in this language.
    - `reader_name`: the name in the greeting of an ask, if given.

    Raises Refused, AddressError for `to` or the sender, and WordingError.
    """
    language = language or mailing_list.language
    frozen = None if is_typed else _read_frozen_wording(mailing_list, kind, language)
    if frozen:
        wording = replace_deadline.replace_deadline(frozen, deadline) if deadline else frozen
    else:
        wording = _draft_mail(
            mailing_list,
            kind,
            settings=settings,
            now=now,
            language=language,
            deadline=deadline,
        )
    values = _make_values(
        kind, mailing_list, wording, settings, now, to=to, reader=reader, reader_name=reader_name
    )
    return compose_mail.compose_mail(wording, values)


def _read_frozen_wording(
    mailing_list: MailingList, kind: MailKind, language: str
) -> frozen_draft.Draft | None:
    """Return the frozen wording of the running campaign's mails, None if there is none."""
    campaign = find_live_campaign(mailing_list)
    rows = list_newest_wordings(campaign) if campaign else []
    contents = [row.wording.content for row in rows if (row.kind, row.language) == (kind, language)]
    return frozen_draft.read_draft(contents[0]) if contents else None


def _draft_mail(
    mailing_list: MailingList,
    kind: MailKind,
    *,
    settings: Settings,
    now: datetime,
    language: str,
    deadline: datetime | None,
) -> frozen_draft.Draft:
    """Return the wording of a mail as the list has it now."""
    _require_language(mailing_list, language)
    if kind in _PERSONAL_KINDS:
        return _draft_personal_mail(kind, mailing_list, settings, now, language)
    default_deadline, has_reminder = campaign_draft.find_mail_conditions(
        mailing_list, settings=settings, now=now
    )
    return draft_wording(
        mailing_list,
        settings=settings,
        deadline=deadline or default_deadline,
        language=language,
        has_reminder=has_reminder,
        kind=kind,
    )


def _require_language(mailing_list: MailingList, language: str) -> None:
    if language not in LANGUAGES:
        raise Refused(
            "there are no mails in %(language)s; there are %(languages)s",
            language=repr(language),
            languages=LazyJoin(LANGUAGES),
        )
    if language not in lookup.read_list_facts(mailing_list).languages:
        raise Refused(
            "nobody gets a mail of this list in this language, since it has no purpose and privacy "
            "statement in it",
            cli=": `repermit list set %(list)s --in %(language)s …` gives them",
            language=language,
            list=mailing_list.slug,
        )


_PERSONAL_KINDS = (MailKind.CONFIRM, MailKind.RECEIPT)


def _draft_personal_mail(
    kind: MailKind, mailing_list: MailingList, settings: Settings, now: datetime, language: str
) -> frozen_draft.Draft:
    """Return the wording of a mail that one person requested; the Yes of a receipt is made up."""
    shared: dict[str, Any] = {
        "organisation": settings.organisation,
        "mailing_list": lookup.read_list_facts(mailing_list),
        "zone": settings.zone,
        "language": language,
    }
    if kind is MailKind.CONFIRM:
        return make_draft.draft_join_confirmation(ends_at=now + SIGN_UP_LIFETIME, **shared)
    checkpoint = signed_checkpoint.make_signed_checkpoint(settings).to_json()
    return receipt_and_link_mails.draft_yes_receipt(
        answered_at=now, checkpoint=checkpoint, **shared
    )


def record_test_mail(
    database: Database, mailing_list: MailingList, *, now: datetime, actor: str
) -> None:
    """Append to the evidence that a test mail was sent."""
    entry = Entry(event="test_mail_sent", at=now, actor=actor, list=mailing_list.slug)
    with database.atomic():
        chain.append(entry)


def _make_values(
    kind: MailKind,
    mailing_list: MailingList,
    wording: frozen_draft.Draft,
    settings: Settings,
    now: datetime,
    *,
    to: str | None,
    reader: Contact | None,
    reader_name: str,
) -> AskValues | ConfirmValues | ReceiptValues:
    list_facts = wording.mailing_list
    links = Links(settings.public_url, settings.secret_keys)
    if kind is MailKind.RECEIPT:
        checkpoint = signed_checkpoint.make_signed_checkpoint(settings)
        return ReceiptValues(
            yes_url=links.url("yes", NOBODY),
            no_url=links.url("no", NOBODY),
            me_url=links.url("me", NOBODY),
            receipt_url=links.url("receipt", NOBODY),
            checkpoint=json.dumps(checkpoint.to_json()) if checkpoint.note else "",
            **_make_envelope(list_facts, settings, now, to),
        )
    if kind is MailKind.CONFIRM:
        confirm_url = links.url("confirm", NOBODY)
        return ConfirmValues(
            confirm_url=confirm_url, **_make_envelope(list_facts, settings, now, to)
        )
    example = reader or next(iter(list_readers(mailing_list, limit=1)), None)
    name = ""
    if reader and not to:
        name, to = reader.name, reader.address
    return AskValues(
        name=reader_name or name,
        source=example.source if example else "",
        since=example.since if example else None,
        yes_url=links.url("yes", NOBODY),
        no_url=links.url("no", NOBODY),
        me_url=links.url("me", NOBODY),
        **_make_envelope(list_facts, settings, now, to),
    )


def _make_envelope(
    mailing_list: mail_types.MailingListFacts, settings: Settings, now: datetime, to: str | None
) -> dict[str, Any]:
    sender = sender_identity.read_sender_address(mailing_list)
    key = settings.secret_keys[-1]
    return {
        "address": email_address.parse(to).sending if to else sender,
        "list_label": sender_identity.make_list_label(mailing_list, key=settings.fingerprint_key),
        "message_id": message_id.make_unnumbered_message_id(
            f"preview {now.isoformat()}", sender_domain=sender.rpartition("@")[2], key=key
        ),
        "return_path": sender,
        "date": now,
    }


def list_readers(mailing_list: MailingList, *, limit: int) -> list[Contact]:
    """Return the first contacts that may be asked, at most `limit`."""
    query = (
        Contact.select()
        # An unconfirmed contact has no reason; the condition is for the index with this order.
        .where(
            Contact.list == mailing_list,
            Contact.status == Status.UNCONFIRMED,
            Contact.reason == "",
        )
        .order_by(Contact.id)
        .limit(limit)
    )
    return list(query)


# --- Drafting and freezing the wordings of asks. --------------------------------------------------


# In words it is one of the longest days.
_EXAMPLE_DAY = datetime(2026, 9, 30, 21, 59, tzinfo=UTC)


def draft_wording(
    mailing_list: MailingList,
    *,
    settings: Settings,
    deadline: datetime,
    language: str,
    has_reminder: bool,
    kind: MailKind = MailKind.ASK,
    grounds: Grounds = NO_GROUNDS,
    privacy_wordings: tuple[tuple[str, str], ...] = (),
) -> frozen_draft.Draft:
    """Return the draft of an ask or reminder, as it would be worded now.

    - `has_reminder`: whether a reminder follows the ask.
    - `grounds`, `privacy_wordings`: frozen with the draft, for pages and evidence.

    The admin's own wording is used for the ask only. Raises WordingError and AddressError.
    """
    values: dict[str, Any] = {
        "organisation": settings.organisation,
        "mailing_list": replace(
            lookup.read_list_facts(mailing_list), **vars(grounds), privacy_wordings=privacy_wordings
        ),
        "deadline": deadline,
        "zone": settings.zone,
        "language": language,
    }
    if kind is MailKind.REMINDER:
        wording = make_draft.draft_reminder(**values)
    else:
        own_wording = lookup.read_own_wording(mailing_list, language)
        wording = make_draft.draft_ask(**values, has_reminder=has_reminder, own=own_wording)
    links = Links(settings.public_url, settings.secret_keys)
    wording_validation.check_mail_size(wording, link=links.url("yes", NOBODY))
    return wording


def freeze_wording(campaign: Campaign, wording: frozen_draft.Draft, *, revision: int = 1) -> str:
    """Store a wording that the campaign uses from now on; return its digest."""
    digest = chain.store_wording(wording.content)
    CampaignWording.create(
        campaign=campaign,
        kind=wording.kind,
        language=wording.language,
        revision=revision,
        wording=digest,
    )
    return digest


def make_page_wordings(
    drafts: Iterable[frozen_draft.Draft], make: Callable[[frozen_draft.Draft], str] | None
) -> dict[str, str]:
    """Return the texts of the pages behind the links of asks by language; none without `make`."""
    asks = (draft for draft in drafts if MailKind(draft.kind) is MailKind.ASK)
    return {draft.language: make(draft) for draft in asks} if make else {}


def store_page_wordings(pages: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Store the texts of pages by language; return the content for an entry: their digests."""
    digests = {language: chain.store_wording(text) for language, text in pages.items()}
    return {"page_wordings": digests} if digests else {}


def check_asks(mailing_list: MailingList, settings: Settings) -> None:
    """Check that the ask can be sent in each language of the list.

    Raises WordingError (MailTooLarge is one) and AddressError.
    """
    for language in lookup.read_list_facts(mailing_list).languages:
        draft_wording(
            mailing_list,
            settings=settings,
            deadline=_EXAMPLE_DAY,
            language=language,
            has_reminder=False,
        )
