"""Installations of any checkout, made by its own commands, for benchmarks: copied in a moment."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg

_SETTINGS = {
    "server": "127.0.0.1",
    "tls": "none",
    "name": "De Linde",
    "address": "Lindelaan 1",
    "email": "info@example.org",
    "authority": "AP",
    "authority_url": "https://www.example.org/",
}

# In place of `-m repermit`. Every clock in repermit is of this class.
_AGO = """\
import runpy
from datetime import timedelta
from repermit.clock import SystemClock
now = SystemClock.now
SystemClock.now = lambda self: now(self) - timedelta(days={days})
runpy.run_module("repermit", run_name="__main__", alter_sys=True)
"""


@dataclass(frozen=True)
class Installation:
    """A folder with config.toml, and its database, on SQLite unless `server` is an address."""

    tree: Path
    folder: Path
    server: str

    def make(self, smtp_port: int, *, ago: timedelta | None = None) -> None:
        """Make it anew, with an empty database."""
        self.folder.mkdir(parents=True)
        self.run("init", "--public-url", "http://127.0.0.1:8000", ago=ago)
        if self.server:
            self._create("template0")
            self.set("database", self._url())
        for key, value in _SETTINGS.items():
            self.set(key, value)
        self.set("port", smtp_port)

    def set(self, key: str, value: str | int, *, file: str = "config.toml") -> None:
        """Set the first setting that has this name."""
        text = (self.folder / "config.toml").read_text("utf-8")
        line = f"{key} = {json.dumps(value)}"
        text = re.sub(rf"^(# )?{key} = .*$", line, text, count=1, flags=re.MULTILINE)
        (self.folder / file).write_text(text, "utf-8")

    @property
    def python(self) -> str:
        """Return the interpreter of its tree, or this one."""
        own = self.tree / ".venv/bin/python"
        return str(own if own.exists() else sys.executable)

    @property
    def surroundings(self) -> dict[str, Any]:
        """Return where and with which environment its commands run."""
        path = os.pathsep.join((str(self.tree), os.environ.get("PYTHONPATH", "")))
        return {"cwd": self.folder, "env": {**os.environ, "PYTHONPATH": path}}

    def command(self, *arguments: str, file: str = "config.toml") -> list[str]:
        """Return a command of its tree, with the settings in this file."""
        known = [one for one in arguments if not one.startswith("--accept=") or self._accepts]
        return [self.python, "-m", "repermit", "--config", str(self.folder / file), *known]

    @cached_property
    def _accepts(self) -> bool:
        """Say whether a launch of its tree takes findings that are accepted; older ones do not."""
        help_command = [self.python, "-m", "repermit", "launch", "--help"]
        helped = subprocess.run(help_command, capture_output=True, check=True, **self.surroundings)
        return b"--accept" in helped.stdout

    def run(self, *arguments: str, ago: timedelta | None = None) -> None:
        """Run a command to its end, by a clock that is so slow; give up if it refuses."""
        if complaint := self.attempt(*arguments, ago=ago):
            sys.exit(f"{' '.join(arguments[:2])}: {complaint}")

    def attempt(
        self, *arguments: str, most: float | None = None, ago: timedelta | None = None
    ) -> str:
        """Run a command to its end; return its exit code and what it said, "" if that is 0.

        - `most`: seconds after which it is killed.
        - `ago`: how far its clock is behind.
        """
        command = self.command(*arguments)
        if ago is not None:
            command[1:3] = ["-c", _AGO.format(days=ago / timedelta(days=1))]
        try:
            ran = subprocess.run(
                command,
                capture_output=True,
                text=True,
                check=False,
                timeout=most,
                **self.surroundings,
            )
        except subprocess.TimeoutExpired:
            return f"killed after {most:g} seconds"
        return f"exit code {ran.returncode} {ran.stderr.strip()}" if ran.returncode else ""

    def sql(self, statement: str, *values: object) -> list[Any]:
        """Run a statement in a transaction of its own; return what it finds."""
        if self.server:
            with psycopg.connect(self._url()) as server:
                cursor: Any = server.execute(statement.replace("?", "%s"), values or None)
                return cursor.fetchall() if cursor.description else []
        file = sqlite3.connect(self.folder / "repermit.db", timeout=60)
        with contextlib.closing(file), file:
            return file.execute(statement, values).fetchall()

    def copy(self, name: str) -> Installation:
        """Return a copy of it, in the folder of this name beside it."""
        copied = replace(self, folder=self.folder.with_name(name))
        shutil.copytree(self.folder, copied.folder)
        if self.server:
            self.sql("ANALYZE")
            copied._create(self._name)
            copied.set("database", copied._url())
            self._at_server("CHECKPOINT")
        # Of what is measured next nothing waits for the copy to be written to the disk.
        os.sync()
        return copied

    def drop(self) -> None:
        """Take it away."""
        shutil.rmtree(self.folder)
        if self.server:
            self._at_server(f'DROP DATABASE "{self._name}" WITH (FORCE)')

    @property
    def _name(self) -> str:
        return f"{self.folder.parent.name}_{self.folder.name}"

    def _url(self) -> str:
        return urlunsplit(urlsplit(self.server)._replace(path=f"/{self._name}"))

    def _create(self, template: str) -> None:
        self._at_server(f'CREATE DATABASE "{self._name}" TEMPLATE "{template}"')

    def _at_server(self, statement: str) -> None:
        with psycopg.connect(self.server, autocommit=True) as server:
            server.execute(statement)
