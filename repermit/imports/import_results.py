"""What an import and its undoing report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from repermit.imports.readers.rows import Part
from repermit.rules.consent import Fate


@dataclass(frozen=True)
class Problem:
    """A row that is not simply taken in, and why; or what is to be known of a whole part.

    `line` is 1-based in its part; 0 where it is about no single row, and in the last problem of a
    long list, which says how many more there are. `column` is the title of the address column, or
    its number. `part` names the part if the file has more than one. `doubtful` says that the row
    is not off, although something in it may mean that the person wants no mail. `numbers` and
    `unread` are of a column of dates, see listfile's DateNote.
    """

    line: int
    column: str
    reason: str
    fate: Fate | None = None
    part: str = ""
    doubtful: bool = False
    numbers: int = 0
    unread: int = 0
    example: str = ""


@dataclass(frozen=True, kw_only=True)
class ImportResult:
    """What became of a file's rows; `fates` has every fate and adds up to `rows`.

    `merged` counts addresses that stood under different names, `thin` those confirmed without
    the wording of a form, `improved` those on the list already that got a better basis.
    `additional` counts rows that share their line with another, since it has several addresses.
    `strangers` counts of a dry run the addresses of which nothing is held on the list, and
    `unattested` says of one that without an attestation the import would be refused.
    """

    list: str
    file: str
    rows: int
    fates: dict[Fate, int]
    problems: tuple[Problem, ...]
    parts: tuple[Part, ...]
    merged: int
    thin: int
    improved: int
    additional: int
    strangers: int
    dry_run: bool
    unattested: bool

    def to_json(self) -> dict[str, Any]:
        """Return what `import --json` prints."""
        return {
            "list": self.list,
            "file": self.file,
            "rows": self.rows,
            "fates": {str(fate): count for fate, count in self.fates.items()},
            "problems": [
                {"line": problem.line, "column": problem.column, "reason": problem.reason}
                for problem in self.problems
            ],
        }


@dataclass(frozen=True, kw_only=True)
class UndoResult:
    """What taking an import back did; nothing yet if it is not whole."""

    file: str
    contacts_taken_back: int
    restored: int
    suppressions_taken_back: int
    is_whole: bool = True
