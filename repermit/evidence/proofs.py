"""A proof of what one person said: how it is put together. Pure.

May import receipts, addresses, and of this room what is pure.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from repermit.evidence.leaves import canonical, part_digest
from repermit.receipts import Account, Said, consent_record

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

FORMAT = "repermit-proof/1"

LARGEST = 50_000_000
"""Octets that a proof may have; one of a person who answered ten times has some 200,000."""

WORDINGS = ("mail_wording", "page_wording", "wording", "attest")
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


def _account(statement: Mapping[str, Any]) -> Account:
    return Account(
        list=statement["list"],
        subject=statement["subject"],
        entries=told_by(statement["entries"]),
        controller=statement["controller"],
        retention=statement["retention"],
    )
