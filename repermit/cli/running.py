"""Commands that start something: init, demo, serve, worker.

May import everything.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from repermit.cli.commands import command
from repermit.cli.house import House, pass_house
from repermit.cli.lines import say
from repermit.errors import Refused

if TYPE_CHECKING:
    from repermit.accounts import Invited
    from repermit.models import Database


@command(examples=("repermit init", "repermit init --admin anna@example.org"))
@click.option("--admin", metavar="EMAIL", help="The first admin, who then need not say who it is.")
@pass_house
def init(house: House, admin: str | None) -> None:
    """Make config.toml with fresh keys, the database, and the first admin's link."""
    from repermit import addresses, config

    if admin is not None:
        addresses.parse(admin)
    path = Path(house.config)
    text = config.fresh_config(config.asset("config.example.toml").read_text("utf-8"))
    _write_new(path, text)
    with house.database() as database:
        invited = _first_link(house, database, admin)
    say(
        f"Made {path} with fresh keys, readable by you alone, and the database.",
        "",
        "Next:",
        f"  1. Open {path} and fill in public_url, [organisation] and [mail].",
        "  2. Keep a copy of it in a safe place: without its keys old links stop working.",
        "  3. repermit list add news --name … --purpose … --privacy-url … --sender …",
    )
    if invited:
        say(
            "",
            "When public_url is filled in and `repermit serve` runs, the first admin opens this",
            f"below it, until {house.in_words(invited.ends_at)}:",
            f"  /admin/welcome/{invited.token}",
            "As long as there is no admin, `repermit serve` prints another one.",
        )


def _first_link(house: House, database: Database, admin: str | None) -> Invited | None:
    from repermit import accounts
    from repermit.accounts import Role

    if admin is None:
        return accounts.invite_first_admin(database, now=house.now, actor=house.actor)
    return accounts.add_user(database, admin, role=Role.ADMIN, now=house.now, actor=house.actor)


def _write_new(path: Path, text: str) -> None:
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
@pass_house
def serve(house: House, host: str | None, port: int | None) -> None:
    """Serve the pages, run the jobs, send what is due.

    Until Ctrl-C or SIGTERM; a second one does not wait for what is under way. Jobs and sending run
    in a process of their own, which starts and ends with this one.
    """
    from repermit import accounts
    from repermit.web.running import Server

    _keep_log()
    settings = house.settings
    with house.database() as database:
        invited = accounts.invite_first_admin(database, now=house.now, actor=house.actor)
    place = (
        (settings.web.host if host is None else host),
        (settings.web.port if port is None else port),
    )
    try:
        server = Server(
            settings,
            database=database,
            clock=house.clock,
            host=place[0],
            port=place[1],
            worker=_worker_beside(house),
        )
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "there is no such address on this machine"
        raise Refused(f"cannot listen on {place[0]}, port {place[1]}: {why}") from None
    say(
        f"Serving {settings.public_url} at http://{server.host}:{server.port}/",
        "Jobs and sending run beside it. Ctrl-C stops both.",
    )
    if invited:
        say(
            "There is no admin yet. Whoever is the first opens this link:",
            f"  {settings.public_url}/admin/welcome/{invited.token}",
        )
    server.run()


def _keep_log() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")


def _worker_beside(house: House) -> tuple[str, ...]:
    """Return the command of a worker that lives as long as this process at most."""
    # -P: not from a folder of the name repermit that happens to be here.
    python = (sys.executable, "-P", "-m", "repermit")
    return (*python, "--config", str(Path(house.config).absolute()), "worker", "--child")


@command(examples=("repermit worker",))
@click.option("--child", is_flag=True, hidden=True, help="Be the child of `serve`.")
@pass_house
def worker(house: House, *, child: bool) -> None:
    """Run the jobs and send what is due, without the pages.

    `serve` has one already; more of them share the work, on PostgreSQL also on other machines.
    Until Ctrl-C or SIGTERM; a second one does not wait for what is under way.
    """
    from repermit import jobs

    _keep_log()
    with house.database() as database:
        pass
    if not child:
        say(f"Working for {house.settings.public_url}. Ctrl-C stops.")
    jobs.work(
        house.settings,
        database,
        clock=house.clock,
        # Where `serve` is heard.
        leash=sys.stdin.fileno() if child else None,
    )


@command(examples=("repermit demo", "repermit demo --once"))
@click.option("--once", is_flag=True, help="Play the recipients too, print the result, and end.")
def demo(*, once: bool) -> int:
    """Watch a whole campaign happen on this machine.

    With a sample list, an inbox and a clock of its own. Nothing leaves this machine, and nothing
    stays on it.
    """
    from repermit.demo import run_demo, run_once

    return run_once() if once else run_demo()


COMMANDS = (init, demo, serve, worker)
