"""Run docs/how-to/debian.md to the letter in a bare Debian machine, up to a campaign.

Then the pages on backups and upgrading. What is asked comes through nginx, as its page says.

`python -m tests.bare_debian FOLDER` wants root, debootstrap, systemd-nspawn and Debian's and
Python's packages. The machine is a container that boots systemd, so that the unit really runs.
"""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).parents[1]
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
ARCHIVE = "root/repermit-1.0.0.tar.gz"
"""Where the page wants the archive in the machine."""

SETTINGS = r"""
cd /srv/repermit
sed -i 's/^\[organisation\]$/&\nname = "Praktijk De Linde"\naddress = "Lindelaan 1, Lindedorp"\
email = "info@example.org"\nauthority = "Autoriteit Persoonsgegevens"/
    s/^\[mail\]$/&\nserver = "127.0.0.1"\nport = 2525\ntls = "none"/' config.toml
systemctl restart repermit
venv/bin/python -m aiosmtpd -n -l 127.0.0.1:2525 -c aiosmtpd.handlers.Mailbox /root/inbox \
    >/root/inbox.log 2>&1 &
"""
CERTBOT = r"""
cat >/usr/local/bin/certbot <<'END'
#!/bin/sh
mkdir -p /etc/letsencrypt/live/ask.example.org && cd /etc/letsencrypt/live/ask.example.org
openssl req -x509 -newkey rsa:2048 -nodes -keyout privkey.pem -out fullchain.pem -days 9 \
    -subj /CN=ask.example.org -addext subjectAltName=DNS:ask.example.org
END
chmod 755 /usr/local/bin/certbot
echo 127.0.0.1 ask.example.org >>/etc/hosts
"""
"""Makes the certificate that certbot would fetch: no authority reaches this machine."""
HEALTH = """
/srv/repermit/venv/bin/python -c 'import urllib.request as r
print(r.urlopen("http://127.0.0.1:8000/healthz").read().decode())' 2>/dev/null || true
"""
CAMPAIGN = r"""
cd /srv/repermit
printf 'E-mail;Naam\njan@example.net;Jan\nanna@example.net;Anna\n' > list.csv
repermit list add news --name "Nieuws van De Linde" --purpose "Nieuws over onze praktijk" \
    --privacy-url https://www.example.org/privacy \
    --sender "Praktijk De Linde <nieuws@example.org>" --language nl --frequency "vier keer per jaar"
repermit import news list.csv --source "our own forms"
repermit launch news --deadline "$(date -d '+40 days' +%F)" --ground legitimate-interest \
    --attest "Decided by the board on 1 November; addresses from our own forms; none opted out"
"""
LOGIN_PAGE = """
export SSL_CERT_FILE=/etc/letsencrypt/live/ask.example.org/fullchain.pem
/srv/repermit/venv/bin/python -c 'import urllib.request as r
print(r.urlopen("https://ask.example.org/admin/login").status)'
"""
ANSWER = r"""
export SSL_CERT_FILE=/etc/letsencrypt/live/ask.example.org/fullchain.pem
/srv/repermit/venv/bin/python -c '
import email, email.policy, pathlib, re, urllib.parse, urllib.request
mail = next(pathlib.Path("/root/inbox/new").iterdir()).read_bytes()
message = email.message_from_bytes(mail, policy=email.policy.default)
text = message.get_body(("plain",)).get_content()
page = re.search(r"https://ask.example.org/yes/\S+", text)[0]
html = urllib.request.urlopen(page).read().decode()
form = {"number": re.search(r"name=\"number\" value=\"([^\"]+)\"", html)[1]}
urllib.request.urlopen(page, urllib.parse.urlencode(form).encode())'
repermit status news --json
"""


def blocks_of(page: str) -> list[str]:
    """Return the commands of a how-to, block by block."""
    text = (ROOT / "docs/how-to" / page).read_text("utf-8")
    return re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def make_root(folder: Path) -> None:
    """Lay a bare Debian that boots, with the repository and the names of this machine's network."""
    release = re.search(r"VERSION_CODENAME=(\w+)", Path("/etc/os-release").read_text("utf-8"))
    assert release
    packages = "--include=systemd,systemd-sysv,dbus"
    command = ["debootstrap", "--variant=minbase", packages, release[1], str(folder)]
    subprocess.run(command, check=True)
    for name in ("resolv.conf", "hosts"):
        shutil.copy(f"/etc/{name}", folder / "etc" / name)
    shutil.copy(CERTIFICATES, folder / "root/certificates.crt")
    (folder / "etc/apt/apt.conf.d/90yes").write_text('APT::Get::Assume-Yes "true";\n')
    archive = ["git", "archive", "--prefix=repermit-1.0.0/", "-o", f"{folder}/{ARCHIVE}", "HEAD"]
    subprocess.run(archive, cwd=ROOT, check=True)


