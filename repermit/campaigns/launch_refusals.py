"""Planning a launch: its audience, its schedule, and every reason to refuse it."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from repermit import email_address
from repermit.campaigns.audience import Audience, count_audience, make_empty_audience
from repermit.campaigns.mailing_lists import mentions_frequency, read_texts
from repermit.campaigns.preview import check_asks
from repermit.campaigns.result_types import LaunchState, Plan
from repermit.campaigns.send_plan import (
    SendPlan,
    check_reminder,
    compute_reminder_time,
    compute_send_duration,
    to_local_time,
)
from repermit.campaigns.sensitive_lists import find_revealing_places, reveals_name
from repermit.contacts import counts as contacts_counts
from repermit.contacts import lookup
from repermit.db import background_tasks
from repermit.db.background_tasks import BackgroundTask, TaskKind, select_targets
from repermit.db.models.campaigns import latest_campaign
from repermit.db.models.imports import Import
from repermit.db.models.lists import MailingList
from repermit.emails import sender_identity
from repermit.emails.mail_types import OwnWording
from repermit.errors import AddressError, MailTooLarge, WordingError
from repermit.i18n.lazy_text import Language, LazyJoin, LazyText
from repermit.rules.consent import (
    CampaignState,
    Fate,
    Reason,
)
from repermit.rules.deadlines_and_reminders import MAX_PERIOD, latest_ask
from repermit.rules.legal_grounds import NO_GROUNDS, Grounds
from repermit.settings.definitions import MailServer, Organisation, Settings

# --- The reason for a launch despite findings of the check. ---------------------------------------

_MIN_REASON_LENGTH = 10


def is_reason(text: str) -> bool:
    """Return whether a text is long enough as a reason to launch despite findings of a check."""
    return len(text.strip()) >= _MIN_REASON_LENGTH and any(map(str.isalpha, text))


# --- Notes on readers of another language than the list's. ----------------------------------------


def list_language_notes(mailing_list: MailingList, audience: Audience) -> Iterator[LazyText]:
    """Yield notes on readers without a mail in their language or without the admin's wording."""
    if audience.untranslated:
        yield LazyText(
            "Some read a language in which this list has no purpose and privacy statement, and get "
            "the mail in that of the list (%(languages)s)",
            cli=": `repermit list set %(list)s --in …` gives them.",
            languages=_format_counts(audience.untranslated),
            list=mailing_list.slug,
        )
    list_wording = lookup.read_own_wording(mailing_list)
    languages_without_own_wording = {
        language: count
        for language, count in audience.languages.items()
        if count and lookup.read_own_wording(mailing_list, language) == OwnWording()
    }
    if list_wording != OwnWording() and languages_without_own_wording:
        yield LazyText(
            "Your own wording is in the language of the list; those who read another "
            "(%(languages)s) get the usual wording in theirs.",
            languages=_format_counts(languages_without_own_wording),
        )


def _format_counts(languages: Mapping[str, int]) -> LazyJoin:
    return LazyJoin(
        tuple(
            LazyText("%(count)s in %(language)s", count=n, language=Language(language))
            for language, n in languages.items()
        )
    )


# --- Notes on legal grounds that nobody has given. ------------------------------------------------


def _check_grounds(mailing_list: MailingList, grounds: Grounds) -> Iterator[LazyText]:
    if not grounds.asking_ground:
        yield LazyText(
            "The answer page will not say on what ground of the law you ask",
            cli=": --ground says it.",
        )
    if mailing_list.sensitive and not grounds.special_ground:
        yield LazyText(
            "The list is sensitive, and the law forbids asking these people without a ground of "
            "its own (GDPR art. 9(1)); you give none",
            cli=": --special-ground does.",
        )


# --- Rows of a list's imports that never became contacts. -----------------------------------------


def count_left_out(mailing_list: MailingList) -> Mapping[Fate, int]:
    """Count the rows of imports (without undone ones) that never became contacts, by fate.

    Opted-out addresses count once. Invalid rows are not stored, so they count once for each
    different file, however often it was imported.
    """
    return {
        Fate.OPTED_OUT: _count_opted_out(mailing_list),
        Fate.INVALID: _count_invalid(mailing_list),
    }


