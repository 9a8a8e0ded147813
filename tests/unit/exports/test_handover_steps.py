"""The steps that come with a tool's file."""

from __future__ import annotations

import pytest

from repermit.exports.export_rows import TOOL_FORMATS, ExportKind, Tool
from repermit.exports.handover_steps import list_steps


@pytest.mark.parametrize("tool", Tool)
def test_who_was_removed_is_unsubscribed_and_not_deleted(tool: Tool) -> None:
    text = " ".join(list_steps(tool, ExportKind.REMOVED))

    assert "do not delete" in text
    assert "comes back with the next import" in text


@pytest.mark.parametrize("tool", Tool)
def test_who_was_unsubscribed_before_is_to_stay_so(tool: Tool) -> None:
    text = " ".join(list_steps(tool, ExportKind.REMOVED))

    assert "already marked as unsubscribed" in text
    assert "not in this list: see that they are unsubscribed there too" in text
    assert "already marked" not in " ".join(list_steps(tool, ExportKind.KEEP))


@pytest.mark.parametrize("tool", Tool)
def test_keep_goes_on_to_the_removed_and_warns_of_the_others(tool: Tool) -> None:
    text = " ".join(list_steps(tool, ExportKind.KEEP))

    assert f"repermit export LIST removed --for {tool} " in text
    assert "until their Yes" in text


@pytest.mark.parametrize("tool", Tool)
def test_the_commands_in_steps_name_the_list(tool: Tool) -> None:
    text = " ".join(
        list_steps(tool, ExportKind.KEEP, slug="news")
        + list_steps(tool, ExportKind.REMOVED, slug="news")
    )

    assert f"repermit export news removed --for {tool} " in text
    assert "repermit reconcile news FILE" in text
    assert "LIST" not in text


@pytest.mark.parametrize("tool", Tool)
@pytest.mark.parametrize("what", [ExportKind.KEEP, ExportKind.REMOVED])
def test_steps_are_lines_and_the_last_is_to_check(tool: Tool, what: ExportKind) -> None:
    found = list_steps(tool, what)

    assert all(step and "\n" not in step and "{" not in step for step in found)
    assert "repermit reconcile" in found[-1]


@pytest.mark.parametrize("tool", Tool)
def test_steps_name_the_column_of_the_address(tool: Tool) -> None:
    title = TOOL_FORMATS[tool].keep["address"]

    assert title in " ".join(list_steps(tool, ExportKind.KEEP)) or tool is Tool.OUTLOOK


@pytest.mark.parametrize("what", [ExportKind.UNASKED, ExportKind.EVIDENCE])
def test_what_is_not_for_a_tool_has_no_steps(what: ExportKind) -> None:
    assert list_steps("brevo", what) == ()
