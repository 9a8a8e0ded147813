"""Each setting is declared once, whole, and everything else is made from its declaration."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from repermit import package_files
from repermit.settings.definitions import PAGES, SECRETS, SETTINGS, TABLES, list_sections
from repermit.settings.setting_type import Setting
from repermit.settings.smtp_presets import PRESETS
from repermit.settings.validation import check_value

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS)
def test_a_setting_is_declared_whole(setting: Setting) -> None:
    assert setting.label
    # Every number has its limits, and only numbers have.
    assert (setting.limits is not None) == (setting.kind == "number") == (setting.type is int)
    assert bool(setting.choices) == (setting.kind == "choice")
    assert set(setting.error_order) <= set(setting.choices)
    assert set(setting.choices) <= {*setting.error_order, ""} or not setting.error_order
    if setting.table or setting.section:
        check_value(setting, setting.default)
    if setting.section:
        assert setting.section.page in PAGES
        assert setting.section.title


def test_every_preset_has_a_name_and_no_other() -> None:
    assert set(SETTINGS["mail.preset"].choices) == {"", *PRESETS}


def test_every_field_of_a_table_is_a_setting() -> None:
    fields = {f"{table}.{name}" for table, kind in TABLES.items() for name in vars(kind())}
    assert fields == {key for key, one in SETTINGS.items() if one.table}


def test_what_may_be_chosen_stands_in_one_section_of_one_page() -> None:
    shown = [one.key for page in PAGES for found in list_sections(page).values() for one in found]
    assert sorted(shown) == sorted(key for key, one in SETTINGS.items() if one.section)


def test_secrets_lead_somewhere_that_is_declared() -> None:
    """Whoever adds an account decides which of its keys say where the secrets go."""
    tables = {SETTINGS[key].table for key in SECRETS if SETTINGS[key].section}
    destinations = {one.table for one in SETTINGS.values() if one.is_destination}
    assert tables == destinations == {"mail", "bounces"}


def test_every_setting_is_explained_in_the_example() -> None:
    """A block begins with the words for all of its keys."""
    example = package_files.find_asset("config.example.toml").read_text("utf-8")
    explained: set[str] = set()
    table = ""
    for block in re.split(r"\n\n+", example):
        if found := re.search(r"^\[(\w+)\]$", block, re.MULTILINE):
            table = f"{found[1]}."
        keys = re.findall(r"^(?:# )?(\w+) = ", block, re.MULTILINE)
        if keys and not re.match(r"(?:# )?\w+ = ", block):
            explained |= {table + key for key in keys}
    assert SETTINGS.keys() <= explained


@pytest.mark.exhaustive
def test_a_setting_is_added_in_one_place(tmp_path: Path) -> None:
    """One more field is read, refused, shown, chosen, recorded and documented."""
    command = [sys.executable, "-m", "tests.support.added_setting", str(tmp_path)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    made = json.loads(ran.stdout)
    assert made["is_known"]
    assert made["refused"] == "campaign.pilot_days must be from 1 to 30"
    helped = "?More about this: Days of the pilot"
    hint = f"Days of the pilot How long the first hundred wait. {helped} Percent of"
    assert hint in made["form"]
    assert "Days of the pilot: This must be from 1 to 30." in made["wrong"]
    assert made["days"] == 5
    assert {"campaign.pilot_days": [3, 5]} in made["evidence"]
    row = "| `pilot_days` | `3` | a whole number from 1 to 30 | Days of the pilot. How long"
    assert row in made["reference"]
