"""`verify FILE`: checking a proof, an export of the evidence, or a checkpoint."""

from __future__ import annotations

import json
import shutil
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any, BinaryIO, cast
from zoneinfo import ZoneInfo

from repermit.cli.checkpoints_and_keys import (
    KnownCheckpoint,
    find_signers,
    read_authorities,
)
from repermit.cli.output import echo, pluralize
from repermit.errors import Refused

if TYPE_CHECKING:
    from repermit.evidence.entries import Checkpoint
    from repermit.evidence.signed_note import PublicKey
    from repermit.evidence.verify.evidence_export import CheckedExport
    from repermit.evidence.verify.proof import Checked


def verify_file(
    file: Path,
    *,
    checkpoints: Sequence[KnownCheckpoint],
    keys: Sequence[PublicKey],
    ca: Path | None,
) -> None:
    """Check a file and print what it shows; raises Refused with all its faults.

    The file is a proof, an export of the evidence, a checkpoint, or a consistency document that
    `verify --checkpoint FILE --json` printed.

    - `checkpoints`: known from elsewhere; the file must agree with them.
    - `keys`: one of the record's keys must have signed the file, and each witness cosigned it.
    - `ca`: a PEM file with the certificates of trusted timestamp authorities.
    """
    from repermit.evidence.verify import evidence_export as verify_export
    from repermit.evidence.verify import proof as verify_proof
    from repermit.privacy import proof_text

    for known in checkpoints:
        find_signers(known, keys)  # raises Refused for a wrong signature, or one by no given key
    with _open_seekable(file) as stream:
        octets = _read_proof(stream)
        export = None
        if verify_export.is_export(octets):
            stream.seek(0)
            export = verify_export.check_export(stream)
    if export is not None:
        _print_export(file, export, checkpoints=checkpoints, keys=keys, ca=ca)
        return
    if consistency := verify_proof.read_consistency_output(octets):
        verify_consistency(file, consistency, checkpoints, keys)
        return
    if checkpoint := _read_lone_checkpoint(octets):
        lone = KnownCheckpoint(file, checkpoint)
        _print_checkpoint(lone, checkpoints=checkpoints, keys=keys, ca=ca)
        return
    checked = verify_proof.check_proof(octets)
    if checked.faults and (checkpoint := _read_contained_checkpoint(octets)):
        raise Refused(
            f"{file} is neither a proof nor an export, so that nothing in it can be checked by "
            f"itself. It holds a checkpoint, at entry {checkpoint.seq:,}: `repermit verify "
            f"--checkpoint {file}` compares the record with that, and `repermit verify FILE "
            f"--checkpoint {file}` a proof or an export."
        )
    if checked.faults:
        raise Refused("\n".join((f"{file} proves nothing:", *_list_faults(checked.faults))))
    signed = _describe_signers(checked.document, keys)
    entries = [proved["entry"]["seq"] for proved in checked.document["statement"]["entries"]]
    stamped = _describe_timestamps(checked.document, ca, entries=entries)
    agreement = describe_agreements(checked.document, checkpoints) if checkpoints else [_UNCHANGED]
    if not _has_outside_time(checkpoints, ca, keys):
        agreement = [f"{_UNCHANGED} Whether its entries were {_AFTERWARDS}"]
    statement, seal = checked.document["statement"], checked.document["seal"]["entry"]
    purpose = statement["record"]["processing"]["purposes"][0]
    _echo_plain(f"{file} holds. It shows of one person on the list {statement['list']}:", "")
    for event in proof_text.describe_entries(checked.document, language="en", zone=ZoneInfo("UTC")):
        line = f"  entry {event.seq}, {event.at}: {event.text}"
        _echo_plain(line, *(f"      {line}" for line in event.more))
    holds = proof_text.describe_status(checked.document, language="en", zone=ZoneInfo("UTC"))
    _echo_plain("", f"What held when this proof was made: {holds}")
    _echo_plain(
        *_describe_erased(checked),
        "",
        f"For: {purpose['service']}. Who keeps the list: {_describe_keeper(statement)}",
    )
    _echo_plain(f"Made {seal['at']} by {seal['actor']}, as entry {seal['seq']} of the record.", "")
    _echo_plain(*signed, *stamped, *agreement)


