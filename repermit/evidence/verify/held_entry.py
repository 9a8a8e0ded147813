"""Held entries, and the JSON of files that have them: numbers, names, types and digests. Pure."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from repermit.errors import Refused
from repermit.evidence.entries import PARTS, canonical, compute_part_digest
from repermit.i18n.lazy_text import LazyJoin, LazyText

# --- JSON. ----------------------------------------------------------------------------------------

_NUMBER = re.compile(r"0|-?[1-9][0-9]{0,15}")
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_LARGEST = 2**53 - 1
_SHOWN = 40


def read_with_faults(
    read: Callable[[], dict[str, Any]],
    faults: Callable[[dict[str, Any]], Iterator[LazyText]],
    *,
    form: str,
) -> tuple[dict[str, Any], tuple[LazyText, ...]]:
    """Return a document, and what is wrong with it; what is no document of a form is a fault.

    - `read`: returns it, as `read_document` does.
    - `faults`: yields what does not hold; both may raise what a document of another form raises.
    """
    try:
        document = read()
        return document, tuple(faults(document))
    except Refused as refusal:
        return {}, (refusal.said,)
    except RecursionError:
        return {}, (LazyText("it is nested too deeply"),)
    except _OtherForm as error:
        reason = error.said
    except (ValueError, LookupError, TypeError, AttributeError):
        # Nobody could mend it by what Python says of it.
        reason = LazyText("something in it is of another kind than there should be")
    return {}, (
        LazyText("it is not of the form %(format)s: %(reason)s", format=form, reason=reason),
    )


class _OtherForm(ValueError):
    """A file has another form than it should have; `said` is where, in words."""

    def __init__(self, said: LazyText) -> None:
        super().__init__(said)
        self.said = said


def read_document(octets: bytes, *, most: int) -> dict[str, Any]:
    """Return a document; raises Refused where it has more than `most` octets, and ValueError."""
    if len(octets) > most:
        raise Refused("it has more than %(most)s octets", most=most)
    with refusing_other_json():
        document: dict[str, Any] = make_decoder().decode(octets.decode())
    return document


class _Decoder(json.JSONDecoder):
    """Reads JSON in which no text has half of a character."""

    def raw_decode(self, s: str, idx: int = 0) -> tuple[Any, int]:
        value, end = super().raw_decode(s, idx)
        if _SURROGATE.search(s, idx, end):
            try:
                canonical(value).encode()
            except UnicodeEncodeError:
                raise _OtherForm(
                    LazyText("a text in it has half of a character (a lone surrogate)")
                ) from None
        return value, end


def make_decoder() -> json.JSONDecoder:
    """Return what reads JSON as a proof may have it."""
    return _Decoder(
        object_pairs_hook=_make_object,
        parse_constant=_refuse_constant,
        parse_int=read_number,
        parse_float=read_number,
    )


@contextmanager
def refusing_other_json() -> Iterator[None]:
    """Have it said of what is no JSON that it is none."""
    try:
        yield
    except _OtherForm:
        raise
    except (json.JSONDecodeError, UnicodeError):
        raise _OtherForm(LazyText("it is no JSON")) from None


def require_once(name: str, names: Collection[str]) -> None:
    """Raise ValueError for a name that stands twice in an object."""
    if name in names:
        raise _OtherForm(LazyText("a name stands twice in one object"))


def _make_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _OtherForm(LazyText("a name stands twice in one object"))
    return members


def _refuse_constant(constant: str) -> None:
    raise _OtherForm(LazyText("%(constant)s is no JSON", constant=constant))


def read_number(text: str) -> int:
    """Return a number as a proof may have it: an integer up to 2^53 - 1, in its one form.

    Raises Refused.
    """
    if not _NUMBER.fullmatch(text) or abs(int(text)) > _LARGEST:
        raise Refused("%(number)s is no number that a proof may have", number=text[:_SHOWN])
    return int(text)


def require(holds: object) -> None:
    """Raise TypeError, for a document of another form, unless something holds."""
    if not holds:
        raise TypeError


def require_names(value: dict[str, Any], names: set[str]) -> None:
    """Raise _OtherForm unless an object has just these names, so that nothing stands unchecked."""
    if value.keys() != names:
        found, expected = LazyJoin(tuple(sorted(value))), LazyJoin(tuple(sorted(names)))
        raise _OtherForm(
            LazyText(
                "it has %(found)s where %(expected)s should stand", found=found, expected=expected
            )
        )


# --- Entries. -------------------------------------------------------------------------------------

SUBJECT = re.compile(r"[0-9a-f]{32}")
"""The number of a person; a salt has the same form."""

HASH = re.compile(r"[0-9a-f]{64}")

_ENTRY = {"seq", "at", "event", "list", "campaign", "subject", "actor", *PARTS}
_AT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00", re.ASCII)


def held_faults(record: dict[str, Any]) -> Iterator[LazyText]:
    """Yield what is wrong with a held entry's parts; raises for one of another form."""
    require_names(record, {"entry", "parts"})
    entry, parts = record["entry"], record["parts"]
    require_names(entry, _ENTRY)
    for name, part in parts.items():
        require_names(part, {"salt", "content"})
        is_salt = SUBJECT.fullmatch(part["salt"])
        if (
            not is_salt
            or compute_part_digest(part["salt"], canonical(part["content"])) != entry[name]
        ):
            yield LazyText(
                "entry %(seq)s: the part %(name)s does not have the digest that it holds",
                seq=number_of(entry),
                name=name,
            )
        require(isinstance(part["content"], dict))


def require_entry(entry: Mapping[str, Any], *, is_subject: Callable[[str], object]) -> None:
    """Raise TypeError unless the ten values of an entry are of their types."""
    require(type(entry["seq"]) is type(entry["campaign"]) is int)
    require(entry["seq"] > 0 and entry["campaign"] >= 0)
    require_moment(entry["at"])
    require(is_subject(entry["subject"]))
    require(all(entry[name] == "" or HASH.fullmatch(entry[name]) for name in PARTS))
    require(all(isinstance(entry[name], str) for name in ("event", "list", "actor")))


def require_moment(text: str) -> None:
    """Raise TypeError or ValueError unless a text is a moment as `at` has it."""
    require(_AT.fullmatch(text) and datetime.fromisoformat(text))


def missing_parts(entries: Iterable[dict[str, Any]]) -> Iterator[tuple[int, str]]:
    """Yield which parts some held entries had and have no longer, as (entry, part)."""
    for record in entries:
        for name in PARTS:
            if record["entry"][name] and name not in record["parts"]:
                yield record["entry"]["seq"], name


def leaf_of(entry: Mapping[str, Any]) -> str:
    """Return the leaf of an entry whose time is text, as it stands in a proof."""
    return hashlib.sha256(canonical(entry).encode()).hexdigest()


def number_of(entry: Mapping[str, Any]) -> str:
    """Return the number of an entry as it stands, which may be anything."""
    return str(entry["seq"])
