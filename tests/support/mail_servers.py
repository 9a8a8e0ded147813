"""Real mail servers, Postfix and Dovecot, with all that is theirs in one folder, on loopback."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

NOBODY = 65_534
"""A user who may do nothing: what repermit runs as."""
OWNER = pwd.getpwnam("mail")
"""The user that mailboxes belong to."""

AS_NOBODY: dict[str, Any] = {
    "user": NOBODY,
    "group": NOBODY,
    "extra_groups": [],
    "env": {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": "/nonexistent"},
}
"""How a process is started as that user, and without what counts lines."""

_PATIENCE = 600
_SIEVE = Path("/usr/lib/dovecot/modules/sieve/lib90_sieve_extprograms_plugin.so")


def lacking(*, dovecot: bool = True) -> str:
    """Return why no mail servers can be started here; "" if they can."""
    if os.geteuid():
        return "Postfix starts as root alone"
    if not shutil.which("postfix"):
        return "there is no Postfix here (Debian: apt-get install postfix)"
    if dovecot and not (shutil.which("dovecot") and _has_parts()):
        return "there is no Dovecot here (Debian: dovecot-imapd -pop3d -lmtpd -sieve)"
    if dovecot and not _version().startswith("2.4"):
        return "this is not Dovecot 2.4, whose settings these are"
    return ""


def _has_parts() -> bool:
    folder = Path("/usr/lib/dovecot")
    return _SIEVE.exists() and all((folder / name).exists() for name in ("imap", "pop3", "lmtp"))


def _version() -> str:
    return subprocess.run(
        ["dovecot", "--version"], capture_output=True, text=True, check=True
    ).stdout


@contextmanager
def open_folder() -> Iterator[Path]:
    """Yield a folder that every user of the machine may enter, until the end of `with`."""
    folder = Path(tempfile.mkdtemp(prefix="relays-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def install(script: Path, *sources: Path) -> str:
    """Write the command repermit for a user who may not enter this one's home; return why not.

    A Python of the same version that everybody may start runs it, with these folders of modules.
    """
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for python in (sys.executable, f"/usr/bin/{version}", f"/usr/local/bin/{version}"):
        script.parent.mkdir(parents=True, exist_ok=True)
        script.write_text(
            f"#!{python}\nimport os, sys\nsys.path[1:1] = {list(map(str, sources))}\n"
            # Compiled modules are kept, or each command would compile all anew.
            f"sys.pycache_prefix = os.environ['PYTHONPYCACHEPREFIX'] = '{script.parent}/compiled'\n"
            # For the processes that it starts itself.
            "os.environ['PYTHONPATH'] = os.pathsep.join(sys.path[1:])\n"
            "from repermit.__main__ import main\nmain()\n"
        )
        script.chmod(0o755)
        with suppress(PermissionError, FileNotFoundError):
            subprocess.run([script, "--version"], **AS_NOBODY, capture_output=True, check=True)
            return ""
    return f"no {version} here may be started by everybody"


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def wait_until(is_so: Callable[[], bool], what: Callable[[], object]) -> None:
    """Wait for something to become so, as long as a loaded machine may take; `what` is shown."""
    end = time.monotonic() + _PATIENCE
    while not is_so():
        assert time.monotonic() < end, what()
        time.sleep(0.2)


def give_to(user: int, folder: Path) -> None:
    """Let a folder and all that is in it belong to a user."""
    for path in (folder, *folder.rglob("*")):
        os.chown(path, user, user, follow_symlinks=False)


class Postfix:
    """A Postfix instance of its own, from `start` to the end of a `with` after it.

    It takes mail at `port`.
    """

    host = "127.0.0.1"

    def __init__(self, folder: Path, name: str) -> None:
        self.home = folder / name
        self.etc = self.home / "etc"
        self.log = self.home / "log"
        self.port = free_port()
        self._name = name

    def start(self, main: str, *, master: str = "", files: Mapping[str, str] | None = None) -> None:
        """Start with these lines of main.cf and master.cf, and further files beside them."""
        for path in (self.etc, self.home / "queue", self.home / "data"):
            path.mkdir(parents=True)
        shutil.chown(self.home / "data", "postfix")
        for name, text in (files or {}).items():
            (self.etc / name).write_text(text)
        (self.etc / "main.cf").write_text(f"{self._usual()}\n{main}\n")
        services = Path("/usr/share/postfix/master.cf.dist").read_text()
        listening = services.replace("\nsmtp      inet", f"\n127.0.0.1:{self.port} inet", 1)
        # None in a folder of its own (chroot), where the socket of Dovecot is not.
        listening = re.sub(
            r"(?m)^(\S+ +(?:inet|unix)(?:-dgram)? +\S+ +\S+ +)[y-]", r"\1n", listening
        )
        (self.etc / "master.cf").write_text(f"{listening}\n{master}\n")
        # Maps that are compiled in other packages are not used here.
        (self.etc / "dynamicmaps.cf").touch()
        self.command("postfix", "start")

    def _usual(self) -> str:
        return f"""
