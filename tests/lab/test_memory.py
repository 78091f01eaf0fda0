"""The memory experiment: what it leaves behind, going on after an interruption, refusals."""

import math
import re
import shutil
import sqlite3
from dataclasses import replace

import pytest
import torch

from ostinato import train
from ostinato.cli.cells import find_cell
from ostinato.errors import DataError
from ostinato.lab import environment, memory, networks
from ostinato.lab.networks import load_data
from ostinato.lab.recipe import Settings
from ostinato.lab.store import Store
from ostinato.nn import Population
from ostinato.tasks import TASKS, DigitSum

SETTINGS = Settings.of(lengths=(4, 5), seeds=3, seed=2, steps=70, hidden_size=6, evaluate_every=30, learning_rate=0.01)
SHORT = replace(SETTINGS, cells=("srn",), lengths=(4,), steps=5)

MGU = """
from ostinato import cell, sigmoid, tanh

@cell(gates="f g", state="h")
def mgu(f, g, h):
    f = sigmoid(f)
    return (1 - f) * h + f * tanh(g)

another_name = mgu
"""


@pytest.fixture(scope="module")
def finished_run(tmp_path_factory):
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("run")
    return folder, memory.run(SETTINGS, folder)


def timeless(results):
    return [replace(result, seconds=0) for result in results]


def models(folder):
    return {path.name: path.read_bytes() for path in (folder / "models").iterdir()}


def stop_at(cell, length, step):
    def progress(p):
        if (str(p.group.cell), p.group.length, p.training.step) == (cell, length, step):
            raise KeyboardInterrupt

    return progress


def nothing(_):
    pytest.fail("there is nothing to train")


# What it leaves behind.


def test_one_result_a_network_in_the_order_of_the_settings(finished_run):
    folder, results = finished_run
    order = [(cell, length, seed) for length in (4, 5) for cell in ("srn", "lstm") for seed in (2, 3, 4)]
    assert [(r.cell, r.length, r.seed) for r in results] == order
    assert memory.finished(folder) == results
    reverse = replace(SHORT, cells=("lstm", "srn"), lengths=(5, 4))
    results = memory.run(reverse, folder / "reverse")
    assert [(r.cell, r.length) for r in results[::3]] == [("lstm", 4), ("srn", 4), ("lstm", 5), ("srn", 5)]


def test_what_a_result_says_is_true_of_the_kept_model(finished_run):
    folder, results = finished_run
    for r in results:
        data = load_data(SETTINGS, r.length, r.seed)
        network = memory.network(folder, r.cell, r.length, r.seed)
        assert train.evaluate(network, data.dev, train.accuracy) == [pytest.approx(r.dev)]
        assert train.evaluate(network, data.test, train.accuracy) == [pytest.approx(r.test)]
        assert r.curve.step == [30, 60, 70]
        assert (r.steps, r.status) == (70, "finished")
        assert r.dev == max(r.curve.dev) == r.curve.dev[r.curve.step.index(r.best_step)]
        assert r.solved_step is None
        assert 0 < r.seconds < 60


def test_a_run_says_how_it_was_made(finished_run):
    folder, _ = finished_run
    run = memory.about(folder)
    assert (run.experiment, run.command) == ("memory", SETTINGS.command())
    assert run.versions == environment.versions()
    assert run.settings["lengths"] == [4, 5]
    assert (run.settings["metric"], run.settings["threshold"]) == ("accuracy", 0.9)


def test_solved_is_the_first_evaluation_above_the_threshold(tmp_path, monkeypatch):
    monkeypatch.setattr(type(TASKS["digit-sum"]), "threshold", 0.1)
    results = memory.run(replace(SETTINGS, cells=("lstm",), evaluate_every=10), tmp_path)
    assert len({r.solved_step for r in results}) > 1
    for r in results:
        there = [step for step, dev in zip(r.curve.step, r.curve.dev, strict=True) if dev >= 0.1]
        assert r.solved_step == (there[0] if there else None)


@pytest.mark.parametrize("task", TASKS)
def test_every_task_trains(task, tmp_path):
    length = {"digits": 64}.get(task, max(TASKS[task].shortest, 6))
    settings = Settings.of(
        task, ["srn", "lstm"], lengths=[length], seeds=2, steps=3, hidden_size=6, evaluate_every=2, batch_size=4
    )
    results = memory.run(settings, tmp_path)
    assert [(r.cell, r.seed) for r in results] == [("srn", 0), ("srn", 1), ("lstm", 0), ("lstm", 1)]
    for r in results:
        network = memory.network(tmp_path, r.cell, length, r.seed)
        test = load_data(settings, length, r.seed).test
        metric = train.member_accuracy if TASKS[task].metric == "accuracy" else train.member_squared_error
        (again,) = train.evaluate_members(Population([network]), [t.unsqueeze(0) for t in test], metric)
        assert r.test == pytest.approx(again.item(), abs=1e-6)
        assert math.isfinite(r.dev)
        assert r.curve.step == [2, 3]
    assert memory.run(settings, tmp_path, progress=nothing) == results


