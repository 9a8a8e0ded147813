"""What `verify FILE` checks and says: a proof, an export of the evidence, or a checkpoint."""

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
    Kept,
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
    file: Path, *, kept: Sequence[Kept], keys: Sequence[PublicKey], ca: Path | None
) -> None:
    """Check the proof in a file and say what it shows; raises Refused with all that is wrong.

    `kept` are checkpoints from elsewhere; one of the record's `keys` must have signed the file, and
    each witness's cosigned it; `ca` is a file with who vouches for timestamps. What shows that the
    record goes on from a checkpoint is checked likewise.
    """
    from repermit.evidence.verify import evidence_export as verify_export
    from repermit.evidence.verify import proof as verify_proof
    from repermit.privacy import proof_text

    for one in kept:
        find_signers(one, keys)
    with _open_seekable(file) as stream:
        octets = _read_proof(stream)
        export = None
        if verify_export.is_export(octets):
            stream.seek(0)
            export = verify_export.check_export(stream)
    if export is not None:
        _tell_of_export(file, export, kept=kept, keys=keys, ca=ca)
        return
    if shown := verify_proof.read_consistency_output(octets):
        verify_consistency(file, shown, kept, keys)
        return
    if checkpoint := _read_lone_checkpoint(octets):
        _tell_of_checkpoint(Kept(file, checkpoint), kept=kept, keys=keys, ca=ca)
        return
    checked = verify_proof.check_proof(octets)
    if checked.faults and (checkpoint := _read_checkpoint_beside(octets)):
        raise Refused(
            f"{file} is neither a proof nor an export, so that nothing in it can be checked by "
            f"itself. It holds a checkpoint, at entry {checkpoint.seq:,}: `repermit verify "
            f"--checkpoint {file}` compares the record with that, and `repermit verify FILE "
            f"--checkpoint {file}` a proof or an export."
        )
    if checked.faults:
        raise Refused("\n".join((f"{file} proves nothing:", *_list_faults(checked.faults))))
    signed = _describe_signers(checked.document, keys)
    entries = [one["entry"]["seq"] for one in checked.document["statement"]["entries"]]
    stamped = _timestamps(checked.document, ca, entries=entries)
    told = agreements(checked.document, kept) if kept else [_UNCHANGED]
    if not _tells_when(kept, ca, keys):
        told = [f"{_UNCHANGED} Whether its entries were {_AFTERWARDS}"]
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
    _echo_plain(*signed, *stamped, *told)


def _tell_of_export(
    file: Path,
    checked: CheckedExport,
    *,
    kept: Sequence[Kept],
    keys: Sequence[PublicKey],
    ca: Path | None,
) -> None:
    """Say what an export of the evidence holds; raises Refused as `verify_file`."""
    if checked.faults:
        raise Refused("\n".join((f"{file} does not hold:", *_list_faults(checked.faults))))
    document = checked.document
    signed = _describe_signers(document, keys, first=checked.first)
    stamped = _timestamps(document, ca, entries=range(1, document["checkpoint"]["seq"] + 1))
    told = _agreements_of_export(document, kept)
    if not _tells_when(kept, ca, keys):
        told = [f"Whether all of it was {_AFTERWARDS}"]
    parts, were = pluralize(checked.erased, "part"), "was" if checked.erased == 1 else "were"
    erased = f" {parts} of them {were} erased." if checked.erased else ""
    _echo_plain(
        f"{file} holds. It has {checked.count:,} of the {document['checkpoint']['seq']:,} entries "
        f"of the record: about the list {document['list']}, and of who could log in, what was set, "
        f"and which keys signed.{erased}",
        *_describe_absent(checked),
        *(*signed, *stamped, *told),
    )


