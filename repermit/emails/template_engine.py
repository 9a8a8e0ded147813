"""The template engine: repermit's own templates, and the admin's in a sandbox.

Text is rendered as it is, HTML with escaping.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import css_inline
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from jinja2.filters import do_truncate
from jinja2.sandbox import ImmutableSandboxedEnvironment

from repermit.i18n.catalogues import translations
from repermit.package_files import asset


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


def make_environment(folder: str, language: str) -> Environment:
    """Make the engine for the templates of one folder, whose texts it puts into a language.

    HTML is escaped; a field that is not given is an error.
    """
    made = Environment(
        loader=FileSystemLoader(asset("templates") / folder),
        autoescape=select_autoescape(enabled_extensions=("html",), default=False),
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
        # Otherwise each page looks whether a file of its templates has changed.
        auto_reload=False,
    )
    install = made.install_gettext_translations  # type: ignore[attr-defined]
    install(translations(language), newstyle=True)
    made.globals["cut_name"] = cut_name
    return made


def cut_name(name: str) -> str:
    """Return the beginning of a name without end, as it stands above the answers.

    All of it stands below them.
    """
    return do_truncate(_PLAIN, name, _MOST_SIGNS, killwords=False, end="…", leeway=0)


_PLAIN = Environment(autoescape=False)  # noqa: S701  it renders nothing
_MOST_SIGNS = 50


@cache
def _make_environment(language: str) -> Environment:
    return make_environment("mail", language)
