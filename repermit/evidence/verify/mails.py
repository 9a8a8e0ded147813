"""Whether asks and reminders were sent to whom and when the record and their own columns say."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from operator import itemgetter
from typing import Any

from peewee import Value, fn

from repermit.clock import format_timestamp
from repermit.db.background_tasks import BackgroundTask, TaskKind
from repermit.db.connection import find_position, is_postgresql, proxy, stream_rows
from repermit.db.models.base import parse_timestamp
from repermit.db.models.campaigns import Campaign
from repermit.db.models.contacts import Contact
from repermit.db.models.evidence import Evidence, EvidencePart
from repermit.db.models.imports import Import
from repermit.db.models.lists import MailingList
from repermit.db.models.mails import Mail
from repermit.evidence.chain_reader import fetch_rows, select_parts
from repermit.evidence.verify.contacts import STATUS_EVENTS, newest_seq, quote_member
from repermit.evidence.verify.diagnosis import Fault, How, mismatch
from repermit.evidence.verify.replay import Launch, Replay, UndoneImport, moment_text
from repermit.evidence.verify.times import AHEAD, BEHIND, tolerance
from repermit.rules.consent import latest_ask

_MEMBERS = {"ask": "asked_at", "reminder": "reminded_at"}
"""Under which names entries say when a mail of each kind was sent."""

_KINDS = list(_MEMBERS)
_ANSWERS = ("confirmed", "removed")
_SENT = "sent"
_REFUSED = 400
_SECOND = len("2026-03-02T09:00:00")


def check_mails(replay: Replay) -> Iterator[Fault]:
    """Yield the mails that contradict entries or their own columns."""
    yield from _asks_after_removal()
    yield from _wrong_numbers_of_asks(replay)
    yield from _wrong_deadlines(replay)
    yield from _mails_contradicting_themselves()
    yield from _mails_contradicting_entries()
    yield from _asks_of_another_number()
    yield from _silences_too_short()
    yield from _asks_after_all_had_left()


# --- Whether anybody was asked or reminded after they had been removed. ---------------------------


def _asks_after_removal() -> Iterator[Fault]:
    """Yield the removals after which an ask or a reminder of the same person left.

    Their own later Yes or sign-up, or taking back the file that had taken them off, ends a removal.
    A mail may begin while an answer waits for its turn: see `tolerance`.
    """
    for number, subject, slug, started_at, sent_at in list(stream_rows(_mails_after_removal())):
        # When it began decides: the server may take its time.
        started = parse_timestamp(started_at or sent_at)
        latest = max(started, parse_timestamp(sent_at) - BEHIND) if sent_at else started
        entry = _status_entry(subject, slug, latest)
        if entry and entry.event == "removed" and latest > entry.at + tolerance(entry.actor):
            yield Fault(entry.seq, How.ASKED_AFTER_REMOVAL, f"mail {number}")


def _mails_after_removal() -> Any:
    """Return the mails that left after some removal of the same person, as far as that is quick."""
    removal: Any = Evidence.select(Value(1)).where(
        Evidence.subject == Contact.subject,
        Evidence.event == "removed",
        Evidence.at < fn.COALESCE(Mail.sent_at, Mail.started_at),
    )
    return (
        Mail.select(Mail.id, Contact.subject, MailingList.slug, Mail.started_at, Mail.sent_at)
        .join(Contact, on=(Contact.id == Mail.contact))
        .join(MailingList, on=(MailingList.id == Contact.list))
        .where(
            Mail.kind.in_(_KINDS),
            Mail.started_at.is_null(is_null=False) | Mail.sent_at.is_null(is_null=False),
            fn.EXISTS(removal),
        )
        .order_by(Mail.id)
    )


def _status_entry(subject: str, slug: str, until: datetime) -> Evidence | None:
    """Return the newest entry until a time that says what status somebody has on a list."""
    entry: Evidence | None = (
        Evidence.select()
        .where(
            Evidence.subject == subject,
            Evidence.list == slug,
            Evidence.event.in_(STATUS_EVENTS),
            Evidence.at <= until,
        )
        .order_by(Evidence.seq.desc())
        .first()
    )
    return entry


def _asks_after_all_had_left() -> Iterator[Fault]:
    """Yield the campaigns of which an ask left after all had; a server may reply an hour late."""
    is_open = Campaign.opened_at.is_null(is_null=False)
    for number, at in fetch_rows(Campaign.select(Campaign.id, Campaign.opened_at).where(is_open)):
        asks = Mail.select().where(Mail.campaign == number, Mail.kind == "ask")
        if asks.where(Mail.sent_at > parse_timestamp(at) + BEHIND).exists():
            seq = newest_seq(Evidence.campaign == number, Evidence.event == "launched")
            yield mismatch(seq, f"campaign {number}: opened_at")


# --- Whether each campaign has as many asks as its launch froze. ----------------------------------


def _wrong_numbers_of_asks(replay: Replay) -> Iterator[Fault]:
    """Yield the launches of which there are fewer asks or more than they say.

    There may be fewer by the contacts that were deleted with a file taken back since.
    """
    counts = dict(_count_asks().tuples())
    undone = [*replay.undone_imports, *_imports_being_undone()]
    for campaign, launch in replay.launches.items():
        count = counts.get(campaign, 0)
        fewest = launch.asked - sum(file.contacts for file in undone if _reduces(file, launch))
        if not fewest <= count <= launch.asked:
            what = f"campaign {campaign}: {launch.asked:,} were asked, and {count:,} are there"
            yield Fault(launch.seq, How.CONTRADICTED, what)


def _reduces(file: UndoneImport, launch: Launch) -> bool:
    """Say whether a launch may have asked people who came with a file that was undone later."""
    is_later = file.seq is None or file.seq > launch.seq
    return is_later and file.list == launch.list and file.imported_at < launch.at


def _count_asks() -> Any:
    """Return how many asks each campaign has to people who are there."""
    return (
        Mail.select(Mail.campaign, fn.COUNT(Mail.id))
        .join(Contact, on=(Contact.id == Mail.contact))
        .where(Mail.kind == "ask", Mail.campaign.is_null(is_null=False))
        .group_by(Mail.campaign)
    )


def _imports_being_undone() -> Iterable[UndoneImport]:
    tasks = BackgroundTask.select().where(BackgroundTask.kind == TaskKind.UNDO_IMPORT)
    for task in list(tasks):
        record = Import.select(Import.at).where(Import.id == task.target).get()
        contacts = task.state["contacts"]
        yield UndoneImport(None, task.list.slug, format_timestamp(record.at), contacts)


# --- Whether answers and removals tell a deadline that there was. ---------------------------------


def _wrong_deadlines(replay: Replay) -> Iterator[Fault]:
    """Yield the first answer or removal that tells a deadline which no campaign of its list had."""
    rows: Any = Campaign.select(MailingList.slug, Campaign.deadline).join(MailingList)
    # Of a launch that is under way the entry is still to come.
    under_way = {(slug, format_timestamp(deadline)) for slug, deadline in rows.tuples()}
    for (slug, told), seq in sorted(replay.told_deadlines.items(), key=itemgetter(1)):
        known, deadline = replay.deadlines[slug], moment_text(told)
        if known is not None and deadline not in known and (slug, deadline) not in under_way:
            yield Fault(seq, How.CONTRADICTED, "until when they could answer")


# --- Whether mails were sent when their rows and entries say. -------------------------------------


def _mails_contradicting_themselves() -> Iterator[Fault]:
    is_sent = Mail.state == _SENT
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
            Mail.kind.in_(_KINDS),
            (is_sent & (Mail.sent_at.is_null() | (Mail.reason != "")))
            | (is_sent & (Mail.reply_code >= _REFUSED))
            | (~is_sent & Mail.sent_at.is_null(is_null=False))
            | (Mail.sent_at < Mail.started_at)
            | (Mail.sent_at < Mail.due_at)
            | (Mail.sent_at < Campaign.starts_at),
        )
        .order_by(Mail.id)
    )
    for number, sent_at, *earliest, state, reason, code in list(stream_rows(query)):
        says_sent = state == _SENT
        if says_sent != bool(sent_at) or (says_sent and (reason or code >= _REFUSED)):
            yield Fault(0, How.UNVOUCHED, f"mail {number}: whether it was sent")
        elif any(at and parse_timestamp(sent_at) < parse_timestamp(at) - AHEAD for at in earliest):
            yield Fault(0, How.UNVOUCHED, f"mail {number}: when it was sent")


def _mails_contradicting_entries() -> Iterator[Fault]:
    """Yield what answers and removals tell of a mail that does not say so, or not any more."""
    for kind, name in _MEMBERS.items():
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
                Evidence.event.in_(_ANSWERS),
                EvidencePart.part == "consent",
                find_position(EvidencePart.json, beginning.concat("2")) > 0,
                fn.COALESCE(find_position(EvidencePart.json, beginning.concat(_sent_second())), 0)
                == 0,
            )
            .order_by(Evidence.seq)
        )
        for number, subject, seq, text in list(stream_rows(query)):
            if not _is_sent_at(subject, kind, json.loads(text)[name]):
                yield Fault(seq, How.CONTRADICTED, f"mail {number}: when it was sent")


def _asks_of_another_number() -> Iterator[Fault]:
    """Yield the asks of which answers and removals tell another Message-ID, or another reply."""
    tells_reply = find_position(EvidencePart.json, Value(_REPLY)) > 0
    has_reply = find_position(EvidencePart.json, Value(_REPLY).concat(Mail.reply_code)) > 0
    has_number = find_position(EvidencePart.json, quote_member(_NUMBER, Mail.message_id)) > 0
    query: Any = (
        select_parts(
            Mail.id, Contact.id, Evidence.seq, EvidencePart.json, text=Value(f'"{_NUMBER}":"')
        )
        .join_from(Evidence, Contact, on=(Contact.subject == Evidence.subject))
        .join(Mail, on=(Mail.contact == Contact.id) & (Mail.campaign == Evidence.campaign))
        .where(
            Mail.kind == "ask",
            Evidence.event.in_(_ANSWERS),
            ~has_number | (tells_reply & ~has_reply),
        )
        .order_by(Evidence.seq)
    )
    for number, contact, seq, text in list(stream_rows(query)):
        told = json.loads(text)
        code = int(told.get("ask_reply", "0")[:3])
        asks = Mail.select().where(
            Mail.contact == contact,
            Mail.kind == "ask",
            Mail.message_id == told[_NUMBER],
            Mail.reply_code == code,
        )
        # A removal may tell of an ask of a later campaign than its own.
        if not asks.exists():
            yield Fault(seq, How.CONTRADICTED, f"mail {number}: its Message-ID, or the reply")


_NUMBER = "ask_message_id"
_REPLY = '"ask_reply":"'


def _sent_second() -> Any:
    """Return when a mail was sent, to the second, as entries write it; null if it was not."""
    if is_postgresql(proxy.obj):
        return fn.TO_CHAR(fn.TIMEZONE("UTC", Mail.sent_at), 'YYYY-MM-DD"T"HH24:MI:SS')
    return fn.SUBSTR(Mail.sent_at, 1, _SECOND)


def _is_sent_at(subject: str, kind: str, at: str) -> bool:
    """Say whether any mail of a kind was sent to somebody at a time, in whichever campaign."""
    sent: Any = (
        Mail.select(Mail.sent_at)
        .join(Contact, on=(Contact.id == Mail.contact))
        .where(Contact.subject == subject, Mail.kind == kind, Mail.sent_at.is_null(is_null=False))
        .tuples()
    )
    return any(sent_at == parse_timestamp(at) for (sent_at,) in sent)


def _silences_too_short() -> Iterator[Fault]:
    """Yield the removals for silence of people who had not had their time to answer."""
    rows: Any = (
        select_parts(
            Evidence.seq,
            Evidence.at,
            Campaign.starts_at,
            EvidencePart.json,
            text=Value('"reason":"no_response"'),
        )
        .join(Campaign, on=(Campaign.id == Evidence.campaign))
        .where(
            Evidence.event == "removed",
            find_position(EvidencePart.json, Value('"minimum_days":')) > 0,
        )
        .order_by(Evidence.seq)
    )
    for seq, at, starts_at, text in stream_rows(rows):
        if _is_too_short(json.loads(text), at, starts_at):
            yield Fault(seq, How.CONTRADICTED, "how long they had to answer")


def _is_too_short(consent: Mapping[str, Any], at: Any, starts_at: Any) -> bool:
    if "asked_at" not in consent or "deadline" not in consent:
        return True
    asked_at, deadline = parse_timestamp(consent["asked_at"]), parse_timestamp(consent["deadline"])
    return (
        asked_at > latest_ask(deadline, consent["minimum_days"])
        or asked_at < parse_timestamp(starts_at) - AHEAD
        or parse_timestamp(at) < deadline
    )
