"""Databases in which something has happened, made once a module and copied for each test."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from repermit.db.connection import Database, open_database
from tests.support.postgresql_cluster import Cluster

Tell = Callable[[Database, Path], None]


def tell_once(tell: Tell) -> tuple[Callable[..., Path], Callable[..., str]]:
    """Return fixtures `ready_sqlite` and `ready_postgresql` of a module that tells a story.

    `tell` is given a database with all tables and a folder for files. The module's fixture
    `database` is then a copy of what it has made.
    """

    @pytest.fixture(scope="module")
    def ready_sqlite(ready_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
        folder = tmp_path_factory.mktemp("told")
        path = Path(shutil.copy(ready_sqlite, folder))
        with open_database(f"sqlite:///{path}") as opened:
            tell(opened, folder)
        return path

    @pytest.fixture(scope="module")
    def ready_postgresql(
        cluster: Cluster, ready_postgresql: str, tmp_path_factory: pytest.TempPathFactory
    ) -> str:
        folder = tmp_path_factory.mktemp("told")
        # A worker may come back to a module: the folder's name is used once.
        name = f"{folder.name}_{ready_postgresql}"
        with open_database(cluster.add_database(name, like=ready_postgresql)) as opened:
            tell(opened, folder)
        return name

    return ready_sqlite, ready_postgresql
