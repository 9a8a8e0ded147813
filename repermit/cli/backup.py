"""The commands `backup`, which copies the database, and `restore`, which replaces it by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from repermit.cli.command import command, json_option
from repermit.cli.context import CommandContext, pass_command_context, translate_os_error
from repermit.cli.output import echo, echo_counts, echo_json, pluralize
from repermit.errors import Refused

if TYPE_CHECKING:
    from repermit.backups.restore import RestoreResult


_ADVICE = (
    "It does not hold the journal: copy that along.",
    "Nor does it hold config.toml and the keys: keep a copy of those in another place.",
    "It holds people who may be erased later, and their addresses: let it expire.",
)


@command(examples=("repermit backup /srv/repermit/repermit-backup.db",))
@click.argument("file", type=click.Path(path_type=Path))
@pass_command_context
def backup(context: CommandContext, file: Path) -> None:
    """Copy the database to FILE while it runs, and check the copy.

    FILE must not be there yet, and you alone can read it. Nobody waits for it.
    """
    from repermit.backups import backup as backups_backup

    context.lower_priority()
    with context.database() as database:
        result = backups_backup.back_up(
            database, file, settings=context.file, now=context.now, actor=context.actor
        )
    echo(
        f"{result.path}: {result.size / 1e6:,.1f} MB, checked.",
        f"It ends with entry {result.checkpoint.seq:,} of the evidence, {result.checkpoint.hash}.",
        *_ADVICE,
    )


@command(
    examples=(
        "repermit restore /srv/repermit/repermit-backup.db --replace",
        "repermit restore copy.db --replace --journal other-machine.journal",
        "repermit restore --already-there --json",
    )
)
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option(
    "--journal",
    "journals",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="FILE",
    help="A further journal of suppressions, such as another machine's; may be repeated.",
)
@click.option(
    "--without-journal",
    is_flag=True,
    help="Do without the journal of that time: whoever has left since may be asked again.",
)
@click.option("--replace", is_flag=True, help="Put the database that is there aside.")
@click.option(
    "--already-there", is_flag=True, help="pg_restore has put it back, or it begins empty."
)
@json_option
@pass_command_context
def restore(
    context: CommandContext,
    file: Path | None,
    *,
    journals: tuple[Path, ...],
    without_journal: bool,
    replace: bool,
    already_there: bool,
    as_json: bool,
) -> None:
    """Put the backup FILE in the place of the database; nobody is mailed twice.

    Who has left since the backup is taken off again, by the journal of suppressions. Who has only
    corrected their address is named, since the journal does not tell the new one. Live campaigns
    pause, and mails that may have been sent since are in doubt until you decide. Stop
    `serve` and workers first.
    """
    if (file is None) != already_there:
        raise click.UsageError("say the FILE of the backup, or --already-there")
    context.require_owner()
    journal_paths = _find_journals(context.file.journal, journals, without=without_journal)
    result = _restore(
        context,
        file,
        replaces=replace,
        journals=journal_paths,
        is_journal_lost=without_journal,
        now=context.now,
        actor=context.actor,
    )
    if as_json:
        echo_json(result.to_json())
    else:
        _print_restored(context, result)


def _restore(
    context: CommandContext, file: Path | None, *, replaces: bool, **how: Any
) -> RestoreResult:
    """Restore a file, or begin with an empty database, or bring one up to date in PostgreSQL."""
    from repermit.backups import restore as backups_restore
    from repermit.db.connection import open_database
    from repermit.db.suppression_journal import make_journal

    settings = context.file
    path = settings.sqlite_path
    if file is None and path is not None and path.exists() and path.stat().st_size:
        raise click.UsageError(
            "--already-there is for PostgreSQL, and for a database that begins empty; say the "
            "FILE of the backup"
        )
    if file is not None or path is not None:
        return backups_restore.restore(file, settings=settings, replaces=replaces, **how)
    journal = make_journal(settings)
    with translate_os_error(None), open_database(settings.database, journal=journal) as database:
        return backups_restore.bring_up_to_date(database, settings=settings, **how)


def _find_journals(
    default_journal: Path | None, extra_journals: Sequence[Path], *, without: bool
) -> list[Path]:
    """Return the paths of the journals; raises Refused without any, unless `without` is set."""
    journals = [path for path in (default_journal,) if path is not None and path.exists()]
    journals += [
        path
        for path in extra_journals
        if not any(path.exists() and path.samefile(known) for known in journals)
    ]
    if not journals and not without:
        raise Refused(
            f"there is no journal of suppressions at {default_journal}, so that whoever left since "
            "the backup would be asked again: put it back, name it with --journal, or say "
            "--without-journal if it is lost for good"
        )
    return journals


def _print_restored(context: CommandContext, result: RestoreResult) -> None:
    made_at_text = (
        context.format_time(result.made_at) if result.made_at else "a moment that it does not tell"
    )
    which = ""
    if result.checkpoint.seq:
        which = " that the backup does not know"
        echo(
            f"Restored: the backup of {made_at_text}, with {result.checkpoint.seq:,} entries of "
            "the evidence."
        )
    else:
        echo("The database begins empty, except for what the journal tells.")
    echo(
        f"Taken off again, as the journal says: {sum(result.replayed.removed.values()):,}.",
    )
    echo_counts(result.replayed.removed)
    if result.replayed.moved:
        echo(
            "Corrected their address since, and are off the list under the former one: "
            f"{len(result.replayed.moved):,}."
        )
        echo(*(f"  {moved.list}: {moved.address}" for moved in result.replayed.moved))
    echo(
        f"Suppressed besides: {result.replayed.suppressed:,}. "
        f"Erased again: {result.replayed.erased:,}."
    )
    if result.replayed.remade:
        echo(
            f"Lists{which}, made anew with who is not to be asked on them: "
            f"{', '.join(result.replayed.remade)}. Describe them again (`repermit list set`), and "
            "bring in their files."
        )
    if result.replayed.unreadable:
        echo(f"The journal has {pluralize(result.replayed.unreadable, 'line')} that were cut off.")
    _print_next_steps(context, result)


def _print_next_steps(context: CommandContext, result: RestoreResult) -> None:
    echo("", "What you have to know:")
    since = context.format_time(result.made_at or context.now)
    for line in _describe_lost(result, since):
        echo(f"  - {line}")
    if result.aside:
        echo("", f"The former database is {result.aside}; delete it once you need it no more.")


def _describe_lost(result: RestoreResult, since: str) -> Iterator[str]:
    what = f"What came after {since}" if result.checkpoint.seq else "Everything else"
    yield (
        f"{what} is lost, except who has left: each Yes, files, campaigns, logins that were "
        "changed, tokens that were revoked."
    )
    if result.replayed.moved:
        yield (
            "Who has corrected their address has not left, but the new one is lost: no journal "
            "holds an address. The former one gets no mail. Look for the new one where it has gone "
            "since: in the newsletter tool, in the mailbox for replies. Then enter it (Contacts, "
            "Add one by hand), or bring it in with `repermit import`; else let them sign up anew."
        )
    if result.held.launched:
        yield (
            "A campaign was launched since, or may have been, on: "
            f"{', '.join(result.held.launched)}. Nobody there is asked twice: when you launch "
            "it again, all its mails are in doubt until you have looked at the mail server's log "
            "and given `repermit resolve`. Do so soon: until then the links of its mails take "
            "a No, and no Yes."
        )
    if result.held.paused:
        yield (
            f"Paused: {', '.join(result.held.paused)}. Who said Yes since has no answer here: read "
            "the mailbox for replies (`repermit answer`), and give people time to answer again "
            "(`repermit extend`) before `repermit resume`."
        )
    if result.held.in_doubt:
        yield (
            "In doubt, as it may have left since the backup: "
            f"{pluralize(result.held.in_doubt, 'mail')}. None leaves by itself. Look at the mail "
            "server's log, then `repermit resolve`."
        )
    if result.held.reminders:
        yield (
            "Reminders may have begun since, and are not begun again: "
            f"{', '.join(result.held.reminders)}."
        )
    yield (
        f"The evidence goes on behind entry {result.checkpoint.seq:,}: a later checkpoint kept "
        "elsewhere tells that entries are missing, and the entry `restored` why. A tool that "
        f"reads the API goes on with since={result.checkpoint.seq}."
    )


COMMANDS = (backup, restore)
