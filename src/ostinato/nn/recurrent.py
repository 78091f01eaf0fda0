"""Recurrent layers of any cell, with the parameters, names and results of torch.nn's.

Symbols: B batch, T steps, M `input_size`, D `hidden_size`, L `num_layers`, N directions (2 if bidirectional), G gates,
P networks of a population.
"""

from __future__ import annotations

import itertools
import math
import numbers
import warnings
from collections.abc import Iterator, Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn import Module, Parameter, functional
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from ..cell import Cell
from ..cells import find
from ..errors import ShapeError
from ..scan import Weights, scan
from .embedding import look_up

Bias = bool | Literal["single"]
States = tuple[Tensor, ...]
Lengths = Tensor | Sequence[int]


class Recurrent(Module):
    """Layers of one cell, run over a sequence; for cells lstm, gru, srn and srn_relu what torch.nn computes.

    Args:
        cell: a `Cell`, or the name of one in `ostinato.cells.CELLS`.
        input_size: M, features of the input.
        hidden_size: D, units.
        num_layers: L; layer k > 0 reads the output of layer k - 1.
        bias: True for torch's two biases, "single" for `bias_ih` alone, False for none.
        batch_first: input and output are [B, T, ...] instead of [T, B, ...]; states are not affected.
        dropout: the probability of zeroing an element between two layers, in training.
        bidirectional: add a direction that reads each sequence backward within its own length.
        backend: what runs it, see `ostinato.scan.scan`.

    Attributes:
        ran_on: the backend of the last forward pass; empty before the first.
        population: P if this is a layer of a `Population`, where everything has an axis P before the others; else None.

    Parameters of layer k, with the suffix `_reverse` for the backward direction:
        weight_ih_l{k}: [G*D, M], or [G*D, N*D] for k > 0; a block of D rows for every gate.
        weight_hh_l{k}: [G*D, D] for the gates that h feeds; [G*D] if the recurrence is diagonal, None without one.
        bias_ih_l{k}, bias_hh_l{k}: [G*D], or None.
        {vector}_l{k}: [D], for every extra vector of the cell.

    Every parameter starts uniform in ±1/sqrt(D), drawn in torch's order: the same seed gives torch's numbers. This
    holds for a diagonal recurrence too, where Li et al. (CVPR 2018) draw from [0, 1] for a longer memory at the start.

    Raises:
        ValueError, TypeError: an argument out of range, as torch.nn does, or an unknown name of a cell.
    """

    def __init__(
        self,
        cell: Cell | str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: Bias = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        backend: str = "auto",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.cell = cell if isinstance(cell, Cell) else find(cell)
        _check_sizes(input_size=input_size, hidden_size=hidden_size, num_layers=num_layers)
        _check_options(bias, batch_first, dropout, num_layers)
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.backend = backend
        self.ran_on = ""
        self.population: int | None = None
        # Names of the parameters in the order of `Weights`, for every direction of every layer.
        self._names = tuple(
            tuple(self._register(f"_l{k}{suffix}", k, device, dtype) for suffix in ("", "_reverse")[: self._directions])
            for k in range(num_layers)
        )
        self.reset_parameters()

    @property
    def _directions(self) -> int:
        return 2 if self.bidirectional else 1

    def _register(
        self, suffix: str, layer: int, device: torch.device | str | None, dtype: torch.dtype | None
    ) -> tuple[str, ...]:
        """Make the parameters of one direction of one layer; returns their names, those of absent ones (None) too."""
        cell, D = self.cell, self.hidden_size
        rows, recurrent_rows = len(cell.gates) * D, len(cell.recurrent_gates) * D
        features = self.input_size if layer == 0 else self._directions * D
        recurrent = {"dense": (recurrent_rows, D), "diagonal": (recurrent_rows,), "none": None}[cell.recurrence]
        shapes: dict[str, tuple[int, ...] | None] = {
            "weight_ih": (rows, features),
            "weight_hh": recurrent,
            "bias_ih": (rows,) if self.bias else None,
            "bias_hh": (recurrent_rows,) if self.bias is True and recurrent else None,
        }
        for name, shape in (shapes | dict.fromkeys(cell.vectors, (D,))).items():
            parameter = None if shape is None else Parameter(torch.empty(shape, device=device, dtype=dtype))
            self.register_parameter(name + suffix, parameter)
        return tuple(name + suffix for name in (*shapes, *cell.vectors))

    def reset_parameters(self) -> None:
        """Draw every parameter anew, uniform in ±1/sqrt(D)."""
        bound = 1 / math.sqrt(self.hidden_size)
        for parameter in self.parameters():
            torch.nn.init.uniform_(parameter, -bound, bound)

    def flatten_parameters(self) -> None:
        """Do nothing: there is no flat copy of the weights. Code written for torch.nn calls it."""

    def extra_repr(self) -> str:
        """The arguments, those that have their default left out."""
        parts = [f"cell={self.cell}"] if type(self) is Recurrent else []
        parts += [str(self.input_size), str(self.hidden_size)]
        defaults = {"num_layers": 1, "bias": True, "batch_first": False, "dropout": 0.0, "bidirectional": False}
        for name, default in defaults.items():
            value = getattr(self, name)
            if value != default:
                parts.append(f"{name}={value}")
        return ", ".join(parts)

    def forward(
        self,
        input: Tensor | PackedSequence,
        hx: Tensor | States | None = None,
        *,
        lengths: Lengths | None = None,
        table: Tensor | None = None,
    ) -> tuple[Tensor | PackedSequence, Tensor | States]:
        """Run the layers over a batch of sequences.

        Args:
            input: [T, B, M], [B, T, M] if `batch_first`, [T, M] for a single sequence, or a PackedSequence; of a
                population [P, T, B, M], [1, T, B, M] if all share it, or [P or 1, B, T, M].
            table: [K, M] ([P, K, M] of a population); then `input` holds ids of its rows, int64 [T, B] or [B, T].
                A table of less than half as many rows as there are steps is multiplied by the weights once.
            hx: initial states [L*N, B, D] each ([L*N, D] for a single sequence), zeros if None: a tensor for a cell
                with one state, else a tuple of them in the order of `cell.states`, (h, c) for an LSTM.
            lengths: [B], the steps of each sequence; past them the output is 0 and the state stands still.

        Returns:
            The output of the last layer in the form of the input with N*D features, and the final states in the form
            of `hx`. Row `k * N + direction` of a state belongs to that direction of layer k.

        Raises:
            ShapeError: a shape or a dtype that does not fit.
        """
        if isinstance(input, PackedSequence):
            return self._forward_packed(input, hx, lengths)
        if table is not None:
            return self._forward_ids(input, table, hx, lengths)
        self._check_features(input, lengths)
        if input.dim() == 2:
            return self._forward_single(input, hx)
        x = input.transpose(-3, -2) if self.batch_first else input
        states = None if hx is None else self._check_states(hx, (x.shape[-2],))
        output, final = self._run(x, states, lengths)
        return output.transpose(-3, -2) if self.batch_first else output, self._as_hx(final)

    def _forward_ids(
        self, ids: Tensor, table: Tensor, hx: Tensor | States | None, lengths: Lengths | None
    ) -> tuple[Tensor, Tensor | States]:
        """Rows of a table: looked up, or left as ids for a scan that finds their products in a smaller table."""
        self._check_ids(ids, table)
        x = ids.mT if self.batch_first else ids
        states = None if hx is None else self._check_states(hx, (x.shape[-1],))
        if 2 * table.shape[-2] < x.shape[-2] * x.shape[-1]:
            output, final = self._run(x, states, lengths, table)
        else:
            output, final = self._run(look_up(table, x), states, lengths)
        return output.transpose(-3, -2) if self.batch_first else output, self._as_hx(final)

    def _forward_single(self, input: Tensor, hx: Tensor | States | None) -> tuple[Tensor, Tensor | States]:
        """One sequence [T, M] without a batch axis."""
        states = None if hx is None else tuple(s.unsqueeze(1) for s in self._check_states(hx, ()))
        output, final = self._run(input.unsqueeze(1), states, None)
        return output.squeeze(1), self._as_hx(tuple(s.squeeze(1) for s in final))

    def _forward_packed(
        self, input: PackedSequence, hx: Tensor | States | None, lengths: Lengths | None
    ) -> tuple[PackedSequence, Tensor | States]:
        """Sorted by length inside, as a PackedSequence is; the states in the order of the caller outside."""
        if lengths is not None:
            raise ShapeError("lengths must be None for a PackedSequence, which carries its own")
        if self.population is not None:
            raise ShapeError("a population takes padded sequences with lengths, not a PackedSequence")
        data, batch_sizes, sorted_indices, unsorted_indices = input
        if data.dim() != 2:
            raise ShapeError(
                f"the data of a PackedSequence is {list(data.shape)}; it must be [steps, {self.input_size}]"
            )
        self._check_features(data, None)
        x, sorted_lengths = pad_packed_sequence(PackedSequence(data, batch_sizes))
        states = None if hx is None else _select(self._check_states(hx, (x.shape[1],)), sorted_indices)
        output, final = self._run(x, states, sorted_lengths)
        packed = pack_padded_sequence(output, sorted_lengths)
        output = PackedSequence(packed.data, packed.batch_sizes, sorted_indices, unsorted_indices)
        return output, self._as_hx(_select(final, unsorted_indices))

    def _run(
        self, x: Tensor, states: States | None, lengths: Lengths | None, table: Tensor | None = None
    ) -> tuple[Tensor, States]:
        """Every layer over x [T, B, M], or ids of a table; output [T, B, N*D] and final states [L*N, B, D]."""
        if lengths is not None:
            lengths = torch.as_tensor(lengths)
        initial: Iterator[States | None] = itertools.repeat(None)
        if states is not None:
            initial = zip(*(s.unbind(-3) for s in states), strict=True)
        final, backend = [], self.ran_on
        for layer, directions in enumerate(self._names):
            if layer and self.training and self.dropout:
                x = functional.dropout(x, self.dropout)
            outputs = []
            for direction, names in enumerate(directions):
                weights = self._weights(names)
                _check_dtype(x if table is None else table, weights)
                output, state, backend = scan(
                    self.cell,
                    x,
                    weights,
                    next(initial),
                    lengths=lengths,
                    reverse=direction == 1,
                    backend=self.backend,
                    table=table,
                )
                outputs.append(output)
                final.append(state)
            x, table = outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=-1), None
        if backend != self.ran_on:
            self.ran_on = backend
        if len(final) == 1:
            return x, tuple(s.unsqueeze(-3) for s in final[0])
        return x, tuple(torch.stack(rows, dim=-3) for rows in zip(*final, strict=True))

    def _weights(self, names: tuple[str, ...]) -> Weights:
        """The parameters of one direction of one layer, without the slow `Module.__getattr__`."""
        parameters = self._parameters
        try:
            values = [parameters[name] for name in names]
        except KeyError:  # a parametrised or pruned weight is an attribute, not a parameter
            values = [getattr(self, name) for name in names]
        return Weights(*values[:4], tuple(values[4:]))  # type: ignore[arg-type]

    def _as_hx(self, states: States) -> Tensor | States:
        return states[0] if len(self.cell.states) == 1 else states

    def _check_features(self, input: Tensor, lengths: Lengths | None) -> None:
        shape, M = input.shape, self.input_size
        if self.population is not None:
            if len(shape) != 4 or shape[-1] != M or shape[0] not in (1, self.population):
                axes = f"B, T, {M}" if self.batch_first else f"T, B, {M}"
                raise ShapeError(
                    f"input is {list(shape)}; for a population of {self.population} it must be "
                    f"[{self.population}, {axes}], or [1, {axes}] for all of them"
                )
        elif len(shape) not in (2, 3) or shape[-1] != M:
            batched = f"[B, T, {M}]" if self.batch_first else f"[T, B, {M}]"
            raise ShapeError(f"input is {list(shape)}; it must be {batched}, or [T, {M}] for a single sequence")
        if len(shape) == 2 and lengths is not None:
            raise ShapeError(f"lengths must be None for a single sequence (input {list(shape)}): cut the input instead")

    def _check_ids(self, ids: Tensor, table: Tensor) -> None:
        lead = () if self.population is None else (self.population,)
        rows = table.shape[-2] if table.dim() > 1 else 0
        if table.shape != (*lead, rows, self.input_size):
            raise ShapeError(f"table is {list(table.shape)}; it must be {_named(*lead, 'K', self.input_size)}")
        if ids.dtype != torch.int64 or ids.dim() != 2 + len(lead) or (lead and ids.shape[0] not in (1, *lead)):
            axes = ("B", "T") if self.batch_first else ("T", "B")
            raise ShapeError(
                f"ids are {list(ids.shape)} of {ids.dtype}; they must be {_named(*lead, *axes)} of torch.int64"
            )

    def _check_states(self, hx: Tensor | States, batch: tuple[int, ...]) -> States:
        """`hx` as a tuple of [L*N, *batch, D]."""
        names = self.cell.states
        states = (hx,) if isinstance(hx, Tensor) else tuple(hx)
        if len(states) != len(names) or (len(names) == 1) != isinstance(hx, Tensor):
            wanted = "a tensor" if len(names) == 1 else f"a tuple ({', '.join(names)})"
            got = f"a tensor {list(hx.shape)}" if isinstance(hx, Tensor) else f"{len(states)} tensor(s) in a tuple"
            raise ShapeError(f"hx is {got}; for cell '{self.cell}' it must be {wanted}")
        lead = () if self.population is None else (self.population,)
        shape = (*lead, self.num_layers * self._directions, *batch, self.hidden_size)
        meaning = f"[{'P, ' if lead else ''}num_layers * directions, {'B, ' if batch else ''}D]"
        for name, state in zip(names, states, strict=True):
            if state.shape != shape:
                raise ShapeError(f"initial state {name} is {list(state.shape)}; it must be {meaning} = {list(shape)}")
        return states


