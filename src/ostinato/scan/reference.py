"""The reference backend: a plain loop over time in PyTorch. Any dtype, any device, differentiable any number of times."""

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
    cell, state = problem.cell, problem.state
    steps = problem.x.shape[1]
    advance = step(cell)
    outputs: list[Tensor] = []
    for t in range(steps - 1, -1, -1) if problem.reverse else range(steps):
        slots = pre_activations(cell, problem.x[:, t], problem.weights, state[0])
        vectors = (v.unsqueeze(1) for v in problem.weights.vectors)
        new = advance(*slots, *state, *vectors)
        if problem.lengths is None:
            output = new[0]
        else:
            active = (t < problem.lengths).to(problem.x.device).unsqueeze(-1)
            new = tuple(torch.where(active, n, s) for n, s in zip(new, state, strict=True))
            output = torch.where(active, new[0], 0.0)
        state = new
        outputs.append(output)
    if problem.reverse:
        outputs.reverse()
    if not outputs:
        return state[0].new_zeros(problem.population, 0, problem.x.shape[2], problem.units), state
    return torch.stack(outputs, dim=1), state


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
