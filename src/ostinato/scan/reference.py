"""The reference backend: a plain loop over time in PyTorch, for any dtype and device and any order of derivatives."""

from __future__ import annotations

import torch
from torch import Tensor

from ..cell import Cell
from ..derive.reference import step
from .contract import Problem, Weights


def supports(problem: Problem) -> str | None:
    """None: the reference runs everything."""
    return None


def run(problem: Problem) -> tuple[Tensor, tuple[Tensor, ...]]:
    """One step after another; past its length a sequence stands still."""
    if problem.single:
        output, state = run(_as_population(problem))
        return output.squeeze(0), tuple(s.squeeze(0) for s in state)
    cell, x, weights, sizes = problem.cell, problem.x, problem.weights, problem.sizes
    if problem.table is not None:
        x = _look_up(problem.table, x)
    zeros = x.new_zeros(sizes.population, sizes.batch, sizes.units)
    state = problem.state or tuple(zeros for _ in cell.states)
    advance = step(cell)
    vectors = [vector.unsqueeze(1) for vector in weights.vectors]
    outputs: list[Tensor] = []
    for t in range(sizes.steps - 1, -1, -1) if problem.reverse else range(sizes.steps):
        x_t, running = x[:, t], None
        if problem.lengths is not None:
            running = (t < problem.lengths).to(x.device).unsqueeze(-1)
            x_t = torch.where(running, x_t, 0.0)  # padding may hold anything, NaN too
        new = advance(*pre_activations(cell, x_t, weights, state[0]), *state, *vectors)
        output = new[0]
        if running is not None:
            output = torch.where(running, output, 0.0)
            new = tuple(torch.where(running, n, s) for n, s in zip(new, state, strict=True))
        state = new
        outputs.append(output)
    if problem.reverse:
        outputs.reverse()
    output = torch.stack(outputs, dim=1) if outputs else zeros.unsqueeze(1)[:, :0]
    return output, state


def _look_up(table: Tensor, ids: Tensor) -> Tensor:
    """Rows [P, T, B, M] of tables [P, N, M] by ids [P or 1, T, B]."""
    networks, rows = table.shape[:2]
    first = torch.arange(0, networks * rows, rows, device=ids.device).view(-1, 1, 1)
    return table.flatten(0, 1)[ids + first]


def _as_population(problem: Problem) -> Problem:
    """The same call as a population of one."""
    weights, state = problem.weights, problem.state
    first = [None if t is None else t.unsqueeze(0) for t in weights[:4]]
    return problem._replace(
        x=problem.x.unsqueeze(0),
        weights=Weights(*first, tuple(v.unsqueeze(0) for v in weights.vectors)),  # type: ignore[arg-type]
        state=None if state is None else tuple(s.unsqueeze(0) for s in state),
        single=False,
        table=None if problem.table is None else problem.table.unsqueeze(0),
    )


def pre_activations(cell: Cell, x_t: Tensor, weights: Weights, h: Tensor) -> list[Tensor]:
    """The slots of one step, [P, B, D] each, in the order of `cell.slots`: W x_t + b_ih and U h + b_hh."""
    from_x = _rows(x_t @ weights.weight_ih.mT, weights.bias_ih, len(cell.gates))
    parts_x = dict(zip((g.name for g in cell.gates), from_x, strict=True))
    parts_h = {}
    if weights.weight_hh is not None:
        recurrent = cell.recurrent_gates
        if cell.recurrence == "dense":
            product = h @ weights.weight_hh.mT
        else:
            product = h.repeat(1, 1, len(recurrent)) * weights.weight_hh.unsqueeze(1)
        from_h = _rows(product, weights.bias_hh, len(recurrent))
        parts_h = dict(zip((g.name for g in recurrent), from_h, strict=True))
    slots = []
    for slot in cell.slots:
        name = slot.gate.name
        if slot.gate.kind == "split":
            slots.append(parts_x[name] if slot.from_x else parts_h[name])
        else:
            slots.append(parts_x[name] + parts_h[name] if name in parts_h else parts_x[name])
    return slots


def _rows(product: Tensor, bias: Tensor | None, gates: int) -> tuple[Tensor, ...]:
    return (product if bias is None else product + bias.unsqueeze(1)).chunk(gates, dim=-1)