def test_a_network_does_not_depend_on_those_beside_it(finished_run, tmp_path):
    """To rounding: a population of another size adds up in another order."""
    for r in [r for r in finished_run[1] if (r.length, r.seed) == (5, 3)]:
        (alone,) = memory.run(replace(SETTINGS, cells=(r.cell,), lengths=(5,), seed=3, seeds=1), tmp_path / r.cell)
        assert alone.curve.dev_loss == pytest.approx(r.curve.dev_loss, abs=1e-4)
        assert alone.curve.train_loss == pytest.approx(r.curve.train_loss, abs=1e-4)


@pytest.mark.parametrize(("lengths", "pieces"), [((4,), [8, 8, 1]), ((4, 5, 6, 7), [16, 1])])
def test_many_seeds_are_several_populations(lengths, pieces, tmp_path):
    settings = replace(SHORT, lengths=lengths, seeds=17, steps=1)
    groups = []
    results = memory.run(settings, tmp_path, progress=lambda p: groups.append(p.group))
    assert [len(group.seeds) for group in sorted(groups, key=lambda g: (g.length, g.seeds[0]))] == pieces * len(lengths)
    assert [(r.length, r.seed) for r in results] == [(length, seed) for length in lengths for seed in range(2, 19)]
    assert memory.network(tmp_path, "srn", 4, 18)


def test_the_work_is_told_up_to_its_end(tmp_path):
    told = []
    memory.run(SETTINGS, tmp_path, progress=told.append)
    fractions = [p.fraction for p in told]
    assert fractions == sorted(fractions)
    assert fractions[-1] == pytest.approx(1.0)
    assert [(str(p.group.cell), p.group.length) for p in told[::3]] == [
        *[("lstm", 5), ("lstm", 4), ("srn", 5), ("srn", 4)]  # what takes longest comes first
    ]
    assert [p.finished for p in told] == [0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4]
    assert {p.count for p in told} == {4}


def test_networks_that_diverge_are_said_to_and_the_others_go_on(finished_run, tmp_path, monkeypatch):
    make = networks.make_network

    def poisoned(task, cell, hidden_size):
        network = make(task, cell, hidden_size)
        if (cell.name, torch.initial_seed()) == ("srn", 3):
            network.linear.bias.data.fill_(math.inf)
        return network

    monkeypatch.setattr(networks, "make_network", poisoned)
    results = memory.run(SETTINGS, tmp_path)
    for r, healthy in zip(results, finished_run[1], strict=True):
        if (r.cell, r.seed) == ("srn", 3):
            assert (r.status, r.steps, r.best_step, r.solved_step) == ("diverged", 30, 0, None)
            assert math.isnan(r.dev)
            assert math.isnan(r.test)
        else:
            assert (r.status, r.steps) == ("finished", 70)
            assert r.curve.dev_loss == pytest.approx(healthy.curve.dev_loss, abs=1e-4)


def test_a_population_that_diverges_as_a_whole(tmp_path):
    told = []
    settings = replace(SETTINGS, cells=("srn_relu",), learning_rate=1e30)
    results = memory.run(settings, tmp_path, progress=told.append)
    assert [(r.status, r.steps) for r in results] == [("diverged", 30)] * 6
    assert [(p.training.scores, p.finished) for p in told] == [((), 0), ((), 1)]
    assert told[1].fraction > 0.5


# Interrupted, and on with it.


def test_an_interrupted_run_goes_on(finished_run, tmp_path):
    told = []
    for stop in [("lstm", 5, 30), ("lstm", 5, 70), ("srn", 5, 60)]:
        with pytest.raises(KeyboardInterrupt):
            memory.run(SETTINGS, tmp_path, progress=stop_at(*stop))
    assert len(memory.finished(tmp_path)) == 6
    results = memory.run(SETTINGS, tmp_path, progress=told.append)
    assert [(str(p.group.cell), p.group.length, p.training.step) for p in told] == [
        *[("srn", 5, 70), ("srn", 4, 30), ("srn", 4, 60), ("srn", 4, 70)]
    ]
    assert timeless(results) == timeless(finished_run[1])
    assert models(tmp_path) == models(finished_run[0])
    assert memory.run(SETTINGS, tmp_path, progress=nothing) == results


