"""What a store promises, however the file is held: open still, opened again, read by others, copied, read-only media.

The contract is pointed at a way of holding a run by one entry in `WAYS`.
"""

import math
import shutil
import sqlite3
from contextlib import closing, contextmanager
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ostinato.errors import DataError
from ostinato.lab.results import Curve, Result, Run
from ostinato.lab.store import FILE, create, open_store

RUN = Run(
    experiment="memory",
    command="ostinato memory --seeds 2",
    settings={"cells": ["srn", "lstm"], "lengths": [10, 20], "seeds": 2, "seed": 0, "data": None, "é": 0.1},
    versions={"python": "3.11.7", "torch": "2.13.0"},
    machine={"processor": "Ελλάς", "cores": "2"},
    started="2026-01-31T12:00:00+00:00",
)


def result(seed=0, cell="srn", length=10, **changes):
    curve = Curve([100, 200], [2.5, math.nan], [2.25, math.inf], [0.5, 0.75])
    return replace(Result(cell, length, seed, 0.75, 0.7, 200, None, 200, "finished", 1.5, curve), **changes)


# The ways to hold a run.


@contextmanager
def still_open(folder, run, batches):
    with create(folder, run) as store:
        for batch in batches:
            store.add(batch)
        yield store


@contextmanager
def opened_again(folder, run, batches):
    with still_open(folder, run, batches):
        pass
    with open_store(folder) as store:
        yield store


@contextmanager
def opened_for_every_batch(folder, run, batches):
    create(folder, run).close()
    for batch in batches:
        with open_store(folder) as store:
            store.add(batch)
    with open_store(folder) as store:
        yield store


@contextmanager
def opened_to_read(folder, run, batches):
    with still_open(folder, run, batches):
        pass
    with open_store(folder, read_only=True) as store:
        yield store


@contextmanager
def read_while_it_is_written(folder, run, batches):
    with create(folder, run) as writer, open_store(folder, read_only=True) as store:
        for batch in batches:
            writer.add(batch)
        yield store


@contextmanager
def copied_while_it_is_written(folder, run, batches):
    with still_open(folder, run, batches):
        shutil.copytree(folder, folder.with_name("copy"))
        with open_store(folder.with_name("copy"), read_only=True) as store:
            yield store


@contextmanager
def where_nothing_can_be_written(folder, run, batches):
    """The last resort, as `test_database.py` sees it used: a copy in memory, `-wal` and all."""
    with still_open(folder, run, batches):
        shutil.copytree(folder, folder.with_name("media"))
    media = folder.with_name("media")
    (media / f"{FILE}-shm").unlink()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ostinato.lab.database._connect", _fail)
        with open_store(media, read_only=True) as store:
            yield store


def _fail(*_):
    raise sqlite3.OperationalError("unable to open database file")


WAYS = [
    still_open,
    opened_again,
    opened_for_every_batch,
    opened_to_read,
    read_while_it_is_written,
    copied_while_it_is_written,
    where_nothing_can_be_written,
]


@pytest.fixture(params=WAYS, ids=lambda way: way.__name__)
def hold(request):
    return request.param


# What comes back.

NUMBERS = st.floats().map(lambda x: x + 0.0)  # SQLite has no -0.0
WHOLE = st.integers(0, 2**63 - 1)
WORDS = st.text(st.characters(exclude_categories=["Cs"]))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | WORDS,
    lambda inner: st.lists(inner) | st.dictionaries(WORDS, inner),
    max_leaves=5,
)
RUNS = st.builds(
    Run,
    experiment=WORDS,
    command=WORDS,
    settings=st.dictionaries(WORDS, JSON, max_size=4),
    versions=st.dictionaries(WORDS, WORDS, max_size=4),
    machine=st.dictionaries(WORDS, WORDS, max_size=4),
    started=WORDS,
)
CURVES = st.lists(st.tuples(WHOLE, NUMBERS, NUMBERS, NUMBERS), max_size=4, unique_by=lambda row: row[0]).map(
    lambda rows: Curve(*map(list, zip(*sorted(rows, key=lambda row: row[0]), strict=True))) if rows else Curve()
)
RESULTS = st.builds(
    Result,
    cell=WORDS,
    length=WHOLE,
    seed=WHOLE,
    dev=NUMBERS,
    test=NUMBERS,
    best_step=WHOLE,
    solved_step=st.none() | WHOLE,
    steps=WHOLE,
    status=st.sampled_from(["finished", "diverged"]),
    seconds=NUMBERS,
    curve=CURVES,
)
BATCHES = st.lists(RESULTS, max_size=6, unique_by=lambda r: (r.cell, r.length, r.seed)).flatmap(
    lambda results: st.integers(0, len(results)).map(lambda cut: [results[:cut], results[cut:]])
)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(run=RUNS, batches=BATCHES)
def test_what_goes_in_comes_out_in_the_order_of_adding(hold, tmp_path_factory, run, batches):
    with hold(tmp_path_factory.mktemp("runs") / "run", run, batches) as store:
        added = [result for batch in batches for result in batch]
        assert store.run() == run
        assert repr(store.results()) == repr(added)  # where a NaN equals a NaN
        assert repr(store.results(curves=False)) == repr([replace(result, curve=Curve()) for result in added])
        assert store.count() == len(added)


@pytest.mark.parametrize("name", ["with spaces", "Ελλάς 中文", "100% #1? a&b=c;'\"", "-x", "x\ny"])
def test_names_of_folders(hold, tmp_path, name):
    with hold(tmp_path / name / "run", RUN, [[result()]]) as store:
        assert repr(store.results()) == repr([result()])


