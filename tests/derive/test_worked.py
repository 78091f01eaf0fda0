"""The worked example: against numbers worked by hand, against the PyTorch reference, and as a reader adds it up."""

import math
import re

import numpy as np
import pytest
import torch

from ostinato.cell import Cell, cell
from ostinato.cells import CELLS, lstm, srn
from ostinato.derive import worked
from ostinato.derive.notation import Symbol
from ostinato.derive.text import printed_width
from ostinato.derive.worked import B, X, as_dict, work
from ostinato.derive.worked_text import worked_text
from ostinato.expr import maximum, sigmoid, tanh, variable
from ostinato.scan import Weights, scan


@cell(gates="n k", state="h c d", vectors="w", split="n", input_only="k")
def mixed(n, k, h, c, d, w):
    """Everything that a definition can say; d is handed on, and nothing reaches c but through the output."""
    h = tanh(n.x * w + n.h) + h * sigmoid(c)
    return h, maximum(d, k), c


CASES = [*CELLS.values(), mixed]


def test_the_srn_by_hand():
    values = work(srn).forward
    h_1 = np.tanh([0.2, 0.3])
    np.testing.assert_allclose(values[0][srn.next_states[0]], h_1, rtol=1e-15)
    h_2 = [math.tanh(0.3 + 0.1 * h_1[1]), math.tanh(0.5 + 0.1 * h_1[0])]
    np.testing.assert_allclose(values[1][srn.next_states[0]], h_2, rtol=1e-15)
    np.testing.assert_allclose(h_2, [0.317740, 0.477497], atol=5e-7)


def test_the_first_step_of_the_lstm_by_hand():
    sigma = 1 / (1 + np.exp([-0.2, -0.3]))
    values = work(lstm).forward[0]
    h, c = lstm.next_states
    np.testing.assert_allclose(values[c], sigma * np.tanh([0.2, 0.3]), rtol=1e-15)
    np.testing.assert_allclose(values[h], sigma * np.tanh(sigma * np.tanh([0.2, 0.3])), rtol=1e-15)


def test_the_last_gradient_of_the_srn_by_hand():
    result = work(srn)
    h_1, h_2 = (values[srn.next_states[0]] for values in result.forward)
    delta_2 = 1 - h_2**2
    delta_1 = delta_2[::-1] * 0.1 * (1 - h_1**2)
    np.testing.assert_allclose(result.gradients[Symbol("b", gradient="outer")], delta_1 + delta_2, rtol=1e-14)
    np.testing.assert_allclose(result.gradients[Symbol("W", gradient="outer")], [delta_1, 2 * delta_2], rtol=1e-14)
    np.testing.assert_allclose(result.initial["h"], delta_1[::-1] * 0.1, rtol=1e-14)


def torch_weights(cell: Cell) -> Weights:
    """The numbers of the example in torch's layout."""

    def leaf(blocks) -> torch.Tensor:
        return torch.tensor(np.concatenate(blocks)).requires_grad_()

    recurrent = cell.recurrent_gates
    both_parts = {"split": worked.B, "sum": np.zeros_like(B)}
    return Weights(
        leaf([worked.W.T for _ in cell.gates]),
        leaf([worked.U.T if cell.recurrence == "dense" else worked.DIAGONAL for _ in recurrent]) if recurrent else None,
        leaf([worked.B for _ in cell.gates]),
        leaf([both_parts[gate.kind] for gate in recurrent]) if recurrent else None,
        tuple(leaf([worked.VECTOR]) for _ in cell.vectors),
    )


def torch_gradients(cell: Cell, weights: Weights) -> dict[tuple[str, str, str], np.ndarray]:
    """(name, gate, part) -> gradient, in the layout of the example."""
    found = {}
    several = len(cell.gates) > 1
    for name, tensor, gates in (
        ("W", weights.weight_ih, cell.gates),
        ("U" if cell.recurrence == "dense" else "u", weights.weight_hh, cell.recurrent_gates),
        ("b", weights.bias_ih, cell.gates),
        ("b_hh", weights.bias_hh, cell.recurrent_gates),
    ):
        if tensor is None:
            continue
        for gate, block in zip(gates, tensor.grad.numpy().reshape(len(gates), len(B), -1), strict=True):
            part = {"b": "x", "b_hh": "h"}.get(name, "") if gate.kind == "split" else ""
            if name != "b_hh" or part:  # the hidden bias of a gate that is not split has the gradient of the other
                value = block.T if name in "WU" else block[:, 0]
                found[name[0], gate.name if several else "", part] = value
    for name, tensor in zip(cell.vectors, weights.vectors, strict=True):
        found[name, "", ""] = tensor.grad.numpy()
    return found


