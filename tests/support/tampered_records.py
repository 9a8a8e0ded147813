"""Ways to change a database by SQL, with the record sealed anew or not, and what finds each."""

# ruff: noqa: S608  whoever tampers writes SQL; nothing comes from outside

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from repermit.accounts import users
from repermit.accounts.user_info import Role
from repermit.answers import link_target, record_answer
from repermit.campaigns.enqueue_reminders import enqueue_reminders
from repermit.campaigns.launch import launch
from repermit.campaigns.lifecycle import extend_campaign
from repermit.clock import ManualClock, format_timestamp
from repermit.contacts import admin_requests, erasure, status_changes
from repermit.contacts.admin_requests import NewContact
from repermit.db import row_counts
from repermit.db.connection import Database
from repermit.db.journal_seal import delete_seals, seal_journal
from repermit.db.models.base import Meta
from repermit.db.models.campaigns import Campaign, CampaignWording
from repermit.db.models.contacts import Contact
from repermit.db.models.evidence import Evidence, EvidenceHead, EvidenceNode, EvidencePart
from repermit.db.models.mails import Mail
from repermit.evidence import chain, entries
from repermit.evidence.asked_subjects import digest_subjects
from repermit.evidence.chain_reader import iter_rows
from repermit.evidence.entries import NOTHING_BEFORE, PARTS, Entry, compute_part_digest
from repermit.expiry.sweep import expire_due
from repermit.exports.handover_steps import set_tick
from repermit.privacy import forget
from repermit.reports import outcomes_per_day
from repermit.rules.consent import Answer, Basis
from repermit.settings.definitions import Settings
from tests.support.builders import DEADLINE, NOW, make_list
from tests.support.desk import ATTEST
from tests.support.grown_tree import grow_tree
from tests.support.import_helpers import OPTED_IN, mailchimp, plain, take_back, take_in
from tests.unit.answers.test_join import confirmed, signed_up

LAUNCHED = NOW + timedelta(hours=1)
SENT = NOW + timedelta(hours=2)
ANSWERED = NOW + timedelta(days=1)
LATER = DEADLINE + timedelta(days=7)
REMINDED = LATER - timedelta(days=6)
END = LATER + timedelta(days=1)


def tell_story(database: Database, folder: Path, settings: Settings) -> None:
    """Take files in and back, ask, answer, remove, extend, remind, hand over, erase, count."""
    who: dict[str, Any] = {"settings": settings, "actor": "cli:els"}
    news = make_list(database)
    names = ("ja", "nee", "stil", "weg", "om", "thuis", "eigen", "beter", "vol", "kapot")
    take_in(database, news, plain(folder, *((f"{one}@example.org", one) for one in names)))
    gone = mailchimp(
        folder,
        {"email": "uit@example.org", "UNSUB_TIME": "2020-01-01 00:00:00"},
        {"email": "zelf@example.org", **OPTED_IN},
        {"email": "beter@example.org", **OPTED_IN},
        more=("UNSUB_TIME",),
    )
    take_in(database, news, gone, now=NOW + timedelta(minutes=1))
    back = plain(folder, ("terug@example.org", ""), name="back.csv")
    take_in(database, news, back, now=NOW + timedelta(minutes=2))
    take_back(database, news, now=NOW + timedelta(minutes=3))
    by_hand = NewContact(
        address="klant@example.org", source="the till", proof="7", basis=Basis.CUSTOMER
    )
    admin_requests.add_contact(database, news, by_hand, now=NOW + timedelta(minutes=4), **who)
    launch(
        database,
        news,
        deadline=DEADLINE,
        now=LAUNCHED,
        attest=ATTEST,
        include_thin=True,
        reminder=7,
        **who,
    )
    with database.atomic():
        for mail in Mail.select().where(Mail.kind == "ask"):
            mark_sent(mail, SENT + timedelta(seconds=1))
        for code, name in enumerate(("vol", "kapot"), start=550):
            failed: dict[str, Any] = {"state": "failed", "sent_at": None, "reason": "recipient"}
            failed |= {"reply_code": code, "reply_status": "5.0.0"}
            Mail.update(failed).where(Mail.contact == contact_at(name)).execute()
        Campaign.update(state="open", opened_at=SENT + timedelta(seconds=2)).execute()
    confirmed(database, signed_up(database, news, "nieuw@example.org"))
    for name, answer in (("ja", Answer.YES), ("nee", Answer.NO), ("om", Answer.NO)):
        say(database, name, answer, settings=settings)
    say(database, "om", Answer.YES, ANSWERED + timedelta(hours=3), settings=settings)
    moment = ANSWERED + timedelta(hours=4)
    for name in ("weg", "eigen"):
        admin_requests.remove_at_request(
            database, news, contact_at(name).id, note="by phone", now=moment, **who
        )
    with database.atomic():
        act = status_changes.Act(at=moment, actor="job")
        erasure.erase_contact(contact_at("weg"), act=act, fingerprint_key=settings.fingerprint_key)
    forget.erase_address(
        database, "nooit@example.org", mailing_list=news, suppress=True, now=moment, **who
    )
    extend_campaign(database, news, deadline=LATER, now=moment, **who)
    enqueue_reminders(database, settings=settings, now=REMINDED)
    with database.atomic():
        for place, mail in enumerate(
            Mail.select().where(Mail.kind == "reminder").order_by(Mail.id)
        ):
            mark_sent(mail, REMINDED + timedelta(seconds=place))
    users.add_user(database, "els@example.org", role=Role.ADMIN, now=moment, actor="cli:els")
    clock = ManualClock(LATER + timedelta(hours=1))
    expire_due(database, settings=settings, clock=clock, despite_downtime=True)
    campaign, moment = Campaign.get(), clock.now()
    set_tick(
        database,
        campaign,
        tool="mailchimp",
        step="removed",
        is_done=True,
        now=moment,
        actor="user:1",
    )
    outcomes_per_day.update_tallies(database, settings=settings, now=END)


