"""What a person reads of who gets their data, where it comes from, and which links were opened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from repermit.privacy.my_data import (
    Disclosure,
    EvidenceEntry,
    HeldData,
    LinkOpened,
    OpeningReport,
)
from repermit.reports.data_recipients import ROLES, Recipient
from repermit.reports.register_notes import OWN
from repermit.web.public.my_data_text import (
    describe_disclosure,
    describe_openings,
    describe_recipient,
    describe_source,
    list_history,
)
from repermit.web.public.page_text import PageLocale
from tests.support.builders import NOW

VOICE = PageLocale(language="en", zone=ZoneInfo("Europe/Amsterdam"))
MAIL = Recipient(
    key="mail",
    role="mail",
    server="smtp.example.com",
    name="Microsoft 365",
    country="IE",
    agreement="",
    safeguard="",
)


@pytest.mark.parametrize(
    ("about", "said"),
    [
        ({}, "Who carries our mails to you: Microsoft 365, Ireland."),
        ({"country": ""}, "Who carries our mails to you: Microsoft 365."),
        ({"name": "", "country": ""}, "Who carries our mails to you: smtp.example.com."),
        ({"agreement": OWN, "country": ""}, "Who carries our mails to you: we ourselves."),
        ({"safeguard": "certified."}, "Who carries our mails to you: Microsoft 365, Ireland."),
        (
            {"role": "tool", "name": "Mailchimp", "country": "US", "safeguard": "certified."},
            (
                "The program that sends these mails: Mailchimp, United States. What protects the "
                "data outside the European Economic Area: certified."
            ),
        ),
    ],
)
def test_who_gets_the_data_is_named_with_what_for(about: Mapping[str, str], said: str) -> None:
    assert describe_recipient(replace(MAIL, **about), VOICE) == said


def test_every_role_of_the_record_has_words() -> None:
    for role in ROLES:
        one = replace(MAIL, role=role, name="Somebody", country="")
        assert describe_recipient(one, VOICE).endswith(": Somebody.")


@pytest.mark.parametrize(
    ("what", "to", "said"),
    [
        ("keep", "mailchimp", "a file of those who may be mailed, for Mailchimp."),
        ("removed", "", "a file of those who were taken off."),
        (
            "told",
            "tool.example.org",
            "word of your answer, or that you left, for tool.example.org.",
        ),
    ],
)
def test_what_was_handed_on_is_told_with_its_day(what: str, to: str, said: str) -> None:
    one = Disclosure(at=NOW, what=what, to=to)
    told = describe_disclosure(one, VOICE, {"mailchimp": "Mailchimp"})
    assert told == f"Monday 2 March 2026, 10:00: {said}"


@pytest.mark.parametrize(
    ("source", "imports", "said"),
    [
        ("", (), "We do not know."),
        ("the desk.", (), "the desk."),
        ("", ((NOW, "a.csv"),), "With the file “a.csv”, which we took in on Monday 2 March 2026."),
        (
            "the desk",
            ((NOW, "a.csv"),),
            "the desk. With the file “a.csv”, which we took in on Monday 2 March 2026.",
        ),
    ],
)
def test_where_the_address_came_from_is_told_with_file_and_day(
    source: str, imports: Any, said: str
) -> None:
    values: dict[str, Any] = dict.fromkeys(HeldData.__annotations__)
    held = HeldData(**{**values, "source": source, "imports": imports, "entries": ()})
    assert describe_source(held, VOICE) == said


def test_what_is_kept_of_openings_is_told_line_by_line() -> None:
    link = LinkOpened(link="yes", gets=3, heads=1, first_at=NOW, last_at=NOW)
    openings = OpeningReport(
        links=(link,),
        together_at=NOW,
        yes_at=NOW,
        no_at=None,
        disowned_at=NOW,
        asked_again_at=NOW,
        held_at=NOW,
        signs=("both_opened",),
        began_at=NOW,
    )
    at, looks = "Monday 2 March 2026, 10:00", "opened: 3; looked up without being opened: 1"
    assert describe_openings(openings, VOICE) == [
        f"The link for Yes – {looks}; first on {at}, last on {at}.",
        f"Both were opened within a minute of each other, last on {at}.",
        f"Yes was pressed last on {at}.",
        f"We asked for the Yes once more on {at}.",
        f"Somebody said on {at} that they had not pressed Yes.",
        f"The Yes of {at} waits for one press more.",
        "The last press looked like a program’s.",
    ]


def test_where_nothing_is_kept_of_a_press_there_is_no_line() -> None:
    none = OpeningReport(
        links=(),
        together_at=None,
        yes_at=None,
        no_at=None,
        disowned_at=None,
        asked_again_at=None,
        held_at=None,
        signs=(),
        began_at=NOW,
    )
    assert describe_openings(none, VOICE) == []


@pytest.mark.parametrize(
    ("consent", "said"),
    [
        (
            {"parts": ["trace"], "why": "retention"},
            (
                "The part of your network address and the name of your browser were deleted: their "
                "time was over"
            ),
        ),
        (
            {"parts": ["consent"], "why": "retention"},
            "The proof of what was asked and answered was deleted: its time was over",
        ),
        ({"parts": ["person", "trace"]}, "What was held about you was deleted"),
    ],
)
def test_what_ended_by_time_is_not_told_as_everything_deleted(
    consent: Mapping[str, Any], said: str
) -> None:
    entry = EvidenceEntry(
        seq=4,
        at=NOW,
        event="erased",
        by="system",
        hash="",
        consent=consent,
        person={},
        trace={},
    )
    nothing: dict[str, Any] = {**dict.fromkeys(HeldData.__annotations__), "imports": ()}
    nothing.update(sign_ups=(), letters=(), replies=(), entries=(entry,))
    (found,) = list_history(HeldData(**nothing), VOICE)
    assert found.what == said
