"""Making the mails to the admin: a campaign has paused or closed, a day is over."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from repermit import email_address
from repermit.emails.conditional_sentences import (
    word_closing_mail,
    word_daily_mail,
    word_notice,
    word_preview,
)
from repermit.emails.frozen_draft import Draft
from repermit.emails.mail_types import ClosingSummary, DailySummary, MailingListFacts
from repermit.emails.make_draft import draft_from_templates, make_common_fields, make_printable
from repermit.i18n.dates import format_local_datetime
from repermit.settings.definitions import Organisation

_CHECK = "repermit verify --checkpoint checkpoint.json"


def draft_campaign_paused(
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
        **word_notice(topic, mailing_list.slug, language),
        "deadline": format_local_datetime(deadline, language=language, zone=zone),
    }
    return _make_draft(
        "campaign_paused",
        known,
        organisation=organisation,
        mailing_list=mailing_list,
        zone=zone,
        deadline=deadline,
    )


def draft_daily_summary(
    news: DailySummary,
    *,
    organisation: Organisation,
    mailing_list: MailingListFacts,
    zone: ZoneInfo,
    public_url: str,
    checkpoint: Mapping[str, Any] | None,
) -> Draft:
    """Return the wording of the admin's daily mail, in the list's language.

    It says how many, never who. `checkpoint` is the evidence's when the mail was owed, as JSON has
    it; None for a mail that was owed before there was one in it. Raises AddressError if the
    organisation has no address that can be used.
    """
    language = mailing_list.language
    shared: dict[str, Any] = {
        **word_daily_mail(news, language),
        "since": format_local_datetime(news.since, language=language, zone=zone),
        "removed": news.removed,
        "campaign_url": f"{public_url}/admin/lists/{mailing_list.slug}/",
        "take_off_url": f"{public_url}/admin/lists/{mailing_list.slug}/handover",
        "take_off": f"repermit export {mailing_list.slug} removed",
        "check": _CHECK,
        "checkpoint": checkpoint and json.dumps(checkpoint),
    }
    return _make_draft(
        "daily_summary",
        shared,
        organisation=organisation,
        mailing_list=mailing_list,
        zone=zone,
    )


def draft_campaign_closed(
    news: ClosingSummary,
    *,
    organisation: Organisation,
    mailing_list: MailingListFacts,
    zone: ZoneInfo,
    public_url: str,
    checkpoint: Mapping[str, Any],
) -> Draft:
    """Return the wording of the mail about a campaign that has closed, in the list's language.

    It says how many, never who. `checkpoint` is the evidence's then, as JSON has it. Raises
    AddressError if the organisation has no address that can be used.
    """
    slug, language = mailing_list.slug, mailing_list.language
    known: dict[str, Any] = {
        **word_closing_mail(news, language),
        "take_off_url": f"{public_url}/admin/lists/{slug}/handover",
        "take_off": f"repermit export {slug} removed",
        "report_url": f"{public_url}/admin/lists/{slug}/papers/report",
        "report": f"repermit report {slug} -o report.html",
        "check": _CHECK,
        "checkpoint": json.dumps(checkpoint),
    }
    return _make_draft(
        "campaign_closed",
        known,
        organisation=organisation,
        mailing_list=mailing_list,
        zone=zone,
    )


def draft_witness_checkpoint(
    *,
    organisation: Organisation,
    mailing_list: MailingListFacts,
    zone: ZoneInfo,
    checkpoint: Mapping[str, Any] | None,
) -> Draft:
    """Return the wording of a mail to a witness, in the list's language.

    It names neither a list nor anybody on one. `checkpoint` is as in `draft_daily_summary`, None
    where the chain has gaps. Raises AddressError if the organisation's address cannot be used.
    """
    return _make_draft(
        "witness_checkpoint",
        {"check": _CHECK, "checkpoint": checkpoint and json.dumps(checkpoint)},
        organisation=organisation,
        mailing_list=mailing_list,
        zone=zone,
    )


def make_not_the_person_topic(number: int) -> str:
    """Return the topic of the notice that the contact of this number is not the person meant."""
    return f"{_NOT_THE_PERSON}{number}"


def read_not_the_person(topic: str) -> int | None:
    """Return the contact's number in such a topic, None in any other."""
    number = topic.removeprefix(_NOT_THE_PERSON)
    return int(number) if number != topic else None


_NOT_THE_PERSON = "not_the_person "


def draft_not_the_person(
    *, organisation: Organisation, mailing_list: MailingListFacts, zone: ZoneInfo, contact_url: str
) -> Draft:
    """Return the wording of a mail to the admin: somebody says they are not the person meant.

    It names nobody and links to the contact's page, since mailboxes are hard to erase from. Raises
    AddressError if the organisation has no address that can be used.
    """
    return _make_draft(
        "not_the_person",
        {"contact_url": contact_url},
        organisation=organisation,
        mailing_list=mailing_list,
        zone=zone,
    )


def _make_draft(
    folder: str,
    known: dict[str, Any],
    *,
    organisation: Organisation,
    mailing_list: MailingListFacts,
    zone: ZoneInfo,
    deadline: datetime | None = None,
) -> Draft:
    language = mailing_list.language
    organisation, mailing_list = make_printable(organisation), make_printable(mailing_list)
    email_address.parse(organisation.email)
    known = make_common_fields(organisation, mailing_list, language) | known
    known["preview"] = word_preview(folder, known, language)
    return draft_from_templates(
        folder,
        known,
        kind="notice",
        organisation=organisation,
        mailing_list=mailing_list,
        zone=zone,
        language=language,
        deadline=deadline,
    )
