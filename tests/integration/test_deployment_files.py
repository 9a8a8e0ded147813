"""The files of deploy/, the Dockerfile and compose.yaml: whole, and true of what they start."""

from __future__ import annotations

import getpass
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import click
import pytest

from repermit.cli import cli
from tests.bare_debian import ARCHIVE, blocks_of
from tests.codebase.test_documentation import PAGES, links_of
from tests.support.command_tree import REPERMIT
from tests.support.desk import Desk

ROOT = Path(__file__).parents[2]
UNITS = sorted((ROOT / "deploy/systemd").iterdir())
COMMAND = "/srv/repermit/venv/bin/repermit"


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_takes_each_unit_and_finds_it_hardened(unit: Path, tmp_path: Path) -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("needs systemd-analyze")
    for each in UNITS:
        text = each.read_text("utf-8").replace(COMMAND, sys.executable)
        text = re.sub(r"^User=.*", f"User={getpass.getuser()}", text, flags=re.MULTILINE)
        (tmp_path / each.name).write_text(text.replace("/srv/repermit", str(ROOT)), "utf-8")
    verified = subprocess.run(
        [program, "verify", "--man=no", str(tmp_path / unit.name)],
        check=False,
        capture_output=True,
        text=True,
    )
    assert (verified.returncode, verified.stderr) == (0, "")
    if unit.suffix == ".service":
        # "OK" is up to 4.9 of 10; in tenths.
        command = [program, "security", "--offline=yes", "--threshold=20", "--no-pager"]
        subprocess.run([*command, str(tmp_path / unit.name)], check=True, capture_output=True)


def test_a_process_that_takes_all_memory_ends_alone() -> None:
    """What opens a file or mail is ended first; systemd's usual OOMPolicy would stop all others."""
    limited = [unit.read_text("utf-8") for unit in UNITS if "MemoryMax" in unit.read_text("utf-8")]
    assert len(limited) == 2
    assert all("OOMPolicy=continue" in text for text in limited)


def test_both_versions_of_dovecot_run_the_same_command() -> None:
    """Dovecot 2.3 and 2.4 do not read each other's files, of which a change of one is a mistake."""

    def read(name: str) -> list[str]:
        text = (ROOT / "deploy/sieve" / name).read_text("utf-8")
        block = text.partition("service repermit-bounce {")[2].replace("sieve-pipe/", "")
        return [*block.splitlines(), *re.findall(r"/etc/dovecot/\S+\.sieve", text)]

    assert read("90-repermit.conf") == read("90-repermit-2.3.conf") != []


@pytest.mark.parametrize(
    "path",
    [*UNITS, ROOT / "Dockerfile", ROOT / "compose.yaml"],
    ids=lambda path: path.name,
)
def test_what_is_started_is_a_command(path: Path) -> None:
    text = path.read_text("utf-8")
    given = re.findall(rf"{COMMAND} ([a-z]+)", text)
    given += re.findall(r"^        repermit ([a-z]+)", text, re.MULTILINE)
    given += re.findall(r'^CMD \["([a-z]+)"', text, re.MULTILINE)
    assert isinstance(cli, click.Group)
    assert set(given) <= set(cli.list_commands(click.Context(cli)))
    assert given or path.suffix in {".timer", ".yaml"}


@pytest.mark.exhaustive
def test_two_backups_of_one_day_are_both_kept(desk: Desk) -> None:
    desk.add_news()
    (desk.folder / "backups").mkdir()
    unit = (ROOT / "deploy/systemd/repermit-backup.service").read_text("utf-8")
    lines = re.findall(r"^ExecStart(?:Post)?=(.+)$", unit, re.MULTILINE)
    for line in [*lines, "/bin/sleep 1", *lines]:  # as two names differ by the second
        command = line.replace("%%", "%").replace("$$", "$").replace(COMMAND, str(REPERMIT))
        here = command.replace("/srv/repermit", str(desk.folder))
        subprocess.run(shlex.split(here), cwd=desk.folder, check=True, capture_output=True)
    assert len(list((desk.folder / "backups").glob("repermit-*.db"))) == 2
    assert list((desk.folder / "backups").glob("*.journal"))


@pytest.mark.exhaustive
def test_the_page_on_upgrading_leads_to_the_new_version_and_back(desk: Desk) -> None:
    """The real commands on a real database; what installs and starts is played."""
    desk.add_news()
    played = f"""set -e
        systemctl() {{ :; }}
        tar() {{ mkdir source && echo new >source/version; }}
        python3() {{
            mkdir -p venv/bin && echo new >venv/version
            ln -s /bin/true venv/bin/pip && ln -s /bin/true venv/bin/python
        }}
        repermit() {{ "{REPERMIT}" "$@" || test "$1" = check; }}
        """
    for name in ("source", "venv"):
        (desk.folder / name).mkdir()
        (desk.folder / name / "version").write_text("old\n", "utf-8")
    upgrade, _, back = blocks_of("upgrade.md")
    for block, version in ((upgrade, "new"), (back, "old")):
        here = (played + block).replace("/srv/repermit", str(desk.folder))
        subprocess.run(["bash", "-c", here], cwd=desk.folder, check=True, capture_output=True)
        for name in ("source", "venv"):
            assert (desk.folder / name / "version").read_text("utf-8") == f"{version}\n"
        with desk.news() as (_, news):
            assert news.frequency != "every week"
        desk.do("list", "set", "news", "--frequency", "every week")


