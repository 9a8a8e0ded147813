"""The files with secrets, and whether everybody on this machine may read them."""

from __future__ import annotations

import stat
import tomllib
from collections.abc import Iterator
from pathlib import Path

_OTHERS = stat.S_IROTH | stat.S_IWOTH


def list_secret_files(path: Path) -> Iterator[Path]:
    """Yield the file of the settings, and the files of secrets that it names."""
    yield path
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError):  # the file is being changed
        return
    for values in (document, *(value for value in document.values() if isinstance(value, dict))):
        for key, name in values.items():
            # A certificate is no secret.
            if key.endswith("_file") and "ca_file" not in key:
                yield path.parent / name


def is_open_to_others(path: Path) -> bool:
    """Return whether everybody on this machine may read or change a file, and enter its folders."""
    folders = path.resolve().parents
    is_passable = all(folder.stat().st_mode & stat.S_IXOTH for folder in folders)
    return is_passable and bool(path.stat().st_mode & _OTHERS)