def _print_export(
    file: Path,
    checked: CheckedExport,
    *,
    checkpoints: Sequence[KnownCheckpoint],
    keys: Sequence[PublicKey],
    ca: Path | None,
) -> None:
    """Print what an export of the evidence holds; raises Refused as `verify_file`."""
    if checked.faults:
        raise Refused("\n".join((f"{file} does not hold:", *_list_faults(checked.faults))))
    document = checked.document
    signed = _describe_signers(document, keys, first=checked.first)
    entries = range(1, document["checkpoint"]["seq"] + 1)
    stamped = _describe_timestamps(document, ca, entries=entries)
    agreement = _describe_export_agreements(document, checkpoints)
    if not _has_outside_time(checkpoints, ca, keys):
        agreement = [f"Whether all of it was {_AFTERWARDS}"]
    parts, verb = pluralize(checked.erased, "part"), "was" if checked.erased == 1 else "were"
    erased = f" {parts} of them {verb} erased." if checked.erased else ""
    _echo_plain(
        f"{file} holds. It has {checked.count:,} of the {document['checkpoint']['seq']:,} entries "
        f"of the record: about the list {document['list']}, and of who could log in, what was set, "
        f"and which keys signed.{erased}",
        *_describe_absent(checked),
        *(*signed, *stamped, *agreement),
    )


def _describe_absent(checked: CheckedExport) -> Iterator[str]:
    """Yield which entries an export does not have, and whether any was left out."""
    ranges = [
        str(first) if first == last else f"{first} to {last}" for first, last in checked.absent
    ]
    if further := ranges[_MAX_RANGES:]:
        ranges[_MAX_RANGES:] = [f"{len(further):,} more ranges of numbers"]
    if ranges:
        yield (
            f"Not in it: {', '.join(ranges)}. Their leaves do not tell whether they are about "
            "other lists or of no list, such as logins and backups, as they should be."
        )
    if checked.compared:
        yield (
            "What became of everybody asked agrees with the counts of "
            f"{pluralize(checked.compared, 'closed campaign')}. Whether an entry was left out "
            "that these do not count, such as an answer that was changed later, cannot be told."
        )
    else:
        yield (
            "No counts of a closed campaign could be compared. Whether an entry was left out "
            "cannot be told."
        )


_MAX_RANGES = 20


def _read_lone_checkpoint(octets: bytes) -> Checkpoint | None:
    """Return the checkpoint in a file that holds nothing else, None for another file."""
    from repermit.evidence import signed_checkpoint

    try:
        text = octets.decode("utf-8-sig")
        document = json.loads(text) if text.lstrip().startswith("{") else {}
        has_more = document.keys() - {"seq", "hash", "root", "note"}
        return None if has_more else signed_checkpoint.read_checkpoint_copy(text)
    except (ValueError, RecursionError):
        return None


def _read_contained_checkpoint(octets: bytes) -> Checkpoint | None:
    """Return the checkpoint in a report or another JSON document that is no proof, else None."""
    from repermit.evidence import signed_checkpoint

    try:
        text = octets.decode("utf-8-sig")
        is_proof = bool({"statement", "format"} & json.loads(text).keys())
        return None if is_proof else signed_checkpoint.read_checkpoint_copy(text)
    except (ValueError, RecursionError, AttributeError):
        return None


def _print_checkpoint(
    lone: KnownCheckpoint,
    *,
    checkpoints: Sequence[KnownCheckpoint],
    keys: Sequence[PublicKey],
    ca: Path | None,
) -> None:
    """Print who signed a checkpoint, and that no record was compared.

    Raises Refused as `verify_file`, also without any key or other checkpoint to check it by.
    """
    from repermit.evidence.cosigned_checkpoints import read_cosigned_times
    from repermit.evidence.signed_note import WitnessKey

    witnesses = [key for key in keys if isinstance(key, WitnessKey)]
    record_keys = [key for key in keys if not isinstance(key, WitnessKey)]
    signers = record_keys and find_signers(lone, record_keys)
    lines = [f"It is signed with a key that you know: {key}" for key in signers]
    for witness in witnesses:
        find_signers(lone, [witness])
        cosigned_at = min(read_cosigned_times(lone.checkpoint.note, witness))
        lines.append(f"{witness.name} cosigned it at {cosigned_at.isoformat()}")
    if ca:
        raise Refused("it has no timestamp")
    if checkpoints:
        lines += describe_agreements({"checkpoint": lone.checkpoint.to_json()}, checkpoints)
    summary = f"{lone.path} is a checkpoint alone, at entry {lone.checkpoint.seq:,}."
    if not lines:
        advice = "Nothing was checked: say --key KEY or --checkpoint FILE."
        raise Refused(f"{summary} {advice} {_UNCOMPARED}")
    _echo_plain(summary, *lines, _UNCOMPARED)


