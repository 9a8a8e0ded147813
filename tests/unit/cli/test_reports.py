"""register, report and breach as somebody at a shell gives them."""

from __future__ import annotations

import hashlib
import json
import stat

import pytest

from repermit.db.models.evidence import Evidence
from repermit.evidence import stored_tree
from repermit.evidence.chain_reader import read_consents
from tests.support.chain_faults import iter_chain_faults
from tests.support.desk import ATTEST, Desk


@pytest.fixture
def desk_with_news(desk: Desk) -> Desk:
    desk.add_news(language="en")
    return desk


def test_the_record_is_filled_in_key_by_key(desk_with_news: Desk) -> None:
    desk = desk_with_news
    ran = desk.run("register", "news")
    assert ran.code == 0
    assert "Record of processing activities" in ran.out
    assert "To be filled in: 5 things" in ran.err
    assert "hosting.country" in ran.err
    given = ("--set", "hosting.agreement=own", "--set", "joint-controllers=none")
    ran = desk.run("register", "news", *given)
    assert ran.out == "Kept.\n"
    assert "To be filled in: 1 thing," in ran.err
    ran = desk.run("register", "news", "--set", "measures=a = b", "--json")
    assert ran.err == ""
    assert ran.document["other_measures"] == "a = b"
    assert "takes a country" in desk.refused("register", "news", "--set", "hosting.country=Holland")
    assert "KEY=VALUE" in desk.misused("register", "news", "--set", "hosting.country")


def test_a_report_tells_what_came_of_a_campaign_and_verifies(desk_with_news: Desk) -> None:
    desk = desk_with_news
    assert "no campaign" in desk.refused("report", "news")
    desk.do("import", "news", desk.file("email", "a@example.org", "b@example.org"))
    desk.do("launch", "news", "--deadline", "2026-03-30", "--attest", ATTEST, "--reminder", "7")
    desk.do("answer", "news", "a@example.org", "yes", "--note", "by phone")
    found = desk.run("report", "news", "--json").document
    assert (found["people"]["asked"], found["people"]["yes"]) == (2, 1)
    assert found["campaign"]["attest"] == ATTEST
    assert {one["kind"] for one in found["wordings"]} == {"ask", "reminder"}
    assert sum(found["fates"].values()) == found["imports"][0]["rows"] == 2
    text = desk.do("report", "news")
    assert found["wordings"][0]["digest"] in text
    assert "a@example.org" not in text
    # What it was made of stands still, so that its checkpoint can be held against the chain.
    with desk.database():
        assert not list(iter_chain_faults())
        assert found["checkpoint"]["seq"] < stored_tree.checkpoint().seq


@pytest.mark.parametrize("paper", ["register", "report", "breach"])
def test_each_is_written_as_a_file_for_you_alone_and_recorded(
    desk_with_news: Desk, paper: str
) -> None:
    desk = desk_with_news
    desk.do("import", "news", desk.file("email", "a@example.org"))
    desk.do("launch", "news", "--deadline", "2026-03-30", "--attest", ATTEST)
    page, data = desk.folder / "a.html", desk.folder / "a.json"
    assert str(page) in desk.do(paper, "news", "-o", str(page), "--language", "nl")
    desk.do(paper, "news", "-o", str(data))
    assert '<html lang="nl"' in page.read_text("utf-8")
    assert json.loads(data.read_text("utf-8"))["list"] == "news"
    assert stat.S_IMODE(page.stat().st_mode) == 0o600
    assert ".html" in desk.misused(paper, "news", "-o", "a.pdf")
    assert "--json" in desk.misused(paper, "news", "--json", "-o", "a.html")
    with desk.database():
        made = Evidence.select().where(Evidence.event == "paper_made")
        assert [one.actor.partition(":")[0] for one in made] == ["cli", "cli"]
        digests = [said["sha256"] for said in read_consents(one.seq for one in made).values()]
        assert digests == [hashlib.sha256(path.read_bytes()).hexdigest() for path in (page, data)]


def test_a_breach_has_a_clock(desk_with_news: Desk) -> None:
    desk = desk_with_news
    assert "Say when that was" in " ".join(desk.do("breach", "news").split())
    text = desk.do("breach", "news", "--discovered", "2026-03-02T09:30")
    assert "Thursday 5 March 2026, 09:30" in text
    assert "has not come yet" in desk.misused("breach", "news", "--discovered", "2026-03-02")
