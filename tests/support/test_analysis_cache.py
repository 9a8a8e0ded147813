"""What is kept from one test to the next is what would be worked out anew."""

from __future__ import annotations

import sys
from itertools import product
from pathlib import Path
from typing import Any

import argon2
import coverage
import peewee
import pytest

from repermit.db.connection import Database
from repermit.db.migrations import ALL_TABLES
from repermit.db.models.base import Meta
from repermit.settings.definitions import Settings
from tests.support.analysis_cache import (
    analysed_anew,
    compile_anew,
    rewrite_asserts,
    write_column_anew,
)
from tests.support.public_pages import Pages


def test_a_kept_route_is_the_one_that_would_be_compiled(
    database: Database, settings: Settings
) -> None:
    def compiled(rule: Any) -> tuple[object, ...]:
        codes = [builder.__code__ for builder in (rule._build, rule._build_unknown)]
        said = [(code.co_code, code.co_consts, code.co_names, code.co_varnames) for code in codes]
        converters = {name: vars(one) | {"map": 0} for name, one in rule._converters.items()}
        return rule._parts, rule._trace, converters, rule.arguments, said

    Pages(database, settings)
    rules: list[Any] = list(Pages(database, settings).app.url_map.iter_rules())
    assert len(rules) > 100
    for rule in rules:
        assert rule._build.__self__ is rule
        kept = compiled(rule)
        rule.arguments = {*map(str, rule.defaults or ())}
        compile_anew(rule)
        assert compiled(rule) == kept, rule.rule


def test_a_kept_comparison_says_what_the_first_one_said() -> None:
    hasher = argon2.PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1)
    kept = hasher.hash("four quiet otters wait")
    for _ in range(2):
        assert hasher.verify(kept, "four quiet otters wait")
        with pytest.raises(argon2.exceptions.VerifyMismatchError):
            hasher.verify(kept, "four quiet otters waiT")
        with pytest.raises(argon2.exceptions.VerificationError):
            hasher.verify("$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$", "four quiet otters wait")


@pytest.mark.parametrize(("memory", "lanes"), [(19456, 1), (65536, 4)])
def test_what_was_hashed_quickly_is_right_and_nothing_else(memory: int, lanes: int) -> None:
    hasher = argon2.PasswordHasher(time_cost=2, memory_cost=memory, parallelism=lanes)
    kept = hasher.hash("abcd-efgh")
    assert kept.startswith(f"$argon2id$v=19$m={memory},t=2,p={lanes}$")
    assert kept != hasher.hash("abcd-efgh")
    assert not hasher.check_needs_rehash(kept)
    assert hasher.verify(kept, "abcd-efgh")
    with pytest.raises(argon2.exceptions.VerifyMismatchError):
        hasher.verify(kept, "abcd-efgi")


def test_nothing_is_counted_while_a_query_is_put_into_words(database: Database) -> None:
    counted_before = sys.gettrace()
    seen: dict[str, object] = {}

    # A function of several lines could not be seen to be gone through.
    look = lambda value: value if seen.setdefault(value, sys.gettrace()) is None else ""  # noqa: E731
    query = Meta.select().where(Meta.key == peewee.Value("here", converter=look))
    with database.atomic():
        Meta.create(key="here", value="found")
    assert [row.value for row in query] == ["found"]
    assert seen == {"here": None}
    assert sys.gettrace() is counted_before


def test_a_column_that_is_written_at_once_is_written_as_ever(database: Database) -> None:
    columns = [column for table in ALL_TABLES for column in table._meta.sorted_fields]
    assert all(column.model._meta.table._alias is None for column in columns)
    scopes = (getattr(peewee, name) for name in dir(peewee) if name.startswith("SCOPE_"))
    for column, scope in product(columns, scopes):
        texts = []
        for write in (type(column).__sql__, write_column_anew):
            words = database.get_sql_context()
            with words(scope=scope, parentheses=True):
                write(column, words)
            texts.append(words.query())
        assert texts[0] == texts[1]


def test_a_kept_analysis_of_a_file_is_the_one_of_its_own_coverage(tmp_path: Path) -> None:
    file = tmp_path / "module.py"
    file.write_text("one = 1\nif one:\n    two = 2\n", "utf-8")
    for arcs in ({(-1, 1), (1, 2), (2, 3), (3, -1)}, {(-1, 1)}):
        counted = coverage.Coverage(data_file=None, config_file=False)
        counted.get_data().add_arcs({str(file): arcs})
        kept = counted._analyze(str(file))
        assert kept.numbers == analysed_anew(counted, str(file)).numbers
        assert counted._analyze(str(file)) is kept


def test_asserts_are_rewritten_once_where_that_can_be_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config
) -> None:
    file = tmp_path / "test_it.py"
    file.write_text("def test_it():\n    assert 1\n", "utf-8")
    monkeypatch.setattr(sys, "pycache_prefix", None)
    for keeps_none, number in ((True, 0), (False, 1), (False, 1)):
        monkeypatch.setattr(sys, "dont_write_bytecode", keeps_none)
        rewrite_asserts(pytestconfig, [file])
        assert len(list(tmp_path.glob("__pycache__/test_it.*-pytest-*"))) == number
