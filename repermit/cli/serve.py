"""Commands for starting: init, demo, serve, worker."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from repermit.cli.command import command, language_option
from repermit.cli.context import CommandContext, pass_command_context
from repermit.cli.output import echo
from repermit.errors import AddressError, Refused

if TYPE_CHECKING:
    from repermit.accounts.users import IssuedInvitation
    from repermit.db.connection import Database


@command(
    examples=(
        "repermit init --public-url https://ask.example.org",
        "repermit init --public-url https://ask.example.org --admin anna@example.org",
    )
)
@click.option(
    "--public-url", metavar="URL", help="Where people will reach the pages; see config.toml."
)
@click.option("--admin", metavar="EMAIL", help="The first admin, who then need not say who it is.")
@pass_command_context
def init(context: CommandContext, public_url: str | None, admin: str | None) -> None:
    """Make config.toml with fresh keys, the database, and the first admin's link."""
    from repermit import email_address, package_files
    from repermit.db.journal_seal import require_nothing_noted
    from repermit.db.suppression_journal import make_journal
    from repermit.settings import validation

    if admin is not None:
        try:
            email_address.parse(admin)
        except AddressError as error:
            raise Refused(f"--admin {admin}: {error.reason}; nothing was made") from None
    if public_url is not None:
        public_url = validation.read_public_url({"public_url": public_url})
    path = Path(context.config)
    example = package_files.find_asset("config.example.toml").read_text("utf-8")
    text = package_files.make_fresh_config(example, public_url or "")
    _write_new_file(path, text)
    try:
        require_nothing_noted(make_journal(context.file))
    except Refused:
        # The journal was written with other keys.
        path.unlink()
        raise
    with context.database() as database:
        invited = _make_first_link(context, database, admin)
    echo(
        f"Made {path} with fresh keys, readable by you alone, and the database.",
        "",
        "Next:",
        "  1. Keep a copy of it in a safe place: without its keys old links stop working.",
        *_check_url(path, public_url),
        "  3. repermit serve",
    )
    if invited:
        echo(
            f"  4. The first admin opens this, until {context.format_time(invited.ends_at)}:",
            f"     {public_url or ''}/admin/welcome/{invited.token}",
            "     Organisation, supervisory authority, mail server and the rest are filled in",
            "     there, under Settings.",
            "     As long as there is no admin, `repermit serve` prints another link.",
        )


def _check_url(path: Path, public_url: str | None) -> tuple[str, ...]:
    if public_url is None:
        return (f"  2. Open {path} and fill in public_url, where people will reach the pages.",)
    return (
        f"  2. Let {public_url} lead to this machine, through a web server that does https;",
        "     `repermit help proxy-and-tls` has the lines for it.",
    )


def _make_first_link(
    context: CommandContext, database: Database, admin: str | None
) -> IssuedInvitation | None:
    from repermit.accounts import users
    from repermit.accounts.user_info import Role

    if admin is None:
        return users.invite_first_admin(database, now=context.now, actor=context.actor)
    return users.add_user(database, admin, role=Role.ADMIN, now=context.now, actor=context.actor)


def _write_new_file(path: Path, text: str) -> None:
    try:
        path.touch(mode=0o600, exist_ok=False)
        path.write_text(text, "utf-8")
    except FileExistsError:
        raise Refused(f"{path} exists already; nothing was changed") from None
    except OSError as error:
        raise Refused(f"{path} cannot be written: {error.strerror}") from None


@command(examples=("repermit serve", "repermit serve --host 127.0.0.1 --port 8080"))
@click.option("--host", metavar="H", help="Address to listen on.  [default: web.host]")
@click.option("--port", type=click.IntRange(0, 65535), metavar="P", help="[default: web.port]")
@pass_command_context
def serve(context: CommandContext, host: str | None, port: int | None) -> None:
    """Serve the pages, run the jobs, send what is due.

    Until Ctrl-C or SIGTERM; a second one does not wait for what is under way. Jobs and sending run
    in a process of their own, which starts and ends with this one.
    """
    _set_up_log()
    # From the first read to the last mail the database must not be replaced by a backup.
    with context.hold_presence():
        context.check_journal()
        _run_server(context, host, port)


def _run_server(context: CommandContext, host: str | None, port: int | None) -> None:
    from repermit.accounts import users
    from repermit.setting_overrides import change_settings
    from repermit.suppression import suppressions
    from repermit.web.server import Server

    settings = context.file
    with context.database() as database:
        # Reading the settings refuses a combination that does not work, before the pages open.
        change_settings.reseal_secrets(database, context.settings.secret_keys)
        suppressions.restore_lost_suppressions(database, settings=settings, now=context.now)
        invited = users.invite_first_admin(database, now=context.now, actor=context.actor)
    listen_host = settings.web.host if host is None else host
    listen_port = settings.web.port if port is None else port
    try:
        server = Server(
            settings,
            database=database,
            clock=context.clock,
            host=listen_host,
            port=listen_port,
            worker=_start_worker(context),
        )
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "there is no such address on this machine"
        raise Refused(f"cannot listen on {listen_host}, port {listen_port}: {reason}") from None
    echo(
        f"Serving {settings.public_url} at http://{server.host}:{server.port}/",
        "Jobs and sending run beside it. Ctrl-C stops both.",
    )
    if invited:
        echo(
            "There is no admin yet. Whoever is the first opens this link:",
            f"  {settings.public_url}/admin/welcome/{invited.token}",
        )
    server.run()


class RedactingFormatter(logging.Formatter):
    """Redacts the tokens of links in every log line (invariant 13)."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the redacted line of a record."""
        from repermit.signed_links import redact

        return redact(super().format(record))


def _set_up_log() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(RedactingFormatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=(handler,))


def _start_worker(context: CommandContext) -> tuple[str, ...]:
    """Return the command line of a worker that ends with this process."""
    # -P: do not import a folder called repermit in the working directory.
    python = (sys.executable, "-P", "-m", "repermit")
    return (*python, "--config", str(Path(context.config).absolute()), "worker", "--child")


@command(examples=("repermit worker",))
@click.option("--child", is_flag=True, hidden=True, help="Be the child of `serve`.")
@pass_command_context
def worker(context: CommandContext, *, child: bool) -> None:
    """Run the jobs and send what is due, without the pages.

    `serve` has one already; more of them share the work, on PostgreSQL also on other machines.
    Until Ctrl-C or SIGTERM; a second one does not wait for what is under way.
    """
    _set_up_log()
    with context.hold_presence():
        context.check_journal()
        _run_worker(context, child=child)


def _run_worker(context: CommandContext, *, child: bool) -> None:
    from repermit.jobs import worker_process
    from repermit.suppression import suppressions

    with context.database() as database:
        settings = context.settings
        if not child:
            suppressions.restore_lost_suppressions(database, settings=settings, now=context.now)
    if not child:
        echo(f"Working for {settings.public_url}. Ctrl-C stops.")
    worker_process.run_worker(
        context.file,
        database,
        clock=context.clock,
        # `serve` holds the other end of this pipe.
        control_pipe=sys.stdin.fileno() if child else None,
    )


@command(examples=("repermit demo", "repermit demo --once"))
@click.option("--once", is_flag=True, help="Play the recipients too, print the result, and end.")
@language_option
def demo(*, once: bool, language: str) -> int:
    """Watch a whole campaign happen on this machine.

    With a sample list, an inbox and a clock of its own. Nothing leaves this machine, and nothing
    stays on it.
    """
    from repermit.demo.play_once import run_once
    from repermit.demo.run import run_demo

    return run_once(language) if once else run_demo(language)


COMMANDS = (init, demo, serve, worker)
