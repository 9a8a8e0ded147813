"""Deciding about mails in doubt: an admin has them sent again, or counts them as failed."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import Any

from peewee import SQL, Case

from repermit.contacts import counts
from repermit.db.background_tasks import (
    BackgroundTask,
    TaskKind,
    background_lock,
    foreground_lock,
    list_targets,
    make_task,
    run_each,
    run_task,
)
from repermit.db.connection import Database, chunks, lock_rows, make_id_list
from repermit.db.models.campaigns import Campaign, latest_campaign
from repermit.db.models.lists import MailingList, lock_list
from repermit.db.models.mails import Mail
from repermit.errors import Refused
from repermit.evidence import chain
from repermit.evidence.entries import Entry
from repermit.rules.consent import CampaignState, MailKind, MailState, PauseReason


def resolve_in_doubt(
    database: Database,
    mailing_list: MailingList,
    *,
    resend: bool,
    shown: int | None = None,
    now: datetime,
    actor: str,
    max_mails: int | None = None,
) -> int:
    """Decide on all of a list's mails in doubt; return how many there were.

    - `resend`: the mails are queued again with the same Message-ID. Otherwise they have failed, and
      their contacts count as not asked; those in doubt since a restore are not asked again.
    - `shown`: the number of mails that the admin was shown; None if none was shown.
    - `max_mails`: stop after about so many; `finish_resolutions` decides on the rest, as it does
      after a kill.
    - Raises Refused if the campaign is over and `resend` is set, or if other mails are in doubt
      than were shown. Then nothing is changed, unless the campaign ends during the steps.

    It works in steps, each with its own evidence, as a restored list has a whole launch in doubt.
    Mails that become in doubt meanwhile are not decided on. An earlier decision that is not
    finished is replaced by this one.
    """
    runs = _find_runs_in_doubt(mailing_list)
    total = sum(last_id - first_id + 1 for first_id, last_id in runs)
    if shown not in (None, total):
        raise Refused("other mails are in doubt than were shown; look again")
    # Before the transaction: so many numbers take longer to serialise than to insert.
    tasks = [
        make_task(
            TaskKind.RESOLVE,
            chunk[0][0],
            mailing_list=mailing_list,
            actor=actor,
            at=now,
            state=vars(_Progress(resend, list(chunk))),
        )
        for chunk in chunks(runs, _RUNS_PER_TASK)
    ]
    with database.atomic():
        _start_resolution(mailing_list, tasks, resend=resend)
    resolution_run = _ResolutionRun(max_mails)
    with foreground_lock(database, TaskKind.RESOLVE):
        for task in _list_tasks(mailing_list):
            resolution_run.run_task(database, task.target)
    if resolution_run.refusal is not None:
        raise resolution_run.refusal
    return total


def finish_resolutions(database: Database, *, should_stop: Callable[[], bool] = bool) -> None:
    """Finish the decisions that are not complete, for instance after a kill.

    Gives way to an admin whose own decision is running.
    """
    task_ids = list_targets(TaskKind.RESOLVE)
    with background_lock(database, TaskKind.RESOLVE, should_stop) as must_stop:
        run_each(
            lambda number: _ResolutionRun().run_task(database, number, should_stop=must_stop),
            task_ids,
        )


def count_in_doubt(mailing_list: MailingList) -> int:
    """Count the mails of a list that are in doubt, from the stored counts."""
    mail_counts = counts.count_mails(mailing_list)
    return counts.sum_mails(
        mail_counts, lambda mail_counts: mail_counts.state is MailState.IN_DOUBT
    )


@dataclass(frozen=True, kw_only=True)
class Resolution:
    """A decision that is not finished; `remaining`: how many mails are left."""

    resend: bool
    remaining: int


def find_resolution(mailing_list: MailingList) -> Resolution | None:
    """Return the unfinished decision on a list's mails in doubt; None if there is none."""
    tasks = [_Progress(**task.state) for task in _list_tasks(mailing_list)]
    if not tasks:
        return None
    return Resolution(
        resend=tasks[0].resend, remaining=sum(progress.count_remaining() for progress in tasks)
    )


@dataclass
class _Progress:
    """The progress of a decision.

    - `runs`: first and last number of each run of consecutive mails.
    - `reached`: the number of the last mail decided on.
    """

    resend: bool
    runs: list[list[int]]
    reached: int = 0

    def count_remaining(self) -> int:
        """Return how many mails are left."""
        return sum(
            max(0, last_id - max(first_id - 1, self.reached)) for first_id, last_id in self.runs
        )

    def includes(self, number: int) -> bool:
        """Return whether a mail was in doubt when the decision was made."""
        run = bisect_right(self.runs, number, key=itemgetter(0)) - 1
        return run >= 0 and number <= self.runs[run][1]


def _find_runs_in_doubt(mailing_list: MailingList) -> list[list[int]]:
    """Return the mails of a list that are in doubt, as first and last of each run of numbers.

    A launch is a few runs; a list of its million mails would fill the memory.
    """
    runs: list[list[int]] = []
    query: Any = Mail.select(Mail.id).where(Mail.list == mailing_list, _IS_IN_DOUBT)
    for (number,) in query.order_by(Mail.id).tuples().iterator():
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return runs


