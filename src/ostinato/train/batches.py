"""Where the batches of a population come from: cut from examples, or drawn fresh. Step k always has the same batch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ..errors import DataError, ShapeError
from .metrics import Examples


class Batches(ABC):
    """A batch for every step, the targets last; each tensor [P, B, ...], or [1, B, ...] for all members."""

    @abstractmethod
    def at(self, step: int) -> tuple[Tensor, ...]:
        """The batch of step 0, 1, 2, ..."""

    @abstractmethod
    def keep(self, indices: Sequence[int]) -> None:
        """Forget all members but these."""


class Epochs(Batches):
    """Passes over the same examples.

    Args:
        examples: [P, N, ...] each, or [1, N, ...] for all members.
        batch_size: B; the last batch of an epoch may be smaller.
        seeds: one a member, for an order of its own in every epoch: that which a `Runner` draws from the seed, in a
            copy of the examples for every member. None keeps the order of the examples, and copies nothing.
    """

    def __init__(self, examples: Examples, batch_size: int, seeds: Sequence[int] | None = None) -> None:
        if batch_size < 1:
            raise ShapeError(f"the batch size is {batch_size}; it must be at least 1")
        self._examples, self._batch_size = tuple(examples), batch_size
        members = max(len(tensor) for tensor in self._examples)
        if seeds is not None and members not in (1, len(seeds)):
            raise ShapeError(f"there are {len(seeds)} seeds for the examples of {members} members")
        self._seeds = None if seeds is None else list(seeds)
        self._orders = _Orders(self._seeds or [], self._examples[0].shape[1])
        self._epoch = -1
        self._batches = self._cut(self._examples)

    @property
    def steps(self) -> int:
        """Of one epoch."""
        return len(self._batches)

    def at(self, step: int) -> tuple[Tensor, ...]:
        epoch, index = divmod(step, self.steps)
        if self._seeds is not None and epoch != self._epoch:
            self._epoch, orders = epoch, self._orders.of(epoch)
            self._batches = self._cut([_reordered(tensor, orders) for tensor in self._examples])
        return self._batches[index]

    def keep(self, indices: Sequence[int]) -> None:
        indices = list(indices)
        self._examples = tuple(t if len(t) == 1 else t[indices] for t in self._examples)
        if self._seeds is not None:
            self._seeds = [self._seeds[i] for i in indices]
            self._orders = _Orders(self._seeds, self._examples[0].shape[1])
        self._epoch = -1
        self._batches = self._cut(self._examples)

    def _cut(self, examples: Sequence[Tensor]) -> list[tuple[Tensor, ...]]:
        return list(zip(*(tensor.split(self._batch_size, dim=1) for tensor in examples), strict=True))


class _Orders:
    """The order of N examples in every epoch, of every member: one drawn after the other, as by a `Runner`."""

    def __init__(self, seeds: Sequence[int], count: int) -> None:
        self.seeds, self.count = seeds, count
        self._restart()

    def _restart(self) -> None:
        self.generators = [torch.Generator().manual_seed(seed) for seed in self.seeds]
        self.drawn = 0

    def of(self, epoch: int) -> list[Tensor]:
        if epoch < self.drawn:
            self._restart()
        orders: list[Tensor] = []
        while self.drawn <= epoch:
            orders = [torch.randperm(self.count, generator=generator) for generator in self.generators]
            self.drawn += 1
        return orders


def _reordered(tensor: Tensor, orders: Sequence[Tensor]) -> Tensor:
    rows = tensor.expand(len(orders), *tensor.shape[1:])
    return torch.stack([row[order] for row, order in zip(rows, orders, strict=True)])


class Fresh(Batches):
    """New examples in every batch, a stream of its own for every member.

    Args:
        draw: of (seed, block), the examples [`batch_size` * `batches_a_block`, ...] of one member, the targets last;
            equal arguments must give equal examples.
        seeds: one a member.
        batches_a_block: how many batches are drawn at a time, which is quicker than one by one.
    """

    def __init__(
        self, draw: Callable[[int, int], Examples], seeds: Sequence[int], batch_size: int, batches_a_block: int = 20
    ) -> None:
        if batch_size < 1 or batches_a_block < 1:
            raise ShapeError(f"batch_size ({batch_size}) and batches_a_block ({batches_a_block}) must be at least 1")
        self._draw, self._seeds, self._batch_size, self._per_block = draw, list(seeds), batch_size, batches_a_block
        self._block, self._batches = -1, []

    def at(self, step: int) -> tuple[Tensor, ...]:
        block, index = divmod(step, self._per_block)
        if block != self._block:
            drawn = zip(*(self._draw(seed, block) for seed in self._seeds), strict=True)
            stacked = [torch.stack(tensors) for tensors in drawn]
            self._batches = list(zip(*(t.split(self._batch_size, dim=1) for t in stacked), strict=True))
            if len(self._batches) != self._per_block:
                raise DataError(
                    f"a block holds {stacked[0].shape[1]} examples; {self._per_block} batches of {self._batch_size} "
                    f"take {self._per_block * self._batch_size}"
                )
            self._block = block
        return self._batches[index]

    def keep(self, indices: Sequence[int]) -> None:
        self._seeds = [self._seeds[i] for i in indices]
        self._block = -1
