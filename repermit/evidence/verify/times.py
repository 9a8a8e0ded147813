"""Whether the times of entries have come, and follow one another."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from peewee import Value, fn

from repermit.db.background_tasks import BackgroundTask
from repermit.db.connection import is_postgresql, position, proxy, streamed
from repermit.db.models.base import read_moment, stored
from repermit.db.models.campaigns import Campaign
from repermit.db.models.contacts import Contact
from repermit.db.models.evidence import Evidence, EvidencePart
from repermit.db.models.mails import Mail
from repermit.evidence.verify.diagnosis import Fault, How
from repermit.rules.consent import latest_ask

AHEAD = timedelta(minutes=5)
"""By so much the clocks of several machines may differ."""

BEHIND_OF_PEOPLE = timedelta(minutes=10)
"""An answer has the time at which it came in, and may wait for its turn for a while."""

BEHIND = timedelta(hours=1)
"""An act of an admin or a job has the time at which it began, and may take a while."""

_PEOPLE = ("person", "reader")
# Acts that have the time of their beginning, however long they take: reading a large file, or
# launching and taking back in steps that go on after a kill.
_LONG_ACTS = ("imported", "import_undone", "suppressions_imported", "launched", "archived")


def tolerance(actor: str) -> timedelta:
    """Return how much earlier than the entries before it the time of an actor's entry may be."""
    return BEHIND_OF_PEOPLE if actor in _PEOPLE else BEHIND


class EntryTimes:
    """The times of the entries that are walked, in their order.

    `now` is the present moment; None if nobody tells it, and then nothing is in the future.
    """

    def __init__(self, now: datetime | None) -> None:
        self._latest_allowed = None if now is None else _raw(now + AHEAD)
        self._latest: Any = None
        self._late: list[Mapping[str, Any]] = []

    def take(self, row: Mapping[str, Any]) -> Fault | None:
        """Take the time of the next entry; return a fault if it is in the future."""
        at = row["at"]
        if self._latest is None or at >= self._latest:
            self._latest = at
            if self._latest_allowed is not None and at > self._latest_allowed:
                return Fault(row["seq"], How.IN_THE_FUTURE, f"{stored(read_moment(at))}")
        elif read_moment(self._latest) - read_moment(at) > tolerance(row["actor"]):
            self._late.append(row)
        return None

    def faults(self) -> Iterator[Fault]:
        """Yield the entries whose time is too early for their place, once all are walked."""
        if not self._late:
            return
        long_acts = _beginnings_of_long_acts()
        for row in self._late:
            if (row["list"], stored(read_moment(row["at"]))) not in long_acts:
                at = stored(read_moment(row["at"]))
                yield Fault(row["seq"], How.OUT_OF_ORDER, at)


def _raw(moment: datetime) -> Any:
    """Return a moment as the database gives it unread."""
    return moment if is_postgresql(proxy.obj) else stored(moment)


def _beginnings_of_long_acts() -> set[tuple[str, str]]:
    """Return list and beginning of each act that may take long, done or under way."""
    done: Any = Evidence.select(Evidence.list, Evidence.at).where(
        Evidence.event.in_(_LONG_ACTS), Evidence.subject == ""
    )
    found = {(slug, stored(at)) for slug, at in done.tuples().iterator()}
    return found | {(row.list.slug, stored(row.at)) for row in BackgroundTask.select()}


# --- Whether asks and reminders were sent when the record and their own columns say. --------------


_SENT = "sent"
_TOLD = {"ask": "asked_at", "reminder": "reminded_at"}
_STANDINGS = ("confirmed", "removed")
_REFUSED = 400
_SECOND = len("2026-03-02T09:00:00")


def mail_times() -> Iterator[Fault]:
    """Yield the mails that were not sent as their row says, or at another time than entries say."""
    yield from _contradicting_themselves()
    yield from _contradicting_entries()
    yield from _silences_too_short()