def _start_resolution(
    mailing_list: MailingList, tasks: list[BackgroundTask], *, resend: bool
) -> None:
    """Store the tasks of a decision in the caller's transaction, replacing earlier ones."""
    # Serialises two admins who decide at the same time.
    lock_list(mailing_list)
    mail_counts = counts.count_mails(mailing_list)
    if resend and counts.sum_mails(mail_counts, _is_ask_in_doubt):
        _require_live(latest_campaign(mailing_list))
    BackgroundTask.delete().where(*_make_task_conditions(mailing_list)).execute()
    BackgroundTask.bulk_create(tasks, batch_size=_TASKS_PER_STATEMENT)


_RUNS_PER_TASK = 2_000
"""Runs in one task: each step rewrites all of them. A launch that was half sent has many runs."""

_TASKS_PER_STATEMENT = 100


def _list_tasks(mailing_list: MailingList) -> list[BackgroundTask]:
    query = BackgroundTask.select().where(*_make_task_conditions(mailing_list))
    return list(query.order_by(BackgroundTask.target))


def _make_task_conditions(mailing_list: MailingList) -> tuple[Any, ...]:
    return BackgroundTask.kind == TaskKind.RESOLVE, BackgroundTask.list == mailing_list


@dataclass
class _ResolutionRun:
    """One run of work on decisions, of about `max_mails` mails; `refusal`: why it ended."""

    max_mails: int | None = None
    checked_count: int = 0
    refusal: Refused | None = None

    def run_task(
        self, database: Database, number: int, *, should_stop: Callable[[], bool] = bool
    ) -> None:
        """Run the steps of a task until it is finished, or `max_mails` is reached."""

        def must_stop() -> bool:
            return should_stop() or (
                self.max_mails is not None and self.checked_count >= self.max_mails
            )

        run_task(database, TaskKind.RESOLVE, number, self._step, should_stop=must_stop)

    def _step(self, task: BackgroundTask, limit: int) -> bool:
        """Decide on the next mails in the caller's transaction; return whether more are left."""
        progress = _Progress(**task.state)
        query: Any = Mail.select(Mail.id, Mail.kind).where(
            Mail.list == task.list_id,
            _IS_IN_DOUBT,
            Mail.id > progress.reached,
            Mail.id <= progress.runs[-1][1],
        )
        mails = list(query.order_by(Mail.id).limit(limit).tuples())
        kinds = {number: kind for number, kind in mails if progress.includes(number)}
        campaign = _lock_latest_campaign(task.list)
        if progress.resend and MailKind.ASK in kinds.values():
            try:
                _reopen_campaign(campaign)
            except Refused as refusal:
                self.refusal = refusal
                return False
        _decide_mails(task, kinds, campaign.id if campaign else 0, resend=progress.resend)
        if mails:
            progress.reached = mails[-1][0]
        self.checked_count += len(mails)
        task.state = vars(progress)
        return len(mails) == limit


def _decide_mails(
    task: BackgroundTask, numbers: Iterable[int], campaign: int, *, resend: bool
) -> None:
    """Decide on mails that are still in doubt, and append an evidence entry."""
    decided_count: int = (
        Mail.update(worker="", **_make_decision_values(resend=resend, now=task.at))
        .where(Mail.id.in_(make_id_list(numbers)), _IS_IN_DOUBT)
        .execute()
    )
    if decided_count:
        chain.append(
            Entry(
                event="resolved",
                at=task.at,
                actor=task.actor,
                list=task.list.slug,
                campaign=campaign,
                consent={"resend": resend, "mails": decided_count},
            )
        )


def _lock_latest_campaign(mailing_list: MailingList) -> Campaign | None:
    latest = latest_campaign(mailing_list)
    if latest is None:
        return None
    locked: Campaign = lock_rows(Campaign.select().where(Campaign.id == latest.id)).get()
    return locked


def _is_ask_in_doubt(mails: counts.MailGroup) -> bool:
    return mails.state is MailState.IN_DOUBT and mails.kind is MailKind.ASK


# Written out, so that SQLite uses the index for just these.
_IS_IN_DOUBT: Any = Mail.state == SQL("'in_doubt'")


def _reopen_campaign(campaign: Campaign | None) -> None:
    """Set an open campaign back to sending; raises Refused if it is over."""
    campaign = _require_live(campaign)
    if campaign.state == CampaignState.OPEN:
        _update_campaign(campaign, state=CampaignState.SENDING, opened_at=None)
    elif campaign.paused_from == CampaignState.OPEN:
        _update_campaign(campaign, paused_from=CampaignState.SENDING, opened_at=None)


def _require_live(campaign: Campaign | None) -> Campaign:
    if campaign is None or not CampaignState(campaign.state).is_live:
        raise Refused(
            "the campaign is over, so nobody may be asked any more: let the mails in doubt count "
            "as failed",
            cli=" (`repermit resolve --leave`)",
        )
    return campaign


def _update_campaign(campaign: Campaign, **values: Any) -> None:
    Campaign.update(**values).where(Campaign.id == campaign.id).execute()


def _make_decision_values(*, resend: bool, now: datetime) -> dict[str, Any]:
    if resend:
        return {"state": MailState.QUEUED, "reason": "", "due_at": now}
    # After a restore this says that the mails had left, so their people count as asked.
    reason = Case(None, ((Mail.reason == PauseReason.RESTORED, Mail.reason),), MailState.IN_DOUBT)
    return {"state": MailState.FAILED, "reason": reason}