@pytest.fixture(params=["of the course", "random"])
def numbers(request, monkeypatch):
    """Those of the course, whose U is its own transpose, and others, so that nothing can hide behind that."""
    if request.param == "random":
        generator = np.random.default_rng(7)
        for name in ("W", "U", "B", "DIAGONAL", "VECTOR"):
            monkeypatch.setattr(worked, name, generator.normal(size=getattr(worked, name).shape))


@pytest.mark.usefixtures("numbers")
@pytest.mark.parametrize("cell", CASES, ids=str)
def test_the_numbers_are_those_of_the_reference(cell):
    weights = torch_weights(cell)
    state = tuple(torch.zeros(1, len(B), dtype=torch.float64, requires_grad=True) for _ in cell.states)
    run = scan(cell, torch.tensor(X).unsqueeze(1), weights, state, backend="reference")
    run.output[-1].sum().backward()
    result = work(cell)

    def same(ours, theirs):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-15)

    for t, values in enumerate(result.forward):
        same(values[cell.next_states[0]], run.output[t, 0].detach())
    for final, node in zip(run.state, cell.next_states, strict=True):
        same(result.forward[-1][node], final[0].detach())
    for name, tensor in zip(cell.states, state, strict=True):
        same(result.initial[name], tensor.grad[0])
    theirs = torch_gradients(cell, weights)
    ours = {(s.name, s.gate, s.part): value for s, value in result.gradients.items()}
    assert ours.keys() == theirs.keys()
    for key, value in ours.items():
        same(value, theirs[key])


@pytest.mark.parametrize("cell", CASES, ids=str)
def test_the_text_adds_up(cell):
    sums = re.findall(r"^  unit [12]: (.*) = (.*)$", worked_text(cell), flags=re.M)
    assert len(sums) >= 2 * len(X)
    for terms, total in sums:
        products = [math.prod(float(f.strip("()")) for f in term.split("·")) for term in terms.split(" + ")]
        assert sum(products) == pytest.approx(float(total), abs=2e-6)


@pytest.mark.parametrize("ascii", [False, True])
@pytest.mark.parametrize("cell", CASES, ids=str)
def test_the_text_fits_a_terminal(cell, ascii):
    text = worked_text(cell, ascii=ascii)
    assert max(map(printed_width, text.splitlines())) <= 80
    assert text.isascii() or not ascii


def test_the_text_shows_the_numbers_of_the_example():
    text = worked_text(srn)
    assert "  unit 1: 0·0.1 + 2·0.1 + 0.197375·0 + 0.291313·0.1 + 0.1 = 0.329131" in text
    assert re.search(r"^h₂ = tanh\(ã₂\) +0\.317740   0\.477497$", text, flags=re.M)
    assert re.search(r"^∇h₁ = δã₂ Uᵀ +0\.077200   0\.089904$", text, flags=re.M)
    assert re.search(r"^∇W +0\.074192   0\.082275 \|   1\.798083   1\.543992$", text, flags=re.M)


def test_every_intermediate_node_of_the_body_is_shown_once():
    step = worked_text(lstm).split("\n\n")[1]
    labels = [re.split(r"\s{2,}-?\d", line)[0].strip() for line in step.splitlines()[4:]]
    assert labels == [
        "i₁ = σ(ĩ₁)",
        "f₁ = σ(f̃₁)",
        "g₁ = tanh(g̃₁)",
        "o₁ = σ(õ₁)",
        "f₁ ⊙ c₀",
        "i₁ ⊙ g₁",
        "c₁ = f₁ ⊙ c₀ + i₁ ⊙ g₁",
        "tanh(c₁)",
        "h₁ = o₁ ⊙ tanh(c₁)",
    ]


def test_the_numbers_as_a_dictionary():
    found = as_dict(work(lstm))
    assert [*found["steps"][0]["values"]] == ["i", "f", "g", "o", "c", "h"]
    assert found["steps"][1]["before"]["h"] == found["steps"][0]["values"]["h"]
    assert found["steps"][0]["pre_activations"]["f"] == pytest.approx([0.2, 0.3])
    assert found["steps"][1]["arriving"] == {"h": [1.0, 1.0], "c": [0.0, 0.0]}
    assert np.shape(found["gradients"]["W_i"]) == (2, 2)
    assert set(found["initial_gradients"]) == {"h", "c"}


def test_numbers_that_are_not_finite_are_shown():
    @cell(gates="a", state="h")
    def pole(a, h):
        return a / h

    assert "inf" in worked_text(pole)
    assert "nan" in worked_text(pole)
    assert not np.isfinite(work(pole).forward[0][variable("a") / variable("h")]).any()
