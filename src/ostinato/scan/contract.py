"""The contract of a scan: what goes in, what comes out, and the checks that every backend relies on.

Time-major. `P` is the population axis: P networks of one architecture run as one program. A single network leaves
the axis away everywhere.

    x                      [P, T, B, M], or [1, T, B, M] shared by all P networks without being copied
    weight_ih              [P, Gx*D, M], a block of D rows for every gate, in the order of `cell.gates`
    weight_hh              [P, Gh*D, D] for the gates that h feeds; [P, Gh*D] if the recurrence is diagonal, else None
    bias_ih, bias_hh       [P, Gx*D], [P, Gh*D], or None
    vectors                [P, D] each, in the order of `cell.vectors`
    state                  [P, B, D] each, in the order of `cell.states`
    lengths                [B] or [P, B] whole numbers from 0 to T: past a length the state stands still, the output
                           is 0 and so is the gradient
    output                 [P, T, B, D]
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ..cell import Cell
from ..errors import ShapeError


class Weights(NamedTuple):
    """What a cell learns, in torch's layout."""

    weight_ih: Tensor
    weight_hh: Tensor | None = None
    bias_ih: Tensor | None = None
    bias_hh: Tensor | None = None
    vectors: tuple[Tensor, ...] = ()


class Scan(NamedTuple):
    """The result: `output` [P, T, B, D], the final `state` ([P, B, D] each), and the backend that ran."""

    output: Tensor
    state: tuple[Tensor, ...]
    backend: str


class Problem(NamedTuple):
    """A checked call: every tensor with its population axis, every state given, lengths None or [P or 1, B] int64."""

    cell: Cell
    x: Tensor
    weights: Weights
    state: tuple[Tensor, ...]
    lengths: Tensor | None
    reverse: bool

    @property
    def population(self) -> int:
        return self.weights.weight_ih.shape[0]

    @property
    def units(self) -> int:
        return self.weights.weight_ih.shape[1] // len(self.cell.gates)

    def tensors(self) -> list[Tensor]:
        """Every floating-point tensor of the call."""
        w = self.weights
        optional = [w.weight_hh, w.bias_ih, w.bias_hh]
        return [self.x, w.weight_ih, *(t for t in optional if t is not None), *w.vectors, *self.state]


def check(
    cell: Cell,
    x: Tensor,
    weights: Weights,
    state: tuple[Tensor, ...] | None,
    lengths: Tensor | None,
    reverse: bool,
) -> Problem:
    """Put the population axis in place, fill in zero states and check every shape.

    Raises:
        ShapeError: something does not fit; the message quotes the shapes and says what would.
    """
    if x.dim() == 3:
        x = x.unsqueeze(0)
        weights = Weights(*(_unsqueeze(t) for t in weights[:4]), tuple(v.unsqueeze(0) for v in weights.vectors))
        state = None if state is None else tuple(s.unsqueeze(0) for s in state)
    elif x.dim() != 4:
        raise ShapeError(f"x must be [T, B, M], or [P, T, B, M] for a population, not {list(x.shape)}")
    units = _check_weights(cell, x, weights)
    population, (_, steps, batch, _) = weights.weight_ih.shape[0], x.shape
    if state is None:
        state = tuple(x.new_zeros(population, batch, units) for _ in cell.states)
    if len(state) != len(cell.states):
        raise ShapeError(f"cell '{cell}' has {len(cell.states)} state(s) ({', '.join(cell.states)}), not {len(state)}")
    for name, s in zip(cell.states, state, strict=True):
        _check_shape(f"initial state {name}", s, (population, batch, units), "[P, B, D]")
    problem = Problem(cell, x, weights, state, _check_lengths(lengths, population, steps, batch), reverse)
    for tensor in problem.tensors():
        if tensor.dtype != x.dtype or tensor.device != x.device:
            raise ShapeError(
                f"x is {x.dtype} on {x.device}, but another input, of shape {list(tensor.shape)}, is {tensor.dtype} "
                f"on {tensor.device}: all must be of one dtype on one device"
            )
    return problem


def _unsqueeze(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.unsqueeze(0)


def _check_weights(cell: Cell, x: Tensor, weights: Weights) -> int:
    """Every weight against the cell and x; returns the number of units D."""
    w = weights.weight_ih
    gates, recurrent = len(cell.gates), len(cell.recurrent_gates)
    if w.dim() != 3 or w.shape[2] != x.shape[3] or w.shape[1] % gates or not w.shape[1]:
        raise ShapeError(
            f"weight_ih is {list(w.shape)}; for cell '{cell}' with {gates} gate(s) and x {list(x.shape)} it must be "
            f"[P, {gates}*D, {x.shape[3]}]"
        )
    population, units = w.shape[0], w.shape[1] // gates
    if x.shape[0] not in (1, population):
        raise ShapeError(f"x {list(x.shape)} is for {x.shape[0]} networks, weight_ih {list(w.shape)} for {population}")
    if cell.recurrence == "none":
        for name, tensor in (("weight_hh", weights.weight_hh), ("bias_hh", weights.bias_hh)):
            if tensor is not None:
                raise ShapeError(f"cell '{cell}' has no recurrent matrix, so {name} must be None")
    else:
        shape = (population, recurrent * units, units) if cell.recurrence == "dense" else (population, recurrent * units)
        _check_shape("weight_hh", weights.weight_hh, shape, "[P, G*D, D]" if len(shape) == 3 else "[P, G*D]")
        _check_shape("bias_hh", weights.bias_hh, (population, recurrent * units), "[P, G*D]", optional=True)
    _check_shape("bias_ih", weights.bias_ih, (population, gates * units), "[P, G*D]", optional=True)
    if len(weights.vectors) != len(cell.vectors):
        raise ShapeError(f"cell '{cell}' has {len(cell.vectors)} vector(s), not {len(weights.vectors)}")
    for name, vector in zip(cell.vectors, weights.vectors, strict=True):
        _check_shape(name, vector, (population, units), "[P, D]")
    return units


def _check_shape(
    name: str, tensor: Tensor | None, shape: tuple[int, ...], meaning: str, *, optional: bool = False
) -> None:
    if tensor is None:
        if not optional:
            raise ShapeError(f"{name} is missing; it must be {meaning} = {list(shape)}")
    elif tensor.shape != shape:
        raise ShapeError(f"{name} is {list(tensor.shape)}; it must be {meaning} = {list(shape)}")


def _check_lengths(lengths: Tensor | None, population: int, steps: int, batch: int) -> Tensor | None:
    if lengths is None:
        return None
    lengths = torch.as_tensor(lengths)
    if lengths.is_floating_point() or lengths.dtype == torch.bool or lengths.is_complex():
        raise ShapeError(f"lengths must be whole numbers, not {lengths.dtype}")
    if lengths.shape not in ((batch,), (population, batch)):
        raise ShapeError(f"lengths is {list(lengths.shape)}; it must be [B] = [{batch}] or [P, B] = {[population, batch]}")
    lengths = lengths.reshape(-1, batch).to("cpu", torch.int64)
    if lengths.numel() and (int(lengths.min()) < 0 or int(lengths.max()) > steps):
        bad = lengths[(lengths < 0) | (lengths > steps)][0]
        raise ShapeError(f"a length is {int(bad)}; lengths go from 0 to T = {steps}")
    return lengths