def test_pages_copy_only_files_that_there_are_and_the_command_is_the_units() -> None:
    pages = {page.name: page.read_text("utf-8") for page in (ROOT / "docs/how-to").glob("*.md")}
    copied = {name for text in pages.values() for name in re.findall(r"source/(deploy/\S+)", text)}
    assert "deploy/debian/repermit" in copied
    assert [name for name in copied if not list(ROOT.glob(name))] == []
    command = ROOT / "deploy/debian/repermit"
    assert command.stat().st_mode & 0o111
    assert f"-u repermit {COMMAND} --config /srv/repermit/config.toml" in command.read_text("utf-8")
    # Where `python -m tests.bare_debian` puts the archive.
    assert f"tar -xf /{ARCHIVE} --one-top-level=source" in pages["debian.md"]


def test_containers_get_the_headers_and_limits_of_a_server_of_its_own() -> None:
    """Two files for Caddy, of which a change of one alone is a mistake."""
    own_host = (ROOT / "deploy/caddy/own-host.Caddyfile").read_text("utf-8")
    container = (ROOT / "deploy/docker/Caddyfile").read_text("utf-8")
    expected = (
        own_host.replace("ask.example.org {", "{$REPERMIT_HOST} {")
        .replace("reverse_proxy 127.0.0.1:8000", "reverse_proxy repermit:8000")
        .replace(
            "on this machine alone: http://127.0.0.1", "in the same network alone: http://repermit"
        )
    )
    assert container.partition("\n{\n")[2] == expected.partition("\n{\n")[2] != ""


def read_compose(*, host: str) -> subprocess.CompletedProcess[str]:
    """Let Docker's own compose read compose.yaml, for a host of this name."""
    program = shutil.which("docker-compose")
    command = [program] if program else ["docker", "compose"]
    if shutil.which(command[0]) is None:
        pytest.skip("needs docker-compose (Debian: apt-get install docker-compose)")
    return subprocess.run(
        [*command, "-f", ROOT / "compose.yaml", "--profile", "*", "config", "--format", "json"],
        env={"PATH": os.environ["PATH"], "REPERMIT_HOST": host},
        check=False,
        capture_output=True,
        text=True,
    )


def test_compose_takes_its_file_and_lets_only_caddy_be_reached() -> None:
    assert "write REPERMIT_HOST=ask.example.org into .env" in read_compose(host="").stderr
    services = json.loads(read_compose(host="ask.example.org").stdout)["services"]
    assert {name for name, one in services.items() if "ports" in one} == {"caddy"}
    assert services["init"]["network_mode"] == "none"
    repermit = services["repermit"]
    assert repermit["read_only"]
    assert repermit["cap_drop"] == ["ALL"]
    assert repermit["depends_on"]["init"]["condition"] == "service_completed_successfully"
    mounted = [one["source"] for one in services["caddy"]["volumes"] if one["type"] == "bind"]
    assert [Path(source).is_file() for source in mounted] == [True]


def test_the_page_on_containers_copies_nothing_into_a_file_system_that_is_read_only() -> None:
    """Nor would the user of the container own, or be able to read, what Docker copies."""
    page = (ROOT / "docs/how-to/docker.md").read_text("utf-8")
    assert re.findall(r"^ +docker compose cp .*", page, re.MULTILINE) == []
    assert "exec -T repermit sh -c 'cat >config.toml' <config.toml" in page


@pytest.mark.exhaustive
def test_the_source_archive_has_all_that_the_image_and_the_pages_need(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (archive,) = tmp_path.glob("repermit-*.tar.gz")
    with tarfile.open(archive) as opened:
        held = {name.partition("/")[2] for name in opened.getnames()}
    dockerfile = (ROOT / "Dockerfile").read_text("utf-8")
    copied = " ".join(re.findall(r"^COPY (?!--from)(.+) \S+$", dockerfile, re.MULTILINE)).split()
    needed = {name for name in copied if (ROOT / name).is_file()}
    needed |= {".dockerignore", "compose.yaml", "deploy/debian/repermit", "tests/bare_debian.py"}
    for name, text in PAGES.items():
        linked = [link.partition("#")[0] for link in links_of(text) if "://" not in link]
        paths = [os.path.normpath(Path(name).parent / link) for link in linked if link]
        needed |= {path for path in paths if (ROOT / path).is_file()}
    assert needed - held == set()


@pytest.mark.exhaustive
def test_the_image_is_built_from_all_that_the_wheel_needs(tmp_path: Path) -> None:
    """The files that the Dockerfile copies make a wheel that says what it is and has its pages."""
    copied = re.findall(r"^COPY (.+) \S+$", (ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    names = [name for line in copied for name in line.split()]
    let_in = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    source = tmp_path / "source"
    source.mkdir()
    for name in names:
        assert f"!{name}" in let_in
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name)
        else:
            shutil.copy(ROOT / name, source / name)
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=source, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("repermit-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
    assert {
        "repermit/templates/public/question.html",
        "repermit/static/admin.css",
        "repermit/config.example.toml",
        "repermit/locale/nl/LC_MESSAGES/messages.po",
        "repermit/data/openapi.json",
    } <= held