def _named(*axes: object) -> str:
    return f"[{', '.join(map(str, axes))}]"


def _check_sizes(**sizes: int) -> None:
    for name, value in sizes.items():
        if not isinstance(value, int) or isinstance(value, bool):
            raise TypeError(f"{name} should be of type int, got: {type(value).__name__}")
        if value <= 0:
            raise ValueError(f"{name} must be greater than zero, not {value}")


def _check_options(bias: Bias, batch_first: bool, dropout: float, num_layers: int) -> None:
    """The checks of torch.nn, in its words."""
    if not isinstance(bias, bool) and bias != "single":
        raise TypeError(f"bias should be True, False or 'single', got: {bias!r}")
    if not isinstance(batch_first, bool):
        raise TypeError(f"batch_first should be of type bool, got: {type(batch_first).__name__}")
    if not isinstance(dropout, numbers.Real) or not 0 <= dropout <= 1 or isinstance(dropout, bool):
        raise ValueError(
            "dropout should be a number in range [0, 1] representing the probability of an element being zeroed, "
            f"not {dropout!r}"
        )
    if dropout > 0 and num_layers == 1:
        warnings.warn(
            "dropout option adds dropout after all but last recurrent layer, so non-zero dropout expects num_layers "
            f"greater than 1, but got dropout={dropout} and num_layers={num_layers}",
            stacklevel=3,
        )


def _check_dtype(x: Tensor, weights: Weights) -> None:
    dtype = weights.weight_ih.dtype
    if x.dtype != dtype:
        raise ShapeError(
            f"input is {x.dtype}, the parameters are {dtype}: convert with input.to({dtype})"
            + (f" or module.to({x.dtype})" if x.is_floating_point() else "")
        )


def _select(states: States, indices: Tensor | None) -> States:
    """The states with their batch axis (1) in the order of `indices`."""
    return states if indices is None else tuple(s.index_select(1, indices) for s in states)
