"""Making the mails to the admin: that a campaign has paused by itself, and what a day brought.

May import addresses, config and what drafts are made with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from repermit import addresses
from repermit.messages.dates import moment_in_words
from repermit.messages.draft import Draft
from repermit.messages.drafting import html_of, known_of, printable, subject_of, text_of
from repermit.messages.sentences import daily_sentences, notice_sentences, preview

if TYPE_CHECKING:
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from repermit.config import Organisation
    from repermit.messages.news import DayNews
    from repermit.messages.values import MailingListFacts


def draft_notice(
    *,
    topic: str,
    organisation: Organisation,
    mailing_list: MailingListFacts,
    deadline: datetime,
    zone: ZoneInfo,
) -> Draft:
    """Return the wording of a mail to the admin about a pause, in the list's language.

    `topic` is what it is about: "paused_pilot", "paused_bounces" or "paused_complaint"; raises
    KeyError for another one. `deadline` (aware UTC) is the campaign's. Raises AddressError if the
    organisation has no address that can be used.
    """
    language = mailing_list.language
    known: dict[str, Any] = {
        **notice_sentences(topic, mailing_list.slug, language),
        "deadline": moment_in_words(deadline, language=language, zone=zone),
    }
    return _draft(
        "notice",
        known,
        organisation=organisation,
        mailing_list=mailing_list,
        zone=zone,
        deadline=deadline,
    )


def draft_daily(
    news: DayNews,
    *,
    organisation: Organisation,
    mailing_list: MailingListFacts,
    zone: ZoneInfo,
    public_url: str,
) -> Draft:
    """Return the wording of the admin's daily mail, in the list's language.

    It says how many, never who. Raises AddressError if the organisation has no address that can be
    used.
    """
    language = mailing_list.language
    known: dict[str, Any] = {
        **daily_sentences(news, language),
        "since": moment_in_words(news.since, language=language, zone=zone),
        "removed": news.removed,
        "campaign_url": f"{public_url}/admin/lists/{mailing_list.slug}/",
        "take_off_url": f"{public_url}/admin/lists/{mailing_list.slug}/handover",
        "take_off": f"repermit export {mailing_list.slug} removed",
    }
    return _draft(
        "daily",
        known,
        organisation=organisation,
        mailing_list=mailing_list,
        zone=zone,
        deadline=None,
    )


def _draft(
    folder: Literal["notice", "daily"],
    known: dict[str, Any],
    *,
    organisation: Organisation,
    mailing_list: MailingListFacts,
    zone: ZoneInfo,
    deadline: datetime | None,
) -> Draft:
    organisation, mailing_list = printable(organisation), printable(mailing_list)
    addresses.parse(organisation.email)
    language = mailing_list.language
    known = known_of(organisation, mailing_list, language) | known
    known["preview"] = preview(folder, known, language)
    return Draft(
        kind="notice",
        language=language,
        zone=zone.key,
        deadline=deadline,
        organisation=organisation,
        mailing_list=mailing_list,
        subject=subject_of(folder, known, language),
        text=text_of(folder, known, language),
        html=html_of(folder, known, language),
        phrases={},
    )
