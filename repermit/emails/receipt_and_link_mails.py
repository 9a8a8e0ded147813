"""Making the mails with a link for one use: to see what is held, to confirm a new address.

And the one that tells the address from before.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from textwrap import wrap
from typing import Any
from zoneinfo import ZoneInfo

from repermit.emails.conditional_sentences import word_no_receipt, word_preview, word_receipt
from repermit.emails.frozen_draft import Draft
from repermit.emails.mail_types import MailingListFacts
from repermit.emails.make_draft import draft_from_templates, make_common_fields, make_printable
from repermit.i18n.catalogues import load_translations
from repermit.i18n.dates import format_local_datetime
from repermit.settings.definitions import Organisation


def draft_requested_mail(
    purpose: str,
    *,
    organisation: Organisation,
    mailing_list: MailingListFacts,
    zone: ZoneInfo,
    language: str,
) -> Draft:
    """Return the wording of a mail that its reader has asked for, in one of `languages`.

    `purpose` is "see", "address" or "changed", as a fresh link has it; raises KeyError for another
    one, AddressError if the sender or the organisation's address cannot be used.
    """
    organisation, mailing_list = (
        make_printable(organisation),
        make_printable(mailing_list.in_language(language)),
    )
    known = make_common_fields(organisation, mailing_list, language) | _make_sentences(
        purpose, language
    )
    return draft_from_templates(
        _FOLDERS[purpose],
        known,
        kind="confirm",
        organisation=organisation,
        mailing_list=mailing_list,
        zone=zone,
        language=language,
    )


_FOLDERS = {"see": "data_link", "address": "address_change", "changed": "address_changed"}


def _make_sentences(purpose: str, language: str) -> dict[str, Any]:
    """Return title, label and preview, which say nothing of the list."""
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


# --- Making the mail with the receipt of a Yes, or of a No that took one back. --------------------


def draft_yes_receipt(
    *,
    organisation: Organisation,
    mailing_list: MailingListFacts,
    answered_at: datetime,
    checkpoint: Mapping[str, Any],
    zone: ZoneInfo,
    language: str,
) -> Draft:
    """Return the wording of the mail that tells somebody that their Yes is recorded.

    `answered_at` is aware UTC; `checkpoint` is the record's behind the entry of the Yes, as JSON
    has it: with its signed note if there is a key, which is then attached. Raises AddressError if
    the sender or the organisation's address cannot be used.
    """
    organisation, mailing_list = (
        make_printable(organisation),
        make_printable(mailing_list.in_language(language)),
    )
    known: dict[str, Any] = {
        **make_common_fields(organisation, mailing_list, language),
        **word_receipt(language),
    }
    known |= {"moment": format_local_datetime(answered_at, language=language, zone=zone)}
    # In capitals: SpamAssassin's MIXED_ES counts each small Latin "e" beside Cyrillic ones. In
    # groups: a word of 64 letters is wider than a phone, and a <wbr> in it HTML_OBFUSCATE.
    known |= {
        name: " ".join(wrap(str(checkpoint[name]).upper(), 16)) for name in ("seq", "hash", "root")
    }
    known["is_signed"] = "note" in checkpoint
    known["preview"] = word_preview("yes_receipt", known, language)
    return draft_from_templates(
        "yes_receipt",
        known,
        kind="receipt",
        organisation=organisation,
        mailing_list=mailing_list,
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
    """Return the wording of the mail that tells whoever had said Yes that they are off the list.

    Its link leads to the question, by which a No that was no person's is undone. `answered_at` is
    aware UTC; `said_no` is false where something else has taken them off. Raises AddressError if
    the sender or the organisation's address cannot be used.
    """
    organisation, mailing_list = (
        make_printable(organisation),
        make_printable(mailing_list.in_language(language)),
    )
    known: dict[str, Any] = {
        **make_common_fields(organisation, mailing_list, language),
        **word_no_receipt(mailing_list, language),
        "said_no": said_no,
    }
    known |= {"moment": format_local_datetime(answered_at, language=language, zone=zone)}
    known["preview"] = word_preview("no_receipt", known, language)
    return draft_from_templates(
        "no_receipt",
        known,
        kind="receipt",
        organisation=organisation,
        mailing_list=mailing_list,
        zone=zone,
        language=language,
    )
