"""A layer that computes other numbers is refused, and no time is shown."""

from __future__ import annotations

import pytest
import torch
from benchmarks.cases import own_cell_case, torch_case
from benchmarks.comparison import TOLERANCE, DifferenceError
from benchmarks.requirements import TINY

from benchmarks import contestants, layers, timing
from ostinato.nn import LSTM


class WrongGradient(torch.autograd.Function):
    """Forward the identity; backward is off by a thousandth in one number."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, grad):
        grad = grad.clone()
        grad[-1, 0, 0] += 1e-3 * grad.abs().max()
        return grad


class WrongOutput(LSTM):
    def forward(self, input, hx=None):
        output, final = super().forward(input, hx)
        return output * (1 + 1e-3), final


class WrongState(LSTM):
    def forward(self, input, hx=None):
        output, (h, c) = super().forward(input, hx)
        return output, (h, c + 1e-3)


class WrongBackward(LSTM):
    def forward(self, input, hx=None):
        return super().forward(WrongGradient.apply(input), hx)


class WrongInference(LSTM):
    def forward(self, input, hx=None):
        output, final = super().forward(input, hx)
        return output if torch.is_grad_enabled() else output + 1e-3, final


class NotANumber(LSTM):
    def forward(self, input, hx=None):
        output, final = super().forward(input, hx)
        return output * float("nan"), final


PLANTED = {
    WrongOutput: "forward + backward, ostinato against torch.nn: output differs",
    WrongState: "forward + backward, ostinato against torch.nn: final state 1 differs",
    WrongBackward: "forward + backward, ostinato against torch.nn: gradient of x differs at [4, 0, 0]",
    WrongInference: "inference, ostinato against torch.nn: output differs",
    NotANumber: "forward + backward, ostinato against torch.nn: output differs",
}


@pytest.mark.parametrize("wrong", PLANTED)
def test_refused_and_not_timed(monkeypatch, capsys, tmp_path, wrong):
    monkeypatch.setitem(contestants.OURS, "LSTM", wrong)
    monkeypatch.setattr(timing, "perf_counter", lambda: pytest.fail("a clock was started"))
    file = tmp_path / "figures.json"
    status = layers.main(["--quick", "--only", "gru", "lstm", "--shape", "B2", "--json", str(file)])
    shown = capsys.readouterr()
    assert status == 2
    assert f"refused, nothing is timed: LSTM B2 T5 M10 D10, {PLANTED[wrong]}" in shown.err
    assert f"the tolerance is {TOLERANCE:g}" in shown.err
    assert shown.out == ""
    assert not file.exists()


def test_the_lstm_beside_the_cell_of_ones_own_is_compared_too(monkeypatch):
    monkeypatch.setitem(contestants.OURS, "LSTM", WrongOutput)
    with pytest.raises(DifferenceError, match=r"ostinato LSTM against torch\.nn: output differs"):
        own_cell_case(TINY).compare()


def test_a_parameter_without_a_gradient_is_refused():
    case = torch_case("GRU", TINY)
    ours = case.timed[0]
    ours.parameters["bias_hh_l0"].requires_grad_(False)
    with pytest.raises(DifferenceError, match="gradient of bias_ih_l0 against output"):
        case.compare()


def test_equal_layers_pass():
    for case in (torch_case("SRN", TINY), own_cell_case(TINY)):
        assert 0 <= case.compare() < TOLERANCE


def test_everything_that_is_timed_was_compared():
    for case in (torch_case("LSTM", TINY), own_cell_case(TINY)):
        compared = [contestant for pair in case.pairs for contestant in pair]
        assert all(any(timed is c for c in compared) for timed in case.timed)
