"""Everything at once: what a whole check says, and that it never hangs."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dkim
import pytest

from repermit import checks, package_files
from repermit.bounces import poll
from repermit.campaigns.preview import preview_mail
from repermit.checks import run as checks_run
from repermit.checks.dns_lookup import DnsNoAnswer, run_in_parallel
from repermit.checks.findings import FINDING_TYPES, Area, Finding, Report, Verdict, make_finding
from repermit.checks.run import _run_check
from repermit.db import migrations
from repermit.db.connection import Database, connect
from repermit.emails.dkim_signature import Signer
from repermit.errors import ConfigError, Refused
from repermit.i18n import catalogues
from repermit.settings.definitions import MailServer, Web
from tests.support.builders import NOW, make_list, make_settings
from tests.support.dkim_keys import make_key
from tests.support.dns_server import FAILURE, SILENCE, NameServer
from tests.support.inbox import HANG_UP
from tests.support.scripted_smtp_server import ScriptedServer, slowly
from tests.support.web_server import WebSite
from tests.unit.checks.test_settings_and_database import set_version

_PLAIN = b"From: praktijk@example.org\r\n\r\nhello\r\n"
SIGNED = dkim.sign(_PLAIN, b"mail", b"example.org", make_key().encode()) + _PLAIN
RECORD = Signer(make_key(), selector="mail").dns_record


@pytest.fixture
def server() -> Iterator[NameServer]:
    with NameServer() as running:
        running.records["example.org MX"] = ["10 mail.example.org."]
        running.records["www.example.org A"] = ["127.0.0.1"]
        running.text("example.org", "v=spf1 ip4:192.0.2.1 -all")
        running.text("_dmarc.example.org", "v=DMARC1; p=reject")
        yield running


@pytest.fixture
def mail_server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        yield running


@pytest.fixture
def site() -> Iterator[WebSite]:
    with WebSite(200, b"Unsubscribed.\n") as running:
        yield running


class Checking:
    """A check of settings that a test changes, with all servers on this machine."""

    def __init__(
        self, url: str, server: NameServer, mail_server: ScriptedServer, site: WebSite
    ) -> None:
        self.server = server
        self.mail: dict[str, Any] = {"server": "127.0.0.1", "port": mail_server.port, "tls": "none"}
        self.settings: dict[str, Any] = {
            "database": url,
            "public_url": f"http://localhost:{site.port}",
            "web": Web(checks_to_private=True),
        }

    def run(self, *, mail: bytes | None = None, seconds: float = 15, **overrides: Any) -> Report:
        settings = make_settings(**self.settings, mail=MailServer(**{**self.mail, **overrides}))
        if settings.sqlite_path and settings.sqlite_path.exists():
            settings.sqlite_path.chmod(0o600)
        return checks_run.run_checks(
            settings,
            database=connect(settings.database),
            now=NOW,
            mentions_frequency=lambda text: "keer per jaar" in text,
            preview_mail=preview_mail,
            log_in=poll.log_in,
            nameserver=self.server.address,
            mail=mail,
            seconds=seconds,
        )


@pytest.fixture
def checking(
    database_url: str, server: NameServer, mail_server: ScriptedServer, site: WebSite
) -> Checking:
    return Checking(database_url, server, mail_server, site)


@pytest.fixture
def news(database: Database, site: WebSite) -> None:
    make_list(database, privacy_url=f"http://www.example.org:{site.port}/privacy")


def codes(report: Report, *areas: str) -> list[str]:
    return [one.code for one in report.findings if not areas or one.area in areas]


# --- A whole check.


@pytest.mark.usefixtures("news", "here_is_public")
def test_what_is_right_works(checking: Checking) -> None:
    checking.server.text("mail._domainkey.example.org", RECORD)
    report = checking.run(mail=SIGNED)
    assert report.works
    assert [code for code in codes(report) if not code.startswith("database_room")] == [
        "config_ok",
        "keys_ok",
        "keys_unsigned",
        "database_ok",
        "list_ok",
        "smtp_open",
        "pace_free",
        "pages_ok",
        "spf_own_server",
        "dkim_holds",
        "dmarc_ok",
        "mx_ok",
        "bounces_none",
    ]
    assert sum(report.counts.values()) == len(report.findings)


@pytest.mark.usefixtures("news")
def test_a_return_path_of_another_domain_is_the_one_that_spf_and_bounces_are_of(
    checking: Checking,
) -> None:
    verp: dict[str, Any] = {"return_path": "verp", "return_domain": "back.example.net"}
    report = checking.run(**verp)
    assert not report.works
    assert codes(report, "spf", "dmarc", "mx", "bounces") == [
        "spf_none",
        "dmarc_hangs_on_dkim",
        "mx_ok",
        "bounces_none",
        "bounces_nowhere",
    ]
    assert codes(checking.run(**verp, mail=SIGNED), "dmarc") == ["dmarc_fails"]
    checking.server.text("mail._domainkey.example.org", RECORD)
    assert codes(checking.run(**verp, mail=SIGNED), "dmarc") == ["dmarc_ok"]
    del checking.server.records["mail._domainkey.example.org TXT"]
    assert codes(checking.run(**verp, dkim_selector="mail"), "dkim", "dmarc") == [
        "dkim_no_key",
        "dmarc_fails",
    ]
    # A key of ours signs as the sender's domain, and nobody can check it yet.
    own: dict[str, Any] = {"dkim_selector": "own", "dkim_key": make_key()}
    assert codes(checking.run(**verp, **own), "dkim", "dmarc") == [
        "dkim_own_missing",
        "dmarc_fails",
    ]
    # Without verp that domain plays no part, and without a domain the sender's own does.
    assert codes(checking.run(return_domain="back.example.net"), "spf") == ["spf_own_server"]
    alone = checking.run(return_path="verp")
    assert codes(alone, "spf", "bounces") == ["spf_own_server", "bounces_none"]


@pytest.mark.usefixtures("news")
@pytest.mark.parametrize(
    ("record", "given", "found"),
    [
        ("", {}, ["spf_none", "dkim_unknown", "dmarc_hangs_on_dkim_alone"]),
        ("v=spf1 -all", {}, ["spf_nobody", "dkim_unknown", "dmarc_hangs_on_dkim_alone"]),
        (
            "",
            {"mail": b"From: a@example.org\n\n"},
            ["spf_none", "dkim_unsigned", "dmarc_fails"],
        ),
        ("", {"mail": SIGNED}, ["spf_none", "dkim_no_key", "dmarc_fails"]),
    ],
)
def test_mail_that_passes_neither_spf_nor_dkim_fails_dmarc(
    checking: Checking, record: str, given: dict[str, Any], found: list[str]
) -> None:
    checking.server.text("example.org", record)
    report = checking.run(**given)
    assert codes(report, "spf", "dkim", "dmarc") == found
    assert not report.works


def test_a_list_that_is_wrong_is_told(checking: Checking, database: Database) -> None:
    url = f"{checking.settings['public_url']}/privacy"
    make_list(database, slug="a", purpose="", privacy_url=url, sender="a@a.example")
    make_list(database, slug="b", privacy_url="https://gone.example/privacy")
    make_list(database, slug="c", privacy_url="", sender="c@c.example")
    report = checking.run(preset="office365", username="x@a.example", mail=b"From: x@a.example\n\n")
    assert codes(report, "lists") == [
        "list_no_purpose",
        "list_no_frequency",
        "list_ok",
        "list_no_privacy",
        "list_privacy_gone",
    ]
    problems, _ = checks_run.split_problems(report.findings)
    # A launch refuses these in its own words, whatever reason is given.
    assert not [one.code for one in problems if one.code.startswith("list_no_")]
    senders = [one.values["list"] for one in report.findings if one.code == "smtp_other_sender"]
    assert senders == ["a", "b", "c"]
    assert codes(report, "dkim") == ["dkim_unsigned", "dkim_unknown", "dkim_unknown"]


def test_a_list_whose_mail_a_phone_cuts_short_may_be_launched(
    checking: Checking, database: Database
) -> None:
    url = f"{checking.settings['public_url']}/privacy"
    make_list(database, name="Nieuws " * 8, privacy_url=url, languages=("en",))
    report = checking.run()
    assert codes(report, "lists") == ["list_cut_short", "list_ok"]
    (cut,) = (one for one in report.findings if one.code == "list_cut_short")
    assert cut.verdict is Verdict.WARNING
    assert cut.values == {"list": "news", "languages": "nl, en"}


def test_without_a_list_the_organisation_is_the_sender(checking: Checking) -> None:
    report = checking.run()
    assert codes(report, "lists", "mx") == ["lists_none", "mx_ok"]


@pytest.mark.parametrize(
    ("mail", "code"),
    [(b"From: jan@other.example\n\n", "dkim_other_sender"), (b"hello\n", "dkim_no_mail")],
)
def test_a_mail_of_nobody_here_is_told(checking: Checking, mail: bytes, code: str) -> None:
    assert codes(checking.run(mail=mail), "dkim") == ["dkim_unknown", code]


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    "mail",
    [
        pytest.param(b"From: " + b"<" * 1_900_000 + b"\r\n\r\n", id="brackets"),
        pytest.param(b"From: " + b"(" * 1_900_000 + b"\r\n\r\n", id="comments"),
        pytest.param(b"From: a@" + b"b" * 1_900_000 + b"\r\n\r\n", id="a long name"),
    ],
)
def test_a_mail_that_is_made_to_take_long_is_no_mail(
    checking: Checking, monkeypatch: pytest.MonkeyPatch, mail: bytes
) -> None:
    monkeypatch.setattr("repermit.checks.dkim._SECONDS", 1)
    monkeypatch.setattr("repermit.limited_process._WALL_CLOCK_FACTOR", 600)
    assert codes(checking.run(mail=mail), "dkim") == ["dkim_unknown", "dkim_no_mail"]


def test_no_mail_is_read_in_the_process_that_serves_the_pages(
    checking: Checking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("repermit.checks.dkim.read_received", None)
    report = checking.run(mail=b"From: jan@other.example\n\n")
    assert "dkim_other_sender" in codes(report)


def test_without_a_database_the_rest_is_looked_at(checking: Checking, tmp_path: Path) -> None:
    checking.settings["database"] = f"sqlite:///{tmp_path / 'none.db'}"
    report = checking.run()
    assert codes(report, "database", "lists") == ["database_missing", "lists_unknown"]
    assert "pages_ok" in codes(report)


def test_lists_of_an_older_database_are_not_told_to_be_unreadable(
    checking: Checking, database: Database
) -> None:
    set_version(database, migrations.OLDEST_VERSION)
    report = checking.run()
    assert "database_old" in codes(report, "database")
    assert codes(report, "lists") == []


def test_files_are_looked_at_where_they_are_known(
    checking: Checking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "config.toml"
    path.write_text("", "utf-8")
    path.chmod(0o644)
    # The folders of pytest are private.
    monkeypatch.setattr("repermit.checks.settings.is_open_to_others", lambda one: one == path)
    settings = make_settings(**checking.settings, mail=MailServer(**checking.mail))
    report = checks_run.run_checks(
        settings,
        database=connect(settings.database),
        now=NOW,
        mentions_frequency=bool,
        preview_mail=preview_mail,
        log_in=poll.log_in,
        config_path=path,
        nameserver=checking.server.address,
    )
    assert codes(report, "keys") == ["keys_readable", "keys_unsigned"]


def test_a_bad_nameserver_is_refused(checking: Checking) -> None:
    settings = make_settings(**checking.settings)
    with pytest.raises(Refused, match="is no DNS server"):
        checks_run.run_checks(
            settings,
            database=connect(settings.database),
            now=NOW,
            mentions_frequency=bool,
            preview_mail=preview_mail,
            log_in=poll.log_in,
            nameserver="nine",
        )


def test_settings_that_cannot_be_used_are_a_finding() -> None:
    report = checks_run.report_refused_settings(ConfigError("mail.port must be a whole number"))
    (one,) = report.findings
    assert not report.works
    assert one.found == "The settings cannot be used: mail.port must be a whole number."


# --- Nobody there.


@pytest.mark.usefixtures("news")
def test_a_dns_that_does_not_answer_leaves_it_open(checking: Checking) -> None:
    for key in ("example.org TXT", "example.org MX", "_dmarc.example.org TXT", "www.example.org A"):
        checking.server.records[key] = [FAILURE]
    checking.server.records["mail._domainkey.example.org TXT"] = [FAILURE]
    checking.settings["public_url"] = "https://ask.example.org"
    checking.server.records["ask.example.org A"] = [FAILURE]
    verp: dict[str, Any] = {"return_path": "verp", "dkim_selector": "mail"}
    report = checking.run(**verp)
    assert report.works
    open_ = [one for one in report.findings if one.code.endswith("_unanswered")]
    assert {one.area: one.values["name"] for one in open_} == {
        Area.LISTS: "www.example.org",
        Area.PAGES: "ask.example.org",
        Area.SPF: "example.org",
        Area.DKIM: "mail._domainkey.example.org",
        Area.DMARC: "_dmarc.example.org",
        Area.MX: "example.org",
        Area.BOUNCES: "example.org",
    }
    assert {one.verdict for one in open_} == {Verdict.UNKNOWN}


@pytest.mark.usefixtures("news")
def test_what_does_not_answer_in_time_is_not_waited_for(checking: Checking) -> None:
    checking.server.records["example.org MX"] = [SILENCE]
    with ScriptedServer(greeting=slowly(2, HANG_UP)) as silent:
        checking.mail["port"] = silent.port
        began = time.monotonic()
        report = checking.run(seconds=1)
        assert time.monotonic() - began < 4
    slow = [code for code in codes(report) if code.endswith("_too_slow")]
    assert slow == ["smtp_too_slow", "mx_too_slow"]
    assert "pages_ok" in codes(report)
    wrong = [one.code for one in report.findings if one.verdict is Verdict.PROBLEM]
    assert wrong == ["pages_here_alone"]


def test_a_database_that_does_not_answer_is_not_waited_for(checking: Checking) -> None:
    with ScriptedServer(greeting=slowly(2, HANG_UP)) as silent:
        checking.settings["database"] = f"postgresql://127.0.0.1:{silent.port}/lists"
        report = checking.run(seconds=1)
    assert codes(report, "database", "lists") == ["database_too_slow", "lists_unknown"]


def test_what_was_found_before_the_dns_fell_silent_is_kept() -> None:
    def check_one() -> Iterator[Finding]:
        yield make_finding("pages_plain", url="http://a.example")
        raise DnsNoAnswer("a.example")

    assert [one.code for one in _run_check(Area.PAGES, check_one)] == [
        "pages_plain",
        "pages_unanswered",
    ]


def test_an_error_of_ours_is_not_swallowed() -> None:
    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_in_parallel([fail], seconds=5)


# --- The words.


@pytest.mark.parametrize("code", sorted(FINDING_TYPES))
def test_a_code_belongs_to_its_area_and_says_what_to_do(code: str) -> None:
    words = FINDING_TYPES[code]
    area = code.partition("_")[0].replace("list", "lists").replace("listss", "lists")
    assert words.area == area
    assert bool(words.remedy) is (words.verdict is not Verdict.OK)
    assert words.found[-1] in ".s"
    # What stands in one stands in the other, so that the same values fill in both.
    named = re.compile(r"%\((\w+)\)s").findall
    values = dict.fromkeys(named(words.found + words.remedy), "x")
    one = make_finding(code, **values)
    assert "%(" not in one.found + one.remedy


# What whoever uses the pages cannot give, write or look up.
_NOT_ON_PAGES = re.compile(
    r"`|\[(mail|bounces|organisation|web)\]|config\.toml|public_url|secret_keys|--[a-z]"
    r"|(rate_per|return_path|return_domain|dkim_selector|username|tls =)"
)


@pytest.mark.parametrize("code", sorted(FINDING_TYPES))
def test_a_page_names_what_is_the_servers_only_to_be_passed_on(code: str) -> None:
    words = FINDING_TYPES[code]
    values = dict.fromkeys(re.findall(r"%\((\w+)\)s", words.found + words.remedy), "x")
    found, remedy = make_finding(code, **values).on_page(str, str)
    assert "%(" not in found + remedy
    assert not _NOT_ON_PAGES.search(found)
    asks = "whoever keeps the server" in remedy or "hoever keeps the mail server" in remedy
    assert asks or not _NOT_ON_PAGES.search(remedy)


def test_what_a_page_says_otherwise_differs() -> None:
    for entry in package_files.load_data("check_findings.toml").values():
        assert entry.get("page_found") != entry["found"]
        assert "page_remedy" not in entry or entry["page_remedy"] != entry["remedy"]


def test_a_finding_has_the_keys_that_are_read_and_no_other() -> None:
    known = {"area", "areas", "verdict", "found", "remedy", "page_found", "page_remedy"}
    for code, entry in package_files.load_data("check_findings.toml").items():
        assert entry.keys() <= known, code
        assert ("area" in entry) != ("areas" in entry), code


def test_a_value_of_config_toml_is_the_same_in_dutch() -> None:
    dutch = catalogues.load_translations("nl").gettext
    for code, words in FINDING_TYPES.items():
        values = re.findall(r'"\w+"', words.remedy)
        assert [one for one in values if one not in dutch(words.remedy)] == [], code
    assert '"none"' in FINDING_TYPES["bounces_plain"].remedy


def test_every_code_is_given_somewhere() -> None:
    package = Path(checks.__file__).parent
    sources = "".join(path.read_text("utf-8") for path in package.glob("*.py"))
    # These are put together with the area.
    ending = ("_unanswered", "_too_slow", "_no_server", "_unreachable")
    missing = [
        code for code in FINDING_TYPES if f'"{code}"' not in sources and not code.endswith(ending)
    ]
    assert missing == []


def test_a_finding_speaks_the_language_that_it_is_given() -> None:
    words = {
        "%(domain)s takes mail, so replies arrive.": "%(domain)s ontvangt post.",
        "": "the head of the catalogue",
    }
    one = make_finding("mx_ok", domain="example.org")
    assert one.on_page(lambda text: words[text], str) == ("example.org ontvangt post.", "")


def test_a_report_names_every_verdict() -> None:
    report = checks_run.report_refused_settings(ConfigError("no"))
    assert report.to_json() == {
        "works": False,
        "counts": {"ok": 0, "warning": 0, "problem": 1, "unknown": 0},
        "findings": [
            {
                "area": "config",
                "code": "config_refused",
                "verdict": "problem",
                "found": "The settings cannot be used: no.",
                "remedy": report.findings[0].remedy,
                "values": {"reason": "no"},
            }
        ],
    }