def _count_opted_out(mailing_list: MailingList) -> int:
    # Contacts that were on the list before count as removed: their suppression has the reason of
    # the removal, not the mark in the file.
    counts = contacts_counts.count_suppressions(mailing_list)
    return sum(
        count
        for (reason, is_imported), count in counts.items()
        if is_imported and reason not in set(Reason)
    )


def _count_invalid(mailing_list: MailingList) -> int:
    rows: Any = (
        Import.select(Import.digest, Import.counts)
        .where(
            Import.list == mailing_list,
            Import.undone_at.is_null(),
            Import.id.not_in(select_targets(TaskKind.IMPORT)),
        )
        .order_by(Import.id)
        .tuples()
    )
    counts_by_digest: dict[str, str] = dict(rows)
    return sum(json.loads(counts)["fates"][Fate.INVALID] for counts in counts_by_digest.values())


# --- Planning a campaign. -------------------------------------------------------------------------


NOTES = (
    LazyText(
        "The British regulator ICO fined Honda in March 2017 for mails that asked for consent. It "
        "said that such a mail is itself advertising, so it needs the very consent that it asks "
        "for. In the Netherlands the ACM supervises this rule (Telecommunicatiewet art. 11.7). "
        "Whether to ask is for your organisation to decide; who decided, and on what ground, is "
        "kept as evidence."
    ),
    LazyText(
        "Until their Yes nobody who is unconfirmed may get the newsletter, or any other "
        "advertising: stop sending it to them now, also from other tools."
    ),
)
"""The notes that the admin must have read before a launch."""

REMINDER_NOTE = LazyText(
    "A reminder is one more mail to people who have not agreed to any. There is one at most, and "
    "whoever answers or cannot be reached is not reminded."
)
"""A further note if there is a reminder."""

OTHER_SENDER_NOTE = LazyText(
    "The list's sender is not the mailbox that logs in (username under [mail]). Exchange Online "
    "refuses every mail then (5.7.60), unless its administrator has given that mailbox the right "
    "“Send As” for the sender."
)
"""A further note if Exchange Online may refuse the list's sender."""


LOST_LAUNCH_NOTE = LazyText(
    "A campaign was launched on this list, or may have been, of which the database knows nothing "
    "since it was restored, and nobody is asked twice. So no mail of the next one leaves by "
    "itself, nor is there a pilot: all are in doubt until you have looked at the mail server's log "
    "and decided whether to send them."
)
"""A further note if a restored database does not know which contacts were asked."""


def plan_launch(
    mailing_list: MailingList,
    *,
    settings: Settings,
    now: datetime,
    deadline: datetime,
    starts_at: datetime | None = None,
    grounds: Grounds = NO_GROUNDS,
    include_thin: bool = False,
    reminder: int = 0,
) -> Plan:
    """Return the plan of a launch at `now`; writes nothing. Times are aware.

    - `starts_at`: when sending starts, if later than now.
    - `grounds`: the legal grounds given; a note names each that lacks.
    - `include_thin`: also ask confirmed contacts whose imported proof shows no wording.
    - `reminder`: how many days before the deadline contacts are reminded; 0 for never.
    - While another campaign is live nothing is counted, and the launch is refused.
    """
    launch_state = read_launch_state(mailing_list)
    audience = make_empty_audience(mailing_list) or count_audience(
        mailing_list, include_thin=include_thin, fingerprint_key=settings.fingerprint_key
    )
    send_plan = SendPlan(
        starts_at=max(now, starts_at or now),
        send_duration=compute_send_duration(
            mailing_list, audience, settings=settings, include_thin=include_thin
        ),
        reminder_at=compute_reminder_time(deadline, reminder, settings.zone) if reminder else None,
        deadline=deadline,
    )
    return Plan(
        asked=audience.asked,
        excluded=audience.excluded,
        left_out=count_left_out(mailing_list),
        languages=audience.languages,
        last_ask_at=send_plan.last_ask_at,
        reminder_at=send_plan.reminder_at,
        refusals=tuple(_list_refusals(mailing_list, audience, settings, send_plan, now=now)),
        notes=(
            *NOTES,
            *((REMINDER_NOTE,) if reminder else ()),
            *((LOST_LAUNCH_NOTE,) if mailing_list.lost_launch_at else ()),
            *_check_grounds(mailing_list, grounds),
            *_check_account(mailing_list, settings.mail),
            *find_revealing_places(mailing_list, settings),
            *list_language_notes(mailing_list, audience),
        ),
        launch_state=launch_state,
    )


