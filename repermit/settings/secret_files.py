"""The files in which secrets stand, and whether everybody on this machine may read them."""

from __future__ import annotations

import stat
import tomllib
from collections.abc import Iterator
from pathlib import Path

_OTHERS = stat.S_IROTH | stat.S_IWOTH


def list_secret_files(path: Path) -> Iterator[Path]:
    """Yield the file of the settings, and the files that it names in which secrets stand."""
    yield path
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError):  # somebody is changing it
        return
    for values in (document, *(one for one in document.values() if isinstance(one, dict))):
        for key, name in values.items():
            # What an authority's certificate says is no secret.
            if key.endswith("_file") and "ca_file" not in key:
                yield path.parent / name


def is_open_to_others(path: Path) -> bool:
    """Say whether everybody on this machine may read or change a file, and pass its folders."""
    folders = path.resolve().parents
    is_passable = all(folder.stat().st_mode & stat.S_IXOTH for folder in folders)
    return is_passable and bool(path.stat().st_mode & _OTHERS)
