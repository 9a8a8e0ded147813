"""How a setting is declared: what a field of settings/definitions.py says of itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from typing import Any, TypeVar, get_type_hints

_T = TypeVar("_T")
_KINDS = {int: "number", bool: "boolean"}

Limits = tuple[int, int | None]
"""The least and the greatest number that is taken; None: there is no greatest."""


@dataclass(frozen=True, kw_only=True)
class Section:
    """Settings below one heading of a page of settings; a folded one is opened by who needs it.

    - `topic`: the page of the help that is about them, with its heading: "how-to/dkim#sign-here".
    """

    page: str
    title: str
    topic: str
    hint: str = ""
    is_folded: bool = False


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What is known of one setting.

    - `key`: dotted, as in config.toml: "mail.port"; top-level keys have no dot.
    - `default`: what holds where nobody says it; None if config.toml must, or a file's place does.
    - `section`: where admins choose it in the browser; None if config.toml alone says it.
    - `kind`: "text" (one line), "lines", "number", "boolean", "choice", "timezone", "url" or "list"
      (of addresses for mail).
    - `choices`: the words that it takes, in the form's order, with what the form calls them.
    - `error_order`: the same words as an error lists them, if not in the form's order.
    - `own_topic`: where the help is about it elsewhere than about its section.
    - `position`: a higher one stands further back in its section, and else the order of fields.
    - `is_secret`: shown to nobody, sealed in the database, and may stand in a file of its own.
    - `is_personal`: leads to a person, so that evidence of a change does not hold the value.
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
        """Return the table of config.toml that it stands in, "" for none."""
        return self.key.rpartition(".")[0]

    @property
    def topic(self) -> str:
        """Return what the help says of it, "" for a setting that no page has."""
        return self.own_topic or (self.section.topic if self.section else "")

    @property
    def name(self) -> str:
        """Return its key within its table."""
        return self.key.rpartition(".")[2]

    def value_in(self, settings: object) -> Any:
        """Return what holds."""
        return getattr(getattr(settings, self.table) if self.table else settings, self.name)


def make_metadata(label: str, help: str = "", **declared: Any) -> dict[str, Setting]:  # noqa: A002
    """Return the metadata of a field that is a setting; see `Setting` for what it takes."""
    return {"setting": Setting(label=label, help=help, **declared)}


def declare_setting(default: _T, label: str, help: str = "", **declared: Any) -> _T:  # noqa: A002
    """Declare a setting that has a default."""
    metadata = make_metadata(label, help, **declared)
    is_shown = not metadata["setting"].is_secret
    return field(default=default, repr=is_shown, metadata=metadata)


def iter_settings(table: str, holder: type) -> Iterator[Setting]:
    """Yield the settings of a dataclass that stands for a table, in the order of its fields."""
    hints = get_type_hints(holder)
    for item in fields(holder):
        if declared := item.metadata.get("setting"):
            usual_kind = "choice" if declared.choices else _KINDS.get(hints[item.name], "text")
            yield replace(
                declared,
                key=f"{table}.{item.name}" if table else item.name,
                kind=declared.kind or usual_kind,
                type=hints[item.name],
                default=None if item.default is MISSING else item.default,
            )
