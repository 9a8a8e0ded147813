"""Regular expressions from a data file: named, put into one another, compiled once."""

from __future__ import annotations

import re

import pytest

from repermit import package_files
from repermit.expressions import Expressions

FILES = {
    "advertising_words.toml": ("offers", "words", "figures"),
    "automatic_messages.toml": ("senders", "subjects"),
    "bounce_phrases.toml": ("refusals", "copies"),
    "column_values.toml": ("bounces", "sources", "names"),
    "frequency_phrases.toml": ("parts", "phrases"),
    "refusal_words.toml": ("words", "causes"),
    "remark_phrases.toml": ("words", "parts", "refused", "exceptions", "doubtful"),
    "reply_phrases.toml": ("answers", "courtesies", "requests", "rest"),
    "title_phrases.toml": ("titles", "file_names"),
}


@pytest.fixture
def expressions(monkeypatch: pytest.MonkeyPatch) -> Expressions:
    data = {
        "words": {"animal": ["cat", "dogs?"]},
        "more": {
            "legs": ["two", "four"],
            "one": "a {animal} with {legs}",
            "any": ["{one}", "x{2}"],
        },
    }
    monkeypatch.setattr(package_files, "load_data", lambda _: data)
    return Expressions("some.toml", "words", "more")


def test_a_name_of_words_is_a_group_and_another_is_put_in_as_it_stands(
    expressions: Expressions,
) -> None:
    assert expressions.make_source("one") == "a (?:cat|dogs?) with two|four"
    assert expressions.make_source("animal") == "(?:cat|dogs?)"


def test_any_entry_of_a_list_will_do_and_a_repeat_count_is_no_name(
    expressions: Expressions,
) -> None:
    assert [bool(expressions.compile("any").search(text)) for text in ("a dog with two", "xx")] == [
        True,
        True,
    ]
    assert not expressions.compile("any").search("A DOG WITH TWO")
    assert expressions.compile("any", re.IGNORECASE).search("A DOG WITH TWO")


def test_a_name_that_is_none_is_an_error(expressions: Expressions) -> None:
    with pytest.raises(KeyError):
        expressions.fill_in("{unknown}")


@pytest.mark.parametrize("file_name", FILES)
def test_every_entry_of_every_file_compiles_and_names_differ(file_name: str) -> None:
    expressions = Expressions(file_name, *FILES[file_name])
    names = [name for table in FILES[file_name] for name in expressions.data[table]]
    assert sorted(expressions.entries) == sorted(names)
    for name, entry in expressions.entries.items():
        expressions.compile(name)
        alternatives = [entry] if isinstance(entry, str) else entry
        assert len(set(alternatives)) == len(alternatives), name
        for alternative in alternatives:
            re.compile(expressions.fill_in(alternative))
