"""Reading in a process of its own, and what comes back when that goes wrong."""

from __future__ import annotations

import marshal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from repermit.db.connection import Database
from repermit.errors import ListFileError, Refused
from repermit.imports.classify_row import Interpreter
from repermit.imports.readers.open_file import ListFile
from repermit.imports.row_batches import (
    Batch,
    ReadRequest,
    batches,
    open_reader,
    read_packed_batches,
)
from tests.support.builders import NOW, make_list
from tests.support.import_helpers import ATTEST, everything, fates_of, take_in, write
from tests.support.list_files import AMSTERDAM, write_zip

_LONG = "x" * 400
_MANY = 5_200
"""Rows with so long a name are more than a batch, and a file that is read apart."""


def make_request(path: Path, **overrides: Any) -> ReadRequest:
    values: dict[str, Any] = {
        "secret": b"s" * 32,
        "source": "",
        "all_customers": False,
        "sensitive": False,
        "attested": False,
        "now": NOW,
        "known_at": NOW,
        "fingerprint_key": b"k" * 16,
        "fingerprint_all": True,
    }
    interpreter = Interpreter(**{**values, **overrides})
    return ReadRequest(path=path, mapping={}, zone=AMSTERDAM, interpreter=interpreter)


def read(request: ReadRequest, file: ListFile) -> list[Batch]:
    with open_reader(request.path) as read_file:
        return list(read_file(request, file))


def test_the_process_that_reads_starts_without_a_database() -> None:
    code = "import sys, repermit.imports.row_batches; sys.exit('peewee' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def many(folder: Path, last: str = "") -> Path:
    rows = "".join(f"p{n}@example.org,{_LONG}\n" for n in range(_MANY))
    return write(folder, f"email,name\n{rows}{last}")


def test_a_large_file_is_read_apart_to_the_same_rows(tmp_path: Path) -> None:
    request = make_request(many(tmp_path))
    file = request.open()
    apart = read(request, file)
    assert apart == list(batches(request, file))
    assert [len(batch) for batch in apart] == [5000, 200]


def test_what_is_packed_for_another_process_is_the_same(tmp_path: Path) -> None:
    request = make_request(many(tmp_path))
    packed = list(map(marshal.loads, read_packed_batches(request)))
    assert packed == list(batches(request, request.open()))


def test_a_large_file_goes_in_whole(database: Database, tmp_path: Path) -> None:
    news = make_list(database)
    result = take_in(database, news, many(tmp_path, "P7@example.org,\nnonsense,\n"))
    assert result.rows == _MANY + 2
    assert [(p.line, str(p.fate)) for p in result.problems] == [
        (_MANY + 2, "duplicate"),
        (_MANY + 3, "invalid"),
    ]


@pytest.mark.exhaustive
def test_a_large_file_that_breaks_off_says_where_and_changes_nothing(
    database: Database, tmp_path: Path
) -> None:
    news = make_list(database)
    before = everything()
    with pytest.raises(ListFileError) as caught:
        take_in(database, news, many(tmp_path, 'q@example.org,"open\n'))
    assert caught.value.line == _MANY + 2
    assert everything() == before
    assert sum(fates_of(take_in(database, news, many(tmp_path))).values()) == _MANY


def test_a_refusal_comes_through_from_the_other_process(tmp_path: Path) -> None:
    request = make_request(many(tmp_path), all_customers=True)
    with pytest.raises(Refused, match="--attest"):
        read(request, request.open())
    attested = make_request(many(tmp_path), all_customers=True, attested=bool(ATTEST))
    assert len(read(attested, attested.open())) == 2


def test_an_error_keeps_its_place_on_the_way_from_the_other_process(tmp_path: Path) -> None:
    path = many(tmp_path, 'a@example.org,"open\n')
    with pytest.raises(ListFileError) as direct:
        list(batches(make_request(path), make_request(path).open()))
    with pytest.raises(ListFileError) as sent:
        read(make_request(path), make_request(path).open())
    assert str(sent.value) == str(direct.value)
    assert (sent.value.line, sent.value.expected) == (direct.value.line, direct.value.expected)


def test_a_reading_that_is_cut_off_is_refused_and_never_taken_for_the_whole(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    news = make_list(database)
    before = everything()
    with monkeypatch.context() as patch:
        # Less than the process has before it reads anything.
        patch.setattr("repermit.imports.row_batches._MAX_MEMORY", 1 << 20)
        with pytest.raises(Refused, match="cut off"):
            take_in(database, news, many(tmp_path))
    assert everything() == before


@pytest.mark.exhaustive
def test_a_small_file_that_is_large_once_unpacked_is_read_under_limits(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    news = make_list(database)
    path = write_zip(tmp_path / "list.zip", {"list.csv": many(tmp_path).read_bytes()})
    assert path.stat().st_size < 200_000
    request = make_request(path)
    assert read(request, request.open()) == list(batches(request, request.open()))
    # Each remark takes some hundredths of a second, and 2 MB can hold ten thousand of them.
    slow = "".join(f"s{n}@example.org,{'wil ' * 7_000}{'x' * n}\n" for n in range(100))
    path = write_zip(tmp_path / "slow.zip", {"list.csv": f"email,opmerking\n{slow}"})
    assert path.stat().st_size < 200_000
    before = everything()
    with monkeypatch.context() as patch:
        patch.setattr("repermit.imports.row_batches._MAX_SECONDS", 1)
        with pytest.raises(Refused, match="cut off"):
            take_in(database, news, path)
    assert everything() == before
    # What is small unpacked too is read at once.
    small = write_zip(tmp_path / "small.zip", {"list.csv": "email\na@example.org\n"})
    with monkeypatch.context() as patch:
        patch.setattr("repermit.imports.row_batches._MAX_MEMORY", 1 << 20)
        assert take_in(database, news, small).rows == 1


def test_no_secret_is_shown_when_an_interpreter_is(tmp_path: Path) -> None:
    shown = repr(make_request(tmp_path).interpreter)
    assert "ssss" not in shown
    assert "kkkk" not in shown
