"""Checking recipients and times of asks and reminders against the record and their own columns."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from operator import itemgetter
from typing import Any, NamedTuple

from peewee import JOIN, Case, Value, fn

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
from repermit.evidence.asked_subjects import digest_subjects, read_asked_subjects
from repermit.evidence.chain_reader import fetch_rows, select_parts
from repermit.evidence.verify.contacts import STATUS_EVENTS, find_newest_seq, quote_member
from repermit.evidence.verify.diagnosis import Fault, How, make_mismatch
from repermit.evidence.verify.replay import Launch, Replay, UndoneImport, format_entry_time
from repermit.evidence.verify.times import AHEAD, BEHIND, get_tolerance

_MEMBERS = {"ask": "asked_at", "reminder": "reminded_at"}
"""The names under which entries say when a mail of each kind was sent."""

_KINDS = list(_MEMBERS)
_ANSWERS = ("confirmed", "removed")
_SENT = "sent"
_REFUSED = 400
_SECOND = len("2026-03-02T09:00:00")


def check_mails(replay: Replay) -> Iterator[Fault]:
    """Yield the mails that contradict entries or their own columns."""
    yield from _check_asks_after_removal()
    yield from _check_numbers_of_asks(replay)
    yield from _check_deadlines(replay)
    yield from _check_mails()
    yield from _check_entries_of_mails()
    for seq in replay.early_removals:
        yield Fault(seq, How.CONTRADICTED, "how long they had to answer")
    yield from _check_asks_after_all_sent()


# --- Asks and reminders after a removal. ----------------------------------------------------------


def _check_asks_after_removal() -> Iterator[Fault]:
    """Yield the removals after which an ask or a reminder was sent to the same person.

    A removal ends with the person's later Yes or sign-up, or the undo of the import that removed
    them. A mail may begin while an answer waits to be recorded: see `get_tolerance`.
    """
    for number, subject, slug, started_at, sent_at in list(
        stream_rows(_select_mails_after_removal())
    ):
        # The time at which sending began decides, as the server may reply late.
        started = parse_timestamp(started_at or sent_at)
        latest = max(started, parse_timestamp(sent_at) - BEHIND) if sent_at else started
        entry = _find_status_entry(subject, slug, latest)
        if entry and entry.event == "removed" and latest > entry.at + get_tolerance(entry.actor):
            yield Fault(entry.seq, How.ASKED_AFTER_REMOVAL, f"mail {number}")


def _select_mails_after_removal() -> Any:
    """Return a fast query for mails that may have been sent after a removal of the same person."""
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


def _find_status_entry(subject: str, slug: str, until: datetime) -> Evidence | None:
    """Return the newest entry until a time that sets a subject's status on a list."""
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


def _check_asks_after_all_sent() -> Iterator[Fault]:
    """Yield the campaigns with an ask sent after `opened_at`; a server may reply an hour late."""
    is_open = Campaign.opened_at.is_null(is_null=False)
    for number, at in fetch_rows(Campaign.select(Campaign.id, Campaign.opened_at).where(is_open)):
        asks = Mail.select().where(Mail.campaign == number, Mail.kind == "ask")
        if asks.where(Mail.sent_at > parse_timestamp(at) + BEHIND).exists():
            seq = find_newest_seq(Evidence.campaign == number, Evidence.event == "launched")
            yield make_mismatch(seq, f"campaign {number}: opened_at")


# --- The number of asks of each campaign. ---------------------------------------------------------


def _check_numbers_of_asks(replay: Replay) -> Iterator[Fault]:
    """Yield the launches that have fewer or more asks than they say.

    There may be fewer by the contacts that were deleted with an import undone since.
    """
    counts = {campaign: numbers for campaign, *numbers in _count_asks().tuples()}
    undone = [*replay.undone_imports, *_iter_imports_being_undone()]
    for campaign, launch in replay.launches.items():
        count, there = counts.get(campaign, (0, 0))
        fewest = launch.asked - sum(
            file.contacts for file in undone if _may_reduce_audience(file, launch)
        )
        if count != there or not fewest <= there <= launch.asked:
            detail = f"campaign {campaign}: {launch.asked:,} were asked, and {there:,} are there"
            yield Fault(launch.seq, How.CONTRADICTED, detail)
        elif (
            launch.audience
            and there == launch.asked
            and digest_subjects(read_asked_subjects(campaign)) != launch.audience
        ):
            yield Fault(launch.seq, How.CONTRADICTED, f"campaign {campaign}: who was asked")


def _may_reduce_audience(file: UndoneImport, launch: Launch) -> bool:
    """Say whether a launch may have asked people who came with a file that was undone later."""
    is_later = file.seq is None or file.seq > launch.seq
    return is_later and file.list == launch.list and file.imported_at < launch.at


