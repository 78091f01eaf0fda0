"""The CPU backend: every product, gate and gradient of a scan in kernels compiled from the cell's definition."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from . import reference
from .contract import Problem, Weights
from .kernels import BLOCK_ROWS
from .memory import borrow, empty, give_back, scratch
from .parameters import Parameters, address, restore
from .plan import DTYPES, Plan, plan

# The differentiable inputs in the order in which they pass through autograd: x (or the table, if x is ids), weight_ih,
# weight_hh, bias_ih, bias_hh, the cell's vectors, the initial states (or none of them).
Inputs = tuple[Tensor | None, ...]


def supports(problem: Problem) -> str | None:
    """None, or the reason why this backend cannot run the scan."""
    if problem.dtype not in DTYPES:
        return f"the kernels compute in float32 and float64, not {problem.dtype}"
    if problem.x.device.type != "cpu":
        return f"the tensors are on {problem.x.device}"
    return None


def run(problem: Problem) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Output and final states. Nothing is saved for backward where no gradient is wanted."""
    weights = problem.weights
    x, ids = (problem.x, None) if problem.table is None else (problem.table, problem.x)
    inputs = (x, *weights[:4], *weights.vectors, *(problem.state or ()))
    if torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in inputs):
        output, *state = _Scan.apply(plan(problem), ids, *inputs)
    else:
        output, *state = _Forward(plan(problem), ids, inputs, keep=False).results()
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

    def __init__(self, plan: Plan, ids: Tensor | None, inputs: Inputs, *, keep: bool) -> None:
        x, weights, state = _split(plan, inputs)
        count, dtype, sizes = plan.rows.count, plan.dtype, plan.sizes
        self.plan = plan
        self.with_state = bool(state)
        self.x = plan.rows.gather(x) if ids is None else x.contiguous()
        self.ids = None if ids is None else plan.rows.gather(ids.unsqueeze(-1))
        self.parameters = Parameters(plan, weights)
        self.output = empty(count, sizes.units, dtype=dtype)
        self.slots = borrow(count if keep else sizes.population * sizes.batch, plan.slots_row, dtype=dtype)
        self.kept = borrow(plan.blocks.kept if keep else 0, count, sizes.units, dtype=dtype)
        self.state = _planes(plan, state)
        buffer, (panels_x, panels_h, bias, products) = scratch(
            sizes.population * plan.whole(plan.x_columns) * sizes.inputs,
            sizes.population * plan.whole(plan.h_columns) * sizes.units,
            sizes.population * plan.slots_row,
            sizes.population * sizes.table_rows * plan.slots_row,
            dtype=dtype,
        )
        arguments = self.parameters.arguments() | {
            "bias_ih": address(self.parameters.bias_ih),
            "bias_hh": address(self.parameters.bias_hh),
            "keep": keep,
            "x": self.x.data_ptr(),
            "ids": address(self.ids),
            "panels_x": panels_x,
            "panels_h": panels_h,
            "bias": bias,
            "products": products,
            "state": self.state.data_ptr(),
            "slots": self.slots.data_ptr(),
            "kept": self.kept.data_ptr(),
            "output": self.output.data_ptr(),
        }
        plan.launch("forward", "forward" if keep else "inference", plan.work, arguments)
        give_back(buffer)
        if not keep:
            give_back(self.slots)

    def results(self) -> tuple[Tensor, ...]:
        """Output and final states, once: they belong to the caller, who may change them."""
        plan, sizes = self.plan, self.plan.sizes
        output = plan.rows.scatter(self.output, sizes.population, sizes.steps, sizes.batch)
        state = [s.clone() for s in _states(plan, self.state)]
        del self.output, self.state
        return output.squeeze(0).detach() if plan.single else output.detach(), *state


