"""Write docs/reference/settings.md from the declarations: `python -m tests.settings_reference`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from repermit.settings.definitions import PAGES, SETTINGS, TABLES
from repermit.settings.setting_type import Setting

PAGE = Path(__file__).parents[1] / "docs/reference/settings.md"

_HEAD = """\
# Settings

<!-- python -m tests.settings_reference writes this page from repermit/settings/definitions.py. -->

Every key of `config.toml`. What each is for, at length, stands in `config.example.toml`. A secret
`key` may stand in a file of its own, which `key_file` names. What admins choose on a page, under
*Settings*, holds where `config.toml` does not say it.
"""
_COLUMNS = """
| key | default | takes | what it is | chosen in the browser |
|---|---|---|---|---|
"""
_TAKES = {
    "text": "text",
    "lines": "text of several lines",
    "boolean": "`true` or `false`",
    "timezone": "the name of a time zone",
    "url": "a web address",
}


def written() -> str:
    """Return the page as it is now."""
    parts = [_HEAD]
    for table in ("", *TABLES):
        title = f"`[{table}]`" if table else "At the top"
        rows = (_row(one) for one in SETTINGS.values() if one.table == table)
        parts.append(f"\n## {title}\n{_COLUMNS}" + "".join(rows))
    return "".join(parts)


def _row(setting: Setting) -> str:
    default = "" if setting.default is None else f"`{json.dumps(setting.default)}`"
    where = ""
    if setting.section:
        where = f"{PAGES[setting.section.page]}: {setting.section.title}"
    cells = (f"`{setting.name}`", default, ", ".join(_takes(setting)), _words(setting), where)
    return f"| {' | '.join(cells)} |\n"


def _takes(setting: Setting) -> Iterator[str]:
    if setting.limits:
        least, greatest = setting.limits
        yield f"a whole number from {least}" + (f" to {greatest}" if greatest else "")
    elif setting.choices:
        yield from (f"`{json.dumps(choice)}`" for choice in setting.choices)
    else:
        yield "a list of texts" if setting.key == "secret_keys" else _TAKES[setting.kind]
    if setting.is_secret:
        yield f"secret; or `{setting.name}_file`"


def _words(setting: Setting) -> str:
    return f"{setting.label}. {setting.help}".strip()


if __name__ == "__main__":  # pragma: no cover  what it calls has tests of its own
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(written(), "utf-8")