def _count_asks() -> Any:
    """Return a query for the number of asks per campaign, and of those to contacts of its list."""
    is_on_list = (Contact.id == Mail.contact) & (Contact.list == Mail.list)
    return (
        Mail.select(Mail.campaign, fn.COUNT(Mail.id), fn.COUNT(Contact.id))
        .join(Contact, JOIN.LEFT_OUTER, on=is_on_list)
        .where(Mail.kind == "ask", Mail.campaign.is_null(is_null=False))
        .group_by(Mail.campaign)
    )


def _iter_imports_being_undone() -> Iterable[UndoneImport]:
    tasks = BackgroundTask.select().where(BackgroundTask.kind == TaskKind.UNDO_IMPORT)
    for task in list(tasks):
        record = Import.select(Import.at).where(Import.id == task.target).get()
        contacts = task.state["contacts"]
        yield UndoneImport(None, task.list.slug, format_timestamp(record.at), contacts)


# --- The deadlines in answers and removals. -------------------------------------------------------


def _check_deadlines(replay: Replay) -> Iterator[Fault]:
    """Yield the first answer or removal with a deadline that no campaign of its list had."""
    rows: Any = Campaign.select(MailingList.slug, Campaign.deadline).join(MailingList)
    # The entry of a running launch is not appended yet.
    under_way = {(slug, format_timestamp(deadline)) for slug, deadline in rows.tuples()}
    for (slug, text), seq in sorted(replay.answer_deadlines.items(), key=itemgetter(1)):
        known, deadline = replay.deadlines[slug], format_entry_time(text)
        if known is not None and deadline not in known and (slug, deadline) not in under_way:
            yield Fault(seq, How.CONTRADICTED, "until when they could answer")


# --- The columns of mails, compared with each other. ----------------------------------------------


def _check_mails() -> Iterator[Fault]:
    """Yield the mails whose list, state or times contradict each other or their campaign."""
    is_sent = Mail.state == _SENT
    query: Any = (
        Mail.select(
            Mail.id,
            Mail.list,
            Campaign.list,
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
            (Mail.list != Campaign.list)
            | (is_sent & (Mail.sent_at.is_null() | (Mail.reason != "")))
            | (is_sent & (Mail.reply_code >= _REFUSED))
            | (~is_sent & Mail.sent_at.is_null(is_null=False))
            | (Mail.sent_at < Mail.started_at)
            | (Mail.sent_at < Mail.due_at)
            | (Mail.sent_at < Campaign.starts_at),
        )
        .order_by(Mail.id)
    )
    for number, mail_list, campaign_list, sent_at, *earliest, state, reason, code in list(
        stream_rows(query)
    ):
        says_sent = state == _SENT
        if mail_list != campaign_list:
            yield Fault(0, How.UNVOUCHED, f"mail {number}: its list")
        if says_sent != bool(sent_at) or (says_sent and (reason or code >= _REFUSED)):
            yield Fault(0, How.UNVOUCHED, f"mail {number}: whether it was sent")
        elif any(at and parse_timestamp(sent_at) < parse_timestamp(at) - AHEAD for at in earliest):
            yield Fault(0, How.UNVOUCHED, f"mail {number}: when it was sent")


# --- What answers and removals say about asks and reminders. --------------------------------------


_ASK, _REMINDER = Mail.alias("ask"), Mail.alias("reminder")
_NUMBER, _REPLY = "ask_message_id", "ask_reply"


class _SentMail(NamedTuple):
    """An ask or a reminder; `second` is when a server accepted it, "" if none did."""

    campaign: int
    kind: str
    sent_at: datetime | None
    second: str
    number: str
    reply: str


def _check_entries_of_mails() -> Iterator[Fault]:
    """Yield the answers and removals that contradict the asks and reminders they mention."""
    query: Any = (
        select_parts(
            Contact.id,
            Contact.subject,
            Evidence.seq,
            Evidence.at,
            Evidence.campaign,
            EvidencePart.json,
            text=Value('"asked_at":"'),
        )
        .join_from(Evidence, Contact, on=(Contact.subject == Evidence.subject))
        # The indexes of subjects and of mails' contacts are fastest; `+ 0` excludes the others.
        .join(MailingList, on=(MailingList.id == Contact.list + 0))
        .join_from(Contact, _ASK, JOIN.LEFT_OUTER, on=_is_of_entry(_ASK, "ask"))
        .join_from(Contact, _REMINDER, JOIN.LEFT_OUTER, on=_is_of_entry(_REMINDER, "reminder"))
        .where(
            Evidence.event.in_(_ANSWERS),
            Evidence.list == MailingList.slug,
            ~(
                _agrees_on_time("asked_at", _ASK)
                & _agrees_on_time("reminded_at", _REMINDER)
                & _agrees(_NUMBER, _ASK.message_id)
                & _agrees(_REPLY, _make_reply_text(_ASK))
            ),
        )
        .order_by(Evidence.seq)
    )
    for contact, subject, seq, at, campaign, text in list(stream_rows(query)):
        mails = _read_mails(contact, subject)
        if contradiction := _find_contradiction(
            json.loads(text), mails, parse_timestamp(at), campaign
        ):
            yield Fault(seq, How.CONTRADICTED, contradiction)


