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
    """A file that holds one JSON object, of which no more is held than the value that is read.

    - `decoder`: reads the values.
    - `most`: the number of octets above which it is refused.
    """

    def __init__(self, file: BinaryIO, decoder: json.JSONDecoder, *, most: int) -> None:
        self._file, self._decoder, self._most, self._left = file, decoder, most, most
        self._to_text = codecs.getincrementaldecoder("utf-8")()
        self._text, self._place, self._is_whole = "", 0, False

    def read_members(self, arrays: Collection[str]) -> Iterator[tuple[str, Any]]:
        """Yield each name and its value; of those named in `arrays` an iterator, to be used up.

        Raises JSONDecodeError and UnicodeError for what is no JSON, Refused for too much of it, and
        what the decoder raises.
        """
        self._take("{")
        sign = self._take("}") if self._peek() == "}" else ","
        while sign == ",":
            name = self._read_value()
            if not isinstance(name, str):
                raise json.JSONDecodeError("a name that is no text", "", 0)
            self._take(":")
            is_array = name in arrays and self._peek() == "["
            yield name, self._read_array() if is_array else self._read_value()
            sign = self._take(",}")
        if self._peek():
            raise json.JSONDecodeError("something behind the object", "", 0)

    def _read_array(self) -> Iterator[Any]:
        self._take("[")
        sign = self._take("]") if self._peek() == "]" else ","
        while sign == ",":
            yield self._read_value()
            sign = self._take(",]")

    def _read_value(self) -> Any:
        self._peek()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._place)
            except json.JSONDecodeError:
                if self._is_whole:
                    raise
            else:
                # A number may go on behind what has been read.
                if end < len(self._text) or self._is_whole:
                    self._place = end
                    return value
            self._read_more()

    def _take(self, signs: str) -> str:
        """Return the next sign, one of these; raises JSONDecodeError for another."""
        sign = self._peek()
        if not sign or sign not in signs:
            raise json.JSONDecodeError("another sign than there should be", "", 0)
        self._place += 1
        return sign

    def _peek(self) -> str:
        """Return the next sign that is no blank, "" at the end."""
        while True:
            blanks = _BLANKS.match(self._text, self._place)
            self._place = blanks.end() if blanks else self._place
            if self._place < len(self._text) or self._is_whole:
                return self._text[self._place : self._place + 1]
            self._read_more()

    def _read_more(self) -> None:
        rest = self._text[self._place :]
        # As much again as there is, so that a long value is not begun too often.
        octets = self._file.read(max(_CHUNK, len(rest)))
        self._left -= len(octets)
        if self._left < 0:
            raise Refused("it has more than %(most)s octets", most=self._most)
        self._is_whole = not octets
        self._text = rest + self._to_text.decode(octets, final=self._is_whole)
        self._place = 0