def _planes(plan: Plan, states: tuple[Tensor | None, ...]) -> Tensor:
    """[P, S, B, row]: states, or their gradients, where a kernel reads and overwrites them; None counts as 0."""
    sizes = plan.sizes
    shape = (sizes.population, plan.blocks.states, sizes.batch, plan.state_row)
    planes = torch.zeros(shape, dtype=plan.dtype, device="cpu")
    for k, state in enumerate(states):
        if state is not None:
            sorted_state = plan.rows.sort(state.view(sizes.population, sizes.batch, sizes.units))
            planes[:, k, :, : sizes.units].copy_(sorted_state)
    return planes


def _first(rows: Tensor, columns: int) -> Tensor:
    """[..., columns] of rows that are padded to whole vectors, or are not."""
    return rows if rows.shape[-1] == columns else rows.narrow(-1, 0, columns)


def _states(plan: Plan, planes: Tensor) -> list[Tensor]:
    """The states in `planes`, as the caller knows them."""
    states = [plan.rows.unsort(state) for state in _first(planes, plan.sizes.units).unbind(1)]
    return [state.squeeze(0) for state in states] if plan.single else states


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, plan: Plan, ids: Tensor | None, *inputs: Tensor | None) -> tuple[Tensor, ...]:
        ctx.plan, ctx.run = plan, _Forward(plan, ids, inputs, keep=True)
        ctx.save_for_backward(ids, *inputs)
        ctx.set_materialize_grads(False)
        return ctx.run.results()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        plan, ids, inputs = ctx.plan, ctx.saved_tensors[0], ctx.saved_tensors[1:]
        needs = ctx.needs_input_grad[2:]
        if torch.is_grad_enabled():  # create_graph: the reference can be differentiated any number of times
            return None, None, *_reference_gradients(plan, ids, inputs, needs, grads)
        # The run's buffers become the gradients of the pre-activations; a second backward runs forward again.
        run, ctx.run = ctx.run or _Forward(plan, ids, inputs, keep=True), None
        want_weights = needs[1] or (needs[2] and plan.blocks.from_h > 0)
        found = _Backward(run, grads, want_x=needs[0], want_weights=want_weights).gradients()
        pairs = zip(inputs, found, needs, strict=True)
        return (
            None,
            None,
            *(g.reshape(t.shape) if need and t is not None and g is not None else None for t, g, need in pairs),
        )


