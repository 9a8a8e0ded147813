"""What a use case says to the admin, as a sentence that can still be put into another language.

`cli` prints it as it is, in English; pages show it in the admin's language.
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
    """Several things in one sentence, each of which may be something said."""

    parts: tuple[str, ...]
    by: str = ", "


Value = str | int | datetime | LazyJoin
"""What fills in a template: a count is an int, while what is no count (a line) is text."""


class LazyText(str):
    """A sentence in English that knows what it was made of.

    `template` is its id in the catalogues of translations, in which the `values` stand as
    %(names)s, if there are any: gettext's own way. A value may be something said itself; a moment
    is given in the zone that it is to be shown in. `code` names the sentence for a page that has
    words of its own for it, since it can be mended there and not by a command.
    """

    __slots__ = ("code", "template", "values")

    code: str
    template: str
    values: Mapping[str, Value]

    def __new__(cls, template: str = "", /, *, code: str = "", **values: Value) -> Self:
        """Say a sentence."""
        said = super().__new__(cls, _filled(template, values, in_english))
        said.code, said.template, said.values = code, template, values
        return said

    def in_words(self, translate: Callable[[str], str], show: Callable[[Value], str]) -> str:
        """Return the sentence by a catalogue."""
        return _filled(translate(self.template), self.values, show)


def in_english(value: Value) -> str:
    """Return a value as it stands in an English sentence."""
    if isinstance(value, LazyJoin):
        return value.by.join(value.parts)
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _filled(text: str, values: Mapping[str, Value], show: Callable[[Value], str]) -> str:
    shown = {name: show(value) for name, value in values.items()}
    return text % shown if shown else text


def serialize(said: str) -> str:
    """Return what was said as a text to be kept, from which `deserialize` makes it again.

    That is the sentence itself if it has neither values nor a code. No value may be a moment.
    """
    whole = isinstance(said, LazyText) and (said.values or said.code)
    return json.dumps(_packed(said), separators=(",", ":")) if whole else str(said)


def deserialize(text: str) -> LazyText:
    """Return what was packed."""
    return _unpacked(json.loads(text)) if text.startswith('{"said":') else LazyText(text)


def _packed(value: Value) -> Any:
    if isinstance(value, LazyText):
        values = {name: _packed(one) for name, one in value.values.items()}
        return {"said": value.template, "code": value.code, "values": values}
    if isinstance(value, LazyJoin):
        return {"by": value.by, "parts": list(map(_packed, value.parts))}
    return value


def _unpacked(kept: Any) -> Any:
    if not isinstance(kept, dict):
        return kept
    if "by" in kept:
        return LazyJoin(tuple(map(_unpacked, kept["parts"])), by=kept["by"])
    values = {name: _unpacked(one) for name, one in kept["values"].items()}
    return LazyText(kept["said"], code=kept["code"], **values)
