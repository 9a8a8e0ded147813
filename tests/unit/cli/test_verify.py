"""`repermit verify`: the chain, and a checkpoint that was kept."""

from __future__ import annotations

import json

import pytest

from repermit.db.models.base import Meta
from repermit.db.models.evidence import Evidence
from repermit.evidence import chain
from repermit.evidence.entries import Entry
from tests.support.builders import NOW, make_campaign
from tests.support.desk import Desk

DEEP = "[" * 100_000


def append(desk: Desk, count: int) -> None:
    with desk.database() as database, database.atomic():
        noted = Entry(event="exported", at=NOW, actor="job", list="news", consent={"n": 1})
        chain.append(*[noted] * count)


def tamper(desk: Desk) -> None:
    with desk.database() as database, database.atomic():
        Evidence.update(actor="person").where(Evidence.seq == 2).execute()


def test_a_chain_that_holds_is_told_with_its_checkpoint(desk: Desk) -> None:
    append(desk, 1)
    first, *_, last = desk.do("verify").splitlines()
    assert first == "The chain holds: 1 entry, 1 part, 0 wordings."
    kept = desk.file(last, name="kept.json")
    append(desk, 2)
    shown = desk.do("verify", "--checkpoint", kept)
    assert shown.startswith(
        "The chain holds: 3 entries, 3 parts, 0 wordings.\n"
        "It goes on from your checkpoint at entry 1.\n"
    )


def test_what_was_erased_is_told(desk: Desk) -> None:
    with desk.database() as database, database.atomic():
        chain.append(
            Entry(event="proved", at=NOW, actor="cli:els", subject="a", person={"name": "Jan"})
        )
        said = {"seqs": chain.erase_parts("a", ("person",)), "parts": ("person",)}
        chain.append(Entry(event="erased", at=NOW, actor="job", subject="a", consent=said))
    assert "2 entries, 1 part (1 more were erased)" in desk.do("verify")


@pytest.mark.parametrize("command", [("verify", "--json"), ("status", "news", "--json")])
def test_a_checkpoint_is_read_from_what_these_commands_print(
    desk: Desk, command: tuple[str, ...]
) -> None:
    desk.add_news()
    append(desk, 2)
    kept = desk.file(desk.do(*command), name="kept.json")
    assert "from your checkpoint at entry 2" in desk.do("verify", "--checkpoint", kept)


def test_a_checkpoint_may_be_typed_as_the_receipt_by_mail_has_it(desk: Desk) -> None:
    append(desk, 2)
    known = json.loads(desk.do("verify", "--json"))["checkpoint"]
    typed = known | {name: known[name].upper() for name in ("hash", "root")}
    kept = desk.file(json.dumps(typed), name="kept.json")
    assert "from your checkpoint at entry 2" in desk.do("verify", "--checkpoint", kept)


def test_the_first_fault_is_the_reason_of_a_refusal(desk: Desk) -> None:
    append(desk, 3)
    tamper(desk)
    assert desk.refused("verify") == "repermit: the chain does not hold: entry 2 was edited\n"
    ran = desk.run("verify", "--json")
    assert (ran.code, ran.err) == (1, "")
    assert ran.document == {
        "holds": False,
        "entries": 1,
        "parts": 1,
        "erased": 0,
        "wordings": 0,
        "checkpoint": None,
        "fault": {"seq": 2, "how": "edited", "what": ""},
        "consistency": None,
        "timestamps": [],
    }


def test_a_checkpoint_shows_that_the_end_is_gone(desk: Desk) -> None:
    append(desk, 3)
    document = desk.run("verify", "--json").document
    document["checkpoint"]["seq"] = 9
    kept = desk.file(json.dumps(document), name="kept.json")
    told = desk.refused("verify", "--checkpoint", kept)
    assert "the record was cut off: entry 4 and those after it are gone" in told


@pytest.mark.parametrize("content", ["", "{}", '{"checkpoint": {"seq": 1}}', "[1]", DEEP])
def test_a_file_without_a_checkpoint_is_refused(desk: Desk, content: str) -> None:
    kept = desk.file(content, name="kept.json")
    assert "holds no checkpoint" in desk.refused("verify", "--checkpoint", kept)
    assert "proves nothing" in desk.refused("verify", kept)


def test_of_a_report_it_says_that_a_checkpoint_is_in_it(desk: Desk) -> None:
    desk.add_news()
    with desk.news() as (database, news):
        make_campaign(database, news)
    kept = desk.file(desk.do("report", "news", "--json"), name="report.json")
    told = desk.refused("verify", kept)
    assert "is neither a proof nor an export" in told
    assert "It holds a checkpoint, at entry " in told
    assert f"`repermit verify --checkpoint {kept}` compares the record" in told
    changed = desk.file(json.dumps({"format": "repermit-proof/1", "checkpoint": {}}), name="x.json")
    assert "proves nothing" in desk.refused("verify", changed)


def test_a_file_that_is_not_there_or_no_text_is_refused(desk: Desk) -> None:
    assert "cannot be read" in desk.refused("verify", "--checkpoint", "nowhere.json")
    (desk.folder / "kept.json").write_bytes(b"\xff\xfe\x00")
    told = desk.refused("verify", "--checkpoint", str(desk.folder / "kept.json"))
    assert "holds no checkpoint" in told


@pytest.mark.parametrize("version", ["", "thirty", "-1", "3.5", "9" * 5000])
def test_a_version_of_the_schema_that_is_no_number_is_a_fault(desk: Desk, version: str) -> None:
    with desk.database() as database, database.atomic():
        Meta.update(value=version).where(Meta.key == "schema_version").execute()
    told = desk.refused("verify")
    assert "schema_version" in told
    assert "somebody has changed it" in told


def test_what_cannot_be_read_of_a_witness_is_a_fault(desk: Desk) -> None:
    append(desk, 1)
    with desk.database() as database, database.atomic():
        Meta.insert(key="cosigning", value="x").execute()
    said = desk.refused("verify")
    assert said.startswith("repermit: the chain does not hold: the database has a value of a form")
