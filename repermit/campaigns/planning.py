"""Planning a campaign: whom it would ask, and everything that stands against its start.

May import messages, consent, contacts, models and what lies below.
"""

from __future__ import annotations

import ipaddress
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from repermit import addresses, messages
from repermit.campaigns.audience import Audience, count_audience
from repermit.campaigns.discretion import tell_tales
from repermit.campaigns.facts import Plan
from repermit.campaigns.frequency import says_how_often
from repermit.campaigns.leftovers import count_leftovers
from repermit.campaigns.pacing import Pace, about_the_pace, reminder_moment, time_needed
from repermit.campaigns.wording import check_own_wording, check_sizes, own_wording
from repermit.consent import CampaignState
from repermit.errors import AddressError, WordingError
from repermit.models import latest_campaign

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from repermit.config import MailServer, Organisation, Settings
    from repermit.models import MailingList

NOTES = (
    (
        "Some regulators hold that asking for consent by mail is itself advertising, which needs "
        "the very consent that it asks for: the ICO on Honda (2017), the Dutch DMCC (2021). "
        "Whether to ask is for your organisation to decide; who decided, and on what ground, is "
        "kept as evidence."
    ),
    (
        "Until their Yes nobody who is unconfirmed may get the newsletter, or any other "
        "advertising: stop sending it to them now, also from other tools."
    ),
)
"""What the admin must have read before deciding to ask."""

REMINDER_NOTE = (
    "A reminder is one more mail to people who have not agreed to any. There is one at most, and "
    "whoever answers or cannot be reached is not reminded."
)
"""What is to be read beside them where there is to be a reminder."""

OTHER_SENDER_NOTE = (
    "The list's sender is not the mailbox that logs in (username under [mail]). Exchange Online "
    "refuses every mail then (5.7.60), unless its administrator has given that mailbox the right "
    "“Send As” for the sender."
)
"""What is to be read where Exchange Online may refuse the list's sender."""


def plan(
    mailing_list: MailingList,
    *,
    settings: Settings,
    now: datetime,
    deadline: datetime,
    starts_at: datetime | None = None,
    include_thin: bool = False,
    reminder: int = 0,
) -> Plan:
    """Return what a launch at `now` would do; writes nothing. Moments are aware.

    `starts_at` is when the asking begins if later than now; `include_thin` asks those too whose
    imported proof shows no wording; `reminder` is how many days before the deadline who has not
    answered is reminded, 0 for never.
    """
    audience = count_audience(
        mailing_list, include_thin=include_thin, fingerprint_key=settings.fingerprint_key
    )
    return plan_for(
        mailing_list,
        audience,
        settings=settings,
        now=now,
        deadline=deadline,
        starts_at=starts_at,
        include_thin=include_thin,
        reminder=reminder,
    )


def plan_for(
    mailing_list: MailingList,
    audience: Audience,
    *,
    settings: Settings,
    now: datetime,
    deadline: datetime,
    starts_at: datetime | None,
    include_thin: bool,
    reminder: int,
) -> Plan:
    """Return the plan for an audience that has been counted."""
    pace = Pace(
        starts_at=max(now, starts_at or now),
        takes=time_needed(mailing_list, audience, settings=settings, include_thin=include_thin),
        reminder_at=reminder_moment(deadline, reminder, settings.zone) if reminder else None,
        deadline=deadline,
    )
    return Plan(
        asked=audience.asked,
        excluded=audience.excluded,
        left_out=count_leftovers(mailing_list),
        languages=audience.languages,
        last_ask_at=pace.last_ask_at,
        reminder_at=pace.reminder_at,
        refusals=tuple(_refusals(mailing_list, audience, settings, pace, now=now)),
        notes=(
            *NOTES,
            *((REMINDER_NOTE,) if reminder else ()),
            *_about_the_account(mailing_list, settings.mail),
            *tell_tales(mailing_list, settings),
            *_about_languages(mailing_list, audience),
        ),
    )


def _about_languages(mailing_list: MailingList, audience: Audience) -> Iterator[str]:
    """Yield a warning if an own wording goes to readers of other languages than the list's."""
    own = own_wording(mailing_list)
    others = [
        f"{n:,} in {language}"
        for language, n in audience.languages.items()
        if language != mailing_list.language
    ]
    if (own.subject or own.text) and others:
        yield (
            "Your own wording goes to everybody as you wrote it, also to those who read another "
            f"language ({', '.join(others)}); only the fields in it are translated."
        )


