"""What a launch must be attested with: nothing said is nothing decided."""

from __future__ import annotations

import pytest

from repermit.campaigns.campaign_draft import check_attestation
from repermit.demo.environment import SAMPLE
from tests.support import desk

FIVE = "Bestuur adressen grondslag formulieren afgemeld"
SIX = f"{FIVE} een"


@pytest.mark.parametrize("attest", [desk.ATTEST, SAMPLE["attest"], SIX, f"\n{SIX.upper()}\n"])
def test_a_sentence_that_can_say_it_is_accepted(attest: str) -> None:
    assert check_attestation(attest) == ""


@pytest.mark.parametrize("attest", ["", " \n\t"])
def test_who_says_nothing_is_told_what_to_say(attest: str) -> None:
    said = check_attestation(attest)
    assert said.startswith("say who decided to ask, on what ground, where the addresses")
    assert "none of them opted out" in said


@pytest.mark.parametrize(
    "attest",
    [
        "x",
        "Decided by the board",
        FIVE,
        f"{FIVE} bestuur BESTUUR",
        f"{FIVE} - – …",
        "x" * 200,
        "x " * 100,
        "a b c d e f" + " " * 40,
    ],
)
def test_an_empty_phrase_is_told_what_is_wanted_with_an_example(attest: str) -> None:
    said = check_attestation(attest)
    assert said.startswith("this says too little: who decided to ask")
    example = said.partition("For example: --attest ")[2].strip('"')
    assert check_attestation(example) == ""


@pytest.mark.parametrize(("length", "accepted"), [(39, False), (40, True), (41, True)])
def test_the_minimum_of_characters(length: int, accepted: bool) -> None:
    attest = "a b c d e " + "f" * (length - 10)
    assert (check_attestation(attest) == "") is accepted
