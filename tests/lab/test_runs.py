import math
from dataclasses import replace

import pytest

from compat.example import RESULTS, RUN
from ostinato.errors import DataError
from ostinato.lab.measure import Measure
from ostinato.lab.runs import find, measure, planned
from ostinato.lab.store import FILE, create


def make(folder, run=RUN, results=RESULTS):
    with create(folder, run) as store:
        store.add(results)


def test_the_newest_comes_first_and_what_cannot_be_read_last(tmp_path):
    make(tmp_path / "old", replace(RUN, started="2025-12-31T23:59:59+00:00"))
    make(tmp_path / "two" / "levels", replace(RUN, started="2026-02-01T00:00:00+00:00"))
    make(tmp_path / "between")
    make(tmp_path / "three" / "levels" / "down")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / FILE).write_text("no database" * 100)
    (tmp_path / "no run").mkdir()
    found = find(tmp_path)
    assert [str(each.folder.relative_to(tmp_path)) for each in found] == ["two/levels", "between", "old", "broken"]
    assert [each.networks for each in found] == [4, 4, 4, 0]
    assert found[1].run == RUN
    assert "is damaged, or not the file of a run" in found[3].problem
    assert [each.problem for each in found[:3]] == [None] * 3


def test_the_folder_itself_may_be_a_run(tmp_path):
    make(tmp_path)
    assert [each.folder for each in find(tmp_path)] == [tmp_path]


def test_nothing_there(tmp_path):
    assert find(tmp_path) == find(tmp_path / "nowhere") == []


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    def open_store(*_, **__):
        raise PermissionError(13, "Permission denied", "run.sqlite")

    make(tmp_path)
    monkeypatch.setattr("ostinato.lab.runs.open_store", open_store)
    assert "Permission denied" in find(tmp_path)[0].problem


@pytest.mark.parametrize(
    ("settings", "count"),
    [
        ({"cells": ["srn", "lstm"], "lengths": [10, 20, 30], "seeds": 16}, 96),
        ({"cells": ["srn"], "lengths": [10], "seeds": [3, 4]}, 2),
        ({"cells": ["srn"], "lengths": [10]}, None),
        ({"cells": "srn", "lengths": [10], "seeds": 1}, None),
        ({}, None),
    ],
)
def test_how_many_are_planned(tmp_path, settings, count):
    run = replace(RUN, settings=settings)
    assert planned(run) == count
    make(tmp_path, run, RESULTS[:2])
    (found,) = find(tmp_path)
    assert (found.networks, found.planned, found.finished) == (2, count, count == 2)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, Measure("accuracy", 0.9)),
        ({"metric": "mse", "threshold": 0.02, "task": "no task of ours"}, Measure("mse", 0.02)),
        ({"task": "digit-sum"}, Measure("accuracy", 0.9)),
        ({"task": "adding"}, Measure("mse", 0.01)),
    ],
)
def test_measure(settings, expected):
    found = measure(replace(RUN, settings=settings))
    assert found.metric == expected.metric
    assert math.isclose(found.threshold, expected.threshold) or "task" in settings


def test_a_task_that_there_is_not():
    with pytest.raises(DataError, match="no task is called 'juggling'"):
        measure(replace(RUN, settings={"task": "juggling"}))
