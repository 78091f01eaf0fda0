"""Parity: is the number of ones odd? One bit to remember, but every step may turn it round."""

from __future__ import annotations

import torch

from . import drawing
from .task import Examples, Recipe, Task


class Parity(Task):
    """Random bits; the class is 1 if the number of ones is odd, else 0.

    A network of two units can hold the answer, yet none of the bits tells anything about it without all the others, so
    there is hardly a gradient to follow: what is hard is to learn it.

    Source: Minsky & Papert, 1969; for recurrent networks Bengio, Simard & Frasconi, 1994. Hochreiter & Schmidhuber,
    1996, find that to guess the weights at random is faster than what was proposed to learn them.
    Chance: 1/2, as half of all sequences of any length are odd.

    Example:
        >>> (inputs,), (target,) = Parity().sample(length=8, count=1, seed=(0,))
        >>> inputs.tolist(), target.item()
        ([1, 0, 1, 0, 1, 0, 0, 0], 1)
    """

    name = "parity"
    num_embeddings = 2
    outputs = 2
    lengths = (4, 8, 16, 32)
    recipe = Recipe(steps=10000, learning_rate=3e-3)

    def chance(self, length: int) -> float:
        return 1 / 2

    def sample(self, length: int, count: int, seed: tuple[int, ...]) -> Examples:
        self.check(length, count, seed)
        inputs = drawing.integers(drawing.stream(seed), 2, (count, length))
        return Examples(torch.from_numpy(inputs), torch.from_numpy(inputs.sum(axis=1) % 2))
