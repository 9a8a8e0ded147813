"""How long the chain takes to verify, and one path to be found, with a great many entries.

    .venv/bin/python tests/bench/verify.py [--entries 1000000] [--postgresql] [--erased 10]

Each entry has its three parts, names a wording, and is of somebody who was asked and said Yes or,
every second, was taken off and is suppressed; one of so many was erased since. Timed are the
appends, a thousand at a time; `verify_chain` as `repermit verify` calls it; the path of a hundred
entries, one at a time; and where a single entry in the middle was edited, moved to the end, or
deleted, how long it takes until that is named.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import resource
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from collections.abc import Callable, Iterator

from repermit import email_address
from repermit.clock import format_timestamp
from repermit.db import migrations
from repermit.db.connection import Database, chunks, open_database, run_sql
from repermit.db.models.campaigns import Campaign
from repermit.db.models.contacts import Contact, Suppression
from repermit.db.models.evidence import Evidence, EvidencePart
from repermit.db.models.lists import MailingList
from repermit.db.models.mails import Mail
from repermit.evidence import chain, stored_tree
from repermit.evidence.entries import Entry
from repermit.evidence.verify import chain as verify_chain
from tests.support.postgresql_cluster import find_binaries, running_cluster

_AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
_KEY = b"a-fingerprint-key-for-the-bench"
_STEP = 1_000
_CHUNK = 500


def main() -> None:
    """Measure and print."""
    options = _options()
    with _database(postgresql=options.postgresql) as database:
        migrations.upgrade_database(database)
        took = _seconds(lambda: _fill(database, options.entries, options.erased))
        entries = Evidence.select().count()
        parts = EvidencePart.select().count()
        print(f"{entries:,} entries with {parts:,} parts; appended {entries / took:,.0f}/s")
        processor = time.process_time()
        took = _seconds(lambda: _verify(database))
        processor = time.process_time() - processor
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            f"verify            {took:8.1f} s   {processor:.1f} s of the processor, {most:,.0f} MB"
        )
        _print_paths(entries)
        one = Evidence.get(Evidence.seq >= entries // 2, Evidence.event == "confirmed")
        _print_faults(database, one.seq)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--postgresql", action="store_true")
    parser.add_argument("--erased", type=int, default=10, help="one of so many is erased")
    return parser.parse_args()


@contextlib.contextmanager
def _database(*, postgresql: bool) -> Iterator[Database]:
    with contextlib.ExitStack() as stack:
        if postgresql:
            binaries = find_binaries()
            assert binaries, "there is no PostgreSQL here"
            url = stack.enter_context(running_cluster(binaries)).add_database("bench")
        else:
            url = f"sqlite:///{stack.enter_context(tempfile.TemporaryDirectory())}/bench.db"
        yield stack.enter_context(open_database(url))


def _seconds(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def _fill(database: Database, entries: int, erased: int) -> None:
    with database.atomic():
        wording = chain.store_wording("Mogen wij u blijven mailen?")
        news = MailingList.create(slug="news", name="Nieuws", created_at=_AT)
        moments = {"launched_at": _AT, "starts_at": _AT, "deadline": _AT + timedelta(days=28)}
        Campaign.create(list=news, state="open", minimum_days=14, **moments)
        chain.append(
            Entry(
                event="launched",
                at=_AT,
                actor="cli:bench",
                list="news",
                campaign=1,
                consent={"asked": entries},
            )
        )
    for start in range(0, entries, _STEP):
        numbers = range(start, min(start + _STEP, entries))
        with database.atomic():
            for some in chunks(numbers, _CHUNK):
                Contact.insert_many(
                    [_contact(n, news, is_erased=n % erased == 0) for n in some]
                ).execute()
                Mail.insert_many([_ask(n) for n in some]).execute()
                Suppression.insert_many([_left(n, news) for n in some if n % 2]).execute()
            chain.append(*(_entry(n, wording) for n in numbers))
            chain.append(*(_erase(n) for n in numbers if n % erased == 0))


def _contact(number: int, news: MailingList, *, is_erased: bool) -> dict[str, Any]:
    address = f"person{number}@example.org"
    return {
        "list": news,
        "uid": f"{number:032x}",
        "subject": f"{number:032x}",
        "address": None if is_erased else address,
        "address_key": f"{number:032x}" if is_erased else address,
        "erased_at": _AT if is_erased else None,
        "status": "removed" if number % 2 else "confirmed",
        "status_at": _AT,
        "reason": "no" if number % 2 else "",
        "has_refused": number % 2 == 1,
        "basis": "" if number % 2 else "answer",
    }


def _ask(number: int) -> dict[str, Any]:
    moments = dict.fromkeys(("due_at", "started_at", "sent_at"), _AT)
    about = {"kind": "ask", "state": "sent", "message_id": f"<{number}@example.org>"}
    return {"list": 1, "campaign": 1, "contact": number + 1, **about, **moments}


def _left(number: int, news: MailingList) -> dict[str, Any]:
    who = {"fingerprint": _fingerprint(number), "subject": f"{number:032x}"}
    return {"list": news, **who, "reason": "no", "at": _AT}


def _fingerprint(number: int) -> str:
    return email_address.fingerprint(_KEY, f"person{number}@example.org")


def _entry(number: int, wording: str) -> Entry:
    said = {"answer": "no", "reason": "no"} if number % 2 else {"answer": "yes", "basis": "answer"}
    return Entry(
        event="removed" if number % 2 else "confirmed",
        at=_AT,
        actor="person",
        list="news",
        campaign=1,
        subject=f"{number:032x}",
        consent={
            **said,
            "asked_at": format_timestamp(_AT),
            "page_wording": wording,
            "purpose": "Nieuws",
        },
        person={
            "address": f"person{number}@example.org",
            "name": f"Person {number}",
            "link": f"{number:032x}",
        },
        trace={"network": "192.0.2.0/24", "browser": "Firefox"},
    )


def _erase(number: int) -> Entry:
    subject, parts = f"{number:032x}", ("person", "trace")
    seqs = chain.erase_parts(subject, parts)
    said = {"seqs": seqs, "parts": parts, "whose": _fingerprint(number)}
    return Entry(event="erased", at=_AT, actor="job", list="news", subject=subject, consent=said)


def _verify(database: Database) -> None:
    found = verify_chain.verify_chain(database, fingerprint_key=_KEY)
    assert found.fault is None, found.fault


def _print_paths(entries: int) -> None:
    checkpoint = stored_tree.checkpoint()
    took = []
    for _ in range(100):
        seq = random.randrange(entries) + 1  # noqa: S311
        began = time.perf_counter()
        stored_tree.MerkleProofs(checkpoint).prove_inclusion(seq)
        took.append((time.perf_counter() - began) * 1000)
    print(f"path of one entry {statistics.median(took):8.1f} ms  {max(took):.1f} ms at most")


def _print_faults(database: Database, middle: int) -> None:
    here, away = f"WHERE seq = {middle}", "WHERE seq = 9000000000"
    _print_fault(database, f"UPDATE evidence SET actor = 'job' {here}")  # noqa: S608
    with database.atomic():
        run_sql(database, f"UPDATE evidence SET actor = 'person' {here}")  # noqa: S608
    _print_fault(database, f"UPDATE evidence SET seq = 9000000000 {here}")  # noqa: S608
    _print_fault(database, f"DELETE FROM evidence {away}")  # noqa: S608


def _print_fault(database: Database, statement: str) -> None:
    with database.atomic():
        run_sql(database, statement)
    began = time.perf_counter()
    fault = verify_chain.verify_chain(database).fault
    print(f"until it is found {time.perf_counter() - began:8.1f} s   {fault}")


if __name__ == "__main__":
    main()