_UNCOMPARED = (
    "No record was compared with it: `repermit verify --checkpoint FILE` compares the database, "
    "`repermit verify PROOF --checkpoint FILE` a proof or an export."
)


def _echo_plain(*lines: str) -> None:
    """Print each text on one line, and keep its indentation."""
    for line in lines:
        echo(" " * (len(line) - len(line.lstrip(" "))) + _to_one_line(line))


def _to_one_line(text: str) -> str:
    """Return a file's text on one line, without the characters that move a terminal's cursor.

    The maker of the file chose the text, which must not look like output of `verify`.
    """
    from repermit.emails.frozen_draft import to_one_line

    return to_one_line(text)


_UNCHANGED = "Nothing in it was changed since it was made."
_AFTERWARDS = (
    "written afterwards can only be told by a checkpoint that somebody else kept (--checkpoint "
    "FILE), a timestamp (--timestamp-ca FILE) or a witness (--key KEY)."
)


def _has_outside_time(
    checkpoints: Sequence[KnownCheckpoint], ca: Path | None, keys: Sequence[PublicKey]
) -> bool:
    """Return whether anything from outside is given that dates the entries."""
    from repermit.evidence.signed_note import WitnessKey

    return bool(checkpoints or ca or any(isinstance(key, WitnessKey) for key in keys))


def _describe_export_agreements(
    document: Mapping[str, Any], checkpoints: Sequence[KnownCheckpoint]
) -> list[str]:
    """Describe how an export agrees with checkpoints; raises Refused at the first contradiction."""
    from repermit.evidence.verify import evidence_export as verify_export

    in_order = sorted(checkpoints, key=lambda known: known.checkpoint.seq)
    seqs = {known.checkpoint.seq for known in checkpoints}
    checkpoints_by_seq = verify_export.compute_checkpoints(document, seqs)
    lines = []
    for known in in_order:
        seq = known.checkpoint.seq
        if seq > document["checkpoint"]["seq"]:
            lines.append(f"{known.path}: it was made later than the export, at entry {seq:,}")
            continue
        if seq and checkpoints_by_seq[seq] != known.checkpoint:
            raise Refused(f"{known.path}: {_describe_contradiction(known.checkpoint)}")
        lines.append(f"{known.path}: it agrees, at entry {seq:,}")
    if seqs and min(seqs) > document["checkpoint"]["seq"]:
        raise Refused("\n".join(lines))
    return lines


def _describe_signers(
    document: Mapping[str, Any], keys: Sequence[PublicKey], *, first: int = 0
) -> list[str]:
    """Describe who signed a valid document, and which witnesses cosigned it.

    - `first`: the entry from which on a cosignature counts.

    Raises Refused unless one of the record's keys signed it, if any is given, and each witness
    cosigned it.
    """
    from repermit.evidence.signed_note import WitnessKey
    from repermit.evidence.verify import cosignatures

    witnesses = [key for key in keys if isinstance(key, WitnessKey)]
    record_keys = [key for key in keys if not isinstance(key, WitnessKey)]
    lines = _describe_signature(document, record_keys)
    try:
        cosigned = cosignatures.find_cosigned(document, witnesses)
    except ValueError as error:
        raise Refused(f"a cosignature of it does not hold: {error}") from None
    for witness in witnesses:
        if all(cosignature.by != witness or cosignature.seq < first for cosignature in cosigned):
            raise Refused(f"{witness.name} has cosigned nothing of it")
    lines += [
        f"Entries up to {cosignature.seq} lay in the record at {cosignature.at.isoformat()}, "
        f"as {cosignature.by.name} cosigned for {cosignature.origin}"
        for cosignature in cosigned
    ]
    if document.get("cosigned") and not witnesses:
        lines.append("Whether a witness cosigned it was not checked: --key KEY-OF-THE-WITNESS")
    return lines


