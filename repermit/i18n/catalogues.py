"""The translations: gettext catalogues, read as they are edited (.po), and the admin's corrections.

Message ids are the English text.
"""

from __future__ import annotations

import gettext
import io
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from babel import Locale
from babel.messages import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from repermit.package_files import LANGUAGES
from repermit.unicode_limits import normalize

SOURCE_LANGUAGE = "en"

_LOCALE = Path(__file__).parent.parent / "locale"


@cache
def languages() -> tuple[str, ...]:
    """Return the languages of mails and public pages (ISO 639-1), in order of their own names."""
    return tuple(sorted(LANGUAGES, key=get_sort_key))


@cache
def language_name(language: str) -> str:
    """Return what a language calls itself, such as "Nederlands", as it stands by itself."""
    name = str(Locale.parse(language).get_display_name(language))
    return name[:1].upper() + name[1:]


def get_sort_key(language: str) -> tuple[bool, str]:
    """Return where a language stands among the others: by its letters, without their signs.

    Latin letters come first, then Greek, then Cyrillic, as the EU's own lists have them.
    """
    plain = normalize("NFKD", language_name(language)).casefold()
    letters = "".join(sign for sign in plain if not unicodedata.combining(sign))
    return not letters.isascii(), letters


class Translations(gettext.NullTranslations):
    """The catalogue of a language, behind what the admin has corrected in it."""

    def __init__(self, language: str, usual: gettext.NullTranslations) -> None:
        super().__init__()
        self.add_fallback(usual)
        self._language = language
        self._form = getattr(usual, "plural", _english_form)

    def gettext(self, message: str) -> str:
        """Return a text."""
        corrected = self._corrected(message)
        return corrected[0] if corrected else super().gettext(message)

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        """Return a text in the form that a number takes."""
        corrected = self._corrected(msgid1)
        return corrected[self.form(n)] if corrected else super().ngettext(msgid1, msgid2, n)

    def form(self, number: int) -> int:
        """Return which form a number takes, from 0."""
        return int(self._form(number))

    def _corrected(self, message: str) -> tuple[str, ...] | None:
        return _present.corrections.get(self._language, {}).get(message)


@dataclass
class _Present:
    """What is corrected in this process, by language and English; put in place as a whole."""

    corrections: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    version: str = ""


_present = _Present()


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
    """Say in this process what is corrected, and nothing else: by language, then by English."""
    # In this order: what is made of the new texts must not be kept under their version before.
    _present.corrections = corrections
    _present.version = version


def get_corrections_version() -> str:
    """Return the version of what is corrected in this process, "" if nothing ever was."""
    return _present.version


def list_corrected_texts(language: str) -> tuple[str, ...]:
    """Return all that this process says otherwise in a language than it comes."""
    return tuple(
        form for forms in _present.corrections.get(language, {}).values() for form in forms
    )


def read_catalogue(language: str) -> Catalog:
    """Return what comes with the package in a language other than the source's."""
    with (_LOCALE / language / "LC_MESSAGES" / "messages.po").open("rb") as file:
        return read_po(file, locale=language)


def choose_language(wanted: str, *, otherwise: str) -> str:
    """Return `wanted` ("nl", "NL", "nl-BE") as one of `languages`, or else `otherwise`."""
    language = wanted.strip().lower().replace("_", "-").partition("-")[0]
    return language if language in LANGUAGES else otherwise
