"""The catalogues as files: what there is to translate, an empty one, and what is wrong with one.

`python -m tests.catalogues pl` makes the catalogue of a language, or brings the one that is there
in order: what is new is added empty, what is not used any more is dropped. Then it says what is
still wrong with it.
"""

from __future__ import annotations

import gettext
import io
import re
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import chain
from pathlib import Path

from babel import Locale
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_file
from babel.messages.pofile import read_po, write_po

from repermit import package_files
from repermit.exports import handover_steps
from repermit.exports.export_rows import ExportKind, Tool
from tests.support.translatable_texts import said

ROOT = Path(__file__).parents[1]
LOCALE = ROOT / "repermit" / "locale"

# Where texts stand that only admins read; they do in English and Dutch (web/admin/showing).
_ADMINS = (
    "templates/admin/", "templates/proofs/", "repermit/web/admin/", "repermit/checks/",
    "templates/demo/", "repermit/demo/", "repermit/cli/help.py",
    "repermit/exports/", "repermit/settings/", "repermit/evidence/verify/",
    "repermit/reports/report_formatting.py", "repermit/reports/make_report.py",
    "templates/reports/",
)  # fmt: skip
OF_ADMINS = ("en", "nl")

# A template that cannot be read is an error, rather than one without texts.
_EXTRACTION = {
    "trimmed": "true", "encoding": "utf-8", "extensions": "jinja2.ext.do", "silent": "false",
}  # fmt: skip

_METHODS = {".html": "jinja2", ".txt": "jinja2", ".jinja": "jinja2", ".py": "python"}
# Of what Babel takes for the name of a function that translates.
_CALL = re.compile(r"(\b_|\bN_|gettext)\(")

FAMILIAR = {
    "nl": r"\b(je|jij|jou|jouw)\b",
    "de": r"\b(du|dich|dir|dein\w*)\b",
    "fr": r"\b(tu|te|toi|ton|tes)\b",
    "bg": r"\b(ти|теб|тебе|твой|твоя\w*|твое\w*|твои\w*)\b",
    "cs": r"\b(tebe|tobě|tě|tvůj|tvoj\w*|tvá|tvé\w*|tvým)\b",
    "el": r"\b(εσύ|εσένα|σου)\b",  # noqa: RUF001  Greek it is
    "es": r"\b(tú|te|ti|tu|tus|tuy\w*|contigo)\b",
    "et": r"\b(sina|sa|sinu|su|sulle|sind)\b",
    "hr": r"\b(tebe|tebi|tvoj\w*|tvog\w*|tvom\w*)\b",
    "hu": r"\b(te|téged|neked|tied|veled|tőled)\b",
    "it": r"\b(tu|te|ti|tuo|tua|tuoi|tue)\b",
    "lt": r"\b(tu|tave|tau|tavo)\b",
    "lv": r"\b(tu|tev|tevi|tavs|tava\w*|tavu\w*)\b",
    "pl": r"\b(ty|ciebie|tobie|cię|ci|tobą|twój|twoj\w*|twoi\w*)\b",
    "pt": r"\b(tu|te|ti|teu|teus|tua|tuas|contigo)\b",
    "ro": r"\b(tu|tine|ție|tău|tăi|ta|tale)\b",
    "sk": r"\b(ty|teba|tebe|ťa|tvoj\w*)\b",
    "sl": r"\b(tebe|tebi|teboj|tvoj\w*)\b",
}
"""How somebody would be addressed whom one knows well, by language, where it can be told so.

Danish, Finnish and Swedish address everybody so, as authorities do there; Irish and Maltese have no
other form for one person that is in use.
"""

_PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|%%|\{\w+\}")
_NUMBERS = range(201)

Texts = str | tuple[str, ...]


def used(language: str = "nl") -> dict[tuple[str | None, str], Texts]:
    """Return what templates and package translate into a language: by context and singular.

    What use cases say to admins, by an error or otherwise, is among it in the admins' languages.
    """
    return _used(for_admins=language in OF_ADMINS)


