"""Who has left stays off the list by the journal too, and what is cut from the journal is found."""

# ruff: noqa: S608  whoever tampers writes SQL; nothing comes from outside

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from repermit import email_address
from repermit.campaigns.launch import launch
from repermit.checks.database import check_database
from repermit.db import journal_seal, migrations
from repermit.db.connection import Database, run_sql
from repermit.db.journal_seal import is_journal_cut, seal_journal
from repermit.db.models.base import Meta
from repermit.db.models.contacts import Contact, Suppression
from repermit.db.models.evidence import Evidence
from repermit.db.models.lists import MailingList
from repermit.db.models.mails import Mail
from repermit.db.row_counts import recount
from repermit.db.suppression_journal import Journal, make_journal
from repermit.db.work_steps import FIRST_STEP_ROWS
from repermit.errors import JournalRefused
from repermit.evidence import chain, entries
from repermit.evidence.verify import chain as verify_chain
from repermit.evidence.verify.counts import check_counts
from repermit.evidence.verify.diagnosis import How
from repermit.privacy import forget
from repermit.rules.consent import Answer, Fate
from repermit.suppression import suppressions
from tests.support.builders import DEADLINE, NOW, make_contact, make_list, make_settings, note_list
from tests.support.desk import ATTEST
from tests.support.grown_tree import grow_tree
from tests.support.import_helpers import fates_of, mailchimp, plain, take_back, take_in
from tests.support.public_pages import answer_on_page
from tests.unit.answers.test_join import confirmed, signed_up
from tests.unit.privacy.test_rectification import move

LATER = NOW + timedelta(hours=1)
EVEN_LATER = NOW + timedelta(hours=2)
SETTINGS = make_settings()
KEY = SETTINGS.fingerprint_key
WHO: dict[str, Any] = {"settings": SETTINGS, "actor": "cli:els"}


@pytest.fixture
def journal(database: Database, tmp_path: Path) -> Journal:
    """Let the database have a journal."""
    made = make_journal(make_settings(journal=tmp_path / "suppressions.journal"))
    assert made
    database.journal = made
    return made


@pytest.fixture
def news(database: Database, journal: Journal) -> MailingList:
    assert database.journal is journal
    made = make_list(database)
    note_list(database)
    return made


def say_no(
    database: Database, contact: Contact, answer: Answer = Answer.NO, at: datetime = LATER
) -> None:
    answer_on_page(database, contact.uid, answer, at=at, settings=SETTINGS)


def delete(database: Database, *tables: str) -> None:
    """Delete all of some tables, as whoever writes SQL may."""
    with database.atomic():
        for table in tables:
            run_sql(database, f"DELETE FROM {table}")


def fates(database: Database, news: MailingList, folder: Path, *names: str) -> dict[Fate, int]:
    """Return what becomes of addresses in a file, the same by a dry run and in truth."""
    file = plain(folder, *((f"{name}@example.org", "") for name in names), name="again.csv")
    foreseen = take_in(database, news, file, dry_run=True, now=LATER)
    done = take_in(database, news, file, now=LATER)
    assert fates_of(foreseen) == fates_of(done)
    return fates_of(done)


def found(database: Database) -> tuple[How, str] | None:
    fault = verify_chain.verify_chain(database, fingerprint_key=KEY).fault
    return (fault.how, fault.what) if fault else None


def _says_no(database: Database, news: MailingList, _: Path) -> None:
    say_no(database, make_contact(database, news, "weg@example.org"))


def _is_erased(database: Database, news: MailingList, _: Path) -> None:
    make_contact(database, news, "weg@example.org")
    forget.erase_address(database, "weg@example.org", mailing_list=news, now=LATER, **WHO)


def _never_here(database: Database, news: MailingList, _: Path) -> None:
    address = "weg@example.org"
    forget.erase_address(database, address, mailing_list=news, suppress=True, now=LATER, **WHO)


def _left_elsewhere(database: Database, news: MailingList, folder: Path) -> None:
    file = mailchimp(folder, {"email": "weg@example.org"}, name="unsubscribed_segment.csv")
    take_in(database, news, file)


