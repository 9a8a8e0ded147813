"""Replacing the deadline in a wording, which notes where and how it says the one that it has.

A draft keeps its `deadline_places`, a line each, as "text 120 short_deadline": in its text, behind
120 signs. Whatever else names the same day is no deadline.
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

# Unicode keeps these for a program's own use (noncharacters), so that they stand in no text.
_OPEN = {"deadline": "\ufdd0", "short_deadline": "\ufdd1", "day": "\ufdd2"}
_CLOSE = "\ufddf"
_NAMES = {sign: name for name, sign in _OPEN.items()}
_MARKED = re.compile(f"([{''.join(_NAMES)}])([^{_CLOSE}]*){_CLOSE}")
_SPACES = ("\N{NO-BREAK SPACE}", "&nbsp;", " ")
"""A subject has plain spaces, and HTML names those that hold."""


def word_deadline(deadline: datetime, language: str, zone: ZoneInfo) -> dict[str, str]:
    """Return the words that a wording may say its deadline in, by the field of each."""
    return {
        "deadline": format_local_datetime(deadline, language=language, zone=zone),
        "short_deadline": format_short_datetime(deadline, language=language, zone=zone),
        "day": format_compact_datetime(deadline, language=language, zone=zone),
    }


def mark_places(words: Mapping[str, str]) -> dict[str, str]:
    """Return the words of a deadline so that `find_places` finds them in what is rendered."""
    return {name: f"{_OPEN[name]}{text}{_CLOSE}" for name, text in words.items()}


def find_places(parts: Mapping[str, str]) -> tuple[dict[str, str], str]:
    """Return the parts of a wording without the marks of its deadline, and where those stood."""
    plain, places = {}, []
    for part, text in parts.items():
        pieces = _MARKED.split(text)
        made = pieces[0]
        for mark, words, after in zip(pieces[1::3], pieces[2::3], pieces[3::3], strict=True):
            places.append(f"{part} {len(made)} {_NAMES[mark]}")
            made += words + after
        plain[part] = made
    return plain, "\n".join(places)


def replace_deadline(draft: Draft, deadline: datetime) -> Draft:
    """Replace the deadline (aware UTC) of a frozen wording, and leave all else."""
    if draft.deadline is None:
        return replace(draft, deadline=deadline)
    after = word_deadline(deadline, draft.language, draft.zone_info)
    if not draft.deadline_places:
        return _replace_wherever_it_stands(draft, deadline, draft.deadline, after)
    earlier = draft.phrases

    def put(match: re.Match[str]) -> str:
        name = _NAMES[match[1]]
        spelled = _spell_spaces(earlier[name], after[name])
        words = next(is_now for was, is_now in spelled if was == match[2])
        return f"{match[1]}{words}{_CLOSE}"

    changed = change_text(draft, lambda text: _MARKED.sub(put, text))
    return replace(changed, deadline=deadline, phrases={**earlier, **after})


def change_text(draft: Draft, change: Callable[[str], str]) -> Draft:
    """Change subject, text and HTML of a frozen wording, and keep where they say the deadline.

    What `change` is given has marks around the words of the deadline, which it leaves.
    """
    parts = {part: getattr(draft, part) for part in ("subject", "text", "html")}
    # From behind, so that the places before it stay where they are.
    for part, at, name in reversed(list(_iter_places(draft.deadline_places))):
        text, words = parts[part], draft.phrases[name]
        words = next(was for was, _ in _spell_spaces(words, words) if text.startswith(was, at))
        marked = mark_places({name: words})[name]
        parts[part] = f"{text[:at]}{marked}{text[at + len(words) :]}"
    changed = {part: change(text) for part, text in parts.items()}
    # Each part spells a space that holds in one way.
    changed["html"] = changed["html"].replace(*_SPACES[:2])
    plain, places = find_places(changed)
    return replace(
        draft,
        subject=plain["subject"],
        text=plain["text"],
        html=plain["html"],
        deadline_places=places,
    )


def _iter_places(places: str) -> Iterator[tuple[str, int, str]]:
    for line in places.splitlines():
        part, at, name = line.split()
        yield part, int(at), name


def _spell_spaces(before: str, after: str) -> Iterator[tuple[str, str]]:
    """Yield both in each way in which a part of a mail may write a space that holds."""
    for space in _SPACES:
        yield before.replace(_SPACES[0], space), after.replace(_SPACES[0], space)


# --- Wordings that do not say where: those that were frozen before December 2026. -----------------


def _replace_wherever_it_stands(
    draft: Draft, deadline: datetime, earlier_deadline: datetime, after: Mapping[str, str]
) -> Draft:
    earlier = _list_deadline_words(draft, earlier_deadline)
    subject, text, html = draft.subject, draft.text, draft.html
    # The whole moment first, since the short one may stand within it.
    for name in ("deadline", "short_deadline"):
        for before in earlier:
            subject, text, html = (
                _replace_words(words, before[name], after[name]) for words in (subject, text, html)
            )
    day_before, day_after = (to_one_line(words["day"]) for words in (earlier[0], after))
    # A list may be named for a day; that of the deadline stands behind its name.
    if subject.count(day_before) > draft.mailing_list.name.count(day_before):
        head, _, rest = subject.rpartition(day_before)
        subject = f"{head}{day_after}{rest}"
        for end in ("</title>", '"'):
            html = html.replace(f"{day_before}{rest}{end}", f"{day_after}{rest}{end}")
    phrases = {**draft.phrases, **after}
    return replace(draft, deadline=deadline, subject=subject, text=text, html=html, phrases=phrases)


def _list_deadline_words(draft: Draft, deadline: datetime) -> list[dict[str, str]]:
    """Return how a wording may say its deadline: as it was frozen, whatever dates look like now.

    Wordings of before November 2026 do not say how.
    """
    language, zone = draft.language, draft.zone_info
    now = word_deadline(deadline, language, zone)
    if now.keys() <= draft.phrases.keys():
        return [{name: draft.phrases[name] for name in now}]
    whole, short = format_in_earlier_patterns(deadline, language=language, zone=zone)
    return [now, now | {"deadline": whole, "short_deadline": short}]


def _replace_words(text: str, before: str, after: str) -> str:
    for was, is_now in _spell_spaces(before, after):
        text = text.replace(was, is_now)
    return text
