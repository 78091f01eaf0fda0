"""Runs of every version there ever was can be read. `example.py` says how the file of a new version is added."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from compat.example import RESULTS, RUN
from ostinato.lab import store
from ostinato.lab.store import FILE, create, open_store

FILES = sorted(Path(__file__).parent.glob("run-v*.sqlite"))


@pytest.fixture(params=FILES, ids=lambda path: path.stem)
def folder(request, tmp_path):
    shutil.copyfile(request.param, tmp_path / FILE)
    return tmp_path


@pytest.mark.parametrize("read_only", [True, False])
def test_an_old_run_is_read(folder, read_only):
    with open_store(folder, read_only=read_only) as old:
        assert old.run() == RUN
        assert repr(old.results()) == repr(RESULTS)
        assert old.count() == len(RESULTS)


def test_an_old_run_goes_on(folder):
    with open_store(folder) as old:
        old.add([replace(RESULTS[0], seed=99)])
    with open_store(folder) as old:
        assert [result.seed for result in old.results()] == [*(result.seed for result in RESULTS), 99]


def test_every_version_has_its_file():
    assert [path.stem for path in FILES] == [f"run-v{number}" for number in range(1, store._VERSION + 1)]


def test_tables_that_change_have_a_new_version(tmp_path):
    """The newest file has the tables that are written today: without a new version they stay as they are."""
    shutil.copyfile(FILES[-1], tmp_path / FILE)
    create(tmp_path / "new", RUN).close()
    with open_store(tmp_path) as old, open_store(tmp_path / "new") as new:
        tables = "SELECT name, sql FROM sqlite_master ORDER BY name"
        assert old._connection.execute(tables).fetchall() == new._connection.execute(tables).fetchall()
