"""The command `forget`, which erases at a person's request; lines about erasures to come."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import click

from repermit.cli.command import command
from repermit.cli.context import CommandContext, pass_command_context
from repermit.cli.output import echo, pluralize

if TYPE_CHECKING:
    from repermit.db.models.lists import MailingList
    from repermit.imports.uploads import UploadErasure
    from repermit.privacy.external_copies import ExternalCopies, ProofMade, TakenFile
    from repermit.privacy.forget import AddressErasure, ErasureResult
    from repermit.temporary_files import UnfinishedFile


@command(
    examples=(
        "repermit forget news jan@example.org",
        "repermit forget --all-lists jan@example.org",
        "repermit forget news jan@example.org --suppress",
    )
)
@click.option("--all-lists", is_flag=True, help="On every list, instead of LIST.")
@click.option(
    "--suppress",
    is_flag=True,
    help="Keep the fingerprint also of an address that was not held, so that no file brings it.",
)
@click.argument("arguments", metavar="[LIST] ADDRESS", nargs=-1, required=True)
@pass_command_context
def forget(
    context: CommandContext, arguments: tuple[str, ...], *, all_lists: bool, suppress: bool
) -> None:
    """Erase what is held of somebody who asks for it.

    Status, reason and dates stay, and a fingerprint, so that nobody asks them again. It prints what
    was erased, and what is out of its reach. On all lists, each is erased by itself: after an
    interruption the same command does the rest.
    """
    from repermit import email_address
    from repermit.db.models.lists import find_list
    from repermit.imports import uploads
    from repermit.privacy import forget as privacy_forget

    slug, address = _parse_words(arguments, all_lists=all_lists)
    with context.database() as database:
        erasure = privacy_forget.erase_address(
            database,
            address,
            mailing_list=find_list(slug) if slug else None,
            suppress=suppress,
            settings=context.settings,
            now=context.now,
            actor=context.actor,
        )
        key = email_address.parse(address).key
        upload_erasures = {
            result.list: uploads.forget_in_upload(
                find_list(result.list), key, settings=context.settings
            )
            for result in erasure.lists
        }
    for result in erasure.lists:
        echo(*_describe_forgotten(result))
    echo(*_list_elsewhere(erasure), *_describe_files(upload_erasures))
    echo("", "Out of reach; see to these yourself:")
    for number, line in enumerate(_list_out_of_reach(context, erasure), start=1):
        echo(f"  {number}. {line}")


def _parse_words(arguments: tuple[str, ...], *, all_lists: bool) -> tuple[str, str]:
    """Return the list's slug ("" for all lists) and the address."""
    if len(arguments) != (1 if all_lists else 2):
        raise click.UsageError("give LIST and ADDRESS, or --all-lists and ADDRESS")
    return ("", arguments[0]) if all_lists else (arguments[0], arguments[1])


def _describe_forgotten(result: ErasureResult) -> Iterator[str]:
    """Yield what was erased on a list."""
    from repermit.privacy.forget import ErasureOutcome

    erased = result.erased
    if result.found is ErasureOutcome.CONTACT:
        status = f"removed for {result.reason}" if result.reason else str(result.status)
        yield (
            f"{result.list}: erased. It was {status.replace('_', ' ')}; address and name are gone."
        )
        yield (
            f"  Dropped: {pluralize(erased.unsent, 'unsent mail')}. Deleted: "
            f"{pluralize(erased.sign_ups, 'sign-up')}, {_count_replies(erased.replies)}, and "
            "who it was "
            f"from {_count_entries(erased.entries)} of the record."
        )
        yield "  Kept: a fingerprint, so that nobody asks this address again, and the record."
    elif result.found is ErasureOutcome.SIGN_UP:
        yield (f"{result.list}: not on the list; deleted: {pluralize(erased.sign_ups, 'sign-up')}.")
    elif result.found is ErasureOutcome.FINGERPRINT:
        reason = result.reason.replace("_", " ")
        yield (
            f"{result.list}: nothing is held but a fingerprint, since it was taken off ({reason})."
        )
    else:
        yield f"{result.list}: nothing is held of this address."
    if result.found is not ErasureOutcome.CONTACT:
        yield _describe_fingerprint(result)


def _count_replies(count: int) -> str:
    return f"{count:,} {'reply' if count == 1 else 'replies'}"


def _count_entries(count: int) -> str:
    return f"{count:,} {'entry' if count == 1 else 'entries'}"


def _describe_fingerprint(result: ErasureResult) -> str:
    if result.suppressed:
        return "  By that fingerprint no file brings it back."
    return (
        "  Nothing is kept either: a later file may bring it. With --suppress its fingerprint is "
        "kept, so that none does."
    )