def read_launch_state(mailing_list: MailingList) -> LaunchState:
    """Return the state that a plan is computed from."""
    campaign = latest_campaign(mailing_list)
    tasks = BackgroundTask.select().where(BackgroundTask.list == mailing_list)
    return LaunchState(
        texts=read_texts(mailing_list),
        # An import, a sign-up or an answer changes the audience.
        contacts=contacts_counts.count_contact_groups(mailing_list),
        campaign=(campaign.id, campaign.state) if campaign else None,
        tasks=tasks.count(),
    )


def list_missing_fields(mailing_list: MailingList) -> tuple[LazyText, ...]:
    """Return the problems of a list's description that prevent a launch."""
    return tuple(_check_list(mailing_list))


def check_description(mailing_list: MailingList, settings: Settings) -> tuple[LazyText, ...]:
    """Return the problems of the organisation's and the list's descriptions that prevent a mail."""
    return (*_check_organisation(settings.organisation), *list_missing_fields(mailing_list))


def _list_refusals(
    mailing_list: MailingList,
    audience: Audience,
    settings: Settings,
    send_plan: SendPlan,
    *,
    now: datetime,
) -> Iterator[LazyText]:
    """Yield every reason why a campaign may not start, as sentences for the admin."""
    yield from _check_organisation(settings.organisation)
    yield from _check_list(mailing_list)
    yield from _check_public_url(settings.public_url)
    yield from _check_times(send_plan, settings, now=now)
    yield from _check_audience(mailing_list, audience)
    yield from _check_wording(mailing_list, settings)


_MISSING_SETTINGS = {
    # GDPR art. 13(1)(a) and (b): who asks, and how to reach them.
    "name": LazyText(
        "the settings do not say what your organisation is called",
        code="organisation_name",
        cli=": set name under [organisation] in config.toml",
    ),
    "address": LazyText(
        "the settings do not give your organisation’s postal address",
        code="organisation_address",
        cli=": set address under [organisation] in config.toml",
    ),
    "email": LazyText(
        "the settings give neither an e-mail address nor a telephone number to reach you by",
        code="organisation_contact",
        cli=": set email or telephone under [organisation] in config.toml",
    ),
    # GDPR art. 13(2)(d): where to complain stands in every statement of rights.
    "authority": LazyText(
        "the settings do not say where people can complain: the supervisory authority",
        code="organisation_authority",
        cli=" (authority under [organisation] in config.toml)",
    ),
}


def _check_organisation(organisation: Organisation) -> Iterator[LazyText]:
    yield from (_MISSING_SETTINGS[key] for key in organisation.missing_keys)
    if organisation.email and (reason := _explain_bad_address(organisation.email)):
        yield LazyText(
            "your organisation’s e-mail address in the settings cannot be used: %(reason)s",
            code="organisation_email",
            reason=reason,
        )


def _check_list(mailing_list: MailingList) -> Iterator[LazyText]:
    slug = mailing_list.slug
    if not mailing_list.privacy_url:
        yield LazyText(
            "the list does not say where your privacy statement is",
            code="privacy_url",
            cli=": `repermit list set %(list)s --privacy-url …`",
            list=slug,
        )
    if not mailing_list.purpose:
        yield LazyText(
            "the list does not say what people will get, so nobody could know what to say Yes to",
            code="purpose",
            cli=": `repermit list set %(list)s --purpose …`",
            list=slug,
        )
    if not mailing_list.frequency and not mentions_frequency(mailing_list.purpose):
        yield LazyText(
            "the list does not say how often mail will come",
            code="frequency",
            cli=": `repermit list set %(list)s --frequency …`, such as “four times a year”",
            list=slug,
        )
    if reveals_name(mailing_list):
        yield LazyText(
            "the list is sensitive, and a text that was corrected shows its name, which others "
            "may see",
            code="corrected_text",
            cli=": take that back (`repermit text list %(language)s --corrected`)",
            language=mailing_list.language,
        )
    if not mailing_list.sender:
        yield LazyText(
            "the list does not say who sends it",
            code="no_sender",
            cli=": `repermit list set %(list)s --sender …`",
            list=slug,
        )
    elif reason := _explain_bad_address(sender_identity.read_address(mailing_list.sender)):
        yield LazyText(
            "the sender of the list cannot be used: %(reason)s", code="sender", reason=reason
        )


