"""Sequences of different lengths as packed rows: padding has no row, so no kernel ever visits it.

The batch is sorted by length, the longest first. At step t the sequences still running are then the first of the
batch, and their rows lie side by side, as in torch's PackedSequence.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Rows:
    """Where the rows of P networks lie.

    Attributes:
        offsets: [P, T + 1]; network p's rows of step t are offsets[p, t] to offsets[p, t + 1].
        place: [rows] the row of each in [P*T*B], or None if the two orders are the same.
        order: [P, B] the batch sorted by length, or None.
        shared: the networks have the same lengths.
    """

    offsets: Tensor
    count: int
    place: Tensor | None = None
    order: Tensor | None = None
    shared: bool = True

    def gather(self, padded: Tensor) -> Tensor:
        """[(P or 1,) T, B, K] -> [rows, K]; of an input that all networks share, one network's rows if they agree.

        Where the two orders are the same the numbers stay where they are, in the shape they have.
        """
        if self.place is None:
            return padded.contiguous()
        flat, population, place = padded.flatten(0, -2), self.offsets.shape[0], self.place
        if padded.dim() == 4 and padded.shape[0] < population:
            steps_batch = padded.shape[1] * padded.shape[2]
            place = place[: self.count // population] if self.shared else place % steps_batch
        return flat.index_select(0, place)

    def scatter(self, rows: Tensor, population: int, steps: int, batch: int) -> Tensor:
        """[rows, K] -> [P, T, B, K], 0 where there is no row."""
        shape = (population, steps, batch, rows.shape[-1])
        if self.place is None:
            return rows.view(shape)
        padded = rows.new_zeros(population * steps * batch, rows.shape[-1])
        return padded.index_copy_(0, self.place, rows).view(shape)

    def sort(self, state: Tensor) -> Tensor:
        """[P, B, D] in the order of the rows."""
        if self.order is None:
            return state
        return state.gather(1, self.order.unsqueeze(-1).expand(state.shape))

    def unsort(self, state: Tensor) -> Tensor:
        """The inverse of `sort`."""
        if self.order is None:
            return state
        return torch.empty_like(state).scatter_(1, self.order.unsqueeze(-1).expand(state.shape), state)


def pack(lengths: Tensor | None, population: int, steps: int, batch: int) -> Rows:
    """The rows of sequences of these lengths ([P or 1, B]); None: all have T steps."""
    if lengths is None:
        networks = torch.arange(population, device="cpu").view(-1, 1) * (steps * batch)
        return Rows(networks + torch.arange(steps + 1, device="cpu") * batch, population * steps * batch)
    order = lengths.argsort(dim=1, descending=True, stable=True)
    running = (lengths.unsqueeze(1) > torch.arange(steps, device="cpu").view(1, -1, 1)).sum(-1)  # [P or 1, T]
    place = torch.arange(steps, device="cpu").view(1, -1, 1) * batch + order.unsqueeze(1)  # [P or 1, T, B]
    place = place + torch.arange(population, device="cpu").view(-1, 1, 1) * (steps * batch)
    inside = (torch.arange(batch, device="cpu") < running.unsqueeze(-1)).expand(place.shape)
    running = running.expand(population, steps)
    ends = running.reshape(-1).cumsum(0).view(population, steps)
    offsets = torch.cat([ends[:, :1] - running[:, :1], ends], dim=1) if steps else ends.new_zeros(population, 1)
    place = place[inside]
    return Rows(offsets.contiguous(), place.numel(), place, order.expand(population, batch), lengths.shape[0] == 1)
