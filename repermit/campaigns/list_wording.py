"""A list as its mails take it: the admin's own templates, the drafts, the frozen; what may be."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from repermit.contacts import lookup
from repermit.db.models.campaigns import Campaign, CampaignWording
from repermit.db.models.lists import ListText, MailingList
from repermit.emails import frozen_draft, make_draft, wording_validation
from repermit.emails.mail_values import OwnWording
from repermit.errors import WordingError
from repermit.evidence import chain
from repermit.i18n.lazy_text import Said
from repermit.rules.consent import MailKind
from repermit.settings.definitions import Settings
from repermit.signed_links import Links

NOBODY = "0" * 32
"""A uid in links that answer, and behind which nothing is held."""

# In words it is as long as a day can be.
_SOME_DAY = datetime(2026, 9, 30, 21, 59, tzinfo=UTC)


def own_wording(mailing_list: MailingList, language: str = "") -> OwnWording:
    """Return the admin's own templates for the list's asks, in its own language or another.

    Whoever reads another language gets repermit's wording, unless there are templates in it too.
    """
    found: MailingList | ListText = mailing_list
    if language not in {"", mailing_list.language}:
        own = (ListText.list == mailing_list, ListText.language == language)
        found = ListText.get_or_none(*own) or ListText()
    return OwnWording(subject=found.own_subject, text=found.own_text, html=found.own_html)


def draft(
    mailing_list: MailingList,
    *,
    settings: Settings,
    deadline: datetime,
    language: str,
    kind: MailKind = MailKind.ASK,
) -> frozen_draft.Draft:
    """Return the ask or the reminder as it would be worded now.

    The admin's own wording is that of the ask alone. Raises WordingError and AddressError.
    """
    about: dict[str, Any] = {
        "organisation": settings.organisation,
        "mailing_list": lookup.list_facts(mailing_list),
        "deadline": deadline,
        "zone": settings.zone,
        "language": language,
    }
    if kind is MailKind.REMINDER:
        wording = make_draft.draft_reminder(**about)
    else:
        wording = make_draft.draft_ask(**about, own=own_wording(mailing_list, language))
    links = Links(settings.public_url, settings.secret_keys)
    wording_validation.require_size(wording, link=links.url("yes", NOBODY))
    return wording


def freeze(campaign: Campaign, wording: frozen_draft.Draft, *, revision: int = 1) -> str:
    """Store a wording as the one that the campaign uses from now on; return its digest."""
    digest = chain.keep_wording(wording.content)
    CampaignWording.create(
        campaign=campaign,
        kind=wording.kind,
        language=wording.language,
        revision=revision,
        wording=digest,
    )
    return digest


def check_own_wording(mailing_list: MailingList, settings: Settings) -> None:
    """Return if the admin's own templates may be used; raises WordingError and AddressError."""
    about = lookup.list_facts(mailing_list)
    for language in about.languages:
        wording_validation.check_wording(
            own_wording(mailing_list, language),
            organisation=settings.organisation,
            mailing_list=about.told_in(language),
        )


def check_sizes(mailing_list: MailingList, settings: Settings) -> None:
    """Return if no mail of the list can be too large; raises WordingError and AddressError."""
    for language in lookup.list_facts(mailing_list).languages:
        draft(mailing_list, settings=settings, deadline=_SOME_DAY, language=language)


def wording_flaws(mailing_list: MailingList, settings: Settings) -> tuple[Said, ...]:
    """Return everything that stands against the admin's own templates; () if there are none.

    They are those of `mailing_list` as it is in memory, saved or not. Raises AddressError.
    """
    try:
        check_own_wording(mailing_list, settings)
        check_sizes(mailing_list, settings)
    except WordingError as error:
        return error.reasons
    return ()
