"""The table of required ratios: complete, and nothing in it that is never measured."""

from __future__ import annotations

import pytest
from benchmarks.cases import Result, own_cell_case, torch_case
from benchmarks.contestants import OURS, PADDLES, THEIRS
from benchmarks.requirements import BUILT_IN, EAGER, HUGE, LARGE, MEDIUM, MEMORY, SHAPES, SMALL, TINY, TORCH


def test_every_layer_has_a_requirement_at_every_shape():
    assert TORCH.keys() == OURS.keys() == THEIRS.keys() == PADDLES.keys()
    for layer, required in TORCH.items():
        assert set(required) == set(SHAPES), layer
        assert all(ratio >= 1 for ratio in required.values())


def test_the_figures_of_the_specification():
    columns = SMALL, MEDIUM, LARGE, HUGE
    assert [TORCH["LSTM"][shape] for shape in columns] == [2.2, 1.8, 1.6, 1.4]
    assert [TORCH["GRU"][shape] for shape in columns] == [6.0, 4.0, 2.5, 1.5]
    assert [TORCH["SRN"][shape] for shape in columns] == [5.0, 4.0, 2.0, 1.5]
    assert {required[TINY] for required in TORCH.values()} == {1.0}
    assert EAGER == {SMALL: 15.0, HUGE: 6.0}
    assert set(BUILT_IN) == set(SHAPES)
    assert set(BUILT_IN.values()) == {1 / 1.2}
    assert MEMORY == {HUGE: 1.0}


@pytest.mark.parametrize("layer", OURS)
def test_a_case_carries_its_requirement(layer):
    assert torch_case(layer, SMALL).at_least == (TORCH[layer][SMALL],)
    assert own_cell_case(SMALL).at_least == (15.0, 1 / 1.2)


@pytest.mark.parametrize(("ratio", "at_least", "short"), [(1.9, 2.0, True), (2.0, 2.0, False), (0.1, None, False)])
def test_short(ratio, at_least, short):
    result = Result("LSTM", "B1", "inference", "torch.nn", "ms", 1.0, ratio, ratio, at_least)
    assert result.short is short


def test_the_cell_of_ones_own_has_as_many_products_as_the_lstm():
    case = own_cell_case(TINY)
    ours, _, lstm = case.timed
    for name in ("weight_ih_l0", "weight_hh_l0"):
        assert ours.parameters[name].shape == lstm.parameters[name].shape
