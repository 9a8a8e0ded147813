"""The command `proof`, the checking of what it made, and checkpoints that were kept elsewhere."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import click

from repermit.cli.command import command, slug_argument
from repermit.cli.context import CommandContext, pass_command_context
from repermit.cli.output import echo, open_private_file, pluralize
from repermit.errors import NotFound, Refused

if TYPE_CHECKING:
    from repermit.evidence.entries import Checkpoint
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
    them; nothing of anybody else.
    """
    from repermit.accounts import audit_log
    from repermit.privacy import make_proof, printable_proof

    page = _make_page_path(output)
    known = None if kept is None else read_checkpoint(kept)
    with context.mailing_list(slug) as (database, mailing_list):
        made = make_proof.prove(
            database,
            mailing_list,
            address,
            settings=context.settings,
            now=context.now,
            actor=context.actor,
            known=known,
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
        (page, printable_proof.proof_page(made.document, language=language, zone=zone)),
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


def verify_file(file: Path, *, known: Checkpoint | None) -> None:
    """Check the proof in a file and say what it shows; raises Refused with all that is wrong.

    `known` is a checkpoint that was kept elsewhere. What shows that the record goes on from that is
    checked likewise.
    """
    from repermit.evidence.verify import proof as verify_proof
    from repermit.privacy import proof_text

    octets = _read_proof(file)
    if shown := verify_proof.shown_to_go_on(octets):
        verify_consistency(file, shown, known)
        return
    checked = verify_proof.check_proof(octets)
    if checked.faults:
        raise Refused("\n".join((f"{file} proves nothing:", *_list_faults(checked.faults))))
    agreement_text = describe_agreement(checked.document, known) if known else _WITHOUT_CHECKPOINT
    statement, seal = checked.document["statement"], checked.document["seal"]["entry"]
    purpose = statement["record"]["processing"]["purposes"][0]
    echo(f"{file} holds. It shows of one person on the list {statement['list']}:", "")
    for event in proof_text.telling(checked.document, language="en", zone=ZoneInfo("UTC")):
        echo(f"  {event.at}: {event.text}", *(f"      {line}" for line in event.more))
    holds = proof_text.standing(checked.document, language="en", zone=ZoneInfo("UTC"))
    echo("", f"What held when this proof was made: {holds}")
    echo(
        *_describe_erased(checked),
        "",
        f"For: {purpose['service']}. Who keeps the list: {_describe_keeper(statement)}",
    )
    echo(
        f"Made {seal['at']} by {seal['actor']}, as entry {seal['seq']} of the record.",
        "",
        agreement_text,
    )


_WITHOUT_CHECKPOINT = (
    "Nothing in it was changed since it was made. Whether its entries were written afterwards can "
    "only be told by a checkpoint that somebody else kept: --checkpoint FILE"
)


def _describe_keeper(statement: dict[str, dict[str, str]]) -> str:
    return statement["controller"].get("name", "not said")


def _describe_erased(checked: Checked) -> list[str]:
    """Say which parts are held no longer, of which nothing is claimed."""
    if not checked.gone:
        return []
    parts = ", ".join(f"{part} of entry {seq}" for seq, part in checked.gone)
    return ["", f"Held no longer, {pluralize(len(checked.gone), 'part')}: {parts}"]


def _read_proof(path: Path) -> bytes:
    """Return what a file holds, of a larger one than a proof can be its beginning."""
    from repermit.evidence.proof_file import LARGEST as LARGEST_PROOF

    try:
        with path.open("rb") as file:
            return file.read(LARGEST_PROOF + 1)
    except OSError as error:
        raise Refused(f"{path} cannot be read: {error.strerror}") from None


def _list_faults(faults: tuple[str, ...]) -> list[str]:
    return [f"  - {fault}" for fault in faults]


COMMANDS = (proof,)


# --- Checkpoints that were kept elsewhere. --------------------------------------------------------


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


def print_checkpoint(checkpoint: Checkpoint) -> None:
    """Print a checkpoint as `--checkpoint` reads it."""
    echo(json.dumps(checkpoint.to_json()))


def verify_consistency(path: Path, shown: Mapping[str, Any], known: Checkpoint | None) -> None:
    """Say whether a checkpoint goes on from the one that is known; raises Refused if not.

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
        raise Refused("\n".join((f"{path} proves nothing:", *(f"  - {fault}" for fault in faults))))
    if known is None:
        raise Refused("say which checkpoint you know: --checkpoint FILE")
    echo(describe_agreement(shown, known))


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
    raise Refused(
        f"this does not agree with your checkpoint: at the same entry {known.seq:,} that knows "
        "another record"
    )
