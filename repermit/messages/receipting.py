"""Making the mail with the receipt of a Yes, or of a No that took one back.

May import config and what drafts are made with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from repermit.messages.dates import moment_in_words
from repermit.messages.draft import Draft
from repermit.messages.drafting import html_of, known_of, printable, subject_of, text_of
from repermit.messages.sentences import no_receipt_sentences, preview, receipt_sentences

if TYPE_CHECKING:
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from repermit.config import Organisation
    from repermit.messages.values import MailingListFacts


def draft_receipt(
    *,
    organisation: Organisation,
    mailing_list: MailingListFacts,
    answered_at: datetime,
    checkpoint: tuple[int, str, str],
    zone: ZoneInfo,
    language: str,
) -> Draft:
    """Return the wording of the mail that tells somebody that their Yes is recorded.

    `answered_at` is aware UTC; `checkpoint` is the number of the Yes in the record, and hash and
    root there. Raises AddressError if the sender or the organisation's address cannot be used.
    """
    organisation, mailing_list = printable(organisation), printable(mailing_list.told_in(language))
    seq, digest, root = checkpoint
    known = known_of(organisation, mailing_list, language) | receipt_sentences(language)
    known |= {"moment": moment_in_words(answered_at, language=language, zone=zone)}
    # In capitals: SpamAssassin's MIXED_ES counts each small Latin "e" beside Cyrillic ones.
    known |= {"seq": str(seq), "hash": digest.upper(), "root": root.upper()}
    known["preview"] = preview("receipt", known, language)
    return Draft(
        kind="receipt",
        language=language,
        zone=zone.key,
        deadline=None,
        organisation=organisation,
        mailing_list=mailing_list,
        subject=subject_of("receipt", known, language),
        text=text_of("receipt", known, language),
        html=html_of("receipt", known, language),
        phrases={},
    )


def draft_no_receipt(
    *,
    organisation: Organisation,
    mailing_list: MailingListFacts,
    answered_at: datetime,
    zone: ZoneInfo,
    language: str,
) -> Draft:
    """Return the wording of the mail that tells whoever had said Yes that their No is recorded.

    Its link leads to the question, by which a No that was no person's is undone. `answered_at` is
    aware UTC. Raises AddressError if the sender or the organisation's address cannot be used.
    """
    organisation, mailing_list = printable(organisation), printable(mailing_list.told_in(language))
    known = known_of(organisation, mailing_list, language)
    known |= no_receipt_sentences(mailing_list, language)
    known |= {"moment": moment_in_words(answered_at, language=language, zone=zone)}
    known["preview"] = preview("receipt", known, language)
    return Draft(
        kind="receipt",
        language=language,
        zone=zone.key,
        deadline=None,
        organisation=organisation,
        mailing_list=mailing_list,
        subject=subject_of("no_receipt", known, language),
        text=text_of("no_receipt", known, language),
        html=html_of("no_receipt", known, language),
        phrases={},
    )
