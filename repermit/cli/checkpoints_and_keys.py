"""Reading the checkpoints, keys and certificates that are given to commands."""

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


class KnownCheckpoint(NamedTuple):
    """A checkpoint that the user kept, with the path of its file."""

    path: Path
    checkpoint: Checkpoint


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint from a signed note, or from a JSON file of repermit that holds one.

    Raises NotFound if the file cannot be read, and Refused if it holds no checkpoint.
    """
    from repermit.evidence import signed_checkpoint

    try:
        return signed_checkpoint.read_checkpoint_copy(path.read_text("utf-8-sig"))
    except OSError as error:
        raise NotFound(f"{path} cannot be read: {error.strerror}") from None
    except ValueError:  # not UTF-8, not JSON, nested too deeply, or another document
        raise Refused(
            f"{path} holds no checkpoint: a signed note, or seq, hash and root as JSON"
        ) from None


def find_signers(
    known: KnownCheckpoint,
    keys: Sequence[PublicKey],
    *,
    others: Sequence[PublicKey] = (),
) -> list[PublicKey]:
    """Return the keys that signed a checkpoint.

    - `others`: the keys to look for if `keys` is empty; then the result may be empty.

    Raises Refused if the signature is wrong, or if `keys` are given and none of them signed it.
    """
    from repermit.evidence import signed_checkpoint

    try:
        signers = signed_checkpoint.list_signers(known.checkpoint, keys or others)
    except ValueError as error:
        raise Refused(f"{known.path}: {error}") from None
    if keys and not signers:
        raise Refused(f"{known.path} has no valid signature of a key that you know")
    return signers


def read_authorities(path: Path) -> tuple[Certificate, ...]:
    """Read the certificates of timestamp authorities from a PEM file; raises Refused."""
    from repermit.evidence import timestamp_token

    try:
        return timestamp_token.read_authorities(str(path))
    except (ValueError, OSError):
        raise Refused(f"{path} holds no certificate as PEM") from None


def read_keys(texts: Sequence[str]) -> list[PublicKey]:
    """Read keys; each text is a key, or the path of a file with a key on each line.

    Raises Refused.
    """
    from repermit.evidence.signed_note import read_any_key

    keys: list[PublicKey] = []
    for text in texts:
        try:
            is_file = Path(text).is_file()
            content = Path(text).read_text("utf-8-sig") if is_file else text
            keys += [read_any_key(line) for line in content.split("\n") if line.strip()]
        except (OSError, ValueError):
            raise Refused(
                f"{text} is no key, nor a file of keys, as /.well-known/repermit-evidence-keys "
                "shows them"
            ) from None
    return keys


def print_checkpoint(checkpoint: Checkpoint) -> None:
    """Print a checkpoint as `--checkpoint` reads it."""
    echo(json.dumps(checkpoint.to_json()))
