"""Whether the chain of evidence holds: the command `verify`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from repermit.cli.checkpoints_and_keys import (
    Kept,
    find_signers,
    print_checkpoint,
    read_authorities,
    read_checkpoint,
    read_keys,
)
from repermit.cli.command import command, json_option
from repermit.cli.context import CommandContext, pass_command_context
from repermit.cli.output import echo, echo_json, pluralize
from repermit.cli.verify_file import describe_coverage, verify_file
from repermit.errors import Refused

if TYPE_CHECKING:
    from repermit.evidence.entries import Checkpoint
    from repermit.evidence.signed_note import PublicKey, WitnessKey
    from repermit.evidence.verify.chain import Verified
    from repermit.evidence.verify.diagnosis import Fault
    from repermit.settings.definitions import Settings


@command(
    examples=(
        "repermit verify",
        "repermit verify --json",
        "repermit verify --checkpoint checkpoint.json",
        "repermit verify --checkpoint checkpoint.json --json",
        "repermit verify jan.json",
        "repermit verify jan.json --checkpoint checkpoint.json",
        "repermit verify jan.json --key keys.txt",
        "repermit verify checkpoint.json --key keys.txt",
    )
)
@click.argument("file", metavar="[FILE]", type=click.Path(path_type=Path), required=False)
@click.option(
    "--checkpoint",
    "paths",
    type=click.Path(path_type=Path),
    metavar="FILE",
    multiple=True,
    help="A checkpoint that you kept elsewhere: what this command or `status --json` printed then, "
    "or its signed note. May be given several times.",
)
@click.option(
    "--key",
    "keys",
    metavar="FILE|KEY",
    multiple=True,
    help="A key that you know, or a file with one a line. A proof or export must be signed by one "
    "of the record's keys that you give, and cosigned by each witness's key. For a checkpoint any "
    "of them will do. May be given several times.",
)
@click.option(
    "--timestamp-ca",
    "ca",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The certificates, as PEM in one file, of the authorities that you trust. Each timestamp "
    "of the proof, the export or the database must lead to one of them. What the settings and the "
    "record name does not count then.",
)
@json_option
@pass_command_context
def verify(
    context: CommandContext,
    file: Path | None,
    paths: tuple[Path, ...],
    keys: tuple[str, ...],
    ca: Path | None,
    *,
    as_json: bool,
) -> int:
    """Walk the chain of evidence, and name the first entry that does not hold; or check a proof.

    Prints a checkpoint: keep it where nobody who can write to the database can reach it. Given
    again, it also shows a tail that was cut off or rewritten since. The exit code is 1 if something
    does not hold, or cannot be told.

    FILE is a proof, as `repermit proof` writes it or in the ZIP of a page. It may also be an export
    of the evidence as JSON, or what --checkpoint and --json printed. It is checked without
    settings, database or network, and told in words. Of a checkpoint alone only signatures are
    checked, by --key: no record is compared with it. Only without FILE is there --json.
    """
    from repermit.evidence.cosigned_checkpoints import read_witness_key
    from repermit.evidence.timestamp_token import read_configured_authorities
    from repermit.evidence.verify import chain

    if file is not None and as_json:
        raise click.UsageError("--json is for the chain: a proof is JSON itself")
    kept = [Kept(path, read_checkpoint(path)) for path in paths]
    known_keys = read_keys(keys)
    if file is not None:
        verify_file(file, kept=kept, keys=known_keys, ca=ca)
        return 0
    context.lower_priority()
    kept.sort(key=lambda one: one.checkpoint.seq)
    checkpoints = [one.checkpoint for one in kept]
    with context.database() as database:
        signed = [_signer(one, known_keys, context.settings) for one in kept]
        found = chain.verify_chain(
            database,
            known=checkpoints[0] if kept else None,
            others=checkpoints[1:],
            authorities=read_authorities(ca)
            if ca
            else read_configured_authorities(context.settings),
            trusts_record=ca is None,
            witness=read_witness_key(context.settings),
            fingerprint_key=context.file.fingerprint_key,
            now=context.now,
        ).signed(context.file)
        differing = _name_differing(found.fault, kept)
        stamped = [
            *_about_timestamps(found),
            *_about_cosignatures(read_witness_key(context.settings)),
            *_about_coverage(found.entries),
        ]
    if as_json:
        echo_json(found.to_json())
        return 0 if found.fault is None else 1
    if found.checkpoint is None:
        raise Refused(f"the chain does not hold: {found.fault}{differing}")
    _print_result(found, found.checkpoint, list(zip(kept, signed, strict=True)), stamped)
    return 0


def _about_timestamps(found: Verified) -> list[str]:
    """Return how many timestamps there are, by who vouches, and which have been waited for."""
    from repermit.emails.frozen_draft import to_one_line
    from repermit.evidence import timestamps
    from repermit.evidence.verify.timestamps import NamedBy

    whys = {
        NamedBy.RECORD: "only the record names that authority",
        NamedBy.NOBODY: "who signed was not checked",
    }
    told, waiting = [], timestamps.list_pending()
    given = [one for one in found.timestamps if one.named_by is NamedBy.GIVEN]
    if given:
        count, last = sum(one.count for one in given), max(one.last for one in given)
        told.append(f"Timestamps that hold: {count}, the last of {last:%Y-%m-%d %H:%M}Z.")
    told += [
        f"{pluralize(one.count, 'timestamp')} by {to_one_line(one.authority)}, the last of "
        f"{one.last:%Y-%m-%d %H:%M}Z: {whys[one.named_by]}. Give its certificate to rely on it: "
        "--timestamp-ca or timestamp_ca_file."
        for one in found.timestamps
        if one.named_by in whys
    ]
    if waiting:
        first = waiting[0]
        why = f": {first.problem}" if first.problem else ""
        since = f"{first.due_at:%Y-%m-%d %H:%M}Z"
        told.append(f"{pluralize(len(waiting), 'timestamp')} waited for, since {since}{why}.")
    return told


def _about_coverage(last: int) -> list[str]:
    """Return what the times from outside do not show of a record with so many entries."""
    from repermit.evidence import cosigned_checkpoints, timestamps

    seqs = [one.seq for one in timestamps.list_received()]
    seqs += [one.seq for one in cosigned_checkpoints.read_stored_checkpoints()]
    return describe_coverage(seqs, entries=range(1, last + 1))


def _about_cosignatures(witness: WitnessKey | None) -> list[str]:
    """Return the newest cosigned checkpoint with its note, and why none comes."""
    from repermit.evidence import cosigned_checkpoints

    told = []
    kept = [
        (point, cosigned_checkpoints.read_cosigned_times(point.note, witness) if witness else [])
        for point in cosigned_checkpoints.read_stored_checkpoints()
    ]
    if points := [one for one in kept if one[1] or not witness]:
        last, times = points[-1]
        when = f" on {min(times):%Y-%m-%d %H:%M}Z" if times else ""
        count = pluralize(len(points), "cosigned checkpoint")
        told += [f"{count}, the last at entry {last.seq:,}{when}:", last.note]
    if others := len(kept) - len(points):
        told.append(f"{pluralize(others, 'checkpoint')} that another than this witness cosigned.")
    if problem := cosigned_checkpoints.read_problem():
        told.append(f"No cosignature came at {problem.at:%Y-%m-%d %H:%M}Z: {problem.reason}.")
    return told


def _signer(kept: Kept, keys: Sequence[PublicKey], settings: Settings) -> str:
    """Return who signed a checkpoint that was kept, in words; "" for one that is not signed.

    Raises Refused where keys are known and it is by none of them, or its signature is wrong.
    """
    from repermit.evidence import evidence_key

    found = find_signers(kept, keys, others=evidence_key.list_known_keys(settings))
    if not kept.checkpoint.note:
        return ""
    return f", signed with {found[0]}" if found else ", signed with a key that is not known here"


def _name_differing(fault: Fault | None, kept: Sequence[Kept]) -> str:
    """Return which of several checkpoints does not agree, "" if that is not the fault."""
    from repermit.evidence import stored_tree
    from repermit.evidence.verify.diagnosis import How

    if fault is None or len(kept) == 1:
        return ""
    for path, checkpoint in kept:
        is_cut = fault.how is How.CUT and checkpoint.seq >= fault.seq
        is_here = fault.how is How.REWRITTEN and checkpoint.seq == fault.seq
        if is_cut or (is_here and not stored_tree.is_of_record(checkpoint)):
            return f": {path}"
    return ""


def _print_result(
    found: Verified,
    checkpoint: Checkpoint,
    kept: Sequence[tuple[Kept, str]],
    stamped: Sequence[str],
) -> None:
    parts = pluralize(found.parts, "part")
    erased = f" ({found.erased:,} more were erased)" if found.erased else ""
    counts = (
        f"{_count_entries(found.entries)}, {parts}{erased}, {pluralize(found.wordings, 'wording')}"
    )
    echo(f"The chain holds: {counts}.")
    for one, signed in kept:
        echo(f"It goes on from your checkpoint at entry {one.checkpoint.seq:,}{signed}.")
    echo(*stamped)
    if not checkpoint.note:
        echo(_UNSIGNED)
    echo(
        "", "Checkpoint, for `--checkpoint`; keep it where nobody who can write here can reach it:"
    )
    print_checkpoint(checkpoint)


_UNSIGNED = (
    "Checkpoints are not signed: put evidence_key into config.toml, in quotes, as "
    "`openssl rand -base64 32` makes it."
)


def _count_entries(count: int) -> str:
    return "1 entry" if count == 1 else f"{count:,} entries"


COMMANDS = (verify,)
