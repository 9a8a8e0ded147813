"""What a person decides about the mails in doubt; they are never sent again by themselves."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import Any

from peewee import SQL

from repermit.contacts import counts
from repermit.db.background_tasks import (
    BackgroundTask,
    TaskKind,
    run_task,
    start_task,
    task_targets,
)
from repermit.db.connection import Database, chunks, literal, lock_rows
from repermit.db.models.campaigns import Campaign, latest_campaign
from repermit.db.models.lists import MailingList
from repermit.db.models.mails import Mail
from repermit.db.task_ownership import background_work, foreground_work
from repermit.errors import Refused
from repermit.evidence import chain
from repermit.evidence.entries import Entry
from repermit.rules.consent import CampaignState, MailKind, MailState


def resolve(
    database: Database,
    mailing_list: MailingList,
    *,
    resend: bool,
    shown: int | None = None,
    now: datetime,
    actor: str,
    most: int | None = None,
) -> int:
    """Decide on all of a list's mails in doubt; return how many there were.

    With `resend` they are queued again, under the same Message-ID; otherwise they have failed, and
    their contacts count as unasked. `shown` is how many were shown to whoever decides, None if
    none were. Raises Refused where resending would come after the campaign, and if there are not as
    many as were shown; then nothing is changed, unless the campaign ends in the middle.

    In steps, each with its evidence: a restored list has its whole launch in doubt. About `most`
    mails are decided on if given; what is left, also by a kill, `finish_resolutions` goes on with.
    What comes into doubt meanwhile stays so: only what was in doubt before is decided on. A
    decision that is under way ends, and this one is about what it has left.
    """
    runs = _runs_in_doubt(mailing_list)
    there = sum(last - first + 1 for first, last in runs)
    if shown not in (None, there):
        raise Refused("other mails are in doubt than were shown; look again")
    with database.atomic():
        _begin(mailing_list, runs, resend=resend, now=now, actor=actor)
    work = _Work(most)
    with foreground_work(database, TaskKind.RESOLVE):
        for task in _tasks_on(mailing_list):
            work.go_on(database, task.target)
    if work.refusal is not None:
        raise work.refusal
    return there


def finish_resolutions(database: Database, *, should_stop: Callable[[], bool] = bool) -> None:
    """Go on with the decisions that are under way, also after a kill.

    Nobody is disturbed who decides by hand.
    """
    under_way = task_targets(TaskKind.RESOLVE)
    with background_work(database, TaskKind.RESOLVE, should_stop) as must_stop:
        for number in under_way:
            _Work().go_on(database, number, should_stop=must_stop)


def count_in_doubt(mailing_list: MailingList) -> int:
    """Count the mails of a list that are in doubt, by the counts that the database keeps."""
    mails = counts.count_mails(mailing_list)
    return counts.total(mails, lambda mails: mails.state is MailState.IN_DOUBT)


@dataclass(frozen=True, kw_only=True)
class Resolving:
    """A decision that is under way: so many mails are `left` that it is about."""

    resend: bool
    left: int


def being_resolved(mailing_list: MailingList) -> Resolving | None:
    """Return how far the decision on a list's mails in doubt is, None if none is under way."""
    found = [_Progress(**task.state) for task in _tasks_on(mailing_list)]
    if not found:
        return None
    return Resolving(resend=found[0].resend, left=sum(progress.left() for progress in found))


@dataclass
class _Progress:
    """How far a decision is: on the mails of these runs, each its first and last, to `reached`."""

    resend: bool
    runs: list[list[int]]
    reached: int = 0

    def left(self) -> int:
        """Return how many mails it has not reached."""
        return sum(max(0, last - max(first - 1, self.reached)) for first, last in self.runs)

    def is_about(self, number: int) -> bool:
        """Say whether a mail was in doubt when this was decided."""
        run = bisect_right(self.runs, number, key=itemgetter(0)) - 1
        return run >= 0 and number <= self.runs[run][1]


def _runs_in_doubt(mailing_list: MailingList) -> list[list[int]]:
    """Return which mails of a list are in doubt, as first and last of each run of numbers.

    A launch is a few runs, and its million mails would fill the memory.
    """
    runs: list[list[int]] = []
    own: Any = Mail.select(Mail.id).where(Mail.list == mailing_list, _IS_IN_DOUBT)
    for (number,) in own.order_by(Mail.id).tuples().iterator():
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return runs


