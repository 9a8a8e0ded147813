"""Making the mails with a link for one use: to see what is held, to confirm a new address.

And the one that tells the address from before. May import addresses, config and what drafts are
made with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from repermit.messages.catalogue import translations
from repermit.messages.draft import Draft
from repermit.messages.drafting import html_of, known_of, printable, subject_of, text_of

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from repermit.config import Organisation
    from repermit.messages.values import MailingListFacts


def draft_requested(
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
    organisation, mailing_list = printable(organisation), printable(mailing_list.told_in(language))
    known = known_of(organisation, mailing_list, language) | _sentences(purpose, language)
    return Draft(
        kind="confirm",
        language=language,
        zone=zone.key,
        deadline=None,
        organisation=organisation,
        mailing_list=mailing_list,
        subject=subject_of(purpose, known, language),
        text=text_of(purpose, known, language),
        html=html_of(purpose, known, language),
        phrases={},
    )


def _sentences(purpose: str, language: str) -> dict[str, Any]:
    """Return title, label and preview, which say nothing of the list."""
    gettext = translations(language).gettext
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