def _describe_absent(checked: CheckedExport) -> Iterator[str]:
    """Yield which entries an export does not have, and what can be told of these."""
    shown = [
        str(first) if first == last else f"{first} to {last}" for first, last in checked.absent
    ]
    if rest := shown[_MOST_RANGES:]:
        shown[_MOST_RANGES:] = [f"{len(rest):,} more ranges of numbers"]
    if shown:
        yield (
            f"Not in it: {', '.join(shown)}. Their leaves do not tell whether they are about other "
            "lists or of no list, such as logins and backups, as they should be."
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


_MOST_RANGES = 20


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


def _read_checkpoint_beside(octets: bytes) -> Checkpoint | None:
    """Return the checkpoint in a report or another document of ours that is no proof, else None."""
    from repermit.evidence import signed_checkpoint

    try:
        text = octets.decode("utf-8-sig")
        is_proof = bool({"statement", "format"} & json.loads(text).keys())
        return None if is_proof else signed_checkpoint.read_checkpoint_copy(text)
    except (ValueError, RecursionError, AttributeError):
        return None


def _tell_of_checkpoint(
    one: Kept, *, kept: Sequence[Kept], keys: Sequence[PublicKey], ca: Path | None
) -> None:
    """Say who signed a checkpoint, and that no record was compared; raises Refused as above.

    Also where neither a key nor another checkpoint is known, so that nothing can be checked.
    """
    from repermit.evidence.cosigned_checkpoints import read_cosigned_times
    from repermit.evidence.signed_note import WitnessKey

    witnesses = [key for key in keys if isinstance(key, WitnessKey)]
    own = [key for key in keys if not isinstance(key, WitnessKey)]
    told = [
        f"It is signed with a key that you know: {key}" for key in own and find_signers(one, own)
    ]
    for witness in witnesses:
        find_signers(one, [witness])
        at = min(read_cosigned_times(one.checkpoint.note, witness))
        told.append(f"{witness.name} cosigned it at {at.isoformat()}")
    if ca:
        raise Refused("it has no timestamp")
    told += agreements({"checkpoint": one.checkpoint.to_json()}, kept) if kept else []
    what = f"{one.path} is a checkpoint alone, at entry {one.checkpoint.seq:,}."
    if not told:
        nothing = "Nothing was checked: say --key KEY or --checkpoint FILE."
        raise Refused(f"{what} {nothing} {_UNCOMPARED}")
    _echo_plain(what, *told, _UNCOMPARED)


_UNCOMPARED = (
    "No record was compared with it: `repermit verify --checkpoint FILE` compares the database, "
    "`repermit verify PROOF --checkpoint FILE` a proof or an export."
)


def _echo_plain(*lines: str) -> None:
    """Print each text on a line of its own, with its indentation."""
    for line in lines:
        echo(" " * (len(line) - len(line.lstrip(" "))) + _to_one_line(line))


def _to_one_line(text: str) -> str:
    """Return a text of a file on one line, without what moves a terminal's cursor.

    Whoever made the file chose its words, which must not pass for what is said of it.
    """
    from repermit.emails.frozen_draft import to_one_line

    return to_one_line(text)


_UNCHANGED = "Nothing in it was changed since it was made."
_AFTERWARDS = (
    "written afterwards can only be told by a checkpoint that somebody else kept (--checkpoint "
    "FILE), a timestamp (--timestamp-ca FILE) or a witness (--key KEY)."
)


def _tells_when(kept: Sequence[Kept], ca: Path | None, keys: Sequence[PublicKey]) -> bool:
    """Say whether anything from outside is given that tells when entries were written."""
    from repermit.evidence.signed_note import WitnessKey

    return bool(kept or ca or any(isinstance(key, WitnessKey) for key in keys))


def _agreements_of_export(document: Mapping[str, Any], kept: Sequence[Kept]) -> list[str]:
    """Return in words how an export agrees with checkpoints; raises Refused for the first not."""
    from repermit.evidence.verify import evidence_export as verify_export

    in_order = sorted(kept, key=lambda one: one.checkpoint.seq)
    points = verify_export.compute_checkpoints(document, {one.checkpoint.seq for one in kept})
    told = []
    for one in in_order:
        seq = one.checkpoint.seq
        if seq > document["checkpoint"]["seq"]:
            told.append(f"{one.path}: it was made later than the export, at entry {seq:,}")
            continue
        if seq and points[seq] != one.checkpoint:
            raise Refused(f"{one.path}: {_differing(one.checkpoint)}")
        told.append(f"{one.path}: it agrees, at entry {seq:,}")
    if kept and all(one.checkpoint.seq > document["checkpoint"]["seq"] for one in kept):
        raise Refused("\n".join(told))
    return told


def _describe_signers(
    document: Mapping[str, Any], keys: Sequence[PublicKey], *, first: int = 0
) -> list[str]:
    """Return who signed a document that holds, and which witnesses cosigned it.

    Raises Refused unless one of the keys that are no witness's signed it, if there are any, and
    each of the witnesses cosigned it, at its `first` entry or later.
    """
    from repermit.evidence.signed_note import WitnessKey
    from repermit.evidence.verify import cosignatures

    witnesses = [key for key in keys if isinstance(key, WitnessKey)]
    told = _signature(document, [key for key in keys if not isinstance(key, WitnessKey)])
    try:
        found = cosignatures.find_cosigned(document, witnesses)
    except ValueError as error:
        raise Refused(f"a cosignature of it does not hold: {error}") from None
    for witness in witnesses:
        if all(one.by != witness or one.seq < first for one in found):
            raise Refused(f"{witness.name} has cosigned nothing of it")
    told += [
        f"Entries up to {one.seq} lay in the record at {one.at.isoformat()}, "
        f"as {one.by.name} cosigned for {one.origin}"
        for one in found
    ]
    if document.get("cosigned") and not witnesses:
        told.append("Whether a witness cosigned it was not checked: --key KEY-OF-THE-WITNESS")
    return told


def _signature(document: Mapping[str, Any], keys: Sequence[PublicKey]) -> list[str]:
    """Return who signed a document that holds; raises Refused unless it was one of these keys.

    Without keys, whoever signed is told.
    """
    from repermit.evidence.verify import signatures

    if keys:
        found = signatures.list_signers(document, keys)
        if not found:
            raise Refused("it has no valid signature of a key that you know")
        return [f"It is signed with a key that you know: {found[0]}"]
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


def _timestamps(
    document: Mapping[str, Any], ca: Path | None, *, entries: Sequence[int]
) -> list[str]:
    """Return what the timestamps of a proof or export show of the entries with these numbers.

    Raises Refused for one that `ca` is not of, and where there is none although they are to be
    checked.
    """
    from repermit.evidence import signed_checkpoint
    from repermit.evidence.verify import timestamps

    try:
        found = timestamps.read_stamps(document, read_authorities(ca) if ca else ())
    except ValueError as error:
        signers = dict.fromkeys(_to_one_line(one.by) for one in timestamps.read_stamps(document))
        raise Refused(
            f"a timestamp of it does not hold: {error}. {ca} must hold a certificate that each of "
            f"these leads to: {', '.join(signers)}"
        ) from None
    if ca and not found:
        raise Refused("it has no timestamp")
    told = [
        f"Entries up to {one.seq} lay in the record before {one.at.isoformat()}, says {one.by}"
        for one in found
    ]
    if found and not ca:
        told.append("Whether that authority really said so was not checked: --timestamp-ca FILE")
    cosigned = document.get("cosigned", ())
    seqs = [signed_checkpoint.read_stamped(one["note"]).seq for one in cosigned]
    return told + describe_coverage([*seqs, *(one.seq for one in found)], entries=entries)


def describe_coverage(seqs: Sequence[int], *, entries: Sequence[int]) -> list[str]:
    """Return what times from outside do not show.

    - `seqs`: the entries up to which each of them reaches; nothing is said where there are none.
    - `entries`: the numbers of the entries that are looked at, in their order.
    """
    if not seqs:
        return []
    told = (
        "These times are upper bounds: none shows that an entry is not older. Between two of them "
        "an entry's own time is the word of whoever keeps the record."
    )
    rest = entries[bisect_right(entries, max(seqs)) :]
    if len(rest) > _MOST_RANGES:
        told += f" None of them covers the last entries: {rest[0]} to {rest[-1]}."
    elif rest:
        told += f" None of them covers the last entries: {', '.join(map(str, rest))}."
    return [told]


def _describe_keeper(statement: dict[str, dict[str, str]]) -> str:
    return statement["controller"].get("name", "not said")


def _describe_erased(checked: Checked) -> list[str]:
    """Say which parts are held no longer, of which nothing is claimed."""
    if not checked.gone:
        return []
    parts = ", ".join(f"{part} of entry {seq}" for seq, part in checked.gone)
    return ["", f"Held no longer, {pluralize(len(checked.gone), 'part')}: {parts}"]


@contextmanager
def _open_seekable(path: Path) -> Iterator[BinaryIO]:
    """Open a file; what comes through a pipe is put into one of our own first."""
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
    """Return what a file holds; of an export, or a larger file than a proof, its beginning."""
    from repermit.evidence.proof_file import LARGEST as LARGEST_PROOF
    from repermit.evidence.verify import evidence_export as verify_export

    octets = file.read(_HEAD)
    is_export = verify_export.is_export(octets)
    return octets if is_export else octets + file.read(LARGEST_PROOF + 1 - _HEAD)


_HEAD = 65_536
"""Octets by which an export is known."""


def _list_faults(faults: tuple[str, ...]) -> list[str]:
    return [f"  - {_to_one_line(fault)}" for fault in faults]


# --- Whether a document agrees with checkpoints that were kept elsewhere. -------------------------


def verify_consistency(
    path: Path, shown: Mapping[str, Any], kept: Sequence[Kept], keys: Sequence[PublicKey]
) -> None:
    """Say whether a checkpoint goes on from those that are known; raises Refused if not.

    Neither database nor network is asked.
    """
    from repermit.evidence.verify import proof as verify_proof

    try:
        faults = list(verify_proof.check_consistency(shown))
    except (ValueError, LookupError, TypeError, AttributeError):
        raise Refused(
            f"{path} does not show that a record goes on from an earlier checkpoint: make it by "
            "`repermit verify --checkpoint FILE --json`"
        ) from None
    if faults:
        raise Refused("\n".join((f"{path} proves nothing:", *(f"  - {one}" for one in faults))))
    if not kept:
        raise Refused("say which checkpoint you know: --checkpoint FILE")
    if keys:
        _echo_plain(*_signature(shown, keys))
    echo(*agreements(shown, kept))


def agreements(document: Mapping[str, Any], kept: Sequence[Kept]) -> list[str]:
    """Return in words how a document agrees with checkpoints that were kept elsewhere.

    Raises Refused if it differs from one of them, or is seen to agree with none.
    """
    from repermit.evidence.verify import proof as verify_proof
    from repermit.evidence.verify.proof import Agreement

    if len(kept) == 1:
        return [describe_agreement(document, kept[0].checkpoint)]
    ways = {one: verify_proof.agreement(document, one.checkpoint) for one in kept}
    for one, how in ways.items():
        if how is Agreement.DIFFERS:
            raise Refused(f"{one.path}: {_differing(one.checkpoint)}")
    seen = [one for one, how in ways.items() if how is not Agreement.UNTOLD]
    if not seen:
        describe_agreement(document, kept[0].checkpoint)
    told = [f"{one.path}: {describe_agreement(document, one.checkpoint)}" for one in seen]
    untold = [
        f"{one.path}: whether it agrees cannot be told from this file"
        for one in kept
        if one not in seen
    ]
    return told + untold


def describe_agreement(document: Mapping[str, Any], known: Checkpoint) -> str:
    """Return in words how a document agrees with a checkpoint that was kept elsewhere.

    The document's own checkpoint, and how that goes on from an earlier one, hold by themselves.
    Raises Refused unless it is seen to agree.
    """
    from repermit.evidence.verify import proof as verify_proof
    from repermit.evidence.verify.proof import Agreement

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
    raise Refused(_differing(known))


def _differing(known: Checkpoint) -> str:
    return (
        f"this does not agree with your checkpoint: at the same entry {known.seq:,} that knows "
        "another record"
    )
