"""The CPU backend: every product, gate and gradient of a scan in kernels compiled from the cell's definition."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from . import reference
from .compile import cell_function, kernel
from .contract import Problem, Weights
from .kernels import BLOCK_COLUMNS, BLOCK_ROWS
from .lanes import WIDTHS
from .memory import empty
from .parameters import Parameters, restore
from .plan import DTYPES, Plan, plan
from .threads import run as launch

# The differentiable inputs in the order in which they pass through autograd: x, weight_ih, weight_hh, bias_ih, bias_hh,
# the cell's vectors, the initial states (or none of them).
Inputs = tuple[Tensor | None, ...]


def supports(problem: Problem) -> str | None:
    """None, or the reason why this backend cannot run the scan."""
    if problem.x.dtype not in DTYPES:
        return f"the kernels compute in float32 and float64, not {problem.x.dtype}"
    if problem.x.device.type != "cpu":
        return f"the tensors are on {problem.x.device}"
    return None


def run(problem: Problem) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Output and final states. Nothing is saved for backward where no gradient is wanted."""
    weights = problem.weights
    inputs = (problem.x, *weights[:4], *weights.vectors, *(problem.state or ()))
    if torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in inputs):
        output, *state = _Scan.apply(plan(problem), *inputs)
    else:
        output, *state = _Forward(plan(problem), inputs, keep=False).results()
    return output, tuple(state)


def _split(plan: Plan, inputs: Inputs) -> tuple[Tensor, Weights, tuple[Tensor, ...]]:
    x, weight_ih, weight_hh, bias_ih, bias_hh, *rest = inputs
    assert x is not None
    assert weight_ih is not None
    given = [tensor for tensor in rest if tensor is not None]
    vectors, state = given[: plan.blocks.own_vectors], given[plan.blocks.own_vectors :]
    return x, Weights(weight_ih, weight_hh, bias_ih, bias_hh, tuple(vectors)), tuple(state)


class _Forward:
    """One run forward. With `keep` its buffers hold what backward needs."""

    def __init__(self, plan: Plan, inputs: Inputs, *, keep: bool) -> None:
        x, weights, state = _split(plan, inputs)
        count, dtype, sizes = plan.rows.count, plan.dtype, plan.sizes
        self.plan = plan
        self.x = plan.rows.gather(x.view(sizes.networks_of_x, *x.shape[-3:]))
        self.parameters = Parameters(plan, weights)
        self.output = empty(count, sizes.units, dtype=dtype)
        self.slots = empty(count if keep else sizes.population * sizes.batch, plan.slots_row, dtype=dtype)
        self.kept = empty(plan.blocks.kept if keep else 0, count, sizes.units, dtype=dtype)
        self.state = _planes(plan, state)
        panels = self.parameters.pack(plan, transposed=True)
        arguments = {
            "keep": keep,
            "x": self.x.data_ptr(),
            "state": self.state.data_ptr(),
            "slots": self.slots.data_ptr(),
            "kept": self.kept.data_ptr(),
            "output": self.output.data_ptr(),
            "cell_function": cell_function(plan.blocks.cell, "forward" if keep else "inference", plan.kind),
        }
        launch(kernel("forward", plan.kind), plan.tasks, plan.work, plan.fields | panels.fields | arguments)

    def results(self) -> tuple[Tensor, ...]:
        plan, sizes = self.plan, self.plan.sizes
        output = plan.rows.scatter(self.output, sizes.population, sizes.steps, sizes.batch)
        return output[0] if plan.single else output, *_states(plan, self.state)


def _planes(plan: Plan, states: tuple[Tensor | None, ...]) -> Tensor:
    """[P, S, B, row]: states, or their gradients, where a kernel reads and overwrites them; None counts as 0."""
    sizes = plan.sizes
    shape = (sizes.population, plan.blocks.states, sizes.batch, plan.state_row)
    planes = torch.zeros(shape, dtype=plan.dtype)
    for k, state in enumerate(states):
        if state is not None:
            sorted_state = plan.rows.sort(state.view(sizes.population, sizes.batch, sizes.units))
            planes[:, k, :, : sizes.units].copy_(sorted_state)
    return planes


def _states(plan: Plan, planes: Tensor) -> list[Tensor]:
    """The states in `planes`, as the caller knows them."""
    states = [plan.rows.unsort(plane) for plane in planes[..., : plan.sizes.units].unbind(1)]
    return [state[0] for state in states] if plan.single else states


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, plan: Plan, *inputs: Tensor | None) -> tuple[Tensor, ...]:
        ctx.plan, ctx.run = plan, _Forward(plan, inputs, keep=True)
        ctx.save_for_backward(*inputs)
        ctx.set_materialize_grads(False)
        return ctx.run.results()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        plan, inputs, needs = ctx.plan, ctx.saved_tensors, ctx.needs_input_grad[1:]
        if torch.is_grad_enabled():  # create_graph: the reference can be differentiated any number of times
            return None, *_reference_gradients(plan, inputs, needs, grads)
        # The run's buffers become the gradients of the pre-activations; a second backward runs forward again.
        run, ctx.run = ctx.run or _Forward(plan, inputs, keep=True), None
        found = _Backward(run, grads, want_x=needs[0]).gradients(want_weights=needs[1] or needs[2])
        # Without initial states the gradients of their zeros are left over.
        pairs = zip(inputs, found, needs, strict=False)
        return None, *(g.reshape(t.shape) if need and t is not None and g is not None else None for t, g, need in pairs)


