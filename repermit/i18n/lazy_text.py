"""Lazy texts: English sentences that a page can still translate.

`cli` prints them as they are, in English, with the option or command that helps; pages show them in
the admin's language, without it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self


def N_(text: str) -> str:  # noqa: N802  the name by which catalogues find a text to be translated
    """Mark a text that is translated when it is shown."""
    return text


@dataclass(frozen=True)
class LazyJoin:
    """Several values joined in one sentence; each may be a LazyText."""

    parts: tuple[str, ...]
    by: str = ", "


class Language(str):
    """A language by its code (ISO 639-1), which pages show by its name."""

    __slots__ = ()


Value = str | int | datetime | LazyJoin
"""A value of a template. A count is an int; a number that is no count (a line) is text."""


class LazyText(str):
    """An English sentence with its template and values, so that it can be translated later.

    - `template`: the message id in the gettext catalogues, with `values` as %(names)s.
    - `values`: may be LazyTexts themselves; a datetime is in the zone to show it in.
    - `cli`: what the command line adds, such as the option that helps; it has the same values.
    - `code`: names the sentence for a page that shows it at a field, or links to another page.
    """

    __slots__ = ("cli", "code", "template", "values")

    cli: str
    code: str
    template: str
    values: Mapping[str, Value]

    def __new__(
        cls, template: str = "", /, *, code: str = "", cli: str = "", **values: Value
    ) -> Self:
        """Make a lazy text from a template and its values."""
        text = super().__new__(cls, _fill_template(template + cli, values, in_english))
        text.cli, text.code, text.template, text.values = cli, code, template, values
        return text

    def fill(self, **values: Value) -> LazyText:
        """Return this sentence, made without values, with these."""
        return LazyText(self.template, code=self.code, cli=self.cli, **values)

    def render(self, translate: Callable[[str], str], format_value: Callable[[Value], str]) -> str:
        """Return the sentence translated; `format_value` formats each value."""
        return _fill_template(translate(self.template), self.values, format_value)


def in_english(value: Value) -> str:
    """Format a value for an English sentence."""
    if isinstance(value, LazyJoin):
        return value.by.join(value.parts)
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _fill_template(
    text: str, values: Mapping[str, Value], format_value: Callable[[Value], str]
) -> str:
    formatted = {name: format_value(value) for name, value in values.items()}
    return text % formatted if formatted else text


def serialize(text: str) -> str:
    """Serialise a lazy text to a string that `deserialize` reads back.

    This is the sentence itself if it is no more than that. No value may be a datetime.
    """
    is_template = isinstance(text, LazyText) and (text.values or text.code or text.cli)
    return json.dumps(_to_json(text), separators=(",", ":")) if is_template else str(text)


def deserialize(text: str) -> LazyText:
    """Return the lazy text that `serialize` made into a string."""
    return _from_json(json.loads(text)) if text.startswith('{"said":') else LazyText(text)


def _to_json(value: Value) -> Any:
    if isinstance(value, LazyText):
        values = {name: _to_json(item) for name, item in value.values.items()}
        return {"said": value.template, "code": value.code, "cli": value.cli, "values": values}
    if isinstance(value, LazyJoin):
        return {"by": value.by, "parts": list(map(_to_json, value.parts))}
    return value


def _from_json(stored: Any) -> Any:
    if not isinstance(stored, dict):
        return stored
    if "by" in stored:
        return LazyJoin(tuple(map(_from_json, stored["parts"])), by=stored["by"])
    values = {name: _from_json(item) for name, item in stored["values"].items()}
    return LazyText(stored["said"], code=stored["code"], cli=stored.get("cli", ""), **values)
