"""A proof of what one person said: how it is put together, and how it is checked. Pure.

May import receipts, addresses, and of this room what is pure. README's "Checking a proof" tells
third parties the same; a test has a verifier of their kind.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from repermit.evidence.facts import Checkpoint
from repermit.evidence.leaves import PARTS, canonical, link, part_digest
from repermit.evidence.tree import check_consistency, check_inclusion
from repermit.receipts import Account, Said, consent_record

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

FORMAT = "repermit-proof/1"

LARGEST = 50_000_000
"""Octets that a proof may have; one of a person who answered ten times has some 200,000."""

WORDINGS = ("mail_wording", "page_wording", "wording", "attest")
"""Under which names a part `consent` holds the digest of a wording."""

_SALT = re.compile(r"[0-9a-f]{32}")
_HASH = re.compile(r"[0-9a-f]{64}")
_DOCUMENT = {"format", "statement", "seal", "paths", "previous", "checkpoint"}
_WHERE_ASKED = {"last", "consistency"}
_ENTRY = {"seq", "at", "event", "list", "campaign", "subject", "actor", *PARTS}


@dataclass(frozen=True)
class Checked:
    """What came of checking a proof: `faults` is empty if it holds, and then there is a document.

    `gone` are the parts that are held no longer, as (entry, part): nothing is claimed of them.
    """

    faults: tuple[str, ...]
    document: Mapping[str, Any]
    gone: tuple[tuple[int, str], ...] = ()


def statement_of(
    *,
    slug: str,
    subject: str,
    named: Mapping[str, str],
    controller: Mapping[str, str],
    retention: Mapping[str, str],
    entries: Sequence[Mapping[str, Any]],
    wordings: Mapping[str, str],
) -> dict[str, Any]:
    """Return what a proof claims; its consent record is made from all the rest."""
    claimed = {
        "list": slug,
        "subject": subject,
        "named": dict(named),
        "controller": dict(controller),
        "retention": dict(retention),
        "entries": list(entries),
        "wordings": dict(wordings),
    }
    return {**claimed, "record": consent_record(_account(claimed))}


def digest_of(statement: Mapping[str, Any]) -> str:
    """Return the digest of what a proof claims, which its own entry holds."""
    return hashlib.sha256(canonical(statement).encode()).hexdigest()


def name_address(address_key: str, salt: str) -> dict[str, str]:
    """Return the digest by which whoever knows the address can tell whose a proof is."""
    return {"salt": salt, "digest": part_digest(salt, address_key)}


def is_about(document: Mapping[str, Any], address_key: str) -> bool:
    """Say whether a proof that holds was made for whoever named this address."""
    named: dict[str, str] = document["statement"]["named"]
    return name_address(address_key, named["salt"]) == named


def as_text(document: Mapping[str, Any]) -> str:
    """Return a proof as its file has it."""
    return json.dumps(document, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def told_by(entries: Iterable[Mapping[str, Any]]) -> tuple[Said, ...]:
    """Return entries as far as a consent record tells them."""
    return tuple(
        Said(
            at=one["entry"]["at"],
            event=one["entry"]["event"],
            told=one["parts"].get("consent", {}).get("content", {}),
        )
        for one in entries
    )


def digests_named(entries: Iterable[Mapping[str, Any]]) -> set[str]:
    """Return the digests of the wordings that entries name."""
    told = [said.told for said in told_by(entries)]
    return {part[name] for part in told for name in WORDINGS if part.get(name)}


def check_proof(octets: bytes) -> Checked:
    """Check a proof's file by itself: every digest, path and claim of it.

    Nothing that can stand in a file ends in an error; what is no proof is a fault too.
    """
    if len(octets) > LARGEST:
        return Checked((f"it has more than {LARGEST:,} octets",), {})
    try:
        document = json.loads(octets.decode(), object_pairs_hook=_object, parse_constant=_refuse)
        faults = tuple(_faults(document))
        gone = () if faults else tuple(_gone(document["statement"]["entries"]))
    except RecursionError:
        return Checked(("it is nested too deeply",), {})
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        return Checked((f"it is not of the form {FORMAT}: {error}",), {})
    return Checked(faults, document, gone)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return found


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def _faults(document: dict[str, Any]) -> Iterator[str]:
    """Yield what does not hold, in the order in which a reader would look."""
    # Of proofs that were sealed one after the other, all but the newest name a later last entry.
    _require_names(document, _DOCUMENT | (_WHERE_ASKED & document.keys()))
    if document["format"] != FORMAT:
        yield f"its format is {document['format']!r}, not {FORMAT}"
        return
    statement, seal = document["statement"], document["seal"]
    yield from _faults_of_entries(statement)
    yield from _faults_of_wordings(statement)
    if statement != statement_of(
        slug=statement["list"],
        **{name: statement[name] for name in statement.keys() - {"list", "record"}},
    ):
        yield "the consent record does not say what the entries say"
    last = document.get("last", seal)
    yield from _faults_of_seal(statement, seal)
    yield from _faults_of_last(document, last)
    yield from _faults_of_paths(document, [*statement["entries"], seal, last])
    if "consistency" in document:
        yield from faults_of_consistency(document)


def _faults_of_entries(statement: dict[str, Any]) -> Iterator[str]:
    last = 0
    for one in statement["entries"]:
        yield from _faults_of_entry(one)
        entry = one["entry"]
        if entry["seq"] <= last:
            yield f"entry {entry['seq']} is out of order"
        last = entry["seq"]
        is_own = entry["list"] == statement["list"] or entry["event"] == "erased"
        if entry["subject"] != statement["subject"] or not is_own:
            yield f"entry {entry['seq']} is not about this person and list"


def _faults_of_entry(one: dict[str, Any]) -> Iterator[str]:
    _require_names(one, {"entry", "parts"})
    entry, parts = one["entry"], one["parts"]
    _require_names(entry, _ENTRY)
    for name, part in parts.items():
        _require_names(part, {"salt", "content"})
        is_salt = _SALT.fullmatch(part["salt"])
        if not is_salt or part_digest(part["salt"], canonical(part["content"])) != entry[name]:
            yield f"entry {entry['seq']}: the part {name} does not have the digest that it holds"


def _faults_of_wordings(statement: dict[str, Any]) -> Iterator[str]:
    wordings = statement["wordings"]
    for digest, content in wordings.items():
        if hashlib.sha256(content.encode()).hexdigest() != digest:
            yield f"the wording {digest} does not have that digest"
    named = digests_named(statement["entries"])
    for digest in sorted(named ^ wordings.keys()):
        yield f"the wording {digest} is named and not there, or there and not named"


def _faults_of_seal(statement: dict[str, Any], seal: dict[str, Any]) -> Iterator[str]:
    """Yield what is wrong with the entry that was made when the proof was, and covers all of it."""
    yield from _faults_of_entry(seal)
    entry = seal["entry"]
    about = (entry["event"], entry["list"], entry["subject"])
    if about != ("proved", statement["list"], statement["subject"]):
        yield f"entry {entry['seq']} does not say that this proof was made"
    if seal["parts"].keys() != {"consent"} or seal["parts"]["consent"]["content"] != {
        "statement": digest_of(statement)
    }:
        yield f"entry {entry['seq']} was made for another statement than this one"
    if any(one["entry"]["seq"] >= entry["seq"] for one in statement["entries"]):
        yield "the proof's own entry does not stand behind those that it proves"


def _faults_of_last(document: dict[str, Any], last: dict[str, Any]) -> Iterator[str]:
    """Yield what is wrong with the entry from which the checkpoint follows, often the seal."""
    if "last" in document:
        yield from _faults_of_entry(last)
    entry, checkpoint, previous = last["entry"], document["checkpoint"], document["previous"]
    _require_names(checkpoint, {"seq", "hash", "root"})
    if entry["seq"] != checkpoint["seq"]:
        yield f"entry {entry['seq']} is not the last one before the checkpoint"
    if not _HASH.fullmatch(previous) or link(previous, _leaf(entry)) != checkpoint["hash"]:
        yield f"the checkpoint's hash does not follow from entry {entry['seq']}"


def _faults_of_paths(document: dict[str, Any], entries: Sequence[dict[str, Any]]) -> Iterator[str]:
    paths, checkpoint = document["paths"], Checkpoint.from_json(document["checkpoint"])
    _require_names(paths, {str(one["entry"]["seq"]) for one in entries})
    for one in entries:
        entry = one["entry"]
        path = paths[str(entry["seq"])]
        if not check_inclusion(_leaf(entry), entry["seq"], path, checkpoint):
            yield f"entry {entry['seq']} does not stand under the checkpoint's root"


def faults_of_consistency(document: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with how a document's checkpoint goes on from an earlier one.

    Raises ValueError, LookupError, TypeError or AttributeError for what has another form.
    """
    shown, checkpoint = document["consistency"], Checkpoint.from_json(document["checkpoint"])
    _require_names(shown, {"earlier", "path"})
    _require_names(shown["earlier"], {"seq", "root"})
    if not check_consistency(shown, checkpoint):
        yield f"the checkpoint does not go on from the earlier one, at {shown['earlier']['seq']}"


def _gone(entries: Sequence[dict[str, Any]]) -> Iterator[tuple[int, str]]:
    for one in entries:
        for name in PARTS:
            if one["entry"][name] and name not in one["parts"]:
                yield one["entry"]["seq"], name


def _leaf(entry: Mapping[str, Any]) -> str:
    """Return the leaf of an entry whose time is text, as it stands in a proof."""
    return hashlib.sha256(canonical(entry).encode()).hexdigest()


def _require_names(value: dict[str, Any], names: set[str]) -> None:
    """Raise ValueError unless an object has just these names: nothing may stand there unchecked."""
    if value.keys() != names:
        raise ValueError(f"it has {sorted(value)} where {sorted(names)} should stand")


def _account(statement: Mapping[str, Any]) -> Account:
    return Account(
        list=statement["list"],
        subject=statement["subject"],
        entries=told_by(statement["entries"]),
        controller=statement["controller"],
        retention=statement["retention"],
    )