def _contradicting_themselves() -> Iterator[Fault]:
    is_sent = Mail.state == _SENT
    is_early = [
        Mail.sent_at < earliest for earliest in (Mail.started_at, Mail.due_at, Campaign.starts_at)
    ]
    query: Any = (
        Mail.select(
            Mail.id,
            Mail.sent_at,
            Mail.started_at,
            Mail.due_at,
            Campaign.starts_at,
            Mail.state,
            Mail.reason,
            Mail.reply_code,
        )
        .join(Campaign)
        .where(
            Mail.kind.in_(list(_TOLD)),
            (is_sent & (Mail.sent_at.is_null() | (Mail.reason != "")))
            | (is_sent & (Mail.reply_code >= _REFUSED))
            | (~is_sent & Mail.sent_at.is_null(is_null=False))
            | is_early[0]
            | is_early[1]
            | is_early[2],
        )
        .order_by(Mail.id)
    )
    for number, sent_at, *earliest, state, reason, code in list(streamed(query)):
        if (state == _SENT) != bool(sent_at) or (state == _SENT and (reason or code >= _REFUSED)):
            yield Fault(0, How.UNVOUCHED, f"mail {number}: whether it was sent")
        elif any(one and read_moment(sent_at) < read_moment(one) - AHEAD for one in earliest):
            yield Fault(0, How.UNVOUCHED, f"mail {number}: when it was sent")


def _contradicting_entries() -> Iterator[Fault]:
    """Yield what answers and removals tell of a mail that does not say so, or not any more."""
    for kind, name in _TOLD.items():
        beginning = Value(f'"{name}":"')
        query: Any = (
            Mail.select(Mail.id, Contact.subject, Evidence.seq, EvidencePart.json)
            .join(Contact, on=(Contact.id == Mail.contact))
            .join(
                Evidence,
                on=(Evidence.subject == Contact.subject) & (Evidence.campaign == Mail.campaign),
            )
            .join(EvidencePart, on=(EvidencePart.seq == Evidence.seq))
            .where(
                Mail.kind == kind,
                Evidence.event.in_(_STANDINGS),
                EvidencePart.part == "consent",
                position(EvidencePart.json, beginning.concat("2")) > 0,
                fn.COALESCE(position(EvidencePart.json, beginning.concat(_second())), 0) == 0,
            )
            .order_by(Evidence.seq)
        )
        for number, subject, seq, text in list(streamed(query)):
            if not _is_sent_at(subject, kind, json.loads(text)[name]):
                yield Fault(seq, How.CONTRADICTED, f"mail {number}: when it was sent")


def _second() -> Any:
    """Return when a mail was sent, to the second, as entries write it; null if it was not."""
    if is_postgresql(proxy.obj):
        return fn.TO_CHAR(fn.TIMEZONE("UTC", Mail.sent_at), 'YYYY-MM-DD"T"HH24:MI:SS')
    return fn.SUBSTR(Mail.sent_at, 1, _SECOND)


def _is_sent_at(subject: str, kind: str, told: str) -> bool:
    """Say whether any mail of a kind was sent to somebody at a moment, in whichever campaign."""
    sent: Any = (
        Mail.select(Mail.sent_at)
        .join(Contact, on=(Contact.id == Mail.contact))
        .where(Contact.subject == subject, Mail.kind == kind, Mail.sent_at.is_null(is_null=False))
        .tuples()
    )
    return any(at == read_moment(told) for (at,) in sent)


def _silences_too_short() -> Iterator[Fault]:
    """Yield the removals for silence of whom had not had their time to answer, as they say."""
    rows: Any = (
        Evidence.select(Evidence.seq, Evidence.at, Campaign.starts_at, EvidencePart.json)
        .join(EvidencePart, on=(EvidencePart.seq == Evidence.seq))
        .join(Campaign, on=(Campaign.id == Evidence.campaign))
        .where(
            Evidence.event == "removed",
            EvidencePart.part == "consent",
            position(EvidencePart.json, Value('"reason":"no_response"')) > 0,
            position(EvidencePart.json, Value('"minimum_days":')) > 0,
        )
        .order_by(Evidence.seq)
    )
    for seq, at, starts_at, text in streamed(rows):
        if _is_too_short(json.loads(text), at, starts_at):
            yield Fault(seq, How.CONTRADICTED, "how long they had to answer")


def _is_too_short(said: Mapping[str, Any], at: Any, starts_at: Any) -> bool:
    asked_at, deadline = read_moment(said["asked_at"]), read_moment(said["deadline"])
    return (
        asked_at > latest_ask(deadline, said["minimum_days"])
        or asked_at < read_moment(starts_at) - AHEAD
        or read_moment(at) < deadline
    )
