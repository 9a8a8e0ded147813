"""The translations: gettext catalogues, read as they are edited (.po).

May import nothing of repermit. Message ids are the English text.
"""

from __future__ import annotations

import gettext
import io
from functools import cache
from pathlib import Path

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

SOURCE_LANGUAGE = "en"

_LOCALE = Path(__file__).parent.parent / "locale"


@cache
def languages() -> tuple[str, ...]:
    """Return the languages there is a catalogue for, and English (ISO 639-1), in order."""
    found = (path.parent.parent.name for path in _LOCALE.glob("*/LC_MESSAGES/messages.po"))
    return tuple(sorted({SOURCE_LANGUAGE, *found}))


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