compatibility_level = 3.6
queue_directory = {self.home}/queue
data_directory = {self.home}/data
maillog_file = {self.log}
maillog_file_prefixes = {self.home}
myhostname = {self._name}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
mydestination =
alias_maps =
alias_database =
smtp_dns_support_level = disabled
smtp_host_lookup = native
smtpd_peername_lookup = no
# Dovecot takes ten at once for one mailbox, and what it puts off is to come again in this test.
lmtp_destination_concurrency_limit = 4
queue_run_delay = 2s
minimal_backoff_time = 2s
maximal_backoff_time = 4s
"""

    def command(self, *words: str) -> str:
        """Give a command of Postfix to this instance."""
        done = subprocess.run(
            [words[0], "-c", str(self.etc), *words[1:]], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, (words, done.stdout, done.stderr, self.logged())
        return done.stdout

    def logged(self) -> str:
        """Return what it has logged."""
        return self.log.read_text() if self.log.exists() else ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.command("postfix", "stop")


class Dovecot:
    """Mailboxes, from `start` to the end of a `with` after it.

    Mails come in by LMTP at the socket `lmtp`.
    """

    password = "mellon"

    def __init__(self, folder: Path) -> None:
        self.home = folder / "dovecot"
        self.lmtp = self.home / "run" / "lmtp"
        self.imap_port, self.pop3_port = free_port(), free_port()
        self._etc = self.home / "dovecot.conf"

    def start(
        self,
        users: Mapping[str, str],
        *,
        submission: str,
        more: str = "",
        compiled: Sequence[Path] = (),
    ) -> None:
        """Start with these users, each with further fields of its own, and these Sieve scripts."""
        for name in ("run", "mail", "sieve"):
            (self.home / name).mkdir(parents=True)
        give_to(OWNER.pw_uid, self.home / "mail")
        give_to(OWNER.pw_uid, self.home / "sieve")
        lines = [f"{user}:{{PLAIN}}{self.password}::::::{fields}" for user, fields in users.items()]
        (self.home / "users").write_text("\n".join(lines) + "\n")
        self._etc.write_text(f"{self._usual(submission)}\n{more}\n")
        for path in compiled:
            self._command("sievec", str(path))
        self._command("dovecot")

    def _usual(self, submission: str) -> str:
        return f"""
dovecot_config_version = 2.4.0
dovecot_storage_version = 2.4.0
base_dir = {self.home}/run
log_path = {self.home}/log
protocols = imap pop3 lmtp
listen = 127.0.0.1
ssl = no
auth_allow_cleartext = yes
mail_driver = maildir
mail_home = {self.home}/mail/%{{user}}
mail_path = {self.home}/mail/%{{user}}
mail_uid = {OWNER.pw_name}
mail_gid = {OWNER.pw_gid}
first_valid_uid = 1
hostname = mailboxes.example
submission_host = {submission}
passdb passwd-file {{
  passwd_file_path = {self.home}/users
}}
userdb passwd-file {{
  passwd_file_path = {self.home}/users
}}
mail_plugins {{
  quota = yes
}}
quota user {{
  driver = count
  storage_grace = 0
}}
protocol lmtp {{
  mail_plugins {{
    sieve = yes
  }}
}}
sieve_script personal {{
  driver = file
  path = {self.home}/sieve/%{{user}}.sieve
}}
service imap-login {{
  inet_listener imap {{
    port = {self.imap_port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service pop3-login {{
  inet_listener pop3 {{
    port = {self.pop3_port}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
service lmtp {{
  unix_listener lmtp {{
    mode = 0666
  }}
}}
"""

    def mails(self, user: str) -> list[bytes]:
        """Return what a user's mailbox holds."""
        folders = (self.home / "mail" / user / name for name in ("new", "cur"))
        return [path.read_bytes() for one in folders if one.exists() for path in one.iterdir()]

    def logged(self) -> str:
        """Return what it has logged."""
        return (self.home / "log").read_text()

    def _command(self, *words: str) -> None:
        said = self.home / "said"
        # A file, since what goes on in the background keeps it open.
        with said.open("w") as stream:
            done = subprocess.run(
                [words[0], "-c", str(self._etc), *words[1:]],
                stdout=stream,
                stderr=stream,
                check=False,
            )
        assert done.returncode == 0, said.read_text()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._command("doveadm", "stop")
