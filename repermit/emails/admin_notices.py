"""Drafts of the mails to the admin: a pause, a day's summary, a closed campaign, a witness."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from repermit import email_address
from repermit.emails.conditional_sentences import (
    make_closing_mail_texts,
    make_daily_mail_texts,
    make_notice_texts,
)
from repermit.emails.frozen_draft import Draft
from repermit.emails.mail_types import ClosingSummary, DailySummary, MailingListFacts
from repermit.emails.make_draft import draft_from_templates, make_printable
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
    public_url: str,
) -> Draft:
    """Return the draft of a mail to the admin about a pause, in the list's language.

    - `topic`: "paused_pilot", "paused_bounces" or "paused_complaint"; raises KeyError for another.
    - `deadline`: the campaign's, aware UTC.
    - Raises AddressError if the organisation's address cannot be used.
    """
    language = mailing_list.language
    context: dict[str, Any] = {
        **make_notice_texts(topic, mailing_list.slug, language),
        "deadline": format_local_datetime(deadline, language=language, zone=zone),
        "campaign_url": f"{public_url}/admin/lists/{mailing_list.slug}/",
    }
    return _make_draft(
        "campaign_paused",
        context,
        organisation=organisation,
        mailing_list=mailing_list,
        zone=zone,
        deadline=deadline,
    )


def draft_daily_summary(
    summary: DailySummary,
    *,
    organisation: Organisation,
    mailing_list: MailingListFacts,
    zone: ZoneInfo,
    public_url: str,
    checkpoint: Mapping[str, Any] | None,
) -> Draft:
    """Return the draft of the admin's daily mail, in the list's language; it has counts, no names.

    - `checkpoint`: the evidence's checkpoint when the mail was enqueued, as in JSON; None for a
      mail enqueued before such mails had one.
    - Raises AddressError if the organisation's address cannot be used.
    """
    language = mailing_list.language
    context: dict[str, Any] = {
        **make_daily_mail_texts(summary, language),
        "since": format_local_datetime(summary.since, language=language, zone=zone),
        "is_any_gone": summary.is_any_gone,
        "replies": summary.replies,
        "replies_url": f"{public_url}/admin/lists/{mailing_list.slug}/replies",
        "campaign_url": f"{public_url}/admin/lists/{mailing_list.slug}/",
        "take_off_url": f"{public_url}/admin/lists/{mailing_list.slug}/handover",
        "take_off": f"repermit export {mailing_list.slug} removed",
        "check": _CHECK,
        "checkpoint": checkpoint and json.dumps(checkpoint),
    }
    return _make_draft(
        "daily_summary",
        context,
        organisation=organisation,
        mailing_list=mailing_list,
        zone=zone,
    )


def draft_campaign_closed(
    summary: ClosingSummary,
    *,
    organisation: Organisation,
    mailing_list: MailingListFacts,
    zone: ZoneInfo,
    public_url: str,
    checkpoint: Mapping[str, Any],
) -> Draft:
    """Return the draft of the mail about a closed campaign, in the list's language.

    It has counts, no names.

    - `checkpoint`: the evidence's checkpoint at the closing, as in JSON.
    - Raises AddressError if the organisation's address cannot be used.
    """
    slug, language = mailing_list.slug, mailing_list.language
    context: dict[str, Any] = {
        **make_closing_mail_texts(summary, language),
        "take_off_url": f"{public_url}/admin/lists/{slug}/handover",
        "take_off": f"repermit export {slug} removed",
        "report_url": f"{public_url}/admin/lists/{slug}/papers/report",
        "report": f"repermit report {slug} -o report.html",
        "check": _CHECK,
        "checkpoint": json.dumps(checkpoint),
    }
    return _make_draft(
        "campaign_closed",
        context,
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
    """Return the draft of a mail to a witness, in the list's language.

    It names neither a list nor any contact.

    - `checkpoint`: as in `draft_daily_summary`; None if the chain has gaps.
    - Raises AddressError if the organisation's address cannot be used.
    """
    return _make_draft(
        "witness_checkpoint",
        {"check": _CHECK, "checkpoint": checkpoint and json.dumps(checkpoint)},
        organisation=organisation,
        mailing_list=mailing_list,
        zone=zone,
    )


def make_not_the_person_topic(number: int) -> str:
    """Return the topic of the notice that a contact is not the person meant.

    - `number`: the contact's.
    """
    return f"{_NOT_THE_PERSON}{number}"


def read_not_the_person(topic: str) -> int | None:
    """Return the contact's number in a topic of `make_not_the_person_topic`; None for another."""
    number = topic.removeprefix(_NOT_THE_PERSON)
    return int(number) if number != topic else None


_NOT_THE_PERSON = "not_the_person "


def draft_not_the_person(
    *, organisation: Organisation, mailing_list: MailingListFacts, zone: ZoneInfo, contact_url: str
) -> Draft:
    """Return the draft of the notice that somebody says they are not the person meant.

    It links to the contact's page instead of naming the contact, since a mailbox is hard to erase
    from. Raises AddressError if the organisation's address cannot be used.
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
    context: dict[str, Any],
    *,
    organisation: Organisation,
    mailing_list: MailingListFacts,
    zone: ZoneInfo,
    deadline: datetime | None = None,
) -> Draft:
    email_address.parse(make_printable(organisation).email)
    return draft_from_templates(
        folder,
        context,
        kind="notice",
        organisation=organisation,
        mailing_list=mailing_list,
        zone=zone,
        language=mailing_list.language,
        deadline=deadline,
    )