def _describe_signature(document: Mapping[str, Any], keys: Sequence[PublicKey]) -> list[str]:
    """Describe who signed a valid document; raises Refused if none of the given keys did.

    Without keys, the lines name the key in the document, or say that it is unsigned.
    """
    from repermit.evidence.verify import signatures

    if keys:
        signers = signatures.list_signers(document, keys)
        if not signers:
            raise Refused("it has no valid signature of a key that you know")
        return [f"It is signed with a key that you know: {signers[0]}"]
    if "key" not in document:
        return ["It is not signed: whoever wrote it may have made all of it."]
    return [
        f"It is signed with the key {document['key']}",
        _BY_KEY,
    ]


_BY_KEY = (
    "Whether that is the organisation's can only be told by its key from elsewhere, as its site "
    "shows it at /.well-known/repermit-evidence-keys: --key FILE"
)


def _describe_timestamps(
    document: Mapping[str, Any], ca: Path | None, *, entries: Sequence[int]
) -> list[str]:
    """Describe what the timestamps of a proof or export show of the entries with these numbers.

    Raises Refused for a timestamp whose authority is not in `ca`, or if `ca` is given and there is
    no timestamp.
    """
    from repermit.evidence import signed_checkpoint
    from repermit.evidence.verify import timestamps

    try:
        stamps = timestamps.read_stamps(document, read_authorities(ca) if ca else ())
    except ValueError as error:
        signers = dict.fromkeys(_to_one_line(one.by) for one in timestamps.read_stamps(document))
        raise Refused(
            f"a timestamp of it does not hold: {error}. {ca} must hold a certificate that each of "
            f"these leads to: {', '.join(signers)}"
        ) from None
    if ca and not stamps:
        raise Refused("it has no timestamp")
    lines = [
        f"Entries up to {stamp.seq} lay in the record before {stamp.at.isoformat()}, "
        f"says {stamp.by}"
        for stamp in stamps
    ]
    if stamps and not ca:
        lines.append("Whether that authority really said so was not checked: --timestamp-ca FILE")
    cosigned = document.get("cosigned", ())
    seqs = [signed_checkpoint.read_stamped(checkpoint["note"]).seq for checkpoint in cosigned]
    return lines + describe_coverage([*seqs, *(stamp.seq for stamp in stamps)], entries=entries)


def describe_coverage(seqs: Sequence[int], *, entries: Sequence[int]) -> list[str]:
    """Describe what timestamps and cosignatures leave open; nothing if there are none.

    - `seqs`: the last entry that each timestamp or cosignature covers.
    - `entries`: the numbers of the entries in question, ascending.
    """
    if not seqs:
        return []
    text = (
        "These times are upper bounds: none shows that an entry is not older. Between two of them "
        "an entry's own time is the word of whoever keeps the record."
    )
    uncovered = entries[bisect_right(entries, max(seqs)) :]
    if len(uncovered) > _MAX_RANGES:
        text += f" None of them covers the last entries: {uncovered[0]} to {uncovered[-1]}."
    elif uncovered:
        text += f" None of them covers the last entries: {', '.join(map(str, uncovered))}."
    return [text]


def _describe_keeper(statement: dict[str, dict[str, str]]) -> str:
    return statement["controller"].get("name", "not said")


def _describe_erased(checked: Checked) -> list[str]:
    """List the erased parts, about which the proof claims nothing."""
    if not checked.gone:
        return []
    parts = ", ".join(f"{part} of entry {seq}" for seq, part in checked.gone)
    return ["", f"Held no longer, {pluralize(len(checked.gone), 'part')}: {parts}"]


@contextmanager
def _open_seekable(path: Path) -> Iterator[BinaryIO]:
    """Open a file; the content of a pipe is first copied to a temporary file."""
    try:
        with path.open("rb") as file:
            if file.seekable():
                yield file
                return
            with TemporaryFile() as spooled:
                shutil.copyfileobj(file, spooled)
                spooled.seek(0)
                yield cast("BinaryIO", spooled)
    except OSError as error:
        raise Refused(f"{path} cannot be read: {error.strerror}") from None


