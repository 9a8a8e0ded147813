"""Declaring a setting as a dataclass field, with its metadata (see settings/definitions.py)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from typing import Any, TypeVar, get_type_hints

_T = TypeVar("_T")
_KINDS = {int: "number", bool: "boolean"}

Limits = tuple[int, int | None]
"""The minimum and the maximum of a number; None: there is no maximum."""


@dataclass(frozen=True, kw_only=True)
class Section:
    """A section of a page of settings.

    - `topic`: the help page about it, with a heading: "how-to/dkim#sign-here".
    - `is_folded`: shown folded, as few admins need it.
    """

    page: str
    title: str
    topic: str
    hint: str = ""
    is_folded: bool = False


@dataclass(frozen=True, kw_only=True)
class Setting:
    """The declaration of one setting.

    - `key`: dotted, as in config.toml: "mail.port"; top-level keys have no dot.
    - `default`: None if config.toml must have a value, or if it depends on another file's path.
    - `section`: where admins choose it in the browser; None if only config.toml has it.
    - `kind`: "text" (one line), "lines", "number", "boolean", "choice", "timezone", "url",
      "email" or "list" (of addresses for mail).
    - `choices`: the allowed words, in the form's order, with their labels.
    - `error_order`: the same words in the order of an error message, if it differs.
    - `own_topic`: the help page about it, if it is not its section's.
    - `position`: its position in the section; equal positions keep the order of the fields.
    - `is_secret`: never shown, encrypted in the database, and may be in its own file.
    - `is_personal`: identifies a person, so that evidence of a change does not have the value.
    - `is_destination`: decides where the secrets of its table are sent.
    """

    label: str
    help: str = ""
    section: Section | None = None
    kind: str = ""
    limits: Limits | None = None
    choices: Mapping[str, str] = field(default_factory=dict)
    error_order: tuple[str, ...] = ()
    own_topic: str = ""
    position: int = 0
    is_secret: bool = False
    is_personal: bool = False
    is_destination: bool = False
    key: str = ""
    type: type = str
    default: Any = None

    @property
    def table(self) -> str:
        """Return its table in config.toml, "" for a top-level key."""
        return self.key.rpartition(".")[0]

    @property
    def topic(self) -> str:
        """Return the help page about it, "" for a setting without a section."""
        return self.own_topic or (self.section.topic if self.section else "")

    @property
    def name(self) -> str:
        """Return its key without the table."""
        return self.key.rpartition(".")[2]

    def get_value(self, settings: object) -> Any:
        """Return its value in these settings."""
        return getattr(getattr(settings, self.table) if self.table else settings, self.name)


def make_metadata(label: str, help: str = "", **declared: Any) -> dict[str, Setting]:  # noqa: A002
    """Return the metadata of a field for a setting; `declared`: fields of `Setting`."""
    return {"setting": Setting(label=label, help=help, **declared)}


def declare_setting(default: _T, label: str, help: str = "", **declared: Any) -> _T:  # noqa: A002
    """Declare a setting with a default; `declared`: fields of `Setting`."""
    metadata = make_metadata(label, help, **declared)
    is_shown = not metadata["setting"].is_secret
    return field(default=default, repr=is_shown, metadata=metadata)


def iter_settings(table: str, holder: type) -> Iterator[Setting]:
    """Yield the settings of a table's dataclass, in the order of its fields."""
    hints = get_type_hints(holder)
    for item in fields(holder):
        if declared := item.metadata.get("setting"):
            default_kind = "choice" if declared.choices else _KINDS.get(hints[item.name], "text")
            yield replace(
                declared,
                key=f"{table}.{item.name}" if table else item.name,
                kind=declared.kind or default_kind,
                type=hints[item.name],
                default=None if item.default is MISSING else item.default,
            )
