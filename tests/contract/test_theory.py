"""What must hold whatever the numbers are: cuts, padding, neighbours in the batch, direction, empty sizes."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from contract.problems import everything, random_case
from ostinato.cells import CELLS
from ostinato.errors import ShapeError
from ostinato.scan import BACKENDS
from tolerances import assert_same

every_cell = pytest.mark.parametrize("cell", CELLS.values(), ids=str)
every_backend = pytest.mark.parametrize("backend", BACKENDS)


@every_backend
@every_cell
@pytest.mark.parametrize("reverse", [False, True])
def test_a_sequence_cut_in_two_gives_what_the_whole_gives(cell, backend, reverse):
    case = random_case(cell, steps=9, batch=4, units=7, reverse=reverse)
    whole = case.run(backend)
    early, late = replace(case, x=case.x[:, :4]), replace(case, x=case.x[:, 4:])
    if reverse:
        second = late.run(backend)
        first = replace(early, state=second.state).run(backend)
        final = first.state
    else:
        first = early.run(backend)
        second = replace(late, state=first.state).run(backend)
        final = second.state
    assert_same(torch.cat([first.output, second.output], 1), whole.output)
    for actual, expected in zip(final, whole.state, strict=True):
        assert_same(actual, expected)


@every_backend
@every_cell
def test_padding_changes_nothing_whatever_it_holds(cell, backend):
    case = random_case(cell, population=2, steps=6, batch=5, units=6, lengths="own", dtype=torch.float64)
    padding = torch.arange(6).view(1, 6, 1) >= case.lengths.unsqueeze(1)
    expected = everything(case, backend)
    for value in (1e9, float("nan"), float("inf")):
        actual = everything(replace(case, x=case.x.masked_fill(padding.unsqueeze(-1), value)), backend)
        for name in expected:
            assert_same(actual[name], expected[name], name)
    assert not actual["output"][padding].any()
    assert not actual["gradient of x"][padding].any()


@every_backend
@every_cell
def test_more_padding_changes_nothing(cell, backend):
    short = random_case(cell, steps=4, batch=3, lengths="shared", reverse=True)
    longer = replace(short, x=torch.cat([short.x, torch.full((1, 3, 3, 4), 7.0, dtype=torch.float64)], 1))
    a, b = short.run(backend), longer.run(backend)
    assert_same(b.output[:, :4], a.output)
    assert not b.output[:, 4:].any()
    for final, expected in zip(b.state, a.state, strict=True):
        assert_same(final, expected)


@every_backend
@every_cell
def test_past_its_length_a_state_stands_still(cell, backend):
    case = random_case(cell, steps=5, batch=4)
    lengths = torch.tensor([3, 0, 5, 1])
    result = replace(case, lengths=lengths).run(backend)
    for b, length in enumerate(lengths):
        alone = replace(case, x=case.x[:, :length, b : b + 1], state=tuple(s[:, b : b + 1] for s in case.state))
        for final, expected in zip(result.state, alone.run(backend).state, strict=True):
            assert_same(final[:, b : b + 1], expected)


@every_backend
@every_cell
def test_what_else_is_in_the_batch_changes_nothing(cell, backend):
    case = random_case(cell, steps=6, batch=9, units=18, dtype=torch.float32, lengths="shared")
    whole = case.run(backend).output
    for b in (0, 4, 8):
        alone = replace(
            case,
            x=case.x[:, :, b : b + 1],
            state=tuple(s[:, b : b + 1] for s in case.state),
            lengths=case.lengths[b : b + 1],
        )
        assert_same(alone.run(backend).output, whole[:, :, b : b + 1])


@every_backend
@every_cell
def test_the_networks_of_a_population_do_not_touch_each_other(cell, backend):
    case = random_case(cell, population=3, steps=5, batch=4, units=6, lengths="own", shared=True)
    whole = everything(case, backend)
    for p in range(3):
        one = {name: t[p : p + 1] if name != "x" else t for name, t in case.tensors().items()}
        alone = replace(case.with_tensors(one), lengths=case.lengths[p])
        result = alone.run(backend)
        assert_same(result.output, whole["output"][p : p + 1])


@every_backend
@every_cell
def test_backward_in_time_is_forward_over_the_reversed_sequence(cell, backend):
    case = random_case(cell, steps=7, batch=3, units=5)
    forward = case.run(backend)
    turned = replace(case, x=case.x.flip(1), reverse=True).run(backend)
    assert_same(turned.output.flip(1), forward.output)
    for actual, expected in zip(turned.state, forward.state, strict=True):
        assert_same(actual, expected)


@every_backend
@every_cell
@pytest.mark.parametrize(("steps", "batch"), [(0, 3), (4, 0), (0, 0)])
def test_empty_sizes_give_empty_results_and_zero_gradients(cell, backend, steps, batch):
    case = random_case(cell, population=2, steps=steps, batch=batch)
    found = everything(case, backend)
    assert found["output"].shape == (2, steps, batch, 5)
    assert not found["gradient of weight_ih"].any()
    assert_same(found[f"final {cell.states[0]}"], case.state[0])


@every_backend
@every_cell
def test_zero_lengths_everywhere_leave_the_state_as_it_was(cell, backend):
    case = replace(random_case(cell, steps=3, batch=2), lengths=torch.tensor([0, 0]))
    found = everything(case, backend)
    assert not found["output"].any()
    assert not found["gradient of weight_ih"].any()
    for name, initial in zip(cell.states, case.state, strict=True):
        assert_same(found[f"final {name}"], initial)


@every_backend
@every_cell
def test_a_nan_reaches_its_own_sequence_and_no_other(cell, backend):
    case = random_case(cell, steps=4, batch=3, units=20, dtype=torch.float32)
    clean = case.run(backend).output
    case.x[0, 1, 1, 2] = float("nan")
    output = case.run(backend).output
    assert output[0, 1:, 1].isnan().all()
    assert_same(output[:, :, [0, 2]], clean[:, :, [0, 2]])
    assert_same(output[0, :1], clean[0, :1])


@every_cell
@pytest.mark.parametrize("value", [float("inf"), float("-inf"), 1e30, -1e30])
def test_infinities_end_where_they_do_in_torch(cell, value):
    for dtype in (torch.float32, torch.float64):
        case = random_case(cell, steps=2, batch=2, inputs=1, units=20, dtype=dtype, bias="single")
        case.x[0, 0, 0, 0] = value
        expected, actual = case.run("reference"), case.run("cpu")
        torch.testing.assert_close(actual.output, expected.output, atol=1e-5, rtol=1e-5, equal_nan=True)


@every_backend
def test_inputs_in_any_memory_layout(backend):
    case = random_case(CELLS["lstm"], population=3, steps=4, batch=5, inputs=6, units=7)
    scattered = {name: t.mT.contiguous().mT if t.dim() > 2 else t for name, t in case.tensors().items()}
    assert not scattered["weight_ih"].is_contiguous()
    a, b = everything(case, backend), case.with_tensors(scattered).run(backend)
    assert_same(b.output, a["output"])
    x = case.x[:, :, :1].expand(3, 4, 5, 6)
    expanded = replace(case, x=x).run(backend)
    assert_same(expanded.output, replace(case, x=x.contiguous()).run(backend).output)


@every_backend
@every_cell
def test_gradients_through_a_cut_are_those_of_the_whole(cell, backend):
    """The states that pass on depend on the same weights: every path counts once, also where a graph is made of it."""
    case = random_case(cell, population=None, steps=6, batch=3, units=4)
    named = {name: tensor.requires_grad_() for name, tensor in case.tensors().items()}

    def gradients(pieces, **options):
        state, outputs = case.state, []
        for x in pieces:
            result = replace(case, x=x, state=state).run(backend)
            state = result.state
            outputs.append(result.output)
        return torch.autograd.grad(torch.cat(outputs).square().sum(), list(named.values()), **options)

    whole = gradients([case.x])
    for options in ({}, {"create_graph": True}):
        for name, a, b in zip(named, gradients([case.x[:2], case.x[2:]], **options), whole, strict=True):
            assert_same(a.detach(), b, name)


@every_backend
@every_cell
def test_ids_of_a_table_are_its_rows(cell, backend):
    case = random_case(cell, population=2, steps=5, batch=4, lengths="own", table=3)
    found = everything(case, backend)
    rows = torch.stack([case.table[p][case.x[p]] for p in range(2)])
    expected = everything(replace(case, x=rows, table=None), "reference")
    for name, value in found.items():
        if name != "gradient of table":
            assert_same(value, expected[name], name)
    of_rows = torch.zeros_like(case.table)
    for p, t, b in ((p, t, b) for p in range(2) for t in range(5) for b in range(4)):
        of_rows[p, case.x[p, t, b]] += expected["gradient of x"][p, t, b]
    assert_same(found["gradient of table"], of_rows)


@pytest.mark.parametrize(
    ("message", "changes"),
    [
        (r"x must be ids \[T, B\] int64, or \[P, T, B\] for a population, .* not \[2, 5, 4\] of torch.float64",
         {"x": torch.zeros(2, 5, 4, dtype=torch.float64)}),
        ("an id is 3; the table has rows from 0 to 2", {"x": torch.full((2, 5, 4), 3)}),
        ("an id is -1", {"x": torch.full((2, 5, 4), -1)}),
        (r"table is \[3, 4\] on cpu; for x \[2, 5, 4\] it must be \[P, N, M\]", {"table": torch.zeros(3, 4)}),
        (r"table is \[1, 3, 4\]; it must be \[P, N, M\] = \[2, 3, 4\]", {"table": torch.zeros(1, 3, 4).double()}),
        (r"and table \[2, 3, 6\] it must be \[P, 1\*D, 6\]", {"table": torch.zeros(2, 3, 6).double()}),
        ("table is torch.float32 on cpu, but another input", {"table": torch.zeros(2, 3, 4)}),
    ],
)  # fmt: skip
def test_ids_that_are_no_rows(message, changes):
    case = random_case(CELLS["srn"], population=2, steps=5, batch=4, table=3)
    with pytest.raises(ShapeError, match=message):
        replace(case, **changes).run("cpu")
