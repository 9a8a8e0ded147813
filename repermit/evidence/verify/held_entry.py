"""Checking entries as proofs and exports hold them, and the JSON of these files. Pure."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from repermit.errors import Refused
from repermit.evidence.entries import PARTS, compute_part_digest, encode_canonical_json
from repermit.i18n.lazy_text import LazyJoin, LazyText

# --- JSON. ----------------------------------------------------------------------------------------

_NUMBER = re.compile(r"0|-?[1-9][0-9]{0,15}")
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_MAX_NUMBER = 2**53 - 1
_SHOWN = 40


def read_with_faults(
    read: Callable[[], dict[str, Any]],
    faults: Callable[[dict[str, Any]], Iterator[LazyText]],
    *,
    form: str,
) -> tuple[dict[str, Any], tuple[LazyText, ...]]:
    """Return a document and its faults; one of another form is {} with one fault.

    - `read`: returns the document, as `read_document` does.
    - `faults`: yields its faults. Both may raise Refused, ValueError, LookupError, TypeError or
      AttributeError for a document of another form.
    - `form`: the expected format's name, for the fault.
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
        # Python's own message would not help a reader to repair the file.
        reason = LazyText("something in it is of another kind than there should be")
    return {}, (
        LazyText("it is not of the form %(format)s: %(reason)s", format=form, reason=reason),
    )


class _OtherForm(ValueError):
    """A file has another form than it should have; `said` says where, for people."""

    def __init__(self, said: LazyText) -> None:
        super().__init__(said)
        self.said = said


def read_document(octets: bytes, *, max_bytes: int) -> dict[str, Any]:
    """Return the JSON object of a file.

    Raises Refused for a file of more than `max_bytes` octets, and ValueError for other content.
    """
    if len(octets) > max_bytes:
        raise Refused("it has more than %(most)s octets", most=max_bytes)
    with refuse_invalid_json():
        document: dict[str, Any] = make_decoder().decode(octets.decode())
    return document


class _Decoder(json.JSONDecoder):
    """A JSON decoder that refuses lone surrogates, which are half of a character."""

    def raw_decode(self, s: str, idx: int = 0) -> tuple[Any, int]:
        value, end = super().raw_decode(s, idx)
        if _SURROGATE.search(s, idx, end):
            try:
                encode_canonical_json(value).encode()
            except UnicodeEncodeError:
                raise _OtherForm(
                    LazyText("a text in it has half of a character (a lone surrogate)")
                ) from None
        return value, end


def make_decoder() -> json.JSONDecoder:
    """Return a decoder for the JSON of proofs: no duplicate names, floats or large numbers."""
    return _Decoder(
        object_pairs_hook=_make_object,
        parse_constant=_refuse_constant,
        parse_int=read_number,
        parse_float=read_number,
    )


@contextmanager
def refuse_invalid_json() -> Iterator[None]:
    """Raise a fault for people if the block raises that something is not JSON."""
    try:
        yield
    except _OtherForm:
        raise
    except (json.JSONDecodeError, UnicodeError):
        raise _OtherForm(LazyText("it is no JSON")) from None


def require_new_name(name: str, names: Collection[str]) -> None:
    """Raise ValueError if a name is already among the names of its object."""
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
    """Return an integer of at most 2^53 - 1 in canonical form; raises Refused for another one."""
    if not _NUMBER.fullmatch(text) or abs(int(text)) > _MAX_NUMBER:
        raise Refused("%(number)s is no number that a proof may have", number=text[:_SHOWN])
    return int(text)


def require(holds: object) -> None:
    """Raise TypeError, as for a document of another form, unless a condition holds."""
    if not holds:
        raise TypeError


def require_names(value: dict[str, Any], names: set[str]) -> None:
    """Raise _OtherForm unless an object has exactly these names, so that nothing is unchecked."""
    if value.keys() != names:
        found, expected = LazyJoin(tuple(sorted(value))), LazyJoin(tuple(sorted(names)))
        raise _OtherForm(
            LazyText(
                "it has %(found)s where %(expected)s should stand", found=found, expected=expected
            )
        )


# --- Entries. -------------------------------------------------------------------------------------

SUBJECT = re.compile(r"[0-9a-f]{32}")
"""The form of a subject's number, and of a salt."""

HASH = re.compile(r"[0-9a-f]{64}")

_ENTRY = {"seq", "at", "event", "list", "campaign", "subject", "actor", *PARTS}
_AT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00", re.ASCII)


def check_held_entry(record: dict[str, Any]) -> Iterator[LazyText]:
    """Yield the faults of an entry's parts.

    Raises ValueError, LookupError, TypeError or AttributeError for an entry of another form.
    """
    require_names(record, {"entry", "parts"})
    entry, parts = record["entry"], record["parts"]
    require_names(entry, _ENTRY)
    for name, part in parts.items():
        require_names(part, {"salt", "content"})
        is_salt = SUBJECT.fullmatch(part["salt"])
        if (
            not is_salt
            or compute_part_digest(part["salt"], encode_canonical_json(part["content"]))
            != entry[name]
        ):
            yield LazyText(
                "entry %(seq)s: the part %(name)s does not have the digest that it holds",
                seq=format_entry_number(entry),
                name=name,
            )
        require(isinstance(part["content"], dict))


def require_entry(entry: Mapping[str, Any], *, is_subject: Callable[[str], object]) -> None:
    """Raise TypeError or ValueError unless the ten values of an entry have the right types."""
    require(type(entry["seq"]) is type(entry["campaign"]) is int)
    require(entry["seq"] > 0 and entry["campaign"] >= 0)
    require_entry_time(entry["at"])
    require(is_subject(entry["subject"]))
    require(all(entry[name] == "" or HASH.fullmatch(entry[name]) for name in PARTS))
    require(all(isinstance(entry[name], str) for name in ("event", "list", "actor")))


def require_row(row: Mapping[str, Any]) -> None:
    """Raise TypeError or ValueError unless an entry as it is stored has a time and a number."""
    # PostgreSQL has checked the time itself.
    if isinstance(row["at"], str):
        require_entry_time(row["at"])
    require(row["campaign"] >= 0)


def require_entry_time(text: str) -> None:
    """Raise TypeError or ValueError unless a text is a time in the form of an entry's `at`."""
    require(_AT.fullmatch(text) and datetime.fromisoformat(text))


def iter_missing_parts(entries: Iterable[dict[str, Any]]) -> Iterator[tuple[int, str]]:
    """Yield the parts that entries name but no longer hold, as (entry, part)."""
    for record in entries:
        for name in PARTS:
            if record["entry"][name] and name not in record["parts"]:
                yield record["entry"]["seq"], name


def compute_proof_leaf(entry: Mapping[str, Any]) -> str:
    """Return the leaf of an entry in a proof, where its time is text."""
    return hashlib.sha256(encode_canonical_json(entry).encode()).hexdigest()


def format_entry_number(entry: Mapping[str, Any]) -> str:
    """Return the number of an entry as text; the value may be anything, as it is unchecked."""
    return str(entry["seq"])
