"""Checkpoints that were kept elsewhere: read, shown, and seen to go on from one another."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repermit.cli.output import say
from repermit.errors import NotFound, Refused

if TYPE_CHECKING:
    from repermit.evidence.entries import Checkpoint


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint from a file of ours that holds one; raises Refused."""
    from repermit.evidence.entries import Checkpoint

    try:
        # Whoever types what stands in a receipt by mail types capitals.
        return Checkpoint.from_json(json.loads(path.read_text("utf-8-sig").lower()))
    except OSError as error:
        raise NotFound(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError):  # no UTF-8, no JSON, nested without end, or another one
        raise Refused(f"{path} holds no checkpoint: seq, hash and root, as JSON") from None


def say_checkpoint(checkpoint: Checkpoint) -> None:
    """Print a checkpoint as `--checkpoint` reads it."""
    say(json.dumps(checkpoint.to_json()))


def verify_consistency(path: Path, shown: Mapping[str, Any], known: Checkpoint | None) -> None:
    """Say whether a checkpoint goes on from the one that is known; raises Refused if not.

    Neither database nor network is asked.
    """
    from repermit.evidence import verify_proof

    try:
        faults = list(verify_proof.faults_of_consistency(shown))
    except (ValueError, LookupError, TypeError, AttributeError):
        raise Refused(
            f"{path} does not show that a record goes on from an earlier checkpoint: make it by "
            "`repermit verify --checkpoint FILE --json`"
        ) from None
    if faults:
        raise Refused("\n".join((f"{path} proves nothing:", *(f"  - {one}" for one in faults))))
    if known is None:
        raise Refused("say which checkpoint you know: --checkpoint FILE")
    say(agreement(shown, known))


def agreement(document: Mapping[str, Any], known: Checkpoint) -> str:
    """Return in words how a document agrees with a checkpoint that was kept elsewhere.

    The document's own checkpoint, and how that goes on from an earlier one, hold by themselves.
    Raises Refused unless it is seen to agree.
    """
    from repermit.evidence import verify_proof
    from repermit.evidence.verify_proof import Agreement

    how = verify_proof.agreement(document, known)
    if how is Agreement.UNTOLD:
        raise Refused(
            "whether this agrees with your checkpoint cannot be told from the file: that was made "
            f"at entry {known.seq:,}, this one at {document['checkpoint']['seq']:,}; whoever holds "
            "the database can tell, by `repermit verify --checkpoint FILE`, and can make a file "
            "that shows it: `proof … --checkpoint FILE`, or `verify --checkpoint FILE --json`"
        )
    if how is Agreement.SAME:
        return "It agrees with your checkpoint: its entries stood in the record when that was kept."
    if how is Agreement.GOES_ON:
        return (
            f"It goes on from your checkpoint at entry {known.seq:,}: up to there nothing was "
            "changed, left out or put in since; what has a higher number came later."
        )
    raise Refused(
        f"this does not agree with your checkpoint: at the same entry {known.seq:,} that knows "
        "another record"
    )
