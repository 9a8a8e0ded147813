"""What a command finds when it starts."""

from __future__ import annotations

import os
import pwd
from datetime import UTC, datetime
from pathlib import Path

import pytest

from repermit.cli.context import CommandContext
from repermit.db.models.evidence import Evidence
from repermit.errors import Refused
from repermit.evidence.entries import login_name, make_login_actor
from tests.support.desk import Desk
from tests.support.setting_choices import choose


@pytest.fixture
def house(desk: Desk) -> CommandContext:
    return CommandContext(config=str(desk.config), clock=desk.clock)


def test_a_login_has_a_name_or_at_least_a_number() -> None:
    assert login_name(make_login_actor(0)) == "root"
    unknown = max(user.pw_uid for user in pwd.getpwall()) + 1
    assert login_name(make_login_actor(unknown)) == str(unknown)
    # As older records and those of another machine may have it.
    assert login_name("cli:els") == "els"
    assert login_name(f"cli:{10**30}") == str(10**30)


def test_the_evidence_names_who_gave_the_command_by_a_number(desk: Desk) -> None:
    desk.do("list", "add", "news", "--name", "News")
    with desk.database():
        assert Evidence.get().actor == f"cli:{os.getuid()}"


def test_a_new_database_is_for_its_user_alone(desk: Desk, house: CommandContext) -> None:
    path = desk.settings.sqlite_path
    assert path
    path.unlink()
    with house.database():
        assert path.stat().st_mode & 0o777 == 0o600
        beside = [one for one in desk.folder.iterdir() if one.name.endswith(("-wal", "-shm"))]
        assert [one.stat().st_mode & 0o777 for one in beside] == [0o600, 0o600]


def test_a_database_that_is_there_keeps_its_permissions(desk: Desk, house: CommandContext) -> None:
    desk.add_news()
    path = desk.settings.sqlite_path
    assert path
    path.chmod(0o640)
    with house.database():
        pass
    assert path.stat().st_mode & 0o777 == 0o640


def test_moments_are_read_and_shown_in_the_organisations_zone(house: CommandContext) -> None:
    moment = house.parse_time("2026-07-01T17:00")
    assert moment == datetime(2026, 7, 1, 15, 0, tzinfo=UTC)
    assert house.format_time(moment) == "Wednesday 1 July 2026, 17:00"


def test_a_command_knows_what_was_chosen_on_the_pages(desk: Desk, house: CommandContext) -> None:
    path = desk.settings.sqlite_path
    assert path
    path.unlink()
    assert house.settings is house.file
    assert not path.exists()
    with desk.database() as database:
        choose(database, desk.settings, timezone="America/New_York")
    before, within = (CommandContext(config=str(desk.config), clock=desk.clock) for _ in range(2))
    assert before.settings.timezone == "America/New_York"
    assert before.parse_time("2026-07-01T17:00") == datetime(2026, 7, 1, 21, 0, tzinfo=UTC)
    with within.database():
        assert within.settings.timezone == "America/New_York"
    # Keys of the file's own win again once they are there.
    text = desk.config.read_text("utf-8")
    desk.config.write_text(f'timezone = "Europe/Paris"\n{text}', "utf-8")
    assert (
        CommandContext(config=str(desk.config), clock=desk.clock).settings.timezone
        == "Europe/Paris"
    )


@pytest.mark.parametrize("when", ["tomorrow", "2026-03-29T02:30", "2026-10-25T02:30"])
def test_what_is_no_moment_or_two_is_refused(house: CommandContext, when: str) -> None:
    with pytest.raises(Refused):
        house.parse_time(when)


def test_commands_that_only_read_give_way_to_whoever_answers(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(os, "setpriority", lambda *words: asked.append(words[-1]))
    desk.add_news()
    assert asked == []
    for words in (
        ("verify",),
        ("backup", str(tmp_path / "copy.db")),
        ("export", "news", "evidence"),
        ("archive", "news", "-o", str(tmp_path / "news.zip")),
    ):
        desk.run(*words)
        assert asked.pop() >= 5, words


def test_root_is_refused_where_the_database_is_another_users(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What root makes beside it, such as a lock, the server's user could not open."""
    desk.add_news()
    unknown = max(user.pw_uid for user in pwd.getpwall()) + 1
    before, true_stat, owner = sorted(desk.folder.iterdir()), Path.stat, unknown

    def stat(path: Path, **values: bool) -> os.stat_result:
        found = list(true_stat(path, **values))
        found[4] = owner
        return os.stat_result(found)

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(Path, "stat", stat)
    commands = ("status", "news"), ("serve",), ("check",), ("restore", "backup.db", "--replace")
    for command in commands:
        assert f"give the command as '#{unknown}' (`sudo -u" in desk.refused(*command)
    owner = pwd.getpwnam("nobody").pw_uid
    assert "give the command as nobody (`sudo -u nobody …`)" in desk.refused("status", "news")
    assert sorted(desk.folder.iterdir()) == before
    # Where a file system maps users, what root makes there is the same user's.
    monkeypatch.setattr("repermit.cli.context._find_owner_of_new_files", lambda *_: owner)
    desk.do("status", "news")
