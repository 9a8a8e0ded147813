"""The command `verify`, which checks the chain of evidence, or a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from repermit.cli.checkpoints_and_keys import (
    KnownCheckpoint,
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
    "its signed note, or the mail that brought it. May be given several times.",
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
    known_checkpoints = [KnownCheckpoint(path, read_checkpoint(path)) for path in paths]
    known_keys = read_keys(keys)
    if file is not None:
        verify_file(file, checkpoints=known_checkpoints, keys=known_keys, ca=ca)
        return 0
    context.lower_priority()
    known_checkpoints.sort(key=lambda known: known.checkpoint.seq)
    checkpoints = [known.checkpoint for known in known_checkpoints]
    with context.database() as database:
        signers = [
            _describe_signer(known, known_keys, context.settings) for known in known_checkpoints
        ]
        result = chain.verify_chain(
            database,
            known=checkpoints[0] if known_checkpoints else None,
            others=checkpoints[1:],
            authorities=read_authorities(ca)
            if ca
            else read_configured_authorities(context.settings),
            trusts_record=ca is None,
            witness=read_witness_key(context.settings),
            fingerprint_key=context.file.fingerprint_key,
            now=context.now,
        ).signed(context.file)
        differing = _name_differing(result.fault, known_checkpoints)
        # The rows of another record may not be readable.
        time_lines = [] if result.fault else _describe_times(result, context.settings)
    if as_json:
        echo_json(result.to_json())
        return 0 if result.fault is None else 1
    if result.checkpoint is None:
        raise Refused(f"the chain does not hold: {result.fault}{differing}")
    goes_on_from = list(zip(known_checkpoints, signers, strict=True))
    _print_result(result, result.checkpoint, goes_on_from, time_lines)
    return 0


def _describe_times(result: Verified, settings: Settings) -> list[str]:
    """Describe what timestamps and cosignatures vouch for."""
    from repermit.evidence.cosigned_checkpoints import read_witness_key

    return [
        *_describe_timestamps(result),
        *_describe_cosignatures(read_witness_key(settings)),
        *_describe_coverage(result.entries),
    ]


def _describe_timestamps(result: Verified) -> list[str]:
    """Describe the timestamps by the authority that made them, and the pending ones."""
    from repermit.emails.frozen_draft import to_one_line
    from repermit.evidence import timestamps
    from repermit.evidence.verify.timestamps import NamedBy

    reasons = {
        NamedBy.RECORD: "only the record names that authority",
        NamedBy.NOBODY: "who signed was not checked",
    }
    lines, pending = [], timestamps.list_pending()
    trusted = [stamps for stamps in result.timestamps if stamps.named_by is NamedBy.GIVEN]
    if trusted:
        count = sum(stamps.count for stamps in trusted)
        last = max(stamps.last for stamps in trusted)
        lines.append(f"Timestamps that hold: {count}, the last of {last:%Y-%m-%d %H:%M}Z.")
    lines += [
        f"{pluralize(stamps.count, 'timestamp')} by {to_one_line(stamps.authority)}, the last of "
        f"{stamps.last:%Y-%m-%d %H:%M}Z: {reasons[stamps.named_by]}. Give its certificate to rely "
        "on it: --timestamp-ca or timestamp_ca_file."
        for stamps in result.timestamps
        if stamps.named_by in reasons
    ]
    if pending:
        first = pending[0]
        problem = f": {first.problem}" if first.problem else ""
        since = f"{first.due_at:%Y-%m-%d %H:%M}Z"
        lines.append(f"{pluralize(len(pending), 'timestamp')} waited for, since {since}{problem}.")
    return lines


def _describe_coverage(last: int) -> list[str]:
    """Describe what timestamps and cosignatures leave open of a record with `last` entries."""
    from repermit.evidence import cosigned_checkpoints, timestamps

    seqs = [timestamp.seq for timestamp in timestamps.list_received()]
    seqs += [checkpoint.seq for checkpoint in cosigned_checkpoints.read_stored_checkpoints()]
    return describe_coverage(seqs, entries=range(1, last + 1))


def _describe_cosignatures(witness: WitnessKey | None) -> list[str]:
    """Return the newest cosigned checkpoint with its note, and the last error of a witness."""
    from repermit.evidence import cosigned_checkpoints

    lines = []
    cosigned = [
        (stored, cosigned_checkpoints.read_cosigned_times(stored.note, witness) if witness else [])
        for stored in cosigned_checkpoints.read_stored_checkpoints()
    ]
    if matching := [(stored, times) for stored, times in cosigned if times or not witness]:
        last, times = matching[-1]
        date_text = f" on {min(times):%Y-%m-%d %H:%M}Z" if times else ""
        count = pluralize(len(matching), "cosigned checkpoint")
        lines += [f"{count}, the last at entry {last.seq:,}{date_text}:", last.note]
    if other_count := len(cosigned) - len(matching):
        others = pluralize(other_count, "checkpoint")
        lines.append(f"{others} that another than this witness cosigned.")
    if problem := cosigned_checkpoints.read_problem():
        lines.append(f"No cosignature came at {problem.at:%Y-%m-%d %H:%M}Z: {problem.reason}.")
    return lines


def _describe_signer(known: KnownCheckpoint, keys: Sequence[PublicKey], settings: Settings) -> str:
    """Describe who signed a checkpoint; "" for an unsigned one.

    Raises Refused if its signature is wrong, or if `keys` are given and none of them signed it.
    """
    from repermit.evidence import evidence_key

    signers = find_signers(known, keys, others=evidence_key.list_known_keys(settings))
    if not known.checkpoint.note:
        return ""
    return f", signed with {signers[0] if signers else 'a key that is not known here'}"


def _name_differing(fault: Fault | None, known_checkpoints: Sequence[KnownCheckpoint]) -> str:
    """Return ": " and the file of the checkpoint that the record contradicts.

    "" if there is one checkpoint only, or the fault is another one.
    """
    from repermit.evidence import stored_tree
    from repermit.evidence.verify.diagnosis import How

    if fault is None or len(known_checkpoints) == 1:
        return ""
    for path, checkpoint in known_checkpoints:
        is_cut = fault.how is How.CUT and checkpoint.seq >= fault.seq
        is_here = fault.how is How.REWRITTEN and checkpoint.seq == fault.seq
        if is_cut or (is_here and not stored_tree.is_of_record(checkpoint)):
            return f": {path}"
    return ""


def _print_result(
    result: Verified,
    checkpoint: Checkpoint,
    known_checkpoints: Sequence[tuple[KnownCheckpoint, str]],
    time_lines: Sequence[str],
) -> None:
    parts = pluralize(result.parts, "part")
    erased = f" ({result.erased:,} more were erased)" if result.erased else ""
    wordings = pluralize(result.wordings, "wording")
    echo(f"The chain holds: {_count_entries(result.entries)}, {parts}{erased}, {wordings}.")
    for known, signed in known_checkpoints:
        seq = known.checkpoint.seq
        echo(f"It goes on from your checkpoint at entry {seq:,}{signed}.")
    echo(*time_lines)
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
