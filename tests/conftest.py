"""What every test may ask for, and what holds for all of them.

Databases, an inbox, the browser; no way to the outside; coverage where a run asks for it.
"""

from __future__ import annotations

import contextlib
import gc
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
import trustme

from repermit.checks import answer_pages, run
from repermit.db import migrations
from repermit.db.connection import Database, open_database
from repermit.db.models.campaigns import Campaign
from repermit.db.models.lists import MailingList
from repermit.i18n import catalogues
from repermit.settings.definitions import Settings
from repermit.web import dispatcher, request_context
from repermit.web.admin import launch
from tests.support.analysis_cache import (
    hash_quickly,
    keep_analyses,
    keep_comparisons,
    keep_routes,
    keep_signatures,
    leave_out_sql,
    rewrite_asserts,
    write_columns_at_once,
)
from tests.support.builders import make_campaign, make_list, make_settings
from tests.support.coverage_selection import Counting
from tests.support.desk import Desk
from tests.support.inbox import Inbox
from tests.support.javascript_verifier import JavaScriptVerifier, running_verifier
from tests.support.kept_processes import KeptProcesses
from tests.support.loopback import LoopbackOnly
from tests.support.postgresql_cluster import Cluster, find_binaries, running_cluster
from tests.support.public_pages import Pages

if TYPE_CHECKING:
    from playwright.sync_api import Playwright

# The same examples every time, so that a red run is red again; as slow as a loaded machine is.
# `--hypothesis-profile=search` looks further, at other places each time.
hypothesis.settings.register_profile(
    "house",
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.register_profile(
    "search", hypothesis.settings.get_profile("house"), derandomize=False, max_examples=5000
)
hypothesis.settings.load_profile("house")


keep_analyses()
keep_routes()
keep_comparisons()
hash_quickly()
keep_signatures()
leave_out_sql()
write_columns_at_once()


# --- Certificates, see tests.support.certificates. ---------------------------------------------


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Return a folder that everybody may pass; those of pytest are private."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """Return an authority for certificates that nobody else believes."""
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> str:
    """Return the path of its certificate, for whoever is to believe it."""
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


# --- Files that are gone after the run are best not on a disk. ----------------------------------

_ROOM = 4 << 30  # bytes


def _place_for_files(memory: Path = Path("/dev/shm")) -> str:
    """Return where temporary files go: where they were told to, else into memory that has room.

    There a commit is as quick as it is safe on a disk, which some thousands of tests wait for.
    """
    has_room = os.access(memory, os.W_OK) and shutil.disk_usage(memory).free >= _ROOM
    return os.environ.get("TMPDIR", str(memory) if has_room else tempfile.gettempdir())


# Pytest keeps more than half a million objects for a run, and each full collection looks at all.
gc.set_threshold(20_000, 10, 50)

# For this process, and for those that it starts.
tempfile.tempdir = os.environ["TMPDIR"] = _place_for_files()


# What a shell starts in the background ignores Ctrl-C, and so would all that tests start and stop.
signal.signal(signal.SIGINT, signal.default_int_handler)


# --- The network ends at this machine. ---------------------------------------------------------


@pytest.fixture(scope="session")
def loopback_only() -> Iterator[LoopbackOnly]:
    """Let no socket of this process out; what was tried stands in `.tried`."""
    with LoopbackOnly() as guard:
        yield guard


@pytest.fixture(autouse=True)
def _no_way_out(loopback_only: LoopbackOnly) -> Iterator[None]:
    """Fail a test that tried to reach another machine, also if it swallowed the error."""
    loopback_only.tried.clear()
    yield
    assert not loopback_only.tried, "a test tried to reach another machine"


@pytest.fixture(scope="session", autouse=True)
def _no_lower_priority() -> Iterator[None]:
    """Let commands that give way to others do so in processes of their own only.

    For all of the run: a fixture of a module gives commands too, before those of a test.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "setpriority", lambda *_: None)
        yield


# What the server refuses after two seconds, to be pressed again, is tried there.
_IN_A_HURRY = (
    "web/test_application",
    "web/test_busy",
    "web/test_database_away",
    "web/test_dispatcher",
    "integration/test_web_servers_in_front",
)