@cache
def _used(*, for_admins: bool) -> dict[tuple[str | None, str], Texts]:
    found: dict[tuple[str | None, str], Texts] = {}
    for path in (*(ROOT / "templates").rglob("*"), *(ROOT / "repermit").rglob("*")):
        is_for_admins = str(path.relative_to(ROOT)).startswith(_ADMINS)
        if path.suffix in _METHODS and (for_admins or not is_for_admins):
            for message, context in _extract(path):
                singular = message if isinstance(message, str) else message[0]
                found[context, singular] = message
    if for_admins:
        found |= {(None, message): message for message in said()}
        in_data = chain(texts_of_findings(), texts_of_steps(), texts_of_tables())
        found |= {(None, text): text for text in in_data}
    return found


def _extract(path: Path) -> Iterator[tuple[Texts, str | None]]:
    """Yield what a file translates, with its context; modules without a call are not parsed."""
    if path.suffix == ".py" and not _CALL.search(path.read_text("utf-8")):
        return
    method = _METHODS[path.suffix]
    for _, message, _, context in extract_from_file(method, path, options=_EXTRACTION):
        yield message, context


def texts_of_findings() -> Iterator[str]:
    """Yield what the findings of `check` say, which stands in data."""
    for entry in package_files.load_data("check_findings.toml").values():
        for key in ("found", "remedy", "page_found", "page_remedy"):
            if key in entry:
                yield entry[key]


def texts_of_tables() -> Iterator[str]:
    """Yield the texts of pages that stand in tables of data, by a name or a code."""
    for table in package_files.load_data("audit_log.toml").values():
        yield from table.values()
    yield from package_files.load_data("column_titles.toml")["labels"].values()
    # A provider's own name is not translated.
    for name in ("check_areas.toml", "smtp_presets.toml", "placeholders.toml"):
        for entry in package_files.load_data(name).values():
            yield from (entry[key] for key in ("label", "title") if key in entry)


def texts_of_steps() -> Iterator[str]:
    """Yield what a page says of handing a file to a newsletter tool."""
    for tool in Tool:
        for what in ExportKind:
            yield from handover_steps.list_page_steps(tool, what)


def path_of(language: str, locale: Path = LOCALE) -> Path:
    """Return where the catalogue of a language is."""
    return locale / language / "LC_MESSAGES" / "messages.po"


def messages(language: str, locale: Path = LOCALE) -> list[Message]:
    """Return the messages of a catalogue, without its head."""
    return [message for message in _catalogue(language, locale) if message.id]


def texts(message: Texts | list[str] | None) -> list[str]:
    """Return a message's forms: singular and plural, or the one there is, "" if there is none."""
    return list(message) if isinstance(message, tuple | list) else [message or ""]


def in_order(language: str, locale: Path = LOCALE) -> str:
    """Return the file as it should be: what is used, sorted, with the translations there are."""
    there = _catalogue(language, locale)
    made = Catalog(locale=language)
    made.mime_headers = [("Plural-Forms", there.plural_forms)]
    for (context, singular), message in used(language).items():
        known = there.get(singular, context)
        given = known.string if known else _usual(language, context)
        made.add(message, _of_kind(message, given), context=context)
    written = io.BytesIO()
    write_po(written, made, width=100, sort_output=True, no_location=True, omit_header=True)
    return f"{_head(language, locale)}\n\n{written.getvalue().decode().strip()}\n"


def flaws(language: str, locale: Path = LOCALE) -> list[str]:
    """Return everything that is wrong with a catalogue, a line each."""
    found = []
    there, usual = _catalogue(language, locale), Catalog(locale=language)
    forms = _forms(there.plural_expr)
    for message in messages(language, locale):
        reasons = _flaws_of(message, language, forms)
        found += [f"{reason}: {texts(message.id)[0]!r}" for reason in reasons]
    if not _are_alike(forms, _forms(usual.plural_expr)):
        found.append(f"Plural-Forms has to be {usual.plural_forms}")
    return found


def _forms(expression: str) -> list[int]:
    """Return the form of each number that is looked at."""
    return list(map(gettext.c2py(expression), _NUMBERS))


def _are_alike(some: list[int], others: list[int]) -> bool:
    """Say whether two ways to choose a form part the numbers alike, whatever they call the parts.

    Newer tables of the Unicode consortium have a form for millions of, in French and Spanish, which
    no text of ours needs.
    """
    return len(set(zip(some, others, strict=True))) == len(set(some)) == len(set(others))


def main(arguments: Iterable[str], locale: Path = LOCALE) -> None:
    """Make or mend the catalogues of the languages that are named, and say what they lack."""
    for language in arguments:
        path = path_of(language, locale)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(in_order(language, locale), "utf-8")
        wrong = flaws(language, locale)
        count = len(messages(language, locale))
        sys.stdout.write("\n".join([*wrong, f"{path}: {count} messages, {len(wrong)} flaws\n"]))


