"""The chain while several processes append to it at once: no gap, no fork, nobody given up."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from repermit.answers import link_target, record_answer
from repermit.campaigns.launch import launch
from repermit.contacts import erasure, status_changes
from repermit.db.connection import Database, lock_rows, open_database
from repermit.db.models.contacts import Contact
from repermit.db.models.evidence import Evidence
from repermit.evidence import chain, entries, stored_tree
from repermit.evidence.verify import chain as verify_chain
from repermit.rules.consent import Answer
from tests.support.builders import DEADLINE, NOW, make_contact, make_list, make_settings
from tests.support.desk import ATTEST

PROCESSES = 4
ROUNDS = 8
ROOT = Path(__file__).parents[3]
_WORK = """\
import sys
from tests.unit.evidence.test_concurrent_appends import work
work(sys.argv[1], int(sys.argv[2]))
"""


def work(url: str, number: int) -> None:
    """Do what a process does: record answers, append in bulk, erase; each in its own order."""
    settings = make_settings(database=url)
    with open_database(url) as database:
        uids = [contact.uid for contact in Contact.select().order_by(Contact.id)]
        for turn in range(ROUNDS):
            one = uids[(number * 7 + turn * (1 + number)) % len(uids)]
            record_answer.record_answer(
                database,
                uid=one,
                answer=(Answer.YES, Answer.NO)[(turn + number) % 2],
                arrived_at=NOW,
                settings=settings,
                method="page",
                trace={"network": "192.0.2.0/24", "browser": "x"},
                page=partial(shown, turn),
            )
            with database.atomic():
                exported = entries.Entry(
                    event="exported", at=NOW, actor="job", consent={"by": number}
                )
                chain.append(*[exported] * (turn % 3 + 1))
        with database.atomic():
            erase(number)


def shown(turn: int, _: link_target.ContactState) -> link_target.PageShown:
    """Return one of three pages."""
    return link_target.PageShown(wording=f"page {turn % 3}")


def erase(number: int) -> None:
    """Erase a quarter of the contacts."""
    every = lock_rows(Contact.select().order_by(Contact.id))
    for contact in list(every)[number::PROCESSES]:
        erasure.erase_contact(
            contact,
            act=status_changes.Act(at=NOW, actor=f"cli:{number}"),
            fingerprint_key=make_settings().fingerprint_key,
        )


@pytest.mark.exhaustive
def test_four_processes_at_once_make_one_chain(database: Database, database_url: str) -> None:
    news = make_list(database)
    for _ in range(8):
        make_contact(database, news)
    launch(
        database,
        news,
        settings=make_settings(),
        now=NOW,
        deadline=DEADLINE,
        attest=ATTEST,
        actor="cli:els",
    )
    running = [
        subprocess.Popen(
            [
                sys.executable,
                "-c",
                _WORK,
                database_url,
                str(number),
            ],
            cwd=ROOT,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(PROCESSES)
    ]
    said = [process.communicate(timeout=120)[1] for process in running]
    assert [process.returncode for process in running] == [0] * PROCESSES, said
    seqs = [entry.seq for entry in Evidence.select().order_by(Evidence.seq)]
    assert seqs == list(range(1, len(seqs) + 1))
    found = verify_chain.verify_chain(database)
    assert (found.fault, found.checkpoint) == (None, stored_tree.checkpoint())
    events = Counter(entry.event for entry in Evidence.select())
    assert events["exported"] == PROCESSES * sum(turn % 3 + 1 for turn in range(ROUNDS))
    assert events["erased"] == 8
