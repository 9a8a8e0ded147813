"""Drafts of the mails with a one-time link, of the notice to a former address, and of receipts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from textwrap import wrap
from typing import Any
from zoneinfo import ZoneInfo

from repermit.emails.conditional_sentences import make_confirmation_texts
from repermit.emails.frozen_draft import Draft
from repermit.emails.mail_types import MailingListFacts
from repermit.emails.make_draft import draft_from_templates
from repermit.i18n.catalogues import load_translations
from repermit.i18n.dates import format_local_datetime, format_past_datetime
from repermit.settings.definitions import Organisation


def draft_requested_mail(
    purpose: str,
    *,
    organisation: Organisation,
    mailing_list: MailingListFacts,
    zone: ZoneInfo,
    language: str,
) -> Draft:
    """Return the draft of a mail that belongs to a one-time link, in a language.

    - `purpose`: the link's: "see", "address" or "changed"; raises KeyError for another.
    - Raises AddressError if the address of the sender or the organisation cannot be used.
    """
    return draft_from_templates(
        _FOLDERS[purpose],
        _make_sentences(purpose, language),
        kind="confirm",
        organisation=organisation,
        mailing_list=mailing_list.in_language(language),
        zone=zone,
        language=language,
    )


_FOLDERS = {"see": "data_link", "address": "address_change", "changed": "address_changed"}


def _make_sentences(purpose: str, language: str) -> dict[str, Any]:
    """Return greeting, title, label and preview, which say nothing about the list."""
    gettext = load_translations(language).gettext
    title, label, preview = {
        "see": (
            gettext("What we hold about you"),
            gettext("Show what is held about me"),
            gettext("A link for one use, good for one hour."),
        ),
        "address": (
            gettext("Is this your new address?"),
            gettext("Yes, this is my new address"),
            gettext("If it was you, confirm it in this mail; if it was not, do nothing."),
        ),
        "changed": (
            gettext("Your address has been changed"),
            "",
            gettext("If it was not you, please reply to this mail at once."),
        ),
    }[purpose]
    return {
        "greeting": gettext("Dear reader,"),
        "title": title,
        "label": label,
        "preview": preview,
    }


# --- Receipts of a Yes, and of a No that withdraws one. -------------------------------------------


def draft_yes_receipt(
    *,
    organisation: Organisation,
    mailing_list: MailingListFacts,
    answered_at: datetime,
    checkpoint: Mapping[str, Any],
    zone: ZoneInfo,
    language: str,
) -> Draft:
    """Return the draft of the mail that confirms to a contact that their Yes is recorded.

    - `answered_at`: aware UTC; only the day is told of a time that stands for one.
    - `checkpoint`: the evidence's after the entry of the Yes, as in JSON; with a key it has a
      signed note, and is attached.
    - Raises AddressError if the address of the sender or the organisation cannot be used.
    """
    # In capitals: SpamAssassin's MIXED_ES counts each small Latin "e" beside Cyrillic ones. In
    # groups: a word of 64 letters is wider than a phone, and a <wbr> in it HTML_OBFUSCATE.
    numbers = {
        name: " ".join(wrap(str(checkpoint[name]).upper(), 16)) for name in ("seq", "hash", "root")
    }
    return draft_from_templates(
        "yes_receipt",
        {
            "moment": format_past_datetime(answered_at, language=language, zone=zone),
            **numbers,
            "is_signed": "note" in checkpoint,
        },
        kind="receipt",
        organisation=organisation,
        mailing_list=mailing_list.in_language(language),
        zone=zone,
        language=language,
    )


def draft_no_receipt(
    *,
    organisation: Organisation,
    mailing_list: MailingListFacts,
    answered_at: datetime,
    zone: ZoneInfo,
    language: str,
    said_no: bool = True,
) -> Draft:
    """Return the draft of the mail that tells a contact who had said Yes about their removal.

    Its link opens the question, so that the contact can undo a No that a program gave.

    - `answered_at`: aware UTC.
    - `said_no`: False if the removal has another reason than a No.
    - Raises AddressError if the address of the sender or the organisation cannot be used.
    """
    return draft_from_templates(
        "no_receipt",
        {
            "yes_label": make_confirmation_texts(mailing_list, language)["yes_label"],
            "said_no": said_no,
            "moment": format_local_datetime(answered_at, language=language, zone=zone),
        },
        kind="receipt",
        organisation=organisation,
        mailing_list=mailing_list.in_language(language),
        zone=zone,
        language=language,
    )