def _list_elsewhere(erasure: AddressErasure) -> Iterator[str]:
    """Yield where else in the database the address is stored."""
    if erasure.elsewhere:
        list_names = ", ".join(erasure.elsewhere)
        yield f"Still held on {list_names}; `repermit forget --all-lists` erases it there too."
    if erasure.is_user:
        yield "It also logs in at /admin/; `repermit user remove` ends that and erases it there."
    if not erasure.is_wiped:
        yield (
            "A program still reads the database, so that its log keeps what was deleted until that "
            "ends; `serve` clears it by itself then."
        )


def _describe_files(upload_erasures: Mapping[str, UploadErasure]) -> Iterator[str]:
    """Yield what happened to the uploads that wait to be imported."""
    for slug, outcome in upload_erasures.items():
        if outcome == "deleted":
            yield (
                f"{slug}: a file handed in at /admin/ may have held it, and is deleted: hand it in "
                "again, and that row is left out."
            )
        if outcome == "left":
            yield f"{slug}: a file handed in at /admin/ waits to be taken in; it goes within a day."


def _list_out_of_reach(context: CommandContext, erasure: AddressErasure) -> Iterator[str]:
    """Yield the copies of the address that repermit cannot erase, as a list to act on."""
    for result in erasure.lists:
        yield from _list_copies(context, result.list, result.beyond)
    yield from map(_describe_unfinished, erasure.unfinished)
    yield (
        "The tool that sends the newsletter: unsubscribe the address there, and have its data "
        "erased by that tool's own function for it."
    )
    yield (
        "Backups of this database, and of the machine: let them expire. `repermit restore` erases "
        "the address again by the journal; what is put back without it, or without the journal, "
        "does not: then forget the address again."
    )


def _describe_unfinished(file: UnfinishedFile) -> str:
    if file.is_in_use:
        return (
            f"{file.path}: a program is writing this file now, and the address may be in it. Once "
            "it is done, delete the address in what it becomes."
        )
    return (
        f"{file.path}: half a file that a program left when it was killed, and that cannot be "
        "deleted; the address may be in it. Delete it yourself."
    )


def _list_copies(context: CommandContext, slug: str, copies: ExternalCopies) -> Iterator[str]:
    if copies.mails and copies.last_mail_at:
        wire = f" ({copies.on_the_wire} on its way in this moment)" if copies.on_the_wire else ""
        yield (
            f"{slug}: {pluralize(copies.mails, 'mail')}{wire}, the last on "
            f"{context.format_time(copies.last_mail_at)}: in the reader's mailbox, in the logs "
            "of the "
            "mail servers between, and in the sender's mailbox if they replied or it came back."
        )
    if copies.source:
        yield f"{slug}: the file that it came from, {copies.source}, and the tool that wrote it."
    for export in copies.exports:
        yield (
            f"{slug}: {_describe_export(context, export)}. Have whoever got it delete this address."
        )
    for proof in copies.proofs:
        yield f"{slug}: {_describe_proof(context, proof)}"


def _describe_proof(context: CommandContext, proof: ProofMade) -> str:
    from repermit.evidence.entries import login_name

    return (
        f"a proof of this person, made on {context.format_time(proof.at)} by "
        f"{login_name(proof.actor)}: its file and the page beside it hold the address. Delete "
        "them, unless a claim needs them (GDPR art. 17(3)(e))."
    )


def _describe_export(context: CommandContext, export: TakenFile) -> str:
    from repermit.evidence.entries import login_name

    tool = f" for {export.tool}" if export.tool else ""
    return (
        f"the export `{export.what}` of {context.format_time(export.at)}, {export.format}{tool}, "
        f"{pluralize(export.rows, 'row')}, taken by {login_name(export.actor)}"
    )


def describe_due_erasures(context: CommandContext, mailing_list: MailingList) -> Iterator[str]:
    """Yield how many removed contacts of a list wait to be erased, and when."""
    from repermit.privacy import erase_removed_contacts

    now = context.now
    due = erase_removed_contacts.count_due(mailing_list, settings=context.settings, now=now)
    if due.first_at is None:
        return
    counts_text = f"{due.first:,} of the {due.waiting:,} removed whose address is still held."
    yield ""
    if due.first_at <= now:
        yield f"Still to be erased today, which has begun: {counts_text}"
        return
    yield f"To be erased on {context.format_time(due.first_at)} or soon after: {counts_text}"
    yield f"Hand the removals over before: `repermit export {mailing_list.slug} removed`."


COMMANDS = (forget,)
