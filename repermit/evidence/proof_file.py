"""A proof of what one person said: how it is put together. Pure."""

from __future__ import annotations

import hashlib
import io
import json
import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from repermit.errors import Refused
from repermit.evidence.consent_receipt import ConsentRecordInput, RecordedEntry, consent_record
from repermit.evidence.entries import canonical, compute_part_digest

FORMAT = "repermit-proof/1"

SIGNED_FORMAT = "repermit-proof/2"
"""The same with what others can check: a signature, timestamps, cosigned checkpoints."""

LARGEST = 50_000_000
"""Octets that a proof may have; one of a person who answered ten times has some 200,000."""

DEADLINE_NAMES = {"launched": "deadline", "extended": "to"}
"""What a proof tells of a campaign: entries that name nobody, and where each has its deadline."""

WORDINGS = (
    *("mail_wording", "page_wording", "link_page_wording", "wording", "attest"),
    "privacy_wording",
)
"""Under which names a part `consent` holds the digest of a wording."""


def statement_of(
    *,
    slug: str,
    subject: str,
    named: Mapping[str, str],
    controller: Mapping[str, str],
    retention: Mapping[str, str],
    entries: Sequence[Mapping[str, Any]],
    wordings: Mapping[str, str],
    register: Mapping[str, Sequence[str]] | None = None,
    campaign_entries: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Return what a proof claims; its consent record is made from all the rest.

    - `register`: None only for a proof from before there was one.
    - `campaign_entries`: how the campaigns of `entries` were launched and extended. Empty where
      there were none, and for a proof from before December 2026.
    """
    claimed = {
        "list": slug,
        "subject": subject,
        "named": dict(named),
        "controller": dict(controller),
        "retention": dict(retention),
        "entries": list(entries),
        "wordings": dict(wordings),
    }
    if register is not None:
        claimed["register"] = {name: list(texts) for name, texts in register.items()}
    if campaign_entries:
        claimed["campaign_entries"] = list(campaign_entries)
    return {**claimed, "record": consent_record(_account(claimed))}


def digest_of(statement: Mapping[str, Any]) -> str:
    """Return the digest of what a proof claims, which its own entry holds."""
    return hashlib.sha256(canonical(statement).encode()).hexdigest()


def digest_address(address_key: str, salt: str) -> dict[str, str]:
    """Return the digest by which whoever knows the address can tell whose a proof is."""
    return {"salt": salt, "digest": compute_part_digest(salt, address_key)}


def as_text(document: Mapping[str, Any]) -> str:
    """Return a proof as its file has it."""
    return json.dumps(document, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def told_by(entries: Iterable[Mapping[str, Any]]) -> tuple[RecordedEntry, ...]:
    """Return entries as far as a consent record tells them."""
    return tuple(
        RecordedEntry(
            at=one["entry"]["at"],
            event=one["entry"]["event"],
            told=_without_nulls(one["parts"].get("consent", {}).get("content", {})),
        )
        for one in entries
    )


def _without_nulls(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return a content in which what is null is absent, and under `unseen` too."""
    told = {name: value for name, value in content.items() if value is not None}
    if isinstance(unseen := told.get("unseen"), dict):
        told["unseen"] = _without_nulls(unseen)
    return told


def digests_named(entries: Iterable[Mapping[str, Any]]) -> set[str]:
    """Return the digests of the wordings that entries name."""
    told = [said.told for said in told_by(entries)]
    return {part[name] for part in told for name in WORDINGS if part.get(name)}


def _account(statement: Mapping[str, Any]) -> ConsentRecordInput:
    return ConsentRecordInput(
        list=statement["list"],
        subject=statement["subject"],
        entries=told_by(statement["entries"]),
        controller=statement["controller"],
        retention=statement["retention"],
        register=statement.get("register"),
    )


# --- The proof in a ZIP, beside a page to print. --------------------------------------------------


_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_IS_ENCRYPTED = 0x1
# What zipfile says of a file that is cut off, altered, or made to harm.
_BROKEN = (
    BadZipFile, zlib.error, struct.error, EOFError, OSError, ValueError, OverflowError,
    NotImplementedError,
)  # fmt: skip


def proof_in(octets: bytes, *, most: int) -> bytes:
    """Return the one proof in a ZIP, and anything else as it is.

    No more than `most` octets are unpacked, whatever the ZIP says of itself. Raises Refused.
    """
    if len(octets) > most or not octets.startswith(_ZIP):
        return octets
    try:
        with ZipFile(io.BytesIO(octets)) as archive:
            return _unpacked(archive, _proof_of(archive), most)
    except _BROKEN:
        raise Refused("the ZIP is broken: it cannot be unpacked") from None


def _proof_of(archive: ZipFile) -> ZipInfo:
    found = [one for one in archive.infolist() if _is_proof(one)]
    if not found:
        raise Refused("there is no proof in the ZIP, whose name would end in .json")
    if len(found) > 1:
        raise Refused("there is more than one proof in the ZIP: unpack it, and take one of them")
    return found[0]


def _is_proof(member: ZipInfo) -> bool:
    """Say whether this may be a proof; macOS adds a hidden twin to each file."""
    name = PurePosixPath(member.filename)
    is_hidden = name.name.startswith(".") or "__MACOSX" in name.parts
    return name.suffix.lower() == ".json" and not is_hidden


def _unpacked(archive: ZipFile, member: ZipInfo, most: int) -> bytes:
    if member.flag_bits & _IS_ENCRYPTED:
        raise Refused("the ZIP is protected by a password: unpack it first")
    # Of the others zipfile unpacks all that it has read, however much that becomes.
    if member.compress_type not in {ZIP_STORED, ZIP_DEFLATED}:
        raise Refused("the ZIP is packed in an unusual way: unpack it first")
    with archive.open(member) as stream:
        unpacked = stream.read(most + 1)
    if len(unpacked) > most:
        raise Refused("unpacked, it has more than %(most)s octets", most=most)
    return unpacked
