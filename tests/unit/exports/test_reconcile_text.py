"""How a comparison is told."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import asdict, replace

from repermit.exports.reconcile import (
    Finding,
    ReconcileResult,
    count_findings,
    format_lines,
    list_next_steps,
)
from tests.support.command_tree import parse

RESULT = ReconcileResult(
    list="news",
    file="export.zip",
    rows=5,
    agree=1,
    should_not_be_there=(Finding(2, "no@example.org", "no_response", "subscribed.csv"),),
    not_yet=(Finding(3, "later@example.org", "unconfirmed"),),
    unknown=(),
    opted_out_there=(),
    missing=(Finding(0, "yes@example.org", "answer"),),
    invalid=(Finding(4, "x", "no @ in the address"),),
    already_off=0,
    duplicates=1,
)


def test_each_finding_is_a_line_with_its_place_and_reason() -> None:
    assert format_lines(RESULT) == (
        "subscribed.csv, line 2: no@example.org should not be there (no response)",
        "line 3: later@example.org has not said Yes (unconfirmed)",
        "yes@example.org is missing there (answer)",
        "line 4: x cannot be read (no @ in the address)",
    )


def test_counts_have_every_kind_zeros_included() -> None:
    assert count_findings(RESULT) == {
        "rows": 5,
        "agree": 1,
        "should_not_be_there": 1,
        "not_yet": 1,
        "unknown": 0,
        "opted_out_there": 0,
        "missing": 1,
        "invalid": 1,
        "already_off": 0,
        "duplicates": 1,
    }


def test_the_document_is_what_json_can_hold() -> None:
    document = json.loads(json.dumps(asdict(RESULT)))

    assert document["missing"] == [
        {"line": 0, "address": "yes@example.org", "reason": "answer", "part": ""}
    ]


def test_each_kind_of_finding_has_its_step_and_the_others_none() -> None:
    said = " ".join(list_next_steps(RESULT))
    assert len(list_next_steps(RESULT)) == 4
    assert "Unsubscribe there" in said
    assert "`repermit export news keep --for mailchimp`" in said
    assert "opted out" not in said


def test_every_command_among_the_steps_can_be_typed() -> None:
    every = replace(RESULT, unknown=RESULT.not_yet, opted_out_there=RESULT.not_yet)
    typed = re.findall("`repermit ([^`]+)`", " ".join(list_next_steps(every)))
    assert len(typed) == 4
    for arguments in typed:
        parse(shlex.split(arguments))


def test_where_nothing_differs_nothing_is_to_be_done() -> None:
    same = replace(RESULT, should_not_be_there=(), not_yet=(), missing=(), invalid=())
    assert list_next_steps(same) == (
        "Nothing is left to do: there stands who may be mailed, and nobody else.",
    )
