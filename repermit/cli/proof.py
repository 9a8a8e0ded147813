"""The command `proof`, the checking of what it made, and checkpoints that were kept elsewhere."""

from __future__ import annotations

import json
import shutil
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, cast
from zoneinfo import ZoneInfo

import click

from repermit.cli.command import command, slug_argument
from repermit.cli.context import CommandContext, pass_command_context
from repermit.cli.output import echo, open_private_file, pluralize
from repermit.errors import NotFound, Refused

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

    from repermit.evidence.entries import Checkpoint
    from repermit.evidence.signed_note import PublicKey
    from repermit.evidence.verify.evidence_export import CheckedExport
    from repermit.evidence.verify.proof import Checked


@command(
    examples=(
        "repermit proof news jan@example.org -o jan.json",
        "repermit proof news jan@example.org",
        "repermit proof news jan@example.org --checkpoint receipt.json -o jan.json",
    )
)
@slug_argument
@click.argument("address", metavar="ADDRESS")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    metavar="FILE",
    help="A file that you alone can read, and a page to print beside it.  [default: stdout]",
)
@click.option(
    "--checkpoint",
    "kept",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A checkpoint that whoever asks holds, such as a receipt: the proof shows them that the "
    "record goes on from there.",
)
@pass_command_context
def proof(
    context: CommandContext, slug: str, address: str, *, output: Path | None, kept: Path | None
) -> None:
    """Prove what one person said: a file that anybody can check without this system.

    It holds their entries of the record, the words that they saw, and what it takes to check
    them; nothing of anybody else. Also of an address that was erased, as long as its proof is
    kept. The record tells that it was made.
    """
    from repermit.accounts import audit_log
    from repermit.privacy import make_proof, printable_proof
    from repermit.reports.data_recipients import describe_for_proofs

    page = _make_page_path(output)
    known = None if kept is None else read_checkpoint(kept)
    with context.mailing_list(slug) as (database, mailing_list):
        made = make_proof.prove_address(
            database,
            mailing_list,
            address,
            settings=context.settings,
            now=context.now,
            actor=context.actor,
            known=known,
            register=describe_for_proofs(mailing_list, settings=context.settings),
        )
        with database.atomic():
            audit_log.note_access(
                now=context.now,
                actor=context.actor,
                act="proved",
                mailing_list=mailing_list,
                subject=made.subject,
            )
        language, zone = mailing_list.language, context.settings.zone
    if output is None or page is None:
        click.echo(made.text, nl=False)
        return
    for path, text in (
        (output, made.text),
        (page, printable_proof.make_proof_page(made.document, language=language, zone=zone)),
    ):
        with open_private_file(context, path) as file:
            file.write(text.encode())
    echo(f"The proof is in {output}; {page} is for reading and printing.")
    echo(f"Anybody can check it: repermit verify {output}")


def _make_page_path(output: Path | None) -> Path | None:
    """Return where the page of a proof goes, None if it all goes to stdout."""
    if output is None or str(output) == "-":
        return None
    page = output.with_suffix(".html")
    if page == output:
        raise click.UsageError("FILE is for the JSON, such as jan.json; jan.html comes beside it")
    return page


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
    if shown := verify_proof.shown_to_go_on(octets):
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
        return None if has_more else signed_checkpoint.read_kept(text)
    except (ValueError, RecursionError):
        return None


def _read_checkpoint_beside(octets: bytes) -> Checkpoint | None:
    """Return the checkpoint in a report or another document of ours that is no proof, else None."""
    from repermit.evidence import signed_checkpoint

    try:
        text = octets.decode("utf-8-sig")
        is_proof = bool({"statement", "format"} & json.loads(text).keys())
        return None if is_proof else signed_checkpoint.read_kept(text)
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
    points = verify_export.points_at(document, {one.checkpoint.seq for one in kept})
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
        found = signatures.signers(document, keys)
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
        found = timestamps.stamps_of(document, read_authorities(ca) if ca else ())
    except ValueError as error:
        signers = dict.fromkeys(_to_one_line(one.by) for one in timestamps.stamps_of(document))
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


COMMANDS = (proof,)


# --- Checkpoints and keys that were kept elsewhere. -----------------------------------------------


class Kept(NamedTuple):
    """A checkpoint that was kept elsewhere, and the file that it is read from."""

    path: Path
    checkpoint: Checkpoint


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint from a signed note or a file of ours that holds one; raises Refused."""
    from repermit.evidence import signed_checkpoint

    try:
        return signed_checkpoint.read_kept(path.read_text("utf-8-sig"))
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
        found = signed_checkpoint.signers(kept.checkpoint, keys or others)
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


def verify_consistency(
    path: Path, shown: Mapping[str, Any], kept: Sequence[Kept], keys: Sequence[PublicKey]
) -> None:
    """Say whether a checkpoint goes on from those that are known; raises Refused if not.

    Neither database nor network is asked.
    """
    from repermit.evidence.verify import proof as verify_proof

    try:
        faults = list(verify_proof.faults_of_consistency(shown))
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