LEAVING = [_says_no, _is_erased, _never_here, _left_elsewhere]


@pytest.mark.parametrize("leave", LEAVING)
def test_invariant_3_who_has_left_is_not_asked_though_all_of_them_was_deleted(
    database: Database, news: MailingList, tmp_path: Path, leave: Any
) -> None:
    leave(database, news, tmp_path)
    delete(database, "mail", "contact", "suppression")
    assert fates(database, news, tmp_path, "weg", "nieuw") == {Fate.SUPPRESSED: 1, Fate.ASK: 1}
    assert not Contact.select().where(Contact.address_key == "weg@example.org").exists()


@pytest.mark.parametrize("leave", LEAVING)
def test_who_has_left_one_list_may_be_asked_on_another(
    database: Database, news: MailingList, tmp_path: Path, leave: Any
) -> None:
    leave(database, news, tmp_path)
    delete(database, "mail", "contact", "suppression")
    other = make_list(database, slug="other")
    assert fates(database, other, tmp_path, "weg") == {Fate.ASK: 1}


@pytest.mark.parametrize("leave", LEAVING)
def test_a_suppression_that_was_deleted_is_put_back_and_the_evidence_says_so(
    database: Database, news: MailingList, tmp_path: Path, leave: Any
) -> None:
    leave(database, news, tmp_path)
    kept = list(Suppression.select(Suppression.fingerprint, Suppression.reason).tuples())
    assert suppressions.restore_lost_suppressions(database, settings=SETTINGS, now=LATER) == 0
    delete(database, "suppression")
    assert found(database) is not None
    assert suppressions.restore_lost_suppressions(database, settings=SETTINGS, now=LATER) == 1
    again = Suppression.select(Suppression.fingerprint, Suppression.reason)
    assert list(again.tuples()) == kept
    last = Evidence.select().order_by(Evidence.seq.desc()).get()
    assert (last.event, last.actor, last.list) == ("suppressions_put_back", "job", "news")
    assert found(database) is None
    assert suppressions.restore_lost_suppressions(database, settings=SETTINGS, now=LATER) == 0


def test_a_launch_asks_nobody_whom_the_journal_knows(
    database: Database, news: MailingList, tmp_path: Path
) -> None:
    _says_no(database, news, tmp_path)
    make_contact(database, news, "ja@example.org")
    delete(database, "suppression")
    with database.atomic():
        Contact.update(status="unconfirmed", reason="").execute()
    launch(database, news, deadline=DEADLINE, now=LATER, attest=ATTEST, **WHO)
    asked = Contact.select(Contact.address).join(Mail, on=(Mail.contact == Contact.id))
    assert [contact.address for contact in asked] == ["ja@example.org"]


@pytest.mark.parametrize("leave", LEAVING)
def test_verify_names_the_line_of_a_suppression_that_was_deleted(
    database: Database, news: MailingList, tmp_path: Path, leave: Any
) -> None:
    """Even where the chain was made anew without it."""
    leave(database, news, tmp_path)
    tables = ("mail", "contact", "suppression", "evidence_part", "evidence", "evidence_node")
    delete(database, *tables, "import", "contact_count", "suppression_count", "part_count")
    with database.atomic():
        run_sql(
            database,
            f"UPDATE evidence_head SET seq = 0, hash = '{'0' * 64}', frontier = '', root = ''",
        )
        grow_tree()
    note_list(database)
    run_counts(database)
    assert found(database) == (How.SUPPRESSION_DELETED, "news, line 2 of the journal")


def run_counts(database: Database) -> None:
    with database.atomic():
        recount(database)


# --- What is no such thing. ----------------------------------------------------------------------