def test_a_folder_that_was_moved_goes_on_where_it_is(finished_run, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        memory.run(SETTINGS, tmp_path / "here", progress=stop_at("lstm", 4, 60))
    shutil.copytree(tmp_path / "here", tmp_path / "copied")
    shutil.move(tmp_path / "here", tmp_path / "moved")
    for name in ("copied", "moved"):
        assert len(memory.finished(tmp_path / name)) == 3
        assert memory.network(tmp_path / name, "lstm", 5, 2)
        told = []
        results = memory.run(SETTINGS, tmp_path / name, progress=told.append)
        assert (told[0].group.length, told[0].training.step) == (4, 70)
        assert timeless(results) == timeless(finished_run[1])
        assert models(tmp_path / name) == models(finished_run[0])


def test_a_folder_that_was_copied_while_the_run_goes_on(finished_run, tmp_path):
    def copy(p):
        if (str(p.group.cell), p.group.length, p.training.step) == ("srn", 5, 60):
            shutil.copytree(tmp_path / "here", tmp_path / "copied")

    memory.run(SETTINGS, tmp_path / "here", progress=copy)
    assert len(memory.finished(tmp_path / "copied")) == 6
    assert timeless(memory.run(SETTINGS, tmp_path / "copied")) == timeless(finished_run[1])


def test_a_folder_without_a_run_has_no_results(tmp_path):
    assert memory.finished(tmp_path) == memory.finished(tmp_path / "nowhere") == []


# Refusals.


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"steps": 71}, "a run with steps 70, not 71: continue it with its own settings, or choose another folder"),
        ({"lengths": (4,)}, "a run with lengths 4 5, not 4: "),
        ({"cells": ("lstm", "srn")}, "a run with cells srn lstm, not lstm srn: "),
        ({"seeds": 4}, "a run with seeds 3, not 4: "),
        ({"clip_norm": 1.0}, "a run with clip norm None, not 1.0: "),
        ({"task": "digit-sum-fresh"}, "a run with task digit-sum, not digit-sum-fresh: "),
    ],
)
def test_a_folder_of_other_settings_is_refused(finished_run, change, sentence):
    folder, results = finished_run
    before = models(folder)
    with pytest.raises(DataError, match=f"^{folder} holds {sentence}"):
        memory.run(replace(SETTINGS, **change), folder)
    assert memory.finished(folder) == results
    assert models(folder) == before