def list_lacks(mailing_list: MailingList) -> tuple[str, ...]:
    """Return what stands against a launch in the description of a list itself."""
    return tuple(_about_the_list(mailing_list))


def description_lacks(mailing_list: MailingList, settings: Settings) -> tuple[str, ...]:
    """Return what a mail cannot say yet, of the organisation and of the list."""
    return (*_about_the_organisation(settings.organisation), *list_lacks(mailing_list))


def _refusals(
    mailing_list: MailingList,
    audience: Audience,
    settings: Settings,
    pace: Pace,
    *,
    now: datetime,
) -> Iterator[str]:
    """Yield every reason why a campaign may not start, in the admin's words."""
    yield from _about_the_organisation(settings.organisation)
    yield from _about_the_list(mailing_list)
    yield from _about_the_pages(settings.public_url)
    yield from about_the_pace(pace, settings, now=now)
    yield from _about_the_audience(mailing_list, audience)
    yield from _about_the_wording(mailing_list, settings)


def _about_the_organisation(organisation: Organisation) -> Iterator[str]:
    # GDPR art. 13(1)(a) and (b): who asks, and how to reach them.
    if not organisation.name:
        yield "the organisation has no name: set name under [organisation] in config.toml"
    if not organisation.postal_lines:
        yield (
            "the organisation has no postal address: set address under [organisation] in "
            "config.toml"
        )
    if not organisation.email and not organisation.telephone:
        yield (
            "the organisation cannot be reached: set email or telephone under [organisation] in "
            "config.toml"
        )
    if organisation.email:
        yield from _about_an_address(organisation.email, "the organisation's email")


def _about_the_list(mailing_list: MailingList) -> Iterator[str]:
    slug = mailing_list.slug
    if not mailing_list.privacy_url:
        yield f"the list has no privacy statement: `repermit list set {slug} --privacy-url …`"
    if not mailing_list.purpose:
        yield (
            "the list has no purpose, so nobody could know what they say Yes to: "
            f"`repermit list set {slug} --purpose …`"
        )
    if not mailing_list.frequency and not says_how_often(mailing_list.purpose):
        yield (
            "neither purpose nor frequency says how often mail comes: "
            f"`repermit list set {slug} --frequency …`, such as “four times a year”"
        )
    if not mailing_list.sender:
        yield f"the list has no sender: `repermit list set {slug} --sender …`"
    else:
        yield from _about_an_address(messages.written_address(mailing_list.sender), "the sender")


def _about_the_account(mailing_list: MailingList, mail: MailServer) -> Iterator[str]:
    """Yield what the mail account will say to the list's sender, unless it has been told of it."""
    if not mail.refuses_other_senders or not mail.username:
        return
    with suppress(AddressError):
        sender = addresses.parse(messages.written_address(mailing_list.sender))
        if sender.key != mail.username.strip().lower():
            yield OTHER_SENDER_NOTE


def _about_an_address(text: str, what: str) -> Iterator[str]:
    try:
        addresses.parse(text)
    except AddressError as error:
        yield f"{what} cannot be used: {error.reason}"


def _about_the_pages(public_url: str) -> Iterator[str]:
    parts = urlsplit(public_url)
    if parts.scheme != "https" and not _is_loopback(parts.hostname or ""):
        yield (
            f"answers would travel unprotected: public_url is {public_url} and must begin with "
            "https://"
        )


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _about_the_audience(mailing_list: MailingList, audience: Audience) -> Iterator[str]:
    campaign = latest_campaign(mailing_list)
    if campaign is not None and CampaignState(campaign.state).is_live:
        yield f"a campaign is under way on {mailing_list.slug} already: it is {campaign.state}"
    if not audience.asked:
        yield "there is nobody to ask"


def _about_the_wording(mailing_list: MailingList, settings: Settings) -> Iterator[str]:
    """Yield what stands against the admin's own wording, and else against the mail's size."""
    # What is wrong with an address is said above, of the address itself.
    with suppress(AddressError):
        try:
            check_own_wording(mailing_list, settings)
        except WordingError as error:
            yield from (f"your own wording cannot be used: {reason}" for reason in error.reasons)
            return
        try:
            check_sizes(mailing_list, settings)
        except WordingError as error:
            yield from error.reasons
