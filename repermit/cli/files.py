"""Files that a command writes: whole or not at all, and for you alone.

May import errors and models.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

from repermit.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from repermit.cli.house import House


@contextmanager
def file_or_stdout(house: House, output: Path | None) -> Iterator[BinaryIO]:
    """Open a file, or stdout without one; nothing is in it unless all of it is."""
    if output is not None:
        with private_file(house, output) as file:
            yield file
        return
    # It never has a name, so that nothing of it is left if this is killed.
    with tempfile.TemporaryFile() as spool:
        yield spool
        spool.seek(0)
        shutil.copyfileobj(spool, sys.stdout.buffer)
    sys.stdout.buffer.flush()


@contextmanager
def private_file(house: House, output: Path) -> Iterator[BinaryIO]:
    """Open a file that appears whole or not at all and is readable by you alone."""
    from repermit.models import temporary_files

    try:
        with temporary_files(house.file).file_for(output) as part, part.open("wb") as file:
            yield file
    except OSError as error:
        raise Refused(f"{output} cannot be written: {error.strerror}") from None