def mark_sent(mail: Mail, sent_at: datetime) -> None:
    """Let a mail of the story be as the sending leaves it."""
    mail.state, mail.started_at, mail.sent_at = "sent", sent_at - timedelta(seconds=1), sent_at
    mail.message_id, mail.reply_code = f"<{mail.id}@example.org>", 250
    mail.reply_status = "2.0.0"
    mail.wording = CampaignWording.get(
        CampaignWording.kind == mail.kind, CampaignWording.language == "nl"
    )
    mail.save()


def contact_at(name: str) -> Contact:
    """Return somebody of the story."""
    found: Contact = Contact.get(Contact.address_key == f"{name}@example.org")
    return found


def say(
    database: Database,
    name: str,
    answer: Answer,
    moment: datetime = ANSWERED,
    *,
    settings: Settings,
) -> None:
    """Let somebody answer, and press once more where the page asks for it."""
    told: dict[str, Any] = {
        "uid": contact_at(name).uid,
        "answer": answer,
        "arrived_at": moment,
        "settings": settings,
        "method": "page",
        "trace": {"network": "192.0.2.0/24", "browser": "Firefox"},
        "page": lambda _: link_target.PageShown(wording="De vraag"),
    }
    first = record_answer.record_answer(database, **told)
    assert first
    if first.confirmation_token:
        record_answer.record_answer(
            database, **told, is_confirmation_page=True, confirmation_token=first.confirmation_token
        )


# --- Sealing anew, as whoever has the database and all keys can. ----------------------------------


def seal_anew(database: Database, settings: Settings) -> None:
    """Make anew what is made of rows: digests, chain, tree, counts, tallies, seals."""
    with database.atomic():
        _number_entries()
        seal_entries()
        row_counts.recount(database)
        row_counts.Tally.delete().execute()
        Meta.delete().where(Meta.key == "tallied_upto").execute()
    outcomes_per_day.update_tallies(database, settings=settings, now=END)
    with database.atomic():
        journal = database.journal
        if journal is not None and journal.path.exists():
            delete_seals()
            seal_journal(journal, journal.size())


def seal_entries() -> None:
    """Make digests, chain and tree anew, in the caller's transaction."""
    _digest_parts()
    _link_entries()
    EvidenceNode.delete().execute()
    grow_tree()


def _number_entries() -> None:
    """Give the entries numbers from 1 on, with their parts and what erasures say of them."""
    rows = Evidence.select(Evidence.seq).order_by(Evidence.seq).tuples()
    places = {seq: place for place, (seq,) in enumerate(list(rows), start=1)}
    for seq, place in places.items():
        if seq != place:
            EvidencePart.update(seq=place).where(EvidencePart.seq == seq).execute()
            Evidence.update(seq=place).where(Evidence.seq == seq).execute()
    for part in list(EvidencePart.select().where(EvidencePart.json.contains('"seqs":['))):
        told = json.loads(part.json)
        told["seqs"] = [places[seq] for seq in told["seqs"] if seq in places]
        part.json = entries.encode_canonical_json(told)
        part.save()


def _digest_parts() -> None:
    for part in list(EvidencePart.select()):
        column = getattr(Evidence, part.part, None) if part.part in PARTS else None
        if column is not None:
            digest = compute_part_digest(part.salt, part.json)
            Evidence.update({column: digest}).where(Evidence.seq == part.seq).execute()


