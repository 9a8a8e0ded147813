"""Composing a proof of what one person said, and unpacking it from a ZIP. Pure."""

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
from repermit.evidence.consent_receipt import (
    ConsentRecordInput,
    RecordedEntry,
    compose_consent_record,
)
from repermit.evidence.entries import compute_part_digest, encode_canonical_json

FORMAT = "repermit-proof/1"

SIGNED_FORMAT = "repermit-proof/2"
"""The format with evidence of third parties: a signature, timestamps, cosigned checkpoints."""

MAX_SIZE = 50_000_000
"""The maximum bytes of a proof; one of a person who answered ten times has some 200,000."""

DEADLINE_NAMES = {"launched": "deadline", "extended": "to"}
"""The campaign events in a proof, and the field of each that holds the deadline."""

WORDINGS = (
    *("mail_wording", "page_wording", "link_page_wording", "wording", "attest"),
    "privacy_wording",
)
"""The names in a part `consent` that hold the digest of a wording."""


def compose_statement(
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
    """Return the statement of a proof; its consent record is made from all other fields.

    - `register`: None only for a proof from before proofs had it.
    - `campaign_entries`: the launches and extensions of the campaigns of `entries`. Empty without
      campaigns, and for a proof from before December 2026.
    """
    statement = {
        "list": slug,
        "subject": subject,
        "named": dict(named),
        "controller": dict(controller),
        "retention": dict(retention),
        "entries": list(entries),
        "wordings": dict(wordings),
    }
    if register is not None:
        statement["register"] = {name: list(texts) for name, texts in register.items()}
    if campaign_entries:
        statement["campaign_entries"] = list(campaign_entries)
    return {**statement, "record": compose_consent_record(_make_record_input(statement))}


def hash_statement(statement: Mapping[str, Any]) -> str:
    """Return the digest of a statement, which the proof's own entry holds."""
    return hashlib.sha256(encode_canonical_json(statement).encode()).hexdigest()


def digest_address(address_key: str, salt: str) -> dict[str, str]:
    """Return a salted digest of an address, for somebody who knows the address to recognise."""
    return {"salt": salt, "digest": compute_part_digest(salt, address_key)}


def as_text(document: Mapping[str, Any]) -> str:
    """Return a proof as the text of its file."""
    return json.dumps(document, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def make_recorded_entries(entries: Iterable[Mapping[str, Any]]) -> tuple[RecordedEntry, ...]:
    """Return the fields of entries that a consent record needs."""
    return tuple(
        RecordedEntry(
            at=item["entry"]["at"],
            event=item["entry"]["event"],
            consent=_drop_nulls(item["parts"].get("consent", {}).get("content", {})),
        )
        for item in entries
    )


def _drop_nulls(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return a content without null values, also without those under `unseen`."""
    present = {name: value for name, value in content.items() if value is not None}
    if isinstance(unseen := present.get("unseen"), dict):
        present["unseen"] = _drop_nulls(unseen)
    return present


def list_named_digests(entries: Iterable[Mapping[str, Any]]) -> set[str]:
    """Return the digests of the wordings that entries refer to."""
    contents = [entry.consent for entry in make_recorded_entries(entries)]
    return {part[name] for part in contents for name in WORDINGS if part.get(name)}


def _make_record_input(statement: Mapping[str, Any]) -> ConsentRecordInput:
    return ConsentRecordInput(
        list=statement["list"],
        subject=statement["subject"],
        entries=make_recorded_entries(statement["entries"]),
        controller=statement["controller"],
        retention=statement["retention"],
        register=statement.get("register"),
    )


# --- The proof in a ZIP, beside a page to print. --------------------------------------------------


_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_IS_ENCRYPTED = 0x1
# The errors of zipfile for a file that is cut off, altered, or malicious.
_BROKEN = (
    BadZipFile, zlib.error, struct.error, EOFError, OSError, ValueError, OverflowError,
    NotImplementedError,
)  # fmt: skip


def unpack_proof(octets: bytes, *, max_bytes: int) -> bytes:
    """Return the one proof in a ZIP; return other bytes unchanged.

    - `max_bytes`: no more is unpacked, whatever size the ZIP claims. Raises Refused.
    """
    if len(octets) > max_bytes or not octets.startswith(_ZIP):
        return octets
    try:
        with ZipFile(io.BytesIO(octets)) as archive:
            return _unpack(archive, _find_proof(archive), max_bytes)
    except _BROKEN:
        raise Refused("the ZIP is broken: it cannot be unpacked") from None


def _find_proof(archive: ZipFile) -> ZipInfo:
    proofs = [member for member in archive.infolist() if _is_proof(member)]
    if not proofs:
        raise Refused("there is no proof in the ZIP, whose name would end in .json")
    if len(proofs) > 1:
        raise Refused("there is more than one proof in the ZIP: unpack it, and take one of them")
    return proofs[0]


def _is_proof(member: ZipInfo) -> bool:
    """Say whether a member may be a proof; macOS adds a hidden twin to each file."""
    name = PurePosixPath(member.filename)
    is_hidden = name.name.startswith(".") or "__MACOSX" in name.parts
    return name.suffix.lower() == ".json" and not is_hidden


def _unpack(archive: ZipFile, member: ZipInfo, max_bytes: int) -> bytes:
    if member.flag_bits & _IS_ENCRYPTED:
        raise Refused("the ZIP is protected by a password: unpack it first")
    # With other methods, zipfile unpacks everything that it has read, without a limit.
    if member.compress_type not in {ZIP_STORED, ZIP_DEFLATED}:
        raise Refused("the ZIP is packed in an unusual way: unpack it first")
    with archive.open(member) as stream:
        unpacked = stream.read(max_bytes + 1)
    if len(unpacked) > max_bytes:
        raise Refused("unpacked, it has more than %(most)s octets", most=max_bytes)
    return unpacked
