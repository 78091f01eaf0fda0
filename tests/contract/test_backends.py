"""Every cell, dtype and backend against the reference, at odd sizes and with every option of the contract."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.problems import everything, random_case
from ostinato.cells import CELLS
from ostinato.scan import BACKENDS
from tolerances import assert_same

FAST = [name for name in BACKENDS if name != "reference"]
DTYPES = [torch.float32, torch.float64]

# The options go round while the sizes run through their grid, so that each meets every size of the other.
OPTIONS = list(
    itertools.product(
        ["none", "shared", "own"], [False, True], [True, False], ["both", "single", "none"], [False, True], [0, 5]
    )
)


def assert_backends_agree(backend: str, case) -> None:
    """Equal to the reference in float64; where the recurrence itself blows rounding up, as near as the reference is."""
    expected, actual = everything(case, "reference"), everything(case, backend)
    truth = everything(case.to(torch.float64), "reference")
    assert actual.keys() == expected.keys()
    for name, value in expected.items():
        unstable = 4 * float((value.double() - truth[name]).abs().max()) if value.numel() else 0.0
        assert_same(actual[name], value, name, allowance=unstable)


@pytest.mark.parametrize("backend", FAST)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("units", [1, 5, 16, 33])
@pytest.mark.parametrize("cell", CELLS.values(), ids=str)
def test_everything_equals_the_reference_at_odd_sizes(cell, units, dtype, backend):
    sizes = list(itertools.product([1, 3, 7], [1, 2, 63], [1, 3]))
    first = 7 * units + list(CELLS).index(cell.name)
    for k, (batch, steps, population) in enumerate(sizes):
        lengths, reverse, state, bias, shared, table = OPTIONS[(first + 5 * k) % len(OPTIONS)]
        case = random_case(
            cell,
            population=population,
            steps=steps,
            batch=batch,
            inputs=1 + k % 18,
            units=units,
            dtype=dtype,
            lengths=lengths,
            reverse=reverse,
            state=state,
            bias=bias,
            shared=shared,
            table=table,
            seed=k,
        )
        assert_backends_agree(backend, case)


@pytest.mark.parametrize("backend", FAST)
@pytest.mark.parametrize("cell", CELLS.values(), ids=str)
@settings(max_examples=20)
@given(data=st.data())
def test_everything_equals_the_reference_for_any_arguments(cell, backend, data):
    case = random_case(
        cell,
        population=data.draw(st.sampled_from([None, 1, 2, 5]), "population"),
        steps=data.draw(st.integers(0, 9), "steps"),
        batch=data.draw(st.integers(0, 70), "batch"),
        inputs=data.draw(st.integers(1, 40), "inputs"),
        units=data.draw(st.integers(1, 40), "units"),
        dtype=data.draw(st.sampled_from(DTYPES), "dtype"),
        lengths=data.draw(st.sampled_from(["none", "shared", "own"]), "lengths"),
        reverse=data.draw(st.booleans(), "reverse"),
        state=data.draw(st.booleans(), "state"),
        bias=data.draw(st.sampled_from(["both", "single", "none"]), "bias"),
        shared=data.draw(st.booleans(), "shared"),
        table=data.draw(st.sampled_from([0, 1, 7, 20]), "table"),
        seed=data.draw(st.integers(0, 1000), "seed"),
    )
    assert_backends_agree(backend, case)


@pytest.mark.parametrize("backend", FAST)
@pytest.mark.parametrize("name", ["lstm", "gru", "indrnn"])
def test_large_sizes_go_through_every_block(name, backend):
    """More columns than a block of the weight gradient, more rows than one, several slices and row heights."""
    torch.set_num_threads(2)
    sizes = {"steps": 5, "batch": 131, "inputs": 70, "units": 67}
    for table in (0, 300):
        case = random_case(CELLS[name], **sizes, dtype=torch.float32, lengths="shared", table=table)
        assert_backends_agree(backend, case)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("table", [0, 3], ids=["vectors", "ids"])
@pytest.mark.parametrize("cell", CELLS.values(), ids=str)
def test_gradients_equal_finite_differences(cell, table, backend):
    case = random_case(cell, population=2, steps=3, batch=2, inputs=3, units=2, lengths="own", table=table)
    named = {name: tensor.requires_grad_() for name, tensor in case.tensors().items()}

    def function(*tensors):
        result = case.with_tensors(dict(zip(named, tensors, strict=True))).run(backend)
        return (result.output, *result.state)

    assert torch.autograd.gradcheck(function, tuple(named.values()), fast_mode=cell.name != "srn")


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("name", "table"), [("lstm", 0), ("lstm", 3), ("gru", 0), ("peephole_lstm", 0), ("mingru", 2)])
def test_second_derivatives_equal_finite_differences(name, table, backend):
    case = random_case(CELLS[name], population=None, steps=3, batch=2, inputs=2, units=2, table=table)
    named = {name: tensor.requires_grad_() for name, tensor in case.tensors().items()}

    def function(*tensors):
        return case.with_tensors(dict(zip(named, tensors, strict=True))).run(backend).output

    assert torch.autograd.gradgradcheck(function, tuple(named.values()), fast_mode=True)
