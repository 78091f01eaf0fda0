"""The benchmark of a training step as a command, and its arithmetic."""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace

import pytest
import torch
from benchmarks.cases import Measured, Result
from benchmarks.command import in_fresh_process
from benchmarks.comparison import TRAINED_TOLERANCE
from benchmarks.contestants import has_paddle
from benchmarks.requirements import POPULATIONS, TRAINING
from benchmarks.timing import QUICK, Times
from benchmarks.training import __main__ as training
from benchmarks.training import cases
from benchmarks.training.contestants import torch_trainer
from benchmarks.training.jax_contestant import has_jax
from benchmarks.training.task import KINDS, SHAPE, make_task

from ostinato.tasks import DigitSum


@pytest.fixture
def alone(monkeypatch):
    """As on a machine without JAX and Paddle; the number of threads is put back."""
    monkeypatch.setattr(training, "has_jax", lambda: False)
    monkeypatch.setattr(training, "has_paddle", lambda: False)
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("alone")
def test_quick(capsys, tmp_path):
    file = tmp_path / "figures.json"
    assert training.main(["--quick", "--threads", "1", "--json", str(file)]) == 0
    shown = capsys.readouterr().out
    assert "One training step" in shown
    for package in ("JAX", "Paddle"):
        assert f"{package} is not installed (the extra `bench`): nothing was measured against it." in shown
    figures = json.loads(file.read_text("utf-8"))
    assert figures["tolerance"] == TRAINED_TOLERANCE
    assert 0 < figures["largest_difference"] < TRAINED_TOLERANCE
    found = [(r["layer"], r["networks"], r["peer"]) for r in figures["results"]]
    peers = [(2, "torch.nn"), (4, "population of 2"), (4, "torch.nn"), (1, "torch.nn")]
    assert found == [(kind, *peer) for kind in KINDS for peer in peers]
    assert all(r["what"] == "training step" and r["unit"] == "µs" and r["ours"] > 0 for r in figures["results"])
    assert all(r["at_least"] is None for r in figures["results"])  # nothing is required of these populations


@pytest.mark.slow
@pytest.mark.skipif(not has_jax(), reason="JAX is not installed")
def test_jax_trains_as_we_do():
    found = in_fresh_process(cases.run_jax, KINDS, 2, 2, QUICK, str)
    assert 0 < found.difference < TRAINED_TOLERANCE
    peers = [(r.layer, r.networks, r.peer) for r in found.results]
    assert peers == [(kind, 2, peer) for kind in KINDS for peer in ("JAX", "JAX, 2 devices")]


@pytest.mark.slow
@pytest.mark.skipif(not has_paddle(), reason="Paddle is not installed")
def test_paddle_trains_as_we_do():
    ours = [of_ours(kind, networks=2) for kind in KINDS]
    found = in_fresh_process(cases.run_paddle, ours, 2, QUICK, str)
    assert 0 < found.difference < TRAINED_TOLERANCE
    peers = [(r.layer, r.peer) for r in found.results]
    assert peers == [(kind, peer) for kind in KINDS for peer in ("paddle.nn", "course's own")]


def test_paddle_is_set_against_what_was_measured_of_ours(monkeypatch):
    def named(name):
        def make(task):
            made = torch_trainer(task)
            made.name = name
            return made

        return make

    stand_in = SimpleNamespace(paddle_trainer=named("paddle.nn"), course_trainer=named("course's own"))
    core = SimpleNamespace(set_num_threads=lambda threads: None)
    monkeypatch.setitem(sys.modules, "benchmarks.training.paddle_contestants", stand_in)
    monkeypatch.setattr(cases, "import_paddle", lambda: SimpleNamespace(base=SimpleNamespace(core=core)))
    monkeypatch.setattr(cases, "make_task", lambda kind, networks: make_task(kind, 2))
    ours = of_ours("SRN", networks=16)
    found = cases.run_paddle([ours], torch.get_num_threads(), QUICK, str)
    assert [(r.peer, r.at_least) for r in found.results] == [("paddle.nn", None), ("course's own", 150.0)]
    for result in found.results:
        assert result.ours == ours.ours
        assert result.ratio == result.theirs / ours.ours
        assert result.ours_rounds == ()


