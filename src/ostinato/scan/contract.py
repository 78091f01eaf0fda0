"""The contract of a scan: what goes in, what comes out, and the checks that every backend relies on.

Time-major. `P` is the population axis: P networks of one architecture run as one program. A single network leaves
the axis away everywhere.

    x                      [P, T, B, M], or [1, T, B, M] shared by all P networks without being copied
    table                  [P, N, M] or None; if there is one, x is ids of its rows, [P or 1, T, B] int64, and the
                           products of x with weight_ih are those of N rows instead of T * B; padding has valid ids
    weight_ih              [P, Gx*D, M], a block of D rows for every gate, in the order of `cell.gates`
    weight_hh              [P, Gh*D, D] for the gates that h feeds; [P, Gh*D] if the recurrence is diagonal, else None
    bias_ih, bias_hh       [P, Gx*D], [P, Gh*D], or None
    vectors                [P, D] each, in the order of `cell.vectors`
    state                  [P, B, D] each, in the order of `cell.states`
    lengths                [B] or [P or 1, B] whole numbers from 0 to T: past a length the state stands still, the
                           output is 0 and so is the gradient
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


class Sizes(NamedTuple):
    """P, T, B, M, D, how many networks x is for (1 if they share it), and N (0 without a table)."""

    population: int
    steps: int
    batch: int
    inputs: int
    units: int
    networks_of_x: int
    table_rows: int


class Problem(NamedTuple):
    """A checked call. The tensors have a population axis unless `single`; `state` is None for zeros.

    Lengths are None or [P or 1, B] int64 on the CPU.
    """

    cell: Cell
    x: Tensor
    weights: Weights
    state: tuple[Tensor, ...] | None
    lengths: Tensor | None
    reverse: bool
    single: bool
    sizes: Sizes
    table: Tensor | None

    @property
    def dtype(self) -> torch.dtype:
        """In which it is computed."""
        return self.weights.weight_ih.dtype


def check(
    cell: Cell,
    x: Tensor,
    weights: Weights,
    state: tuple[Tensor, ...] | None,
    lengths: Tensor | None,
    reverse: bool,
    table: Tensor | None = None,
) -> Problem:
    """Check every shape, dtype and device.

    Raises:
        ShapeError: something does not fit; the message quotes the shapes and says what would.
    """
    single = _check_x(x, table)
    sizes = _check_weights(cell, x, weights, table, single)
    if state is not None:
        if len(state) != len(cell.states):
            names = ", ".join(cell.states)
            raise ShapeError(f"cell '{cell}' has {len(cell.states)} state(s) ({names}), not {len(state)}")
        for name, tensor in zip(cell.states, state, strict=True):
            _check_shape(f"initial state {name}", tensor, single, sizes, (sizes.batch, sizes.units), "B, D")
    lengths = _check_lengths(lengths, sizes)
    name, like = ("x", x) if table is None else ("table", table)
    for tensor in (*weights[:4], *weights.vectors, *(state or ())):
        if tensor is not None and (tensor.dtype is not like.dtype or tensor.device != x.device):
            raise ShapeError(
                f"{name} is {like.dtype} on {x.device}, but another input, of shape {list(tensor.shape)}, is "
                f"{tensor.dtype} on {tensor.device}: all must be of one dtype on one device"
            )
    return Problem(cell, x, weights, state, lengths, reverse, single, sizes, table)


def _check_x(x: Tensor, table: Tensor | None) -> bool:
    """Whether x is for a single network."""
    if table is None:
        if x.dim() not in (3, 4):
            raise ShapeError(f"x must be [T, B, M], or [P, T, B, M] for a population, not {list(x.shape)}")
        return x.dim() == 3
    if x.dim() not in (2, 3) or x.dtype != torch.int64:
        raise ShapeError(
            f"x must be ids [T, B] int64, or [P, T, B] for a population, where there is a table, not {list(x.shape)} "
            f"of {x.dtype}"
        )
    if table.dim() != x.dim() or table.device != x.device:
        axes = "[N, M]" if x.dim() == 2 else "[P, N, M]"
        raise ShapeError(f"table is {list(table.shape)} on {table.device}; for x {list(x.shape)} it must be {axes}")
    _check_ids(x, table.shape[-2])
    return x.dim() == 2


def _check_ids(x: Tensor, rows: int) -> None:
    if x.numel():
        low, high = x.aminmax()
        if int(low) < 0 or int(high) >= rows:
            bad = int(low) if int(low) < 0 else int(high)
            raise ShapeError(f"an id is {bad}; the table has rows from 0 to {rows - 1}")


def _check_weights(cell: Cell, x: Tensor, weights: Weights, table: Tensor | None, single: bool) -> Sizes:
    """Every weight against the cell and x."""
    w, vectors = weights.weight_ih, x if table is None else table
    gates, recurrent = len(cell.gates), len(cell.recurrent_gates)
    rows = w.shape[-2] if w.dim() == (2 if single else 3) else 0
    if not rows or rows % gates or w.shape[-1] != vectors.shape[-1]:
        axes = f"[{'' if single else 'P, '}{gates}*D, {vectors.shape[-1]}]"
        raise ShapeError(
            f"weight_ih is {list(w.shape)}; for cell '{cell}' with {gates} gate(s) and "
            f"{'x' if table is None else 'table'} {list(vectors.shape)} it must be {axes}"
        )
    population, networks_of_x = (1, 1) if single else (w.shape[0], x.shape[0])
    if population == 0:
        raise ShapeError(f"weight_ih is {list(w.shape)}: a population has at least one network")
    steps, batch = x.shape[-3:-1] if table is None else x.shape[-2:]
    units, table_rows = rows // gates, 0 if table is None else table.shape[-2]
    sizes = Sizes(population, steps, batch, w.shape[-1], units, networks_of_x, table_rows)
    if networks_of_x not in (1, population):
        raise ShapeError(
            f"x {list(x.shape)} is for {networks_of_x} networks, weight_ih {list(w.shape)} for {population}"
        )
    if table is not None:
        _check_shape("table", table, single, sizes, (table_rows, sizes.inputs), "N, M")
    if cell.recurrence == "none":
        for name, tensor in (("weight_hh", weights.weight_hh), ("bias_hh", weights.bias_hh)):
            if tensor is not None:
                raise ShapeError(f"cell '{cell}' has no recurrent matrix, so {name} must be None")
    else:
        dense = cell.recurrence == "dense"
        shape, meaning = ((recurrent * units, units), "G*D, D") if dense else ((recurrent * units,), "G*D")
        _check_shape("weight_hh", weights.weight_hh, single, sizes, shape, meaning)
        _check_shape("bias_hh", weights.bias_hh, single, sizes, (recurrent * units,), "G*D", optional=True)
    _check_shape("bias_ih", weights.bias_ih, single, sizes, (gates * units,), "G*D", optional=True)
    if len(weights.vectors) != len(cell.vectors):
        raise ShapeError(f"cell '{cell}' has {len(cell.vectors)} vector(s), not {len(weights.vectors)}")
    for name, vector in zip(cell.vectors, weights.vectors, strict=True):
        _check_shape(name, vector, single, sizes, (units,), "D")
    return sizes


def _check_shape(
    name: str,
    tensor: Tensor | None,
    single: bool,
    sizes: Sizes,
    shape: tuple[int, ...],
    meaning: str,
    *,
    optional=False,
) -> None:
    """`shape` and `meaning` are those of a single network."""
    if not single:
        shape, meaning = (sizes.population, *shape), f"P, {meaning}"
    if tensor is None:
        if not optional:
            raise ShapeError(f"{name} is missing; it must be [{meaning}] = {list(shape)}")
    elif tensor.shape != shape:
        raise ShapeError(f"{name} is {list(tensor.shape)}; it must be [{meaning}] = {list(shape)}")


def _check_lengths(lengths: Tensor | None, sizes: Sizes) -> Tensor | None:
    if lengths is None:
        return None
    lengths = lengths if isinstance(lengths, Tensor) else torch.as_tensor(lengths, device="cpu")
    if lengths.numel() == 0:
        lengths = lengths.long()  # torch calls an empty list a list of floats
    if lengths.is_floating_point() or lengths.dtype == torch.bool or lengths.is_complex():
        raise ShapeError(f"lengths must be whole numbers, not {lengths.dtype}")
    population, steps, batch = sizes[:3]
    if lengths.shape not in ((batch,), (1, batch), (population, batch)):
        raise ShapeError(
            f"lengths is {list(lengths.shape)}; it must be [B] = [{batch}] or [P, B] = {[population, batch]}"
        )
    lengths = (lengths if lengths.dim() == 2 else lengths.unsqueeze(0)).to("cpu", torch.int64, copy=True)
    if lengths.numel() and (int(lengths.min()) < 0 or int(lengths.max()) > steps):
        bad = lengths[(lengths < 0) | (lengths > steps)][0]
        raise ShapeError(f"a length is {int(bad)}; lengths go from 0 to T = {steps}")
    return lengths
