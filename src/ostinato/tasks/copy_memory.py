"""Copy memory: ten symbols, a long wait, and then all ten again, in order."""

from __future__ import annotations

import numpy as np
import torch

from . import drawing
from .task import IGNORED, Examples, Recipe, Task

SYMBOLS, BLANK, MARKER = 8, 8, 9
REPEATED = 10


class CopyMemory(Task):
    """Ten symbols (0 to 7), blanks (8), a marker (9), ten more blanks: in those the symbols are to be repeated.

    The length is the delay, from the last symbol to the first step that asks for one: a sequence has length + 20
    steps. Only the last ten are asked for.

    Source: Arjovsky, Shah & Bengio, 2016, after Hochreiter & Schmidhuber, 1997. There every step counts, and a network
    that remembers nothing has a cross-entropy of 10 log 8 / (T + 20), T being the length; over the ten steps that are
    asked for here it is log 8 = 2.08 nats, and a published value is ours times 10 / (T + 20) if the blanks are right.
    Bai, Kolter & Koltun, 2018, for T = 1000, where the value of no memory is 0.0204: LSTM 0.0204, GRU 0.0197, RNN
    0.0202.
    Chance: 1/8, as each symbol is drawn for itself, all eight equally likely.

    Example:
        >>> (inputs,), (targets,) = CopyMemory().sample(length=4, count=1, seed=(0,))
        >>> inputs.tolist()
        [7, 6, 5, 2, 1, 0, 4, 2, 2, 2, 8, 8, 8, 9, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8]
        >>> targets[-10:].tolist()  # all others are IGNORED
        [7, 6, 5, 2, 1, 0, 4, 2, 2, 2]
    """

    name = "copy"
    num_embeddings = MARKER + 1
    outputs = SYMBOLS
    every_step = True
    lengths = (5, 10, 20, 40)
    recipe = Recipe(steps=10000, hidden_size=64)

    def chance(self, length: int) -> float:
        return 1 / SYMBOLS

    def sample(self, length: int, count: int, seed: tuple[int, ...]) -> Examples:
        self.check(length, count, seed)
        symbols = drawing.integers(drawing.stream(seed), SYMBOLS, (count, REPEATED))
        inputs = np.full((count, length + 2 * REPEATED), BLANK)
        inputs[:, :REPEATED] = symbols
        inputs[:, -REPEATED - 1] = MARKER
        targets = np.full_like(inputs, IGNORED)
        targets[:, -REPEATED:] = symbols
        return Examples(torch.from_numpy(inputs), torch.from_numpy(targets))