class Machine:
    """A machine that has booted; `pid` is the process of its systemd."""

    def __init__(self, pid: str) -> None:
        self.pid = pid

    def run(self, script: str, *, has_network: bool = False) -> str:
        """Run commands as root, and print each before it runs; return what they wrote."""
        namespaces = ["-m", "-u", "-i", "-p", *([] if has_network else ["-n"])]
        environment = ["-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
        environment += ["HOME=/root", "LANG=C.UTF-8", "PIP_CERT=/root/certificates.crt"]
        enter = ["nsenter", "-t", self.pid, *namespaces, "-r", "-w", "env", *environment]
        ran = subprocess.run(
            [*enter, "bash", "-exc", script], check=False, stdout=subprocess.PIPE, text=True
        )
        sys.stdout.write(f"{ran.stdout}\n")
        sys.stdout.flush()
        if ran.returncode:
            sys.exit(f"exit {ran.returncode} of: {script}")
        return ran.stdout

    def wait_for(self, script: str, words: str) -> str:
        """Run commands again and again until they print these words; return all that they did."""
        until = time.monotonic() + 120
        while time.monotonic() < until:
            if words in (printed := self.run(script)):
                return printed
            time.sleep(1)
        sys.exit(f"no {words!r} of: {script}")


@contextmanager
def booted(folder: Path) -> Iterator[Machine]:
    """Boot a machine that has a network of its own, and switch it off afterwards."""
    command = ["systemd-nspawn", "-D", str(folder), "--boot", "--private-network"]
    command += ["--register=no", "--keep-unit", "--console=pipe"]
    with (
        (folder / "boot.log").open("wb") as log,
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log) as process,
    ):
        try:
            machine = Machine(_wait_for_systemd(process.pid))
            machine.wait_for("systemctl is-system-running || true", "running")
            yield machine
        finally:
            process.send_signal(signal.SIGTERM)


def _wait_for_systemd(parent: int) -> str:
    """Return the process of the machine's systemd, once systemd-nspawn has started it."""
    children = Path(f"/proc/{parent}/task/{parent}/children")
    until = time.monotonic() + 120
    while time.monotonic() < until:
        for child in children.read_text("utf-8").split():
            with suppress(FileNotFoundError):
                if Path(f"/proc/{child}/comm").read_text("utf-8") == "systemd\n":
                    return child
        time.sleep(0.1)
    sys.exit("the machine did not boot")


def run_a_campaign(machine: Machine) -> None:
    """Ask two people, of whom one says Yes by the link of the mail."""
    nginx, apache, _caddy, trust = blocks_of("proxy-and-tls.md")
    machine.run(CERTBOT + nginx, has_network=True)
    machine.run(trust)
    machine.run(SETTINGS)
    machine.wait_for(HEALTH, "ok")
    machine.run(CAMPAIGN)
    machine.wait_for("ls /root/inbox/new | wc -l", "2")
    status = json.loads(machine.run(ANSWER))
    machine.run(f"systemctl disable --now nginx\n{apache}", has_network=True)
    assert machine.run(LOGIN_PAGE).strip() == "200"
    assert status["contacts"] | {"confirmed": 1, "unconfirmed": 1} == status["contacts"], status


def restore_and_upgrade(machine: Machine) -> None:
    """Make the backups of that page, restore the last one, install a version and go back."""
    once, every_night, restore, *_ = blocks_of("backup-and-restore.md")
    machine.run(once)
    machine.run(every_night)
    newest = machine.run("ls /srv/repermit/backups/repermit-*.db | tail -n 1").strip()
    restore = re.sub(r"/srv/repermit/backups/\S+\.db", newest, restore)
    machine.run(f"systemctl stop repermit\n{restore}systemctl start repermit")
    assert json.loads(machine.run("repermit status news --json"))["contacts"]["confirmed"] == 1
    machine.run(f"cp /{ARCHIVE} /root/repermit-1.1.0.tar.gz")
    for block in blocks_of("upgrade.md"):
        # `check` finds faults: this machine has no mail server that anybody reaches.
        machine.run(block.replace("repermit check", "repermit check || true"), has_network=True)
    assert json.loads(machine.run("repermit status news --json"))["contacts"]["confirmed"] == 1


def main() -> None:
    """Do all of it, in a folder that is not there yet; the folder is left to be looked at."""
    folder = Path(sys.argv[1])
    make_root(folder)
    with booted(folder) as machine:
        for block in blocks_of("debian.md"):
            machine.run(block, has_network=True)
        run_a_campaign(machine)
        restore_and_upgrade(machine)


if __name__ == "__main__":
    main()
