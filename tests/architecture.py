"""Write the tree of files in docs/develop/architecture.md: `python -m tests.architecture`."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/develop/architecture.md"
_PLACE = re.compile(r"(## Packages\n\n<!--.*?-->\n\n).*?(?=^## )", re.MULTILINE | re.DOTALL)


def first_line(path: Path) -> str:
    """Return the first line of a module's docstring."""
    text = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
    return text.partition("\n")[0]


def described() -> str:
    """Return a line for each module, under one for its package."""
    package = ROOT / "repermit"
    lines = _modules(package, "")
    for path in sorted(package.rglob("__init__.py"))[1:]:
        lines.append(f"- **`{path.parent.relative_to(package)}/`** {first_line(path)}")
        lines += _modules(path.parent, "  ")
    return "\n".join(lines) + "\n\n"


def _modules(folder: Path, indent: str) -> list[str]:
    modules = sorted(folder.glob("[!_]*.py"))
    below = ROOT / "repermit"
    return [f"{indent}- `{path.relative_to(below)}` {first_line(path)}" for path in modules]


def written(page: str) -> str:
    """Return the page with the list as it is now."""
    return _PLACE.sub(lambda found: found[1] + described(), page)


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text("utf-8")), "utf-8")