def test_a_folder_of_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    create("run", RUN).close()
    with open_store("run") as store:
        assert store.run() == RUN


def test_whoever_closes_last_leaves_one_file(tmp_path):
    with create(tmp_path, RUN) as writer, open_store(tmp_path, read_only=True) as reader:
        writer.add([result()])
        assert reader.count() == 1
        assert len(list(tmp_path.iterdir())) > 1
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_what_is_added_between_the_reading_of_results_and_of_curves(tmp_path):
    with create(tmp_path, RUN) as writer, open_store(tmp_path, read_only=True) as reader:
        writer.add([result(0)])
        curves = reader._curves

        def add_and_read():
            writer.add([result(1)])
            return curves()

        reader._curves = add_and_read
        assert repr(reader.results()) == repr([result(0)])
        reader._curves = curves
        assert repr(reader.results()) == repr([result(0), result(1)])


def test_it_is_plain_sql(tmp_path):
    create(tmp_path, RUN).close()
    with open_store(tmp_path) as store:
        store.add([result(0, test=0.5), result(1, test=1.0), result(0, length=20, test=math.nan)])
    with closing(sqlite3.connect(tmp_path / FILE)) as connection:
        rows = connection.execute("SELECT cell, length, avg(test), count(*) FROM result GROUP BY cell, length")
        assert rows.fetchall() == [("srn", 10, 0.75, 2), ("srn", 20, None, 1)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []


# All or none.


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        (result(1), "holds srn, length 10, seed 1 already: a network is added once"),
        (result(3), "holds srn, length 10, seed 3 already: a network is added once"),
        (result(4, curve=Curve([1])), "the curve of srn, length 10, seed 4 has lists of different sizes; they"),
        (result(5, curve=Curve([2, 2], *[[0.0] * 2] * 3)), r"the steps of the curve of srn, .* do not rise: \[2, 2\]"),
    ],
)
def test_all_or_none(tmp_path, bad, sentence):
    with create(tmp_path, RUN) as store:
        store.add([result(0), result(1)])
        with pytest.raises(DataError, match=sentence):
            store.add([result(2), result(3), bad])
        assert [r.seed for r in store.results()] == [0, 1]
        store.add([result(2)])
    with open_store(tmp_path) as store:
        assert [r.seed for r in store.results()] == [0, 1, 2]


def test_an_interruption_adds_nothing(tmp_path):
    def interrupted():
        yield result(0)
        raise KeyboardInterrupt

    with create(tmp_path, RUN) as store:
        with pytest.raises(KeyboardInterrupt):
            store.add(interrupted())
        assert store.results() == []


def test_what_was_opened_to_read_adds_nothing(tmp_path):
    create(tmp_path, RUN).close()
    with open_store(tmp_path, read_only=True) as store:
        with pytest.raises(DataError, match="attempt to write a readonly database"):
            store.add([result()])
        assert store.count() == 0


# A folder that is not as it should be.


def test_a_second_run_in_a_folder(tmp_path):
    create(tmp_path / "run", RUN).close()
    with pytest.raises(DataError, match=r"run holds a run already: continue it, or choose another folder$"):
        create(tmp_path / "run", replace(RUN, experiment="other"))
    with open_store(tmp_path / "run") as store:
        assert store.run() == RUN


@pytest.mark.parametrize("read_only", [False, True])
def test_no_run(tmp_path, read_only):
    (tmp_path / "file").touch()
    (tmp_path / "folder" / FILE).mkdir(parents=True)
    for name in ("nothing", "file", "folder", ""):
        with pytest.raises(DataError, match=rf"^{tmp_path / name} is not the folder of a run: there is no run.sqlite"):
            open_store(tmp_path / name, read_only=read_only)
    assert not (tmp_path / "nothing").exists()


def test_a_run_that_could_not_be_written_is_not_there(tmp_path):
    with pytest.raises(TypeError):
        create(tmp_path, replace(RUN, settings={"cells": {1, 2}}))
    assert list(tmp_path.iterdir()) == []


def test_what_a_deleted_run_left_is_no_part_of_a_new_one(tmp_path):
    with create(tmp_path / "old", RUN) as store:
        store.add([result()])
        shutil.copytree(tmp_path / "old", tmp_path / "new")
    (tmp_path / "new" / FILE).unlink()
    with create(tmp_path / "new", RUN) as store:
        assert store.results() == []


@pytest.mark.parametrize("read_only", [False, True])
def test_a_database_of_another_program(tmp_path, read_only):
    with closing(sqlite3.connect(tmp_path / FILE)) as connection:
        connection.execute("CREATE TABLE result (x)")
    with pytest.raises(DataError, match=r"run.sqlite was not written by Ostinato$"):
        open_store(tmp_path, read_only=read_only)
    (tmp_path / FILE).write_bytes(b"")
    with pytest.raises(DataError, match="not written by Ostinato"):
        open_store(tmp_path, read_only=read_only)


@pytest.mark.parametrize("read_only", [False, True])
def test_a_newer_version(tmp_path, read_only):
    create(tmp_path, RUN).close()
    with closing(sqlite3.connect(tmp_path / FILE)) as connection:
        connection.execute("PRAGMA user_version = 7")
    sentence = r"was written by a newer Ostinato: its tables are of version 7, this one reads up to 1$"
    with pytest.raises(DataError, match=sentence):
        open_store(tmp_path, read_only=read_only)