class _Backward:
    """One run backward through the buffers of a run forward."""

    def __init__(self, run: _Forward, grads: tuple[Tensor | None, ...], *, want_x: bool) -> None:
        plan = run.plan
        sizes, blocks, dtype = plan.sizes, plan.blocks, plan.dtype
        self.run, self.plan = run, plan
        grad_output, *grad_state = grads
        self.grad_state = _planes(plan, tuple(grad_state))
        width = plan.whole(sizes.inputs)
        self.grad_x = empty(plan.rows.count, width, dtype=dtype) if want_x else None
        self.sums = torch.zeros(plan.tasks, blocks.slots + blocks.vectors, sizes.units, dtype=dtype)
        if grad_output is None:
            grad_rows = torch.zeros_like(run.output)
        else:
            grad_rows = plan.rows.gather(grad_output.reshape(sizes.population, *grad_output.shape[-3:]))
        panels = run.parameters.pack(plan, transposed=False)
        arguments = {
            "want_x": want_x,
            "grad_x_row": width,
            "sums_row": self.sums[0].numel() if plan.tasks else 0,
            "grad_state": self.grad_state.data_ptr(),
            "slots": run.slots.data_ptr(),
            "kept": run.kept.data_ptr(),
            "grad_output": grad_rows.data_ptr(),
            "sums": self.sums.data_ptr(),
            "grad_x": 0 if self.grad_x is None else self.grad_x.data_ptr(),
            "cell_function": cell_function(blocks.cell, "backward", plan.kind),
        }
        launch(kernel("backward", plan.kind), plan.tasks, plan.work, plan.fields | panels.fields | arguments)

    def gradients(self, *, want_weights: bool) -> list[Tensor | None]:
        """The gradients of the inputs of the scan, in their order; shapes with a population axis."""
        blocks = self.plan.blocks
        totals = self.sums.view(self.plan.sizes.population, -1, *self.sums.shape[1:]).sum(1)  # [P, slots + vectors, D]
        grad_ih, grad_hh = self._of_weights() if want_weights else (None, None)
        bias_ih = restore(totals[:, : blocks.from_x], blocks.order_x)
        if blocks.diagonal:
            grad_hh = totals[:, blocks.slots + blocks.own_vectors :]
            bias_hh = bias_ih[:, blocks.diagonal]
        else:
            bias_hh = restore(totals[:, blocks.before_h : blocks.before_h + blocks.from_h], blocks.order_h)
        vectors = totals[:, blocks.slots : blocks.slots + blocks.own_vectors].unbind(1)
        return [self._of_x(), grad_ih, grad_hh, bias_ih, bias_hh, *vectors, *_states(self.plan, self.grad_state)]

    def _of_x(self) -> Tensor | None:
        if self.grad_x is None:
            return None
        sizes = self.plan.sizes
        rows = self.grad_x[:, : sizes.inputs]
        padded = self.plan.rows.scatter(rows, sizes.population, sizes.steps, sizes.batch)
        return padded if sizes.networks_of_x == sizes.population else padded.sum(0, keepdim=True)

    def _of_weights(self) -> tuple[Tensor, Tensor | None]:
        """Of weight_ih and a dense weight_hh: [P, G, D, M], [P, G, D, D]."""
        run, plan, sizes, blocks = self.run, self.plan, self.plan.sizes, self.plan.blocks
        units = sizes.units
        grad_ih = empty(sizes.population, blocks.from_x, units, plan.whole(sizes.inputs), dtype=plan.dtype)
        grad_hh = empty(sizes.population, blocks.from_h, units, plan.whole(units), dtype=plan.dtype)
        tasks = sizes.population * (-(-plan.x_columns // BLOCK_COLUMNS) + -(-plan.h_columns // BLOCK_COLUMNS))
        panels = empty(tasks, BLOCK_ROWS * WIDTHS[plan.kind], dtype=plan.dtype)
        arguments = {
            "grad_ih_row": grad_ih.shape[-1],
            "grad_hh_row": grad_hh.shape[-1],
            "slots": run.slots.data_ptr(),
            "x": run.x.data_ptr(),
            "previous": run.kept.data_ptr(),
            "grad_ih": grad_ih.data_ptr(),
            "grad_hh": grad_hh.data_ptr(),
            "panels": panels.data_ptr(),
        }
        launch(kernel("weight_gradients", plan.kind), tasks, plan.work, plan.fields | arguments)
        of_x = restore(grad_ih[..., : sizes.inputs], blocks.order_x)
        return of_x, restore(grad_hh[..., :units], blocks.order_h) if blocks.from_h else None


def _reference_gradients(
    plan: Plan, inputs: Inputs, needs: tuple[bool, ...], grads: tuple[Tensor | None, ...]
) -> list[Tensor | None]:
    """The same gradients through the reference, with a graph of their own."""
    x, weights, state = _split(plan, inputs)
    problem = Problem(plan.cell, x, weights, state or None, plan.lengths, plan.reverse, plan.single, plan.sizes)
    output, final = reference.run(problem)
    pairs = [(o, g) for o, g in zip((output, *final), grads, strict=True) if g is not None]
    wanted = [t for t, need in zip(inputs, needs, strict=True) if need and t is not None]
    outputs, arriving = zip(*pairs, strict=True) if pairs else ((), ())
    found = iter(torch.autograd.grad(outputs, wanted, arriving, create_graph=True, allow_unused=True))
    return [next(found) if need else None for need in needs]