def _begin(
    mailing_list: MailingList, runs: list[list[int]], *, resend: bool, now: datetime, actor: str
) -> None:
    """Note, in the caller's transaction, that these mails are to be decided on."""
    # Whoever decides in the same moment locks it too.
    lock_rows(MailingList.select().where(MailingList.id == mailing_list.id)).get()
    mails = counts.count_mails(mailing_list)
    if resend and counts.total(mails, _is_ask_in_doubt):
        _require_live(latest_campaign(mailing_list))
    BackgroundTask.delete().where(*_is_on(mailing_list)).execute()
    for some in chunks(runs, _RUNS):
        start_task(
            TaskKind.RESOLVE,
            some[0][0],
            mailing_list=mailing_list,
            actor=actor,
            at=now,
            state=vars(_Progress(resend, list(some))),
        )


_RUNS = 2_000
"""Runs of a task: each of its steps writes them anew. Mails of which some had left are many."""


def _tasks_on(mailing_list: MailingList) -> list[BackgroundTask]:
    query = BackgroundTask.select().where(*_is_on(mailing_list))
    return list(query.order_by(BackgroundTask.target))


def _is_on(mailing_list: MailingList) -> tuple[Any, ...]:
    return BackgroundTask.kind == TaskKind.RESOLVE, BackgroundTask.list == mailing_list


@dataclass
class _Work:
    """What is done in one go, of about `most` mails; `refusal` is why a decision has ended."""

    most: int | None = None
    looked_at: int = 0
    refusal: Refused | None = None

    def go_on(
        self, database: Database, number: int, *, should_stop: Callable[[], bool] = bool
    ) -> None:
        """Take the steps of a task until it is done, or enough is."""

        def must_stop() -> bool:
            return should_stop() or (self.most is not None and self.looked_at >= self.most)

        run_task(database, TaskKind.RESOLVE, number, self._step, should_stop=must_stop)

    def _step(self, task: BackgroundTask, limit: int) -> bool:
        """Decide on the next mails, in the caller's transaction; False if none are left."""
        progress = _Progress(**task.state)
        mails: Any = Mail.select(Mail.id, Mail.kind).where(
            Mail.list == task.list_id,
            _IS_IN_DOUBT,
            Mail.id > progress.reached,
            Mail.id <= progress.runs[-1][1],
        )
        found = list(mails.order_by(Mail.id).limit(limit).tuples())
        meant = {number: kind for number, kind in found if progress.is_about(number)}
        campaign = _locked_campaign(task.list)
        if progress.resend and MailKind.ASK in meant.values():
            try:
                _send_on(campaign)
            except Refused as refusal:
                self.refusal = refusal
                return False
        _decide(task, meant, campaign.id if campaign else 0, resend=progress.resend)
        if found:
            progress.reached = found[-1][0]
        self.looked_at += len(found)
        task.state = vars(progress)
        return len(found) == limit


def _decide(task: BackgroundTask, numbers: Iterable[int], campaign: int, *, resend: bool) -> None:
    """Decide on mails, if they are still in doubt, and append the entry of it."""
    decided: int = (
        Mail.update(worker="", **_decision(resend=resend, now=task.at))
        .where(Mail.id.in_(literal(numbers)), _IS_IN_DOUBT)
        .execute()
    )
    if decided:
        chain.append(
            Entry(
                event="resolved",
                at=task.at,
                actor=task.actor,
                list=task.list.slug,
                campaign=campaign,
                consent={"resend": resend, "mails": decided},
            )
        )


def _locked_campaign(mailing_list: MailingList) -> Campaign | None:
    latest = latest_campaign(mailing_list)
    if latest is None:
        return None
    locked: Campaign = lock_rows(Campaign.select().where(Campaign.id == latest.id)).get()
    return locked


def _is_ask_in_doubt(mails: counts.Mails) -> bool:
    return mails.state is MailState.IN_DOUBT and mails.kind is MailKind.ASK


# Written out, so that SQLite uses the index for just these.
_IS_IN_DOUBT: Any = Mail.state == SQL("'in_doubt'")


def _send_on(campaign: Campaign | None) -> None:
    """Let a campaign that was open send again; refuse if it is over."""
    campaign = _require_live(campaign)
    if campaign.state == CampaignState.OPEN:
        _change(campaign, state=CampaignState.SENDING, opened_at=None)
    elif campaign.paused_from == CampaignState.OPEN:
        _change(campaign, paused_from=CampaignState.SENDING, opened_at=None)


def _require_live(campaign: Campaign | None) -> Campaign:
    if campaign is None or not CampaignState(campaign.state).is_live:
        raise Refused(
            "the campaign is over, so nobody may be asked any more; `repermit resolve --leave` "
            "counts the mails in doubt as failed",
            code="over",
        )
    return campaign


def _change(campaign: Campaign, **values: Any) -> None:
    Campaign.update(**values).where(Campaign.id == campaign.id).execute()


def _decision(*, resend: bool, now: datetime) -> dict[str, Any]:
    if resend:
        return {"state": MailState.QUEUED, "reason": "", "due_at": now}
    return {"state": MailState.FAILED, "reason": MailState.IN_DOUBT}
