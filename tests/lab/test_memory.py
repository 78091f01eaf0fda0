"""The memory experiment: the recipe of the chapter, what is written, going on after an interruption, refusals."""

import csv
import json
import re
from dataclasses import asdict, replace

import pytest
import torch

from ostinato.errors import DataError
from ostinato.lab import memory, report
from ostinato.lab.memory import Settings
from ostinato.nn import SequenceClassifier
from ostinato.tasks import DigitSum
from ostinato.train import History, accuracy, evaluate, load_weights, read_record

SMALL = Settings(cells=("srn", "lstm"), lengths=(4, 5), epochs=2, units=4, evaluate_every=30)


@pytest.fixture(scope="module")
def finished_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    results = memory.run(SMALL, folder)
    return folder, results, report.write_report(SMALL, folder)


def test_the_recipe_of_the_chapter():
    recipe = {"units": 32, "batch_size": 8, "learning_rate": 1e-3, "epochs": 500, "evaluate_every": 100}
    assert recipe.items() <= asdict(Settings()).items()
    assert Settings().lengths == (10, 15, 20, 25, 30, 35)


def test_one_result_a_cell_and_length(finished_run):
    folder, results, _ = finished_run
    assert [(r.cell, r.length) for r in results] == [("srn", 4), ("lstm", 4), ("srn", 5), ("lstm", 5)]
    assert all(r.steps == 2 * 38 and r.majority == 0.1 and r.test_examples == 100 and r.backend for r in results)
    assert memory.finished(SMALL, folder) == results


def test_the_kept_model_scores_what_the_result_says(finished_run):
    folder, results, _ = finished_run
    for result in results:
        data = DigitSum.generate(result.length, seed=0)
        model = SequenceClassifier(10, 19, cell=result.cell, embedding_dim=4, hidden_size=4, bias="single")
        network = memory.network_folder(folder, result.cell, result.length)
        load_weights(model, network / "best.safetensors")
        assert evaluate(model, data.dev, accuracy) == [result.dev_accuracy]
        assert evaluate(model, data.test, accuracy) == [result.test_accuracy]
        history = read_record(History, network / "history.json")
        assert (history.best.step, history.best.score) == (result.best_step, result.dev_accuracy)
        assert [e.step for e in history.evaluations] == [30, 60, 76]


def test_the_start_is_xavier_with_one_zero_bias(tmp_path):
    """With a learning rate of 0 the kept model is the one at the start."""
    memory.run(replace(SMALL, cells=("lstm",), lengths=(4,), learning_rate=0.0, units=32), tmp_path)
    model = SequenceClassifier(10, 19, bias="single")
    load_weights(model, tmp_path / "lstm-4" / "best.safetensors")
    weights = dict(model.named_parameters())
    assert not any("bias_hh" in name for name in weights)
    for name, weight in weights.items():
        if "bias" in name:
            assert not weight.any()
    gates = [*weights["recurrent.weight_ih_l0"].split(32), *weights["recurrent.weight_hh_l0"].split(32)]
    for matrix in (*gates, weights["embedding.weight"], weights["linear.weight"]):
        bound = (6 / sum(matrix.shape)) ** 0.5
        assert 0.9 * bound < matrix.abs().max() <= bound


def test_the_seed_decides_the_data_and_the_weights(tmp_path):
    settings = replace(SMALL, cells=("srn",), lengths=(4,), epochs=1, data=str(tmp_path / "data"))
    DigitSum.generate(4).write(tmp_path / "data" / "4")  # the same data, so that weights alone differ
    losses = {}
    for name, seed in {"a": 0, "b": 0, "c": 1}.items():
        memory.run(replace(settings, seed=seed), tmp_path / name)
        losses[name] = read_record(History, tmp_path / name / "srn-4" / "history.json").train_loss
    assert losses["a"] == losses["b"] != losses["c"]
    first, second = (memory.load(replace(SMALL, seed=seed), 4).train.inputs for seed in (0, 1))
    assert not torch.equal(first, second)


