"""The command that erases at a person's request, and what is told of erasures to come."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import click

from repermit.cli.command import command
from repermit.cli.context import CommandContext, pass_house
from repermit.cli.output import say, several

if TYPE_CHECKING:
    from repermit.db.models.lists import MailingList
    from repermit.db.temporary_files import UnfinishedFile
    from repermit.imports.uploads import Waiting
    from repermit.privacy.external_copies import Beyond, TakenFile
    from repermit.privacy.forget import Forgetting, Forgotten


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
@pass_house
def forget(
    house: CommandContext, words: tuple[str, ...], *, all_lists: bool, suppress: bool
) -> None:
    """Erase what is held of somebody who asks for it.

    Status, reason and dates stay, and a fingerprint, so that nobody asks them again. It prints what
    was erased, and what is out of its reach.
    """
    from repermit import email_address
    from repermit.db.models.lists import find_list
    from repermit.imports import uploads
    from repermit.privacy import forget as privacy_forget

    slug, address = _meant(words, all_lists=all_lists)
    with house.database() as database:
        done = privacy_forget.forget(
            database,
            address,
            mailing_list=find_list(slug) if slug else None,
            suppress=suppress,
            settings=house.settings,
            now=house.now,
            actor=house.actor,
        )
        key = email_address.parse(address).key
        waiting = {
            one.list: uploads.forget_in_upload(find_list(one.list), key, settings=house.settings)
            for one in done.lists
        }
    for one in done.lists:
        say(*_in_words(one))
    say(*_also(done), *_files(waiting))
    say("", "Out of reach; see to these yourself:")
    for number, line in enumerate(_out_of_reach(house, done), start=1):
        say(f"  {number}. {line}")


def _meant(words: tuple[str, ...], *, all_lists: bool) -> tuple[str, str]:
    """Return the list, "" for all, and the address."""
    if len(words) != (1 if all_lists else 2):
        raise click.UsageError("give LIST and ADDRESS, or --all-lists and ADDRESS")
    return ("", words[0]) if all_lists else (words[0], words[1])


def _in_words(one: Forgotten) -> Iterator[str]:
    """Yield what was done on a list."""
    from repermit.privacy.forget import Found

    erased = one.erased
    if one.found is Found.CONTACT:
        was = f"removed for {one.reason}" if one.reason else str(one.status)
        yield f"{one.list}: erased. It was {was.replace('_', ' ')}; address and name are gone."
        yield (
            f"  Dropped: {several(erased.unsent, 'unsent mail')}. Deleted: "
            f"{several(erased.sign_ups, 'sign-up')}, {_replies(erased.replies)}, and who it was "
            f"from {_entries(erased.entries)} of the record."
        )
        yield "  Kept: a fingerprint, so that nobody asks this address again, and the record."
    elif one.found is Found.SIGN_UP:
        yield f"{one.list}: not on the list; deleted: {several(erased.sign_ups, 'sign-up')}."
    elif one.found is Found.FINGERPRINT:
        why = one.reason.replace("_", " ")
        yield f"{one.list}: nothing is held but a fingerprint, since it was taken off ({why})."
    else:
        yield f"{one.list}: nothing is held of this address."
    if one.found is not Found.CONTACT:
        yield _known_again(one)


def _replies(count: int) -> str:
    return f"{count:,} {'reply' if count == 1 else 'replies'}"


def _entries(count: int) -> str:
    return f"{count:,} {'entry' if count == 1 else 'entries'}"


def _known_again(one: Forgotten) -> str:
    if one.suppressed:
        return "  By that fingerprint no file brings it back."
    return (
        "  Nothing is kept either: a later file may bring it. With --suppress its fingerprint is "
        "kept, so that none does."
    )


def _also(done: Forgetting) -> Iterator[str]:
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


def _files(waiting: Mapping[str, Waiting]) -> Iterator[str]:
    """Yield what became of the files that wait to be taken in."""
    for slug, became in waiting.items():
        if became == "deleted":
            yield (
                f"{slug}: a file handed in at /admin/ may have held it, and is deleted: hand it in "
                "again, and that row is left out."
            )
        if became == "left":
            yield f"{slug}: a file handed in at /admin/ waits to be taken in; it goes within a day."


def _out_of_reach(house: CommandContext, done: Forgetting) -> Iterator[str]:
    """Yield where the address may stand that repermit cannot erase, as a list to act on."""
    for one in done.lists:
        yield from _of_list(house, one.list, one.beyond)
    yield from map(_unfinished, done.unfinished)
    yield (
        "The tool that sends the newsletter: unsubscribe the address there, and have its data "
        "erased by that tool's own function for it."
    )
    yield (
        "Backups of this database, and of the machine: let them expire. `repermit restore` erases "
        "the address again by the journal; what is put back without it, or without the journal, "
        "does not: then forget the address again."
    )


def _unfinished(file: UnfinishedFile) -> str:
    if file.is_in_use:
        return (
            f"{file.path}: a program is writing this file now, and the address may be in it. Once "
            "it is done, delete the address in what it becomes."
        )
    return (
        f"{file.path}: half a file that a program left when it was killed, and that cannot be "
        "deleted; the address may be in it. Delete it yourself."
    )


def _of_list(house: CommandContext, slug: str, found: Beyond) -> Iterator[str]:
    if found.mails and found.last_mail_at:
        wire = f" ({found.on_the_wire} on its way in this moment)" if found.on_the_wire else ""
        yield (
            f"{slug}: {several(found.mails, 'mail')}{wire}, the last on "
            f"{house.in_words(found.last_mail_at)}: in the reader's mailbox, in the logs of the "
            "mail servers between, and in the sender's mailbox if they replied or it came back."
        )
    if found.source:
        yield f"{slug}: the file that it came from, {found.source}, and the tool that wrote it."
    for taken in found.exports:
        yield f"{slug}: {_export(house, taken)}. Have whoever got it delete this address."


def _export(house: CommandContext, taken: TakenFile) -> str:
    from repermit.evidence.entries import login_name

    tool = f" for {taken.tool}" if taken.tool else ""
    return (
        f"the export `{taken.what}` of {house.in_words(taken.at)}, {taken.format}{tool}, "
        f"{several(taken.rows, 'row')}, taken by {login_name(taken.actor)}"
    )


def due_in_words(house: CommandContext, mailing_list: MailingList) -> Iterator[str]:
    """Yield who of a list waits to be erased, and when."""
    from repermit.privacy import scheduled_erasure

    found = scheduled_erasure.due(mailing_list, settings=house.settings, now=house.now)
    if found.first_at is None:
        return
    yield ""
    yield (
        f"To be erased on {house.in_words(found.first_at)} or soon after: {found.first:,} of the "
        f"{found.waiting:,} removed whose address is still held."
    )
    yield f"Hand the removals over before: `repermit export {mailing_list.slug} removed`."


COMMANDS = (forget,)