@pytest.fixture(autouse=True)
def _no_hurry(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a press wait for as long as a loaded machine needs."""
    if not str(request.path.with_suffix("")).endswith(_IN_A_HURRY):
        for module in (request_context, dispatcher):
            monkeypatch.setattr(module, "MAX_WAIT", 60.0)


# --- What a check finds before a launch. ---------------------------------------------------------


@pytest.fixture
def real_check() -> None:
    """Let a launch check what there is: what the DNS and the mail server say, within seconds."""


@pytest.fixture
def here_is_public(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take loopback, where the servers of a test are, for what everybody reaches."""
    monkeypatch.setattr(answer_pages, "is_private", lambda _: False)


def _read_every_statement(_: Settings, urls: Iterable[str]) -> dict[str, str]:
    return {url: f"What stands at {url}" for url in urls}


@pytest.fixture(autouse=True)
def _nothing_wrong(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a launch find nothing wrong: here is no DNS, and no server at https://ask.example.org.

    Checks have tests of their own, and so has a launch that finds something (`real_check`).
    """
    if "real_check" not in request.fixturenames:
        monkeypatch.setattr(run, "list_launch_findings", lambda *_, **__: ())
        monkeypatch.setattr(run, "read_privacy_statements", _read_every_statement)
    monkeypatch.setattr(launch, "_CHECK_WAIT", 60.0)


# --- Processes that read what comes from outside. ------------------------------------------------


@pytest.fixture(scope="session")
def kept_processes() -> Iterator[KeptProcesses]:
    """Keep processes under limits for further tests, and end them after the last one."""
    with contextlib.closing(KeptProcesses()) as kept:
        yield kept


@pytest.fixture(autouse=True)
def _read_by_kept_processes(
    request: pytest.FixtureRequest, kept_processes: KeptProcesses
) -> Iterator[None]:
    """Let a file or a mail be read by a process that is there, but where tests are about these."""
    if request.path.stem in {"test_limited_process", "test_reader_limits", "test_reader_process"}:
        yield
        return
    with kept_processes.used():
        yield


# --- Databases. ---------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Run a PostgreSQL cluster, one for each worker of the test run."""
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("there is no PostgreSQL here (Debian: apt-get install postgresql)")
    with running_cluster(binaries) as running:
        yield running


@pytest.fixture(scope="session")
def ready_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an SQLite file with all tables and nothing in them, to be copied."""
    path = tmp_path_factory.mktemp("ready") / "repermit.db"
    with open_database(f"sqlite:///{path}") as opened:
        migrations.upgrade_database(opened)
    return path


@pytest.fixture(scope="session")
def ready_postgresql(cluster: Cluster) -> str:
    """Return the name of such a database in the cluster."""
    with open_database(cluster.add_database("ready")) as opened:
        migrations.upgrade_database(opened)
    return "ready"


@pytest.fixture
def sqlite_url(tmp_path: Path, ready_sqlite: Path) -> str:
    """Return the URL of an SQLite file with all tables and nothing in them."""
    return f"sqlite:///{shutil.copy(ready_sqlite, tmp_path)}"


@pytest.fixture
def postgresql_url(cluster: Cluster, ready_postgresql: str) -> Iterator[str]:
    """Return the URL of such a PostgreSQL database."""
    with cluster.fresh_database(like=ready_postgresql) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """Return the URL of such a database; the test runs once on each kind."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def empty_sqlite_url(tmp_path: Path) -> str:
    """Return the URL of an SQLite file that does not exist yet."""
    return f"sqlite:///{tmp_path / 'empty.db'}"


@pytest.fixture
def empty_postgresql_url(cluster: Cluster) -> Iterator[str]:
    """Return the URL of a PostgreSQL database without any table."""
    with cluster.fresh_database() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database_url(request: pytest.FixtureRequest) -> str:
    """Return the URL of a database without any table; the test runs once on each kind."""
    url: str = request.getfixturevalue(f"empty_{request.param}_url")
    return url


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """Open a database of each kind with all tables and nothing in them."""
    with open_database(database_url) as opened:
        yield opened


@pytest.fixture
def settings(database_url: str) -> Settings:
    """Return settings that name the same database as the fixture `database`."""
    return make_settings(database=database_url)


# --- A list on the way, and its pages. ----------------------------------------------------------


@pytest.fixture
def mailing_list(database: Database) -> MailingList:
    """Return the list `news`, ready for a launch."""
    return make_list(database)


@pytest.fixture
def campaign(database: Database, mailing_list: MailingList) -> Campaign:
    """Return the campaign of `news`, which is under way."""
    return make_campaign(database, mailing_list)


@pytest.fixture
def pages(database: Database, settings: Settings) -> Pages:
    """Return the pages over the same database, asked for within this process."""
    return Pages(database, settings)


# --- Proofs. ------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def javascript() -> Iterator[JavaScriptVerifier]:
    """Run the independent verifier in JavaScript."""
    with running_verifier() as verifier:
        yield verifier


# --- Mail. --------------------------------------------------------------------------------------


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    """Run an SMTP server that keeps what it accepts."""
    with Inbox() as running:
        yield running


@pytest.fixture
def desk(tmp_path: Path, sqlite_url: str, inbox: Inbox) -> Desk:
    """Return a desk with an empty SQLite database that sends to `inbox`."""
    return Desk(tmp_path, database_url=sqlite_url, inbox=inbox)


# --- Texts. --------------------------------------------------------------------------------------


@pytest.fixture
def usual_texts() -> Iterator[None]:
    """Have mails and pages say again what they usually do, once a test has corrected it."""
    yield
    catalogues.install_corrections({})


# --- The browser. -------------------------------------------------------------------------------

_QUIET = (
    # Chromium refuses its sandbox to root, and in many containers.
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    # No search suggestions: for these alone each window starts a process, which takes longer than
    # most pages. And no process for a page that might come next.
    "--disable-features="
    + ",".join(
        (
            *("WebUIOmniboxPopup", "WebUIOmniboxAimPopup", "WebUIOmniboxFullPopup"),
            "SpareRendererForSitePerProcess",
        )
    ),
    # No name leads anywhere but to this machine.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
)


@pytest.fixture(scope="session")
def base_url() -> None:
    """Pages are opened by their whole address (the plugin's own fixture warns in pytest 9.2)."""


@pytest.fixture(scope="session")
def chromium() -> str:
    """Return where the system's chromium is."""
    found = shutil.which("chromium")
    if found is None:
        pytest.skip("there is no chromium here (Debian: apt-get install chromium)")
    driver = subprocess.run(
        [sys.executable, "-m", "playwright", "--version"], capture_output=True, check=False
    )
    if driver.returncode != 0:
        pytest.skip("playwright's driver does not run on this machine")
    return found


@pytest.fixture(scope="session")
def playwright(chromium: str, playwright: Playwright) -> Playwright:  # noqa: ARG001
    """Start playwright's driver, but only where there is a browser for it."""
    return playwright


@pytest.fixture(scope="session")
def browser_type_launch_args(
    chromium: str, browser_type_launch_args: dict[str, Any]
) -> dict[str, Any]:
    """Use the system's chromium rather than one that playwright would download."""
    return {**browser_type_launch_args, "executable_path": chromium, "args": list(_QUIET)}


# --- The everyday set, and the exhaustive one. ---------------------------------------------------

# Whose SQL, locks or transactions are others on PostgreSQL; the rest is tried there exhaustively.
_TRIED_ON_BOTH = ("unit/answers/", "unit/db/", "unit/expiry/")

# Of a test with more examples than that, these are in the everyday set; on PostgreSQL the first.
_FEW, _FEW_ON_POSTGRESQL = 2, 1


def _choose_everyday(config: pytest.Config) -> None:
    """Run the everyday set where the command names neither tests nor marks."""
    names_tests = config.args_source is pytest.Config.ArgsSource.ARGS
    if not names_tests and not config.option.markexpr:
        config.option.markexpr = _EVERYDAY


_EVERYDAY = "not exhaustive"


@pytest.hookimpl(wrapper=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> Generator[None, object, object]:
    """Make no tests of examples that the everyday set leaves out: there are twice as many as in it.

    One is made at least, since a test without any would be a test without arguments.
    """
    result = yield
    if metafunc.config.option.markexpr == _EVERYDAY:
        every, examples = metafunc._calls, Counter[bool]()
        metafunc._calls = [
            one
            for one in every
            if one.marks or not _is_exhaustive(metafunc.definition, f"{one.id}]", examples)
        ] or every[:1]
    return result


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is not in the everyday set, and put first what takes minutes."""
    # At the end one worker would run it alone, while the others have nothing left.
    items.sort(key=lambda item: item.path.name not in _TAKES_MINUTES)
    examples: dict[str, Counter[bool]] = defaultdict(Counter)
    for item in items:
        name, _, example = item.nodeid.partition("[")
        if _is_exhaustive(item, example, examples[name]):
            item.add_marker("exhaustive")


_TAKES_MINUTES = ("test_outages.py", "test_work_kills.py")
"""The files with the longest tests. More would be a queue of their own for the first worker."""


def _is_exhaustive(test: pytest.Item, example: str, examples: Counter[bool]) -> bool:
    """Say whether an example of a test is in the exhaustive set alone.

    That is all of tests/exhaustive; and of a test that is not of an invariant, what has run on
    SQLite, unless it goes other ways on PostgreSQL, and all but few examples on each database.
    `everyday` names which these are, by the words in their ID.

    - `example`: what stands in the test's ID behind the [.
    - `examples`: counts the examples of a test on PostgreSQL (True), and all others.
    """
    on_postgresql = "postgresql" in example
    examples[on_postgresql] += 1
    if test.path.parent.name == "exhaustive":
        return True
    chosen = test.get_closest_marker("everyday")
    if chosen is not None:
        return not any(words in f"[{example}" for words in chosen.args)
    if "invariant" in test.name or "invariant" in example:
        return False
    if on_postgresql:
        return examples[True] > _FEW_ON_POSTGRESQL or not _goes_other_ways(test)
    return examples[False] > _FEW


def _goes_other_ways(test: pytest.Item) -> bool:
    """Say whether a test goes other ways on PostgreSQL than on SQLite."""
    is_counted_there = test.get_closest_marker("counted_on_both") is not None
    return is_counted_there or any(part in test.path.as_posix() for part in _TRIED_ON_BOTH)


# --- Coverage. ----------------------------------------------------------------------------------


_counting = Counting()


def pytest_configure(config: pytest.Config) -> None:
    """Choose the everyday set, and count what goes the same ways through the code once."""
    _choose_everyday(config)
    config.pluginmanager.register(_counting)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Share out among the workers what each would do by itself before it can gather all tests."""
    worker = getattr(session.config, "workerinput", {"workerid": "gw0", "workercount": 0})
    every, first = worker["workercount"], int(worker["workerid"].removeprefix("gw"))
    files = sorted(Path(__file__).parent.rglob("test_*.py"))
    mine = files[first::every] if every else []
    _counting.resting()(rewrite_asserts)(session.config, mine)


def pytest_xdist_auto_num_workers() -> int:
    """Run one test more at a time than there are cores: many wait for a server or a browser."""
    return (os.cpu_count() or 1) + 1


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    """Demand nearly all lines and branches of a whole run with --cov; then pytest-cov reports."""
    result = yield
    coverage = session.config.pluginmanager.get_plugin("_cov")
    if coverage is not None and _is_full_run(session.config):
        # Some lines are reached by a race alone, and no run may be red for chance.
        coverage.options.cov_fail_under = 99.5
    return result


def _is_full_run(config: pytest.Config) -> bool:
    options = config.option
    chosen = (
        {Path(name).resolve() for name in config.args} != {Path(__file__).parent},
        options.keyword,
        options.markexpr,
        options.deselect,
        options.ignore,
        options.ignore_glob,
        config.getoption("lf", default=False),
        options.collectonly,
    )
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    return not any(chosen) and reporter is not None and not reporter.stats.get("skipped")
