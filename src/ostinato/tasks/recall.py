"""Delayed recall: one symbol, a crowd of others that do not matter, and the question which one it was."""

from __future__ import annotations

import torch

from . import drawing
from .task import Examples, Recipe, Task

SYMBOLS, DISTRACTORS = 8, 8
QUERY = SYMBOLS + DISTRACTORS


class Recall(Task):
    """First one of eight symbols (0 to 7), then distractors (8 to 15), at the end the query (16): which symbol was it?

    The least that a memory can be asked for: three bits, held while everything else is to be ignored.

    Source: after task 2b of Hochreiter & Schmidhuber, 1997, with eight symbols for their two.
    Chance: 1/8, as all eight symbols are equally likely.

    Example:
        >>> (inputs,), (target,) = Recall().sample(length=8, count=1, seed=(0,))
        >>> inputs.tolist(), target.item()
        ([7, 13, 10, 9, 8, 12, 10, 16], 7)
    """

    name = "recall"
    num_embeddings = QUERY + 1
    outputs = SYMBOLS
    lengths = (10, 20, 40, 80, 160)
    shortest = 2
    recipe = Recipe(steps=6000)

    def chance(self, length: int) -> float:
        return 1 / SYMBOLS

    def sample(self, length: int, count: int, seed: tuple[int, ...]) -> Examples:
        self.check(length, count, seed)
        bits = drawing.stream(seed)
        symbol = drawing.integers(bits, SYMBOLS, count)
        inputs = SYMBOLS + drawing.integers(bits, DISTRACTORS, (count, length))
        inputs[:, 0], inputs[:, -1] = symbol, QUERY
        return Examples(torch.from_numpy(inputs), torch.from_numpy(symbol))
