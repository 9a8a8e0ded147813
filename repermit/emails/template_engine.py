"""The template engine: repermit's own templates, and the admin's in a sandbox.

Text is rendered as it is, HTML with escaping.
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
"""How many characters of a subject a phone shows, or a few more: a warning says so."""


def render(name: str, fields: Mapping[str, Any], *, language: str) -> str:
    """Return one of the mail templates, such as "ask/body.txt", with one newline at its end."""
    return _make_environment(language).get_template(name).render(fields).strip() + "\n"


def render_own(source: str, fields: Mapping[str, Any], *, html: bool) -> str:
    """Return a template of the admin's; the caller has checked it with `check_wording`."""
    return make_own_environment(html=html).from_string(source).render(fields).strip() + "\n"


def inline_styles(html: str) -> str:
    """Return `html` with its styles at the elements; of its style sheet dark mode alone is kept.

    Gmail's app drops <style> for addresses of other providers.
    """
    return _INLINER.inline(html)


_INLINER = css_inline.CSSInliner(keep_at_rules=True, load_remote_stylesheets=False)


@cache
def make_own_environment(*, html: bool) -> ImmutableSandboxedEnvironment:
    """Return the sandbox for the admin's templates."""
    return ImmutableSandboxedEnvironment(autoescape=html, undefined=StrictUndefined)


class _CompiledTemplates(BytecodeCache):
    """Keeps what a template is compiled to, which is the same in each of the 24 languages."""

    def __init__(self) -> None:
        self._codes: dict[str, Any] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """Give the code of a template that another language has compiled."""
        bucket.code = self._codes.get(bucket.key)

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep the code of a template that has just been compiled."""
        self._codes[bucket.key] = bucket.code


_COMPILED = _CompiledTemplates()


def make_environment(folder: str, language: str) -> Environment:
    """Make the engine for the templates of one folder, whose texts it puts into a language.

    HTML is escaped; a field that is not given is an error. A template of another folder is named
    with that.
    """
    folders = find_asset("templates")
    made = Environment(
        loader=FileSystemLoader([folders / folder, folders]),
        autoescape=select_autoescape(enabled_extensions=("html",), default=False),
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
        # Otherwise each page looks whether a file of its templates has changed.
        auto_reload=False,
        bytecode_cache=_COMPILED,
    )
    install = made.install_gettext_translations  # type: ignore[attr-defined]
    install(load_translations(language), newstyle=True)
    made.globals |= {
        "cut_name": cut_name,
        "choose_topic": choose_topic,
        "max_subject_length": MAX_SUBJECT_LENGTH,
    }
    return made


# --- What stands above the answers, within the first screen of a phone. ---------------------------


_PLAIN = Environment(autoescape=False)  # noqa: S701  it renders nothing
_MOST_SIGNS, _MOST_WORDS = 50, 10
# How much room organisation and topic share, which name of a list takes none of it, and how much
# each further row of its question takes, in larger letters.
_ROOM_SIGNS, _ROOM_WORDS = 112, 14
_NAME_SIGNS, _NAME_WORDS = 36, 5
_ROW_SIGNS = 22
_SPARE_SIGNS = 6
"""How much room is left behind a purpose that is cut: its words need not fill the rows."""
_LEAST_SIGNS = 15
"""By how many signs of a purpose somebody learns what mails are about."""


def cut_name(name: str, words: int = _MOST_WORDS) -> str:
    """Return the beginning of a name without end, as it stands above the answers.

    All of it stands below them.
    """
    every = name.split()
    beginning = name if len(every) <= words else f"{' '.join(every[:words])}…"
    return do_truncate(_PLAIN, beginning, _MOST_SIGNS, killwords=False, end="…", leeway=0)


def choose_topic(
    purpose: str,
    frequency: str,
    list_name: str,
    *,
    organisation: str,
    is_named: bool,
    most: int = 80,
) -> str:
    """Return what a list is about and how often it comes, as it stands above the answers.

    The longer the names that stand there too, the less room there is. Where there is too little for
    the beginning of the purpose, it is without the frequency, or else the name. All of it stands
    below.

    - `is_named`: the question has the name, so that "" is returned rather than that.
    - `most`: how many signs there is room for at most.
    """
    asker, named = cut_name(organisation), cut_name(list_name) if is_named else ""
    words = _ROOM_WORDS - len(asker.split()) + (_NAME_WORDS - len(named.split())) * is_named
    further_rows = ceil(max(0, _count_signs(named) - _NAME_SIGNS) / _ROW_SIGNS)
    signs = _ROOM_SIGNS - _count_signs(asker) - _ROW_SIGNS * further_rows
    for end in (f" ({frequency})" if frequency else "", ""):
        room = min(signs, most) - len(end)
        if beginning := _cut_purpose(purpose, words - len(end.split()), room):
            return beginning + end
    return "" if is_named else cut_name(list_name, words)


def _count_signs(name: str) -> int:
    """Return how many signs a name takes the room of: capitals within words are wider."""
    return len(name) + max(0, sum(map(str.isupper, name)) - len(name.split())) // 2


def _cut_purpose(purpose: str, words: int, signs: int) -> str:
    """Return the beginning of a purpose for which there is room; "" if it says too little."""
    every = purpose.split()
    if len(every) <= words and len(purpose) <= signs:
        return purpose
    beginning = every[: max(words, 0)]
    while beginning and len(" ".join(beginning)) >= signs - _SPARE_SIGNS:
        beginning.pop()
    text = " ".join(beginning).rstrip(",;:")
    return f"{text}…" if len(text) >= _LEAST_SIGNS else ""


@cache
def _make_environment(language: str) -> Environment:
    return make_environment("mail", language)