def of_ours(kind, networks):
    return Result(kind, str(SHAPE), "training step", "torch.nn", "µs", 100.0, 1000.0, 10.0, networks=networks)


def test_times_and_ratios_are_those_of_one_network():
    ours, theirs = SimpleNamespace(name="population of 16", networks=16), SimpleNamespace(name="JAX", networks=16)
    single = SimpleNamespace(name="torch.nn", networks=1)
    times = Times(((1.6e-3, 3.2e-3, 1.6e-3), (4.8e-3, 6.4e-3, 8.0e-3), (1e-3, 1e-3, 2e-3)))
    contest = cases.Contest("LSTM", [ours, theirs, single], times)
    against_jax, against_torch = contest.result(0, 1), contest.result(0, 2)
    assert against_jax.ours == against_torch.ours == pytest.approx(100)
    assert against_jax.theirs == pytest.approx(400)
    assert against_jax.ratio == pytest.approx(3)
    assert against_torch.theirs == pytest.approx(1000)
    assert against_torch.ratio == pytest.approx(10)
    assert against_jax.ours_rounds == pytest.approx((100, 200, 100))
    assert against_jax.at_least == 2.5
    assert against_torch.at_least == 10.0
    assert against_jax.flops == pytest.approx(3 * 2 * 8 * 20 * (32 + 32) * 128 / 100e-6)


def test_the_figures_of_the_specification():
    assert POPULATIONS == (16, 64)
    assert TRAINING == {
        (16, "torch.nn"): 10.0,
        (16, "JAX"): 2.5,
        (16, "course's own"): 150.0,
        (64, "population of 16"): 1.0,
    }


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize(("ratio", "required", "status"), [(9.9, True, 1), (9.9, False, 0), (10.1, True, 0)])
def test_short_is_an_error_only_if_asked(monkeypatch, capsys, ratio, required, status):
    rounds = (1.0, 2.0, 4.0)
    result = Result(
        *("LSTM", str(SHAPE), "training step", "torch.nn", "µs", 1.0, ratio, ratio, 10.0, 1e9),
        ours_rounds=(1.0, 1.0, 1.0),
        theirs_rounds=rounds,
        networks=16,
    )
    monkeypatch.setattr(training, "run", lambda *_: Measured([result], 0.0, 1e11))
    assert training.main(["--threads", "1"] + ["--require"] * required) == status
    shown = capsys.readouterr().out
    assert ("short: LSTM B8 T20 M32 D32, 16 networks, training step against torch.nn" in shown) == (ratio < 10)
    assert "1.5-3" in shown  # the quartiles of the rounds


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only", "gru"], "no network is called 'gru'; there are: LSTM, SRN"),
        (["--threads", "0"], "--threads is 0: at least 1"),
    ],
)
def test_wrong_options(capsys, arguments, message):
    with pytest.raises(SystemExit) as stop:
        training.main(arguments)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_networks_share_neither_weights_nor_batches():
    task = make_task("LSTM", 2)
    assert task.digits.shape == (37, 2, 8, 20)
    assert task.labels.shape == (37, 2, 8)
    assert not torch.equal(task.digits[:, 0], task.digits[:, 1])
    for name, weights in task.weights.items():
        assert not torch.equal(weights[0], weights[1]), name
    assert torch.equal(task.labels, task.digits[..., :2].sum(-1))
    for seed in range(2):
        lines = {tuple(line) for line in DigitSum.generate(20, seed=seed).train[0].tolist()}
        assert {tuple(line) for line in task.digits[:, seed].flatten(0, 1).tolist()} <= lines
        again = make_task("LSTM", 2).of(seed)
        assert again.networks == 1
        assert torch.equal(again.digits, task.digits[:, [seed]])
        assert torch.equal(again.weights["linear.weight"], task.weights["linear.weight"][[seed]])