def test_verify_accuses_nobody_who_leaves_while_it_walks(
    database: Database, news: MailingList, monkeypatch: pytest.MonkeyPatch
) -> None:
    contact = make_contact(database, news)

    def leave(replay: Any) -> Any:
        def leave_elsewhere() -> None:
            with database.connection_context():
                say_no(database, contact)

        with ThreadPoolExecutor(1) as others:
            others.submit(leave_elsewhere).result()
        return check_counts(replay)

    monkeypatch.setattr(verify_chain, "check_counts", leave)
    assert verify_chain.verify_chain(database, fingerprint_key=KEY).fault is None
    assert Suppression.select().count() == 1


def test_who_said_yes_later_is_known_by_the_journal_too(
    database: Database, news: MailingList, tmp_path: Path
) -> None:
    _says_no(database, news, tmp_path)
    confirmed(database, signed_up(database, news, "weg@example.org"))
    assert found(database) is None
    delete(database, "mail", "contact", "suppression")
    assert fates(database, news, tmp_path, "weg") == {Fate.ASK: 1}


def test_a_yes_counts_whose_lifting_was_never_written(
    database: Database, news: MailingList, journal: Journal, tmp_path: Path
) -> None:
    _says_no(database, news, tmp_path)
    before = journal.path.read_bytes()
    confirmed(database, signed_up(database, news, "weg@example.org"), arrived=LATER + DAY)
    journal.path.write_bytes(before)
    assert found(database) is None
    assert suppressions.restore_lost_suppressions(database, settings=SETTINGS, now=LATER) == 0
    assert fates(database, news, tmp_path, "weg") == {Fate.DUPLICATE: 1}


DAY = timedelta(days=1)


def test_what_a_file_brought_that_was_taken_back_may_be_asked(
    database: Database, news: MailingList, journal: Journal, tmp_path: Path
) -> None:
    _left_elsewhere(database, news, tmp_path)
    before = journal.path.read_bytes()
    take_back(database, news, now=LATER)
    assert found(database) is None
    # Killed before the liftings were written.
    journal.path.write_bytes(before)
    assert found(database) is None
    assert fates(database, news, tmp_path, "weg") == {Fate.ASK: 1}


def test_who_moved_away_and_back_is_no_finding(database: Database, news: MailingList) -> None:
    person = make_contact(database, news, "oud@example.org", status="confirmed", basis="answer")
    contacts_seen = person.id
    assert move(database, person, "nieuw@example.org")
    assert move(database, Contact.get_by_id(contacts_seen), "oud@example.org")
    assert suppressions.restore_lost_suppressions(database, settings=SETTINGS, now=LATER) == 0


def test_a_line_of_a_transaction_that_failed_counts_for_nobody(
    database: Database, news: MailingList, journal: Journal, tmp_path: Path
) -> None:
    _never_here(database, news, tmp_path)
    lost = email_address.fingerprint(KEY, "nooit@example.org")
    line = {"do": "suppress", "at": LATER.isoformat(), "list": "news", "fingerprint": lost}
    journal.add_lines({**line, "subject": "s", "reason": "no"})
    assert journal.before_commit()
    journal.discard_lines()
    assert found(database) is None
    assert fates(database, news, tmp_path, "nooit", "weg") == {Fate.ASK: 1, Fate.SUPPRESSED: 1}


def test_a_journal_of_an_earlier_version_counts_whole(
    database: Database, news: MailingList, journal: Journal, tmp_path: Path
) -> None:
    _says_no(database, news, tmp_path)
    lines = journal.path.read_text().splitlines(keepends=True)
    journal.path.write_text("".join(line for line in lines if "kept" not in line))
    delete(database, "mail", "contact", "suppression", "meta WHERE substr(key, 1, 8) = 'journal:'")
    assert fates(database, news, tmp_path, "weg") == {Fate.SUPPRESSED: 1}


@pytest.mark.parametrize("text", ["", "no journal\n", '{"do":"key","check":"other"}\n'])
def test_a_journal_that_is_none_or_of_another_key_keeps_nobody_off(
    database: Database, news: MailingList, journal: Journal, tmp_path: Path, text: str
) -> None:
    if text:
        journal.path.write_text(text)
    assert fates(database, news, tmp_path, "weg") == {Fate.ASK: 1}
    assert found(database) is None


