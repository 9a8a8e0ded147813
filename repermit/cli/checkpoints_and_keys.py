"""Checkpoints that were kept elsewhere, keys and certificates, as commands are given them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from repermit.cli.output import echo
from repermit.errors import NotFound, Refused

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

    from repermit.evidence.entries import Checkpoint
    from repermit.evidence.signed_note import PublicKey


class Kept(NamedTuple):
    """A checkpoint that was kept elsewhere, and the file that it is read from."""

    path: Path
    checkpoint: Checkpoint


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint from a signed note or a file of ours that holds one; raises Refused."""
    from repermit.evidence import signed_checkpoint

    try:
        return signed_checkpoint.read_checkpoint_copy(path.read_text("utf-8-sig"))
    except OSError as error:
        raise NotFound(f"{path} cannot be read: {error.strerror}") from None
    except ValueError:  # no UTF-8, no JSON, nested without end, or another one
        raise Refused(
            f"{path} holds no checkpoint: a signed note, or seq, hash and root as JSON"
        ) from None


def find_signers(
    kept: Kept, keys: Sequence[PublicKey], *, others: Sequence[PublicKey] = ()
) -> list[PublicKey]:
    """Return those of some keys that signed a checkpoint, of `others` where none are given.

    Raises Refused where it is by none of the keys that are given, or its signature is wrong.
    """
    from repermit.evidence import signed_checkpoint

    try:
        found = signed_checkpoint.list_signers(kept.checkpoint, keys or others)
    except ValueError as error:
        raise Refused(f"{kept.path}: {error}") from None
    if keys and not found:
        raise Refused(f"{kept.path} has no valid signature of a key that you know")
    return found


def read_authorities(path: Path) -> tuple[Certificate, ...]:
    """Read the certificates of those who vouch for timestamps; raises Refused."""
    from repermit.evidence import timestamp_token

    try:
        return timestamp_token.read_authorities(str(path))
    except (ValueError, OSError):
        raise Refused(f"{path} holds no certificate as PEM") from None


def read_keys(texts: Sequence[str]) -> list[PublicKey]:
    """Read keys, each given by itself or in a file with one a line; raises Refused."""
    from repermit.evidence.signed_note import read_any_key

    found: list[PublicKey] = []
    for text in texts:
        try:
            is_file = Path(text).is_file()
            written = Path(text).read_text("utf-8-sig") if is_file else text
            found += [read_any_key(one) for one in written.split("\n") if one.strip()]
        except (OSError, ValueError):
            raise Refused(
                f"{text} is no key, nor a file of keys, as /.well-known/repermit-evidence-keys "
                "shows them"
            ) from None
    return found


def print_checkpoint(checkpoint: Checkpoint) -> None:
    """Print a checkpoint as `--checkpoint` reads it."""
    echo(json.dumps(checkpoint.to_json()))
