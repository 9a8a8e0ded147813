"""Faults of the mail server, which `status` shows until a mail is accepted again."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from peewee import fn

from repermit.clock import Clock, format_timestamp
from repermit.db.connection import Database
from repermit.db.models.base import Meta, parse_timestamp
from repermit.db.models.lists import MailingList
from repermit.db.models.mails import Mail
from repermit.errors import TransportError
from repermit.i18n.lazy_text import LazyText, deserialize, serialize
from repermit.rules.consent import MailState
from repermit.sending import refusals_and_retries
from repermit.sending.queue import IS_QUEUED

_KEY = "sending_fault"


@dataclass(frozen=True)
class ServerFault:
    """Why no mail is accepted, and since when; `last_at`: the last occurrence (aware UTC)."""

    reason: LazyText
    since: datetime
    last_at: datetime


def record_fault(database: Database, reason: str, *, now: datetime) -> None:
    """Store why the last run ended early; "" deletes it, since mails are accepted again."""
    last = read_last_fault()
    if not reason and last is None:
        return
    with database.atomic():
        if not reason:
            Meta.delete().where(Meta.key == _KEY).execute()
            return
        since = last.since if last else now
        content = {
            "reason": serialize(reason),
            "since": format_timestamp(since),
            "last_at": format_timestamp(now),
        }
        Meta.insert(key=_KEY, value=json.dumps(content)).on_conflict(
            conflict_target=[Meta.key], preserve=[Meta.value]
        ).execute()


def read_last_fault() -> ServerFault | None:
    """Return the fault of the last run that had mails to send; None if it had none."""
    row = Meta.get_or_none(Meta.key == _KEY)
    if row is None:
        return None
    content = json.loads(row.value)
    return ServerFault(
        deserialize(content["reason"]),
        parse_timestamp(content["since"]),
        parse_timestamp(content["last_at"]),
    )


# --- Refusals for a policy, such as 550 5.7.1. ----------------------------------------------------


# So many in a row, with nothing accepted in between, are the server's policy.
_MAX_IN_A_ROW = 3


class PolicyRefusals:
    """The refusals for a policy in one run of sending.

    Each refused mail is postponed, and sending goes on. If nothing is accepted any more, the
    policy is about all mails: then the postponed ones become due again.
    """

    def __init__(self, database: Database, *, worker: str, clock: Clock) -> None:
        self._database = database
        self._worker = worker
        self._clock = clock
        self._refused_ids: list[int] = []
        self._last_fault = LazyText()
        self._has_accepted = False

    def record_acceptance(self) -> None:
        """Record that the server accepted a mail: earlier refusals were about their recipients."""
        self._has_accepted = True
        self._refused_ids.clear()

    def postpone_mail(
        self, number: int, error: TransportError, *, was_started: bool
    ) -> tuple[MailState | None, LazyText]:
        """Record a refusal; return the mail's state, and the server's fault, "" for none.

        A mail that had been postponed before says nothing about the server.
        """
        state, is_known = refusals_and_retries.postpone_mail(
            self._database,
            number,
            error,
            worker=self._worker,
            was_started=was_started,
            now=self._clock.now(),
        )
        if not is_known:
            self._refused_ids.append(number)
            self._last_fault = error.said
        return state, self._blame_server() if len(
            self._refused_ids
        ) >= _MAX_IN_A_ROW else LazyText()

    def finish(self) -> LazyText:
        """Return, at the end of the run, the server's fault; "" if it accepted any mail."""
        return self._blame_server() if self._refused_ids and not self._has_accepted else LazyText()

    def _blame_server(self) -> LazyText:
        refusals_and_retries.resume_postponed(
            self._database, self._refused_ids, now=self._clock.now()
        )
        self._refused_ids.clear()
        return self._last_fault


def count_policy_refusals(mailing_list: MailingList) -> dict[str, int]:
    """Count the mails that are postponed for a policy, by reply codes."""
    query: Any = (
        Mail.select(Mail.reply_code, Mail.reply_status, fn.COUNT(Mail.id))
        .where(Mail.list == mailing_list, IS_QUEUED, refusals_and_retries.IS_POSTPONED)
        .group_by(Mail.reply_code, Mail.reply_status)
        .order_by(Mail.reply_code, Mail.reply_status)
        .tuples()
    )
    return {f"{code} {status}".strip(): count for code, status, count in query}
