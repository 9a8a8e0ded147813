"""The command that erases at a person's request, and what is told of erasures to come."""

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
@click.argument("words", metavar="[LIST] ADDRESS", nargs=-1, required=True)
@pass_command_context
def forget(
    context: CommandContext, words: tuple[str, ...], *, all_lists: bool, suppress: bool
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

    slug, address = _parse_words(words, all_lists=all_lists)
    with context.database() as database:
        done = privacy_forget.erase_address(
            database,
            address,
            mailing_list=find_list(slug) if slug else None,
            suppress=suppress,
            settings=context.settings,
            now=context.now,
            actor=context.actor,
        )
        key = email_address.parse(address).key
        waiting = {
            forgotten.list: uploads.forget_in_upload(
                find_list(forgotten.list), key, settings=context.settings
            )
            for forgotten in done.lists
        }
    for forgotten in done.lists:
        echo(*_describe_forgotten(forgotten))
    echo(*_list_elsewhere(done), *_describe_files(waiting))
    echo("", "Out of reach; see to these yourself:")
    for number, line in enumerate(_list_out_of_reach(context, done), start=1):
        echo(f"  {number}. {line}")


def _parse_words(words: tuple[str, ...], *, all_lists: bool) -> tuple[str, str]:
    """Return the list, "" for all, and the address."""
    if len(words) != (1 if all_lists else 2):
        raise click.UsageError("give LIST and ADDRESS, or --all-lists and ADDRESS")
    return ("", words[0]) if all_lists else (words[0], words[1])


def _describe_forgotten(forgotten: ErasureResult) -> Iterator[str]:
    """Yield what was done on a list."""
    from repermit.privacy.forget import ErasureOutcome

    erased = forgotten.erased
    if forgotten.found is ErasureOutcome.CONTACT:
        was = f"removed for {forgotten.reason}" if forgotten.reason else str(forgotten.status)
        yield (
            f"{forgotten.list}: erased. It was {was.replace('_', ' ')}; address and name are gone."
        )
        yield (
            f"  Dropped: {pluralize(erased.unsent, 'unsent mail')}. Deleted: "
            f"{pluralize(erased.sign_ups, 'sign-up')}, {_count_replies(erased.replies)}, and "
            "who it was "
            f"from {_count_entries(erased.entries)} of the record."
        )
        yield "  Kept: a fingerprint, so that nobody asks this address again, and the record."
    elif forgotten.found is ErasureOutcome.SIGN_UP:
        yield (
            f"{forgotten.list}: not on the list; deleted: {pluralize(erased.sign_ups, 'sign-up')}."
        )
    elif forgotten.found is ErasureOutcome.FINGERPRINT:
        why = forgotten.reason.replace("_", " ")
        yield (
            f"{forgotten.list}: nothing is held but a fingerprint, since it was taken off ({why})."
        )
    else:
        yield f"{forgotten.list}: nothing is held of this address."
    if forgotten.found is not ErasureOutcome.CONTACT:
        yield _describe_fingerprint(forgotten)


def _count_replies(count: int) -> str:
    return f"{count:,} {'reply' if count == 1 else 'replies'}"


def _count_entries(count: int) -> str:
    return f"{count:,} {'entry' if count == 1 else 'entries'}"


def _describe_fingerprint(forgotten: ErasureResult) -> str:
    if forgotten.suppressed:
        return "  By that fingerprint no file brings it back."
    return (
        "  Nothing is kept either: a later file may bring it. With --suppress its fingerprint is "
        "kept, so that none does."
    )


def _list_elsewhere(done: AddressErasure) -> Iterator[str]:
    """Yield where else here the address stands."""
    if done.elsewhere:
        others = ", ".join(done.elsewhere)
        yield f"Still held on {others}; `repermit forget --all-lists` erases it there too."
    if done.is_user:
        yield "It also logs in at /admin/; `repermit user remove` ends that and erases it there."
    if not done.is_wiped:
        yield (
            "A program still reads the database, so that its log keeps what was deleted until that "
            "ends; `serve` clears it by itself then."
        )


def _describe_files(waiting: Mapping[str, UploadErasure]) -> Iterator[str]:
    """Yield what became of the files that wait to be taken in."""
    for slug, became in waiting.items():
        if became == "deleted":
            yield (
                f"{slug}: a file handed in at /admin/ may have held it, and is deleted: hand it in "
                "again, and that row is left out."
            )
        if became == "left":
            yield f"{slug}: a file handed in at /admin/ waits to be taken in; it goes within a day."


def _list_out_of_reach(context: CommandContext, done: AddressErasure) -> Iterator[str]:
    """Yield where the address may stand that repermit cannot erase, as a list to act on."""
    for forgotten in done.lists:
        yield from _list_copies(context, forgotten.list, forgotten.beyond)
    yield from map(_describe_unfinished, done.unfinished)
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
    """Yield who of a list waits to be erased, and when."""
    from repermit.privacy import erase_removed_contacts

    now = context.now
    due = erase_removed_contacts.count_due(mailing_list, settings=context.settings, now=now)
    if due.first_at is None:
        return
    held = f"{due.first:,} of the {due.waiting:,} removed whose address is still held."
    yield ""
    if due.first_at <= now:
        yield f"Still to be erased today, which has begun: {held}"
        return
    yield f"To be erased on {context.format_time(due.first_at)} or soon after: {held}"
    yield f"Hand the removals over before: `repermit export {mailing_list.slug} removed`."


COMMANDS = (forget,)
