"""The regular expressions in the package's data, where whoever knows a language finds its words."""

from __future__ import annotations

import re
from functools import cache, cached_property
from typing import Any

from repermit import package_files

_NAME = re.compile(r"\{([a-z_]+)\}")


class Expressions:
    """The named regular expressions of a file in `repermit/data`.

    - An entry is a string, or a list of which any one will do.
    - {name} stands for another entry.
    - A name in the table `words` stands for a group of its words; any other is put in as it stands.

    The file is read at the first use, and so is each expression compiled: those of remarks take
    30 ms.
    """

    def __init__(self, file_name: str, *tables: str) -> None:
        """Take the expressions of these tables, whose names differ."""
        self._file_name = file_name
        self._tables = tables

    @cached_property
    def data(self) -> dict[str, dict[str, Any]]:
        """Return all tables of the file, by name."""
        return package_files.load_data(self._file_name)

    @cached_property
    def entries(self) -> dict[str, str | list[str]]:
        """Return the entries by name."""
        return {name: entry for table in self._tables for name, entry in self.data[table].items()}

    @cache  # noqa: B019  there is one for each file
    def compile(self, name: str, flags: int = 0) -> re.Pattern[str]:
        """Return an entry, compiled."""
        return re.compile(self.make_source(name), flags)

    @cache  # noqa: B019
    def make_source(self, name: str) -> str:
        """Return an entry's expression, with the names in it filled in."""
        source = self.fill_in(self.entries[name])
        return f"(?:{source})" if name in self.data.get("words", ()) else source

    def fill_in(self, entry: str | list[str]) -> str:
        """Return a string or a list of alternatives, with the names in it filled in."""
        text = entry if isinstance(entry, str) else "|".join(entry)
        return _NAME.sub(lambda match: self.make_source(match[1]), text)
