"""Replacing the deadline in a frozen wording, at the places that the draft has stored.

A draft's `deadline_places` has a line for each, such as "text 120 short_deadline": in its text,
after 120 characters. Any other mention of the same day is not replaced.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

from repermit.emails.frozen_draft import Draft, to_one_line
from repermit.i18n.dates import (
    format_compact_datetime,
    format_in_earlier_patterns,
    format_local_datetime,
    format_short_datetime,
)

# Noncharacters, which Unicode reserves for internal use, so that no text contains them.
_OPEN = {"deadline": "\ufdd0", "short_deadline": "\ufdd1", "day": "\ufdd2"}
_CLOSE = "\ufddf"
_NAMES = {sign: name for name, sign in _OPEN.items()}
_MARKED = re.compile(f"([{''.join(_NAMES)}])([^{_CLOSE}]*){_CLOSE}")
_SPACES = ("\N{NO-BREAK SPACE}", "&nbsp;", " ")
"""The forms of a no-break space: in text, in HTML, and in a subject."""


def make_deadline_texts(deadline: datetime, language: str, zone: ZoneInfo) -> dict[str, str]:
    """Return the forms of a deadline in a wording, by field."""
    return {
        "deadline": format_local_datetime(deadline, language=language, zone=zone),
        "short_deadline": format_short_datetime(deadline, language=language, zone=zone),
        "day": format_compact_datetime(deadline, language=language, zone=zone),
    }


def mark_places(deadline_texts: Mapping[str, str]) -> dict[str, str]:
    """Return the forms of a deadline with marks around, which `find_places` finds when rendered."""
    return {name: f"{_OPEN[name]}{text}{_CLOSE}" for name, text in deadline_texts.items()}


def find_places(parts: Mapping[str, str]) -> tuple[dict[str, str], str]:
    """Return the rendered parts without the marks of the deadline, and its `deadline_places`."""
    plain_parts, places = {}, []
    for part, text in parts.items():
        pieces = _MARKED.split(text)
        plain_text = pieces[0]
        for character, deadline_text, following in zip(
            pieces[1::3], pieces[2::3], pieces[3::3], strict=True
        ):
            places.append(f"{part} {len(plain_text)} {_NAMES[character]}")
            plain_text += deadline_text + following
        plain_parts[part] = plain_text
    return plain_parts, "\n".join(places)


def replace_deadline(draft: Draft, deadline: datetime) -> Draft:
    """Return a frozen wording with another deadline (aware UTC), otherwise unchanged."""
    if draft.deadline is None:
        return replace(draft, deadline=deadline)
    new_texts = make_deadline_texts(deadline, draft.language, draft.zone_info)
    if not draft.deadline_places:
        return _replace_everywhere(draft, deadline, draft.deadline, new_texts)
    old_texts = draft.phrases

    def replace_mark(match: re.Match[str]) -> str:
        name = _NAMES[match[1]]
        spelled = _spell_spaces(old_texts[name], new_texts[name])
        new_form = next(new for old, new in spelled if old == match[2])
        return f"{match[1]}{new_form}{_CLOSE}"

    changed = change_text(draft, lambda text: _MARKED.sub(replace_mark, text))
    return replace(changed, deadline=deadline, phrases={**old_texts, **new_texts})


def change_text(draft: Draft, change: Callable[[str], str]) -> Draft:
    """Return a wording with subject, text and HTML changed, and its `deadline_places` updated.

    - `change`: gets a text with marks around the deadline, which it must not remove.
    """
    parts = {part: getattr(draft, part) for part in ("subject", "text", "html")}
    # From the end, so that earlier positions stay valid.
    for part, at, name in reversed(list(_iter_places(draft.deadline_places))):
        text, deadline_text = parts[part], draft.phrases[name]
        deadline_text = next(
            spelled
            for spelled, _ in _spell_spaces(deadline_text, deadline_text)
            if text.startswith(spelled, at)
        )
        marked = mark_places({name: deadline_text})[name]
        parts[part] = f"{text[:at]}{marked}{text[at + len(deadline_text) :]}"
    changed = {part: change(text) for part, text in parts.items()}
    # HTML writes every no-break space as an entity.
    changed["html"] = changed["html"].replace(*_SPACES[:2])
    plain_parts, places = find_places(changed)
    return replace(
        draft,
        subject=plain_parts["subject"],
        text=plain_parts["text"],
        html=plain_parts["html"],
        deadline_places=places,
    )


def _iter_places(places: str) -> Iterator[tuple[str, int, str]]:
    for line in places.splitlines():
        part, at, name = line.split()
        yield part, int(at), name


def _spell_spaces(old: str, new: str) -> Iterator[tuple[str, str]]:
    """Yield both texts in each form that a part of a mail has for no-break spaces."""
    for space in _SPACES:
        yield old.replace(_SPACES[0], space), new.replace(_SPACES[0], space)


# --- Wordings without `deadline_places`, which were frozen before December 2026. ------------------


def _replace_everywhere(
    draft: Draft, deadline: datetime, earlier_deadline: datetime, new_texts: Mapping[str, str]
) -> Draft:
    old_spellings = _list_deadline_words(draft, earlier_deadline)
    subject, text, html = draft.subject, draft.text, draft.html
    # The long form first, since it may contain the short one.
    for name in ("deadline", "short_deadline"):
        for old_texts in old_spellings:
            subject, text, html = (
                _replace_words(part, old_texts[name], new_texts[name])
                for part in (subject, text, html)
            )
    day_before, day_after = (to_one_line(part["day"]) for part in (old_spellings[0], new_texts))
    # A list's name may contain a day; the deadline's comes after the name.
    if subject.count(day_before) > draft.mailing_list.name.count(day_before):
        head, _, following = subject.rpartition(day_before)
        subject = f"{head}{day_after}{following}"
        for ending in ("</title>", '"'):
            html = html.replace(
                f"{day_before}{following}{ending}", f"{day_after}{following}{ending}"
            )
    phrases = {**draft.phrases, **new_texts}
    return replace(draft, deadline=deadline, subject=subject, text=text, html=html, phrases=phrases)


def _list_deadline_words(draft: Draft, deadline: datetime) -> list[dict[str, str]]:
    """Return the forms that a wording may have of its deadline.

    They are stored since November 2026; for an older wording, all forms that dates had are tried.
    """
    language, zone = draft.language, draft.zone_info
    current_texts = make_deadline_texts(deadline, language, zone)
    if current_texts.keys() <= draft.phrases.keys():
        return [{name: draft.phrases[name] for name in current_texts}]
    long_form, short_form = format_in_earlier_patterns(deadline, language=language, zone=zone)
    return [current_texts, current_texts | {"deadline": long_form, "short_deadline": short_form}]


def _replace_words(text: str, old_text: str, new_text: str) -> str:
    for old, new in _spell_spaces(old_text, new_text):
        text = text.replace(old, new)
    return text