def test_a_run_goes_on_with_the_versions_it_was_begun_with(tmp_path):
    memory.run(SHORT, tmp_path)
    with sqlite3.connect(tmp_path / "run.sqlite") as connection:
        connection.execute("UPDATE run SET versions = json_set(versions, '$.ostinato', '0.0.1')")
    memory.run(SHORT, tmp_path)  # its own version may differ: what it promises, its tests hold
    with sqlite3.connect(tmp_path / "run.sqlite") as connection:
        connection.execute("UPDATE run SET versions = json_set(versions, '$.torch', '1.13')")
    connection.close()
    with pytest.raises(
        DataError, match=rf"^{tmp_path} was begun with torch 1.13, this is {re.escape(torch.__version__)}: "
    ):
        memory.run(SHORT, tmp_path)


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "thesis.tex").touch()
    for folder in (tmp_path, tmp_path / "thesis.tex"):
        with pytest.raises(DataError, match=f"^{folder} is there already and is not the folder of a run: choose"):
            memory.run(SHORT, folder)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_what_a_killed_process_left_is_nothing_else(tmp_path):
    for name in ("run.lock", "run.holder", ".run.holder.12.part", ".run.sqlite.12.part", ".run.sqlite.12.part-journal"):
        (tmp_path / name).touch()
    (tmp_path / "run.sqlite-wal").touch()
    with pytest.raises(DataError, match="is not the folder of a run"):
        memory.run(SHORT, tmp_path)
    (tmp_path / "run.sqlite-wal").unlink()
    memory.run(SHORT, tmp_path)
    (tmp_path / ".notes.2024").touch()  # the user's, as is the folder
    (tmp_path / "training" / "old").mkdir()
    (tmp_path / "models" / ".srn-4.safetensors.12.part").touch()
    memory.run(SHORT, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {".notes.2024", "models", "run.lock", "run.sqlite", "training"}
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["srn-4-seeds-2-to-4.safetensors"]


def test_the_state_of_a_training_that_is_damaged(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        memory.run(SETTINGS, tmp_path, progress=stop_at("lstm", 5, 30))
    (state,) = (tmp_path / "training").iterdir()
    state.write_bytes(state.read_bytes()[:1000])
    with pytest.raises(
        DataError, match=f"^{state} is not the state of a training .*: delete it, and that training begins again"
    ):
        memory.run(SETTINGS, tmp_path)


def test_networks_that_are_not_there(finished_run):
    folder, _ = finished_run
    for cell, length, seed in [("gru", 4, 2), ("srn", 6, 2), ("srn", 4, 5)]:
        sentence = f"^{folder} holds no network of cell {cell}, length {length} and seed {seed}$"
        with pytest.raises(DataError, match=sentence):
            memory.network(folder, cell, length, seed)
    with pytest.raises(DataError, match="no cell is called 'elman'"):
        memory.network(folder, "elman", 4, 2)


# Cells and data of one's own.


def own(tmp_path, *texts, name="mgu"):
    specs = []
    for k, text in enumerate(texts):
        path = tmp_path / f"cells{k}.py"
        path.write_text(text)
        specs.append(f"{path}:{name}")
    return {spec: find_cell(spec) for spec in specs}


def test_cells_of_ones_own(tmp_path):
    cells = own(tmp_path, MGU)
    settings = replace(SHORT, cells=("srn", *cells))
    results = memory.run(settings, tmp_path / "run", cells)
    assert [r.cell for r in results] == [*["srn"] * 3, *["mgu"] * 3]
    (mgu,) = cells.values()
    network = memory.network(tmp_path / "run", mgu, 4, 2)
    data = load_data(settings, 4, 2)
    assert train.evaluate(network, data.test, train.accuracy) == [pytest.approx(results[3].test)]
    assert memory.run(settings, tmp_path / "run", own(tmp_path, MGU), nothing) == results
    changed = own(tmp_path, MGU.replace("(1 - f) * h", "(1 - f) * tanh(h)"))
    with pytest.raises(DataError, match=r"run holds networks of other .*: choose"):
        memory.run(settings, tmp_path / "run", changed)


def test_a_cell_under_another_name_in_its_file(tmp_path):
    cells = own(tmp_path, MGU, name="another_name")
    results = memory.run(replace(SHORT, cells=("srn", *cells)), tmp_path / "run", cells)
    assert [r.cell for r in results] == [*["srn"] * 3, *["mgu"] * 3]


def test_two_cells_of_one_name_are_refused(tmp_path):
    cells = own(tmp_path, MGU, MGU.replace("(1 - f)", "f"))
    first, second = cells
    with pytest.raises(DataError, match=f"^{first} and {second} are both called 'mgu': give one another name$"):
        memory.run(replace(SHORT, cells=(first, second)), tmp_path / "run", cells)
    cells = own(tmp_path, MGU.replace("mgu", "lstm"), name="lstm")
    sentence = f"^{first.replace('mgu', 'lstm')} is called like the cell 'lstm' of the library: give it another name$"
    with pytest.raises(DataError, match=sentence):
        memory.run(replace(SHORT, cells=tuple(cells)), tmp_path / "run", cells)
    assert not (tmp_path / "run").exists()


def test_data_of_ones_own(tmp_path):
    data = DigitSum.generate(4, copies=1, seed=99)
    data.write(tmp_path / "data" / "4")
    settings = replace(SHORT, data=str(tmp_path / "data"))
    results = memory.run(settings, tmp_path / "run")
    network = memory.network(tmp_path / "run", "srn", 4, 3)
    assert train.evaluate(network, data.test, train.accuracy) == [pytest.approx(results[1].test)]
    DigitSum.generate(4, copies=1, seed=98).write(tmp_path / "data" / "4")
    with pytest.raises(DataError, match=r"run holds networks of other .*: choose"):
        memory.run(settings, tmp_path / "run")


def test_data_are_looked_at_before_anything_is_begun(tmp_path):
    DigitSum.generate(4).write(tmp_path / "data" / "4")
    settings = replace(SHORT, lengths=(4, 6), data=str(tmp_path / "data"))
    with pytest.raises(DataError, match=r"train\.txt: No such file or directory; a DigitSum folder holds"):
        memory.run(settings, tmp_path / "run")
    assert not (tmp_path / "run").exists()


# With worker processes: more in test_workers.py and test_kills.py.


def test_an_error_leaves_no_worker_at_work(tmp_path, monkeypatch):
    """A disk that is full, say; workers that went on would keep the process from ending for hours."""
    run_workers, ended = memory.run_workers, []

    def watched(*arguments):
        try:
            yield from run_workers(*arguments)
        finally:
            ended.append(True)

    def full(*_):
        raise DataError("the disk is full")

    monkeypatch.setattr(memory, "run_workers", watched)
    monkeypatch.setattr(Store, "add", full)
    with pytest.raises(DataError, match="the disk is full") as raised:
        memory.run(SHORT, tmp_path)
    assert ended, raised  # as long as there is the error there is its traceback, which holds what is not closed
