"""The catalogues: complete, sorted, with the same placeholders as the English text.

`REPERMIT_KEEP=1 pytest tests/test_locale.py` adds what is missing, empty, drops what is no more,
and sorts; translate what it added, and run it again without.
"""

from __future__ import annotations

import io
import re
from functools import cache
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

from repermit.messages import languages
from repermit.web.admin.showing import LANGUAGES
from tests.letters import kept

ROOT = Path(__file__).parent.parent
TRANSLATED = [language for language in languages() if language != "en"]

_PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|%%|\{\w+\}")


# Where texts stand that only admins read; they do in English and Dutch (web/admin/showing).
_ADMINS = ("templates/admin/", "repermit/web/admin/", "repermit/preflight/", "repermit/exports/")
_OF_ADMINS = ("en", "nl")


@cache
def used(language: str = "nl") -> dict[tuple[str | None, str], str | tuple[str, ...]]:
    """Return what templates and package translate into a language: by context and singular."""
    found: dict[tuple[str | None, str], str | tuple[str, ...]] = {}
    methods = [("**.html", "jinja2"), ("**.txt", "jinja2"), ("**.py", "python")]
    for folder in ("templates", "repermit"):
        for file, _, message, _, context in extract_from_dir(
            ROOT / folder, methods, {"**": {"trimmed": "true", "encoding": "utf-8"}}
        ):
            if f"{folder}/{file}".startswith(_ADMINS) and language not in _OF_ADMINS:
                continue
            singular = message if isinstance(message, str) else message[0]
            found[context, singular] = message
    return found


def path_of(language: str) -> Path:
    return ROOT / "repermit" / "locale" / language / "LC_MESSAGES" / "messages.po"


def catalogue(language: str) -> Catalog:
    with path_of(language).open("rb") as file:
        return read_po(file, locale=language, abort_invalid=True)


def messages(language: str) -> list[Message]:
    return [message for message in catalogue(language) if message.id]


def texts(message: str | tuple[str, ...] | list[str] | None) -> list[str]:
    """Return a message's forms: singular and plural, or the one there is, "" if there is none."""
    return list(message) if isinstance(message, tuple | list) else [message or ""]


def in_order(language: str) -> str:
    """Return the file as it should be: what is used, sorted, with the translations there are."""
    there = catalogue(language)
    made = Catalog(locale=language)
    for (context, singular), message in used(language).items():
        known = there.get(singular, context)
        made.add(message, known.string if known else None, context=context)
    written = io.BytesIO()
    write_po(written, made, width=100, sort_output=True, no_location=True, omit_header=True)
    head, _, _ = path_of(language).read_text("utf-8").partition("\n\n")
    return f"{head}\n\n{written.getvalue().decode().strip()}\n"


def test_what_only_admins_read_is_in_their_languages_alone() -> None:
    assert LANGUAGES == _OF_ADMINS
    assert (None, "Log in") in used("nl")
    assert (None, "Log in") not in used("de")


def test_much_is_translated() -> None:
    assert (None, "Privacy statement") in used()
    assert ("pattern of a day", "EEEE d MMMM y") in used()
    assert len(used()) > 30


@pytest.mark.parametrize("language", TRANSLATED)
def test_a_catalogue_holds_what_is_used_and_no_more_in_order(language: str) -> None:
    expected = in_order(language)
    assert kept(path_of(language), expected) == expected


@pytest.mark.parametrize("language", TRANSLATED)
def test_every_message_is_translated(language: str) -> None:
    empty = [one.id for one in messages(language) if not all(texts(one.string))]
    assert not empty
    assert not [one.id for one in messages(language) if one.fuzzy]


@pytest.mark.parametrize("language", TRANSLATED)
def test_a_translation_has_the_placeholders_of_its_message(language: str) -> None:
    for message in messages(language):
        # The last form of an English message is the one for many, which names the number.
        expected = sorted(_PLACEHOLDER.findall(texts(message.id)[-1]))
        assert sorted(_PLACEHOLDER.findall(texts(message.string)[-1])) == expected


@pytest.mark.parametrize("language", TRANSLATED)
def test_a_translation_stays_formal(language: str) -> None:
    familiar = {
        "nl": r"\b(je|jij|jou|jouw)\b",
        "de": r"\b(du|dich|dir|dein\w*)\b",
        "fr": r"\b(tu|te|toi|ton|tes)\b",
    }
    for message in messages(language):
        for text in texts(message.string):
            assert not re.search(familiar[language], text, re.IGNORECASE), text


def test_french_keeps_its_signs_with_their_words() -> None:
    for message in messages("fr"):
        for text in texts(message.string):
            assert not re.search(
                r"(?<![\u00a0\w/])[:;?!]|\w[;?!]|\w: |«(?!\u00a0)|(?<!\u00a0)»", text
            ), text