# --- A journal that was cut. ---------------------------------------------------------------------


@pytest.fixture
def five(database: Database, news: MailingList, journal: Journal) -> Journal:
    """Return a journal of five who have left: eleven lines, the first of which names the key."""
    for number in range(5):
        say_no(database, make_contact(database, news, f"weg{number}@example.org"))
    assert len(journal.path.read_text().splitlines()) == 11
    assert found(database) is None
    return journal


def cut(journal: Journal, first: int, end: int | None) -> None:
    lines = journal.path.read_text().splitlines(keepends=True)
    del lines[first:end]
    journal.path.write_text("".join(lines))


@pytest.mark.parametrize(
    ("first", "end", "words"),
    [
        (9, None, "it is shorter than when it had 10 lines"),
        (1, None, "it had 10 lines, and does not begin as it did, or is gone"),
        (0, None, "it had 10 lines, and does not begin as it did, or is gone"),
        (5, 6, "it is shorter than when it had 10 lines"),
        (3, 9, "it is shorter than when it had 10 lines"),
        (1, 2, "it had 10 lines, and does not begin as it did, or is gone"),
    ],
)
def test_a_journal_that_was_cut_is_found(
    database: Database, five: Journal, first: int, end: int | None, words: str
) -> None:
    assert not is_journal_cut(five)
    cut(five, first, end)
    assert found(database) == (How.JOURNAL_CUT, words)
    assert is_journal_cut(five)