def _catalogue(language: str, locale: Path) -> Catalog:
    path = path_of(language, locale)
    if not path.exists():
        return Catalog(locale=language)
    with path.open("rb") as file:
        return read_po(file, locale=language, abort_invalid=True)


def _head(language: str, locale: Path) -> str:
    path = path_of(language, locale)
    if path.exists():
        return path.read_text("utf-8").partition("\n\n")[0]
    name = Locale.parse(language).get_display_name("en")
    return "\n".join(
        [
            f"# {name}, for mails and public pages.",
            "# Sorted by message id; a message id is the English text.",
            'msgid ""',
            'msgstr ""',
            f'"Language: {language}\\n"',
            f'"Plural-Forms: {Catalog(locale=language).plural_forms}\\n"',
            '"MIME-Version: 1.0\\n"',
            '"Content-Type: text/plain; charset=utf-8\\n"',
            '"Content-Transfer-Encoding: 8bit\\n"',
        ]
    )


def _usual(language: str, context: str | None) -> str | None:
    """Return how the Unicode consortium (CLDR) writes days and times, for a catalogue to begin."""
    known = Locale.parse(language)
    if context == "a day and a time":
        return "{day}, {time}"
    if context == "pattern of a time":
        # Midnight is shown as 24:00, so there are 24 hours everywhere.
        pattern = str(known.time_formats["short"].pattern)
        return re.sub(r"[\s\u202f]*a", "", pattern).replace("h", "H")
    if context == "pattern of a short day":
        return str(known.datetime_skeletons["MMMd"].pattern)
    if context and "without year" in context:
        # There is one with the day of the week abbreviated in every language.
        return re.sub("E+|c+", "EEEE", str(known.datetime_skeletons["MMMMEd"].pattern))
    return str(known.date_formats["full"].pattern) if context else None


def _of_kind(message: Texts, given: Texts | list[str] | None) -> Texts | None:
    """Return a translation as its message is: in forms, or in one."""
    if isinstance(message, str):
        return texts(given)[0]
    return tuple(texts(given)) if given and not isinstance(given, str) else None


def _flaws_of(message: Message, language: str, forms: list[int]) -> Iterator[str]:
    given = texts(message.string)
    if not all(given) or message.fuzzy:
        yield "not translated"
        return
    yield from _lost_placeholders(message, forms)
    english = texts(message.id)[-1]
    for text in given:
        if text != text.strip() and english == english.strip():
            yield "blanks around it"
        if language in FAMILIAR and re.search(FAMILIAR[language], text, re.IGNORECASE):
            yield f"not formal ({text!r})"
    if message.context in _NEEDED:
        yield from _wrong_pattern(message.context, given[0])


def _lost_placeholders(message: Message, forms: list[int]) -> Iterator[str]:
    """Yield what a form lacks or has too much.

    Only a form that stands for a single number, such as English "one day", may do without it.
    """
    expected = sorted(_PLACEHOLDER.findall(texts(message.id)[-1]))
    singular = sorted(_PLACEHOLDER.findall(texts(message.id)[0]))
    for form, text in enumerate(texts(message.string)):
        found = sorted(_PLACEHOLDER.findall(text))
        without = [singular] if forms.count(form) == 1 else []
        if found not in [expected, *without]:
            yield f"placeholders {found} instead of {expected}"


_NEEDED = {
    "pattern of a time": ("H", "mm"),
    "pattern of a day": ("d", "MMMM|LLLL", "y"),
    # French writes this day as "1er", which no field does.
    "pattern of a first day of a month": ("MMMM|LLLL", "y"),
    "pattern of a day without year": ("EEEE", "d", "MMMM|LLLL"),
    "pattern of a first day without year": ("EEEE", "MMMM|LLLL"),
    "pattern of a short day": ("d", "M"),
}


def _wrong_pattern(context: str, pattern: str) -> Iterator[str]:
    fields = re.sub("'[^']*'", "", pattern)
    for field in _NEEDED[context]:
        if not re.search(field, fields):
            yield f"the pattern {pattern!r} lacks {field}"


if __name__ == "__main__":  # pragma: no cover  what it calls has tests of its own
    main(sys.argv[1:])