def _is_of_entry(mail: Any, kind: str) -> Any:
    is_own = (mail.contact == Contact.id) & (mail.kind == kind)
    return is_own & (mail.campaign + 0 == Evidence.campaign)


def _stands_in_entry(text: Any) -> Any:
    """Return SQL for whether an entry's part `consent` contains a text; false for null."""
    return fn.COALESCE(find_position(EvidencePart.json, text), 0) > 0


def _agrees(name: str, value: Any) -> Any:
    """Return SQL for whether an entry has this value for a name, or not the name."""
    has_name = _stands_in_entry(Value(f'"{name}":"'))
    return ~has_name | _stands_in_entry(quote_member(name, value))


def _agrees_on_time(name: str, mail: Any) -> Any:
    """Return SQL for whether an entry has a mail's time to the second, or says not yet."""
    beginning = Value(f'"{name}":"')
    has_time = _stands_in_entry(beginning.concat(fn.COALESCE(_make_sent_second(mail), '"')))
    is_sent_later = fn.COALESCE(mail.sent_at, Evidence.at) >= Evidence.at
    says_not_yet = _stands_in_entry(beginning.concat('"')) & is_sent_later
    return has_time | says_not_yet | ~_stands_in_entry(beginning)


def _make_sent_second(mail: Any) -> Any:
    """Return SQL for the time of a mail to the second, as in entries; null if not sent."""
    if is_postgresql(proxy.obj):
        return fn.TO_CHAR(fn.TIMEZONE("UTC", mail.sent_at), 'YYYY-MM-DD"T"HH24:MI:SS')
    return fn.SUBSTR(mail.sent_at, 1, _SECOND)


def _make_reply_text(mail: Any) -> Any:
    """Return SQL for a server's reply as in entries."""
    status = Case(None, ((mail.reply_status == "", ""),), Value(" ").concat(mail.reply_status))
    return Value("").concat(mail.reply_code).concat(status)


def _read_mails(contact: int, subject: str) -> list[_SentMail]:
    """Return the asks and reminders of a contact, including other rows of the same subject."""
    others: Any = Contact.select(Contact.id).where(
        Contact.subject == subject,
        # Written as in the index of subjects.
        Contact.has_predecessor | Contact.erased_at.is_null(is_null=False),
    )
    columns = (Mail.message_id, Mail.reply_code, Mail.reply_status)
    rows: Any = Mail.select(Mail.campaign, Mail.kind, Mail.sent_at, *columns).where(
        Mail.contact.in_([contact, *(number for (number,) in others.tuples())]),
        Mail.kind.in_(_KINDS),
    )
    return [
        _SentMail(
            campaign,
            kind,
            sent_at,
            format_entry_time(sent_at)[:_SECOND],
            number,
            " ".join(filter(None, (str(code or ""), status))),
        )
        for campaign, kind, sent_at, number, code, status in rows.tuples()
    ]


def _find_contradiction(
    consent: Mapping[str, Any], mails: Sequence[_SentMail], at: datetime, campaign: int
) -> str:
    """Return what an entry's part `consent` says wrongly about mails; "" if nothing.

    - `at`: the time of the entry.
    - A removal may mention an ask of another campaign than its own.
    """
    asks = [mail for mail in mails if mail.kind == "ask"]
    is_of_campaign = "answer" in consent or {mail.campaign for mail in asks} == {campaign}
    for kind, name in _MEMBERS.items():
        second = format_entry_time(consent.get(name))[:_SECOND]
        own = [mail for mail in mails if mail.kind == kind]
        if is_of_campaign:
            own = [mail for mail in own if mail.campaign == campaign]
        if second and not any(mail.second == second for mail in own):
            return f"when this person was sent the {kind}"
        sent = [mail.sent_at for mail in own if mail.sent_at]
        says_not_yet = name in consent and not second and is_of_campaign
        if says_not_yet and any(sent_at < at - BEHIND for sent_at in sent):
            return f"that this person was not sent the {kind}"
    has_ask = any(
        consent.get(_NUMBER, mail.number) == mail.number
        and consent.get(_REPLY, mail.reply) == mail.reply
        for mail in asks
    )
    names_ask = _NUMBER in consent or _REPLY in consent
    return "the ask's Message-ID, or the reply" if names_ask and not has_ask else ""
