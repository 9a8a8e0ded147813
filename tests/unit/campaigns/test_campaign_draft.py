"""The conditions of the next campaign: kept as they were given, until they are used."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

from repermit.campaigns import campaign_draft
from repermit.campaigns.campaign_draft import Conditions
from repermit.db.connection import Database
from repermit.db.models.campaigns import Draft
from repermit.db.models.evidence import Evidence, EvidencePart
from tests.support.builders import NOW, make_list

GIVEN = Conditions(
    deadline="2026-04-01T17:00",
    starts="2026-03-03",
    reminder=7,
    pilot=100,
    include_thin=True,
    attest="Besloten door het bestuur: één keer vragen.",
)


def test_nothing_is_kept_at_first(database: Database) -> None:
    assert campaign_draft.read_conditions(make_list(database)) is None


def test_conditions_come_back_as_they_were_given(database: Database) -> None:
    news, other = make_list(database), make_list(database, slug="other")
    campaign_draft.save_conditions(database, news, GIVEN, now=NOW, actor="user:1")
    assert campaign_draft.read_conditions(news) == GIVEN
    assert campaign_draft.read_conditions(other) is None


def test_what_is_kept_later_takes_the_place_of_what_was_kept(database: Database) -> None:
    news, later = make_list(database), NOW + timedelta(hours=1)
    campaign_draft.save_conditions(database, news, GIVEN, now=NOW, actor="user:1")
    campaign_draft.save_conditions(
        database, news, Conditions(reminder=3), now=later, actor="user:1"
    )
    assert campaign_draft.read_conditions(news) == Conditions(reminder=3)
    assert Draft.select().count() == 1
    assert Draft.get().updated_at == later


def test_conditions_are_gone_once_dropped(database: Database) -> None:
    news, other = make_list(database), make_list(database, slug="other")
    for one in (news, other):
        campaign_draft.save_conditions(database, one, GIVEN, now=NOW, actor="user:1")
    campaign_draft.delete_conditions(database, news)
    assert campaign_draft.read_conditions(news) is None
    assert campaign_draft.read_conditions(other) == GIVEN


def test_what_another_version_kept_besides_is_passed_over(database: Database) -> None:
    news = make_list(database)
    answers = json.dumps({"reminder": 5, "colour": "green"})
    with database.atomic():
        Draft.create(list=news, answers=answers, updated_at=NOW)
    assert campaign_draft.read_conditions(news) == Conditions(reminder=5)


# --- The evidence of who wrote what. --------------------------------------------------------------


def told() -> list[tuple[str, str, dict[str, object]]]:
    """Return each entry's list and actor, and what it says was changed."""
    return [
        (one.list, one.actor, json.loads(EvidencePart.get(seq=one.seq).json)["fields"])
        for one in Evidence.select().where(Evidence.event == "conditions_changed")
    ]


def test_who_wrote_the_conditions_is_kept_as_evidence(database: Database) -> None:
    news = make_list(database)
    more = replace(GIVEN, attest="Decided by the board of the club, twice.", pilot=0)
    campaign_draft.save_conditions(database, news, GIVEN, now=NOW, actor="user:1")
    campaign_draft.save_conditions(database, news, more, now=NOW, actor="user:2")
    changed = {"attest": more.attest, "pilot": 0}
    given = {name: value for name, value in vars(GIVEN).items() if value != ""}
    assert told() == [("news", "user:1", given), ("news", "user:2", changed)]


def test_saving_the_same_again_is_no_entry(database: Database) -> None:
    news = make_list(database)
    campaign_draft.save_conditions(database, news, Conditions(), now=NOW, actor="user:1")
    assert told() == []
    for _ in range(2):
        campaign_draft.save_conditions(database, news, GIVEN, now=NOW, actor="user:1")
    assert len(told()) == 1
