"""The translations: gettext catalogues, read from their .po files, and the admin's corrections.

Message ids are the English texts.
"""

from __future__ import annotations

import gettext
import io
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from babel.messages import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from repermit.package_files import LANGUAGE_NAMES, LANGUAGES
from repermit.unicode_limits import normalize

SOURCE_LANGUAGE = "en"

_LOCALE = Path(__file__).parent.parent / "locale"


@cache
def languages() -> tuple[str, ...]:
    """Return the languages of mails and public pages (ISO 639-1), in order of their own names."""
    return tuple(sorted(LANGUAGES, key=get_sort_key))


def language_name(language: str) -> str:
    """Return a language's own name, such as "Nederlands", capitalised."""
    return LANGUAGE_NAMES[language]


def get_sort_key(language: str) -> tuple[bool, str]:
    """Return the sort key of a language: its own name without diacritics.

    Latin script comes first, then Greek, then Cyrillic, as in the EU's own lists.
    """
    decomposed = normalize("NFKD", language_name(language)).casefold()
    base_letters = "".join(char for char in decomposed if not unicodedata.combining(char))
    return not base_letters.isascii(), base_letters


class Translations(gettext.NullTranslations):
    """The catalogue of a language, with the admin's corrections taking precedence."""

    def __init__(self, language: str, shipped: gettext.NullTranslations) -> None:
        super().__init__()
        self.add_fallback(shipped)
        self._language = language
        self._plural_rule = getattr(shipped, "plural", _english_form)

    def gettext(self, message: str) -> str:
        """Return the corrected or shipped translation of a text."""
        corrected = self._find_correction(message)
        return corrected[0] if corrected else super().gettext(message)

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        """Return the translation of a text in the plural form of a number."""
        corrected = self._find_correction(msgid1)
        return (
            corrected[self.get_plural_form(n)] if corrected else super().ngettext(msgid1, msgid2, n)
        )

    def get_plural_form(self, number: int) -> int:
        """Return the index of a number's plural form, from 0."""
        return int(self._plural_rule(number))

    def _find_correction(self, message: str) -> tuple[str, ...] | None:
        return _installed.corrections.get(self._language, {}).get(message)


@dataclass
class _InstalledCorrections:
    """The corrections that this process uses, by language and English; replaced as a whole."""

    corrections: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    version: str = ""


_installed = _InstalledCorrections()


def _english_form(number: int) -> bool:
    return number != 1


@cache
def load_translations(language: str) -> Translations:
    """Return the catalogue of one of `languages`.

    Raises KeyError for another language: a mail half in English is worse than an error.
    """
    if language not in LANGUAGES:
        raise KeyError(language)
    if language == SOURCE_LANGUAGE:
        return Translations(language, gettext.NullTranslations())
    compiled = io.BytesIO()
    write_mo(compiled, read_catalogue(language))
    compiled.seek(0)
    return Translations(language, gettext.GNUTranslations(compiled))


def install_corrections(
    corrections: Mapping[str, Mapping[str, tuple[str, ...]]], *, version: str = ""
) -> None:
    """Replace the corrections that this process uses, by language and then by English text."""
    # In this order: results of the new texts must not be cached under the old version.
    _installed.corrections = corrections
    _installed.version = version


def get_corrections_version() -> str:
    """Return the version of the installed corrections, "" if none were ever installed."""
    return _installed.version


def list_corrected_texts(language: str) -> tuple[str, ...]:
    """Return all corrected texts of a language that this process uses."""
    return tuple(
        form for forms in _installed.corrections.get(language, {}).values() for form in forms
    )


def read_catalogue(language: str) -> Catalog:
    """Return the shipped catalogue of a language other than the source language."""
    with (_LOCALE / language / "LC_MESSAGES" / "messages.po").open("rb") as file:
        return read_po(file, locale=language)


def choose_language(requested: str, *, default: str) -> str:
    """Return the requested language ("nl", "NL", "nl-BE") if it is one of ours, else `default`."""
    language = requested.strip().lower().replace("_", "-").partition("-")[0]
    return language if language in LANGUAGES else default