class _Backward:
    """One run backward through the buffers of a run forward."""

    def __init__(self, run: _Forward, grads: tuple[Tensor | None, ...], *, want_x: bool, want_weights: bool) -> None:
        self.plan = plan = run.plan
        self.with_state = run.with_state
        sizes, blocks, dtype = plan.sizes, plan.blocks, plan.dtype
        units, networks = sizes.units, sizes.population
        grad_output, *grad_state = grads
        # Where only the final state has a gradient, every slice at every step reads the same zeros.
        grad_rows = plan.no_gradient if grad_output is None else plan.rows.gather(grad_output)
        inputs_row, units_row = plan.whole(sizes.inputs), plan.whole(units)
        self.grad_state = _planes(plan, tuple(grad_state))
        x_rows = networks * sizes.table_rows if sizes.table_rows else plan.rows.count
        self.grad_x = empty(x_rows, inputs_row, dtype=dtype) if want_x else None
        sums_shape = (networks, plan.slices, blocks.slots + blocks.vectors, units)
        self.sums = torch.zeros(sums_shape, dtype=dtype, device="cpu")
        self.grad_ih = empty(networks, blocks.from_x, units, inputs_row, dtype=dtype) if want_weights else None
        self.grad_hh = empty(networks, blocks.from_h, units, units_row, dtype=dtype) if want_weights else None
        by_id_row = plan.whole(plan.x_columns)
        buffer, (panels_x, panels_h, panels, by_id) = scratch(
            networks * inputs_row * plan.x_columns,
            networks * units_row * plan.h_columns,
            plan.blocks_of_weights * BLOCK_ROWS * plan.whole(1),
            networks * sizes.table_rows * by_id_row,
            dtype=dtype,
        )
        arguments = run.parameters.arguments() | {
            "want_x": want_x,
            "want_weights": want_weights,
            "grad_x_row": inputs_row,
            "grad_ih_row": inputs_row,
            "grad_hh_row": units_row,
            "sums_row": (blocks.slots + blocks.vectors) * units,
            "x": run.x.data_ptr(),
            "ids": address(run.ids),
            "by_id": by_id,
            "by_id_row": by_id_row,
            "panels_x": panels_x,
            "panels_h": panels_h,
            "slots": run.slots.data_ptr(),
            "kept": run.kept.data_ptr(),
            "grad_output": grad_rows.data_ptr(),
            "grad_row": 0 if grad_output is None else units,
            "grad_state": self.grad_state.data_ptr(),
            "sums": self.sums.data_ptr(),
            "grad_x": address(self.grad_x),
            "grad_ih": address(self.grad_ih),
            "grad_hh": address(self.grad_hh),
            "blocks": panels,
        }
        plan.launch("backward", "backward", (1 + want_x + want_weights) * plan.work, arguments)
        for done in (buffer, run.slots, run.kept):
            give_back(done)

    def gradients(self) -> list[Tensor | None]:
        """The gradients of the inputs of the scan, in their order; shapes with a population axis."""
        plan, blocks, units = self.plan, self.plan.blocks, self.plan.sizes.units
        totals = self.sums[:, 0] if plan.slices == 1 else self.sums.sum(1)  # [P, slots + vectors, D]
        bias_ih = restore(totals[:, : blocks.from_x], blocks.order_x)
        grad_ih = grad_hh = None
        if self.grad_ih is not None and self.grad_hh is not None:
            grad_ih = restore(_first(self.grad_ih, plan.sizes.inputs), blocks.order_x)
            grad_hh = restore(_first(self.grad_hh, units), blocks.order_h)
        if blocks.diagonal:
            grad_hh = totals[:, blocks.slots + blocks.own_vectors :]
            bias_hh = bias_ih[:, blocks.diagonal]
        else:
            # A copy: the two biases of a gate have equal gradients, and the caller may change one of them.
            bias_hh = restore(totals.narrow(1, blocks.before_h, blocks.from_h), blocks.order_h).clone()
        vectors = totals[:, blocks.slots : blocks.slots + blocks.own_vectors].unbind(1) if blocks.own_vectors else ()
        states = _states(plan, self.grad_state) if self.with_state else ()
        return [self._of_x(), grad_ih, grad_hh, bias_ih, bias_hh, *vectors, *states]

    def _of_x(self) -> Tensor | None:
        if self.grad_x is None:
            return None
        sizes = self.plan.sizes
        rows = _first(self.grad_x, sizes.inputs)
        if sizes.table_rows:
            return rows
        padded = self.plan.rows.scatter(rows, sizes.population, sizes.steps, sizes.batch)
        return padded if sizes.networks_of_x == sizes.population else padded.sum(0, keepdim=True)


def _reference_gradients(
    plan: Plan, ids: Tensor | None, inputs: Inputs, needs: tuple[bool, ...], grads: tuple[Tensor | None, ...]
) -> list[Tensor | None]:
    """The same gradients through the reference, with a graph of their own."""
    # Views, so that no path from one input to another outside of this scan (a state that came from the weights) counts.
    inputs = tuple(None if t is None else t.view_as(t) for t in inputs)
    x, weights, state = _split(plan, inputs)
    x, table = (x, None) if ids is None else (ids, x)
    problem = Problem(plan.cell, x, weights, state or None, plan.lengths, plan.reverse, plan.single, plan.sizes, table)
    output, final = reference.run(problem)
    pairs = zip((output, *final), grads, strict=True)
    pairs = [(o, g) for o, g in pairs if g is not None and o.requires_grad]  # over 0 steps nothing does
    if not pairs:
        return [None] * len(inputs)
    wanted = [t for t, need in zip(inputs, needs, strict=True) if need and t is not None]
    outputs, arriving = zip(*pairs, strict=True)
    found = iter(torch.autograd.grad(outputs, wanted, arriving, create_graph=True, allow_unused=True))
    return [next(found) if need else None for need in needs]
