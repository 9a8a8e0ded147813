"""Reading config.toml: its keys, the files of its secrets, and the validation of its values."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from repermit.errors import ConfigError
from repermit.settings import mail_account, validation
from repermit.settings.definitions import SECRETS, SETTINGS, TABLES, Origin, Settings


def list_known_keys() -> tuple[str, ...]:
    """Return every dotted key that config.toml may have, in the order of the example."""
    return tuple(
        name
        for key, setting in SETTINGS.items()
        for name in ((key, f"{key}_file") if setting.is_secret else (key,))
    )


def load_config(path: Path) -> Settings:
    """Read the settings in `path`; relative paths in it are relative to its folder.

    Raises ConfigError if the file is missing, is not TOML, or has an invalid value.
    """
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        raise ConfigError(f"there is no {path}; `repermit init` makes one") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from None
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from None
    return replace(parse_config(document, folder=path.parent), path=path)


def parse_config(document: Mapping[str, Any], *, folder: Path) -> Settings:
    """Build the settings from a parsed TOML document.

    Raises ConfigError, whose `.key` names the setting.
    """
    _refuse_unknown(document)
    values = _inline_files(document, folder)
    for key in ("mail.ca_file", "bounces.ca_file", "evidence.timestamp_ca_file"):
        _find_ca_file(key, values, folder)
    file_values = _flatten(values)
    mail_account.apply_preset(values.get("mail", {}))
    mail_account.set_default_port(values.get("bounces", {}))
    settings = Settings(
        public_url=validation.read_public_url(values),
        database=validation.read_database(values, folder),
        timezone=validation.read_timezone(values),
        secret_keys=validation.read_secret_keys(values),
        fingerprint_key=validation.parse_random_key(
            values.get("fingerprint_key"), "fingerprint_key"
        ),
        evidence_key=validation.read_evidence_key(values),
        journal=validation.find_journal(document, folder),
        **{name: validation.build_table(name, values.get(name, {})) for name in TABLES},
        origins=_find_origins(document, values),
        given=file_values,
    )
    validation.check_timestamps(settings.evidence)
    validation.check_witness(settings.evidence)
    mail_account.check_mail(settings.mail)
    mail_account.check_bounces(settings.bounces)
    return settings


def _find_origins(document: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Origin]:
    """Return the origin of every setting that has not its default, by dotted key.

    - `document`: config.toml as it is.
    - `values`: its values after files and presets were read.
    """
    origins = dict.fromkeys(_flatten(values), Origin.PRESET)
    for key in _flatten(document):
        if key in origins:
            origins[key] = Origin.CONFIG
        else:
            origins[key.removesuffix("_file")] = Origin.FILE
    return origins


def _flatten(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a document by dotted keys."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat.update({f"{name}.{key}": item for key, item in value.items()})
        else:
            flat[name] = value
    return flat


def _refuse_unknown(document: Mapping[str, Any]) -> None:
    known_keys = set(list_known_keys())
    for name, value in document.items():
        if name in TABLES:
            if not isinstance(value, Mapping):
                raise ConfigError(f"[{name}] must be a table", key=name)
            _refuse_unknown_in(known_keys, (f"{name}.{key}" for key in value))
        else:
            _refuse_unknown_in(known_keys | set(TABLES), (name,))


def _refuse_unknown_in(known_keys: set[str], names: Iterable[str]) -> None:
    for name in names:
        if name not in known_keys:
            close_matches = difflib.get_close_matches(name, sorted(known_keys), n=1, cutoff=0.5)
            hint = f"; did you mean {close_matches[0]}?" if close_matches else ""
            raise ConfigError(f"unknown setting {name}{hint}", key=name)


def _inline_files(document: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return the document with every `…_file` key replaced by the content of its file."""
    values = {k: dict(v) if isinstance(v, Mapping) else v for k, v in document.items()}
    for key in SECRETS:
        table, _, name = key.rpartition(".")
        table_values = values.get(table, {}) if table else values
        if f"{name}_file" not in table_values:
            continue
        if name in table_values:
            raise ConfigError(f"give {key} or {key}_file, not both", key=key)
        table_values[name] = _read_secret(
            folder, table_values.pop(f"{name}_file"), f"{key}_file", name
        )
    return values


def _read_secret(folder: Path, name: object, key: str, kind: str) -> str | list[str]:
    if not isinstance(name, str):
        raise ConfigError(f"{key} must be text", key=key)
    try:
        text = (folder / name).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{key} cannot be read: {error}", key=key) from None
    return text.split() if kind == "secret_keys" else text.strip()


def _find_ca_file(key: str, values: Mapping[str, Any], folder: Path) -> None:
    """Make the path of a certificate authority's file absolute.

    A value that is no text is refused later, with its table.
    """
    table, _, setting = key.partition(".")
    name = values.get(table, {}).get(setting)
    if not isinstance(name, str) or not name:
        return
    path = (folder / name).absolute()
    if not path.is_file():
        raise ConfigError(f"{key}: there is no {path}", key=key)
    values[table][setting] = str(path)