def _link_entries() -> None:
    # As they are stored: a time may be none.
    previous, rows = NOTHING_BEFORE, list(iter_rows(after=0))
    for row in rows:
        both = bytes.fromhex(previous + entries.compute_leaf(row))
        previous = hashlib.sha256(both).hexdigest()
        Evidence.update(hash=previous).where(Evidence.seq == row["seq"]).execute()
    EvidenceHead.update(seq=len(rows), hash=previous).execute()


# --- The ways. ------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Way:
    """What is done: SQL, what becomes of the journal's octets, and whether all is sealed anew.

    `append` is what is appended by the code's own means.
    """

    sql: tuple[str, ...] = ()
    journal: Callable[[bytes], bytes] = bytes
    append: tuple[Entry, ...] = ()
    is_sealed: bool = True


def _of(name: str) -> str:
    return f"(SELECT subject FROM contact WHERE address_key = '{name}@example.org')"


def _contact(name: str) -> str:
    return f"(SELECT id FROM contact WHERE address_key = '{name}@example.org')"


def _entry(name: str, event: str = "removed") -> str:
    return f"(SELECT max(seq) FROM evidence WHERE event = '{event}' AND subject = {_of(name)})"


def _delete_entry(seq: str) -> tuple[str, ...]:
    return (
        f"CREATE TEMP TABLE gone AS SELECT {seq} AS seq",
        "DELETE FROM evidence_part WHERE seq IN (SELECT seq FROM gone)",
        "DELETE FROM evidence WHERE seq IN (SELECT seq FROM gone)",
        "DROP TABLE gone",
    )


def _say(name: str, old: str, new: str, event: str = "removed", part: str = "consent") -> str:
    return (
        f"UPDATE evidence_part SET json = replace(json, '{old}', '{new}')"
        f" WHERE part = '{part}' AND seq = {_entry(name, event)}"
    )


def _without(*words: bytes) -> Callable[[bytes], bytes]:
    """Return what takes the journal's lines out in which one of these stands."""
    return lambda text: b"".join(
        line for line in text.splitlines(keepends=True) if not any(one in line for one in words)
    )


def _first(text: bytes, lines: int) -> bytes:
    return b"".join(text.splitlines(keepends=True)[:lines])


def _with_line(text: bytes, line: bytes) -> bytes:
    """Return the journal with a line more, which counts."""
    kept = {"do": "kept", "from": len(text), "to": len(text) + len(line)}
    return text + line + json.dumps(kept, separators=(",", ":")).encode() + b"\n"


def _suppression_line(fingerprint: str, slug: str = "news") -> bytes:
    """Return a line of the journal about somebody who is not in the record."""
    return (
        b'{"do":"suppress","at":"2026-03-05T09:00:00.000000+00:00","list":"%s",'
        b'"fingerprint":"%s","subject":"%s","reason":"no"}\n'
        % (slug.encode(), fingerprint.encode(), b"f" * 32)
    )


def _suppress(name: str, fingerprint: str, *, list_id: str, subject: str) -> str:
    return (
        "INSERT INTO suppression (list_id, fingerprint, subject, reason, at)"
        f" SELECT {list_id}, '{fingerprint}', '{subject}', 'no',"
        f" '2026-03-05T09:00:00.000000+00:00' FROM contact WHERE id = {_contact(name)}"
    )


def _exchange_mails(kind: str, one: str, other: str) -> tuple[str, ...]:
    """Return how two people's mails of a kind are given to each other."""
    both = f"kind = '{kind}' AND contact_id"
    return (
        f"UPDATE mail SET contact_id = -1 WHERE {both} = {_contact(one)}",
        f"UPDATE mail SET contact_id = {_contact(one)} WHERE {both} = {_contact(other)}",
        f"UPDATE mail SET contact_id = {_contact(other)} WHERE {both} = -1",
    )


def _append(event: str, at: datetime = END, **values: Any) -> tuple[Entry, ...]:
    told: dict[str, Any] = {"actor": "job", "list": "news", "campaign": 1}
    return (Entry(event=event, at=at, **{**told, **values}),)


def _forge_yes(subject: str, at: datetime) -> dict[str, Any]:
    """Return how a customer's Yes is forged at the end, dated at some time."""
    told = {"answer": "yes", "basis": "answer", "method": "page"}
    return _confirm_customer(subject, at, told, actor="person", campaign=1)


