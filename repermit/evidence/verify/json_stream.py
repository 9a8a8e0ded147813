"""Reading a large JSON object a member at a time, and its long arrays a value at a time."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Collection, Iterator
from typing import Any, BinaryIO

from repermit.errors import Refused

_CHUNK = 1 << 20
_BLANKS = re.compile(r"[ \t\n\r]*")


class JsonStream:
    """A file with one JSON object; only the value that is being read is held in memory.

    - `decoder`: reads the values.
    - `max_bytes`: a larger file is refused.
    """

    def __init__(self, file: BinaryIO, decoder: json.JSONDecoder, *, max_bytes: int) -> None:
        self._file, self._decoder = file, decoder
        self._max_bytes = self._bytes_left = max_bytes
        self._to_text = codecs.getincrementaldecoder("utf-8")()
        self._text, self._place, self._is_whole = "", 0, False

    def read_members(self, arrays: Collection[str]) -> Iterator[tuple[str, Any]]:
        """Yield each name with its value.

        - `arrays`: names whose array is yielded as an iterator; use it up before the next name.

        Raises JSONDecodeError or UnicodeError if the file is not JSON, Refused if it is too large,
        and whatever the decoder raises.
        """
        self._take("{")
        char = self._take("}") if self._peek() == "}" else ","
        while char == ",":
            name = self._read_value()
            if not isinstance(name, str):
                raise json.JSONDecodeError("a name that is no text", "", 0)
            self._take(":")
            is_array = name in arrays and self._peek() == "["
            yield name, self._read_array() if is_array else self._read_value()
            char = self._take(",}")
        if self._peek():
            raise json.JSONDecodeError("something behind the object", "", 0)

    def _read_array(self) -> Iterator[Any]:
        self._take("[")
        char = self._take("]") if self._peek() == "]" else ","
        while char == ",":
            yield self._read_value()
            char = self._take(",]")

    def _read_value(self) -> Any:
        self._peek()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._place)
            except json.JSONDecodeError:
                if self._is_whole:
                    raise
            else:
                # A number at the end of the buffer may continue in the file.
                if end < len(self._text) or self._is_whole:
                    self._place = end
                    return value
            self._read_more()

    def _take(self, allowed: str) -> str:
        """Consume and return the next character; raises JSONDecodeError if it is not allowed."""
        char = self._peek()
        if not char or char not in allowed:
            raise json.JSONDecodeError("another sign than there should be", "", 0)
        self._place += 1
        return char

    def _peek(self) -> str:
        """Return the next character that is no white space, unconsumed; "" at the end."""
        while True:
            blanks = _BLANKS.match(self._text, self._place)
            self._place = blanks.end() if blanks else self._place
            if self._place < len(self._text) or self._is_whole:
                return self._text[self._place : self._place + 1]
            self._read_more()

    def _read_more(self) -> None:
        rest = self._text[self._place :]
        # Doubling the buffer keeps a long value from being parsed too often.
        octets = self._file.read(max(_CHUNK, len(rest)))
        self._bytes_left -= len(octets)
        if self._bytes_left < 0:
            raise Refused("it has more than %(most)s octets", most=self._max_bytes)
        self._is_whole = not octets
        self._text = rest + self._to_text.decode(octets, final=self._is_whole)
        self._place = 0
