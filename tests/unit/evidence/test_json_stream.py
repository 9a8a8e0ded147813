"""A large JSON object is read in pieces, and says what it says in one."""

from __future__ import annotations

import io
import json
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest

from repermit.errors import Refused
from repermit.evidence.verify import json_stream
from repermit.evidence.verify.json_stream import JsonStream

DOCUMENT = {
    "a": [1, 23, {"b": "}]⟦é⟧", "c": [None, True]}, '\\"', []],
    "empty": [],
    "other": {"list": [1, 2]},
    "number": 1234,
    "text": "x" * 50,
}
WRITTEN = (
    json.dumps(DOCUMENT),
    json.dumps(DOCUMENT, ensure_ascii=False, separators=(",", ":")),
    f"\n {json.dumps(DOCUMENT, indent=1)} \r\n",
)


def read(text: str | bytes, *, most: int = 10_000) -> dict[str, Any]:
    octets = text if isinstance(text, bytes) else text.encode()
    stream = JsonStream(io.BytesIO(octets), json.JSONDecoder(), max_bytes=most)
    return {
        name: list(value) if isinstance(value, Iterator) else value
        for name, value in stream.read_members({"a", "empty", "text"})
    }


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 64, 10_000])
@pytest.mark.parametrize("text", [*WRITTEN, "{}"])
def test_it_is_the_same_in_pieces_of_any_size(
    monkeypatch: pytest.MonkeyPatch, chunk: int, text: str
) -> None:
    monkeypatch.setattr(json_stream, "_CHUNK", chunk)
    assert read(text) == json.loads(text)


@pytest.mark.parametrize("chunk", [1, 10_000])
@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "[]", "1", "{", "}", "{]", '{"a"}', '{"a":}', '{"a":1,}', '{"a":1', "{1:2}"),
        *('{"a":[1', '{"a":[1,]}', '{"a":[,1]}', '{"a":[1}', '{"a":1}{}', '{"a":1} x'),
        *(b"\xff", b'{"a":"\xe2\x82"}', b'\xef\xbb\xbf{"a":1}', '{"a":1 "b":2}'),
    ],
)
def test_what_is_no_json_object_is_refused(
    monkeypatch: pytest.MonkeyPatch, chunk: int, text: str | bytes
) -> None:
    monkeypatch.setattr(json_stream, "_CHUNK", chunk)
    with pytest.raises((json.JSONDecodeError, UnicodeError)):
        read(text)


def test_more_than_it_may_have_is_refused() -> None:
    assert read(WRITTEN[0], most=len(WRITTEN[0])) == DOCUMENT
    with pytest.raises(Refused, match="more than"):
        read(WRITTEN[0], most=len(WRITTEN[0]) - 1)


def test_a_long_array_needs_no_more_than_a_piece_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_stream, "_CHUNK", 4096)
    octets = json.dumps({"a": [{"number": number} for number in range(20_000)]}).encode()
    stream = JsonStream(io.BytesIO(octets), json.JSONDecoder(), max_bytes=len(octets))
    tracemalloc.start()
    try:
        (count,) = (sum(1 for _ in value) for _, value in stream.read_members({"a"}))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 20_000
    assert peak < len(octets) / 5
