"""Taking in who is not to be asked, a batch at a time, whatever happens in between."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest

from repermit import addresses, evidence, rights
from repermit.campaigns import launch
from repermit.consent import Answer, Reason, Status
from repermit.errors import Refused
from repermit.models import FIRST_STEP, Contact, Evidence, EvidencePart, Suppression, new_id, stored
from repermit.rights import sharing
from repermit.rights.sharing import SharedSuppression
from repermit.rights.taking_over import taking_over
from tests.building import DEADLINE, NOW, make_contact, make_list, make_removed, make_settings
from tests.desk import ATTEST
from tests.test_answers_signing_up import confirmed, signed_up
from tests.test_evidence_beside import WHO, say
from tests.test_rights_correcting import move

if TYPE_CHECKING:
    from pathlib import Path

    from repermit.models import Database, MailingList
    from repermit.rights import TakenOver
    from repermit.rights.taking_over import TakingOver

SETTINGS = make_settings()
KEY = SETTINGS.fingerprint_key
ROWS = 4 * FIRST_STEP + 50


@pytest.fixture
def news(database: Database) -> MailingList:
    return make_list(database)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return a file of several steps; anna's is in the last one."""
    path = tmp_path / "off.csv"
    rows = [f"person{number}@example.org" for number in range(ROWS - 1)]
    path.write_text("\n".join(["email", *rows, "anna@example.org"]), "utf-8")
    return path


def given(news: MailingList, **more: Any) -> dict[str, Any]:
    about = {"settings": SETTINGS, "now": NOW + timedelta(hours=2), "actor": "cli:els"}
    return {"mailing_list": news, **about, **more}


def take_all(database: Database, news: MailingList, path: Path, **more: Any) -> TakenOver:
    return rights.import_suppressions(database, path=path, **given(news, **more))


def finished(taking: TakingOver) -> TakenOver:
    while taking.step():
        pass
    return taking.result


def elsewhere(database: Database, act: Any) -> None:
    """Do something in another thread, by a connection of its own, which nothing holds up."""

    def connected() -> None:
        with database.connection_context():
            act()

    with ThreadPoolExecutor(1) as others:
        others.submit(connected).result()


def at(name: str) -> Contact:
    found: Contact = Contact.get(Contact.address_key == f"{name}@example.org")
    return found


def test_an_answer_is_recorded_between_two_batches_and_holds(
    database: Database, news: MailingList, file: Path
) -> None:
    make_contact(database, news, "anna@example.org")
    make_contact(database, news, "person1@example.org")
    launch(database, news, deadline=DEADLINE, now=NOW, attest=ATTEST, **WHO)
    began = {"now": NOW + timedelta(hours=1)}
    with taking_over(database, path=file, **given(news, **began)) as taking:
        assert taking.step()
        assert (taking.result.added, taking.result.removed) == (FIRST_STEP, 1)
        elsewhere(database, lambda: say(database, "anna", Answer.YES))
        result = finished(taking)
    assert (result.rows, result.added, result.kept, result.known) == (ROWS, ROWS - 1, 1, 0)
    assert (at("anna").status, at("person1").status) == (Status.CONFIRMED, Status.REMOVED)
    assert Suppression.select().count() == ROWS - 1
    last = Evidence.select().order_by(Evidence.seq.desc()).get()
    told = json.loads(EvidencePart.get(EvidencePart.seq == last.seq).json)
    assert (last.event, told["added"], told["name"]) == ("suppressions_imported", 449, "off.csv")
    assert evidence.verify_chain(database, fingerprint_key=KEY).fault is None


def test_broken_off_it_is_given_again(database: Database, news: MailingList, file: Path) -> None:
    with taking_over(database, path=file, **given(news)) as taking:
        assert taking.step()
    assert Suppression.select().count() == FIRST_STEP
    assert not Evidence.select().exists()
    looked = take_all(database, news, file, dry_run=True)
    assert not Evidence.select().exists()
    result = take_all(database, news, file)
    assert looked == result
    assert (result.added, result.known) == (ROWS - FIRST_STEP, FIRST_STEP)
    assert [one.event for one in Evidence.select()] == ["suppressions_imported"]
    assert take_all(database, news, file).added == 0


