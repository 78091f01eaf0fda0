"""The CPU backend: every product, gate and gradient of a scan in kernels compiled from the cell's definition."""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor

from ..cell import Cell
from ..derive.numba_source import pointwise, saved
from . import reference
from .compile import cell_function, kernel, matmul_function
from .contract import Problem, Weights
from .kernels import BLOCK_COLUMNS, BLOCK_ROWS
from .lanes import BYTES, WIDTHS
from .memory import empty
from .rows import Rows, pack
from .threads import run as launch

_DTYPES = {torch.float32: "float32", torch.float64: "float64"}
_MOST_SLICE_ROWS = 64


def supports(problem: Problem) -> str | None:
    """None, or the reason why this backend cannot run the scan."""
    if problem.x.dtype not in _DTYPES:
        return f"the kernels compute in float32 and float64, not {problem.x.dtype}"
    if problem.x.device.type != "cpu":
        return f"the tensors are on {problem.x.device}"
    return None


def run(problem: Problem) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Output [P, T, B, D] and final states. Nothing is saved for backward where no gradient is wanted."""
    plan = _Plan(problem)
    inputs = (problem.x, *problem.weights[:4], *problem.weights.vectors, *problem.state)
    if torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in inputs):
        output, *state = _Scan.apply(plan, *inputs)
    else:
        output, *state = _Forward(plan, inputs, keep=False).results()
    return output, tuple(state)


class _Blocks:
    """A cell as the kernels see it: its slots as column blocks, and what is kept for backward."""

    def __init__(self, cell: Cell) -> None:
        slots, gates, recurrent = cell.slots, cell.gates, cell.recurrent_gates
        dense = cell.recurrence == "dense"
        self.cell = pointwise(cell)
        self.slots = len(slots)
        self.vectors = len(self.cell.vectors)
        self.kept = len(saved(self.cell).states)
        self.before_h = sum(not slot.from_h for slot in slots) if dense else 0
        # The gates in the order of their slots; None where that is the order of the weights.
        self.order_x = _order([gates.index(slot.gate) for slot in slots if slot.from_x])
        self.order_h = _order([recurrent.index(slot.gate) for slot in slots if slot.from_h])
        self.from_x = len(gates)
        self.from_h = len(recurrent) if dense else 0
        self.diagonal = [gates.index(gate) for gate in recurrent] if cell.recurrence == "diagonal" else []


def _order(order: list[int]) -> list[int] | None:
    return None if order == sorted(order) else order


_blocks = functools.cache(_Blocks)


class _Plan:
    """The sizes of one scan, in numbers, not bytes."""

    def __init__(self, problem: Problem) -> None:
        self.problem_cell = problem.cell
        self.blocks = blocks = _blocks(problem.cell)
        self.dtype, self.reverse, self.lengths = problem.x.dtype, problem.reverse, problem.lengths
        self.kind = _DTYPES[self.dtype]
        self.population, self.units = problem.population, problem.units
        self.networks_of_x, self.steps, self.batch, self.inputs = problem.x.shape
        self.rows: Rows = pack(problem.lengths, self.population, self.steps, self.batch)
        self.x_columns, self.h_columns = blocks.from_x * self.units, blocks.from_h * self.units
        self.h_first = blocks.before_h * self.units
        whole = WIDTHS[self.kind]
        self.slots_row = self.row(max(self.x_columns, self.h_first + -(-self.h_columns // whole) * whole))
        self.state_row = self.row(self.units)
        threads = torch.get_num_threads()
        # Sorted by length, the first slices are the longest: several a thread leave no thread idle at the end.
        wanted = -(-threads * (4 if self.lengths is not None else 1) // self.population)
        self.slice_rows = max(1, min(_MOST_SLICE_ROWS, -(-self.batch // wanted)))
        self.slices = -(-self.batch // self.slice_rows)
        self.tasks = self.population * self.slices

    def row(self, columns: int) -> int:
        """Columns of a row with room for whole vectors; rows a multiple of 1 KiB apart would share cache sets."""
        whole = WIDTHS[self.kind]
        columns = -(-columns // whole) * whole
        return columns + whole if columns * self.dtype.itemsize % 1024 == 0 else columns

    def fields(self) -> dict[str, int]:
        """The arguments that every kernel of this scan shares."""
        return {
            "tasks": self.tasks,
            "population": self.population,
            "slices": self.slices,
            "slice_rows": self.slice_rows,
            "steps": self.steps,
            "batch": self.batch,
            "inputs": self.inputs,
            "units": self.units,
            "x_columns": self.x_columns,
            "h_columns": self.h_columns,
            "h_first": self.h_first,
            "slots_row": self.slots_row,
            "state_row": self.state_row,
            "state_count": len(self.blocks.cell.states),
            "vector_count": self.blocks.vectors,
            "kept_plane": self.rows.count * self.units,
            "reverse": self.reverse,
            "x_shared": self.networks_of_x < self.population and self.rows.shared,
            "offsets": self.rows.offsets.data_ptr(),
            "zeros": _zeros(self.dtype).data_ptr(),
            "matmul": matmul_function(self.kind),
        }


@functools.cache
def _zeros(dtype: torch.dtype) -> Tensor:
    return torch.zeros(BYTES // dtype.itemsize, dtype=dtype)


class _Parameters:
    """The weights as the kernels want them: gates in the order of the slots, a diagonal as vectors."""

    def __init__(self, plan: _Plan, weights: Weights) -> None:
        blocks, units = plan.blocks, plan.units
        self.weight_ih = _reorder(weights.weight_ih, blocks.order_x, units).contiguous()
        bias_ih = weights.bias_ih
        vectors = list(weights.vectors)
        if blocks.diagonal:
            assert weights.weight_hh is not None
            vectors += weights.weight_hh.unflatten(1, (-1, units)).unbind(1)
            bias_ih = _add_diagonal_bias(plan, bias_ih, weights.bias_hh)
        dense = blocks.from_h > 0
        self.weight_hh = _reorder(weights.weight_hh, blocks.order_h, units).contiguous() if dense else None
        self.bias_ih = None if bias_ih is None else _reorder(bias_ih, blocks.order_x, units).contiguous()
        has_bias_hh = dense and weights.bias_hh is not None
        self.bias_hh = _reorder(weights.bias_hh, blocks.order_h, units).contiguous() if has_bias_hh else None
        self.vectors = torch.stack(vectors, 1) if vectors else None  # [P, vectors, D]

    def packed(self, plan: _Plan, *, transposed: bool) -> tuple[dict[str, int], list[Tensor]]:
        """Both matrices in panels, for x W' (`transposed`) or for dz W; the addresses and what must be kept alive."""
        whole = WIDTHS[plan.kind]

        def panels(columns: int, length: int) -> Tensor:
            return empty(plan.population * -(-columns // whole) * whole * length, dtype=plan.dtype)

        if transposed:
            panels_x, panels_h = panels(plan.x_columns, plan.inputs), panels(plan.h_columns, plan.units)
        else:
            panels_x, panels_h = panels(plan.inputs, plan.x_columns), panels(plan.units, plan.h_columns)
        bias = empty(plan.population, plan.slots_row, dtype=plan.dtype)
        fields = {
            "panels_x": panels_x.data_ptr(),
            "panels_h": panels_h.data_ptr(),
            "bias": bias.data_ptr(),
            "vectors": _address(self.vectors),
        }
        launch(
            kernel("prepare", plan.kind),
            2 * plan.population,
            plan.fields()
            | fields
            | {
                "weight_ih": self.weight_ih.data_ptr(),
                "weight_hh": _address(self.weight_hh),
                "bias_ih": _address(self.bias_ih),
                "bias_hh": _address(self.bias_hh),
                "transposed": transposed,
            },
        )
        return fields, [panels_x, panels_h, bias]


def _add_diagonal_bias(plan: _Plan, bias_ih: Tensor | None, bias_hh: Tensor | None) -> Tensor | None:
    if bias_hh is None:
        return bias_ih
    gates = plan.x_columns // plan.units
    total = bias_hh.new_zeros(plan.population, gates, plan.units)
    total[:, plan.blocks.diagonal] = bias_hh.unflatten(1, (-1, plan.units))
    return total.flatten(1) if bias_ih is None else total.flatten(1) + bias_ih


def _reorder(rows: Tensor | None, order: list[int] | None, units: int) -> Tensor:
    """[P, G*D, ...] with its blocks of D in another order."""
    assert rows is not None
    return rows if order is None else rows.unflatten(1, (-1, units))[:, order].flatten(1, 2)


def _restore(rows: Tensor, order: list[int] | None, units: int) -> Tensor:
    """The inverse of `_reorder`."""
    if order is None:
        return rows
    return _reorder(rows, [order.index(k) for k in range(len(order))], units)


def _address(tensor: Tensor | None) -> int:
    return 0 if tensor is None else tensor.data_ptr()


class _Forward:
    """One run forward. With `keep` its buffers hold what backward needs."""

    def __init__(self, plan: _Plan, inputs: tuple[Tensor | None, ...], *, keep: bool) -> None:
        x, weights, state = _split(plan, inputs)
        dtype, units, rows = plan.dtype, plan.units, plan.rows
        self.plan = plan
        self.x = rows.gather(x)
        self.parameters = _Parameters(plan, weights)
        self.output = empty(rows.count, units, dtype=dtype)
        self.slots = empty(rows.count if keep else plan.population * plan.batch, plan.slots_row, dtype=dtype)
        self.kept = empty(plan.blocks.kept if keep else 0, rows.count, units, dtype=dtype)
        self.state = _planes(plan, state)
        fields, alive = self.parameters.packed(plan, transposed=True)
        launch(
            kernel("forward", plan.kind),
            plan.tasks,
            plan.fields()
            | fields
            | {
                "keep": keep,
                "x": self.x.data_ptr(),
                "state": self.state.data_ptr(),
                "slots": self.slots.data_ptr(),
                "kept": self.kept.data_ptr(),
                "output": self.output.data_ptr(),
                "cell_function": cell_function(plan.blocks.cell, "forward" if keep else "inference", plan.kind),
            },
        )
        del alive

    def results(self) -> tuple[Tensor, ...]:
        plan = self.plan
        output = plan.rows.scatter(self.output, plan.population, plan.steps, plan.batch)
        return output, *_states(plan, self.state)


def _split(plan: _Plan, inputs: tuple[Tensor | None, ...]) -> tuple[Tensor, Weights, tuple[Tensor, ...]]:
    x, *rest = inputs
    assert x is not None
    vectors = len(plan.problem_cell.vectors)
    return x, Weights(*rest[:4], tuple(rest[4 : 4 + vectors])), tuple(rest[4 + vectors :])  # type: ignore[arg-type]


def _planes(plan: _Plan, states: tuple[Tensor | None, ...]) -> Tensor:
    """[P, S, B, row]: the states, or their gradients, where a kernel reads and overwrites them; None counts as 0."""
    planes = empty(plan.population, len(states), plan.batch, plan.state_row, dtype=plan.dtype)
    for k, state in enumerate(states):
        inside = planes[:, k, :, : plan.units]
        if state is None:
            inside.zero_()
        else:
            inside.copy_(plan.rows.sort(state))
    return planes


def _states(plan: _Plan, planes: Tensor) -> list[Tensor]:
    return [plan.rows.unsort(plane[..., : plan.units].contiguous()) for plane in planes.unbind(1)]


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, plan: _Plan, *inputs: Tensor | None) -> tuple[Tensor, ...]:
        run = _Forward(plan, inputs, keep=True)
        ctx.plan, ctx.run = plan, run
        ctx.save_for_backward(*inputs)
        ctx.set_materialize_grads(False)
        return run.results()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        plan, inputs = ctx.plan, ctx.saved_tensors
        if torch.is_grad_enabled():  # create_graph: the reference can be differentiated any number of times
            return None, *_reference_gradients(plan, inputs, ctx.needs_input_grad[1:], grads)
        # The run's buffers become the gradients of the pre-activations; a second backward runs forward again.
        run, ctx.run = ctx.run or _Forward(plan, inputs, keep=True), None
        return None, *_backward(run, ctx.needs_input_grad[1:], *grads)


def _backward(
    run: _Forward, needs: tuple[bool, ...], grad_output: Tensor | None, *grad_state: Tensor | None
) -> list[Tensor | None]:
    """The gradients of x, the four weights, the vectors and the initial states, where they are needed."""
    plan, rows, dtype = run.plan, run.plan.rows, run.plan.dtype
    blocks = plan.blocks
    grad_rows = run.output.new_zeros(run.output.shape) if grad_output is None else rows.gather(grad_output)
    planes = _planes(plan, grad_state)
    sums = torch.zeros(plan.population, plan.slices, blocks.slots + blocks.vectors, plan.units, dtype=dtype)
    want_x = needs[0]
    grad_x = empty(rows.count if want_x else 0, plan.row(plan.inputs), dtype=dtype)
    fields, alive = run.parameters.packed(plan, transposed=False)
    fields = plan.fields() | fields
    launch(
        kernel("backward", plan.kind),
        plan.tasks,
        fields
        | {
            "want_x": want_x,
            "grad_x_row": grad_x.shape[1],
            "sums_row": sums.shape[2] * plan.units,
            "grad_state": planes.data_ptr(),
            "slots": run.slots.data_ptr(),
            "kept": run.kept.data_ptr(),
            "grad_output": grad_rows.data_ptr(),
            "sums": sums.data_ptr(),
            "grad_x": grad_x.data_ptr(),
            "cell_function": cell_function(blocks.cell, "backward", plan.kind),
        },
    )
    del alive, grad_rows
    grads: list[Tensor | None] = [None]
    if want_x:
        padded = rows.scatter(grad_x[:, : plan.inputs], plan.population, plan.steps, plan.batch)
        grads[0] = padded if plan.networks_of_x == plan.population else padded.sum(0, keepdim=True)
    totals = sums.sum(1) if plan.slices > 1 else sums.squeeze(1)  # [P, slots + vectors, D]
    grads += _weight_gradients(run, fields) if needs[1] or needs[2] else [None, None]
    grads += _sum_gradients(plan, totals)
    if blocks.diagonal:
        grads[2] = totals[:, -len(blocks.diagonal) :].flatten(1)
    grads += _states(plan, planes)
    return [g if need else None for g, need in zip(grads, needs, strict=True)]


def _sum_gradients(plan: _Plan, totals: Tensor) -> list[Tensor]:
    """The gradients of bias_ih, bias_hh and the cell's own vectors: sums over all rows."""
    blocks, units = plan.blocks, plan.units
    bias_ih = _restore(totals[:, : blocks.from_x].flatten(1), blocks.order_x, units)
    if blocks.diagonal:
        bias_hh = bias_ih.unflatten(1, (-1, units))[:, blocks.diagonal].flatten(1)
    else:
        h_slots = totals[:, blocks.before_h : blocks.before_h + blocks.from_h]
        bias_hh = _restore(h_slots.flatten(1), blocks.order_h, units)
    own = len(plan.problem_cell.vectors)
    return [bias_ih, bias_hh, *totals[:, blocks.slots : blocks.slots + own].unbind(1)]


def _weight_gradients(run: _Forward, fields: dict[str, int]) -> list[Tensor | None]:
    """The gradients of weight_ih and of a dense weight_hh."""
    plan, blocks = run.plan, run.plan.blocks
    grad_ih = empty(plan.population, plan.x_columns, plan.row(plan.inputs), dtype=plan.dtype)
    grad_hh = empty(plan.population, plan.h_columns, plan.row(plan.units), dtype=plan.dtype)
    tasks = plan.population * (-(-plan.x_columns // BLOCK_COLUMNS) + -(-plan.h_columns // BLOCK_COLUMNS))
    panels = empty(tasks, BLOCK_ROWS * WIDTHS[plan.kind], dtype=plan.dtype)
    launch(
        kernel("weight_gradients", plan.kind),
        tasks,
        fields
        | {
            "grad_ih_row": grad_ih.shape[2],
            "grad_hh_row": grad_hh.shape[2],
            "slots": run.slots.data_ptr(),
            "x": run.x.data_ptr(),
            "previous": run.kept.data_ptr(),
            "grad_ih": grad_ih.data_ptr(),
            "grad_hh": grad_hh.data_ptr(),
            "panels": panels.data_ptr(),
        },
    )
    return [
        _restore(grad_ih[..., : plan.inputs], blocks.order_x, plan.units),
        _restore(grad_hh[..., : plan.units], blocks.order_h, plan.units) if blocks.from_h else None,
    ]


def _reference_gradients(
    plan: _Plan, inputs: tuple[Tensor | None, ...], needs: tuple[bool, ...], grads: tuple[Tensor | None, ...]
) -> list[Tensor | None]:
    """The same gradients through the reference, with a graph of their own."""
    x, weights, state = _split(plan, inputs)
    output, final = reference.run(Problem(plan.problem_cell, x, weights, state, plan.lengths, plan.reverse))
    pairs = [(o, g) for o, g in zip((output, *final), grads, strict=True) if g is not None]
    wanted = [t for t, need in zip(inputs, needs, strict=True) if need and t is not None]
    outputs, arriving = zip(*pairs, strict=True) if pairs else ((), ())
    found = iter(torch.autograd.grad(outputs, wanted, arriving, create_graph=True, allow_unused=True))
    return [next(found) if need else None for need in needs]