@pytest.mark.usefixtures("five")
def test_a_no_that_comes_as_verify_begins_is_no_finding(
    database: Database, news: MailingList, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its line stands behind what the journal was before the database was read."""
    size = Journal.size

    def size_before_a_no(journal: Journal) -> int:
        before = size(journal)
        say_no(database, make_contact(database, news, "net@example.org"))
        return before

    monkeypatch.setattr(Journal, "size", size_before_a_no)
    assert found(database) is None


@pytest.mark.parametrize("first", [9, 5, 1])
def test_a_journal_that_was_cut_is_found_though_it_went_on(
    database: Database, five: Journal, news: MailingList, first: int
) -> None:
    cut(five, first, first + 1)
    for number in range(3):
        say_no(database, make_contact(database, news, f"meer{number}@example.org"))
    verdict = found(database)
    assert verdict
    assert verdict[0] is How.JOURNAL_CUT


@pytest.mark.parametrize("is_gone", [True, False])
def test_a_journal_that_is_gone_or_another_is_found(
    database: Database, five: Journal, news: MailingList, *, is_gone: bool
) -> None:
    five.path.unlink()
    if not is_gone:
        say_no(database, make_contact(database, news, "later@example.org"))
    verdict = found(database)
    assert verdict
    assert verdict[0] is How.JOURNAL_CUT
    findings = check_database(database, None, now=NOW).findings
    assert "database_journal" in {finding.code for finding in findings}


def test_a_line_that_was_changed_is_found(database: Database, five: Journal) -> None:
    text = five.path.read_text()
    five.path.write_text(text.replace('"reason":"no"', '"reason":"on"'))
    verdict = found(database)
    assert verdict
    assert verdict[0] is How.JOURNAL_CUT


def test_without_the_key_no_seal_can_be_made_that_fits(database: Database, five: Journal) -> None:
    """Whoever can write to database and journal alone is found."""
    cut(five, 5, 6)
    forged = Journal(five.path, key_check=five.key_check, seal=b"guessed")
    database.journal = forged
    delete(database, SEALS)
    with database.atomic():
        seal_journal(forged, five.path.stat().st_size)
    database.journal = five
    verdict = found(database)
    assert verdict
    assert verdict[0] is How.JOURNAL_CUT


SEALS = "meta WHERE substr(key, 1, 8) = 'journal:'"


@pytest.mark.parametrize(("first", "end"), [(1, None), (3, None), (0, None), (1, 1)])
def test_a_journal_whose_seal_was_deleted_is_found_cut_or_whole(
    database: Database, five: Journal, first: int, end: int | None
) -> None:
    cut(five, first, end)
    delete(database, SEALS)
    words = "5 suppressions and launches were noted, and 0 are known"
    assert found(database) == (How.JOURNAL_CUT, words)


def test_a_journal_that_was_cut_and_whose_seal_was_made_anew_is_found(
    database: Database, five: Journal, news: MailingList
) -> None:
    cut(five, 3, None)
    delete(database, SEALS)
    say_no(database, make_contact(database, news, "later@example.org"))
    kept = sum('"do":"suppress"' in line for line in five.path.read_text().splitlines())
    assert kept == 2
    words = "6 suppressions and launches were noted, and 2 are known"
    assert found(database) == (How.JOURNAL_CUT, words)


def test_a_journal_and_its_seal_that_were_put_back_to_earlier_ones_are_found(
    database: Database, news: MailingList, journal: Journal
) -> None:
    say_no(database, make_contact(database, news, "eerst@example.org"))
    earlier, seals = journal.path.read_bytes(), [*Meta.select().where(Meta.key ** "journal:%")]
    say_no(database, make_contact(database, news, "tweede@example.org"))
    journal.path.write_bytes(earlier)
    with database.atomic():
        for seal in seals:
            Meta.update(value=seal.value).where(Meta.key == seal.key).execute()
    words = "2 suppressions and launches were noted, and 1 are known"
    assert found(database) == (How.JOURNAL_CUT, words)


@pytest.mark.parametrize("value", ["x", "{}", "[]", "null"])
def test_a_seal_that_says_nothing_is_found(database: Database, five: Journal, value: str) -> None:
    assert five.path.exists()
    with database.atomic():
        Meta.update(value=value).where(Meta.key ** "journal:%").execute()
    assert found(database) == (How.JOURNAL_CUT, "what the database keeps of it was changed")


def test_a_launch_of_which_no_journal_is_known_is_found(
    database: Database, news: MailingList, journal: Journal
) -> None:
    make_contact(database, news)
    launch(database, news, deadline=DEADLINE, now=LATER, attest=ATTEST, **WHO)
    assert found(database) is None
    journal.path.unlink()
    delete(database, SEALS)
    words = "1 suppressions and launches were noted, and 0 are known"
    assert found(database) == (How.JOURNAL_CUT, words)


def test_a_database_that_is_upgraded_or_restored_has_no_seal_yet(
    database: Database, five: Journal, news: MailingList
) -> None:
    """As versions before left it; what comes then is sealed, with all that stands before."""
    for name in ("zes", "zeven"):
        delete(database, SEALS)
        with database.atomic():
            if name == "zes":
                Meta.update(value="28").where(Meta.key == "schema_version").execute()
            else:
                chain.append(entries.Entry(event="restored", at=LATER, actor="cli:els"))
        migrations.upgrade_database(database)
        assert found(database) is None
        say_no(database, make_contact(database, news, f"{name}@example.org"), at=EVEN_LATER)
        assert found(database) is None
    cut(five, 1, None)
    delete(database, SEALS)
    verdict = found(database)
    assert verdict
    assert verdict[0] is How.JOURNAL_CUT


def test_a_long_journal_that_has_no_seal_yet_is_sealed_in_steps(
    database: Database, five: Journal
) -> None:
    lines = five.path.read_bytes().splitlines(keepends=True)
    five.path.write_bytes(b"".join([*lines, *lines[1:3] * 200]))
    delete(database, SEALS)
    sealed: list[int] = []

    def look() -> None:
        row = Meta.get_or_none(Meta.key ** "journal:%")
        sealed.append(json.loads(row.value)["lines"] if row else 0)

    database.before_commit = look
    suppressions.restore_lost_suppressions(database, settings=SETTINGS, now=LATER)
    database.before_commit = None
    assert sealed[0] <= FIRST_STEP_ROWS
    assert sealed == sorted(sealed)
    assert sealed[-1] == len(lines) + 400
    assert found(database) is None


def test_a_journal_that_began_later_or_elsewhere_is_no_finding(
    database: Database, news: MailingList, tmp_path: Path
) -> None:
    """As on a further machine, each of which has its own, and after a move without the first."""
    say_no(database, make_contact(database, news, "eerst@example.org"))
    database.journal = make_journal(make_settings(journal=tmp_path / "second.journal"))
    assert found(database) is None
    say_no(database, make_contact(database, news, "tweede@example.org"))
    assert found(database) is None
    assert suppressions.restore_lost_suppressions(database, settings=SETTINGS, now=LATER) == 0
    assert fates(database, news, tmp_path, "eerst", "tweede") == {Fate.SUPPRESSED: 2}


def test_a_journal_that_names_its_key_alone_goes_on_as_itself(
    database: Database, news: MailingList, tmp_path: Path
) -> None:
    assert suppressions.restore_lost_suppressions(database, settings=SETTINGS, now=NOW) == 0
    assert found(database) is None
    _says_no(database, news, tmp_path)
    assert suppressions.restore_lost_suppressions(database, settings=SETTINGS, now=NOW) == 0
    assert found(database) is None


def test_a_line_that_was_cut_off_when_its_writer_was_killed_is_no_finding(
    database: Database, five: Journal, news: MailingList
) -> None:
    with five.path.open("a") as file:
        file.write('{"do":"suppress","at":"2026-0')
    assert found(database) is None
    say_no(database, make_contact(database, news, "later@example.org"))
    assert found(database) is None


def test_a_line_that_was_replaced_by_one_of_its_length_is_found(
    database: Database, five: Journal
) -> None:
    lines = five.path.read_text().splitlines(keepends=True)
    five.path.write_text("".join([*lines[:3], "x" * (len(lines[3]) - 1) + "\n", *lines[4:]]))
    words = "one of its first 10 lines was changed or taken out"
    assert found(database) == (How.JOURNAL_CUT, words)


def test_a_journal_that_cannot_be_read_stops_an_import(
    database: Database, five: Journal, news: MailingList, tmp_path: Path
) -> None:
    five.path.unlink()
    five.path.mkdir()
    with pytest.raises(JournalRefused, match="cannot be read"):
        fates(database, news, tmp_path, "nieuw")


@pytest.mark.parametrize(
    "line",
    [
        "[]",
        "{",
        '{"do":"suppress","list":"news"}',
        '{"do":"suppress","list":"news","fingerprint":"zz"}',
        '{"do":"lift","list":"news","fingerprint":7}',
        '{"do":"kept","from":"a","to":null}',
        '{"do":"suppress","at":"soon","list":"news","fingerprint":"' + "f" * 64 + '"}',
    ],
)
def test_a_line_that_says_nothing_keeps_nobody_off(
    database: Database, five: Journal, news: MailingList, tmp_path: Path, line: str
) -> None:
    with five.path.open("a") as file:
        file.write(f"{line}\n")
    assert fates(database, news, tmp_path, "nieuw", "weg1") == {Fate.ASK: 1, Fate.SUPPRESSED: 1}
    assert found(database) is None


def test_a_no_seals_few_lines_of_what_a_file_that_was_taken_back_has_lifted(
    database: Database,
    news: MailingList,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its commit would hold everybody up for as long as that file was large."""
    stays = make_contact(database, news)
    gone = ({"email": f"gone.{number}@example.org"} for number in range(600))
    take_in(database, news, mailchimp(tmp_path, *gone, name="unsubscribed_segment.csv"))
    take_back(database, news, now=LATER)
    assert not Suppression.select().exists()
    read: list[int] = []

    def count(journal: Journal, seal: Any, *others: Any, **options: Any) -> Any:
        extended = extend(journal, seal, *others, **options)
        read.append(extended.lines - seal.lines)
        return extended

    extend = journal_seal._extend_seal
    monkeypatch.setattr(journal_seal, "_extend_seal", count)
    say_no(database, stays)
    assert sum(read) < 600
