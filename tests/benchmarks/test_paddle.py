"""Paddle's layers are compared with ours, then timed alone; torch.nn's stand in for them here."""

from __future__ import annotations

import pytest
from benchmarks.cases import run, run_paddle, torch_case
from benchmarks.comparison import DifferenceError
from benchmarks.requirements import TINY
from benchmarks.timing import QUICK

from benchmarks import contestants


@pytest.fixture
def stand_in(monkeypatch):
    def layer(kind, like, task):
        made = contestants.torch_layer(kind, like, task)
        made.name = "paddle.nn"
        return made

    monkeypatch.setattr(contestants, "paddle_layer", layer)
    return layer


@pytest.fixture
def measured():
    return run([torch_case("GRU", TINY)], QUICK, str).results


@pytest.mark.usefixtures("stand_in")
def test_ratios_are_to_what_was_measured_of_ours(measured):
    found = run_paddle(measured, [TINY], QUICK, str)
    assert [(r.layer, r.shape, r.what, r.peer) for r in found.results] == [
        ("GRU", str(TINY), "forward + backward", "paddle.nn"),
        ("GRU", str(TINY), "inference", "paddle.nn"),
    ]
    for result, ours in zip(found.results, measured, strict=True):
        assert result.ours == ours.ours
        assert result.ratio == result.theirs / ours.ours
        assert result.at_least is None


def test_refused(monkeypatch, stand_in, measured):
    def wrong(kind, like, task):
        made = stand_in(kind, like, task)
        made.parameters["bias_hh_l0"].data += 1e-3
        return made

    monkeypatch.setattr(contestants, "paddle_layer", wrong)
    monkeypatch.setattr("benchmarks.cases.in_turn", lambda *_: pytest.fail("a clock was started"))
    with pytest.raises(DifferenceError, match=r"GRU B2 T5 M10 D10, .* ostinato against paddle\.nn: output differs"):
        run_paddle(measured, [TINY], QUICK, str)