def _confirm_by_hand(subject: str, at: datetime, told: Mapping[str, Any]) -> dict[str, Any]:
    """Return how an admin's entry about a customer is forged at the end, dated at some time."""
    told = {"basis": "imported", "method": "by_hand", **told}
    return _confirm_customer(subject, at, told, actor="admin@example.org", campaign=0)


def _confirm_customer(
    subject: str, at: datetime, told: Mapping[str, Any], **head: Any
) -> dict[str, Any]:
    person = {"address": "klant@example.org", "name": ""}
    moment = format_timestamp(at)
    return {
        "append": _append("confirmed", at, subject=subject, consent=told, person=person, **head),
        "sql": (
            (
                f"UPDATE contact SET status = 'confirmed', basis = '{told['basis']}',"
                f" status_at = '{moment}', basis_at = '{moment}'"
                " WHERE address_key = 'klant@example.org'"
            ),
        ),
    }


_OTHER_LIST = (
    "INSERT INTO mailing_list (slug, name, purpose, frequency, privacy_url, language, sender,"
    " sensitive, receipts, own_subject, own_text, own_html, created_at) SELECT 'other', name,"
    " purpose, frequency, privacy_url, language, sender, sensitive, receipts, own_subject,"
    " own_text, own_html, created_at FROM mailing_list"
)
_OTHER_PEOPLE = (
    "INSERT INTO contact (list_id, uid, subject, address, address_key, name, language, source,"
    " status, status_at, reason, basis, form_version, has_refused, has_predecessor) SELECT"
    " (SELECT max(id) FROM mailing_list), 'x' || id, 'x' || id, address, address_key, name,"
    " language, source, 'unconfirmed', status_at, '', '', 0, 0, 0 FROM contact"
)
_VANISHED = (
    *_delete_entry(_entry("nee")),
    f"DELETE FROM suppression WHERE subject = {_of('nee')}",
    f"DELETE FROM opening WHERE contact_id = {_contact('nee')}",
    (
        "UPDATE contact SET status = 'unconfirmed', status_at = (SELECT at FROM import LIMIT 1),"
        " reason = '', has_refused = 0 WHERE address_key = 'nee@example.org'"
    ),
)
_DAY_BEFORE = "'2026-03-02T12:00:00.000000+00:00'"
_SOON_AFTER = f"'{format_timestamp(ANSWERED + timedelta(minutes=5))}'"
_MIDDLE = "seq = (SELECT max(seq) / 2 FROM evidence)"
_LAST = "(SELECT max(seq) FROM evidence)"
_OTHER_WORDING = (
    "(SELECT min(digest) FROM wording WHERE digest <> json_extract(json, '$.page_wording'))"
)
_X = hashlib.sha256(b"x").hexdigest()
_FIRST_FILE = {"imported_at": format_timestamp(NOW)}
_PERSON_GONE = {"parts": ["person", "trace"]}
_ERASING = (f"DELETE FROM evidence_part WHERE seq = {_entry('nee')} AND part = 'consent'",)


def _redate(at: str) -> Way:
    """Return how a No is dated at another moment (SQL) wherever it stands."""
    return Way(
        sql=(
            f"UPDATE suppression SET at = {at} WHERE subject = {_of('nee')}",
            f"UPDATE evidence SET at = {at} WHERE seq = {_entry('nee')}",
            f"UPDATE contact SET status_at = {at} WHERE id = {_contact('nee')}",
        ),
        journal=lambda text: text.replace(
            format_timestamp(ANSWERED).encode(), at.strip("'").encode()
        ),
    )


