"""A proof of what one person said: how it is checked. Pure.

docs/reference/proof-format.md tells third parties the same; a test has a verifier of their kind.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from repermit.errors import Refused
from repermit.evidence.entries import PARTS, Checkpoint, canonical, link, part_digest
from repermit.evidence.proof_file import (
    FORMAT,
    LARGEST,
    digest_of,
    digests_named,
    proof_in,
    statement_of,
)
from repermit.evidence.stored_tree import check_consistency, check_inclusion
from repermit.evidence.verify.proof_shape import read_number, require_content, shape_faults
from repermit.evidence.verify.signatures import (
    FORMATS,
    checkpoint_names,
    optional_names,
    signature_faults,
)
from repermit.evidence.verify.timestamps import timestamp_faults
from repermit.i18n.lazy_text import Joined, Said

# --- Whether a checkpoint agrees with one that was kept elsewhere. --------------------------------


class Agreement(StrEnum):
    """How a document agrees with a checkpoint; `untold` where the document does not show it."""

    SAME = "same"
    GOES_ON = "goes_on"
    UNTOLD = "untold"
    DIFFERS = "differs"


def agreement(document: Mapping[str, Any], known: Checkpoint) -> Agreement:
    """Return how a document agrees with a checkpoint that was kept elsewhere.

    The document's own checkpoint, and how that goes on from an earlier one, hold by themselves.
    """
    own, earlier = document["checkpoint"], (document.get("consistency") or {}).get("earlier", {})
    if known.seq not in {own["seq"], earlier.get("seq")}:
        return Agreement.UNTOLD
    if known == Checkpoint.from_json(own):
        return Agreement.SAME
    goes_on = {"seq": known.seq, "root": known.root} == earlier
    return Agreement.GOES_ON if goes_on else Agreement.DIFFERS


def shown_to_go_on(octets: bytes) -> Mapping[str, Any] | None:
    """Return what `verify --checkpoint FILE --json` printed, None if this is something else."""
    try:
        document = json.loads(octets)
    except (ValueError, RecursionError):
        return None
    is_output = isinstance(document, dict) and "format" not in document
    return document if is_output and "consistency" in document else None


# --- A proof of what one person said. -------------------------------------------------------------


_SALT = re.compile(r"[0-9a-f]{32}")
_HASH = re.compile(r"[0-9a-f]{64}")
_DOCUMENT = {"format", "statement", "seal", "paths", "previous", "checkpoint"}
_WHERE_ASKED = {"last", "consistency"}
_ENTRY = {"seq", "at", "event", "list", "campaign", "subject", "actor", *PARTS}


@dataclass(frozen=True)
class Checked:
    """The result of checking a proof: `faults` is empty if it holds, and then there is a document.

    - `gone`: the parts that are held no longer, as (entry, part); nothing is claimed of them.
    """

    faults: tuple[Said, ...]
    document: Mapping[str, Any]
    gone: tuple[tuple[int, str], ...] = ()


class _OtherForm(ValueError):
    """A file has another form than a proof has; `said` is where, in words."""

    def __init__(self, said: Said) -> None:
        super().__init__(said)
        self.said = said


def check_proof(octets: bytes, *, most: int = LARGEST) -> Checked:
    """Check a proof's file by itself, or in a ZIP: every digest, path and claim of it.

    - `octets`: anything; what is no proof is a fault, not an error.
    - `most`: the number of octets above which it is a fault.
    """
    try:
        document = _read_document(proof_in(octets, most=most), most)
        faults = tuple(_faults(document))
        gone = () if faults else tuple(_missing_parts(document["statement"]["entries"]))
    except Refused as refusal:
        return Checked((refusal.said,), {})
    except RecursionError:
        return Checked((Said("it is nested too deeply"),), {})
    except _OtherForm as error:
        return Checked((_other_form(error.said),), {})
    except (ValueError, LookupError, TypeError, AttributeError):
        # Nobody could mend it by what Python says of it.
        reason = Said("something in it is of another kind than there should be")
        return Checked((_other_form(reason),), {})
    return Checked(faults, document, gone)


def _other_form(reason: Said) -> Said:
    return Said("it is not of the form %(format)s: %(reason)s", format=FORMAT, reason=reason)


def _read_document(octets: bytes, most: int) -> dict[str, Any]:
    if len(octets) > most:
        raise Refused("it has more than %(most)s octets", most=most)
    try:
        document: dict[str, Any] = json.loads(
            octets.decode(),
            object_pairs_hook=_make_object,
            parse_constant=_refuse_constant,
            parse_int=read_number,
            parse_float=read_number,
        )
    except (_OtherForm, Refused):
        raise
    except ValueError:
        raise _OtherForm(Said("it is no JSON")) from None
    return document


def _make_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _OtherForm(Said("a name stands twice in one object"))
    return members


def _refuse_constant(constant: str) -> None:
    raise _OtherForm(Said("%(constant)s is no JSON", constant=constant))


def _faults(document: dict[str, Any]) -> Iterator[Said]:
    """Yield what does not hold, in the order in which a reader would look."""
    # Of proofs that were sealed one after the other, all but the newest name a later last entry.
    may = _WHERE_ASKED | optional_names(document)
    _require_names(document, _DOCUMENT | (may & document.keys()))
    if document["format"] not in FORMATS:
        its_format = repr(document["format"])
        yield Said("its format is %(found)s, not %(format)s", found=its_format, format=FORMAT)
        return
    statement, seal = document["statement"], document["seal"]
    yield from _faults_of_entries(statement)
    yield from _faults_of_wordings(statement)
    made = statement_of(
        slug=statement["list"],
        **{name: statement[name] for name in statement.keys() - {"list", "record"}},
    )
    # To Python 0 is the same as false.
    if canonical(statement) != canonical(made):
        yield Said("the consent record does not say what the entries say")
    last = document.get("last", seal)
    yield from shape_faults(document)
    yield from _faults_of_seal(statement, seal)
    yield from _faults_of_last(document, last)
    yield from signature_faults(document)
    yield from timestamp_faults(document)
    yield from _faults_of_paths(document, [*statement["entries"], seal, last])
    if "consistency" in document:
        yield from faults_of_consistency(document)


def _faults_of_entries(statement: dict[str, Any]) -> Iterator[Said]:
    last = 0
    for record in statement["entries"]:
        yield from _faults_of_entry(record)
        entry = record["entry"]
        if entry["seq"] <= last:
            yield Said("entry %(seq)s is out of order", seq=_number(entry))
        last = entry["seq"]
        is_own = entry["list"] == statement["list"] or entry["event"] == "erased"
        if entry["subject"] != statement["subject"] or not is_own:
            yield Said("entry %(seq)s is not about this person and list", seq=_number(entry))


def _faults_of_entry(record: dict[str, Any]) -> Iterator[Said]:
    _require_names(record, {"entry", "parts"})
    entry, parts = record["entry"], record["parts"]
    _require_names(entry, _ENTRY)
    for name, part in parts.items():
        _require_names(part, {"salt", "content"})
        is_salt = _SALT.fullmatch(part["salt"])
        if not is_salt or part_digest(part["salt"], canonical(part["content"])) != entry[name]:
            yield Said(
                "entry %(seq)s: the part %(name)s does not have the digest that it holds",
                seq=_number(entry),
                name=name,
            )
        require_content(part["content"])


def _faults_of_wordings(statement: dict[str, Any]) -> Iterator[Said]:
    wordings = statement["wordings"]
    for digest, content in wordings.items():
        if hashlib.sha256(content.encode()).hexdigest() != digest:
            yield Said("the wording %(digest)s does not have that digest", digest=digest)
    named = digests_named(statement["entries"])
    for digest in sorted(named ^ wordings.keys()):
        yield Said(
            "the wording %(digest)s is named and not there, or there and not named", digest=digest
        )


def _faults_of_seal(statement: dict[str, Any], seal: dict[str, Any]) -> Iterator[Said]:
    """Yield what is wrong with the entry that was made when the proof was, and covers all of it."""
    yield from _faults_of_entry(seal)
    entry = seal["entry"]
    about = (entry["event"], entry["list"], entry["subject"])
    if about != ("proved", statement["list"], statement["subject"]):
        yield Said("entry %(seq)s does not say that this proof was made", seq=_number(entry))
    if seal["parts"].keys() != {"consent"} or seal["parts"]["consent"]["content"] != {
        "statement": digest_of(statement)
    }:
        yield Said("entry %(seq)s was made for another statement than this one", seq=_number(entry))
    if any(record["entry"]["seq"] >= entry["seq"] for record in statement["entries"]):
        yield Said("the proof's own entry does not stand behind those that it proves")


def _faults_of_last(document: dict[str, Any], last: dict[str, Any]) -> Iterator[Said]:
    """Yield what is wrong with the entry from which the checkpoint follows, often the seal."""
    if "last" in document:
        yield from _faults_of_entry(last)
    entry, checkpoint, previous = last["entry"], document["checkpoint"], document["previous"]
    _require_names(checkpoint, checkpoint_names(document))
    if entry["seq"] != checkpoint["seq"]:
        yield Said("entry %(seq)s is not the last one before the checkpoint", seq=_number(entry))
    if not _HASH.fullmatch(previous) or link(previous, _leaf(entry)) != checkpoint["hash"]:
        yield Said("the checkpoint's hash does not follow from entry %(seq)s", seq=_number(entry))


def _faults_of_paths(document: dict[str, Any], entries: Sequence[dict[str, Any]]) -> Iterator[Said]:
    paths, checkpoint = document["paths"], Checkpoint.from_json(document["checkpoint"])
    _require_names(paths, {str(record["entry"]["seq"]) for record in entries})
    for record in entries:
        entry = record["entry"]
        path = paths[str(entry["seq"])]
        if not check_inclusion(_leaf(entry), entry["seq"], path, checkpoint):
            yield Said(
                "entry %(seq)s does not stand under the checkpoint's root", seq=_number(entry)
            )


def faults_of_consistency(document: Mapping[str, Any]) -> Iterator[Said]:
    """Yield what is wrong with how a document's checkpoint goes on from an earlier one.

    Raises ValueError, LookupError, TypeError or AttributeError for what has another form.
    """
    consistency = document["consistency"]
    _require_names(consistency, {"earlier", "path"})
    _require_names(consistency["earlier"], {"seq", "root"})
    if not check_consistency(consistency, Checkpoint.from_json(document["checkpoint"])):
        yield Said(
            "the checkpoint does not go on from the earlier one, at %(seq)s",
            seq=_number(consistency["earlier"]),
        )


def _missing_parts(entries: Sequence[dict[str, Any]]) -> Iterator[tuple[int, str]]:
    for record in entries:
        for name in PARTS:
            if record["entry"][name] and name not in record["parts"]:
                yield record["entry"]["seq"], name


def _leaf(entry: Mapping[str, Any]) -> str:
    """Return the leaf of an entry whose time is text, as it stands in a proof."""
    return hashlib.sha256(canonical(entry).encode()).hexdigest()


def _require_names(value: dict[str, Any], names: set[str]) -> None:
    """Raise _OtherForm unless an object has just these names, so that nothing stands unchecked."""
    if value.keys() != names:
        found, expected = Joined(tuple(sorted(value))), Joined(tuple(sorted(names)))
        raise _OtherForm(
            Said("it has %(found)s where %(expected)s should stand", found=found, expected=expected)
        )


def _number(entry: Mapping[str, Any]) -> str:
    """Return the number of an entry as it stands, which may be anything."""
    return str(entry["seq"])
