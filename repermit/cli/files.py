"""Files that a command writes: whole or not at all, and for you alone.

May import errors.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from repermit.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def file_or_stdout(output: Path | None) -> Iterator[BinaryIO]:
    """Open a file, or stdout without one; nothing is in it unless all of it is."""
    if output is not None:
        with private_file(output) as file:
            yield file
        return
    with tempfile.TemporaryFile() as spool:
        yield spool
        spool.seek(0)
        shutil.copyfileobj(spool, sys.stdout.buffer)
    sys.stdout.buffer.flush()


@contextmanager
def private_file(output: Path) -> Iterator[BinaryIO]:
    """Open a file that appears whole or not at all and is readable by you alone."""
    try:
        handle, name = tempfile.mkstemp(dir=output.parent, prefix=f".{output.name}.")
        part = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                yield file
            part.replace(output)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise Refused(f"{output} cannot be written: {error.strerror}") from None