def test_who_comes_onto_the_list_in_between_is_looked_at_too(
    database: Database, news: MailingList, file: Path
) -> None:
    with taking_over(database, path=file, **given(news)) as taking:
        assert taking.step()
        confirmed(database, signed_up(database, news))
        make_contact(database, make_list(database, slug="club"), "person440@example.org")
        make_contact(database, news, "person441@example.org")
        result = finished(taking)
    assert at("anna").status == Status.CONFIRMED
    assert at("person440").status == Status.UNCONFIRMED
    assert at("person441").status == Status.REMOVED
    assert (result.kept, result.removed) == (1, 1)


def test_who_moves_away_in_between_stays(database: Database, news: MailingList, file: Path) -> None:
    anna = make_contact(database, news, "anna@example.org")
    with taking_over(database, path=file, **given(news)) as taking:
        assert taking.step()
        assert move(database, anna, "elsewhere@example.org") == "moved"
        result = finished(taking)
    assert at("elsewhere").status == Status.UNCONFIRMED
    # Their former address was suppressed by their moving.
    assert (result.known, result.removed) == (1, 0)


def test_a_hash_finds_who_comes_onto_the_list_in_between(
    database: Database, news: MailingList, tmp_path: Path
) -> None:
    make_contact(database, news, "anna@example.org")
    path = tmp_path / "hashes.csv"
    hashes = [
        sha256(f"{name}@example.org".encode()).hexdigest() for name in ("anna", "jan", "piet")
    ]
    path.write_text("\n\n".join(["email_sha256", *hashes]), "utf-8")
    with taking_over(database, path=path, **given(news)) as taking:
        assert taking.step()
        assert (taking.result.added, taking.result.not_placed) == (1, 2)
        make_contact(database, news, "jan@example.org")
        result = finished(taking)
    assert (result.rows, result.removed, result.not_placed) == (3, 2, 1)


# --- Files of fingerprints, read a piece at a time.


def shared(number: int, **more: Any) -> dict[str, Any]:
    row = SharedSuppression(
        key=sharing.key_check(KEY),
        fingerprint=addresses.fingerprint(KEY, f"person{number}@example.org"),
        reason=str(Reason.NO),
        at=stored(NOW),
        subject=new_id(),
    )
    return {**asdict(row), **more}


@pytest.mark.parametrize("indent", [None, 0, 4])
def test_an_array_that_is_read_in_several_pieces_is_whole(
    database: Database, news: MailingList, tmp_path: Path, indent: int | None
) -> None:
    path = tmp_path / "off.json"
    rows = [shared(number) for number in range(700)]
    path.write_text(json.dumps(rows, indent=indent), "utf-8")
    assert path.stat().st_size > 2 * 65_536
    assert take_all(database, news, path).added == 700
    found = {(one.fingerprint, one.subject, one.reason) for one in Suppression.select()}
    assert found == {(one["fingerprint"], one["subject"], "no") for one in rows}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (json.dumps([shared(1), 2]), "it is no JSON"),
        (json.dumps([shared(1)]) + "[]", "it is no JSON"),
        (json.dumps([shared(1), shared(2, subject="s" * 400_000)])[:-1], "it is no JSON"),
        (json.dumps([shared(1), shared(2, at="yesterday")]), "suppression 2 of this file"),
        (json.dumps([shared(1), shared(2, key="k" * 16)]), "under another fingerprint_key"),
        (f"key,fingerprint,reason,at,subject\n{'k' * 200_000}", "suppression 1 of this file"),
    ],
)
def test_of_a_file_that_is_broken_further_down_nothing_is_taken_in(
    database: Database, news: MailingList, tmp_path: Path, text: str, words: str
) -> None:
    path = tmp_path / "off.json"
    path.write_text(text, "utf-8")
    with pytest.raises(Refused, match=words):
        take_all(database, news, path)
    assert not Suppression.select().exists()


def test_who_left_keeps_the_subject_of_their_record(
    database: Database, news: MailingList, tmp_path: Path
) -> None:
    person = make_contact(database, news, "person1@example.org")
    make_removed(database, news, Reason.NO, "person2@example.org")
    path = tmp_path / "off.json"
    path.write_text(json.dumps([shared(1), shared(2), shared(1)]), "utf-8")
    result = take_all(database, news, path)
    assert (result.rows, result.added, result.known, result.duplicates) == (3, 1, 1, 1)
    assert Suppression.get(Suppression.reason == "request").subject == person.subject
    assert evidence.verify_chain(database, fingerprint_key=KEY).fault is None
