"""What libraries would work out anew for each test, worked out once.

Nothing comes out otherwise: a result is kept under all that it depends on (test_analysis_cache.py).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import argon2
import coverage
import peewee
from _pytest.assertion import rewrite
from argon2.exceptions import VerificationError
from werkzeug.routing import Rule

from tests.support import independent_signatures
from tests.support.uncounted import call_uncounted

if TYPE_CHECKING:
    import pytest

_COMPILED = ("_parts", "_trace", "_converters", "arguments")
_BUILDERS = ("_build", "_build_unknown")
compile_anew: Any = Rule.compile
write_column_anew: Any = peewee.Field.__sql__
hasher: Any = sys.modules[argon2.PasswordHasher.__module__]
compared_anew: Any = hasher.verify_secret
hashed_anew: Any = hasher.hash_secret
_quick_hashes: dict[bytes, bytes] = {}
"""For each hash that was made quickly, as it would stand with the costs that it really took."""
_routes: dict[object, dict[str, Any]] = {}
analysed_anew: Any = coverage.Coverage._analyze
_comparisons: dict[object, bool | tuple[type[VerificationError], tuple[Any, ...]]] = {}


def keep_routes() -> None:
    """Compile a route once, not for each application.

    It has some 150 routes, and most tests have an application of their own, of whose making most of
    the time went there.
    """
    Rule.compile = _compile  # type: ignore[method-assign, assignment]


def keep_comparisons() -> None:
    """Compare a password with a hash once, which takes 64 MiB and three passes, as it should.

    Hundreds of tests log the same person in.
    """
    hasher.verify_secret = _verified


def hash_quickly() -> None:
    """Hash a password or a recovery code at the least cost, and say that it took the usual one.

    A password takes the processor a quarter of a second, and the ten codes of an app take one. No
    other process may compare anything with such a hash.
    """
    hasher.hash_secret = _hashed


def keep_signatures() -> None:
    """Verify a signature once in Python alone, which takes a twentieth of a second.

    Of a thousand altered proofs nearly all signatures are those of the others.
    """
    independent_signatures.verify_ed25519 = cache(independent_signatures.verify_ed25519)


def keep_analyses() -> None:
    """Work out once which lines and branches a file has, for both reports of a run.

    pytest-cov has one made for the total alone, before the one that is to be read.
    """
    coverage.Coverage._analyze = _analysis_of  # type: ignore[method-assign, assignment]


def leave_out_sql() -> None:
    """Count nothing while peewee puts a query into words, which takes it most of its time.

    What of ours it calls meanwhile is how a column writes a value (test_db_tables).
    """
    peewee.Database.execute = _executed  # type: ignore[method-assign, assignment]


def write_columns_at_once() -> None:
    """Write the column of a table into a query at once.

    Peewee makes three nodes of it on the way, which took a quarter of the time that it takes to put
    queries into words; and that is a fifth of the time of most tests.
    """
    peewee.Field.__sql__ = _write_column  # type: ignore[method-assign]


def rewrite_asserts(config: pytest.Config, files: Sequence[Path]) -> None:
    """Have pytest rewrite the asserts of tests now, for each of its workers, which find them then.

    Each would rewrite all of them otherwise. Where nothing that is compiled is kept, each does.
    """
    if sys.dont_write_bytecode:
        return
    for file in files:
        kept = rewrite.get_cache_dir(file) / f"{file.stem}{rewrite.PYC_TAIL}"
        if rewrite._read_pyc(file, kept) is None and rewrite.try_makedirs(kept.parent):
            digest, code = rewrite._rewrite_test(file, config)
            rewrite._write_pyc(config.stash[rewrite.assertstate_key], code, digest, kept)


def _analysis_of(counted: coverage.Coverage, module: Any, file_reporter: Any = None) -> object:
    kept = vars(counted).setdefault("_kept_analyses", {})
    if module not in kept:
        kept[module] = analysed_anew(counted, module, file_reporter)
    return kept[module]


def _executed(database: Any, query: Any, **options: Any) -> object:
    words = database.get_sql_context(**options)
    sql, values = call_uncounted(lambda: words.sql(query).query())
    return database.execute_sql(sql, values)


def _write_column(field: Any, words: Any) -> Any:
    table = field.model._meta.table
    if words.scope == peewee.SCOPE_VALUES:
        return words.literal(f'"{field.column_name}"')
    return words.literal(f'"{words.alias_manager[table]}"."{field.column_name}"')


def _verified(kept: bytes, secret: bytes, kind: object) -> bool:
    key = (kept, secret, kind)
    if key not in _comparisons:
        try:
            _comparisons[key] = compared_anew(_quick_hashes.get(kept, kept), secret, kind)
        except VerificationError as error:
            _comparisons[key] = type(error), error.args
    found = _comparisons[key]
    if isinstance(found, tuple):
        refused, said = found
        raise refused(*said)
    return found


def _hashed(*, memory_cost: int, time_cost: int, parallelism: int, **others: Any) -> bytes:
    least = 8 * parallelism
    quick = bytes(hashed_anew(memory_cost=least, time_cost=1, parallelism=parallelism, **others))
    kept = quick.replace(b"$m=%d,t=1," % least, b"$m=%d,t=%d," % (memory_cost, time_cost))
    _quick_hashes[kept] = quick
    return kept


def _compile(rule: Rule) -> None:
    where = rule.host if rule.map.host_matching else rule.subdomain
    converters = frozenset(rule.map.converters.items())
    key = (where, rule.rule, rule.merge_slashes, repr(rule.defaults), converters)
    if key not in _routes:
        compile_anew(rule)
        builders = {name: getattr(rule, name).__func__ for name in _BUILDERS}
        _routes[key] = {name: getattr(rule, name) for name in _COMPILED} | builders
        return
    for name in _COMPILED:
        setattr(rule, name, _routes[key][name])
    for name in _BUILDERS:
        setattr(rule, name, _routes[key][name].__get__(rule, None))
