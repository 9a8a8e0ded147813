"""The translations: gettext catalogues, read as they are edited (.po).

May import config. Message ids are the English text.
"""

from __future__ import annotations

import gettext
import io
import unicodedata
from functools import cache
from pathlib import Path

from babel import Locale
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from repermit.config import LANGUAGES

SOURCE_LANGUAGE = "en"

_LOCALE = Path(__file__).parent.parent / "locale"


@cache
def languages() -> tuple[str, ...]:
    """Return the languages of mails and public pages (ISO 639-1), in order of their own names."""
    return tuple(sorted(LANGUAGES, key=place))


@cache
def language_name(language: str) -> str:
    """Return what a language calls itself, such as "Nederlands", as it stands by itself."""
    name = str(Locale.parse(language).get_display_name(language))
    return name[:1].upper() + name[1:]


def place(language: str) -> tuple[bool, str]:
    """Return where a language stands among the others: by its letters, without their signs.

    Latin letters come first, then Greek, then Cyrillic, as the EU's own lists have them.
    """
    plain = unicodedata.normalize("NFKD", language_name(language)).casefold()
    letters = "".join(sign for sign in plain if not unicodedata.combining(sign))
    return not letters.isascii(), letters


@cache
def translations(language: str) -> gettext.NullTranslations:
    """Return the catalogue of one of `languages`.

    Raises KeyError for another language: a mail half in English is worse than an error.
    """
    if language not in languages():
        raise KeyError(language)
    if language == SOURCE_LANGUAGE:
        return gettext.NullTranslations()
    with (_LOCALE / language / "LC_MESSAGES" / "messages.po").open("rb") as file:
        catalogue = read_po(file, locale=language)
    compiled = io.BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)


def pick_language(wanted: str, *, otherwise: str) -> str:
    """Return `wanted` ("nl", "NL", "nl-BE") as one of `languages`, or else `otherwise`."""
    language = wanted.strip().lower().replace("_", "-").partition("-")[0]
    return language if language in languages() else otherwise
