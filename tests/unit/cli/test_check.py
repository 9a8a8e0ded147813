"""`repermit check`: what it prints, and how it ends."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from repermit.db.models.evidence import Evidence
from repermit.db.models.mails import Mail
from repermit.db.row_counts import ContactCount
from tests.support.desk import Desk
from tests.support.dns_server import NameServer
from tests.support.web_server import WebSite


@pytest.fixture
def server() -> Iterator[NameServer]:
    with NameServer() as running:
        running.records["example.org MX"] = ["10 mail.example.org."]
        running.text("example.org", "v=spf1 ip4:192.0.2.1 -all")
        running.text("_dmarc.example.org", "v=DMARC1; p=none")
        yield running


@pytest.fixture
def ready(desk: Desk, here_is_public: None) -> Iterator[Desk]:  # noqa: ARG001
    """Return a desk whose list, pages and mail server are ready for a campaign."""
    with WebSite(200, b"Unsubscribed.\n") as site:
        desk.add_news(privacy_url=f"http://127.0.0.1:{site.port}/privacy")
        text = desk.config.read_text("utf-8")
        here = f"http://localhost:{site.port}"
        text = text.replace("https://ask.example.org", here)
        desk.config.write_text(f"{text}\n[web]\nchecks_to_private = true\n", "utf-8")
        desk.config.chmod(0o600)
        path = desk.settings.sqlite_path
        assert path is not None
        path.chmod(0o600)
        yield desk


NOBODY = {"status": "", "reason": "", "basis": "", "language": "", "import_id": 0}


def unwrapped(text: str) -> str:
    return " ".join(text.split())


def test_what_is_right_ends_well(ready: Desk, server: NameServer) -> None:
    shown = ready.do("check", "--nameserver", server.address)
    assert shown.startswith("CONFIG\n  ok     The settings can be read and make sense.\n\nKEYS\n")
    assert "\n\nMX\n  ok     example.org takes mail, so replies arrive.\n" in shown
    assert "\n  ?      Mails leave by a server on this machine;" in shown
    assert "\n  mind   Nothing reads what comes back" in shown
    assert shown.endswith("\n\nA campaign would work, as far as this can be seen.\n")
    assert max(map(len, shown.splitlines())) <= 101


def test_what_is_wrong_is_named_with_its_remedy(
    ready: Desk, server: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.records.clear()
    # The folders of pytest are private, and so is what lies in them.
    monkeypatch.setattr(
        "repermit.checks.settings.is_open_to_others", lambda path: path == ready.config
    )
    ran = ready.run("check", "--nameserver", server.address)
    assert ran.code == 1
    assert ran.err == "repermit: a campaign would not work yet: 3 problems\n"
    assert "  WRONG  Everybody on this machine can read or change" in ran.out
    assert f"Ask whoever keeps the server to run: chmod o= {ready.config}" in unwrapped(ran.out)
    assert "  WRONG  example.org has no SPF record" in ran.out
    assert "  WRONG  example.org takes no mail" in ran.out
    assert "would work" not in ran.out


def test_one_problem_is_one(ready: Desk, server: NameServer) -> None:
    server.records["example.org MX"] = ["0 ."]
    ran = ready.run("check", "--nameserver", server.address)
    assert (ran.code, ran.err.split(": ")[-1]) == (1, "1 problem\n")


def test_a_program_gets_a_document_either_way(ready: Desk, server: NameServer) -> None:
    ran = ready.run("check", "--nameserver", server.address, "--json")
    assert (ran.code, ran.err, ran.document["works"]) == (0, "", True)
    server.records.clear()
    ran = ready.run("check", "--nameserver", server.address, "--json")
    assert (ran.code, ran.err, ran.document["works"]) == (1, "", False)
    problems = [one for one in ran.document["findings"] if one["verdict"] == "problem"]
    assert [one["code"] for one in problems] == ["spf_none", "mx_none"]
    assert ran.document["counts"]["problem"] == 2


def test_a_mail_tells_who_signs(ready: Desk, server: NameServer) -> None:
    path = ready.file("From: praktijk@example.org", "", "hello", name="preview.eml")
    ran = ready.run("check", "--nameserver", server.address, "--mail", path)
    assert "  WRONG  The test mail of example.org has no DKIM signature" in ran.out


def test_a_mail_that_is_not_there_is_refused(ready: Desk) -> None:
    path = str(ready.folder / "none.eml")
    assert "none.eml cannot be read: No such file" in ready.refused("check", "--mail", path)


def test_a_bad_nameserver_is_refused(ready: Desk) -> None:
    assert "'nine' is no DNS server" in ready.refused("check", "--nameserver", "nine")


def test_settings_that_cannot_be_used_are_what_is_wrong(ready: Desk, server: NameServer) -> None:
    text = ready.config.read_text("utf-8")
    ready.config.write_text(text.replace("[mail]", "[mial]"), "utf-8")
    ran = ready.run("check", "--nameserver", server.address)
    assert ran.code == 1
    assert (
        "  WRONG  The settings cannot be used: unknown setting mial; did you mean mail?" in ran.out
    )
    ran = ready.run("check", "--json")
    assert [one["code"] for one in ran.document["findings"]] == ["config_refused"]


def test_nothing_is_sent_and_nothing_is_made(ready: Desk, server: NameServer) -> None:
    before = sorted(path.name for path in ready.folder.iterdir())
    ready.do("check", "--nameserver", server.address)
    after = {path.name for path in ready.folder.iterdir()}
    assert {name for name in after - set(before) if ".db" not in name} == set()
    with ready.database():
        assert (Evidence.select().count(), Mail.select().count()) == (0, 0)


def test_what_was_counted_wrongly_is_counted_anew(ready: Desk, server: NameServer) -> None:
    with ready.database() as database, database.atomic():
        ContactCount.create(list_id=1, count=2, **NOBODY)
    ran = ready.run("check", "--nameserver", server.address)
    assert "`repermit check --recount` counts them anew" in " ".join(ran.out.split())
    told = ready.do("check", "--recount", "--nameserver", server.address)
    assert "recount" not in told
    with ready.database():
        assert ContactCount.select().where(ContactCount.count != 0).count() == 0


def test_a_database_that_cannot_be_read_leaves_what_the_file_says(
    ready: Desk, server: NameServer
) -> None:
    path = ready.settings.sqlite_path
    assert path
    path.write_bytes(b"this is no database " * 1000)
    ran = ready.run("check", "--nameserver", server.address, "--json")
    assert ran.code == 1
    areas = {one["area"]: one["code"] for one in ran.document["findings"]}
    assert areas["config"] == "config_ok"
    assert areas["database"] != "database_ok"
