"""A wording as blocks: split and joined it is the same, and words can be put into each."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repermit.emails.wording_form_blocks import (
    Block,
    BlockKind,
    find_brackets,
    join_blocks,
    read_labels,
    split_wording,
    write_labels,
)
from repermit.emails.wording_validation import ALL_FIELDS, complete_text, make_default_wording
from repermit.package_files import LANGUAGES
from tests.support.mail_builders import make_facts

LABELS = {field: field.replace("_", " ") for field in ALL_FIELDS}


@pytest.mark.parametrize("sensitive", [False, True])
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_usual_words_of_every_language_are_split_and_joined_without_loss(
    language: str, sensitive: bool
) -> None:
    facts = make_facts(sensitive=sensitive, language=language)
    for has_telephone in (False, True):
        usual = make_default_wording(
            facts, language=language, longest_day="30 sep", has_telephone=has_telephone
        )
        for text in (usual.text, complete_text("Mogen wij?", usual.text, facts)):
            blocks = split_wording(text)
            assert blocks
            assert join_blocks(blocks) == text
        written = write_labels(usual.text, LABELS)
        assert written
        assert "{" not in written
        assert read_labels(written, [LABELS]) == usual.text
        assert write_labels(usual.subject, LABELS)


def test_answers_and_the_lines_of_the_law_are_fixed_and_headings_are_headings() -> None:
    usual = make_default_wording(
        make_facts(), language="nl", longest_day="30 sep", has_telephone=True
    )
    blocks = split_wording(usual.text)
    assert blocks
    fixed = [block.fields for block in blocks if block.kind is BlockKind.FIXED]
    assert fixed == [
        ["greeting"], ["yes_label", "yes_url", "no_label", "no_url"], ["reason"], ["silence"],
        ["stop"], ["objection"], ["organisation"], [], ["privacy_url"], ["me_url"],
    ]  # fmt: skip
    assert blocks[0] == Block(
        kind=BlockKind.TITLE, text="Mogen wij u ‘{{ list_name }}’ blijven sturen?", gap=2
    )
    assert "Waarom u deze mail krijgt" in [
        block.text for block in blocks if block.kind is BlockKind.HEADING
    ]


def test_words_can_be_put_between_two_fixed_blocks_and_an_emptied_block_goes() -> None:
    text = "Hello\n\n{{ yes_url }}\n\n{{ stop }}\n{{ organisation }}\n\n## Why\n\nSo.\n"
    blocks = split_wording(text)
    assert blocks
    assert [block.kind for block in blocks] == [
        *("words", "fixed", "words", "fixed", "words", "fixed", "heading", "words")
    ]
    blocks[2], blocks[4] = (replace(blocks[n], text=f"Between {n}") for n in (2, 4))
    blocks[6] = replace(blocks[6], text=" ")
    assert join_blocks(blocks) == (
        "Hello\n\n{{ yes_url }}\n\nBetween 2\n\n{{ stop }}\nBetween 4\n\n{{ organisation }}"
        "\n\nSo.\n"
    )


@given(
    st.lists(
        st.sampled_from(
            ["", "", "word", "# a", "## b", "## ", "- c", "----", "{{ stop }}", "- {{ stop }}", " ",
             "{{ yes_url }}", "{{ no_url }}", "{{ deadline }}", "x {{ reason }}"]
        )
    )
)  # fmt: skip
def test_what_is_split_is_joined_without_loss_whatever_it_is(lines: list[str]) -> None:
    text = "\n".join(lines)
    blocks = split_wording(text)
    if blocks is not None:
        assert join_blocks(blocks) == text
    # Only blanks and empty lines where no block can keep them are not split.
    elif all(line.strip() not in {"", "##"} for line in lines):
        assert not lines


@pytest.mark.parametrize("template", ["{{stop}}", "{{- stop }}", "{{ nobody }}", "{{ stop"])
def test_what_is_no_plain_field_has_no_labels(template: str) -> None:
    assert write_labels(template, LABELS) is None


def test_labels_are_read_however_they_are_typed_and_others_stay() -> None:
    typed = "[Yes  URL] [wat dan ook] [ja]"
    assert read_labels(typed, [LABELS, {"yes_label": "ja"}]) == (
        "{{ yes_url }} [wat dan ook] {{ yes_label }}"
    )
    assert find_brackets("a [b] [] c]") == ["b", ""]