def test_the_batch_size_decides_the_steps(tmp_path):
    settings = replace(SMALL, cells=("srn",), lengths=(4,), batch_size=100)
    assert memory.run(settings, tmp_path)[0].steps == 2 * 3


def test_the_test_accuracy_is_that_of_the_kept_model(tmp_path):
    """A learning rate so high that the last model is worse than the kept one."""
    settings = replace(SMALL, cells=("lstm",), lengths=(4,), units=32, epochs=10, evaluate_every=20, learning_rate=0.1)
    result = memory.run(settings, tmp_path)[0]
    scores = [e.score for e in read_record(History, tmp_path / "lstm-4" / "history.json").evaluations]
    assert result.dev_accuracy == max(scores) > scores[-1]
    model = SequenceClassifier(10, 19, bias="single")
    load_weights(model, tmp_path / "lstm-4" / "best.safetensors")
    assert evaluate(model, DigitSum.generate(4).test, accuracy) == [result.test_accuracy]


def test_a_network_does_not_depend_on_the_others(tmp_path, finished_run):
    """Or else what is trained after an interruption would differ."""
    alone = memory.run(replace(SMALL, cells=("lstm",), lengths=(5,)), tmp_path)[0]
    assert replace(alone, seconds=0) == replace(finished_run[1][3], seconds=0)


def test_the_work_is_told_up_to_its_end(tmp_path):
    told = []
    memory.run(SMALL, tmp_path, lambda job, p: told.append((job.number, job.count, job.fraction(p))))
    fractions = [fraction for _, _, fraction in told]
    assert fractions == sorted(fractions)
    assert fractions[-1] == pytest.approx(1.0)
    assert [number for number, _, _ in told] == sorted([1, 2, 3, 4] * 3)
    assert {count for _, count, _ in told} == {4}


def test_an_interrupted_run_goes_on(tmp_path, finished_run):
    def stop(job, progress):
        if (job.cell, job.length, progress.step) == ("lstm", 4, 60):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        memory.run(SMALL, tmp_path, stop)
    assert [(r.cell, r.length) for r in memory.finished(SMALL, tmp_path)] == [("srn", 4)]
    assert read_record(History, tmp_path / "lstm-4" / "history.json").interrupted
    trained = []
    results = memory.run(SMALL, tmp_path, lambda job, p: trained.append((job.number, job.cell, job.length)))
    assert list(dict.fromkeys(trained)) == [(2, "lstm", 4), (3, "srn", 5), (4, "lstm", 5)]
    assert [replace(r, seconds=0) for r in results] == [replace(r, seconds=0) for r in finished_run[1]]
    assert memory.run(SMALL, tmp_path, lambda *_: pytest.fail("there is nothing left to train")) == results


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": 3}, "a run with epochs 2, not 3: continue it with its own settings"),
        ({"lengths": (4,)}, "a run with lengths 4 5, not 4:"),
        ({"data": "x"}, "a run with data None, not x:"),
    ],
)
def test_a_folder_of_other_settings_is_refused(finished_run, tmp_path, monkeypatch, change, message):
    monkeypatch.chdir(tmp_path)
    for length in SMALL.lengths:
        DigitSum.generate(length).write(tmp_path / "x" / str(length))
    with pytest.raises(DataError, match=message):
        memory.run(replace(SMALL, **change), finished_run[0])


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(DataError, match="not the folder of a run"):
        memory.run(SMALL, tmp_path)
    with pytest.raises(DataError, match="not the folder of a run"):
        memory.run(SMALL, tmp_path / "thesis.tex")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cells": ("elman",)}, "no cell is called 'elman'; there are: srn, .*lstm"),
        ({"cells": ()}, "no cells are given"),
        ({"cells": ("srn", "srn")}, "'srn' is there twice"),
        ({"lengths": (10, 2)}, "length 2 is too short"),
        ({"epochs": 0}, "epochs is 0"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"seed": -3}, "seed is -3"),
    ],
)
def test_settings_check_themselves(change, message):
    with pytest.raises(DataError, match=message):
        replace(SMALL, **change)


