"""The generated kernels are kept as files: a change of one is seen, and read, before it is taken."""

from __future__ import annotations

from pathlib import Path

import pytest

from ostinato.cells import CELLS
from ostinato.derive.numba_source import kernel_source, saved
from ostinato.derive.reference import step_source

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.mark.parametrize("cell", CELLS.values(), ids=str)
def test_the_kernel_is_the_one_on_file(cell, same_as_file):
    same_as_file(GOLDEN / "numba" / f"{cell}.py.txt", kernel_source(cell))


@pytest.mark.parametrize("cell", CELLS.values(), ids=str)
def test_the_reference_is_the_one_on_file(cell, same_as_file):
    same_as_file(GOLDEN / "torch" / f"{cell}.py.txt", step_source(cell))


def test_backward_keeps_activations_where_they_suffice_and_states_where_it_needs_them():
    lstm = saved(CELLS["lstm"])
    assert [str(node) for node in lstm.slots] == ["sigmoid(i)", "sigmoid(f)", "tanh(g)", "sigmoid(o)"]
    assert lstm.states == ("h", "c")
    assert [str(node) for node in saved(CELLS["gru"]).slots] == ["n_x", "sigmoid(r)", "sigmoid(z)", "n_h"]
    assert saved(CELLS["mingru"]).states == ("h",)
    assert saved(CELLS["residual_srn"]).states == ("h",)