def _check_account(mailing_list: MailingList, mail: MailServer) -> Iterator[LazyText]:
    """Yield a note if the mail account may refuse the list's sender."""
    if not mail.refuses_other_senders or not mail.username:
        return
    with suppress(AddressError):
        sender = email_address.parse(sender_identity.read_address(mailing_list.sender))
        if sender.key != mail.username.strip().lower():
            yield OTHER_SENDER_NOTE


def _explain_bad_address(address: str) -> str:
    """Return why an address cannot be used, "" if it can."""
    try:
        email_address.parse(address)
    except AddressError as error:
        return error.reason
    return ""


def _check_public_url(public_url: str) -> Iterator[LazyText]:
    parts = urlsplit(public_url)
    if parts.scheme != "https" and not _is_loopback(parts.hostname or ""):
        yield LazyText(
            "answers would travel unprotected: the address of the pages (public_url in the "
            "settings) is %(url)s, and must begin with https://",
            code="unprotected",
            url=public_url,
        )


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _check_times(send_plan: SendPlan, settings: Settings, *, now: datetime) -> Iterator[LazyText]:
    """Yield the problems of a campaign's deadline, rates and reminder."""
    days = settings.campaign.minimum_days
    latest = latest_ask(send_plan.deadline, days)
    deadline, last = (
        to_local_time(send_plan.deadline, settings),
        to_local_time(send_plan.last_ask_at, settings),
    )
    if send_plan.deadline <= now:
        yield LazyText(
            "the deadline, %(deadline)s, has passed", code="deadline_passed", deadline=deadline
        )
    elif latest <= send_plan.starts_at:
        yield LazyText(
            "the deadline is too near: people need %(days)s days to answer, so it must be later "
            "than %(earliest)s",
            code="too_near",
            cli=" (minimum_days under [campaign])",
            days=days,
            earliest=to_local_time(send_plan.starts_at + timedelta(days=days), settings),
        )
    elif latest < send_plan.last_ask_at:
        yield LazyText(
            "the mails leave too slowly for this deadline: the last one leaves on %(last)s, and "
            "people need %(days)s days to answer, so it must be later than %(earliest)s",
            code="too_slow",
            cli=(
                " (minimum_days under [campaign]; the rates under [mail], which all campaigns "
                "share)"
            ),
            last=last,
            days=days,
            earliest=to_local_time(send_plan.last_ask_at + timedelta(days=days), settings),
        )
    elif send_plan.deadline - MAX_PERIOD > max(now, send_plan.last_ask_at):
        yield LazyText(
            "the deadline, %(deadline)s, is more than a year after the last mail has left: is its "
            "year right?",
            code="too_far",
            deadline=deadline,
        )
    elif send_plan.reminder_at and send_plan.last_reminder_at:
        yield from check_reminder(
            send_plan.reminder_at,
            last_ask_at=send_plan.last_ask_at,
            last_reminder_at=send_plan.last_reminder_at,
            deadline=send_plan.deadline,
            settings=settings,
        )


def _check_audience(mailing_list: MailingList, audience: Audience) -> Iterator[LazyText]:
    campaign = latest_campaign(mailing_list)
    if campaign is not None and CampaignState(campaign.state).is_live:
        yield LazyText(
            "a campaign is under way on this list already",
            code="under_way",
            cli=": it is %(state)s",
            state=campaign.state,
        )
    elif running_import := background_tasks.describe_running_import(mailing_list):
        yield running_import
    elif not audience.asked:
        yield LazyText("there is nobody to ask", code="nobody")


def _check_wording(mailing_list: MailingList, settings: Settings) -> Iterator[LazyText]:
    """Yield the problems of the admin's own wording, or of the mail's size."""
    # Problems of an address are reported by the checks of that address.
    with suppress(AddressError):
        try:
            check_asks(mailing_list, settings)
        except MailTooLarge as error:
            yield from error.reasons
        except WordingError as error:
            yield from (
                LazyText("your own wording cannot be used: %(reason)s", reason=reason)
                for reason in error.reasons
            )
