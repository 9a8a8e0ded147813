"""Adding a reminder to a running campaign, where no mail has promised to ask only once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from repermit.campaigns import lifecycle
from repermit.campaigns.preview import freeze_wording
from repermit.campaigns.send_plan import (
    check_reminder,
    compute_reminder_time,
    predict_last_ask,
    predict_reminder_duration,
    to_local_time,
)
from repermit.clock import format_timestamp
from repermit.db.connection import Database
from repermit.db.models.campaigns import (
    Campaign,
    CampaignWording,
    latest_campaign,
    list_newest_wordings,
)
from repermit.db.models.lists import MailingList
from repermit.db.models.mails import Mail
from repermit.emails import frozen_draft, make_draft
from repermit.errors import Refused
from repermit.i18n.lazy_text import LazyText
from repermit.rules.consent import POSSIBLY_SENT, MailKind
from repermit.settings.definitions import Settings


class Promise(StrEnum):
    """Whether the asks of a campaign promise to ask only once.

    - `made`: an ask with that promise was sent.
    - `own_words`: the admin's own wording may promise it, which a program cannot tell.
    - `none`: no ask with the promise was sent, and the unsent ones can leave it out.
    """

    MADE = "made"
    OWN_WORDS = "own_words"
    NONE = "none"


def read_promise(campaign: Campaign) -> Promise:
    """Return whether the asks of a campaign without a reminder have promised to ask only once."""
    rows = list_newest_wordings(campaign)
    asks = [frozen_draft.read_draft(row.wording.content) for row in rows if row.kind == "ask"]
    return _judge_promise(campaign, asks)


def _judge_promise(campaign: Campaign, asks: Iterable[frozen_draft.Draft]) -> Promise:
    says_once = list(map(make_draft.says_once, asks))
    if any(says_once) and _has_left(campaign):
        return Promise.MADE
    return Promise.NONE if all(says_once) else Promise.OWN_WORDS


@dataclass(frozen=True, kw_only=True)
class _Reworded:
    """A frozen ask, the same without its promise (`plain`, None without one), and its reminder."""

    row: CampaignWording
    ask: frozen_draft.Draft
    plain: frozen_draft.Draft | None
    reminder: frozen_draft.Draft


def _reword_asks(campaign: Campaign) -> Iterator[_Reworded]:
    """Yield the asks and the reminder in each language, for a campaign without a reminder."""
    for row in list_newest_wordings(campaign):
        ask = frozen_draft.read_draft(row.wording.content)
        yield _Reworded(
            row=row,
            ask=ask,
            plain=make_draft.drop_once(ask) if make_draft.says_once(ask) else None,
            reminder=make_draft.draft_reminder(
                organisation=ask.organisation,
                mailing_list=ask.mailing_list,
                deadline=campaign.deadline,
                zone=ask.zone_info,
                language=ask.language,
            ),
        )


def add_reminder(
    database: Database,
    mailing_list: MailingList,
    *,
    days: int,
    settings: Settings,
    now: datetime,
    actor: str,
    not_promised: bool = False,
) -> datetime:
    """Add a reminder `days` before the deadline for contacts without an answer; return its time.

    Asks that are not sent yet no longer promise to ask only once.

    - `not_promised`: the admin says that the own wording does not promise it.

    Raises Refused if a sent mail promises it, if own wording may promise it and `not_promised` is
    not set, if there is a reminder already, or if its time is too early or too late.
    """
    while True:
        latest = latest_campaign(mailing_list)
        # Computed before the transaction: with rates by domain it takes long, and so does drafting
        # mails in two dozen languages.
        last_ask_at = _predict_last_ask(latest, settings, now) if latest else now
        reminder_duration = (
            predict_reminder_duration(latest, settings=settings) if latest else timedelta(0)
        )
        reworded = list(_reword_asks(latest)) if latest else []
        with database.atomic():
            campaign = lifecycle.lock_campaign(mailing_list, "remind")
            _refuse_second(campaign, settings)
            if (campaign.deadline, list_newest_wordings(campaign)) != (
                latest and latest.deadline,
                [reworded_ask.row for reworded_ask in reworded],
            ):
                continue
            promise = _judge_promise(campaign, [reworded_ask.ask for reworded_ask in reworded])
            _refuse_promised(promise, is_confirmed=not_promised)
            reminder_at = compute_reminder_time(campaign.deadline, days, settings.zone)
            times = _Times(
                now=now,
                reminder_at=reminder_at,
                last_ask_at=last_ask_at,
                reminder_duration=reminder_duration,
            )
            reason = _find_wrong_time(times, campaign.deadline, settings)
            if reason:
                raise Refused(reason)
            campaign.reminder_at = reminder_at
            campaign.save()
            content = {
                "reminder_at": format_timestamp(reminder_at),
                "not_promised": promise is Promise.OWN_WORDS,
                "wordings": _freeze_wordings(campaign, reworded),
            }
            lifecycle.append_entry(
                "reminder_added", campaign, mailing_list, now=now, actor=actor, content=content
            )
        return reminder_at


def _has_left(campaign: Campaign) -> bool:
    asks = Mail.select().where(
        Mail.campaign == campaign,
        Mail.kind == MailKind.ASK,
        Mail.state.in_(POSSIBLY_SENT),
    )
    return bool(asks.exists())


def _predict_last_ask(campaign: Campaign, settings: Settings, now: datetime) -> datetime:
    """Return when the last ask is sent, or was sent."""
    if campaign.opened_at:
        return campaign.opened_at
    return predict_last_ask(campaign, settings=settings, now=max(now, campaign.starts_at))


def _refuse_second(campaign: Campaign, settings: Settings) -> None:
    if campaign.reminder_at:
        raise Refused(
            "a reminder is set already: %(reminder)s; nobody gets two",
            reminder=to_local_time(campaign.reminder_at, settings),
        )


def _refuse_promised(promise: Promise, *, is_confirmed: bool) -> None:
    if promise is Promise.MADE:
        raise Refused(
            "the mail that people got says that they are asked once, and a reminder would break "
            "that promise"
        )
    if promise is Promise.OWN_WORDS and not is_confirmed:
        raise Refused(
            "the mail is in your own words: say that they do not promise to ask only once",
            cli=" (--not-promised)",
        )


@dataclass(frozen=True, kw_only=True)
class _Times:
    now: datetime
    reminder_at: datetime
    last_ask_at: datetime
    reminder_duration: timedelta


def _find_wrong_time(times: _Times, deadline: datetime, settings: Settings) -> LazyText:
    """Return the error of a reminder at this time, "" for none."""
    if not times.now < times.reminder_at < deadline:
        return LazyText(
            "the reminder would leave on %(reminder)s: it can only leave between now and the "
            "deadline, %(deadline)s",
            reminder=to_local_time(times.reminder_at, settings),
            deadline=to_local_time(deadline, settings),
        )
    reasons = check_reminder(
        times.reminder_at,
        last_ask_at=times.last_ask_at,
        last_reminder_at=times.reminder_at + times.reminder_duration,
        deadline=deadline,
        settings=settings,
    )
    return next(reasons, LazyText())


def _freeze_wordings(
    campaign: Campaign, reworded: Iterable[_Reworded]
) -> dict[str, dict[str, str]]:
    """Store the reminders, and the asks without the promise; return the digests by kind."""
    digests: dict[str, dict[str, str]] = {"ask": {}, "reminder": {}}
    for reworded_ask in reworded:
        if reworded_ask.plain:
            digests["ask"][reworded_ask.row.language] = freeze_wording(
                campaign, reworded_ask.plain, revision=reworded_ask.row.revision + 1
            )
        digests["reminder"][reworded_ask.row.language] = freeze_wording(
            campaign, reworded_ask.reminder
        )
    return digests