def make_ways(
    prints: Mapping[str, str], subjects: Mapping[str, str], first_file: str
) -> dict[str, Way]:
    """Return the ways by what the documentation calls them.

    - `prints`, `subjects`: of the people of the story, by name.
    - `first_file`: the digest of the file that was taken in first.
    """
    nee = prints["nee"].encode()
    erased = {"parts": ["consent"], "why": "retention"}
    return {
        # Answers.
        "a No vanishes, with its suppression and its line of the journal": Way(
            sql=_VANISHED, journal=_without(nee)
        ),
        "a No vanishes, but not from the journal": Way(sql=_VANISHED),
        "a No vanishes, and its suppression stays": Way(
            sql=tuple(one for one in _VANISHED if "FROM suppression" not in one)
        ),
        "a No is made a Yes, everywhere": Way(
            sql=(
                _say("nee", '"answer":"no"', '"answer":"yes"'),
                _say("nee", '"reason":"no"', '"basis":"answer"'),
                f"UPDATE evidence SET event = 'confirmed' WHERE seq = {_entry('nee')}",
                f"DELETE FROM suppression WHERE subject = {_of('nee')}",
                (
                    "UPDATE contact SET status = 'confirmed', basis = 'answer', reason = '',"
                    " basis_at = status_at WHERE address_key = 'nee@example.org'"
                ),
            ),
            journal=_without(nee),
        ),
        "a Yes is forged and appended": Way(**_forge_yes(subjects["klant"], END)),
        "a Yes is forged and dated back, and so is an archive, which may take long": Way(
            append=_append("archived", SENT) + _forge_yes(subjects["klant"], SENT)["append"],
            sql=_forge_yes(subjects["klant"], SENT)["sql"],
        ),
        "an answer is dated a day earlier, everywhere": _redate(_DAY_BEFORE),
        "an answer is dated five minutes later, everywhere": _redate(_SOON_AFTER),
        "what a page said is exchanged for another text of the record": Way(
            sql=(
                (
                    "UPDATE evidence_part SET json = json_set(json, '$.page_wording',"
                    f" {_OTHER_WORDING}) WHERE part = 'consent' AND seq = {_entry('nee')}"
                ),
            )
        ),
        "who acted is exchanged": Way(
            sql=(f"UPDATE evidence SET actor = 'user:1' WHERE seq = {_entry('nee')}",)
        ),
        "a browser or a network is exchanged": Way(
            sql=(_say("nee", "192.0.2.0/24", "198.51.100.0/24", part="trace"),)
        ),
        "when somebody was asked is changed in an answer": Way(
            sql=(_say("nee", '"asked_at":"2026-03-02', '"asked_at":"2026-03-01'),)
        ),
        "the deadline is changed in an answer": Way(
            sql=(_say("nee", '"deadline":"2026-03-', '"deadline":"2026-02-'),)
        ),
        "the Message-ID of an ask is changed in an answer": Way(
            sql=(_say("nee", '"ask_message_id":"<', '"ask_message_id":"<x'),)
        ),
        "the server's reply is changed in an answer": Way(
            sql=(_say("nee", '"ask_reply":"250', '"ask_reply":"251'),)
        ),
        "the reason is changed in a removal": Way(
            sql=(_say("nee", '"reason":"no"', '"reason":"bounce"'),)
        ),
        # People.
        "somebody is deleted with all that tells of them": Way(
            sql=(
                *_delete_entry(_entry("nee")),
                f"DELETE FROM suppression WHERE subject = {_of('nee')}",
                f"DELETE FROM opening WHERE contact_id = {_contact('nee')}",
                f"DELETE FROM mail WHERE contact_id = {_contact('nee')}",
                "DELETE FROM contact WHERE address_key = 'nee@example.org'",
            ),
            journal=_without(nee),
        ),
        "somebody is deleted, and the launch tells one fewer": Way(
            sql=(
                *_delete_entry(_entry("nee")),
                f"DELETE FROM suppression WHERE subject = {_of('nee')}",
                f"DELETE FROM opening WHERE contact_id = {_contact('nee')}",
                f"DELETE FROM mail WHERE contact_id = {_contact('nee')}",
                "DELETE FROM contact WHERE address_key = 'nee@example.org'",
                (
                    "UPDATE evidence_part SET json = json_set(json, '$.asked',"
                    " json_extract(json, '$.asked') - 1, '$.audience', digest_subjects(("
                    "SELECT group_concat(subject) FROM (SELECT subject FROM contact JOIN mail"
                    " ON contact_id = contact.id AND kind = 'ask' ORDER BY subject))))"
                    " WHERE part = 'consent'"
                    " AND seq = (SELECT seq FROM evidence WHERE event = 'launched')"
                ),
            ),
            journal=_without(nee),
        ),
        "somebody is deleted, and told to have gone with a file that was taken back": Way(
            append=_append(
                "erased", subject=subjects["nee"], consent=_PERSON_GONE | _FIRST_FILE, campaign=0
            )
            + _append("import_undone", consent=_FIRST_FILE | {"contacts": 1}, campaign=0),
            sql=(
                (
                    "DELETE FROM evidence_part WHERE part IN ('person', 'trace')"
                    f" AND seq = {_entry('nee')}"
                ),
                f"DELETE FROM suppression WHERE subject = {_of('nee')}",
                f"DELETE FROM opening WHERE contact_id = {_contact('nee')}",
                f"DELETE FROM mail WHERE contact_id = {_contact('nee')}",
                "DELETE FROM contact WHERE address_key = 'nee@example.org'",
                (
                    f"UPDATE import SET undone_at = '{format_timestamp(END)}', counts ="
                    """ json_set(counts, '$.undone', json('{"contacts":1}')) WHERE id = 1"""
                ),
            ),
            journal=_without(nee),
        ),
        "a suppression of somebody who was never on the list is deleted": Way(
            sql=("DELETE FROM suppression WHERE subject NOT IN (SELECT subject FROM contact)",),
            journal=_without(prints["nooit"].encode()),
        ),
        "somebody is asked after their No": Way(
            sql=(
                (
                    "UPDATE mail SET started_at = '2026-03-05T09:00:00.000000+00:00',"
                    " sent_at = '2026-03-05T09:00:00.000000+00:00'"
                    f" WHERE kind = 'ask' AND contact_id = {_contact('nee')}"
                ),
            )
        ),
        "somebody's Yes becomes another's, after an erasure of who it was": Way(
            append=_append("erased", subject=subjects["ja"], actor="cli:1", consent=_PERSON_GONE),
            sql=(
                (
                    "DELETE FROM evidence_part WHERE part = 'person'"
                    f" AND seq = {_entry('ja', 'confirmed')}"
                ),
                (
                    "UPDATE contact SET address = 'x@example.org', address_key = 'x@example.org'"
                    " WHERE address_key = 'ja@example.org'"
                ),
            ),
        ),
        "somebody who was erased is there again, and no entry says so": Way(
            sql=(
                (
                    "UPDATE contact SET address = 'weg@example.org', erased_at = NULL,"
                    " address_key = 'weg@example.org' WHERE erased_at IS NOT NULL"
                ),
            ),
        ),
        "somebody who may be mailed is suppressed under another number, with its line": Way(
            sql=(_suppress("klant", prints["klant"], list_id="list_id", subject="f" * 32),),
            journal=lambda text: _with_line(text, _suppression_line(prints["klant"])),
        ),
        "somebody who may be mailed is suppressed under the number of who left, with its line": Way(
            sql=(_suppress("klant", prints["klant"], list_id="list_id", subject=subjects["nee"]),),
            journal=lambda text: _with_line(text, _suppression_line(prints["klant"])),
        ),
        "somebody on the customer basis is suppressed for all lists, with its line": Way(
            sql=(_suppress("klant", prints["klant"], list_id="NULL", subject=subjects["klant"]),),
            journal=lambda text: _with_line(text, _suppression_line(prints["klant"], slug="")),
        ),
        "a suppression of somebody who was never on the list is put in, with its line": Way(
            sql=(
                (
                    "INSERT INTO suppression (list_id, fingerprint, subject, reason, at)"
                    f" SELECT list_id, '{'e' * 64}', '{'f' * 32}', 'no',"
                    " '2026-03-05T09:00:00.000000+00:00' FROM suppression LIMIT 1"
                ),
            ),
            journal=lambda text: _with_line(text, _suppression_line("e" * 64)),
        ),
        "a suppression that came with a file is deleted, with its line": Way(
            sql=("DELETE FROM suppression WHERE imported_by_id IS NOT NULL",),
            journal=_without(b'"reason":"unsubscribed"'),
        ),
        # Entries.
        "an act that takes long is appended and dated 2019": Way(
            append=_append("archived", datetime(2019, 1, 1, tzinfo=UTC))
        ),
        "an act that takes long is appended and dated a month ago": Way(
            append=_append("archived", SENT)
        ),
        "a basis given by hand is dated back to when a file was taken in": Way(
            **_confirm_by_hand(subjects["klant"], NOW, {})
        ),
        "a basis given by hand is dated back to a file, and names it": Way(
            **_confirm_by_hand(subjects["klant"], NOW, {"file": first_file})
        ),
        "an entry in the middle is dated 2019": Way(
            sql=(f"UPDATE evidence SET at = '2019-01-01T00:00:00.000000+00:00' WHERE {_MIDDLE}",)
        ),
        "an entry is dated 2031": Way(
            sql=(f"UPDATE evidence SET at = '2031-01-01T00:00:00.000000+00:00' WHERE {_MIDDLE}",)
        ),
        "an entry is appended that is dated 2031": Way(
            append=_append("exported", datetime(2031, 1, 1, tzinfo=UTC))
        ),
        "an event that there is not": Way(append=_append("granted")),
        "the last entry is cut off": Way(sql=_delete_entry(_LAST)),
        "the last entry is cut off, with the row that it tells of": Way(
            sql=(*_delete_entry(_LAST), "DELETE FROM handed_over")
        ),
        "a launch has a word where the number of people stood": Way(
            sql=(
                (
                    "UPDATE evidence_part SET json = json_set(json, '$.asked', 'x') WHERE"
                    " part = 'consent' AND seq IN (SELECT seq FROM evidence WHERE event ="
                    " 'launched')"
                ),
            )
        ),
        "the reason for the launch is exchanged": Way(
            sql=(
                (
                    "UPDATE evidence_part SET json = json_set(json, '$.attest', 'x') WHERE"
                    " part = 'consent' AND seq IN (SELECT seq FROM evidence WHERE event ="
                    " 'launched')"
                ),
            )
        ),
        "the text of a mail is changed, and its digest wherever it stands": Way(
            sql=(
                "CREATE TEMP TABLE one AS SELECT min(digest) AS digest FROM wording",
                f"UPDATE evidence_part SET json = replace(json, (SELECT digest FROM one), '{_X}')",
                (
                    f"UPDATE campaign_wording SET wording_id = '{_X}'"
                    " WHERE wording_id = (SELECT digest FROM one)"
                ),
                (
                    f"UPDATE wording SET digest = '{_X}', content = 'x'"
                    " WHERE digest = (SELECT digest FROM one)"
                ),
            )
        ),
        # Erasures.
        "a proof is erased before its time": Way(
            append=_append("erased", subject=subjects["nee"], consent=erased | {"years": 5}),
            sql=_ERASING,
        ),
        "a proof is erased by another than the job": Way(
            append=_append(
                "erased", subject=subjects["nee"], actor="cli:1", consent=erased | {"years": 0}
            ),
            sql=_ERASING,
        ),
        "a proof is erased before its time, and the erasure tells a shorter one": Way(
            append=_append("erased", subject=subjects["nee"], consent=erased | {"years": 0}),
            sql=_ERASING,
        ),
        "a proof is deleted": Way(
            sql=(f"DELETE FROM evidence_part WHERE seq = {_entry('nee')} AND part = 'consent'",)
        ),
        "a browser and a network are erased before their time": Way(
            append=_append("erased", subject=subjects["nee"], consent={"parts": ["trace"]}),
            sql=(f"DELETE FROM evidence_part WHERE seq = {_entry('nee')} AND part = 'trace'",),
        ),
        "a browser and a network are erased by another than the job": Way(
            append=_append(
                "erased", subject=subjects["nee"], actor="cli:1", consent={"parts": ["trace"]}
            ),
            sql=(f"DELETE FROM evidence_part WHERE seq = {_entry('nee')} AND part = 'trace'",),
        ),
        # The journal.
        "the journal is cut, and a restore is told that there never was": Way(
            append=_append("restored", list="", campaign=0),
            journal=lambda text: _first(text, 1),
        ),
        "the journal is cut": Way(journal=lambda text: _first(text, 4), is_sealed=False),
        "the journal is cut, and sealed anew": Way(journal=lambda text: _first(text, 4)),
        "the journal is emptied, and sealed anew": Way(journal=lambda text: _first(text, 1)),
        "a line of the journal names another, and is sealed anew": Way(
            journal=lambda text: text.replace(nee, b"f" * 64)
        ),
        "a reason in the journal is changed, and sealed anew": Way(
            journal=lambda text: text.replace(b'"reason":"no"', b'"reason":"bounce"')
        ),
        "a time in the journal is changed, and sealed anew": Way(
            journal=lambda text: text.replace(b'"at":"2026-03-03', b'"at":"2026-03-01')
        ),
        "a line is put into the journal, and sealed anew": Way(
            journal=lambda text: _with_line(text, _suppression_line(prints["klant"]))
        ),
        # Counts.
        "a tally is changed": Way(
            sql=("UPDATE tally SET count = count + 1 WHERE what = 'yes'",), is_sealed=False
        ),
        "a tally is moved to another day": Way(
            sql=("UPDATE tally SET day = '2026-03-05' WHERE day <> '' AND what = 'yes'",),
            is_sealed=False,
        ),
        "a count is changed": Way(
            sql=("UPDATE contact_count SET count = count + 1",), is_sealed=False
        ),
        "it is said to be tallied up to an entry that there is not yet": Way(
            sql=("UPDATE meta SET value = '1000' WHERE key = 'tallied_upto'",), is_sealed=False
        ),
        # Campaigns.
        "the files of a list are gone, and it is told to be deleted": Way(
            append=_append("list_deleted", campaign=0), sql=("DELETE FROM import",)
        ),
        "a campaign is put in": Way(
            sql=(
                (
                    "INSERT INTO campaign (list_id, state, paused_from, pause_reason, deadline,"
                    " launched_at, starts_at, include_thin, minimum_days, downtime, pilot,"
                    " brake_sent, brake_bounced, brake_complaints) SELECT list_id, 'cancelled', '',"
                    " '', deadline, launched_at, starts_at, include_thin, minimum_days, 0, 0, 0, 0,"
                    " 0 FROM campaign"
                ),
            )
        ),
        "a campaign's asks were all sent before it began": Way(
            sql=("UPDATE campaign SET opened_at = '2026-03-01T00:00:00.000000+00:00'",)
        ),
        "all asks are said to have left long before the last did": Way(
            sql=("UPDATE campaign SET opened_at = launched_at",)
        ),
        "the asks of two people are exchanged": Way(sql=_exchange_mails("ask", "stil", "thuis")),
        "the reminders of two people are exchanged": Way(
            sql=_exchange_mails("reminder", "stil", "thuis")
        ),
        "a reminder is deleted": Way(
            sql=(f"DELETE FROM mail WHERE kind = 'reminder' AND contact_id = {_contact('stil')}",)
        ),
        "a reminder is put in, that was sent before an answer": Way(
            sql=(
                (
                    "INSERT INTO mail (list_id, campaign_id, contact_id, kind, state, reason,"
                    " due_at, attempts, worker, sent_at, reply_code, reply_status, message_id,"
                    " bounce, bounce_status, topic) SELECT list_id, campaign_id,"
                    f" {_contact('nee')}, kind,"
                    f" state, reason, '{format_timestamp(SENT)}', attempts, worker,"
                    f" '{format_timestamp(SENT)}', reply_code, reply_status, '<x@example.org>',"
                    " bounce, bounce_status, topic FROM mail WHERE kind = 'reminder' LIMIT 1"
                ),
            )
        ),
        "an ask that failed is said to have been sent, everywhere": Way(
            sql=(
                (
                    "UPDATE mail SET state = 'sent', reason = '', reply_code = 250, sent_at ="
                    f" '{format_timestamp(SENT)}' WHERE contact_id = {_contact('vol')}"
                ),
            )
        ),
        "the list of a mail is another": Way(
            sql=(
                (
                    "UPDATE mail SET list_id = list_id + 1"
                    f" WHERE kind = 'ask' AND contact_id = {_contact('nee')}"
                ),
            )
        ),
        "a mail was sent in 2031": Way(
            sql=(
                (
                    "UPDATE mail SET sent_at = '2031-01-01T00:00:00.000000+00:00',"
                    " state = 'sent' WHERE kind = 'receipt'"
                ),
            )
        ),
        "a list is put in, with its people": Way(
            sql=(_OTHER_LIST, _OTHER_PEOPLE),
        ),
        "what taking a file back did is counted otherwise": Way(
            sql=(
                (
                    "UPDATE import SET counts = json_set(counts, '$.undone.contacts', 2)"
                    " WHERE undone_at IS NOT NULL"
                ),
            )
        ),
        "a suppression is dated otherwise": Way(
            sql=(f"UPDATE suppression SET at = {_DAY_BEFORE} WHERE subject = {_of('nee')}",)
        ),
        "a suppression of somebody who was never on the list is dated anew, with its line": Way(
            sql=(
                (
                    f"UPDATE suppression SET at = {_DAY_BEFORE}"
                    f" WHERE fingerprint = '{prints['nooit']}'"
                ),
            ),
            journal=lambda text: b"".join(
                line.replace(b"2026-03-03T13:00:00.000000+00:00", _DAY_BEFORE.strip("'").encode())
                if prints["nooit"].encode() in line
                else line
                for line in text.splitlines(keepends=True)
            ),
        ),
        "a No is forgotten, after which a Yes would be asked for twice": Way(
            sql=("UPDATE contact SET has_refused = 0 WHERE address_key = 'nee@example.org'",)
        ),
    }


def do_it(way: Way, *, path: Path, database: Callable[[], Any], settings: Settings) -> None:
    """Do to a SQLite database, and the journal beside it, what a way says."""
    with database() as opened, opened.atomic():
        for entry in way.append:
            told = dict(entry.consent)
            if entry.event == "erased":
                rows = Evidence.select().where(Evidence.subject == entry.subject)
                told["seqs"] = [row.seq for row in rows]
            chain.append(replace(entry, consent=told))
    with closing(sqlite3.connect(path, isolation_level=None)) as raw:
        raw.execute("PRAGMA foreign_keys = 0")
        raw.create_function("digest_subjects", 1, lambda text: digest_subjects(text.split(",")))
        for statement in way.sql:
            raw.execute(statement)
    journal = settings.journal
    assert journal is not None
    journal.write_bytes(way.journal(journal.read_bytes()))
    if way.is_sealed:
        with database() as opened:
            seal_anew(opened, settings)