def test_data_of_ones_own(tmp_path):
    data = DigitSum.generate(4, seed=99)
    data.write(tmp_path / "data" / "4")
    settings = replace(SMALL, cells=("srn",), lengths=(4,), data=str(tmp_path / "data"))
    assert torch.equal(memory.load(settings, 4).train.inputs, data.train.inputs)
    assert memory.run(settings, tmp_path / "run")[0].steps == 76
    data.write(tmp_path / "data" / "6")
    with pytest.raises(DataError, match="6 holds sequences of length 4, not 6"):
        memory.run(replace(settings, lengths=(4, 6)), tmp_path / "other")
    assert not (tmp_path / "other").exists()  # the data are looked at before anything is begun


def test_the_tables_are_the_results(finished_run):
    folder, results, _ = finished_run
    rows = list(csv.DictReader((folder / "accuracy.csv").read_text().splitlines()))
    assert [{key: type(getattr(r, key))(row[key]) for key in row} for row, r in zip(rows, results, strict=True)] == [
        asdict(r) for r in results
    ]
    assert [json.loads((folder / f"{r.cell}-{r.length}" / "result.json").read_text()) for r in results] == [
        asdict(r) for r in results
    ]


def test_the_curves_are_the_histories(finished_run):
    folder, results, _ = finished_run
    rows = list(csv.DictReader((folder / "loss.csv").read_text().splitlines()))
    assert len(rows) == 4 * 3
    history = read_record(History, folder / "srn-4" / "history.json")
    means = [sum(history.train_loss[a:b]) / (b - a) for a, b in ((0, 30), (30, 60), (60, 76))]
    assert [float(row["train_loss"]) for row in rows[:3]] == pytest.approx(means)
    assert [float(row["dev_loss"]) for row in rows[:3]] == [e.loss for e in history.evaluations]
    assert [int(row["step"]) for row in rows[:3] if row["best"] == "true"] == [results[0].best_step]


def test_the_page_needs_no_network(finished_run):
    folder, results, page = finished_run
    assert page == folder / "report.html"
    text = page.read_text("utf-8")
    assert text.count("<svg") == 2
    assert not re.search(r"""(src|href)\s*=|url\(|@import|<script|<link""", text)
    assert report.command(SMALL) == "ostinato memory --cells srn lstm --lengths 4 5 --epochs 2 --seed 0"
    assert report.command(SMALL) in text
    assert "One seed tells no story" in text
    for result in results:
        assert f">{result.test_accuracy:.0%}<" in text
    assert not re.search(r"\$[a-z]", text)
    for name in ("accuracy", "loss"):
        assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
        assert (folder / f"{name}.svg").read_text().startswith("<svg")


def test_what_a_user_wrote_is_escaped(tmp_path):
    data = tmp_path / "<b>&"
    DigitSum.generate(4).write(data / "4")
    settings = replace(SMALL, cells=("srn",), lengths=(4,), epochs=1, data=str(data))
    memory.run(settings, tmp_path / "run")
    text = report.write_report(settings, tmp_path / "run").read_text("utf-8")
    assert "<b>&" not in text.replace("<b>6 7</b>", "")
    assert "&lt;b&gt;&amp;" in text


def test_nothing_unfinished_is_left(finished_run):
    folder, _, _ = finished_run
    assert not [path for path in folder.rglob("*") if path.name.startswith(".")]
    assert {path.name for path in folder.iterdir()} == {
        *("settings.json", "data.sha256", "report.html", "accuracy.csv", "accuracy.png", "accuracy.svg"),
        *("loss.csv", "loss.png", "loss.svg", "srn-4", "lstm-4", "srn-5", "lstm-5"),
    }
