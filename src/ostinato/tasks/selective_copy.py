"""Selective copying: a few symbols scattered among blanks, to be repeated without the blanks."""

from __future__ import annotations

import numpy as np
import torch

from . import drawing
from .task import IGNORED, Examples, Recipe, Task

SYMBOLS, BLANK, MARKER = 8, 8, 9
REPEATED = 4


class SelectiveCopy(Task):
    """Four symbols (0 to 7) at random places among blanks (8), then four markers (9): there the symbols, in order.

    The length is that of the part with the symbols: a sequence has length + 4 steps. Unlike in copy memory, it is what
    is read that says what to keep, not when it is read.

    Source: Gu & Dao, Mamba, 2023, after the denoising task of Jing et al., 2019. Theirs has 16 symbols out of 16 in
    4,096 steps (accuracy: S4 18.3 %, Mamba 99.8 %); four of eight here, so that small networks can learn it.
    Chance: 1/8, as each symbol is drawn for itself, all eight equally likely.

    Example:
        >>> (inputs,), (targets,) = SelectiveCopy().sample(length=10, count=1, seed=(0,))
        >>> inputs.tolist()
        [1, 8, 8, 8, 8, 8, 0, 4, 2, 8, 9, 9, 9, 9]
        >>> targets[-4:].tolist()  # all others are IGNORED
        [1, 0, 4, 2]
    """

    name = "selective-copy"
    num_embeddings = MARKER + 1
    outputs = SYMBOLS
    every_step = True
    lengths = (8, 16, 32, 64)
    shortest = REPEATED
    recipe = Recipe(steps=10000, hidden_size=64, learning_rate=3e-3)

    def chance(self, length: int) -> float:
        return 1 / SYMBOLS

    def sample(self, length: int, count: int, seed: tuple[int, ...]) -> Examples:
        self.check(length, count, seed)
        bits = drawing.stream(seed)
        places = np.sort(drawing.distinct(bits, length, count, REPEATED), axis=1)
        symbols = drawing.integers(bits, SYMBOLS, (count, REPEATED))
        inputs = np.full((count, length + REPEATED), BLANK)
        np.put_along_axis(inputs, places, symbols, axis=1)
        inputs[:, length:] = MARKER
        targets = np.full_like(inputs, IGNORED)
        targets[:, length:] = symbols
        return Examples(torch.from_numpy(inputs), torch.from_numpy(targets))
