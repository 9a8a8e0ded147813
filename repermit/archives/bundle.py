"""A ZIP that is written as it comes, to a file or down a line, with its digest.

Imports nothing of repermit.
"""

from __future__ import annotations

import hashlib
import zipfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, cast

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from typing import Self

_FOR_ITS_OWNER_ALONE = 0o100600


class _Line:
    """Passes on what is written, and takes its digest; it cannot be gone back in."""

    def __init__(self, out: BinaryIO) -> None:
        self._out: BinaryIO | None = out
        self.digest = hashlib.sha256()

    def write(self, octets: bytes) -> int:
        """Write some octets; return how many."""
        if self._out is None:
            return len(octets)
        self.digest.update(octets)
        return self._out.write(octets)

    def flush(self) -> None:
        """Have nothing wait to be written."""
        if self._out is not None:
            self._out.flush()

    def cut(self) -> None:
        """Pass on nothing more."""
        self._out = None


class Bundle:
    """A ZIP under way, from `with` to its end; where that is an error, the ZIP gets no end.

    Its files are dated `now`, and are unpacked for their owner alone.
    """

    def __init__(self, out: BinaryIO, *, now: datetime) -> None:
        self._line = _Line(out)
        # Nothing is gone back to: sizes stand behind each file. So it can be sent as it is made.
        self._zip = zipfile.ZipFile(cast("BinaryIO", self._line), "w", zipfile.ZIP_DEFLATED)
        self._now = now

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            # Python would write the end once nobody holds the ZIP any more, though it is not whole.
            self._line.cut()
        self._zip.close()

    @contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        """Begin a file of the ZIP, which is whole when this is left."""
        info = zipfile.ZipInfo(name, self._now.timetuple()[:6])
        info.compress_type = zipfile.ZIP_DEFLATED
        info.external_attr = _FOR_ITS_OWNER_ALONE << 16
        with self._zip.open(info, "w", force_zip64=True) as file:
            yield cast("BinaryIO", file)

    def add(self, name: str, text: str) -> None:
        """Put a text in."""
        with self.open(name) as file:
            file.write(text.encode())

    def close(self) -> str:
        """Write the end, and return the SHA-256 of the whole in hex."""
        self._zip.close()
        return self._line.digest.hexdigest()
