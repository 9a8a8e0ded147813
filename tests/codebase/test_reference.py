"""The pages of docs/reference/ that the code writes: fresh, and whole."""

from __future__ import annotations

import re

import click
import pytest

from tests import reference
from tests.support.command_tree import COMMANDS


@pytest.mark.parametrize("name", reference.PAGES_WRITTEN)
def test_the_reference_says_what_the_code_says(name: str) -> None:
    page = (reference.FOLDER / f"{name}.md").read_text("utf-8")
    assert page == reference.PAGES_WRITTEN[name](), "python -m tests.reference"


def test_the_reference_has_every_command_and_no_other() -> None:
    documented = set(re.findall(r"^## (.*)$", reference.commands(), re.MULTILINE))
    groups = {name for name, found in COMMANDS.items() if isinstance(found, click.Group)}
    assert documented == set(COMMANDS) - groups


def test_the_texts_of_the_reference_are_of_words_that_there_are() -> None:
    """What the code no longer has is explained no longer; the other way round is a KeyError."""
    pages = reference.fates_statuses_reasons() + reference.api() + reference.retention()
    for texts in reference.TEXTS.values():
        for word in texts:
            assert f"`{word}`" in pages
