"""The template engine: repermit's own templates, and the admin's in a sandbox.

Values are escaped in HTML, and not in text.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from math import ceil
from typing import Any

import css_inline
from jinja2 import BytecodeCache, Environment, FileSystemLoader, StrictUndefined, select_autoescape
from jinja2.bccache import Bucket
from jinja2.filters import do_truncate
from jinja2.sandbox import ImmutableSandboxedEnvironment

from repermit.i18n.catalogues import load_translations
from repermit.package_files import find_asset

MAX_SUBJECT_LENGTH = 60
"""The length from which a subject is reported as too long for a phone."""


def render(name: str, fields: Mapping[str, Any], *, language: str) -> str:
    """Render a mail template, such as "ask/body.txt"; the result ends in one newline."""
    return _make_environment(language).get_template(name).render(fields).strip() + "\n"


def render_preview(folder: str, fields: Mapping[str, Any], *, language: str) -> str:
    """Return the line that mail programs show beside the subject of a folder's mail.

    It says nothing about the list.
    """
    return render(f"{folder}/preview.txt", fields, language=language).strip()


def render_own(source: str, fields: Mapping[str, Any], *, html: bool) -> str:
    """Render an admin's template; the caller must have checked it with `check_wording`."""
    return make_own_environment(html=html).from_string(source).render(fields).strip() + "\n"


def inline_styles(html: str) -> str:
    """Move the styles of `html` into its elements; only the rules for dark mode stay in <style>.

    Gmail's app drops <style> for addresses of other providers.
    """
    return _INLINER.inline(html)


_INLINER = css_inline.CSSInliner(keep_at_rules=True, load_remote_stylesheets=False)


@cache
def make_own_environment(*, html: bool) -> ImmutableSandboxedEnvironment:
    """Return the sandboxed environment for the admin's templates."""
    return ImmutableSandboxedEnvironment(autoescape=html, undefined=StrictUndefined)


class _CompiledTemplates(BytecodeCache):
    """Caches compiled templates, which are the same in each of the 24 languages."""

    def __init__(self) -> None:
        self._codes: dict[str, Any] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """Load the code of a template that was compiled for another language."""
        bucket.code = self._codes.get(bucket.key)

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Store the code of a template that has just been compiled."""
        self._codes[bucket.key] = bucket.code


_COMPILED = _CompiledTemplates()


def make_environment(folder: str, language: str) -> Environment:
    """Return the environment for the templates of one folder, translated into a language.

    - HTML is escaped, and a missing value is an error.
    - A template of another folder is named with its folder.
    """
    folders = find_asset("templates")
    environment = Environment(
        loader=FileSystemLoader([folders / folder, folders]),
        autoescape=select_autoescape(enabled_extensions=("html",), default=False),
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
        # Otherwise each page checks whether the files of its templates have changed.
        auto_reload=False,
        bytecode_cache=_COMPILED,
    )
    install = environment.install_gettext_translations  # type: ignore[attr-defined]
    install(load_translations(language), newstyle=True)
    environment.globals |= {
        "cut_name": cut_name,
        "choose_topic": choose_topic,
        "max_subject_length": MAX_SUBJECT_LENGTH,
    }
    return environment


# --- The names and the topic above the answers, within the first screen of a phone. ---------------


_PLAIN = Environment(autoescape=False)  # noqa: S701  it renders nothing
_MAX_LENGTH, _MAX_WORDS = 50, 10
# The room that organisation and topic share; the length of a list's name that takes none of it; and
# the room that each further row of the question takes, as its letters are larger.
_ROOM_LENGTH, _ROOM_WORDS = 112, 14
_FREE_NAME_LENGTH, _FREE_NAME_WORDS = 36, 5
_ROW_LENGTH = 22
_SPARE_LENGTH = 6
"""The room that stays free after a purpose that is cut, since its words may not fill the rows."""
_MIN_LENGTH = 15
"""The length of a purpose that still tells what the mails are about."""


def cut_name(name: str, max_words: int = _MAX_WORDS) -> str:
    """Return a name, cut if it is too long to stand above the answers.

    The full name is below them.
    """
    all_words = name.split()
    start = name if len(all_words) <= max_words else f"{' '.join(all_words[:max_words])}…"
    return do_truncate(_PLAIN, start, _MAX_LENGTH, killwords=False, end="…", leeway=0)


def choose_topic(
    purpose: str,
    frequency: str,
    list_name: str,
    *,
    organisation: str,
    is_named: bool,
    max_characters: int = 80,
) -> str:
    """Return the purpose and the frequency of a list, cut to the room above the answers.

    Long names leave less room for it. If the start of the purpose does not fit, the frequency is
    left out; if it still does not fit, the list's name is returned. The full text is below the
    answers.

    - `is_named`: the question has the list's name, so "" is returned instead of it.
    - `max_characters`: the maximum length.
    """
    shown_organisation, shown_name = cut_name(organisation), cut_name(list_name) if is_named else ""
    max_words = (
        _ROOM_WORDS
        - len(shown_organisation.split())
        + (_FREE_NAME_WORDS - len(shown_name.split())) * is_named
    )
    further_rows = ceil(max(0, _measure_name(shown_name) - _FREE_NAME_LENGTH) / _ROW_LENGTH)
    max_length = _ROOM_LENGTH - _measure_name(shown_organisation) - _ROW_LENGTH * further_rows
    for ending in (f" ({frequency})" if frequency else "", ""):
        room = min(max_length, max_characters) - len(ending)
        if start := _cut_purpose(purpose, max_words - len(ending.split()), room):
            return start + ending
    return "" if is_named else cut_name(list_name, max_words)


def _measure_name(name: str) -> int:
    """Return the length of a name in average characters: capitals within words are wider."""
    return len(name) + max(0, sum(map(str.isupper, name)) - len(name.split())) // 2


def _cut_purpose(purpose: str, max_words: int, max_length: int) -> str:
    """Return the start of a purpose that fits; "" if it is too short to be understood."""
    all_words = purpose.split()
    if len(all_words) <= max_words and len(purpose) <= max_length:
        return purpose
    kept_words = all_words[: max(max_words, 0)]
    while kept_words and len(" ".join(kept_words)) >= max_length - _SPARE_LENGTH:
        kept_words.pop()
    text = " ".join(kept_words).rstrip(",;:")
    return f"{text}…" if len(text) >= _MIN_LENGTH else ""


@cache
def _make_environment(language: str) -> Environment:
    return make_environment("mail", language)