def _read_proof(file: BinaryIO) -> bytes:
    """Return a file's content, or the beginning of an export or of a file too large for a proof."""
    from repermit.evidence.proof_file import MAX_SIZE as LARGEST_PROOF
    from repermit.evidence.verify import evidence_export as verify_export

    octets = file.read(_HEAD)
    is_export = verify_export.is_export(octets)
    return octets if is_export else octets + file.read(LARGEST_PROOF + 1 - _HEAD)


_HEAD = 65_536
"""How many octets are read to recognise an export."""


def _list_faults(faults: tuple[str, ...]) -> list[str]:
    return [f"  - {_to_one_line(fault)}" for fault in faults]


# --- Comparing a document with known checkpoints. -------------------------------------------------


def verify_consistency(
    path: Path,
    document: Mapping[str, Any],
    checkpoints: Sequence[KnownCheckpoint],
    keys: Sequence[PublicKey],
) -> None:
    """Print how a consistency document extends the known checkpoints; raises Refused if not.

    Uses neither database nor network.
    """
    from repermit.evidence.verify import proof as verify_proof

    try:
        faults = list(verify_proof.check_consistency(document))
    except (ValueError, LookupError, TypeError, AttributeError):
        raise Refused(
            f"{path} does not show that a record goes on from an earlier checkpoint: make it by "
            "`repermit verify --checkpoint FILE --json`"
        ) from None
    if faults:
        raise Refused("\n".join((f"{path} proves nothing:", *(f"  - {fault}" for fault in faults))))
    if not checkpoints:
        raise Refused("say which checkpoint you know: --checkpoint FILE")
    if keys:
        _echo_plain(*_describe_signature(document, keys))
    echo(*describe_agreements(document, checkpoints))


def describe_agreements(
    document: Mapping[str, Any], checkpoints: Sequence[KnownCheckpoint]
) -> list[str]:
    """Describe how a document agrees with known checkpoints.

    Raises Refused if it contradicts one of them, or can be compared with none.
    """
    from repermit.evidence.verify import proof as verify_proof
    from repermit.evidence.verify.proof import Agreement

    if len(checkpoints) == 1:
        return [describe_agreement(document, checkpoints[0].checkpoint)]
    results = {known: verify_proof.agreement(document, known.checkpoint) for known in checkpoints}
    for known, agreement in results.items():
        if agreement is Agreement.DIFFERS:
            raise Refused(f"{known.path}: {_describe_contradiction(known.checkpoint)}")
    comparable = [
        known for known, agreement in results.items() if agreement is not Agreement.UNTOLD
    ]
    if not comparable:
        describe_agreement(document, checkpoints[0].checkpoint)
    lines = [
        f"{known.path}: {describe_agreement(document, known.checkpoint)}" for known in comparable
    ]
    untold = [
        f"{known.path}: whether it agrees cannot be told from this file"
        for known in checkpoints
        if known not in comparable
    ]
    return lines + untold


def describe_agreement(document: Mapping[str, Any], checkpoint: Checkpoint) -> str:
    """Describe how a document agrees with a known checkpoint.

    The caller has checked the document, with its own checkpoint and consistency path. Raises
    Refused unless the document shows that it agrees.
    """
    from repermit.evidence.verify import proof as verify_proof
    from repermit.evidence.verify.proof import Agreement

    agreement = verify_proof.agreement(document, checkpoint)
    if agreement is Agreement.UNTOLD:
        raise Refused(
            "whether this agrees with your checkpoint cannot be told from the file: that was made "
            f"at entry {checkpoint.seq:,}, this one at {document['checkpoint']['seq']:,}; whoever "
            "holds the database can tell, by `repermit verify --checkpoint FILE`, and can make a "
            "file that shows it: `proof … --checkpoint FILE`, or `verify --checkpoint FILE --json`"
        )
    if agreement is Agreement.SAME:
        return "It agrees with your checkpoint: its entries stood in the record when that was kept."
    if agreement is Agreement.GOES_ON:
        return (
            f"It goes on from your checkpoint at entry {checkpoint.seq:,}: up to there nothing was "
            "changed, left out or put in since; what has a higher number came later."
        )
    raise Refused(_describe_contradiction(checkpoint))


def _describe_contradiction(checkpoint: Checkpoint) -> str:
    return (
        f"this does not agree with your checkpoint: at the same entry {checkpoint.seq:,} that "
        "knows another record"
    )
